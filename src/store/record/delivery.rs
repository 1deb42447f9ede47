//! The stored form of delivery modes.

use serde::{Deserialize, Serialize};

use super::canonical::Canonical;
use super::handling::SpanV1;
use super::properties::TimeV1;
use crate::model::{DeliveryMode, Detached, Overflow, Queued, Retry, Start};

#[derive(Serialize, Deserialize)]
pub(super) enum DeliveryV1 {
    Inline,
    Detached {
        capacity: u64,
        overflow: OverflowV1,
        key: Option<String>,
    },
    Queued(Box<QueuedV1>),
    QueuedV2(Box<QueuedV2>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct QueuedV1 {
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

#[derive(Serialize, Deserialize)]
pub(super) struct QueuedV2 {
    base: QueuedV1,
    start: StartV1,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StartV1 {
    New,
    Oldest,
    Time(TimeV1),
    Position(u64),
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(super) enum OverflowV1 {
    Block,
    DropOldest,
    DropNewest,
    Coalesce,
    Fail,
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
            DeliveryMode::Queued(queued) if queued.start() == Start::New => {
                Self::Queued(Box::new(queued.into()))
            }
            DeliveryMode::Queued(queued) => Self::QueuedV2(Box::new(QueuedV2 {
                base: queued.into(),
                start: queued.start().into(),
            })),
        }
    }
}

impl From<DeliveryV1> for DeliveryMode {
    fn from(mode: DeliveryV1) -> Self {
        let (capacity, overflow, key) = match mode {
            DeliveryV1::Inline => return Self::Inline,
            DeliveryV1::Queued(queued) => return Self::Queued((*queued).into()),
            DeliveryV1::QueuedV2(queued) => {
                let base = Queued::from(queued.base);
                return Self::Queued(base.starting_at(queued.start.into()));
            }
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
            Self::QueuedV2(queued) => {
                (3_u8, &queued.base).write(out);
                queued.start.write(out);
            }
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

impl Canonical for StartV1 {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::New => 0_u8.write(out),
            Self::Oldest => 1_u8.write(out),
            Self::Time(time) => (2_u8, time).write(out),
            Self::Position(position) => (3_u8, position).write(out),
        }
    }
}

impl From<Start> for StartV1 {
    fn from(start: Start) -> Self {
        match start {
            Start::New => Self::New,
            Start::Oldest => Self::Oldest,
            Start::Time(time) => Self::Time(time.into()),
            Start::Position(position) => Self::Position(position),
        }
    }
}

impl From<StartV1> for Start {
    fn from(stored: StartV1) -> Self {
        match stored {
            StartV1::New => Self::New,
            StartV1::Oldest => Self::Oldest,
            StartV1::Time(time) => Self::Time(time.into()),
            StartV1::Position(position) => Self::Position(position),
        }
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
