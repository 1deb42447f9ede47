//! How the events of a subscription are delivered, where not simply by calling it.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Bounds;
use crate::model::{Breaker, DeliveryMode, EventClass, Overflow, Queued, Subscription, Trigger};

/// What a subscription says about its delivery, and its class where it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Policy {
    pub(super) mode: DeliveryMode,
    pub(super) deadline: Option<Duration>,
    pub(super) breaker: Option<Breaker>,
    pub(super) trigger: Option<Trigger>,
}

impl Policy {
    /// Returns the policy of a subscription, unless it is simply called.
    pub(super) fn of(record: &Subscription, class: &EventClass) -> Option<Self> {
        let mode = record.delivery().or(class.delivery());
        let policy = Self {
            mode: mode.cloned().unwrap_or_default(),
            deadline: record.deadline().or(class.deadline()),
            breaker: record.breaker().or(class.breaker()).cloned(),
            trigger: record.trigger().cloned(),
        };
        let is_simple = policy.mode == DeliveryMode::Inline
            && policy.deadline.is_none()
            && policy.breaker.is_none()
            && policy.trigger.is_none();
        (!is_simple).then_some(policy)
    }

    /// Returns the same for a subscriber that comes for its events: all is as the record says, and
    /// not as its class does for those whom the broker calls.
    pub(super) fn collected(self, record: &Subscription) -> Self {
        let detached = record.delivery().and_then(DeliveryMode::as_detached);
        Self {
            mode: detached.cloned().unwrap_or_default().into(),
            deadline: record.deadline(),
            breaker: record.breaker().cloned(),
            ..self
        }
    }

    /// Returns how much may wait, if an event does nothing else, whatever it is.
    pub(super) fn simple_bounds(&self) -> Option<Bounds> {
        let asks = self.deadline.is_some() || self.breaker.is_some() || self.trigger.is_some();
        self.bounds().filter(|bounds| !bounds.keyed && !asks)
    }

    /// Returns the name by which events of the lane are told apart, if they are.
    pub(super) fn lane_key(&self) -> Option<&str> {
        match &self.mode {
            DeliveryMode::Detached(lane) => lane.key(),
            DeliveryMode::Queued(queued) => queued.key(),
            _ => None,
        }
    }

    /// Returns on which terms events are queued, if they are.
    pub(super) fn queue(&self) -> Option<Arc<Queued>> {
        self.mode.as_queued().cloned().map(Arc::new)
    }

    /// Returns how much may wait, if events wait at all.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        match &self.mode {
            DeliveryMode::Detached(lane) => Some(Bounds {
                capacity: lane.capacity(),
                overflow: lane.overflow(),
                // One that hangs is to hold up one thread.
                keyed: lane.key().is_some()
                    && (self.deadline.is_none() || lane.overflow() == Overflow::Coalesce),
            }),
            _ => None,
        }
    }
}
