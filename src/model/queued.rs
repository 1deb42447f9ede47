//! How events are kept until their subscriber has had them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Overflow, Problems, Retry, Start, span};

/// Delivery by way of a durable queue: the event is stored before the fire returns, and the
/// subscriber is called for it, on one of the broker's threads, until it returns without an error.
///
/// That is *at least once*: a call whose end could not be stored, as the process died, is made
/// again when the broker is opened, and [`EventContext::idempotency_key`] tells the subscriber that
/// it is the same; a [`KeyWindow`](crate::KeyWindow) has it do nothing twice. An event is stored
/// once, however many subscriptions wait for it.
///
/// The target is a component: a live object is gone when the process is. While it is not
/// registered, the owner of a per-user subscription has no session, or its
/// [`Schedule`](crate::Schedule) has quiet hours, events wait. What fails is tried again as its
/// [`Retry`] says, and then becomes a [dead letter](crate::DeadLetter).
///
/// Events come in the order in which they were accepted, one at a time; one that is to be tried
/// again holds back those behind it. With a [key](Self::with_key) that is so for the events of each
/// value, and those of others come at the same time. A [`relaxed`](Self::relaxed) queue has no
/// order, and holds nothing back.
///
/// Up to 256 of the events that wait are in memory. Where so many are held back by earlier ones of
/// their keys, those of other keys wait with them.
///
/// The first broker of a process that opens a store has its queues until it is closed; fires of
/// others report that they have none.
///
/// Only a subscription can ask for it, not a class for all of its subscriptions: what waits belongs
/// to one that is there, whether its class is or not.
///
/// COM+ composes queued components with events in the same place (`Queued` on the subscription).
///
/// ```
/// use loosely::{Queued, Retry, Subscription};
///
/// let queue = Queued::new().with_key("symbol").with_retry(Retry::com_plus());
/// let ledger = Subscription::builder("ledger").interface("StockEvents").component("ledger");
/// let ledger = ledger.delivery(queue).build()?;
/// assert!(ledger.delivery().is_some_and(|mode| mode.as_queued().is_some()));
/// # Ok::<(), loosely::Error>(())
/// ```
///
/// [`EventContext::idempotency_key`]: crate::EventContext::idempotency_key
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(alias = "QueuingEnabled")]
pub struct Queued {
    capacity: usize,
    overflow: Overflow,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    relaxed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    time_to_live: Option<Duration>,
    #[serde(skip_serializing_if = "is_usual")]
    retry: Retry,
    #[serde(skip_serializing_if = "is_false")]
    without_waiting: bool,
    #[serde(skip_serializing_if = "is_false")]
    keeps_backlog: bool,
    #[serde(skip_serializing_if = "Start::is_new")]
    start: Start,
}

impl Queued {
    /// Returns a queue of up to a million events, whose fires wait for the disk.
    pub fn new() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            overflow: Overflow::Block,
            key: None,
            relaxed: false,
            concurrency: None,
            time_to_live: None,
            retry: Retry::default(),
            without_waiting: false,
            keeps_backlog: false,
            start: Start::New,
        }
    }

    /// Sets how many events may wait: 1 to 100,000,000.
    #[must_use]
    pub fn with_capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Says what becomes of an event that finds the queue full: [`Block`](Overflow::Block), the
    /// default, has the fire wait for room, [`Fail`](Overflow::Fail) has it report that,
    /// [`DropNewest`](Overflow::DropNewest) loses the event. A queue never gives up what it has
    /// accepted, so the others are no valid choice.
    #[must_use]
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Keeps order among the events of each value of this parameter alone; a path as in filter
    /// criteria, such as `order.customer`, will do too.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>) -> Self {
        self.key = Some(name.into());
        self
    }

    /// Keeps no order: an event that is to be tried again lets others pass, and up to
    /// [`concurrency`](Self::with_concurrency) of them are delivered at the same time.
    #[must_use]
    pub fn relaxed(mut self) -> Self {
        self.relaxed = true;
        self
    }

    /// Sets how many events may be delivered at the same time, 1 to 1,024: of a queue with a key,
    /// where it is unlimited unless set, or of a relaxed one, where it is 1 unless set.
    #[must_use]
    pub fn with_concurrency(mut self, events: u32) -> Self {
        self.concurrency = Some(events);
        self
    }

    /// Makes a dead letter of an event that was not delivered this long after it was fired. It is
    /// looked at when its turn comes: while nobody can be called, events stay where they are.
    #[must_use]
    pub fn with_time_to_live(mut self, span: Duration) -> Self {
        self.time_to_live = Some(span);
        self
    }

    /// Says when an event is tried again that failed.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Has a fire return when the event is accepted, before it is stored: it waits for nothing
    /// until four thousand events are behind the disk, and a crash loses up to as many.
    #[must_use]
    pub fn without_waiting(mut self) -> Self {
        self.without_waiting = true;
        self
    }

    /// Goes on queueing events while the subscription is switched off, to be delivered when it is
    /// switched on. Without it, what waits when it is switched off is kept all the same, and events
    /// that are fired meanwhile are not for it.
    #[must_use]
    pub fn keep_backlog(mut self) -> Self {
        self.keeps_backlog = true;
        self
    }

    /// Begins with a past event of the class's [history](crate::History), and goes on with what is
    /// fired: no event is left out between them, and none comes twice. Of past events too the
    /// subscription gets those that its filter and its predicate let pass; the publisher's side is
    /// not asked again, and one that demands a role of publishers gets none. Those beyond its time
    /// to live are left out.
    ///
    /// Past events count for the capacity, but come beyond it.
    #[must_use]
    pub fn starting_at(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Returns how many events may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns what becomes of an event that finds the queue full.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Returns the name of what the order is kept by.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns whether no order is kept.
    pub fn is_relaxed(&self) -> bool {
        self.relaxed
    }

    /// Returns how many events may be delivered at the same time; `None` for as many as there are
    /// values of the key.
    pub fn concurrency(&self) -> Option<u32> {
        match self.key {
            Some(_) if !self.relaxed => self.concurrency,
            _ => Some(self.concurrency.unwrap_or(1)),
        }
    }

    /// Returns the concurrency, if it was set.
    pub(crate) fn set_concurrency(&self) -> Option<u32> {
        self.concurrency
    }

    /// Returns after which time an event is not delivered any more.
    pub fn time_to_live(&self) -> Option<Duration> {
        self.time_to_live
    }

    /// Returns when an event is tried again that failed.
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Returns whether a fire waits until the event is stored.
    pub fn waits(&self) -> bool {
        !self.without_waiting
    }

    /// Returns whether events are queued while the subscription is switched off.
    pub fn keeps_backlog(&self) -> bool {
        self.keeps_backlog
    }

    /// Returns with which event the queue begins.
    pub fn start(&self) -> Start {
        self.start
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if !(1..=MOST).contains(&self.capacity) {
            let capacity = self.capacity;
            let rule = format!("a queue cannot hold {capacity} events, but 1 to {MOST}");
            problems.add("delivery", rule);
        }
        if matches!(self.overflow, Overflow::DropOldest | Overflow::Coalesce) {
            let rule = "a queue gives up nothing that it has accepted: it blocks, fails, or drops \
                        the newest event";
            problems.add("delivery", rule);
        }
        if self.key() == Some("") {
            problems.add("delivery", "the key has no name");
        }
        if self.key.is_some() && self.relaxed {
            problems.add("delivery", "a relaxed queue keeps no order by a key");
        }
        match self.concurrency {
            Some(count) if !(1..=MOST_AT_ONCE).contains(&count) => {
                let rule = format!("{count} events cannot be delivered at once, but 1 to ");
                problems.add("delivery", rule + &MOST_AT_ONCE.to_string());
            }
            Some(2..) if self.key.is_none() && !self.relaxed => {
                let rule = "events that keep their order are delivered one at a time";
                problems.add("delivery", rule);
            }
            _ => {}
        }
        if let Some(span) = self.time_to_live {
            span::check("delivery", "the time to live", span, problems);
        }
        self.retry.check(problems);
    }
}

impl Default for Queued {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_usual(retry: &Retry) -> bool {
    *retry == Retry::default()
}

/// A subscriber that is away for a day, at ten events a second.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// The place of each waiting event is kept in memory, in eight bytes.
const MOST: usize = 100_000_000;

/// More than any machine has threads to call subscribers on.
const MOST_AT_ONCE: u32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(queue: &Queued) -> String {
        let mut problems = Problems::default();
        queue.check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn queue_that_would_lose_what_it_accepted_is_a_problem() {
        for overflow in [Overflow::Block, Overflow::Fail, Overflow::DropNewest] {
            assert_eq!(problems(&Queued::new().with_overflow(overflow)), "");
        }
        for overflow in [Overflow::DropOldest, Overflow::Coalesce] {
            let found = problems(&Queued::new().with_overflow(overflow).with_key("k"));
            assert!(
                found.starts_with("delivery: a queue gives up nothing"),
                "{found}"
            );
        }
    }

    #[test]
    fn order_and_concurrency_that_exclude_each_other_are_problems() {
        let found = problems(&Queued::new().with_concurrency(2));
        assert_eq!(
            found,
            "delivery: events that keep their order are delivered one at a time"
        );
        let found = problems(&Queued::new().relaxed().with_key("k"));
        assert_eq!(found, "delivery: a relaxed queue keeps no order by a key");
        assert_eq!(problems(&Queued::new().relaxed().with_concurrency(2)), "");
        assert_eq!(
            problems(&Queued::new().with_key("k").with_concurrency(2)),
            ""
        );
        let found = problems(&Queued::new().relaxed().with_concurrency(0));
        assert_eq!(
            found,
            "delivery: 0 events cannot be delivered at once, but 1 to 1024"
        );
    }
}
