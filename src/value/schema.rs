//! The runtime description of an event interface.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::id::uuid_id;
use super::{Value, ValueRef};

uuid_id! {
    /// The identity of an event interface: of the trait's name, or what `id = "..."` says; never of
    /// its signature, which is the [`SchemaHash`]'s part.
    InterfaceId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0001
}

/// A fingerprint of an interface's methods, parameters and types; names, aliases and order count,
/// documentation does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaHash(Uuid);

/// What an event interface looks like at run time: its methods with named, typed parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSchema {
    id: InterfaceId,
    name: String,
    methods: Vec<EventMethod>,
}

/// One event method: one kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMethod {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    parameters: Vec<Parameter>,
}

/// A named, typed value: a parameter of an event method or a field of a record.
///
/// Two are equal that have the same names and type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parameter {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(rename = "type")]
    ty: ValueType,
    /// What the program says, and no part of the signature.
    #[serde(skip)]
    default: Option<Value>,
}

/// A field of a record is described as a parameter is.
pub type FieldSchema = Parameter;

/// The fields of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSchema {
    name: String,
    fields: Vec<FieldSchema>,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValueType {
    /// Anything; operators are checked when a value is there.
    Any,
    /// A truth value.
    Bool,
    /// A signed integer of 8 bits.
    I8,
    /// A signed integer of 16 bits.
    I16,
    /// A signed integer of 32 bits.
    I32,
    /// A signed integer of 64 bits.
    I64,
    /// An unsigned integer of 8 bits.
    U8,
    /// An unsigned integer of 16 bits.
    U16,
    /// An unsigned integer of 32 bits.
    U32,
    /// An unsigned integer of 64 bits.
    U64,
    /// A floating-point number of 32 bits.
    F32,
    /// A floating-point number of 64 bits.
    F64,
    /// Text.
    Str,
    /// Bytes.
    Bytes,
    /// A UUID.
    Uuid,
    /// A point in time.
    Time,
    /// A span of time.
    Duration,
    /// A value that may be NULL.
    Option(Box<ValueType>),
    /// A list of elements of one type.
    List(Box<ValueType>),
    /// Values of one type under string keys.
    Map(Box<ValueType>),
    /// A struct.
    Record(RecordSchema),
    /// One of these names, read as text.
    Enum(Vec<String>),
}

impl InterfaceSchema {
    /// Returns the schema of an interface with these methods.
    pub fn new(
        id: impl Into<InterfaceId>,
        name: impl Into<String>,
        methods: impl IntoIterator<Item = EventMethod>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            methods: methods.into_iter().collect(),
        }
    }

    /// Returns the interface's id.
    pub fn id(&self) -> InterfaceId {
        self.id
    }

    /// Returns the interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the methods in the order of declaration.
    pub fn methods(&self) -> &[EventMethod] {
        &self.methods
    }

    /// Returns the index and the method of this name or alias; an exact name wins.
    pub fn method(&self, name: &str) -> Option<(usize, &EventMethod)> {
        let methods = || self.methods.iter().enumerate();
        methods()
            .find(|(_, method)| method.name == name)
            .or_else(|| methods().find(|(_, method)| method.aliases.iter().any(|a| a == name)))
    }

    /// Returns whether any parameter has a default.
    pub(crate) fn has_defaults(&self) -> bool {
        let parameters = self.methods.iter().flat_map(EventMethod::parameters);
        parameters.into_iter().any(|it| it.default.is_some())
    }

    /// Returns the fingerprint of the signature.
    pub fn hash(&self) -> SchemaHash {
        const NAMESPACE: Uuid = Uuid::from_u128(0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0002);
        SchemaHash(Uuid::new_v5(&NAMESPACE, self.to_string().as_bytes()))
    }
}

/// The canonical text of the signature, from which the hash is taken.
impl fmt::Display for InterfaceSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interface {} {{", self.id)?;
        self.methods
            .iter()
            .try_for_each(|method| write!(f, " {method};"))?;
        f.write_str(" }")
    }
}

impl EventMethod {
    /// Returns a method with these parameters.
    pub fn new(name: impl Into<String>, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        let parameters = parameters.into_iter().collect();
        Self {
            name: name.into(),
            aliases: Vec::new(),
            parameters,
        }
    }

    /// Adds a former name, under which subscriptions and queued events still find the method.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Returns the method's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the former names.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Returns the parameters in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Returns the index and the parameter of this name or alias; an exact name wins.
    pub fn parameter(&self, name: &str) -> Option<(usize, &Parameter)> {
        find_parameter(&self.parameters, name)
    }
}

impl fmt::Display for EventMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.aliases
            .iter()
            .try_for_each(|alias| write!(f, "|{alias}"))?;
        f.write_str("(")?;
        write_parameters(f, &self.parameters)?;
        f.write_str(")")
    }
}

impl Parameter {
    /// Returns a parameter or field of this type.
    pub fn new(name: impl Into<String>, ty: ValueType) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            ty,
            default: None,
        }
    }

    /// Adds a former name, under which filters and queued events still find it.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the former names.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Gives it a value for stored events of versions that do not have it; without one, that is
    /// NULL. It is the program's: it counts for no fingerprint, and is not stored.
    #[must_use]
    pub fn with_default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Returns the type.
    pub fn value_type(&self) -> &ValueType {
        &self.ty
    }

    /// Returns the value that it has in events of versions that do not have it.
    pub fn default_value(&self) -> ValueRef<'_> {
        self.default.as_ref().map_or(ValueRef::Null, Value::view)
    }
}

impl PartialEq for Parameter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.aliases == other.aliases && self.ty == other.ty
    }
}

impl Eq for Parameter {}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.aliases
            .iter()
            .try_for_each(|alias| write!(f, "|{alias}"))?;
        write!(f, ": {}", self.ty)
    }
}

impl RecordSchema {
    /// Returns the schema of a struct with these fields.
    pub fn new(name: impl Into<String>, fields: impl IntoIterator<Item = FieldSchema>) -> Self {
        Self {
            name: name.into(),
            fields: fields.into_iter().collect(),
        }
    }

    /// Returns the struct's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fields in the order of declaration.
    pub fn fields(&self) -> &[FieldSchema] {
        &self.fields
    }

    /// Returns the index and the field of this name or alias; an exact name wins.
    pub fn field(&self, name: &str) -> Option<(usize, &FieldSchema)> {
        find_parameter(&self.fields, name)
    }
}

impl ValueType {
    /// Returns the type inside an `Option`, or the type itself.
    pub fn not_null(&self) -> &Self {
        match self {
            Self::Option(inner) => inner.not_null(),
            other => other,
        }
    }

    /// Returns whether a value of this type may be NULL.
    pub fn is_nullable(&self) -> bool {
        matches!(self, Self::Option(_) | Self::Any)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::I8 => f.write_str("i8"),
            Self::I16 => f.write_str("i16"),
            Self::I32 => f.write_str("i32"),
            Self::I64 => f.write_str("i64"),
            Self::U8 => f.write_str("u8"),
            Self::U16 => f.write_str("u16"),
            Self::U32 => f.write_str("u32"),
            Self::U64 => f.write_str("u64"),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Str => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Uuid => f.write_str("uuid"),
            Self::Time => f.write_str("time"),
            Self::Duration => f.write_str("duration"),
            Self::Option(inner) => write!(f, "{inner}?"),
            Self::List(inner) => write!(f, "[{inner}]"),
            Self::Map(inner) => write!(f, "{{string: {inner}}}"),
            Self::Record(record) => {
                write!(f, "{} {{ ", record.name)?;
                write_parameters(f, &record.fields)?;
                f.write_str(" }")
            }
            Self::Enum(names) => write!(f, "({})", names.join(" | ")),
        }
    }
}

impl fmt::Display for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaHash({self})")
    }
}

impl SchemaHash {
    /// Returns the fingerprint as bytes, as the store keys schemas.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Returns the fingerprint of these bytes.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl From<&InterfaceSchema> for SchemaHash {
    fn from(schema: &InterfaceSchema) -> Self {
        schema.hash()
    }
}

fn find_parameter<'a>(all: &'a [Parameter], name: &str) -> Option<(usize, &'a Parameter)> {
    let parameters = || all.iter().enumerate();
    parameters()
        .find(|(_, parameter)| parameter.name == name)
        .or_else(|| parameters().find(|(_, parameter)| parameter.aliases.iter().any(|a| a == name)))
}

fn write_parameters(f: &mut fmt::Formatter<'_>, parameters: &[Parameter]) -> fmt::Result {
    parameters
        .iter()
        .enumerate()
        .try_for_each(|(index, parameter)| {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{parameter}")
        })
}
