//! All subscriptions of a method, as publisher filters and views see them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::plan::Plan;
use super::prepared::Prepared;
use super::site::Sites;
use crate::model::SubscriptionId;
use crate::store::Trash;
use crate::sync::{ArcSwapOption, Guard};
use crate::value::drop_quietly;

/// The subscriptions of a method that are switched on, in the order of calling, as records.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) entries: Box<[Arc<SubscriptionEntry>]>,
    /// When the channel's subscriptions changed last.
    pub(crate) generation: u64,
}

/// The subscriptions of a method that are switched on, in the order of calling, ready to be called.
pub(crate) struct Members<I: ?Sized> {
    pub(super) roll: Arc<Roll>,
    slots: Vec<Prepared<I>>,
    sites: Sites,
    /// Place -> the same with its filter, where that is in the index alone. An index says which of
    /// its subscriptions an event reaches, and not whether it reaches one: what a publisher filter
    /// fires is asked one by one. Empty if no filter is in an index.
    whole: Vec<OnceLock<Box<Prepared<I>>>>,
}

/// The members of each method, made when a publisher filter or a view asks for them.
pub(super) struct MembersCache<I: ?Sized> {
    methods: Box<[ArcSwapOption<Members<I>>]>,
    /// Drawn from the same numbers by all channels, so that it rises also where one channel takes
    /// the place of another.
    generation: AtomicU64,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl<I: Facet + ?Sized> Channel<I> {
    /// Returns the subscriptions of a method that are served, for who selects among them.
    pub(crate) fn members(&self, method: usize) -> Guard<Option<Arc<Members<I>>>> {
        let present = self.members.present(method);
        if present.is_some() {
            return present;
        }
        let roster = self.roster.lock();
        let generation = self.members.generation();
        let called = |plan: &Plan| plan.is_called_for(method);
        let (sites, mut called) = (roster.sites.clone(), roster.select(called));
        drop(roster);
        called.sort_by_cached_key(|prepared| prepared.entry.rank());
        let made = Arc::new(Members::new(called, sites, generation));
        let roster = self.roster.lock();
        let displaced = self.members.keep(method, &made);
        drop(roster);
        drop(displaced);
        Guard::from_inner(Some(made))
    }
}

impl<I: Facet + ?Sized> Members<I> {
    pub(super) fn new(slots: Vec<Prepared<I>>, sites: Sites, generation: u64) -> Self {
        let entries = slots.iter().map(|slot| Arc::clone(&slot.entry)).collect();
        let whole = match slots.iter().any(Prepared::is_stripped) {
            true => slots.iter().map(|_| OnceLock::new()).collect(),
            false => Vec::new(),
        };
        Self {
            roll: Arc::new(Roll {
                entries,
                generation,
            }),
            slots,
            sites,
            whole,
        }
    }

    /// Returns who is to be called at a place, if there is nothing to ask before.
    #[inline]
    pub(super) fn at_hand(&self, place: u32) -> Option<(SubscriptionId, &I)> {
        let slot = self.slots.get(place as usize)?;
        let target = slot.at_hand().filter(|_| !slot.is_filtered())?;
        Some((slot.id, target))
    }

    /// Returns the subscription at a place, with its filter.
    pub(super) fn get(&self, place: u32) -> Option<&Prepared<I>> {
        let slot = self.slots.get(place as usize)?;
        if !slot.is_stripped() {
            return Some(slot);
        }
        let whole = self.whole.get(place as usize)?;
        Some(whole.get_or_init(|| Box::new(slot.whole(&self.sites))))
    }
}

impl<I: ?Sized> Members<I> {
    /// Returns the subscriptions as they lie here, some perhaps without their filters.
    pub(super) fn slots(&self) -> &[Prepared<I>] {
        &self.slots
    }
}

impl<I: Facet + ?Sized> MembersCache<I> {
    pub(super) fn new(methods: usize) -> Self {
        Self {
            methods: (0..methods).map(|_| ArcSwapOption::empty()).collect(),
            generation: AtomicU64::new(next()),
        }
    }

    /// Returns the members of a method, if they were asked for since the last change.
    pub(super) fn present(&self, method: usize) -> Guard<Option<Arc<Members<I>>>> {
        self.methods
            .get(method)
            .map_or_else(|| Guard::from_inner(None), ArcSwapOption::load)
    }

    /// Keeps members that were made, unless something has changed meanwhile. The channel's roster
    /// is locked, and what this returns is dropped when it is not.
    pub(super) fn keep(&self, method: usize, made: &Arc<Members<I>>) -> Option<Arc<Members<I>>> {
        if made.roll.generation != self.generation() {
            return None;
        }
        self.methods.get(method)?.swap(Some(Arc::clone(made)))
    }

    /// Notes a change: what was made before is gone when the call that asked for the change
    /// returns.
    pub(super) fn clear(&self, trash: &mut Trash) {
        self.generation.store(next(), Ordering::Release);
        let present = self.methods.iter().filter_map(|it| it.swap(None));
        present.for_each(|members| trash.add(members));
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Whoever lets go last drops the targets, as for a snapshot of the cache.
impl<I: ?Sized> Drop for Members<I> {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        drop_quietly((slots, std::mem::take(&mut self.whole)));
    }
}

fn next() -> u64 {
    GENERATIONS.fetch_add(1, Ordering::Relaxed)
}
