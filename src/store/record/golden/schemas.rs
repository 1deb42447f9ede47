//! Golden bytes of schemas.

use uuid::Uuid;

use super::Record;
use crate::value::{EventMethod, InterfaceSchema, Parameter, RecordSchema, ValueType};

pub(super) fn goldens() -> Vec<(Record, &'static str)> {
    vec![(Record::Schema(schema()), SCHEMA)]
}

/// A schema with a type of every kind.
pub(super) fn schema() -> InterfaceSchema {
    let list = |ty| ValueType::List(Box::new(ty));
    let plain = [
        ValueType::Any,
        ValueType::Bool,
        ValueType::I8,
        ValueType::I16,
        ValueType::I32,
        ValueType::I64,
        ValueType::U8,
        ValueType::U16,
        ValueType::U32,
        ValueType::U64,
        ValueType::F32,
        ValueType::F64,
        ValueType::Str,
        ValueType::Bytes,
        ValueType::Uuid,
        ValueType::Time,
        ValueType::Duration,
    ];
    let nested = [
        ValueType::Option(Box::new(ValueType::Str)),
        list(list(ValueType::I64)),
        ValueType::Map(Box::new(ValueType::Bool)),
        ValueType::Record(RecordSchema::new(
            "City",
            [Parameter::new("name", ValueType::Str).alias("n")],
        )),
        ValueType::Enum(vec!["Buy".into(), "Sell".into()]),
    ];
    let parameters = plain.into_iter().chain(nested).enumerate();
    let parameters = parameters.map(|(index, ty)| Parameter::new(format!("p{index}"), ty));
    let methods = [
        EventMethod::new("all", parameters).alias("every"),
        EventMethod::new("none", []),
    ];
    InterfaceSchema::new(Uuid::from_u128(1), "Kinds", methods)
}

const SCHEMA: &str = "\
010000000000000000000000000000000001054b696e64730203616c6c0105657665727916027030
00000270310001027032000202703300030270340004027035000502703600060270370007027038
0008027039000903703130000a03703131000b03703132000c03703133000d03703134000e037031
35000f0370313600100370313700110c037031380012120503703139001301037032300014044369
747901046e616d6501016e0c03703231001502034275790453656c6c046e6f6e650000";
