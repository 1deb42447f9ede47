//! The desks of a broker's subscriptions.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::entry::{SubscriptionEntry, SubscriptionKey};
use super::keeper::Keeper;
use super::surroundings::ChannelKey;
use crate::delivery::{Desk, Journal, Staff};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::value::drop_quietly;

/// Finds the desk of a subscription that is made ready again.
pub(crate) struct Desks {
    staff: Arc<Staff>,
    journal: Arc<Journal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    desks: HashMap<SubscriptionKey, Weak<Desk>>,
    ended: bool,
}

impl Desks {
    pub(crate) fn new(staff: Arc<Staff>, journal: &Arc<Journal>) -> Self {
        Self {
            staff,
            journal: Arc::clone(journal),
            state: Mutex::default(),
        }
    }

    /// Returns the desk of a subscription, a new one if it has none.
    pub(super) fn of(&self, entry: &SubscriptionEntry) -> Arc<Desk> {
        let (key, name) = (entry.key(), entry.record.shared_name());
        let mut state = self.state.lock();
        let State { desks, ended } = &mut *state;
        if let Some(desk) = desks.get(&key).and_then(Weak::upgrade) {
            desk.rename(name);
            return desk;
        }
        if desks.len() == desks.capacity() {
            desks.retain(|_, desk| desk.strong_count() > 0);
            // Looked through again only when it has doubled.
            desks.reserve(desks.len() + 1);
        }
        let desk = Desk::new(key.id, name, &self.staff);
        desks.insert(key, Arc::downgrade(&desk));
        if *ended {
            desk.shut();
        }
        desk
    }

    /// Returns the desk of a subscription, if it has one.
    pub(crate) fn find(&self, key: SubscriptionKey) -> Option<Arc<Desk>> {
        let state = self.state.lock();
        // A look that costs nothing where nobody has one.
        let desk = (!state.desks.is_empty()).then(|| state.desks.get(&key));
        desk??.upgrade()
    }

    /// Returns whether the subscription has a lane, into which a fire that began before may still
    /// put something.
    pub(super) fn has_lane(&self, key: SubscriptionKey) -> bool {
        self.find(key).is_some_and(|desk| desk.lane().is_some())
    }

    /// Returns all desks.
    pub(crate) fn all(&self) -> Vec<Arc<Desk>> {
        let state = self.state.lock();
        state.desks.values().filter_map(Weak::upgrade).collect()
    }

    /// Has no desk accept anything any more.
    pub(crate) fn shut(&self) {
        self.state.lock().ended = true;
        self.all().iter().for_each(|desk| desk.shut());
    }

    /// Waits until nothing waits at any desk and nothing is being delivered but by calls that were
    /// abandoned, and returns whether that is so; without a time for as long as it takes.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        let is_drained = || self.all().iter().all(|desk| desk.is_drained());
        self.staff.idle.wait(until, is_drained)
    }

    /// Returns whether nothing is to be delivered at any desk by now.
    pub(crate) fn is_idle(&self) -> bool {
        self.all().iter().all(|desk| desk.rests())
    }

    /// Gives up what waits and returns how many events that were.
    pub(crate) fn clear(&self) -> usize {
        let all = self.all();
        let count = |desk: &Arc<Desk>| {
            let (left, lost) = desk.clear();
            drop_quietly(left);
            lost
        };
        all.iter().map(count).sum()
    }

    /// Takes the seats of subscriptions that are gone, or not served any more; what waits for them
    /// is for nobody.
    pub(super) fn leave<'a>(
        &self,
        gone: impl Iterator<Item = &'a Arc<SubscriptionEntry>>,
        channel: ChannelKey,
        keeper: &Keeper,
        trash: &mut Trash,
    ) {
        let desks = gone.filter_map(|entry| self.find(entry.key()));
        desks.for_each(|desk| self.vacate(desk, channel, keeper, trash));
    }

    /// As [`leave`](Self::leave), of all that have a seat there and are not among those that are
    /// served.
    pub(super) fn leave_but(
        &self,
        served: &HashSet<SubscriptionKey>,
        channel: ChannelKey,
        keeper: &Keeper,
        trash: &mut Trash,
    ) {
        let state = self.state.lock();
        let desks = state.desks.iter().filter(|(key, _)| !served.contains(key));
        let desks: Vec<_> = desks.filter_map(|(_, desk)| desk.upgrade()).collect();
        drop(state);
        let desks = desks.into_iter();
        let here = desks.filter(|desk| desk.has_seat(channel.into()));
        here.for_each(|desk| self.vacate(desk, channel, keeper, trash));
    }

    fn vacate(&self, desk: Arc<Desk>, channel: ChannelKey, keeper: &Keeper, trash: &mut Trash) {
        let left = desk.vacate(channel.into());
        let is_vacant = desk.is_vacant();
        let queued = is_vacant.then(|| self.journal.unseat(desk.id()));
        let trigger = is_vacant.then(|| desk.without_trigger());
        if trigger.as_ref().is_some_and(Option::is_some) {
            keeper.forget(desk.id());
        }
        trash.add((left, trigger, desk));
        trash.add(queued);
    }

    /// Returns whether no subscription has one.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().desks.is_empty()
    }
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let desks = self.state.lock().desks.len();
        f.debug_struct("Desks").field("desks", &desks).finish()
    }
}
