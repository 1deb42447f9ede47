//! An event with parameters of all types, and values that criteria may ask for.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use loosely::{
    EventMethod, FieldSchema, InterfaceSchema, Parameter, Properties, RecordSchema, Value,
    ValueType,
};

use uuid::Uuid;

use crate::input::Random;

/// The interface of an event that has everything.
pub(crate) static READINGS: LazyLock<InterfaceSchema> = LazyLock::new(|| {
    let method = EventMethod::new("taken", parameters());
    InterfaceSchema::new("Readings", "Readings", [method])
});

pub(crate) fn method() -> &'static EventMethod {
    &READINGS.methods()[0]
}

fn parameters() -> Vec<Parameter> {
    let option = |ty| ValueType::Option(Box::new(ty));
    let city = FieldSchema::new("city", ValueType::Str);
    let level = FieldSchema::new("level", option(ValueType::I32));
    let kinds = ["low", "high"].map(str::to_owned).to_vec();
    let types = [
        ("text", option(ValueType::Str)),
        ("name", ValueType::Str),
        ("n", ValueType::I64),
        ("u", ValueType::U64),
        ("small", option(ValueType::I8)),
        ("x", ValueType::F64),
        ("ratio", option(ValueType::F32)),
        ("ok", option(ValueType::Bool)),
        ("at", option(ValueType::Time)),
        ("span", option(ValueType::Duration)),
        ("id", option(ValueType::Uuid)),
        ("raw", ValueType::Bytes),
        ("tags", ValueType::List(Box::new(ValueType::Str))),
        ("rows", ValueType::List(Box::new(option(ValueType::I32)))),
        ("labels", ValueType::Map(Box::new(ValueType::Str))),
        (
            "place",
            ValueType::Record(RecordSchema::new("Place", [city, level])),
        ),
        ("kind", ValueType::Enum(kinds)),
        ("any", ValueType::Any),
    ];
    let types = types.into_iter();
    types.map(|(name, ty)| Parameter::new(name, ty)).collect()
}

/// Returns the values of an event. Some are parts of the criteria, so that more than the shape of
/// these is tried.
pub(crate) fn event(text: &str, random: &mut Random) -> Vec<Value> {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric() && !"._-+".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut source = Source { words, random };
    let parameters = method().parameters().iter();
    let mut values = Vec::new();
    for parameter in parameters {
        values.push(source.value(parameter.value_type()));
    }
    values
}

struct Source<'a> {
    words: Vec<&'a str>,
    random: &'a mut Random,
}

impl Source<'_> {
    fn value(&mut self, ty: &ValueType) -> Value {
        match ty {
            ValueType::Option(_) if self.random.below(4) == 0 => Value::Null,
            ValueType::Option(inner) => self.value(inner),
            ValueType::List(inner) => {
                let count = self.random.below(4);
                Value::List((0..count).map(|_| self.value(inner)).collect())
            }
            ValueType::Map(inner) => {
                let count = self.random.below(4);
                let entries = (0..count).map(|_| (self.word(), self.value(inner)));
                Value::Record(entries.collect::<Vec<_>>().into_iter().collect())
            }
            ValueType::Record(schema) => {
                let mut fields = Properties::new();
                for field in schema.fields() {
                    fields.insert(field.name(), self.value(field.value_type()));
                }
                Value::Record(fields)
            }
            ValueType::Any => {
                let types = [
                    ValueType::Str,
                    ValueType::F64,
                    ValueType::I64,
                    ValueType::Bool,
                ];
                let ty = &types[self.random.below(types.len())];
                self.value(ty)
            }
            ValueType::Enum(names) => names[self.random.below(names.len())].as_str().into(),
            scalar => self.scalar(scalar),
        }
    }

    fn scalar(&mut self, ty: &ValueType) -> Value {
        match ty {
            ValueType::Bool => (self.random.below(2) == 0).into(),
            ValueType::I8 => Value::I64(self.integer().clamp(-128, 127)),
            ValueType::I32 => Value::I64(self.integer().clamp(i32::MIN.into(), i32::MAX.into())),
            ValueType::I64 => Value::I64(self.integer()),
            ValueType::U64 => Value::U64(self.integer().cast_unsigned()),
            ValueType::F32 => Value::F64(f64::from(self.float() as f32)),
            ValueType::F64 => Value::F64(self.float()),
            ValueType::Bytes => Value::Bytes(self.word().into_bytes()),
            ValueType::Uuid => Value::Uuid(Uuid::from_u128(u128::from(self.random.number()))),
            ValueType::Time => Value::Time(SystemTime::UNIX_EPOCH + self.span()),
            ValueType::Duration => Value::Duration(self.span()),
            _ => Value::Str(self.word()),
        }
    }

    fn word(&mut self) -> String {
        const KEPT: [&str; 5] = ["", "a", "MSFT", "%", "low"];
        match self.words.len() {
            count if count > 0 && self.random.below(2) == 0 => {
                self.words[self.random.below(count)].to_owned()
            }
            _ => KEPT[self.random.below(KEPT.len())].to_owned(),
        }
    }

    fn integer(&mut self) -> i64 {
        const KEPT: [i64; 6] = [0, 1, -1, i64::MIN, i64::MAX, 1 << 53];
        let word = self.word().parse();
        word.unwrap_or_else(|_| KEPT[self.random.below(KEPT.len())])
    }

    fn float(&mut self) -> f64 {
        const KEPT: [f64; 7] = [
            0.0,
            -0.0,
            0.5,
            f64::NAN,
            f64::INFINITY,
            f64::MIN,
            f64::EPSILON,
        ];
        let word = self.word().parse();
        word.unwrap_or_else(|_| KEPT[self.random.below(KEPT.len())])
    }

    fn span(&mut self) -> Duration {
        const KEPT: [u64; 3] = [0, 1_500, 946_684_800_000];
        Duration::from_millis(KEPT[self.random.below(KEPT.len())])
    }
}
