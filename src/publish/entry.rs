//! Subscriptions as the broker lists them.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::live::LiveObject;
use super::privates::ObjectId;
use super::site::CompiledFilter;
use crate::model::{DeliveryMode, OffHours, Subscription, SubscriptionId};
use crate::store::record::StoredSubscription;

/// A subscription as the broker lists it, stored or transient: one for all who serve it.
#[derive(Clone)]
pub(crate) struct SubscriptionEntry {
    pub(crate) record: Subscription,
    /// The place in store order.
    pub(crate) order: u64,
    /// The digest of what a program ensured last.
    pub(crate) ensured: Option<Uuid>,
    /// The target, if the record says that it is a live object.
    pub(crate) live: Option<Arc<dyn LiveObject>>,
    /// Whether it is a per-user one whose owner has no session at the broker that lists it.
    pub(crate) absent: bool,
    /// Why its schedule has nothing delivered to it, as of the last look at that.
    pub(crate) off_hours: Option<Box<OffHours>>,
}

/// A subscription that came, with its filter as far as it was compiled before any lock was taken.
pub(crate) struct Added {
    pub(crate) entry: Arc<SubscriptionEntry>,
    pub(crate) compiled: Option<CompiledFilter>,
}

/// What tells a subscription from every other: its id, and whose it is if it is the private one of
/// a publisher object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionKey {
    pub(crate) object: Option<ObjectId>,
    pub(crate) id: SubscriptionId,
}

/// The key of the calling order.
pub(crate) type Rank = (Reverse<i32>, u64, SubscriptionId);

impl SubscriptionEntry {
    /// Returns a subscription of a live object.
    pub(crate) fn of_object(record: Subscription, order: u64, live: Arc<dyn LiveObject>) -> Self {
        Self {
            record,
            order,
            ensured: None,
            live: Some(live),
            absent: false,
            off_hours: None,
        }
    }

    /// Returns the publisher object of which it is a private subscription, if it is one.
    pub(crate) fn object(&self) -> Option<ObjectId> {
        self.live.as_ref()?.object()
    }

    pub(crate) fn key(&self) -> SubscriptionKey {
        SubscriptionKey {
            object: self.object(),
            id: self.record.id(),
        }
    }

    /// Returns the key of the calling order: higher priority first, then store order.
    pub(crate) fn rank(&self) -> Rank {
        (
            Reverse(self.record.priority()),
            self.order,
            self.record.id(),
        )
    }

    /// Returns whether an event may have to pass a filter to reach it.
    pub(crate) fn may_be_filtered(&self) -> bool {
        let record = &self.record;
        let asks = record.filter().is_some() || record.binding().publisher().is_some();
        // What is in the bag may be compared with the event.
        let asks = asks || !record.for_publisher().is_empty();
        asks && self.is_served()
    }

    /// Returns whether a fire has anything to do with it: its subscriber is called, or its queue
    /// takes events meanwhile.
    pub(crate) fn is_served(&self) -> bool {
        self.is_called() || self.is_waiting()
    }

    /// Returns whether its subscriber is called.
    pub(crate) fn is_called(&self) -> bool {
        self.record.is_enabled() && !self.absent && self.off_hours.is_none()
    }

    /// Returns why its schedule has nothing delivered to it, if that is so.
    pub(crate) fn off_hours(&self) -> Option<&OffHours> {
        self.off_hours.as_deref()
    }

    /// Returns whether something may wait for it in a queue, of today's record or an earlier one.
    pub(crate) fn may_be_queued(&self) -> bool {
        self.live.is_none()
    }

    /// Returns whether its events wait for it to be switched on, for its owner to log on, or for
    /// its time to begin.
    fn is_waiting(&self) -> bool {
        let queued = self.record.delivery().and_then(DeliveryMode::as_queued);
        let keeps = queued.is_some_and(|it| self.record.is_enabled() || it.keeps_backlog());
        keeps && !matches!(self.off_hours(), Some(OffHours::Expired(_)))
    }

    /// Returns whether delivery depends on more than the event and the filter.
    pub(super) fn has_conditions(&self) -> bool {
        self.record.publisher_role().is_some() || self.record.predicate().is_some()
    }
}

impl From<SubscriptionId> for SubscriptionKey {
    fn from(id: SubscriptionId) -> Self {
        Self { object: None, id }
    }
}

impl From<StoredSubscription> for SubscriptionEntry {
    fn from(stored: StoredSubscription) -> Self {
        Self {
            record: stored.record,
            order: stored.order,
            ensured: stored.ensured,
            live: None,
            absent: false,
            off_hours: None,
        }
    }
}

impl fmt::Debug for SubscriptionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionEntry")
            .field("record", &self.record)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
