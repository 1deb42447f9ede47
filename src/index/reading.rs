//! Values copied out of an event.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::filter::Row;
use crate::value::view::elements;
use crate::value::{ListView, Properties, ValueRef};

/// A value copied out of an event: what is matched under a lock must not call the event's own
/// views.
///
/// Texts, bytes and lists keep their memory for the next event.
#[derive(Debug, Default)]
pub(super) struct Reading {
    kind: Kind,
    text: String,
    bytes: Vec<u8>,
    elements: Vec<Reading>,
}

/// What a reading holds now.
#[derive(Debug, Clone, Copy, Default)]
enum Kind {
    #[default]
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    /// Not NaN, which is NULL here as in criteria.
    F64(f64),
    Uuid(Uuid),
    Time(SystemTime),
    Duration(Duration),
    /// In `text`.
    Str,
    /// In `bytes`.
    Bytes,
    /// The first so many of `elements`.
    List(usize),
    /// A record, which equals nothing and has no order.
    Record,
}

impl Reading {
    /// Copies the value.
    pub(super) fn set(&mut self, value: ValueRef<'_>) {
        self.kind = match value {
            ValueRef::Bool(value) => Kind::Bool(value),
            ValueRef::I64(value) => Kind::I64(value),
            ValueRef::U64(value) => Kind::U64(value),
            ValueRef::F64(value) if !value.is_nan() => Kind::F64(value),
            ValueRef::Null | ValueRef::F64(_) => Kind::Null,
            ValueRef::Uuid(value) => Kind::Uuid(value),
            ValueRef::Time(value) => Kind::Time(value),
            ValueRef::Duration(value) => Kind::Duration(value),
            ValueRef::Str(text) => {
                self.text.clear();
                self.text.push_str(text);
                Kind::Str
            }
            ValueRef::Bytes(bytes) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(bytes);
                Kind::Bytes
            }
            ValueRef::List(list) => self.set_elements(list),
            ValueRef::Record(_) => Kind::Record,
        };
    }

    fn set_elements(&mut self, list: &dyn ListView) -> Kind {
        let mut count = 0;
        for element in elements(list) {
            if count == self.elements.len() {
                self.elements.push(Self::default());
            }
            // A list inside a list equals nothing, as a record does.
            match element {
                ValueRef::List(_) => self.elements[count].kind = Kind::Record,
                single => self.elements[count].set(single),
            }
            count += 1;
        }
        Kind::List(count)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Returns the elements, if it is a list.
    pub(super) fn as_list(&self) -> Option<&[Self]> {
        match self.kind {
            Kind::List(count) => self.elements.get(..count),
            _ => None,
        }
    }

    /// Returns the value.
    pub(super) fn view(&self) -> ValueRef<'_> {
        static RECORD: Properties = Properties::new();
        match self.kind {
            Kind::Null => ValueRef::Null,
            Kind::Bool(value) => ValueRef::Bool(value),
            Kind::I64(value) => ValueRef::I64(value),
            Kind::U64(value) => ValueRef::U64(value),
            Kind::F64(value) => ValueRef::F64(value),
            Kind::Uuid(value) => ValueRef::Uuid(value),
            Kind::Time(value) => ValueRef::Time(value),
            Kind::Duration(value) => ValueRef::Duration(value),
            Kind::Str => ValueRef::Str(&self.text),
            Kind::Bytes => ValueRef::Bytes(&self.bytes),
            Kind::List(_) => ValueRef::List(self),
            Kind::Record => ValueRef::from(&RECORD),
        }
    }
}

impl ListView for Reading {
    fn element_count(&self) -> usize {
        self.as_list().map_or(0, <[Self]>::len)
    }

    fn element(&self, index: usize) -> Option<ValueRef<'_>> {
        self.as_list()?.get(index).map(Self::view)
    }
}

/// The readings of an event, by column: what conditions are evaluated on whose paths are columns.
impl Row for Vec<Reading> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        self.get(index).map_or(ValueRef::Null, Reading::view)
    }

    fn publisher(&self, _name: &str) -> ValueRef<'_> {
        ValueRef::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn read(value: impl Into<Value>, reading: &mut Reading) -> Value {
        reading.set(value.into().view());
        reading.view().to_value()
    }

    #[test]
    fn every_kind_is_copied_as_it_is() {
        let mut reading = Reading::default();
        for value in [
            Value::Null,
            true.into(),
            (-1).into(),
            u64::MAX.into(),
            0.5.into(),
            "text".into(),
            Value::Bytes(vec![1, 2]),
            Uuid::from_u128(5).into(),
            SystemTime::UNIX_EPOCH.into(),
            Duration::MAX.into(),
            Value::List(vec!["a".into(), Value::Null, 1.into()]),
        ] {
            assert_eq!(read(value.clone(), &mut reading), value);
        }
    }

    #[test]
    fn nan_is_null_and_what_has_no_order_is_a_record() {
        let mut reading = Reading::default();
        assert_eq!(read(f64::NAN, &mut reading), Value::Null);
        let nested = Value::from(vec![Value::List(vec![1.into()])]);
        let record = Value::from(Properties::new());
        assert_eq!(read(nested, &mut reading), Value::List(vec![record]));
    }

    #[test]
    fn shorter_list_hides_what_was_longer() {
        let mut reading = Reading::default();
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| (*text).into()).collect());
        read(list(&["a", "b"]), &mut reading);
        assert_eq!(read(list(&["c"]), &mut reading), list(&["c"]));
    }
}
