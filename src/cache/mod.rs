//! The publisher-side cache: who is called for which method, ready to be called.
//!
//! # The coherence contract
//!
//! A [`SubscriptionCache`] holds one immutable [`Snapshot`], which a fire loads once and uses to its
//! end. A change makes a new snapshot and swaps it in before the call that asked for the change
//! returns. So a fire that begins after `store`, `ensure`, `remove`, `enable`, `disable` or a guard's
//! drop returned never sees the state before; one that began earlier finishes with what it loaded.
//!
//! The reader pays one `ArcSwap::load`, which takes no lock and shares no counter with other
//! publishers. A kept `arc_swap::Cache` would save it, but would hold the targets of a replaced
//! snapshot until that publisher's next fire. The writer takes the replaced snapshot out and hands
//! it to its caller, who drops it where no lock is held: user code may hide in a target's drop.

mod slots;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use smallvec::SmallVec;

pub(crate) use self::slots::{SlotTable, Slots};
use crate::value::panic_message;

/// The subscriptions of one class and interface, generic over what a slot is.
pub(crate) struct SubscriptionCache<S> {
    current: ArcSwap<Snapshot<S>>,
    swaps: AtomicU64,
}

/// The slots of each method at one moment, in the order of calling.
pub(crate) struct Snapshot<S> {
    /// Inline for small interfaces: behind the `load`, every pointer to follow is waited for.
    methods: SmallVec<[S; 4]>,
}

impl<S> SubscriptionCache<S> {
    pub(crate) fn new(methods: impl IntoIterator<Item = S>) -> Self {
        let current = ArcSwap::from_pointee(Snapshot::new(methods));
        Self {
            current,
            swaps: AtomicU64::new(0),
        }
    }

    /// Returns the present snapshot, to be used for one fire.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<Snapshot<S>>> {
        self.current.load()
    }

    /// Puts a new snapshot in place and returns the old one, to be dropped without a lock.
    pub(crate) fn swap(&self, methods: impl IntoIterator<Item = S>) -> Arc<Snapshot<S>> {
        self.swaps.fetch_add(1, Ordering::Relaxed);
        self.current.swap(Arc::new(Snapshot::new(methods)))
    }

    /// Returns how often the snapshot was replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.swaps.load(Ordering::Relaxed)
    }
}

impl<S> Snapshot<S> {
    fn new(methods: impl IntoIterator<Item = S>) -> Self {
        Self {
            methods: methods.into_iter().collect(),
        }
    }

    /// Returns what is to be called for the method at this index of the interface.
    #[inline]
    pub(crate) fn method(&self, index: usize) -> Option<&S> {
        self.methods.get(index)
    }
}

/// Whoever lets go last drops the slots, and that may be a publisher at the end of a fire: a
/// subscriber whose drop panics is none of its business.
impl<S> Drop for Snapshot<S> {
    fn drop(&mut self) {
        let methods = std::mem::take(&mut self.methods);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(methods))) {
            drop(panic_message(payload));
        }
    }
}

impl<S> fmt::Debug for SubscriptionCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionCache")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
