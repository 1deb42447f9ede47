//! Loosely coupled events.
#![forbid(unsafe_code)]

extern crate self as loosely;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod codec;
mod error;
mod filter;
mod notices;
mod publish;
mod store;
mod value;

// The public interface is:
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::filter::FilterError;
pub use crate::notices::{Notice, Notices};
pub use crate::publish::{FireReport, Publisher, Publishes};
pub use crate::store::{
    Batch, Change, ChangeKind, Commit, CommitSink, Durability, Engine, Entry, Listing, LocalStore,
    LoggedChange, LoggedCommit, MemoryEngine, MemoryStore, Prepared, RawChange, RawPair, Revision,
    Store, StoreOptions, Trash,
};
#[cfg(feature = "sled")]
pub use crate::store::{SledEngine, SledStore};
pub use crate::value::{
    ConversionError, Event, EventInterface, EventMethod, EventValue, FieldSchema, ImplementedBy,
    InterfaceId, InterfaceSchema, ListView, Parameter, Properties, RecordSchema, RecordView,
    SchemaHash, Subscriber, SubscriberError, Value, ValueRef, ValueType,
};
