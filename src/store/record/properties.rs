//! The stored form of values and property bags.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{Properties, Value};

/// A property bag.
pub(super) type BagV1 = Vec<(String, ValueV1)>;

#[derive(Serialize, Deserialize)]
pub(super) enum ValueV1 {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(#[serde(with = "float")] f64),
    Str(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    Time(TimeV1),
    Duration(u64, u32),
    List(Vec<ValueV1>),
    Record(BagV1),
}

/// A point in time: whole seconds since 1970, rounded down, and the nanoseconds after that second.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(super) struct TimeV1 {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// JSON has no number for what is not finite, so that is text there.
mod float {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() && !value.is_finite() {
            return serializer.collect_str(value);
        }
        serializer.serialize_f64(*value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        if !deserializer.is_human_readable() {
            return f64::deserialize(deserializer);
        }
        match Written::deserialize(deserializer)? {
            Written::Number(value) => Ok(value),
            Written::Text(value) => value.parse().map_err(D::Error::custom),
        }
    }
}

pub(super) fn store_bag(bag: &Properties) -> BagV1 {
    bag.iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect()
}

pub(super) fn load_bag(bag: BagV1) -> Properties {
    bag.into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect()
}

impl From<&Value> for ValueV1 {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::I64(value) => Self::I64(*value),
            Value::U64(value) => Self::U64(*value),
            Value::F64(value) => Self::F64(*value),
            Value::Str(value) => Self::Str(value.clone()),
            Value::Bytes(value) => Self::Bytes(value.clone()),
            Value::Uuid(value) => Self::Uuid(value.into_bytes()),
            Value::Time(value) => Self::Time((*value).into()),
            Value::Duration(value) => Self::Duration(value.as_secs(), value.subsec_nanos()),
            Value::List(values) => Self::List(values.iter().map(Into::into).collect()),
            Value::Record(fields) => Self::Record(store_bag(fields)),
        }
    }
}

impl From<ValueV1> for Value {
    fn from(value: ValueV1) -> Self {
        match value {
            ValueV1::Null => Self::Null,
            ValueV1::Bool(value) => Self::Bool(value),
            ValueV1::I64(value) => Self::I64(value),
            ValueV1::U64(value) => Self::U64(value),
            ValueV1::F64(value) => Self::F64(value),
            ValueV1::Str(value) => Self::Str(value),
            ValueV1::Bytes(value) => Self::Bytes(value),
            ValueV1::Uuid(value) => Self::Uuid(Uuid::from_bytes(value)),
            ValueV1::Time(value) => Self::Time(value.into()),
            ValueV1::Duration(seconds, nanoseconds) => Self::Duration(
                Duration::from_secs(seconds)
                    .saturating_add(Duration::from_nanos(nanoseconds.into())),
            ),
            ValueV1::List(values) => Self::List(values.into_iter().map(Into::into).collect()),
            ValueV1::Record(fields) => Self::Record(load_bag(fields)),
        }
    }
}

impl From<SystemTime> for TimeV1 {
    fn from(time: SystemTime) -> Self {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: seconds(after),
                nanoseconds: after.subsec_nanos(),
            },
            Err(error) => {
                let before = error.duration();
                match before.subsec_nanos() {
                    0 => Self {
                        seconds: -seconds(before),
                        nanoseconds: 0,
                    },
                    part => Self {
                        seconds: -seconds(before) - 1,
                        nanoseconds: 1_000_000_000 - part,
                    },
                }
            }
        }
    }
}

impl From<TimeV1> for SystemTime {
    fn from(time: TimeV1) -> Self {
        let whole = Duration::from_secs(time.seconds.unsigned_abs());
        let second = if time.seconds < 0 {
            Self::UNIX_EPOCH.checked_sub(whole)
        } else {
            Self::UNIX_EPOCH.checked_add(whole)
        };
        let exact =
            second.and_then(|s| s.checked_add(Duration::from_nanos(time.nanoseconds.into())));
        exact.unwrap_or(Self::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    #[test]
    fn time_comes_back_to_the_nanosecond_before_and_after_1970() {
        let epoch = SystemTime::UNIX_EPOCH;
        for offset in [
            Duration::ZERO,
            Duration::new(1, 1),
            Duration::new(900_000_000, 999_999_999),
        ] {
            for time in [epoch + offset, epoch - offset] {
                assert_eq!(SystemTime::from(TimeV1::from(time)), time);
            }
        }
    }

    /// A NaN was written as null, and the record that had it could not be read any more; and
    /// 25555.555855555554 was read as the number below it.
    #[test]
    fn float_is_read_from_json_as_it_was_written() {
        for value in [
            25555.555855555554,
            2.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ] {
            let json = serde_json::to_vec(&ValueV1::from(&Value::F64(value))).unwrap();
            let read = Value::from(serde_json::from_slice::<ValueV1>(&json).unwrap());
            assert_eq!(format!("{read:?}"), format!("{:?}", Value::F64(value)));
        }
        let whole: ValueV1 = serde_json::from_slice(br#"{"F64":2}"#).unwrap();
        assert_eq!(Value::from(whole), Value::F64(2.0));
    }
}
