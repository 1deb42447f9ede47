//! Loosely coupled events: fire them by calling a trait; who gets them, and when, is data you can
//! query, edit and switch off while the program runs.
//!
//! A publisher calls a method of an ordinary trait, and whoever holds a matching *subscription* is
//! called. The publisher knows no subscriber, the subscriber no publisher, and neither holds the
//! wiring: a subscription is a record in a store, made by anyone, while both programs stay as they
//! are. There is no server. The model is that of the COM+ Event System ([`docs::com_plus`]).
//!
//! ```
//! use loosely::{Broker, Component, Subscription, event_interface};
//!
//! #[event_interface]
//! pub trait StockEvents {
//!     fn price_changed(&self, symbol: &str, price: f64);
//! }
//!
//! #[derive(Default)]
//! struct Alarm;
//!
//! impl StockEvents for Alarm {
//!     fn price_changed(&self, symbol: &str, price: f64) {
//!         println!("{symbol} is at {price}");
//!     }
//! }
//!
//! # fn main() -> loosely::Result<()> {
//! let broker = Broker::in_memory()?; // or Broker::open("wiring"), a directory
//! broker.register_component(
//!     Component::new("alarm", Alarm::default).implements::<dyn StockEvents>(),
//! )?;
//! broker.ensure(
//!     &Subscription::builder("msft above 185")
//!         .to::<dyn StockEvents>()
//!         .component("alarm")
//!         .filter("symbol = 'MSFT' AND price > 185")
//!         .build()?,
//! )?;
//!
//! let stocks = broker.publisher::<dyn StockEvents>()?;
//! assert_eq!(stocks.price_changed("MSFT", 184.0).delivered(), 0);
//! assert_eq!(stocks.price_changed("MSFT", 185.5).delivered(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//!
//! - An *event interface* is a trait under [`#[event_interface]`](event_interface); each of its
//!   methods is an event. Its schema is in the store, so that tools without the Rust type can work
//!   with it.
//! - An [`EventClass`] is what publishers fire and subscriptions bind to: an interface under a
//!   name, with publisher properties. One is made of the interface unless you register your own.
//! - A [`Publisher`] is the object that a program calls. The macro makes one for each interface,
//!   `StockEventsPublisher`, with the trait's methods; each returns a [`FireReport`].
//!   [`DynamicPublisher`] fires by name.
//! - A [`Subscription`] says which events (by class, by interface from any class, some methods or
//!   all), who receives them, and under which conditions. It is stored by [`Broker::ensure`] or
//!   [`Broker::store`], many in one commit by [`Broker::import`], or lives as long as the
//!   [`SubscriptionGuard`] of [`Broker::subscribe`]. One that a single publisher object is to know
//!   and nobody else is its private one, from [`Publisher::subscribe`].
//! - A [`Tree`] is bytes of the program's own, by key, beside the wiring; a [`Transaction`] changes
//!   subscriptions and trees in one commit.
//! - A [`Component`] is a subscriber that the broker makes when an event needs it, known by its id.
//!   A subscriber can also be a live object, or closures: the macro makes `StockEventsHandlers`.
//! - A subscriber may come for its events, too: an [`EventStream`] is read one by one, blocking or
//!   awaited; a [`Mailbox`] calls closures that are not `Send` on the thread that dispatches, such
//!   as that of a window; and [`Broker::subscribe_async`] gives futures to a [`Spawner`].
//! - A [`Filter`] selects events by their parameters, by properties of the publisher,
//!   `publisher.NAME`, and of the subscription, `subscription.NAME`.
//! - A [`PublisherFilter`] is the publisher's say before that: it selects and orders subscriptions,
//!   and learns what became of each. Without one, a default query may select;
//!   a [`BagEquality`] compares values of the subscriptions' bags with each event, in the index.
//! - The [`Interest`] of a publisher is what subscriptions ask of it now: a publisher whose events
//!   are costly makes those that somebody wants.
//! - The broker itself fires [`WiringChanges`], of every record that a commit changed,
//!   [`WiringContents`], with the record before and after, and [`HealthEvents`], of what is not
//!   well: classes that are there without being registered.
//! - A class may have events [`Retained`]: the last one, or the last for each key, which a
//!   subscription that comes later gets before any other.
//! - A subscription may be [`Detached`]: its events wait in a bounded lane for the broker's
//!   threads, and [`Overflow`] says what becomes of one too many. With a
//!   [deadline](SubscriptionBuilder::deadline) a fire goes on without a subscriber that hangs, and
//!   a [`Breaker`] leaves one alone that keeps failing.
//! - A [`Queued`] subscription has its events stored until they were delivered, at least once. A
//!   [`KeyWindow`] lets its subscriber do nothing twice, and an [`Upcaster`] makes events of an
//!   older version of the interface fit the present one.
//! - A class with a [`History`] keeps past events, and a queue [begins](Start) with one.
//! - A [`Trigger`] says which of the events that pass the filter are worth a call: the first of
//!   many, so many in an interval, none for too long.
//! - A [`Schedule`] says when a subscription is delivered: from when on, until when, and in which
//!   quiet hours not.
//! - A name stands for an id wherever one is taken: `"alarm"` is the id made of this name, the same
//!   in every process.
//! - A [`Session`] is a principal that is logged on at a broker: per-user subscriptions of which it
//!   is the owner are delivered there, for so long ([`Broker::log_on`]).
//! - A [`Role`] is had by principals. A broker with an [`Authorizer`] asks it about all that is
//!   done through a view of a principal, [`Broker::as_principal`]; the rights to a class are those
//!   of [`Right`].
//!
//! # Values
//!
//! Events carry what implements [`EventValue`]: `bool`, the integers up to 64 bits, `f32` and
//! `f64`, `String`, `Uuid`, `SystemTime`, `Duration`, `Option`, `Vec` and other slices, maps with
//! `String` keys, [`Properties`], [`Value`], `Arc` and `Box` of these, and structs and enums that
//! derive it. Parameters are best taken by reference, `&str` or `&[T]`; by value, they are cloned
//! for each subscriber.
//!
//! # Failures
//!
//! A subscriber that errs, panics or cannot be made is a line of the report and stops nobody else;
//! a report may be ignored, since the broker's failure hook hears of each failure
//! ([`BrokerBuilder::on_failure`]). [`Publisher::explain`] says of an event what would become of
//! it, subscription by subscription. What a call of the broker itself can meet is an [`Error`] with
//! a [kind](ErrorKind).
//!
//! # Guarantees and limits
//!
//! [`docs::guarantees`] has what survives what, and the test that shows it. In short: an
//! acknowledged change survives `kill -9`, no fire that begins after a change returned uses the old
//! wiring, and no lock is held while anything of the user's runs.
//!
//! Delivery is inline unless something else is said: a fire returns when its subscribers did, which
//! run on the publisher's thread one after another, or at the same time if the class says so
//! ([`Firing::Parallel`]), unbounded in time. Many filters are found by an index, few are asked in
//! turn. One process owns a store directory. With `panic = "abort"`, a subscriber that panics ends
//! the process.
//!
//! Not in this version: monikers, events between processes or machines. A subscription may name a
//! moniker, and then every event for it is a [failure](Failure::Activation) in the report.
//!
//! # Features
//!
//! - `sled`, by default: the store in a directory. Without it there are the store in memory and
//!   stores of your own ([`Store`], [`Engine`]).
//! - `bincode`, by default: the compact encoding of records. Without it they are JSON.
//! - `futures`: an [`EventStream`] is a `futures_core::Stream`.
//! - `testing`: the module `testing`, for tests of your own publishers and subscribers.
//! - `tracing`: spans of fires and deliveries, for the tracing subscriber of the program:
//!   [`docs::seeing`].
//!
//! The minimum Rust version is 1.88. Developed on x86-64 Linux; nothing but the permissions of
//! files is specific to a platform, and no other has been tested.
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
pub mod docs;
mod error;
mod filter;
mod index;
mod model;
mod notices;
mod publish;
mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod value;

// The public interface is:
pub use crate::broker::{
    Availability, Bags, Broker, BrokerBuilder, Cascade, Committed, ComponentStatus, DeadLetter,
    Deduplicated, Ensured, EventStream, FailedAttempt, FinalFailure, HEALTH_EVENTS, HealthEvents,
    HealthEventsAsyncHandlers, HealthEventsEvent, HealthEventsHandlers, HealthEventsHealthChanged,
    HealthEventsLocalHandlers, HealthEventsPublisher, Imported, IntoSubscriber, IntoTarget,
    KeyWindow, Mailbox, MailboxSubscription, Once, PastEvent, Session, SpawnedFuture, Spawner,
    SubscriptionBuilder, SubscriptionGuard, SubscriptionHealth, SubscriptionStatus, Transaction,
    TransactionTree, Tree, TreeEvent, TreeRange, TreeWatch, WIRING_CHANGES, WIRING_CONTENTS,
    WiringChange, WiringChanges, WiringChangesAsyncHandlers, WiringChangesEvent,
    WiringChangesHandlers, WiringChangesLocalHandlers, WiringChangesPublisher,
    WiringChangesRecordChanged, WiringContents, WiringContentsAsyncHandlers,
    WiringContentsContentChanged, WiringContentsEvent, WiringContentsHandlers,
    WiringContentsLocalHandlers, WiringContentsPublisher, WiringFeed, WiringObject,
};
pub use crate::component::{
    AccessRequest, Activation, ActivationError, Authorizer, Component, ComponentPolicy, Pool,
    RoleAuthorizer,
};
pub use crate::delivery::{
    BreakerState, DeadLetterCause, Delivery, DeliveryOutcome, EventContext, EventId, Failure,
    Hopeless, NESTING_LIMIT, SkipReason, Triggered,
};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::filter::{
    Collation, CompareOp, Decision, Expr, Field, Filter, FilterError, FilterErrorKind, Literal,
    Name, Operand, field,
};
pub use crate::index::{FilterCost, IndexHelp};
pub use crate::model::{
    Binding, Breaker, ClassName, ComponentId, DeliveryMode, Detached, EventClass, EventClassId,
    Firing, History, InvalidName, MethodName, MethodSettings, Moniker, Nesting, OffHours, Overflow,
    ParameterName, PredicateName, Principal, Problem, Problems, PropertyDeclaration, PropertyName,
    PublisherFilterName, PublisherId, Queued, Retained, Retry, Revision, Right, Role, RoleName,
    Schedule, Start, Subscription, SubscriptionId, SubscriptionName, Target, Trigger, TriggerKind,
};
pub use crate::notices::{Notice, Notices};
pub use crate::publish::{
    Activity, AskedValue, AskedValues, BagEquality, Candidate, DynamicEvent, DynamicPublisher,
    DynamicWith, Explained, Explanation, FilteredEvent, FireError, FireOutcome, FirePolicy,
    FireReport, Interest, InterestChanges, Latencies, MethodInterest, MethodMetrics, Metrics,
    MetricsOptions, OlderEvent, ParameterInterest, Publisher, PublisherFilter,
    PublisherFilterSource, Publishes, Selection, Stage, StickyByKey, Streamed, StreamedEvent,
    SubscriptionMetrics, SubscriptionsView, Upcaster, With,
};
pub use crate::store::{
    Batch, Change, ChangeKind, Commit, CommitSink, Compacted, Compaction, Durability, Engine,
    Entry, Listing, LocalStore, LoggedChange, LoggedCommit, MemoryEngine, MemoryStore, Prepared,
    Profile, RawChange, RawPair, Store, StoreOptions, Trash,
};
#[cfg(feature = "sled")]
pub use crate::store::{SledEngine, SledStore};
pub use crate::value::{
    AsyncSubscriber, ConversionError, Event, EventInterface, EventMethod, EventValue, FieldSchema,
    HandlerFuture, ImplementedBy, InterfaceEvent, InterfaceId, InterfaceSchema, IntoOutcome,
    ListView, LocalSubscriber, Parameter, Properties, RecordSchema, RecordView, SchemaHash,
    Subscriber, SubscriberError, Value, ValueRef, ValueType,
};
pub use loosely_macros::{EventValue, event_interface};

/// The programs of the README, compiled.
#[cfg(all(doctest, feature = "sled"))]
#[doc = include_str!("../README.md")]
struct Readme;
