//! The subscriptions of a channel, made ready, and the lanes that follow from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catch_up::Seating;
use super::entry::{Rank, SubscriptionEntry};
use super::facet::Facet;
use super::indexed::{FilterIndex, IndexState};
use super::lane::{IndexedLane, Lane};
use super::metrics::ChannelMeter;
use super::plan::Plan;
use super::prepared::Prepared;
use super::roster_index::{Rebinding, RosterIndex};
use super::site::Sites;
use super::steering::Conduct;
use super::surroundings::Surroundings;
use super::target::Components;
use crate::cache::SubscriptionCache;
use crate::model::{ComponentId, EventClass, Firing};
use crate::store::Trash;
use crate::sync::Mutex;

/// From how many filtered subscriptions on a channel finds them by index.
///
/// Below, looking at each costs about as much as looking the event up: a filter that ends at its
/// first part takes a few nanoseconds, a look-up of one or two values about a hundred, and the
/// index has its own order to make.
const INDEX_FROM: usize = 64;

/// With how few it is given up: far fewer, so that one that comes and goes does not make it anew.
const INDEX_TO: usize = INDEX_FROM / 2;

/// How many subscriptions an index takes in while no fire can look at it: about a millisecond.
pub(crate) const SECTION: usize = 1_000;

/// The subscriptions of a channel, made ready; resting ones too, which `explain` shows.
pub(super) struct Roster<I: ?Sized> {
    pub(super) sites: Sites,
    pub(super) components: Components<I>,
    /// Method -> whether the class says who selects its subscriptions, or has its events retained.
    watched: Box<[bool]>,
    /// Those that are switched off or out of their times, or whose owner is not logged on.
    resting: BTreeMap<Rank, Arc<Prepared<I>>>,
    /// Those that no index has, in the order of calling.
    loose: BTreeMap<Rank, Arc<Prepared<I>>>,
    /// How many of the loose ones have a filter; none, where there is an index.
    filtered: usize,
    indexed: Option<RosterIndex<I>>,
    /// Counts the fires of plain lanes, if anybody does.
    meter: Option<Arc<ChannelMeter>>,
}

impl<I: Facet + ?Sized> Roster<I> {
    pub(super) fn new(sites: Sites, meter: Option<Arc<ChannelMeter>>) -> Self {
        Self {
            watched: watched(&sites),
            sites,
            components: Components::default(),
            resting: BTreeMap::new(),
            loose: BTreeMap::new(),
            filtered: 0,
            indexed: None,
            meter,
        }
    }

    /// Returns whether no fire has a subscription to look at.
    pub(super) fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.indexed.is_none()
    }

    /// Returns whether there is none, resting ones included.
    pub(super) fn has_none(&self) -> bool {
        self.is_empty() && self.resting.is_empty()
    }

    /// Takes over the record of a class, of here or beside it, that says the same of the
    /// subscriptions.
    pub(super) fn adopt_class(&mut self, class: &Arc<EventClass>, trash: &mut Trash) {
        let Sites { here, others } = &mut self.sites;
        let sites = std::iter::once(here).chain(others);
        for site in sites.filter(|site| site.class.id() == class.id()) {
            trash.add(std::mem::replace(&mut site.class, Arc::clone(class)));
        }
    }

    /// Returns those that are to be kept, in the order of calling and with their filters, which are
    /// compiled without the lock.
    pub(super) fn whole(roster: &Mutex<Self>, keep: impl Fn(&Plan) -> bool) -> Vec<Prepared<I>> {
        let locked = roster.lock();
        let (sites, mut kept) = (locked.sites.clone(), locked.select(keep));
        drop(locked);
        kept.sort_by_cached_key(|prepared| prepared.entry.rank());
        kept.iter().map(|prepared| prepared.whole(&sites)).collect()
    }

    /// Returns those that are to be kept, in no order; the filters of some may be in the index
    /// alone.
    pub(super) fn select(&self, keep: impl Fn(&Plan) -> bool) -> Vec<Prepared<I>> {
        let others = self.loose.values().chain(self.resting.values());
        let others = others.map(|other| &**other).filter(|other| keep(other));
        let mut kept: Vec<_> = others.cloned().collect();
        if let Some(indexed) = &self.indexed {
            let state = indexed.index.read();
            let slots = state.slots.iter().map(|(_, slot)| slot);
            let slots = slots.filter(|slot| keep(&slot.plan));
            kept.extend(slots.filter_map(|slot| state.prepared(slot)));
        }
        kept
    }

    /// Takes some out and others in, and puts a new snapshot in place where one is needed: with an
    /// index only when one without a filter came or went.
    pub(super) fn change(
        &mut self,
        removed: &[Arc<SubscriptionEntry>],
        added: Vec<Prepared<I>>,
        cache: &SubscriptionCache<Lane<I>>,
        trash: &mut Trash,
    ) {
        let is_new = self.begin_index(&added, trash);
        let Some(index) = self.index() else {
            if self.exchange(None, removed, added, trash) {
                self.publish(cache, trash);
            }
            return;
        };
        // While no fire looks at the index.
        let mut state = index.write();
        let is_loose = self.exchange(Some(&mut state), removed, added, trash);
        if self.end_index(&state, trash) {
            self.publish(cache, trash);
            // A fire that waits here with the lane of before may miss what has moved out just now.
            state.generation += 1;
        } else if is_new || is_loose {
            self.replace(&mut state, cache, trash);
        }
    }

    /// Takes others in, before the first snapshot is put in place.
    pub(super) fn fill(&mut self, added: Vec<Prepared<I>>, trash: &mut Trash) {
        self.begin_index(&added, trash);
        let index = self.index();
        let mut state = index.as_ref().map(|index| index.write());
        self.exchange(state.as_deref_mut(), &[], added, trash);
    }

    /// Takes some out and others in, and returns whether any of them is one that is called and that
    /// no index has.
    fn exchange(
        &mut self,
        state: Option<&mut IndexState<I>>,
        removed: &[Arc<SubscriptionEntry>],
        mut added: Vec<Prepared<I>>,
        trash: &mut Trash,
    ) -> bool {
        if let (Some(state), Some(indexed)) = (state, &mut self.indexed) {
            let gone = removed.iter().filter_map(|it| indexed.remove(state, it));
            trash.add(gone.collect::<Vec<_>>());
            let filtered = added.extract_if(.., |added| added.is_filtered());
            filtered.for_each(|added| indexed.insert(state, added));
        }
        let gone = removed
            .iter()
            .filter_map(|it| remove(&mut self.resting, it));
        trash.add(gone.collect::<Vec<_>>());
        let resting = added.extract_if(.., |added| !added.entry.is_served());
        let resting = resting.map(|it| (it.entry.rank(), Arc::new(it)));
        let displaced = resting.filter_map(|(rank, it)| self.resting.insert(rank, it));
        trash.add(displaced.collect::<Vec<_>>());
        let gone: Vec<_> = removed.iter().filter_map(|it| self.take(it)).collect();
        let changed = !added.is_empty() || !gone.is_empty();
        let displaced: Vec<_> = added.into_iter().filter_map(|it| self.put(it)).collect();
        trash.add((gone, displaced));
        changed
    }

    /// Puts another in the place of each that has the component.
    pub(super) fn rebind(
        &mut self,
        component: ComponentId,
        around: &Surroundings,
        cache: &SubscriptionCache<Lane<I>>,
        seating: &mut Seating<'_, I>,
        trash: &mut Trash,
    ) {
        if !self.components.forget(component) {
            return;
        }
        let mut with = Rebinding {
            schema: &self.sites.here.schema,
            around,
            components: &mut self.components,
            seating,
        };
        let mut rebound = false;
        for prepared in self.loose.values_mut().chain(self.resting.values_mut()) {
            if prepared.is_component(component) {
                let new = Arc::new(with.renew(prepared, trash));
                trash.add(std::mem::replace(prepared, new));
                rebound = true;
            }
        }
        if let Some(indexed) = &self.indexed {
            indexed.rebind(component, &mut with, trash);
        }
        if rebound {
            self.publish(cache, trash);
        }
    }

    /// Takes singletons that were made into the snapshot.
    pub(super) fn adopt(&mut self, cache: &SubscriptionCache<Lane<I>>, trash: &mut Trash) {
        let schema = &self.sites.here.schema;
        self.loose.values().for_each(|loose| loose.adopt(schema));
        // Lanes beside an index ask every target anyway.
        if self.indexed.is_none() {
            self.publish(cache, trash);
        }
    }

    /// Puts a snapshot in place.
    pub(super) fn publish(&mut self, cache: &SubscriptionCache<Lane<I>>, trash: &mut Trash) {
        match self.index() {
            Some(index) => self.replace(&mut index.write(), cache, trash),
            None => {
                let methods = self.sites.here.schema.methods().len();
                let parallel = self.sites.here.class.firing() != Firing::Serial;
                let lanes = (0..methods).map(|method| {
                    let watched = self.watched.get(method).copied().unwrap_or_default();
                    let watched = watched || parallel;
                    Lane::new(method, self.loose.values(), watched, self.meter.as_deref())
                });
                trash.add(cache.swap(lanes));
            }
        }
    }

    fn index(&self) -> Option<Arc<FilterIndex<I>>> {
        let indexed = self.indexed.as_ref()?;
        Some(Arc::clone(&indexed.index))
    }

    /// Begins an index, which no fire knows yet, if with the added ones there are so many with a
    /// filter; returns whether it did.
    fn begin_index(&mut self, added: &[Prepared<I>], trash: &mut Trash) -> bool {
        let filtered = added.iter().filter(|added| added.is_filtered()).count();
        if self.indexed.is_some() || self.filtered + filtered < INDEX_FROM {
            return false;
        }
        let mut indexed = RosterIndex::new(&self.sites.here);
        let index = Arc::clone(&indexed.index);
        let mut state = index.write();
        let all = std::mem::take(&mut self.loose).into_iter();
        let (filtered, loose): (BTreeMap<_, _>, _) = all.partition(|(_, it)| it.is_filtered());
        for prepared in filtered.values() {
            indexed.insert(&mut state, Prepared::clone(prepared));
        }
        trash.add(filtered);
        self.loose = loose;
        self.filtered = 0;
        self.indexed = Some(indexed);
        true
    }

    /// Gives the index up if few are left in it, and returns whether it did.
    fn end_index(&mut self, state: &IndexState<I>, trash: &mut Trash) -> bool {
        let left = self.indexed.as_ref().map(|it| it.len());
        if left.is_none_or(|left| left >= INDEX_TO) {
            return false;
        }
        for prepared in state.slots.iter().filter_map(|(_, it)| state.prepared(it)) {
            let whole = prepared.whole(&self.sites);
            trash.add(self.put(whole));
        }
        trash.add(self.indexed.take());
        true
    }

    /// Puts a snapshot of the next generation in place while the index is locked, so that no fire
    /// brings a lane and an index together that do not belong together.
    fn replace(
        &mut self,
        state: &mut IndexState<I>,
        cache: &SubscriptionCache<Lane<I>>,
        trash: &mut Trash,
    ) {
        let Some(indexed) = &mut self.indexed else {
            return;
        };
        indexed.generation += 1;
        let generation = indexed.generation;
        let unordered = self.sites.here.class.is_unordered();
        let lanes = (0..state.methods.len()).map(|method| {
            let loose = self.loose.values();
            let loose = loose.filter(|prepared| prepared.is_called_for(method));
            let loose = loose.cloned().collect();
            Lane::Indexed(IndexedLane::new(
                &indexed.index,
                generation,
                loose,
                unordered,
            ))
        });
        trash.add(cache.swap(lanes));
        state.generation = generation;
    }

    /// Takes one out of the loose ones.
    fn take(&mut self, entry: &Arc<SubscriptionEntry>) -> Option<Arc<Prepared<I>>> {
        let taken = remove(&mut self.loose, entry)?;
        self.filtered -= usize::from(taken.is_filtered());
        Some(taken)
    }

    /// Puts one among the loose ones, and returns what it displaces, not to be dropped here: its
    /// target is the user's.
    fn put(&mut self, prepared: Prepared<I>) -> Option<Arc<Prepared<I>>> {
        self.filtered += usize::from(prepared.is_filtered());
        let displaced = self.loose.insert(prepared.entry.rank(), Arc::new(prepared));
        if let Some(displaced) = &displaced {
            self.filtered -= usize::from(displaced.is_filtered());
        }
        displaced
    }
}

/// Takes a subscription out, unless another one has its place by now.
fn remove<I: ?Sized>(
    ranked: &mut BTreeMap<Rank, Arc<Prepared<I>>>,
    entry: &Arc<SubscriptionEntry>,
) -> Option<Arc<Prepared<I>>> {
    let rank = entry.rank();
    let is_it = Arc::ptr_eq(&ranked.get(&rank)?.entry, entry);
    is_it.then(|| ranked.remove(&rank)).flatten()
}

fn watched(sites: &Sites) -> Box<[bool]> {
    let site = &sites.here;
    let methods = site.schema.methods().iter();
    methods
        .map(|method| !Conduct::new(site, method).is_empty())
        .collect()
}
