//! What the subscriptions of a channel ask for, whatever its type.

use std::sync::Arc;

use super::channel::Channel;
use super::facet::Facet;
use super::hit::Hit;
use super::indexed::FilterIndex;
use super::lane::Lane;
use super::prepared::Prepared;
use super::privates::ObjectId;
use crate::cache::SubscriptionCache;
use crate::clock::Alarm;
use crate::filter::Path;
use crate::index::{Collected, PredicateIndex};

/// What can be asked about its subscriptions of a channel.
pub(crate) trait Demanded {
    /// Returns what rings at the changes after which an answer may be another.
    fn pulse(&self) -> &Arc<Alarm>;

    /// Calls `ask`, which calls no user's code, with what is asked of a method at this moment.
    fn demand(&self, of: Asker, method: usize, ask: &mut dyn FnMut(Demand<'_>));

    /// Looks at all ranges that filters of a method have at `path`.
    fn cover(&self, of: Asker, method: usize, path: &Path);
}

/// Whose subscriptions ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Everybody,
    /// The private ones of a publisher object.
    Object(ObjectId),
}

/// What is asked of a method.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Demand<'a> {
    /// How many subscriptions want every event; those whose filter says nothing are in the index.
    pub(crate) unfiltered: usize,
    /// The filters of the others, if there are others.
    pub(crate) filters: Option<&'a PredicateIndex<Hit>>,
    /// What stays as long as numbers of constants do.
    pub(crate) identity: Option<&'a Arc<()>>,
}

/// What is asked by a few subscriptions, which have no index to find them.
///
/// Made on the first question, and gone with the snapshot that they are in.
#[derive(Debug)]
pub(crate) struct Few {
    unfiltered: usize,
    filters: PredicateIndex<Hit>,
    identity: Arc<()>,
}

impl Few {
    fn new<I: ?Sized>(method: usize, slots: &[Arc<Prepared<I>>]) -> Self {
        let mut filters = PredicateIndex::new();
        let mut unfiltered = 0;
        for (place, slot) in (0..).zip(slots) {
            let predicate = slot.predicate(method);
            // What does not match may end what its trigger has seen.
            match predicate.filter(|_| slot.is_filtered()) {
                Some(predicate) => {
                    filters.insert(predicate, Hit::loose(slot.entry.order, place));
                }
                None => unfiltered += usize::from(slot.suspended().is_none()),
            }
        }
        filters.cover_all();
        Self {
            unfiltered,
            filters,
            identity: Arc::default(),
        }
    }

    fn demand(&self) -> Demand<'_> {
        Demand {
            unfiltered: self.unfiltered,
            filters: Some(&self.filters),
            identity: Some(&self.identity),
        }
    }
}

impl<I: Facet + ?Sized> Demanded for Channel<I> {
    fn pulse(&self) -> &Arc<Alarm> {
        self.pulse.alarm()
    }

    fn demand(&self, of: Asker, method: usize, ask: &mut dyn FnMut(Demand<'_>)) {
        match of {
            Asker::Everybody => demand(&self.cache, method, ask),
            Asker::Object(object) => match self.private_of(object) {
                Some(private) => demand(&private.cache, method, ask),
                None => ask(Demand::default()),
            },
        }
    }

    fn cover(&self, of: Asker, method: usize, path: &Path) {
        match of {
            Asker::Everybody => cover(&self.cache, method, path),
            Asker::Object(object) => {
                if let Some(private) = self.private_of(object) {
                    cover(&private.cache, method, path);
                }
            }
        }
    }
}

fn demand<I: Facet + ?Sized>(
    cache: &SubscriptionCache<Lane<I>>,
    method: usize,
    ask: &mut dyn FnMut(Demand<'_>),
) {
    loop {
        let snapshot = cache.load();
        match snapshot.method(method) {
            None => return ask(Demand::default()),
            Some(Lane::Plain { slots, .. }) => {
                return ask(Demand {
                    unfiltered: slots.len(),
                    ..Demand::default()
                });
            }
            Some(Lane::Guarded { slots, few, .. }) => {
                return ask(few
                    .get_or_init(|| Box::new(Few::new(method, slots)))
                    .demand());
            }
            Some(Lane::Indexed(lane)) => {
                let state = lane.index.read();
                // Otherwise the snapshot was replaced: load it again, as a fire does.
                if state.generation == lane.generation {
                    return ask(Demand {
                        unfiltered: lane.unfiltered,
                        filters: state.methods.get(method),
                        identity: Some(lane.index.identity()),
                    });
                }
            }
        }
    }
}

fn cover<I: ?Sized>(cache: &SubscriptionCache<Lane<I>>, method: usize, path: &Path) {
    let snapshot = cache.load();
    let Some(Lane::Indexed(lane)) = snapshot.method(method) else {
        return;
    };
    let index = Arc::clone(&lane.index);
    // Not held for as long as that takes: it would be what a change waits for.
    drop(snapshot);
    index.cover(method, path);
}

impl<I: ?Sized> FilterIndex<I> {
    /// Looks at all ranges that filters of a method have at `path`, a part at a time, so that
    /// neither a change nor a fire waits for long.
    fn cover(&self, method: usize, path: &Path) {
        let _alone = self.covering.lock();
        let known = |filters: &PredicateIndex<Hit>| filters.ranges(path, 0).is_ok();
        if self.read().methods.get(method).is_none_or(known) {
            return;
        }
        if let Some(filters) = self.write().methods.get_mut(method) {
            filters.begin_cover(path);
        }
        let (mut found, mut from) = (Collected::default(), Some(0));
        while let Some(at) = from {
            let state = self.read();
            let filters = state.methods.get(method);
            from = filters.and_then(|filters| filters.collect_cover(path, at, &mut found));
        }
        if let Some(filters) = self.write().methods.get_mut(method) {
            filters.end_cover(path, found);
        }
    }
}
