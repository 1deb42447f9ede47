//! Rust types as event values.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt;

use super::view::elements;
use super::{FieldSchema, ListView, RecordSchema, ValueRef, ValueType};

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
