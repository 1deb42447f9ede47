//! Loosely coupled events.
#![forbid(unsafe_code)]

extern crate self as loosely;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod error;
mod filter;
mod model;
mod publish;
mod value;

// The public interface is:
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::filter::FilterError;
pub use crate::model::{
    Binding, ClassName, ComponentId, EventClass, EventClassId, InvalidName, MethodName, Moniker,
    Principal, Problem, Problems, PropertyDeclaration, PropertyName, PublisherId, Revision,
    Subscription, SubscriptionId, SubscriptionName, Target,
};
pub use crate::publish::{FireReport, Publisher, Publishes};
pub use crate::value::{
    ConversionError, Event, EventInterface, EventMethod, EventValue, FieldSchema, ImplementedBy,
    InterfaceId, InterfaceSchema, ListView, Parameter, Properties, RecordSchema, RecordView,
    SchemaHash, Subscriber, SubscriberError, Value, ValueRef, ValueType,
};
pub use loosely_macros::{EventValue, event_interface};
