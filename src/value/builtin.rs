//! The Rust types that are event values by themselves.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::view::fields;
use super::{
    ConversionError, EventValue, ListView, Properties, RecordView, Value, ValueRef, ValueType,
};

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
