//! The broker: the one way in.

mod access;
mod builder;
mod changes;
mod check;
mod classes;
mod compaction;
mod components;
mod core;
mod dead_letters;
mod handling_builder;
mod health;
mod idle;
mod import;
mod late;
mod mailbox;
mod metrics;
mod once;
mod past_events;
mod pile;
mod privates;
mod publisher_filters;
mod publishers;
mod roles;
mod sessions;
mod spawned;
mod stream;
mod subscription_builder;
mod subscriptions;
mod transaction;
mod transient;
mod tree;
mod wiring;
mod wiring_changes;
mod writing;

use std::fmt;
#[cfg(feature = "sled")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use self::builder::BrokerBuilder;
pub use self::changes::{WiringChange, WiringObject};
pub use self::check::SubscriptionStatus;
pub use self::classes::Cascade;
pub use self::components::{Availability, ComponentStatus};
pub(crate) use self::core::Core;
pub use self::dead_letters::{DeadLetter, FailedAttempt, FinalFailure};
pub use self::health::{
    HEALTH_EVENTS, HealthEvents, HealthEventsAsyncHandlers, HealthEventsEvent,
    HealthEventsHandlers, HealthEventsHealthChanged, HealthEventsLocalHandlers,
    HealthEventsPublisher,
};
pub use self::import::Imported;
pub use self::mailbox::{Mailbox, MailboxSubscription};
pub use self::metrics::SubscriptionHealth;
pub use self::once::{Deduplicated, KeyWindow, Once};
#[doc(hidden)]
pub use self::once::{deduplicated, deduplicated_fallible};
pub use self::past_events::PastEvent;
pub use self::sessions::Session;
pub use self::spawned::{SpawnedFuture, Spawner};
pub use self::stream::EventStream;
pub use self::subscription_builder::SubscriptionBuilder;
pub use self::subscriptions::{Bags, Ensured};
pub use self::transaction::{Committed, Transaction, TransactionTree};
pub use self::transient::{IntoSubscriber, IntoTarget, SubscriptionGuard};
pub use self::tree::{Tree, TreeEvent, TreeRange, TreeWatch};
pub use self::wiring_changes::{
    WIRING_CHANGES, WIRING_CONTENTS, WiringChanges, WiringChangesAsyncHandlers, WiringChangesEvent,
    WiringChangesHandlers, WiringChangesLocalHandlers, WiringChangesPublisher,
    WiringChangesRecordChanged, WiringContents, WiringContentsAsyncHandlers,
    WiringContentsContentChanged, WiringContentsEvent, WiringContentsHandlers,
    WiringContentsLocalHandlers, WiringContentsPublisher, WiringFeed,
};
use self::writing::Wanted;
use crate::error::Result;
use crate::model::{Principal, Revision};
use crate::notices::Notice;

/// The event system in your process: the records, the components, and the publishers made from it.
///
/// There is no server: the broker lives in the program that opened it, over a directory that one
/// process owns, or over memory. A clone is the same broker. Publishers and subscription guards do
/// not keep it open: when the last clone goes, the store is flushed and the directory released.
///
/// # Consistency
///
/// When a call that changes the wiring returned, no fire that begins afterwards in this process
/// uses the old wiring; one that began before finishes with it. Under
/// [`Durability::Immediate`](crate::Durability) the change has also reached the device.
#[derive(Clone)]
#[doc(alias("IEventSystem", "EventSystem.EventSystem"))]
pub struct Broker {
    core: Arc<Core>,
    /// In whose name everything is done; the system's, if in nobody's.
    principal: Option<Principal>,
}

impl Broker {
    /// Opens the broker whose wiring lives in the directory `path`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`Locked`](crate::ErrorKind::Locked) if a broker of this or another process has it open,
    /// [`NewerFormat`](crate::ErrorKind::NewerFormat) if a newer version of this crate wrote it,
    /// [`Io`](crate::ErrorKind::Io) if the directory cannot be made or read. Damaged files are no
    /// error: the wiring is restored from its copy, and [`notices`](Self::notices) says what is
    /// lost.
    #[cfg(feature = "sled")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().path(path).open()
    }

    /// Returns a broker whose wiring lives and dies with the process.
    ///
    /// # Errors
    ///
    /// None that a caller could cause; the signature is that of every other way to open a broker.
    pub fn in_memory() -> Result<Self> {
        Self::builder().open()
    }

    /// Returns a builder with all that can be chosen.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// Returns the revision of the newest commit that this broker knows.
    pub fn revision(&self) -> Revision {
        self.core.wiring.with(|state, _| state.revision)
    }

    /// Takes out what this broker and the store that it opened reported since the last call.
    ///
    /// - The store reports damage and what was restored, values that cannot be read, a failure and
    ///   its end.
    /// - The broker reports records that it cannot read, filters that no index can help,
    ///   subscriptions that are suspended, changes of the wiring that nobody was told of, and
    ///   refusals.
    ///
    /// A store that was given to the builder reports to the [`Notices`](crate::Notices) of its own
    /// options; here are then only the broker's own.
    pub fn notices(&self) -> Vec<Notice> {
        self.core.notices.drain()
    }

    /// Flushes the store, releases the directory and makes every later call that needs the store an
    /// error of kind [`Closed`](crate::ErrorKind::Closed); publishers go on firing from their
    /// caches to the subscribers that are there.
    ///
    /// Before that, what waits in lanes is delivered, by subscribers who may still use the store;
    /// what waits in [queues](crate::Queued) stays there, and so does an event that a subscriber
    /// fails at meanwhile, as one that was not tried. Then subscribers of
    /// [`WiringChanges`](crate::WiringChanges) are told of everything that was committed until now.
    /// Neither is waited for when this is called from inside a delivery. A store that was given to
    /// the builder is detached from and left open.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) if all this takes longer than `deadline`: no more
    /// is told then, and the flush goes on in the background. Else what the flush met; the
    /// directory is released all the same.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.core.close(deadline)
    }

    pub(crate) fn from_core(core: Arc<Core>) -> Self {
        Self {
            core,
            principal: None,
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("store", &self.core.store)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}
