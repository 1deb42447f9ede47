//! By what values are told apart.

use std::sync::Arc;

use super::view::fields;
use super::{ListView, RecordView, ValueRef};

/// Values in the one form that equal values share: numbers by what they are worth, and NaN as
/// NULL, as in filters. Of lists and records each part, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ValueKey(Option<Arc<[u8]>>);

impl ValueKey {
    /// The key of what has no other.
    pub(crate) const ONLY: Self = Self(None);

    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        let mut bytes = Vec::new();
        write_key(value, &mut bytes);
        Self(Some(bytes.into()))
    }

    /// Returns what [`write_key`] has written, nothing of [`ONLY`](Self::ONLY).
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns the key that [`write_key`] has written.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(Some(bytes.into()))
    }
}

/// Adds a value to `out` in the form that equal values share. What it adds ends by itself, so that
/// several in a row are told apart as each is.
pub(crate) fn write_key(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Null => out.push(b'n'),
        ValueRef::Bool(value) => out.extend([b'b', u8::from(value)]),
        ValueRef::I64(value) => whole(i128::from(value), out),
        ValueRef::U64(value) => whole(i128::from(value), out),
        ValueRef::F64(value) => float(value, out),
        ValueRef::Str(value) => sized(b's', value.as_bytes(), out),
        ValueRef::Bytes(value) => sized(b'y', value, out),
        ValueRef::Uuid(value) => sized(b'u', value.as_bytes(), out),
        ValueRef::Time(value) => {
            let (before, since) = match value.duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => (0, since),
                Err(error) => (1, error.duration()),
            };
            out.extend([b't', before]);
            out.extend(since.as_nanos().to_be_bytes());
        }
        ValueRef::Duration(value) => sized(b'd', &value.as_nanos().to_be_bytes(), out),
        ValueRef::List(list) => write_list(list, out),
        ValueRef::Record(record) => write_record(record, out),
    }
}

fn write_list(list: &dyn ListView, out: &mut Vec<u8>) {
    count(b'l', list.element_count(), out);
    let elements = (0..list.element_count()).map(|index| list.element(index));
    elements.for_each(|element| write_key(element.unwrap_or(ValueRef::Null), out));
}

fn write_record(record: &dyn RecordView, out: &mut Vec<u8>) {
    count(b'r', record.field_count(), out);
    for (name, value) in fields(record) {
        sized(b's', name.as_bytes(), out);
        write_key(value, out);
    }
}

fn whole(value: i128, out: &mut Vec<u8>) {
    sized(b'i', &value.to_be_bytes(), out);
}

/// Writes a number that an integer equals as that integer.
fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.push(b'n');
    }
    let near = value as i128;
    // Beyond 64 bits no integer of an event is equal; within, the conversion is exact.
    if value.fract() == 0.0 && value.abs() < BEYOND_INTEGERS {
        return whole(near, out);
    }
    sized(b'f', &value.to_bits().to_be_bytes(), out);
}

/// Twice 2^63: no `i64` nor `u64` reaches it.
const BEYOND_INTEGERS: f64 = 18_446_744_073_709_551_616.0;

fn sized(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    count(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn count(tag: u8, count: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((count as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::value::{Properties, Value};

    fn key(value: impl Into<Value>) -> ValueKey {
        ValueKey::of(value.into().view())
    }

    #[test]
    fn numbers_of_one_worth_are_one_key_whatever_their_type() {
        assert_eq!(key(7_i64), key(7_u64));
        assert_eq!(key(7_i64), key(7.0));
        assert_eq!(key(0.0), key(-0.0));
        assert_eq!(key(f64::NAN), key(Value::Null));
        assert_ne!(key(7.5), key(7_i64));
        assert_ne!(key(u64::MAX), key(-1_i64));
        assert_ne!(key(f64::INFINITY), key(f64::MAX));
    }

    #[test]
    fn values_that_differ_are_different_keys() {
        let second = Duration::from_secs(1);
        let record = |name: &str| Value::Record(Properties::from_iter([(name, 1_i64)]));
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::I64(1),
            Value::F64(1.5),
            Value::Str(String::new()),
            Value::Str("1".into()),
            Value::Bytes(b"1".to_vec()),
            Value::Time(UNIX_EPOCH + second),
            Value::Time(UNIX_EPOCH - second),
            Value::Duration(second),
            Value::List(vec![Value::I64(1)]),
            Value::List(vec![Value::I64(1), Value::Null]),
            record("a"),
            record("b"),
        ];
        for (index, one) in values.iter().enumerate() {
            let same: Vec<_> = values
                .iter()
                .map(|other| key(other.clone()) == key(one.clone()))
                .collect();
            assert_eq!(same.iter().filter(|same| **same).count(), 1, "{one:?}");
            assert!(same[index]);
        }
    }
}
