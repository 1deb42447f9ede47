//! Rust types as event values.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::view::{elements, fields};
use super::{
    FieldSchema, ListView, Properties, RecordSchema, RecordView, Value, ValueRef, ValueType,
};

/// A Rust type whose values events can carry; derive it for structs and unit enums.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event value",
    label = "events cannot carry this type",
    note = "put `#[derive(EventValue)]` on it, or use one of the types listed in the crate's documentation"
)]
pub trait EventValue: Clone + Send + Sync + 'static {
    /// Returns the type as schemas name it.
    fn value_type() -> ValueType;

    /// Returns the value, borrowed.
    fn view(&self) -> ValueRef<'_>;

    /// Returns the value that `view` shows.
    ///
    /// # Errors
    ///
    /// When the value is of another kind, out of range, or lacks a field.
    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError>;

    /// Returns how a list of such values is seen; only `u8` differs.
    #[doc(hidden)]
    fn view_list<'a>(_elements: &'a [Self], list: &'a dyn ListView) -> ValueRef<'a> {
        ValueRef::List(list)
    }

    /// Returns the type of a list of such values; only `u8` differs.
    #[doc(hidden)]
    fn list_type() -> ValueType {
        ValueType::List(Box::new(Self::value_type()))
    }

    /// Returns the list that `view` shows; only `u8` differs.
    #[doc(hidden)]
    fn list_from_view(view: ValueRef<'_>) -> Result<Vec<Self>, ConversionError> {
        let ValueRef::List(list) = view else {
            return Err(ConversionError::new(&Self::list_type(), view));
        };
        let values = elements(list).enumerate();
        values
            .map(|(i, value)| Self::from_view(value).map_err(|e| e.within(&i)))
            .collect()
    }
}

/// What may stand behind `&` in an event method's parameter.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event value",
    label = "events cannot carry this type",
    note = "put `#[derive(EventValue)]` on it, or use one of the types listed in the crate's documentation"
)]
pub trait ReferencedValue {
    /// The owned form: `String` of `str`, `Vec<T>` of `[T]`, `T` of `T`.
    type Owned: EventValue + Borrow<Self>;

    /// Returns the value, borrowed.
    fn view_of<'a>(this: &'a &'a Self) -> ValueRef<'a>;

    /// Returns the owned form.
    fn owned(&self) -> Self::Owned;
}

/// A value that does not fit the type it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionError {
    path: String,
    expected: String,
    found: String,
}

impl ConversionError {
    /// Returns the error for `found` where `expected` is wanted.
    pub fn new(expected: &ValueType, found: ValueRef<'_>) -> Self {
        let found = match found {
            ValueRef::List(_) | ValueRef::Record(_) | ValueRef::Null => {
                found.kind_name().to_owned()
            }
            other => format!("{} {other}", other.kind_name()),
        };
        Self {
            path: String::new(),
            expected: expected.to_string(),
            found,
        }
    }

    /// Returns the error for a value that is not there.
    pub fn missing(expected: &ValueType) -> Self {
        Self {
            path: String::new(),
            expected: expected.to_string(),
            found: "nothing".to_owned(),
        }
    }

    /// Returns the error for an argument behind the last of `count` parameters.
    pub(crate) fn unexpected(found: ValueRef<'_>, count: usize) -> Self {
        let expected = format!("no more than {count} arguments");
        Self {
            path: String::new(),
            expected,
            found: found.kind_name().to_owned(),
        }
    }

    /// Returns the same error, found inside the parameter, field or element `step`.
    #[must_use]
    pub fn within(mut self, step: &dyn fmt::Display) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for ConversionError {}

macro_rules! integers {
    ($($ty:ty => $value:ident $variant:ident $wide:ty),* $(,)?) => {$(
        impl EventValue for $ty {
            fn value_type() -> ValueType {
                ValueType::$variant
            }

            fn view(&self) -> ValueRef<'_> {
                ValueRef::$value(<$wide>::from(*self))
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                let number = match view {
                    ValueRef::I64(value) => Self::try_from(value).ok(),
                    ValueRef::U64(value) => Self::try_from(value).ok(),
                    _ => None,
                };
                number.ok_or_else(|| ConversionError::new(&Self::value_type(), view))
            }
        }
    )*};
}

integers! {
    i8 => I64 I8 i64, i16 => I64 I16 i64, i32 => I64 I32 i64, i64 => I64 I64 i64,
    u16 => U64 U16 u64, u32 => U64 U32 u64, u64 => U64 U64 u64,
}

/// As the other integers, but a list of them is bytes.
impl EventValue for u8 {
    fn value_type() -> ValueType {
        ValueType::U8
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::U64(u64::from(*self))
    }

    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        u16::from_view(view)
            .ok()
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| ConversionError::new(&Self::value_type(), view))
    }

    fn view_list<'a>(elements: &'a [Self], _list: &'a dyn ListView) -> ValueRef<'a> {
        ValueRef::Bytes(elements)
    }

    fn list_type() -> ValueType {
        ValueType::Bytes
    }

    fn list_from_view(view: ValueRef<'_>) -> Result<Vec<Self>, ConversionError> {
        match view {
            ValueRef::Bytes(bytes) => Ok(bytes.to_vec()),
            _ => Err(ConversionError::new(&ValueType::Bytes, view)),
        }
    }
}

macro_rules! plain_values {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl EventValue for $ty {
            fn value_type() -> ValueType {
                ValueType::$variant
            }

            fn view(&self) -> ValueRef<'_> {
                ValueRef::$variant(*self)
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                match view {
                    ValueRef::$variant(value) => Ok(value),
                    _ => Err(ConversionError::new(&Self::value_type(), view)),
                }
            }
        }
    )*};
}

plain_values! { bool => Bool, Uuid => Uuid, SystemTime => Time, Duration => Duration }

impl EventValue for f64 {
    fn value_type() -> ValueType {
        ValueType::F64
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::F64(*self)
    }

    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        view.as_f64()
            .ok_or_else(|| ConversionError::new(&Self::value_type(), view))
    }
}

impl EventValue for f32 {
    fn value_type() -> ValueType {
        ValueType::F32
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::F64(f64::from(*self))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a wider number is rounded to the parameter"
    )]
    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        let number = view
            .as_f64()
            .ok_or_else(|| ConversionError::new(&Self::value_type(), view))?;
        Ok(number as Self)
    }
}

macro_rules! text_values {
    ($($ty:ty),*) => {$(
        impl EventValue for $ty {
            fn value_type() -> ValueType {
                ValueType::Str
            }

            fn view(&self) -> ValueRef<'_> {
                ValueRef::Str(self)
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                view.as_str()
                    .map(Into::into)
                    .ok_or_else(|| ConversionError::new(&Self::value_type(), view))
            }
        }
    )*};
}

text_values! { String, Arc<str>, Box<str> }

impl<T: EventValue> EventValue for Option<T> {
    fn value_type() -> ValueType {
        match T::value_type() {
            ValueType::Any => ValueType::Any,
            inner => ValueType::Option(Box::new(inner)),
        }
    }

    fn view(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, T::view)
    }

    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        if view.is_null() {
            Ok(None)
        } else {
            T::from_view(view).map(Some)
        }
    }
}

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<T: EventValue> EventValue for $pointer<T> {
            fn value_type() -> ValueType {
                T::value_type()
            }

            fn view(&self) -> ValueRef<'_> {
                (**self).view()
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                T::from_view(view).map(Self::new)
            }
        }
    )*};
}

pointers! { Arc, Box }

macro_rules! lists {
    ($($list:ty),*) => {$(
        impl<T: EventValue> ListView for $list {
            fn element_count(&self) -> usize {
                self.len()
            }

            fn element(&self, index: usize) -> Option<ValueRef<'_>> {
                self.get(index).map(T::view)
            }
        }

        impl<T: EventValue> EventValue for $list {
            fn value_type() -> ValueType {
                T::list_type()
            }

            fn view(&self) -> ValueRef<'_> {
                T::view_list(self, self)
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                T::list_from_view(view).map(Into::into)
            }
        }
    )*};
}

lists! { Vec<T>, Arc<[T]>, Box<[T]> }

impl<T: EventValue> ListView for &[T] {
    fn element_count(&self) -> usize {
        self.len()
    }

    fn element(&self, index: usize) -> Option<ValueRef<'_>> {
        self.get(index).map(T::view)
    }
}

macro_rules! maps {
    ($($map:ident [$($extra:ident: $bound:path),*]),*) => {$(
        impl<T: EventValue, $($extra: $bound + Default + Clone + Send + Sync + 'static),*> RecordView
            for $map<String, T, $($extra),*>
        {
            fn field_count(&self) -> usize {
                self.len()
            }

            fn field(&self, index: usize) -> Option<(&str, ValueRef<'_>)> {
                self.iter().nth(index).map(|(key, value)| (key.as_str(), value.view()))
            }

            fn field_named(&self, name: &str) -> Option<ValueRef<'_>> {
                self.get(name).map(T::view)
            }
        }

        impl<T: EventValue, $($extra: $bound + Default + Clone + Send + Sync + 'static),*> EventValue
            for $map<String, T, $($extra),*>
        {
            fn value_type() -> ValueType {
                ValueType::Map(Box::new(T::value_type()))
            }

            fn view(&self) -> ValueRef<'_> {
                ValueRef::Record(self)
            }

            fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
                let ValueRef::Record(record) = view else {
                    return Err(ConversionError::new(&Self::value_type(), view));
                };
                fields(record)
                    .map(|(key, value)| match T::from_view(value) {
                        Ok(value) => Ok((key.to_owned(), value)),
                        Err(error) => Err(error.within(&key)),
                    })
                    .collect()
            }
        }
    )*};
}

maps! { BTreeMap [], HashMap [S: BuildHasher] }

impl EventValue for Properties {
    fn value_type() -> ValueType {
        ValueType::Map(Box::new(ValueType::Any))
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::Record(self)
    }

    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        match view.to_value() {
            Value::Record(fields) => Ok(fields),
            _ => Err(ConversionError::new(&Self::value_type(), view)),
        }
    }
}

impl EventValue for Value {
    fn value_type() -> ValueType {
        ValueType::Any
    }

    fn view(&self) -> ValueRef<'_> {
        Self::view(self)
    }

    fn from_view(view: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(view.to_value())
    }
}

impl<T: EventValue> ReferencedValue for T {
    type Owned = T;

    fn view_of<'a>(this: &'a &'a Self) -> ValueRef<'a> {
        this.view()
    }

    fn owned(&self) -> T {
        self.clone()
    }
}

impl ReferencedValue for str {
    type Owned = String;

    fn view_of<'a>(this: &'a &'a Self) -> ValueRef<'a> {
        ValueRef::Str(this)
    }

    fn owned(&self) -> String {
        self.to_owned()
    }
}

impl<T: EventValue> ReferencedValue for [T] {
    type Owned = Vec<T>;

    fn view_of<'a>(this: &'a &'a Self) -> ValueRef<'a> {
        T::view_list(this, this)
    }

    fn owned(&self) -> Vec<T> {
        self.to_vec()
    }
}

thread_local! {
    /// The names of the record types whose schema is being made, outermost first.
    static IN_PROGRESS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Returns the type of a struct; inside its own fields, where it recurs, the type is `Any`.
#[doc(hidden)]
pub fn record_type<T: 'static>(name: &str, fields: impl FnOnce() -> Vec<FieldSchema>) -> ValueType {
    let path = std::any::type_name::<T>();
    let recurs = IN_PROGRESS.with_borrow_mut(|types| {
        let recurs = types.contains(&path);
        if !recurs {
            types.push(path);
        }
        recurs
    });
    if recurs {
        return ValueType::Any;
    }
    let fields = fields();
    IN_PROGRESS.with_borrow_mut(|types| types.pop());
    ValueType::Record(RecordSchema::new(name, fields))
}
