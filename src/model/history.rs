//! Which past events of a class are kept, and from which of them a subscription begins.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Problems, span};

/// Past events that a class keeps in the store, whoever subscribes: as many as fit all of the
/// limits that are set, the youngest ones.
///
/// A fire of such a class is stored, also where nobody subscribes, and a [queue](crate::Queued) may
/// begin with a past event: see [`Start`]. What a queue still waits for stays for it, whatever the
/// history has let go.
///
/// The broker that has the queues of the store keeps it (see [`Queued`](crate::Queued)); what
/// others of the process fire is not kept, as their reports say. In memory, a past event takes
/// about a hundred bytes.
///
/// The history keeps what is fired from when it is asked for. Where the class does not ask for one
/// any more, it is given up when the class is next made ready for publishers.
///
/// JetStream has streams with the same limits (`MaxMsgs`, `MaxAge`, `MaxBytes`).
///
/// ```
/// use std::time::Duration;
///
/// use loosely::{EventClass, EventClassId, History};
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let history = History::new().with_count(100_000).with_age(day);
/// let id = EventClassId::from_u128(0x5cdd_87b5_8e21_4c37_8ad4_7df1_6c8a_4c0b);
/// let class = EventClass::new(id, "Orders").with_history(history);
/// assert_eq!(class.history().and_then(|history| history.count()), Some(100_000));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(alias("event log", "stream"))]
pub struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    age: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    without_waiting: bool,
}

/// With which event the [queue](crate::Queued) of a subscription begins.
///
/// It says so once, when the queue is made. From then on the queue remembers what it has had, and
/// an edit takes it nowhere else: to have events again, remove the subscription and store it anew.
/// Their idempotency keys are the same then; a [`KeyWindow`](crate::KeyWindow) that knows them is
/// to [forget](crate::KeyWindow::forget) them first. A queue that is older than the history of its
/// class has heard of all that is in it, and begins with none of it.
///
/// A class that [retains](crate::Retained) events too gives a queue that begins with a past event
/// each of them once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// With the first one that is fired when the subscription is there.
    #[default]
    New,
    /// With the oldest one in the history of its class.
    Oldest,
    /// With the first one in the history that was fired at this time or later.
    Time(#[serde(with = "timestamp")] SystemTime),
    /// With the one at this [position](crate::PastEvent::position) in the history, or if that is
    /// gone, the next one.
    Position(u64),
}

impl History {
    /// Returns a history without limits, which no class takes: set at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps no more events than this.
    #[must_use]
    pub fn with_count(mut self, events: u64) -> Self {
        self.count = Some(events);
        self
    }

    /// Keeps no event for longer than this after it was fired.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Keeps no more bytes than this, as events are stored.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Has a fire return before the event is stored, if no queue has it wait: a crash loses the
    /// last few thousand at most.
    #[must_use]
    pub fn without_waiting(mut self) -> Self {
        self.without_waiting = true;
        self
    }

    /// Returns how many events are kept at most.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// Returns for how long events are kept at most.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// Returns how many bytes are kept at most.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Returns whether a fire waits until the event is stored.
    pub fn waits(&self) -> bool {
        !self.without_waiting
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.count.is_none() && self.age.is_none() && self.bytes.is_none() {
            let rule = "no limit is set: it is one of count, age and bytes at least";
            problems.add("history", rule);
        }
        if self.count == Some(0) || self.bytes == Some(0) {
            problems.add("history", "not even one event would be kept");
        }
        if let Some(age) = self.age {
            span::check("history", "the age", age, problems);
        }
    }
}

impl Start {
    pub(super) fn is_new(&self) -> bool {
        *self == Self::New
    }
}

/// Times as people write them.
mod timestamp {
    use std::time::SystemTime;

    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let time = Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
        time.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<SystemTime, D::Error> {
        Timestamp::deserialize(source).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_without_limits_or_room_is_a_problem() {
        let problems = |history: History| {
            let mut problems = Problems::default();
            history.check(&mut problems);
            problems.to_string()
        };
        assert_eq!(
            problems(History::new()),
            "history: no limit is set: it is one of count, age and bytes at least"
        );
        assert_eq!(
            problems(History::new().with_count(0)),
            "history: not even one event would be kept"
        );
        assert_eq!(
            problems(History::new().with_age(Duration::ZERO)),
            "history: the age is zero"
        );
        assert_eq!(problems(History::new().with_bytes(1)), "");
    }
}
