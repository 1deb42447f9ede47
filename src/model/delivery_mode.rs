//! Where and when a subscriber is called.

use serde::{Deserialize, Serialize};

use super::{Problems, Queued};

/// Whether a fire calls a subscriber itself or leaves the event for others to deliver.
///
/// A subscription says it, or else its class does
/// ([`with_delivery`](crate::EventClass::with_delivery)); where neither does, delivery is inline.
///
/// Written by people as `"inline"`, `{ detached = { capacity = 9, overflow = "drop_oldest" } }`, or
/// `{ queued = { key = "symbol" } }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// The fire calls the subscriber and goes on when it has returned.
    #[default]
    Inline,
    /// The fire puts the event into a lane and goes on at once.
    Detached(Detached),
    /// The fire stores the event, and the broker calls the subscriber until it has taken it.
    Queued(Queued),
}

/// Delivery by way of a lane: a bounded queue that a subscription has to itself, emptied by the
/// broker's threads.
///
/// The fire copies the arguments once, however many lanes take them, and counts the event as
/// [`Accepted`](crate::DeliveryOutcome::Accepted). What has to be asked of the event, such as the
/// filter, is asked before it enters the lane.
///
/// A lane keeps the order in which it accepted events, and its subscriber is called for one of them
/// at a time. With a [key](Self::with_key) each value of the key has a lane of its own: the events
/// of one value come in order, those of others at the same time. Lanes are in memory, and what
/// waits in them does not outlive the broker.
///
/// ```
/// use loosely::{Detached, Overflow, Subscription};
///
/// let latest = Detached::with_capacity(100).with_key("symbol");
/// let chart = Subscription::builder("chart").interface("StockEvents").component("chart");
/// let chart = chart.delivery(latest.with_overflow(Overflow::Coalesce)).build()?;
/// assert!(chart.delivery().is_some());
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detached {
    capacity: usize,
    overflow: Overflow,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// What becomes of an event for a lane that is full.
///
/// Nothing is lost unless one of the policies is chosen that lose something. What is lost is
/// counted, and told by the health event `lane_overflow`; the subscriber is told of the gap in the
/// context of the event behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overflow {
    /// The fire waits until there is room, in a large lane for 64 events: the publisher becomes as
    /// slow as the subscriber. Inside
    /// a delivery this is as [`Fail`](Self::Fail), as two that wait for each other would wait for
    /// ever.
    #[default]
    Block,
    /// The event that has waited longest is lost, and the new one takes a place.
    DropOldest,
    /// The new event is lost.
    DropNewest,
    /// A waiting event of the same key is replaced by the newer one, in its place, whether the lane
    /// is full or not: for events that tell a state, of which the last one is of interest. What is
    /// replaced is no gap. It needs a [key](Detached::with_key); an event of a
    /// further key for which there is no room is as under [`Fail`](Self::Fail).
    Coalesce,
    /// The new event is not taken, and the report has it as
    /// [`Failure::Overflow`](crate::Failure::Overflow).
    Fail,
}

impl DeliveryMode {
    /// Returns how events are detached, if they are.
    pub fn as_detached(&self) -> Option<&Detached> {
        match self {
            Self::Detached(detached) => Some(detached),
            _ => None,
        }
    }

    /// Returns how events are queued, if they are.
    pub fn as_queued(&self) -> Option<&Queued> {
        match self {
            Self::Queued(queued) => Some(queued),
            _ => None,
        }
    }

    /// Returns the name of what has a lane for each of its values.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Inline => None,
            Self::Detached(detached) => detached.key(),
            Self::Queued(queued) => queued.key(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Detached(_) => "detached",
            Self::Queued(_) => "queued",
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let detached = match self {
            Self::Inline => return,
            Self::Detached(detached) => detached,
            Self::Queued(queued) => return queued.check(problems),
        };
        if !(1..=MOST).contains(&detached.capacity) {
            let capacity = detached.capacity;
            let rule = format!("a lane cannot hold {capacity} events, but 1 to {MOST}");
            problems.add("delivery", rule);
        }
        match detached.key() {
            Some("") => problems.add("delivery", "the key has no name"),
            None if detached.overflow == Overflow::Coalesce => {
                problems.add("delivery", "no key says which events coalesce");
            }
            _ => {}
        }
    }
}

impl Detached {
    /// Returns delivery by way of a lane that holds 1,024 events.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// Returns delivery by way of a lane that holds `events` at most, of all keys together: 1 to
    /// 1,048,576.
    pub fn with_capacity(events: usize) -> Self {
        Self {
            capacity: events,
            overflow: Overflow::default(),
            key: None,
        }
    }

    /// Says what becomes of events for which there is no room.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Gives each value of this parameter a lane of its own; a path as in filter criteria, such as
    /// `order.customer` or `publisher.desk`, will do too. A method without the parameter has the
    /// lane of NULL.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>) -> Self {
        self.key = Some(name.into());
        self
    }

    /// Returns how many events may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns what becomes of events for which there is no room.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Returns the name of what has a lane for each of its values.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl Default for Detached {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Detached> for DeliveryMode {
    fn from(detached: Detached) -> Self {
        Self::Detached(detached)
    }
}

impl From<Queued> for DeliveryMode {
    fn from(queued: Queued) -> Self {
        Self::Queued(queued)
    }
}

/// Room for a burst, without much memory where thousands of lanes are full.
const DEFAULT_CAPACITY: usize = 1_024;

/// Where so many wait the subscriber is no longer late but gone, and each holds its arguments.
const MOST: usize = 1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(mode: impl Into<DeliveryMode>) -> String {
        let mut problems = Problems::default();
        mode.into().check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn lane_that_cannot_be_is_a_problem() {
        assert_eq!(problems(DeliveryMode::Inline), "");
        for capacity in [1, MOST] {
            assert_eq!(problems(Detached::with_capacity(capacity)), "");
        }
        for capacity in [0, MOST + 1] {
            let expected = format!("a lane cannot hold {capacity} events, but 1 to 1048576");
            let found = problems(Detached::with_capacity(capacity));
            assert_eq!(found, format!("delivery: {expected}"));
        }
        assert_eq!(
            problems(Detached::new().with_key("")),
            "delivery: the key has no name"
        );
    }

    #[test]
    fn events_coalesce_by_a_key_alone() {
        let latest = Detached::new().with_overflow(Overflow::Coalesce);
        let expected = "delivery: no key says which events coalesce";
        assert_eq!(problems(latest.clone()), expected);
        assert_eq!(problems(latest.with_key("symbol")), "");
    }
}
