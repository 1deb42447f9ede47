//! The stored form of how subscribers are called.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::canonical::Canonical;
use super::delivery::DeliveryV1;
use crate::model::{
    Breaker, DeliveryMode, EventClass, Handling, Subscription, Trigger, TriggerKind,
};

/// What a subscription says, or a class for its subscriptions.
#[derive(Serialize, Deserialize)]
pub(super) struct CallsV1 {
    delivery: Option<DeliveryV1>,
    deadline: Option<SpanV1>,
    breaker: Option<BreakerV1>,
}

#[derive(Serialize, Deserialize)]
struct BreakerV1 {
    failures: u32,
    back_off: SpanV1,
    max_back_off: Option<SpanV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TriggerV1 {
    kind: TriggerKindV1,
    lasting: Option<SpanV1>,
    rearm: Option<String>,
    resolved: bool,
    per: Vec<String>,
    max_keys: u64,
    kept: bool,
}

#[derive(Serialize, Deserialize)]
enum TriggerKindV1 {
    BecomingTrue,
    AtMost(u32, SpanV1),
    OnceWithin(SpanV1),
    Absence(SpanV1),
}

/// Whole seconds, and the nanoseconds after them.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(super) struct SpanV1(u64, u32);

impl CallsV1 {
    pub(super) fn of_subscription(record: &Subscription) -> Self {
        Self::of(record.delivery(), record.deadline(), record.breaker())
    }

    pub(super) fn of_class(class: &EventClass) -> Self {
        Self::of(class.delivery(), class.deadline(), class.breaker())
    }

    fn of(
        delivery: Option<&DeliveryMode>,
        deadline: Option<Duration>,
        breaker: Option<&Breaker>,
    ) -> Self {
        Self {
            delivery: delivery.map(Into::into),
            deadline: deadline.map(Into::into),
            breaker: breaker.map(Into::into),
        }
    }

    pub(super) fn none() -> Self {
        Self::of(None, None, None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.delivery.is_none() && self.deadline.is_none() && self.breaker.is_none()
    }

    pub(super) fn into_handling(self, trigger: Option<TriggerV1>) -> Handling {
        Handling {
            delivery: self.delivery.map(Into::into),
            deadline: self.deadline.map(Into::into),
            breaker: self.breaker.map(Into::into),
            trigger: trigger.map(Into::into),
        }
    }

    /// Returns the class with these as what its subscriptions have by default.
    pub(super) fn set(self, mut class: EventClass) -> EventClass {
        if let Some(delivery) = self.delivery {
            class = class.with_delivery(delivery);
        }
        if let Some(deadline) = self.deadline {
            class = class.with_deadline(deadline.into());
        }
        match self.breaker {
            Some(breaker) => class.with_breaker(breaker.into()),
            None => class,
        }
    }
}

impl From<&Breaker> for BreakerV1 {
    fn from(breaker: &Breaker) -> Self {
        Self {
            failures: breaker.failures(),
            back_off: breaker.back_off().into(),
            max_back_off: breaker.set_max_back_off().map(Into::into),
        }
    }
}

impl From<BreakerV1> for Breaker {
    fn from(stored: BreakerV1) -> Self {
        let breaker = Self::after(stored.failures).with_back_off(stored.back_off.into());
        match stored.max_back_off {
            Some(longest) => breaker.with_max_back_off(longest.into()),
            None => breaker,
        }
    }
}

impl From<&Trigger> for TriggerV1 {
    fn from(trigger: &Trigger) -> Self {
        Self {
            kind: match *trigger.kind() {
                TriggerKind::BecomingTrue => TriggerKindV1::BecomingTrue,
                TriggerKind::AtMost { count, per } => TriggerKindV1::AtMost(count, per.into()),
                TriggerKind::OnceWithin(window) => TriggerKindV1::OnceWithin(window.into()),
                TriggerKind::Absence(after) => TriggerKindV1::Absence(after.into()),
            },
            lasting: trigger.lasting_for().map(Into::into),
            rearm: trigger.rearm_criteria().map(str::to_owned),
            resolved: trigger.tells_resolved(),
            per: trigger.keys().to_vec(),
            max_keys: u64::try_from(trigger.max_keys()).unwrap_or(u64::MAX),
            kept: trigger.is_kept(),
        }
    }
}

impl From<TriggerV1> for Trigger {
    fn from(stored: TriggerV1) -> Self {
        let mut trigger = match stored.kind {
            TriggerKindV1::BecomingTrue => Self::on_becoming_true(),
            TriggerKindV1::AtMost(count, per) => Self::at_most(count, per.into()),
            TriggerKindV1::OnceWithin(window) => Self::once_within(window.into()),
            TriggerKindV1::Absence(after) => Self::absence(after.into()),
        };
        if let Some(lasting) = stored.lasting {
            trigger = trigger.lasting(lasting.into());
        }
        if let Some(criteria) = stored.rearm {
            trigger = trigger.rearm(criteria);
        }
        if stored.resolved {
            trigger = trigger.resolved();
        }
        if stored.kept {
            trigger = trigger.kept();
        }
        let max_keys = usize::try_from(stored.max_keys).unwrap_or(usize::MAX);
        let trigger = trigger.with_max_keys(max_keys);
        stored.per.into_iter().fold(trigger, Self::per)
    }
}

impl From<Duration> for SpanV1 {
    fn from(span: Duration) -> Self {
        Self(span.as_secs(), span.subsec_nanos())
    }
}

impl From<SpanV1> for Duration {
    fn from(SpanV1(seconds, nanoseconds): SpanV1) -> Self {
        Self::from_secs(seconds).saturating_add(Self::from_nanos(nanoseconds.into()))
    }
}

impl Canonical for CallsV1 {
    fn write(&self, out: &mut Vec<u8>) {
        (&self.delivery, self.deadline).write(out);
        self.breaker.write(out);
    }
}

impl Canonical for BreakerV1 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.failures, (self.back_off, self.max_back_off)).write(out);
    }
}

impl Canonical for TriggerV1 {
    fn write(&self, out: &mut Vec<u8>) {
        match &self.kind {
            TriggerKindV1::BecomingTrue => 0_u8.write(out),
            TriggerKindV1::AtMost(count, per) => (1_u8, (count, per)).write(out),
            TriggerKindV1::OnceWithin(window) => (2_u8, window).write(out),
            TriggerKindV1::Absence(after) => (3_u8, after).write(out),
        }
        (self.lasting, &self.rearm).write(out);
        (self.resolved, &self.per).write(out);
        (self.max_keys, self.kept).write(out);
    }
}

impl Canonical for SpanV1 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.0, self.1).write(out);
    }
}
