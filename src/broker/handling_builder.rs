//! How a subscription record says in which way its subscriber is called.

use std::time::Duration;

use super::SubscriptionBuilder;
use crate::model::{Breaker, DeliveryMode, Detached, Queued, Trigger};

/// How the subscriber is called. Where nothing is said of delivery, deadline and breaker, what the
/// class says holds.
impl SubscriptionBuilder {
    /// Says whether the fire itself calls the subscriber, or events wait for it in a lane.
    pub fn delivery(mut self, mode: impl Into<DeliveryMode>) -> Self {
        self.handling.delivery = Some(mode.into());
        self
    }

    /// Has events wait in a lane as [`Detached::new`] says, so that a fire does not wait for the
    /// subscriber.
    pub fn detached(self) -> Self {
        self.delivery(Detached::new())
    }

    /// Has events stored as [`Queued::new`] says, until the subscriber has had them.
    pub fn queued(self) -> Self {
        self.delivery(Queued::new())
    }

    /// Leaves to the class who calls the subscriber.
    pub fn without_delivery(mut self) -> Self {
        self.handling.delivery = None;
        self
    }

    /// Abandons a call that takes longer, so that a subscriber that hangs holds up nobody; it
    /// cannot be zero.
    ///
    /// The subscriber is called by a thread of the broker with a copy of the arguments. When the
    /// time is over, the delivery is a [failure](crate::Failure::Deadline) and the fire goes on;
    /// the call is not stopped, and while it goes on the subscription's further events are
    /// [skipped](crate::SkipReason::Busy).
    ///
    /// The future of an [asynchronous subscription](crate::Broker::subscribe_async_with) is dropped
    /// instead; a stream and a mailbox take no deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.handling.deadline = Some(deadline);
        self
    }

    /// Leaves to the class how long a call may take.
    pub fn without_deadline(mut self) -> Self {
        self.handling.deadline = None;
        self
    }

    /// Leaves the subscriber alone for a while when it fails time after time.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.handling.breaker = Some(breaker);
        self
    }

    /// Leaves it to the class whether there is a breaker.
    pub fn without_breaker(mut self) -> Self {
        self.handling.breaker = None;
        self
    }

    /// Delivers only some of the events that match, such as the one by which the filter becomes
    /// true.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.handling.trigger = Some(trigger);
        self
    }

    /// Delivers every event that matches.
    pub fn without_trigger(mut self) -> Self {
        self.handling.trigger = None;
        self
    }
}
