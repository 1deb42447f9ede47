//! Loosely coupled events.
#![forbid(unsafe_code)]

extern crate self as loosely;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod error;
mod filter;
mod publish;
mod value;

// The public interface is:
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::filter::{
    Collation, CompareOp, Decision, Expr, Field, Filter, FilterError, FilterErrorKind, Literal,
    Name, Operand, field,
};
pub use crate::publish::{FireReport, Publisher, Publishes};
pub use crate::value::{
    ConversionError, Event, EventInterface, EventMethod, EventValue, FieldSchema, ImplementedBy,
    InterfaceId, InterfaceSchema, ListView, Parameter, Properties, RecordSchema, RecordView,
    SchemaHash, Subscriber, SubscriberError, Value, ValueRef, ValueType,
};
