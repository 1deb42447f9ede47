//! What is counted of one subscription.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::activity::Activity;
use super::histogram::Histogram;
use super::meters::{Moment, Stamp};
use crate::delivery::DeliveryOutcome;
use crate::publish::printed::printed;

/// What is counted of one subscription, wherever it is called, or of all that have none of their
/// own. What plain fires deliver is counted by their lanes, until those are gone.
#[derive(Debug)]
pub(crate) struct SubscriptionMeter {
    delivered: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    accepted: AtomicU64,
    calls: Histogram,
    last_match: AtomicU64,
    last_delivery: AtomicU64,
    last_error: Mutex<Option<(Stamp, Arc<str>)>>,
    /// Counts the meters that are gone, each of which has made room for another.
    gone: Arc<AtomicUsize>,
}

/// What lanes that are still fired add to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unsettled {
    pub(super) delivered: u64,
    pub(super) last: Stamp,
}

impl SubscriptionMeter {
    pub(super) fn new(gone: &Arc<AtomicUsize>) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            delivered: zero(),
            failed: zero(),
            skipped: zero(),
            accepted: zero(),
            calls: Histogram::new(),
            last_match: zero(),
            last_delivery: zero(),
            last_error: Mutex::new(None),
            gone: Arc::clone(gone),
        }
    }

    /// Notes that an event passed all that is asked.
    pub(crate) fn matched(&self, at: Stamp) {
        self.last_match.fetch_max(at.0, Ordering::Relaxed);
    }

    /// Counts deliveries, the last of which came of the fire that began at this time.
    pub(crate) fn delivered(&self, count: u64, last: Stamp) {
        self.delivered.fetch_add(count, Ordering::Relaxed);
        self.last_match.fetch_max(last.0, Ordering::Relaxed);
        self.last_delivery.fetch_max(last.0, Ordering::Relaxed);
    }

    /// Counts an event that waits for its delivery.
    pub(crate) fn accepted(&self, at: Stamp) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.matched(at);
    }

    /// Notes how long a call took.
    pub(crate) fn took(&self, took: Duration) {
        self.calls.add(took);
    }

    /// Counts a delivery that ended otherwise than by the return of the subscriber.
    pub(super) fn note(&self, outcome: &DeliveryOutcome, at: Stamp) {
        match outcome {
            DeliveryOutcome::Failed(failure) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                // The subscriber's error prints itself, which no lock may be held for.
                let text = printed(failure);
                let replaced = self.last_error.lock().replace((at, text));
                drop(replaced);
            }
            DeliveryOutcome::Skipped(_) => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    pub(super) fn read(&self, more: Unsettled, moment: Moment) -> Activity {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last = |counter: &AtomicU64| moment.time(Stamp(count(counter)).max(more.last));
        let last_error = self.last_error.lock().clone();
        Activity {
            delivered: count(&self.delivered) + more.delivered,
            failed: count(&self.failed),
            skipped: count(&self.skipped),
            accepted: count(&self.accepted),
            calls: self.calls.read(),
            last_match: last(&self.last_match),
            last_delivery: last(&self.last_delivery),
            last_error: last_error.and_then(|(at, text)| Some((moment.time(at)?, text))),
        }
    }
}

impl Drop for SubscriptionMeter {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}
