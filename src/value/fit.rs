//! Whether a value fits a type.

use super::view::{elements, fields};
use super::{ConversionError, EventMethod, RecordSchema, RecordView, ValueRef, ValueType};

impl ValueType {
    /// Checks that `value` fits this type.
    ///
    /// # Errors
    ///
    /// When the value is of another kind, out of range, or lacks a field; the error names the path.
    pub fn check(&self, value: ValueRef<'_>) -> Result<(), ConversionError> {
        match (self, value) {
            (Self::Any, _) | (Self::Option(_), ValueRef::Null) => Ok(()),
            (Self::Option(inner), value) => inner.check(value),
            (Self::List(inner), ValueRef::List(list)) => {
                let mut values = elements(list).enumerate();
                values.try_for_each(|(i, value)| inner.check(value).map_err(|e| e.within(&i)))
            }
            (Self::Map(inner), ValueRef::Record(map)) => {
                fields(map).try_for_each(|(key, v)| inner.check(v).map_err(|e| e.within(&key)))
            }
            (Self::Record(schema), ValueRef::Record(record)) => check_record(schema, record),
            (ty, value) if ty.takes_scalar(value) => Ok(()),
            (ty, value) => Err(ConversionError::new(ty, value)),
        }
    }

    /// Checks that `value` fits this type or is NULL.
    pub(crate) fn check_nullable(&self, value: ValueRef<'_>) -> Result<(), ConversionError> {
        if value.is_null() {
            Ok(())
        } else {
            self.check(value)
        }
    }

    fn takes_scalar(&self, value: ValueRef<'_>) -> bool {
        let within = |low: i128, high: i128| match value {
            ValueRef::I64(number) => (low..=high).contains(&i128::from(number)),
            ValueRef::U64(number) => (low..=high).contains(&i128::from(number)),
            _ => false,
        };
        match self {
            Self::Bool => matches!(value, ValueRef::Bool(_)),
            Self::I8 => within(i8::MIN.into(), i8::MAX.into()),
            Self::I16 => within(i16::MIN.into(), i16::MAX.into()),
            Self::I32 => within(i32::MIN.into(), i32::MAX.into()),
            Self::I64 => within(i64::MIN.into(), i64::MAX.into()),
            Self::U8 => within(0, u8::MAX.into()),
            Self::U16 => within(0, u16::MAX.into()),
            Self::U32 => within(0, u32::MAX.into()),
            Self::U64 => within(0, u64::MAX.into()),
            Self::F32 | Self::F64 => value.as_f64().is_some(),
            Self::Str => matches!(value, ValueRef::Str(_)),
            Self::Bytes => matches!(value, ValueRef::Bytes(_)),
            Self::Uuid => matches!(value, ValueRef::Uuid(_)),
            Self::Time => matches!(value, ValueRef::Time(_)),
            Self::Duration => matches!(value, ValueRef::Duration(_)),
            Self::Enum(names) => value
                .as_str()
                .is_some_and(|v| names.iter().any(|name| name == v)),
            _ => false,
        }
    }
}

impl EventMethod {
    /// Checks that `arguments` fit the parameters, in order; trailing ones that may be NULL can be
    /// left out.
    ///
    /// # Errors
    ///
    /// When an argument does not fit or is missing, or there are too many; the error names the
    /// parameter.
    pub fn check(&self, arguments: &[ValueRef<'_>]) -> Result<(), ConversionError> {
        for (index, parameter) in self.parameters().iter().enumerate() {
            let result = match arguments.get(index) {
                Some(value) => parameter.value_type().check(*value),
                None if parameter.value_type().is_nullable() => Ok(()),
                None => Err(ConversionError::missing(parameter.value_type())),
            };
            result.map_err(|error| error.within(&parameter.name()))?;
        }
        match arguments.get(self.parameters().len()) {
            Some(extra) => Err(ConversionError::unexpected(*extra, self.parameters().len())),
            None => Ok(()),
        }
    }
}

fn check_record(schema: &RecordSchema, record: &dyn RecordView) -> Result<(), ConversionError> {
    schema.fields().iter().try_for_each(|field| {
        let names = std::iter::once(field.name()).chain(field.aliases().iter().map(String::as_str));
        let mut values = names.filter_map(|name| record.field_named(name));
        let result = match values.next() {
            Some(value) => field.value_type().check(value),
            None if field.value_type().is_nullable() => Ok(()),
            None => Err(ConversionError::missing(field.value_type())),
        };
        result.map_err(|error| error.within(&field.name()))
    })
}
