//! Types and values that an input describes.

use std::time::{Duration, SystemTime};

use loosely::{
    EventMethod, FieldSchema, InterfaceSchema, Parameter, Properties, RecordSchema, Value,
    ValueType,
};
use uuid::Uuid;

use crate::input::Input;

impl Input<'_> {
    /// Returns an interface with up to three methods.
    pub(crate) fn schema(&mut self) -> InterfaceSchema {
        let count = 1 + self.below(3);
        let methods: Vec<_> = (0..count).map(|_| self.method()).collect();
        InterfaceSchema::new("Orders", "Orders", methods)
    }

    fn method(&mut self) -> EventMethod {
        let name = self.pick(&["placed", "cancelled", "moved", "placed "]);
        let count = self.below(5);
        let parameters: Vec<_> = (0..count).map(|_| self.parameter()).collect();
        let method = EventMethod::new(name, parameters);
        match self.below(4) {
            0 => method.alias(self.pick(&["placed", "ordered", ""])),
            _ => method,
        }
    }

    fn parameter(&mut self) -> Parameter {
        let name = self.pick(&["item", "count", "note", "at", "publisher", "", "a.b"]);
        Parameter::new(name, self.value_type(3))
    }

    fn pick(&mut self, names: &[&str]) -> String {
        names[self.below(names.len())].to_owned()
    }

    /// Returns a type that is nested no deeper than this.
    pub(crate) fn value_type(&mut self, depth: usize) -> ValueType {
        const SCALARS: [ValueType; 17] = [
            ValueType::Str,
            ValueType::I64,
            ValueType::Any,
            ValueType::Bool,
            ValueType::I8,
            ValueType::I16,
            ValueType::I32,
            ValueType::U8,
            ValueType::U16,
            ValueType::U32,
            ValueType::U64,
            ValueType::F32,
            ValueType::F64,
            ValueType::Bytes,
            ValueType::Uuid,
            ValueType::Time,
            ValueType::Duration,
        ];
        let kind = self.below(SCALARS.len() + 5);
        if let Some(scalar) = SCALARS.get(kind) {
            return scalar.clone();
        }
        if depth == 0 {
            return ValueType::Str;
        }
        let inner = Box::new(self.value_type(depth - 1));
        match kind - SCALARS.len() {
            0 => ValueType::Option(inner),
            1 => ValueType::List(inner),
            2 => ValueType::Map(inner),
            3 => ValueType::Enum((0..self.below(4)).map(|_| self.text()).collect()),
            _ => {
                let more = FieldSchema::new("level", self.value_type(depth - 1));
                let fields = [FieldSchema::new("city", *inner), more];
                ValueType::Record(RecordSchema::new("Place", fields))
            }
        }
    }

    /// Returns a value, most often one that fits the type.
    pub(crate) fn value(&mut self, ty: &ValueType) -> Value {
        if self.below(16) == 15 {
            return self.any_value(2);
        }
        match ty {
            ValueType::Option(_) if self.below(3) == 0 => Value::Null,
            ValueType::Option(inner) => self.value(inner),
            ValueType::List(inner) => {
                Value::List((0..self.below(4)).map(|_| self.value(inner)).collect())
            }
            ValueType::Map(inner) => {
                let mut entries = Properties::new();
                for _ in 0..self.below(4) {
                    entries.insert(self.text(), self.value(inner));
                }
                Value::Record(entries)
            }
            ValueType::Record(schema) => {
                let mut fields = Properties::new();
                for field in schema.fields() {
                    fields.insert(field.name(), self.value(field.value_type()));
                }
                Value::Record(fields)
            }
            ValueType::Enum(names) if names.is_empty() => Value::Null,
            ValueType::Enum(names) => names[self.below(names.len())].as_str().into(),
            ValueType::Any => self.any_value(2),
            scalar => self.scalar(scalar),
        }
    }

    fn scalar(&mut self, ty: &ValueType) -> Value {
        match ty {
            ValueType::Bool => Value::Bool(self.below(2) == 0),
            ValueType::Str => Value::Str(self.text()),
            ValueType::Bytes => Value::Bytes(self.bytes().to_vec()),
            ValueType::Uuid => Value::Uuid(Uuid::from_u64_pair(self.number(), 0)),
            ValueType::Time => Value::Time(self.time()),
            ValueType::Duration => Value::Duration(self.span()),
            ValueType::F32 | ValueType::F64 => Value::F64(f64::from_bits(self.number())),
            ValueType::I64 => Value::I64(self.number().cast_signed()),
            ValueType::U64 | ValueType::U32 => Value::U64(self.number()),
            _ => Value::I64(i64::from(self.byte()) - 128),
        }
    }

    fn any_value(&mut self, depth: usize) -> Value {
        let ty = self.value_type(depth);
        match ty {
            // Whatever that is, it would come here again.
            ValueType::Any => Value::Null,
            ty => self.value(&ty),
        }
    }

    /// Before and after the epoch, and as far away as there is a time.
    fn time(&mut self) -> SystemTime {
        let (is_before, span) = (self.below(2) == 1, self.span());
        let time = match is_before {
            true => SystemTime::UNIX_EPOCH.checked_sub(span),
            false => SystemTime::UNIX_EPOCH.checked_add(span),
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    pub(crate) fn span(&mut self) -> Duration {
        let nanoseconds = u32::from(self.byte()) * 1_000_000;
        Duration::new(self.number(), nanoseconds)
    }
}
