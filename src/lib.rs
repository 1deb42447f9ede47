//! Loosely coupled events.
#![forbid(unsafe_code)]

extern crate self as loosely;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod broker;
mod cache;
mod clock;
mod codec;
mod component;
mod delivery;
mod error;
mod filter;
mod model;
mod notices;
mod publish;
mod store;
mod value;

// The public interface is:
pub use crate::broker::{
    Availability, Bags, Broker, BrokerBuilder, Cascade, ComponentStatus, Ensured, IntoTarget,
    SubscriptionBuilder, SubscriptionGuard, SubscriptionStatus, WiringChange, WiringObject,
};
pub use crate::component::{Activation, ActivationError, Component, ComponentPolicy};
pub use crate::delivery::{
    Delivery, DeliveryOutcome, EventContext, EventId, Failure, NESTING_LIMIT, SkipReason,
};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::filter::{
    Collation, CompareOp, Decision, Expr, Field, Filter, FilterError, FilterErrorKind, Literal,
    Name, Operand, field,
};
pub use crate::model::{
    Binding, ClassName, ComponentId, EventClass, EventClassId, InvalidName, MethodName, Moniker,
    Nesting, Principal, Problem, Problems, PropertyDeclaration, PropertyName, PublisherId,
    Revision, Subscription, SubscriptionId, SubscriptionName, Target,
};
pub use crate::notices::{Notice, Notices};
pub use crate::publish::{
    DynamicPublisher, Explained, Explanation, FailureHook, FireError, FireOutcome, FirePolicy,
    FireReport, Publisher, Publishes, Stage,
};
pub use crate::store::{
    Batch, Change, ChangeKind, Commit, CommitSink, Durability, Engine, Entry, Listing, LocalStore,
    LoggedChange, LoggedCommit, MemoryEngine, MemoryStore, Prepared, RawChange, RawPair, Store,
    StoreOptions, Trash,
};
#[cfg(feature = "sled")]
pub use crate::store::{SledEngine, SledStore};
pub use crate::value::{
    ConversionError, Event, EventInterface, EventMethod, EventValue, FieldSchema, ImplementedBy,
    InterfaceId, InterfaceSchema, ListView, Parameter, Properties, RecordSchema, RecordView,
    SchemaHash, Subscriber, SubscriberError, Value, ValueRef, ValueType,
};
pub use loosely_macros::{EventValue, event_interface};
