//! The publisher-side cache: who is called for which method, ready to be called.
//!
//! # The coherence contract
//!
//! A fire that begins after `store`, `ensure`, `import`, `remove`, `enable`, `disable` or a guard's
//! drop returned never sees the state before; one that began earlier finishes with what it found.
//! That holds for both kinds of channel:
//!
//! - *Few filters.* A [`SubscriptionCache`] holds one immutable [`Snapshot`]: for each method a
//!   lane with all its subscriptions. A fire loads it once and uses it to its end. A change makes a
//!   new snapshot and swaps it in before its call returns.
//! - *Many filters.* Those with a filter are in an index, which is changed in place under its write
//!   lock; the lanes of the snapshot have the rest. A fire reads its event first, then locks the
//!   index for reading. What it finds are numbers of slots, and with them it takes one snapshot of
//!   each [`SlotTable`]: that is its match result. It holds no lock when it calls, and what a
//!   number names stays the same to the end of the fire. What was removed meanwhile is dropped when
//!   the last snapshot that has it goes.
//!
//! Lane and index carry a generation. What moves between them (a subscription gets a filter or
//! loses it, the index begins or ends) does so under the write lock, and raises both. A fire that
//! finds a lane of one generation and an index of another loads its snapshot again, so it sees
//! every subscription in exactly one place.
//!
//! # Several changes at once
//!
//! All that one commit changes for a channel is seen together: by one swap or under one lock, up to
//! a thousand subscriptions. A larger commit, which is an import or a removal by criteria, is taken
//! in by sections of so many; a fire between two of them sees the first without the second. What
//! replaces a subscription is in the section in which that goes, so no fire misses both or calls
//! both. A channel without subscriptions takes everything in at once. In each case all of it is
//! seen when the call returned.
//!
//! Across channels nothing is promised: of a subscription to an interface from any class, one class
//! may know before another.
//!
//! # What it costs
//!
//! The reader pays one `ArcSwap::load`, which takes no lock and shares no counter with other
//! publishers. A kept `arc_swap::Cache` would save it, but would hold the targets of a replaced
//! snapshot until that publisher's next fire. The writer takes the replaced snapshot out and hands
//! it to its caller, who drops it where no lock is held: user code may hide in a target's drop.

mod slots;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use smallvec::SmallVec;

pub(crate) use self::slots::{Root, SlotTable, Slots};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{ArcSwap, Guard};
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
