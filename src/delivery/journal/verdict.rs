//! What becomes of an event of a queue when its delivery has ended.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::backlog::Backlog;
use super::dead::{DeadLetterCause, Letter};
use super::feeder::key_of;
use super::ledger::Number;
use super::{Journal, Receipt};
use crate::delivery::Parcel;
use crate::model::Queued;
use crate::store::record::queue::Attempt;

/// How a delivery went.
#[derive(Debug)]
pub(crate) enum Verdict {
    Delivered,
    /// The subscriber failed, as the text says.
    Failed(String),
    /// The subscriber failed, as the text says, and says that it always will.
    Hopeless(String),
    /// The event does not fit the interface, as the text says.
    Misfit(String),
    /// It comes too late.
    Expired,
}

/// What is done next with the queue's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// The next event is delivered.
    Over,
    /// The same event is delivered again, at that instant.
    Again(Instant),
}

impl Journal {
    /// Takes in how the delivery of an event went.
    pub(crate) fn judge(
        &self,
        parcel: &Arc<dyn Parcel>,
        receipt: &Receipt,
        verdict: Verdict,
    ) -> Next {
        let (queue, number) = (receipt.queue, receipt.number);
        match verdict {
            Verdict::Delivered => {
                if receipt.judge() {
                    self.done(queue, number);
                }
                Next::Over
            }
            Verdict::Failed(error) => self.failed(parcel, receipt, error, false),
            Verdict::Hopeless(error) => self.failed(parcel, receipt, error, true),
            Verdict::Misfit(why) => {
                self.bury(parcel, receipt, DeadLetterCause::SchemaChanged, &why);
                Next::Over
            }
            Verdict::Expired => {
                let why = "its time to live was over";
                self.bury(parcel, receipt, DeadLetterCause::Expired, why);
                Next::Over
            }
        }
    }

    /// Notes that a queue is done with an event.
    pub(super) fn done(&self, queue: u32, number: Number) {
        self.done_with(queue, number, None);
    }

    /// As [`done`](Self::done), with the dead letter that the event becomes, if it becomes one.
    pub(super) fn done_with(&self, queue: u32, number: Number, letter: Option<Letter>) {
        let mut state = self.state.lock();
        if let Some((key, bytes)) = letter {
            state.pending.put(key, Some(bytes));
        }
        let due = state.ledger.done(queue, number);
        if due.removal {
            state.pending.remove(number);
        }
        if due.memory {
            state.pending.change(queue);
        }
        let id = state.ledger.get_mut(queue).map(|queue| queue.id);
        drop(state);
        // Whoever waits for room.
        self.changed.notify_all();
        self.write_soon();
        if let Some(id) = id {
            self.feed_soon(id);
        }
    }

    fn failed(
        &self,
        parcel: &Arc<dyn Parcel>,
        receipt: &Receipt,
        error: String,
        is_hopeless: bool,
    ) -> Next {
        let error = shortened(error);
        let (now, instant) = (self.staff.clock.now(), self.staff.clock.instant());
        let mut state = self.state.lock();
        if state.is_stopped {
            // It may have failed as the broker is being closed: it comes again, and has had no
            // attempt.
            return Next::Over;
        }
        let Some(queue) = state.ledger.get_mut(receipt.queue) else {
            // The subscription is gone.
            receipt.judge();
            return Next::Over;
        };
        if !queue.is_waiting_for(receipt.number) {
            // It was taken back meanwhile, came again, and is over.
            return Next::Over;
        }
        let (terms, is_taken_back) = (queue.terms.clone(), queue.epoch != receipt.epoch);
        let tries = queue.tries_mut(receipt.number);
        tries.attempts.push(Attempt { time: now, error });
        let attempts = u32::try_from(tries.attempts.len()).unwrap_or(u32::MAX);
        // Of one that has no queue any more, what waits is tried as usual.
        let retry = terms.as_ref().map(|terms| terms.retry().clone());
        let wait = match is_hopeless {
            true => None,
            false => retry.unwrap_or_default().wait_after(attempts),
        };
        let wait = wait.map(jittered);
        tries.due = wait.and_then(|wait| now.checked_add(wait));
        let due = tries.due;
        state.pending.change(receipt.queue);
        drop(state);
        self.write_soon();
        receipt.put_off(due);
        let Some(wait) = wait else {
            self.give_up(parcel, receipt, is_hopeless);
            return Next::Over;
        };
        if is_taken_back {
            // Whoever has it next finds that it is to wait.
            return Next::Over;
        }
        let at = instant.checked_add(wait).unwrap_or(instant);
        self.again(parcel, receipt, terms.as_deref(), at)
    }

    /// Gives up an event that failed for the last time.
    fn give_up(&self, parcel: &Arc<dyn Parcel>, receipt: &Receipt, is_hopeless: bool) {
        let (cause, why) = match is_hopeless {
            true => (
                DeadLetterCause::Hopeless,
                "its subscriber can never take it",
            ),
            false => (
                DeadLetterCause::Failed,
                "it was tried as often as it is to be",
            ),
        };
        self.bury(parcel, receipt, cause, why);
    }

    /// Has an event delivered again at an instant.
    fn again(
        &self,
        parcel: &Arc<dyn Parcel>,
        receipt: &Receipt,
        terms: Option<&Queued>,
        at: Instant,
    ) -> Next {
        match terms {
            Some(terms) if terms.is_relaxed() => {
                self.put_off(parcel, receipt, terms, at);
                Next::Over
            }
            _ => Next::Again(at),
        }
    }

    /// Has an event delivered again at that instant, and lets others pass meanwhile.
    fn put_off(&self, parcel: &Arc<dyn Parcel>, receipt: &Receipt, terms: &Queued, at: Instant) {
        let (me, parcel) = (self.me.clone(), Arc::clone(parcel));
        let key = key_of(Some(terms), receipt.lane, receipt.number);
        let (queue, number) = (receipt.queue, receipt.number);
        self.set_later(queue, number, true);
        let again = move || {
            let Some(journal) = me.upgrade() else { return };
            journal.set_later(queue, number, false);
            let mut state = journal.state.lock();
            let queue = state.ledger.get_mut(queue);
            let seat = queue.and_then(|queue| {
                let desk = queue.desk.as_ref()?.upgrade()?;
                Some((desk, queue.terms.clone()))
            });
            drop(state);
            // Without a seat it is put back, as it is dropped.
            if let Some((desk, terms)) = seat {
                journal.push_parcel(&desk, terms.as_deref(), parcel, &key);
            }
        };
        self.staff.timers.at(at, Box::new(again));
    }

    fn set_later(&self, queue: u32, number: Number, is_later: bool) {
        let mut state = self.state.lock();
        let queue = state.ledger.get_mut(queue);
        let id = queue.map(|queue| {
            queue.set_later(number, is_later);
            queue.id
        });
        drop(state);
        if let Some(id) = id.filter(|_| is_later) {
            self.feed_soon(id);
        }
    }

    /// Returns what is done with an event that is not delivered now: it was taken back, it comes
    /// too late, or its next attempt is not due.
    pub(crate) fn withhold(
        &self,
        parcel: &Arc<dyn Parcel>,
        receipt: &Receipt,
        fired: SystemTime,
    ) -> Option<Next> {
        let mut state = self.state.lock();
        let queue = state.ledger.get_mut(receipt.queue);
        // One that was fed again while it was being delivered may have been had by now.
        let is_to_come = |queue: &&mut Backlog| {
            queue.epoch == receipt.epoch && queue.fed.contains(&receipt.number)
        };
        let terms = queue.filter(is_to_come).map(|queue| {
            // It may have failed since it was fed, in the hand that it was taken back from.
            receipt.remember(queue.tries(receipt.number));
            queue.terms.clone()
        });
        let is_stopped = state.is_stopped;
        drop(state);
        // Whoever drops it has it put back, unless it was.
        let terms = terms.filter(|_| !is_stopped);
        let Some(terms) = terms else {
            return Some(Next::Over);
        };
        let span = terms.as_ref().and_then(|terms| terms.time_to_live());
        let end = span.and_then(|span| fired.checked_add(span));
        if end.is_some_and(|end| self.staff.clock.now() >= end) {
            return Some(self.judge(parcel, receipt, Verdict::Expired));
        }
        let wait = receipt.due()?.duration_since(self.staff.clock.now()).ok()?;
        let at = self.staff.clock.instant().checked_add(wait)?;
        (!wait.is_zero()).then(|| self.again(parcel, receipt, terms.as_deref(), at))
    }
}

/// What a person reads of an error; each of many is kept.
const LONGEST_ERROR: usize = 4_096;

fn shortened(mut error: String) -> String {
    if error.len() > LONGEST_ERROR {
        let mut ends = (0..=LONGEST_ERROR).rev();
        let end = ends.find(|end| error.is_char_boundary(*end));
        error.truncate(end.unwrap_or_default());
    }
    error
}

/// Returns a wait that is up to a tenth longer or shorter.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(());
    // In thousandths: 900 to 1,100.
    let part = 900 + u32::try_from(random % 201).unwrap_or(100);
    (wait / 1_000).saturating_mul(part)
}
