//! The subscriptions of a channel, made ready, and the lanes that follow from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::facet::Facet;
use super::indexed::{IndexState, IndexedMethod};
use super::lane::{IndexedLane, Lane};
use super::prepared::{Prepared, Rank, SubscriptionEntry};
use super::site::Sites;
use crate::cache::SubscriptionCache;
use crate::store::Trash;

/// From how many filtered subscriptions on a channel finds them by index.
///
/// Below, looking at each costs about as much as looking the event up: a filter that ends at its first
/// part takes a few nanoseconds, a look-up of one or two values about a hundred, and the index has
/// its own order to make.
const INDEX_FROM: usize = 64;

/// The subscriptions of a channel, made ready; disabled ones too, which `explain` shows.
pub(super) struct Roster<I: ?Sized> {
    pub(super) sites: Sites,
    /// All of them in the order of calling.
    all: BTreeMap<Rank, Arc<Prepared<I>>>,
    /// How many of them have a filter.
    filtered: usize,
    indexed: Option<Indexed<I>>,
}

/// What there is beside `all` when filtered subscriptions are found by index.
struct Indexed<I: ?Sized> {
    /// Those without a filter, in the order of calling.
    loose: BTreeMap<Rank, Arc<Prepared<I>>>,
    methods: Box<[Arc<IndexedMethod<I>>]>,
    generation: u64,
}

impl<I: Facet + ?Sized> Roster<I> {
    pub(super) fn new(sites: Sites) -> Self {
        Self {
            sites,
            all: BTreeMap::new(),
            filtered: 0,
            indexed: None,
        }
    }

    /// Returns all of them in the order of calling.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Prepared<I>>> + Clone {
        self.all.values()
    }

    /// Takes some out and others in, and puts a new snapshot in place where one is needed.
    pub(super) fn change(
        &mut self,
        removed: &[Arc<SubscriptionEntry>],
        added: Vec<Arc<Prepared<I>>>,
        cache: &SubscriptionCache<Lane<I>>,
        trash: &mut Trash,
    ) {
        let mut removed: Vec<_> = removed
            .iter()
            .filter_map(|entry| self.remove(entry))
            .collect();
        for prepared in &added {
            self.filtered += usize::from(prepared.is_filtered());
            let displaced = self.all.insert(prepared.entry.rank(), Arc::clone(prepared));
            // Counted out like any other, and not dropped here: its target is the user's.
            if let Some(displaced) = displaced {
                self.filtered -= usize::from(displaced.is_filtered());
                removed.push(displaced);
            }
        }
        match &mut self.indexed {
            Some(indexed) => {
                let unordered = self.sites.here.class.is_unordered();
                indexed.change(&removed, &added, unordered, cache, trash);
            }
            None => self.publish(cache, trash),
        }
        trash.add((removed, added));
    }

    /// Puts another in the place of each of which `rebind` makes one.
    pub(super) fn rebind(
        &mut self,
        rebind: impl Fn(&Prepared<I>) -> Option<Prepared<I>>,
        cache: &SubscriptionCache<Lane<I>>,
        trash: &mut Trash,
    ) {
        let rebound: Vec<_> = self
            .iter()
            .filter_map(|prepared| Some((prepared, rebind(prepared)?)))
            .collect();
        let removed: Vec<_> = rebound
            .iter()
            .map(|(old, _)| Arc::clone(&old.entry))
            .collect();
        let added: Vec<_> = rebound.into_iter().map(|(_, new)| Arc::new(new)).collect();
        if !added.is_empty() {
            self.change(&removed, added, cache, trash);
        }
    }

    /// Puts a snapshot in place, with an index if there are filtered subscriptions enough.
    pub(super) fn publish(&mut self, cache: &SubscriptionCache<Lane<I>>, trash: &mut Trash) {
        let methods = self.sites.here.schema.methods().len();
        if self.indexed.is_none() && self.filtered >= INDEX_FROM {
            self.indexed = Some(Indexed::new(methods, self.iter()));
        }
        match &mut self.indexed {
            Some(indexed) => {
                let unordered = self.sites.here.class.is_unordered();
                let mut states: Vec<_> = indexed.methods.iter().map(|m| m.write()).collect();
                trash.add(replace(
                    &mut indexed.generation,
                    &indexed.loose,
                    &indexed.methods,
                    &mut states,
                    unordered,
                    cache,
                ));
            }
            None => {
                let lanes = (0..methods).map(|method| Lane::new(method, self.iter()));
                trash.add(cache.swap(lanes));
            }
        }
    }

    fn remove(&mut self, entry: &Arc<SubscriptionEntry>) -> Option<Arc<Prepared<I>>> {
        let rank = entry.rank();
        let present = self.all.get(&rank)?;
        if !Arc::ptr_eq(&present.entry, entry) {
            return None;
        }
        self.filtered -= usize::from(present.is_filtered());
        self.all.remove(&rank)
    }
}

impl<I: Facet + ?Sized> Indexed<I> {
    fn new<'a>(methods: usize, all: impl Iterator<Item = &'a Arc<Prepared<I>>>) -> Self {
        let methods: Box<[_]> = (0..methods)
            .map(|_| Arc::new(IndexedMethod::new()))
            .collect();
        let mut loose = BTreeMap::new();
        let mut states: Vec<_> = methods.iter().map(|method| method.write()).collect();
        for prepared in all {
            if prepared.is_filtered() {
                insert(&mut states, prepared);
            } else {
                loose.insert(prepared.entry.rank(), Arc::clone(prepared));
            }
        }
        drop(states);
        Self {
            loose,
            methods,
            generation: 0,
        }
    }

    /// Applies a change while no fire looks at an index. A new snapshot is needed only when one
    /// without a filter came or went.
    fn change(
        &mut self,
        removed: &[Arc<Prepared<I>>],
        added: &[Arc<Prepared<I>>],
        unordered: bool,
        cache: &SubscriptionCache<Lane<I>>,
        trash: &mut Trash,
    ) {
        let mut loose_changed = false;
        let mut states: Vec<_> = self.methods.iter().map(|method| method.write()).collect();
        for prepared in removed {
            if prepared.is_filtered() {
                states
                    .iter_mut()
                    .for_each(|state| state.remove(prepared.id, trash));
            } else {
                loose_changed |= self.loose.remove(&prepared.entry.rank()).is_some();
            }
        }
        for prepared in added {
            if prepared.is_filtered() {
                insert(&mut states, prepared);
            } else {
                self.loose
                    .insert(prepared.entry.rank(), Arc::clone(prepared));
                loose_changed = true;
            }
        }
        if loose_changed {
            trash.add(replace(
                &mut self.generation,
                &self.loose,
                &self.methods,
                &mut states,
                unordered,
                cache,
            ));
        }
    }
}

fn insert<I: ?Sized>(
    states: &mut [RwLockWriteGuard<'_, IndexState<I>>],
    prepared: &Arc<Prepared<I>>,
) {
    for (method, predicate) in prepared.predicates() {
        if let Some(state) = states.get_mut(*method) {
            state.insert(predicate, prepared);
        }
    }
}

/// Puts a snapshot of the next generation in place while the indexes are locked, so that no fire
/// brings a lane and an index together that do not belong together.
fn replace<I: ?Sized>(
    generation: &mut u64,
    loose: &BTreeMap<Rank, Arc<Prepared<I>>>,
    methods: &[Arc<IndexedMethod<I>>],
    states: &mut [RwLockWriteGuard<'_, IndexState<I>>],
    unordered: bool,
    cache: &SubscriptionCache<Lane<I>>,
) -> Arc<crate::cache::Snapshot<Lane<I>>> {
    *generation += 1;
    let lanes = methods.iter().enumerate().map(|(method, filtered)| {
        let loose = loose
            .values()
            .filter(|prepared| prepared.is_called_for(method));
        Lane::Indexed(IndexedLane {
            loose: loose.cloned().collect(),
            filtered: Arc::clone(filtered),
            generation: *generation,
            unordered,
        })
    });
    let old = cache.swap(lanes);
    states
        .iter_mut()
        .for_each(|state| state.belong_to(*generation));
    old
}
