//! The stored form of interface schemas.

use serde::{Deserialize, Serialize};

use crate::value::{EventMethod, InterfaceSchema, Parameter, RecordSchema, ValueType};

/// Every version that was ever written.
#[derive(Serialize, Deserialize)]
pub(super) enum Stored {
    V1(SchemaV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct SchemaV1 {
    id: [u8; 16],
    name: String,
    methods: Vec<MethodV1>,
}

#[derive(Serialize, Deserialize)]
struct MethodV1 {
    name: String,
    aliases: Vec<String>,
    parameters: Vec<ParameterV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ParameterV1 {
    name: String,
    aliases: Vec<String>,
    ty: TypeV1,
}

#[derive(Serialize, Deserialize)]
pub(super) enum TypeV1 {
    Any,
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Str,
    Bytes,
    Uuid,
    Time,
    Duration,
    Option(Box<TypeV1>),
    List(Box<TypeV1>),
    Map(Box<TypeV1>),
    Record(String, Vec<ParameterV1>),
    Enum(Vec<String>),
}

impl From<&InterfaceSchema> for Stored {
    fn from(schema: &InterfaceSchema) -> Self {
        let methods = schema.methods().iter().map(|method| MethodV1 {
            name: method.name().to_owned(),
            aliases: method.aliases().to_vec(),
            parameters: method.parameters().iter().map(Into::into).collect(),
        });
        Self::V1(SchemaV1 {
            id: schema.id().uuid().into_bytes(),
            name: schema.name().to_owned(),
            methods: methods.collect(),
        })
    }
}

impl From<Stored> for InterfaceSchema {
    fn from(stored: Stored) -> Self {
        let Stored::V1(schema) = stored;
        let methods = schema.methods.into_iter().map(|method| {
            let parameters = method.parameters.into_iter().map(Parameter::from);
            let made = EventMethod::new(method.name, parameters);
            method.aliases.into_iter().fold(made, EventMethod::alias)
        });
        Self::new(uuid::Uuid::from_bytes(schema.id), schema.name, methods)
    }
}

impl From<&Parameter> for ParameterV1 {
    fn from(parameter: &Parameter) -> Self {
        Self {
            name: parameter.name().to_owned(),
            aliases: parameter.aliases().to_vec(),
            ty: parameter.value_type().into(),
        }
    }
}

impl From<ParameterV1> for Parameter {
    fn from(stored: ParameterV1) -> Self {
        let parameter = Self::new(stored.name, stored.ty.into());
        stored.aliases.into_iter().fold(parameter, Self::alias)
    }
}

/// Converts between the two enums whose plain variants have the same names.
macro_rules! plain_types {
    ($($plain:ident),* $(,)?) => {
        impl From<&ValueType> for TypeV1 {
            fn from(ty: &ValueType) -> Self {
                let boxed = |inner: &ValueType| Box::new(Self::from(inner));
                match ty {
                    $(ValueType::$plain => Self::$plain,)*
                    ValueType::Option(inner) => Self::Option(boxed(inner)),
                    ValueType::List(inner) => Self::List(boxed(inner)),
                    ValueType::Map(inner) => Self::Map(boxed(inner)),
                    ValueType::Record(record) => {
                        let fields = record.fields().iter().map(Into::into).collect();
                        Self::Record(record.name().to_owned(), fields)
                    }
                    ValueType::Enum(names) => Self::Enum(names.clone()),
                }
            }
        }

        impl From<TypeV1> for ValueType {
            fn from(ty: TypeV1) -> Self {
                let boxed = |inner: Box<TypeV1>| Box::new(Self::from(*inner));
                match ty {
                    $(TypeV1::$plain => Self::$plain,)*
                    TypeV1::Option(inner) => Self::Option(boxed(inner)),
                    TypeV1::List(inner) => Self::List(boxed(inner)),
                    TypeV1::Map(inner) => Self::Map(boxed(inner)),
                    TypeV1::Record(name, fields) => {
                        let fields = fields.into_iter().map(Parameter::from);
                        Self::Record(RecordSchema::new(name, fields))
                    }
                    TypeV1::Enum(names) => Self::Enum(names),
                }
            }
        }
    };
}

plain_types! {
    Any, Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, Str, Bytes, Uuid, Time, Duration,
}
