//! Values: what an event carries, what a property holds, and how both are described.

mod builtin;
pub(crate) mod event_value;
mod fit;
pub(crate) mod handlers;
pub(crate) mod id;
mod interface;
mod key;
mod properties;
mod revision;
mod schema;
pub(crate) mod untyped;
pub(crate) mod view;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::event_value::{ConversionError, EventValue};
pub use self::handlers::{AsyncSubscriber, HandlerFuture, IntoOutcome, LocalSubscriber};
pub use self::interface::{
    Event, EventInterface, ImplementedBy, InterfaceEvent, Subscriber, SubscriberError,
};
pub(crate) use self::interface::{Invoker, RustType, drop_quietly, panic_message};
pub(crate) use self::key::{ValueKey, write_key};
pub use self::properties::Properties;
pub use self::revision::Revision;
pub use self::schema::{
    EventMethod, FieldSchema, InterfaceId, InterfaceSchema, Parameter, RecordSchema, SchemaHash,
    ValueType,
};
pub use self::view::{ListView, RecordView, ValueRef};

/// An owned value of any type that an event parameter or a property can have.
///
/// The serde form is the one a person would write: `null`, `true`, `185.5`, `"text"`, a list, a
/// map. What JSON has no type for is a map with one key that starts with `$`: `{"$bytes": [1, 2]}`,
/// `{"$uuid": "..."}`, `{"$time": "2000-01-01T00:00:00Z"}`, `{"$duration": "PT1.5S"}`. So a map of
/// one's own whose only key starts with `$` is written inside another, `{"$record": {"$key": 1}}`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value; SQL's NULL.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number; NaN counts as NULL in criteria.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(Uuid),
    /// A point in time.
    Time(SystemTime),
    /// A span of time.
    Duration(Duration),
    /// A list.
    List(Vec<Value>),
    /// Named values: a struct or a map.
    Record(Properties),
}

impl Value {
    /// Returns whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the borrowed form.
    pub fn view(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::I64(value) => ValueRef::I64(*value),
            Self::U64(value) => ValueRef::U64(*value),
            Self::F64(value) => ValueRef::F64(*value),
            Self::Str(value) => ValueRef::Str(value),
            Self::Bytes(value) => ValueRef::Bytes(value),
            Self::Uuid(value) => ValueRef::Uuid(*value),
            Self::Time(value) => ValueRef::Time(*value),
            Self::Duration(value) => ValueRef::Duration(*value),
            Self::List(values) => ValueRef::List(values),
            Self::Record(fields) => ValueRef::Record(fields),
        }
    }

    /// Returns the truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        self.view().as_bool()
    }

    /// Returns the integer, if it is one that an `i64` holds.
    pub fn as_i64(&self) -> Option<i64> {
        self.view().as_i64()
    }

    /// Returns the integer, if it is one that a `u64` holds.
    pub fn as_u64(&self) -> Option<u64> {
        self.view().as_u64()
    }

    /// Returns the number as the nearest `f64`, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        self.view().as_f64()
    }

    /// Returns the text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.view().as_str()
    }

    /// Returns the bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.view().as_bytes()
    }

    /// Returns the UUID, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.view().as_uuid()
    }

    /// Returns the point in time, if it is one.
    pub fn as_time(&self) -> Option<SystemTime> {
        self.view().as_time()
    }

    /// Returns the span of time, if it is one.
    pub fn as_duration(&self) -> Option<Duration> {
        self.view().as_duration()
    }

    /// Returns the elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// Returns the named values, if it is a struct or a map.
    pub fn as_record(&self) -> Option<&Properties> {
        match self {
            Self::Record(fields) => Some(fields),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

value_from! {
    bool => Bool, i8 => I64, i16 => I64, i32 => I64, i64 => I64, u8 => U64, u16 => U64, u32 => U64,
    u64 => U64, f32 => F64, f64 => F64, &str => Str, String => Str, Vec<u8> => Bytes, Uuid => Uuid,
    SystemTime => Time, Duration => Duration, Vec<Value> => List, Properties => Record,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        value.to_value()
    }
}

/// The serde form: what JSON knows as it is, the rest tagged.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PlainValue {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(String),
    Tagged(TaggedValue),
    List(Vec<Value>),
    Record(Properties),
}

#[derive(Serialize, Deserialize)]
enum TaggedValue {
    #[serde(rename = "$bytes")]
    Bytes(Vec<u8>),
    #[serde(rename = "$uuid")]
    Uuid(Uuid),
    #[serde(rename = "$time")]
    Time(jiff::Timestamp),
    #[serde(rename = "$duration")]
    Duration(jiff::SignedDuration),
    #[serde(rename = "$record")]
    Record(Properties),
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let plain = match self {
            Self::Null => PlainValue::Null,
            Self::Bool(value) => PlainValue::Bool(*value),
            Self::I64(value) => PlainValue::I64(*value),
            Self::U64(value) => PlainValue::U64(*value),
            Self::F64(value) => PlainValue::F64(*value),
            Self::Str(value) => PlainValue::Str(value.clone()),
            Self::Bytes(value) => PlainValue::Tagged(TaggedValue::Bytes(value.clone())),
            Self::Uuid(value) => PlainValue::Tagged(TaggedValue::Uuid(*value)),
            Self::Time(value) => {
                let time = jiff::Timestamp::try_from(*value).map_err(S::Error::custom)?;
                PlainValue::Tagged(TaggedValue::Time(time))
            }
            Self::Duration(value) => {
                let span = jiff::SignedDuration::try_from(*value).map_err(S::Error::custom)?;
                PlainValue::Tagged(TaggedValue::Duration(span))
            }
            Self::List(values) => return values.serialize(serializer),
            Self::Record(fields) if looks_tagged(fields) => {
                PlainValue::Tagged(TaggedValue::Record(fields.clone()))
            }
            Self::Record(fields) => return fields.serialize(serializer),
        };
        plain.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        Ok(match PlainValue::deserialize(deserializer)? {
            PlainValue::Null => Self::Null,
            PlainValue::Bool(value) => Self::Bool(value),
            PlainValue::I64(value) => Self::I64(value),
            PlainValue::U64(value) => Self::U64(value),
            PlainValue::F64(value) => Self::F64(value),
            PlainValue::Str(value) => Self::Str(value),
            PlainValue::Tagged(TaggedValue::Bytes(value)) => Self::Bytes(value),
            PlainValue::Tagged(TaggedValue::Uuid(value)) => Self::Uuid(value),
            PlainValue::Tagged(TaggedValue::Time(value)) => Self::Time(value.into()),
            PlainValue::Tagged(TaggedValue::Duration(value)) => {
                Self::Duration(value.try_into().map_err(D::Error::custom)?)
            }
            PlainValue::Tagged(TaggedValue::Record(fields)) => Self::Record(fields),
            PlainValue::List(values) => Self::List(values),
            PlainValue::Record(fields) => Self::Record(fields),
        })
    }
}

/// Returns whether a reader would take the record for a value with a tag.
fn looks_tagged(fields: &Properties) -> bool {
    let mut names = fields.iter().map(|(name, _)| name);
    names.next().is_some_and(|name| name.starts_with('$')) && names.next().is_none()
}
