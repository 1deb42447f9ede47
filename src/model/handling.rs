//! What a subscription says of how its subscriber is called.

use std::time::Duration;

use super::{Breaker, DeliveryMode, Problems, Start, Subscription, Target, Trigger, span};

/// What few subscriptions say, in one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Handling {
    pub(crate) delivery: Option<DeliveryMode>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) trigger: Option<Trigger>,
}

/// How the subscriber is called.
impl Subscription {
    /// Returns whether the fire itself calls the subscriber; `None` if the class decides.
    pub fn delivery(&self) -> Option<&DeliveryMode> {
        self.handling()?.delivery.as_ref()
    }

    /// Returns how long a call may take; `None` if the class decides.
    pub fn deadline(&self) -> Option<Duration> {
        self.handling()?.deadline
    }

    /// Returns when failures make the broker leave the subscriber alone; `None` if the class
    /// decides.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.handling()?.breaker.as_ref()
    }

    /// Returns which of the events that match are delivered, if not all.
    pub fn trigger(&self) -> Option<&Trigger> {
        self.handling()?.trigger.as_ref()
    }
}

impl Handling {
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        check_calls(
            self.delivery.as_ref(),
            self.deadline,
            self.breaker.as_ref(),
            problems,
        );
        if let Some(trigger) = &self.trigger {
            trigger.check(problems);
        }
        if let (Some(DeliveryMode::Queued(queued)), Some(_)) = (&self.delivery, &self.trigger)
            && queued.start() != Start::New
        {
            let rule = "a trigger does not see past events: a queue begins with new ones";
            problems.add("trigger", rule);
        }
    }

    /// Finds what does not go together with the target.
    pub(crate) fn check_target(&self, target: &Target, problems: &mut Problems) {
        let is_queued = matches!(self.delivery, Some(DeliveryMode::Queued(_)));
        if is_queued && *target == Target::Object {
            let rule = "a live object is gone when the process is, and a queue is not: name a \
                        component";
            problems.add("delivery", rule);
        }
    }
}

/// Finds what is wrong with what a subscription says, or a class for all.
pub(super) fn check_calls(
    delivery: Option<&DeliveryMode>,
    deadline: Option<Duration>,
    breaker: Option<&Breaker>,
    problems: &mut Problems,
) {
    if let Some(delivery) = delivery {
        delivery.check(problems);
    }
    if let Some(deadline) = deadline {
        span::check("deadline", "the deadline", deadline, problems);
    }
    if let Some(breaker) = breaker {
        breaker.check(problems);
    }
}
