//! The stored form of how subscribers are called.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::canonical::Canonical;
use crate::model::{
    Breaker, DeliveryMode, Detached, EventClass, Handling, Overflow, Queued, Retry, Subscription,
    Trigger, TriggerKind,
};

/// What a subscription says, or a class for its subscriptions.
#[derive(Serialize, Deserialize)]
pub(super) struct CallsV1 {
    delivery: Option<DeliveryV1>,
    deadline: Option<SpanV1>,
    breaker: Option<BreakerV1>,
}

#[derive(Serialize, Deserialize)]
enum DeliveryV1 {
    Inline,
    Detached {
        capacity: u64,
        overflow: OverflowV1,
        key: Option<String>,
    },
    Queued(Box<QueuedV1>),
}

#[derive(Serialize, Deserialize)]
struct QueuedV1 {
    capacity: u64,
    overflow: OverflowV1,
    key: Option<String>,
    relaxed: bool,
    concurrency: Option<u32>,
    time_to_live: Option<SpanV1>,
    schedule: Vec<SpanV1>,
    attempts_each: u32,
    without_waiting: bool,
    keeps_backlog: bool,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum OverflowV1 {
    Block,
    DropOldest,
    DropNewest,
    Coalesce,
    Fail,
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
struct SpanV1(u64, u32);

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

impl From<&DeliveryMode> for DeliveryV1 {
    fn from(mode: &DeliveryMode) -> Self {
        match mode {
            DeliveryMode::Inline => Self::Inline,
            DeliveryMode::Detached(detached) => Self::Detached {
                capacity: u64::try_from(detached.capacity()).unwrap_or(u64::MAX),
                overflow: detached.overflow().into(),
                key: detached.key().map(str::to_owned),
            },
            DeliveryMode::Queued(queued) => Self::Queued(Box::new(queued.into())),
        }
    }
}

impl From<DeliveryV1> for DeliveryMode {
    fn from(mode: DeliveryV1) -> Self {
        let (capacity, overflow, key) = match mode {
            DeliveryV1::Inline => return Self::Inline,
            DeliveryV1::Queued(queued) => return Self::Queued((*queued).into()),
            DeliveryV1::Detached {
                capacity,
                overflow,
                key,
            } => (capacity, overflow, key),
        };
        let detached = Detached::with_capacity(usize::try_from(capacity).unwrap_or(usize::MAX));
        let detached = detached.with_overflow(overflow.into());
        match key {
            Some(key) => detached.with_key(key).into(),
            None => detached.into(),
        }
    }
}

impl From<&Queued> for QueuedV1 {
    fn from(queued: &Queued) -> Self {
        let retry = queued.retry();
        Self {
            capacity: u64::try_from(queued.capacity()).unwrap_or(u64::MAX),
            overflow: queued.overflow().into(),
            key: queued.key().map(str::to_owned),
            relaxed: queued.is_relaxed(),
            concurrency: queued.set_concurrency(),
            time_to_live: queued.time_to_live().map(Into::into),
            schedule: retry.schedule().iter().copied().map(Into::into).collect(),
            attempts_each: retry.attempts_each(),
            without_waiting: !queued.waits(),
            keeps_backlog: queued.keeps_backlog(),
        }
    }
}

impl From<QueuedV1> for Queued {
    fn from(stored: QueuedV1) -> Self {
        let retry = Retry::after(stored.schedule.into_iter().map(Into::into));
        let mut queued = Self::new()
            .with_capacity(usize::try_from(stored.capacity).unwrap_or(usize::MAX))
            .with_overflow(stored.overflow.into())
            .with_retry(retry.with_attempts_each(stored.attempts_each));
        if let Some(key) = stored.key {
            queued = queued.with_key(key);
        }
        if stored.relaxed {
            queued = queued.relaxed();
        }
        if let Some(concurrency) = stored.concurrency {
            queued = queued.with_concurrency(concurrency);
        }
        if let Some(span) = stored.time_to_live {
            queued = queued.with_time_to_live(span.into());
        }
        if stored.without_waiting {
            queued = queued.without_waiting();
        }
        match stored.keeps_backlog {
            true => queued.keep_backlog(),
            false => queued,
        }
    }
}

impl From<Overflow> for OverflowV1 {
    fn from(overflow: Overflow) -> Self {
        match overflow {
            Overflow::Block => Self::Block,
            Overflow::DropOldest => Self::DropOldest,
            Overflow::DropNewest => Self::DropNewest,
            Overflow::Coalesce => Self::Coalesce,
            Overflow::Fail => Self::Fail,
        }
    }
}

impl From<OverflowV1> for Overflow {
    fn from(stored: OverflowV1) -> Self {
        match stored {
            OverflowV1::Block => Self::Block,
            OverflowV1::DropOldest => Self::DropOldest,
            OverflowV1::DropNewest => Self::DropNewest,
            OverflowV1::Coalesce => Self::Coalesce,
            OverflowV1::Fail => Self::Fail,
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

impl Canonical for DeliveryV1 {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline => 0_u8.write(out),
            Self::Detached {
                capacity,
                overflow,
                key,
            } => {
                (1_u8, capacity).write(out);
                (overflow.number(), key).write(out);
            }
            Self::Queued(queued) => (2_u8, &**queued).write(out),
        }
    }
}

impl Canonical for QueuedV1 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.capacity, (self.overflow.number(), &self.key)).write(out);
        (self.relaxed, (self.concurrency, self.time_to_live)).write(out);
        (&self.schedule, self.attempts_each).write(out);
        (self.without_waiting, self.keeps_backlog).write(out);
    }
}

impl OverflowV1 {
    /// Returns the number that a digest has.
    fn number(self) -> u8 {
        match self {
            Self::Block => 0,
            Self::DropOldest => 1,
            Self::DropNewest => 2,
            Self::Coalesce => 3,
            Self::Fail => 4,
        }
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
