//! What a channel is called, and what surrounds it.

use std::any::Any;
use std::sync::{Arc, Weak};

use super::desks::Desks;
use super::entry::SubscriptionEntry;
use super::hook::Hook;
use super::inbox::Inboxes;
use super::keeper::Keeper;
use super::metrics::Meters;
use super::named::Named;
use super::privates::ObjectId;
use super::upcaster::Upcasters;
use crate::clock::Clock;
use crate::component::Registry;
use crate::delivery::{Journal, Timers, WorkerPool};
use crate::model::EventClassId;
use crate::notices::Notices;
use crate::value::InterfaceId;

/// What names a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChannelKey {
    pub(crate) class: EventClassId,
    pub(crate) interface: InterfaceId,
}

impl From<ChannelKey> for (EventClassId, InterfaceId) {
    fn from(key: ChannelKey) -> Self {
        (key.class, key.interface)
    }
}

/// What a fire may need besides the subscriptions. Nothing in it is the broker itself: firing goes
/// on when the broker is closed.
pub(crate) struct Surroundings {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hook: Hook,
    pub(crate) notices: Notices,
    /// How many events one method may retain.
    pub(crate) retained_keys: usize,
    pub(crate) named: Named,
    /// Threads beside the publishers', as long as the broker is open.
    pub(crate) pool: Arc<WorkerPool>,
    /// How many of them a fire that calls several at a time may have.
    pub(crate) helpers: usize,
    /// Threads that call subscribers with a deadline while their publishers wait.
    pub(crate) escorts: WorkerPool,
    pub(crate) desks: Desks,
    /// What waits for those who have a queue.
    pub(crate) journal: Arc<Journal>,
    /// What makes events of older versions of interfaces fit.
    pub(crate) upcasters: Upcasters,
    /// Keeps what triggers know.
    pub(crate) keeper: Arc<Keeper>,
    /// Where events wait for subscribers that come for them.
    pub(crate) inboxes: Inboxes,
    /// What is to be done later, as long as the broker is open.
    pub(crate) timers: Arc<Timers>,
    /// A weak broker, for factories.
    pub(crate) host: Arc<dyn Any + Send + Sync>,
    pub(crate) upkeep: Weak<dyn Upkeep>,
    /// What is measured, if anything is.
    pub(crate) meters: Option<Arc<Meters>>,
}

/// What a fire asks of the broker afterwards, if there still is one.
pub(crate) trait Upkeep: Any + Send + Sync {
    /// Removes transient subscriptions whose object is gone, unless they have another by now.
    fn prune(&self, gone: &[Arc<SubscriptionEntry>]);

    /// Removes the private subscriptions of a publisher object, which is gone.
    fn release(&self, object: ObjectId);
}
