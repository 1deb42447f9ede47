//! What is counted of plain fires.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::meters::Stamp;
use super::stripes::{Here, Stripes};
use super::subscription_meter::{SubscriptionMeter, Unsettled};

/// The fires of one plain lane that all its subscribers returned from.
///
/// It is one number, whoever is called: when the lane is replaced, its subscriptions get what it
/// has counted. A fire in which one failed is counted apart.
pub(crate) struct LaneMeter {
    fires: Stripes<1>,
    /// Slot -> what is counted of the subscription, if that is counted by itself.
    subscriptions: Box<[Option<Arc<SubscriptionMeter>>]>,
    /// When the last fire began that was looked at closer.
    last: AtomicU64,
    /// The count when it was read last, and the time of that.
    looked: Mutex<(u64, Stamp)>,
    /// The index of the method.
    method: usize,
}

/// One fire in so many on each thread is timed: what that costs, some 80 ns, is then about a
/// nanosecond for each fire.
pub(super) const SAMPLE: u64 = 64;

/// Of so many subscribers the calls are timed in such a fire: of a thousand it would double.
const TIMED: usize = 4;

impl LaneMeter {
    pub(super) fn new(
        method: usize,
        subscriptions: impl Iterator<Item = Option<Arc<SubscriptionMeter>>>,
    ) -> Self {
        Self {
            fires: Stripes::new(),
            subscriptions: subscriptions.collect(),
            last: AtomicU64::new(0),
            looked: Mutex::default(),
            method,
        }
    }

    /// Returns where this thread counts its fires.
    #[inline]
    pub(crate) fn here(&self) -> Here<'_, 1> {
        self.fires.here()
    }

    /// Notes when a fire began.
    pub(crate) fn began(&self, at: Stamp) {
        self.last.fetch_max(at.0, Ordering::Relaxed);
    }

    /// Returns the slots whose calls are timed in the fire that begins: others in each.
    pub(crate) fn timed_slots(&self) -> Range<usize> {
        let windows = self.subscriptions.len().div_ceil(TIMED).max(1);
        let turn = self.here().get(0) / SAMPLE;
        let first = usize::try_from(turn).unwrap_or_default() % windows * TIMED;
        first..first + TIMED
    }

    /// Returns the index of the method.
    pub(crate) fn method(&self) -> usize {
        self.method
    }

    /// Returns what is counted of the subscription in a slot, if that is counted by itself.
    pub(crate) fn subscription(&self, slot: usize) -> Option<&SubscriptionMeter> {
        self.subscriptions.get(slot)?.as_deref()
    }

    /// Returns how many it has fired.
    pub(super) fn fires(&self) -> u64 {
        self.fires.sum(0)
    }

    /// Returns how many it calls.
    pub(super) fn subscribers(&self) -> usize {
        self.subscriptions.len()
    }

    /// Gives each subscription, or those that have no meter together, what it has counted.
    pub(super) fn each(
        &self,
        now: Stamp,
        mut give: impl FnMut(Option<&Arc<SubscriptionMeter>>, Unsettled),
    ) {
        let delivered = self.fires();
        let mut looked = self.looked.lock();
        let (before, at) = *looked;
        if delivered > before {
            // One of them at least began, or went on, after that.
            self.began(at);
        }
        *looked = (delivered, now);
        drop(looked);
        let last = Stamp(self.last.load(Ordering::Relaxed));
        for subscription in &self.subscriptions {
            give(subscription.as_ref(), Unsettled { delivered, last });
        }
    }
}

impl Here<'_, 1> {
    /// Counts a fire.
    #[inline]
    pub(crate) fn count(self) {
        self.add(0, 1);
    }

    /// Returns whether the next fire is to be looked at closer.
    #[inline]
    pub(crate) fn is_sample(self) -> bool {
        self.get(0) % SAMPLE == 0
    }
}
