//! Borrowed values: what filters and untyped subscribers read, without a copy.

use std::fmt;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Properties, Value};

/// A value borrowed from an event, a property or a record.
///
/// Records and lists are views with access by index, so that reading `order.customer.city` out of
/// the caller's own struct copies and allocates nothing.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// No value; SQL's NULL.
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
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A UUID.
    Uuid(Uuid),
    /// A point in time.
    Time(SystemTime),
    /// A span of time.
    Duration(Duration),
    /// A list.
    List(&'a dyn ListView),
    /// Named values: a struct or a map.
    Record(&'a dyn RecordView),
}

/// A list seen element by element.
pub trait ListView {
    /// Returns how many elements there are.
    fn element_count(&self) -> usize;

    /// Returns the element at `index`, counted from 0.
    fn element(&self, index: usize) -> Option<ValueRef<'_>>;
}

/// A struct or a map seen field by field.
///
/// Both ways to a value must agree: [`field_named`](Self::field_named) finds under a name what
/// [`field`](Self::field) gives with it, and nothing under any other. Criteria that are evaluated
/// one by one ask a map by name; the index over filters reads a small map once, field by field, and
/// looks each name up among the keys that filters are about. Where the two differ, a filter selects
/// an event or not depending on how many other filters there are. For the same reason a name comes
/// once.
pub trait RecordView {
    /// Returns how many fields there are.
    fn field_count(&self) -> usize;

    /// Returns the name and the value of the field at `index`, counted from 0 in the order of
    /// declaration, or of the keys of a map.
    fn field(&self, index: usize) -> Option<(&str, ValueRef<'_>)>;

    /// Returns the value of the field or key of this name.
    ///
    /// Write one where a name is found faster than by looking at every field, and let it give what
    /// the provided one would.
    fn field_named(&self, name: &str) -> Option<ValueRef<'_>> {
        let mut fields = (0..self.field_count()).map_while(|index| self.field(index));
        fields
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }
}

impl<'a> ValueRef<'a> {
    /// Returns whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the integer, if it is one that an `i64` holds.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I64(value) => Some(value),
            Self::U64(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Returns the integer, if it is one that a `u64` holds.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U64(value) => Some(value),
            Self::I64(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Returns the bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the UUID, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match *self {
            Self::Uuid(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the point in time, if it is one.
    pub fn as_time(&self) -> Option<SystemTime> {
        match *self {
            Self::Time(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the span of time, if it is one.
    pub fn as_duration(&self) -> Option<Duration> {
        match *self {
            Self::Duration(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the list, if it is one.
    pub fn as_list(&self) -> Option<&'a dyn ListView> {
        match *self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns the named values, if it is a struct or a map.
    pub fn as_record(&self) -> Option<&'a dyn RecordView> {
        match *self {
            Self::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Returns the text, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number as the nearest `f64`, if it is a number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest value is what is promised"
    )]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::I64(value) => Some(value as f64),
            Self::U64(value) => Some(value as f64),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// Returns an owned copy.
    pub fn to_value(&self) -> Value {
        match *self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::I64(value) => Value::I64(value),
            Self::U64(value) => Value::U64(value),
            Self::F64(value) => Value::F64(value),
            Self::Str(value) => Value::Str(value.to_owned()),
            Self::Bytes(value) => Value::Bytes(value.to_owned()),
            Self::Uuid(value) => Value::Uuid(value),
            Self::Time(value) => Value::Time(value),
            Self::Duration(value) => Value::Duration(value),
            Self::List(list) => Value::List(elements(list).map(|value| value.to_value()).collect()),
            Self::Record(record) => Value::Record(
                fields(record)
                    .map(|(name, value)| (name.to_owned(), value.to_value()))
                    .collect(),
            ),
        }
    }

    /// Returns the name of the kind of value, as error messages use it.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "a boolean",
            Self::I64(_) | Self::U64(_) => "an integer",
            Self::F64(_) => "a floating-point number",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "a UUID",
            Self::Time(_) => "a time",
            Self::Duration(_) => "a duration",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
        }
    }
}

/// Returns the elements of `list` in order.
pub(crate) fn elements(list: &dyn ListView) -> impl Iterator<Item = ValueRef<'_>> {
    (0..list.element_count()).map_while(move |index| list.element(index))
}

/// Returns the fields of `record` in order.
pub(crate) fn fields(record: &dyn RecordView) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
    (0..record.field_count()).map_while(move |index| record.field(index))
}

impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(true) => f.write_str("TRUE"),
            Self::Bool(false) => f.write_str("FALSE"),
            Self::I64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::F64(value) => write!(f, "{value:?}"),
            Self::Str(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Self::Bytes(value) => {
                f.write_str("x'")?;
                value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
            Self::Uuid(value) => write!(f, "{{{value}}}"),
            Self::Time(value) => match jiff::Timestamp::try_from(value) {
                Ok(time) => time.fmt(f),
                Err(_) => f.write_str("a time out of range"),
            },
            Self::Duration(value) => match jiff::SignedDuration::try_from(value) {
                Ok(span) => span.fmt(f),
                Err(_) => write!(f, "PT{}S", value.as_secs()),
            },
            Self::List(list) => {
                f.write_str("(")?;
                for (index, value) in elements(list).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str(")")
            }
            Self::Record(record) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields(record).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        value.view()
    }
}

impl<'a> From<&'a Properties> for ValueRef<'a> {
    fn from(fields: &'a Properties) -> Self {
        Self::Record(fields)
    }
}

macro_rules! value_ref_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl<'a> From<$from> for ValueRef<'a> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

value_ref_from! {
    bool => Bool, i8 => I64, i16 => I64, i32 => I64, i64 => I64, u8 => U64, u16 => U64, u32 => U64,
    u64 => U64, f32 => F64, f64 => F64, &'a str => Str, &'a [u8] => Bytes, Uuid => Uuid,
    SystemTime => Time, Duration => Duration,
}

impl<'a> From<&'a String> for ValueRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&'a Vec<u8>> for ValueRef<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<Value>> for ValueRef<'a> {
    fn from(values: &'a Vec<Value>) -> Self {
        Self::List(values)
    }
}

/// `None` is NULL.
impl<'a, T: Into<ValueRef<'a>>> From<Option<T>> for ValueRef<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
