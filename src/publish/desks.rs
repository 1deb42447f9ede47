//! The desks of a broker's subscriptions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::channel::{ChannelKey, Surroundings};
use super::entry::{SubscriptionEntry, SubscriptionKey};
use crate::delivery::{Desk, Staff};
use crate::notices::Notice;
use crate::store::Trash;
use crate::value::drop_quietly;

/// Finds the desk of a subscription that is made ready again.
pub(crate) struct Desks {
    staff: Arc<Staff>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    desks: HashMap<SubscriptionKey, Weak<Desk>>,
    ended: bool,
}

impl Desks {
    pub(crate) fn new(staff: Arc<Staff>) -> Self {
        Self {
            staff,
            state: Mutex::default(),
        }
    }

    /// Returns the desk of a subscription, a new one if it has none.
    pub(super) fn of(&self, key: SubscriptionKey) -> Arc<Desk> {
        let mut state = self.state.lock();
        let State { desks, ended } = &mut *state;
        if let Some(desk) = desks.get(&key).and_then(Weak::upgrade) {
            return desk;
        }
        if desks.len() == desks.capacity() {
            desks.retain(|_, desk| desk.strong_count() > 0);
            // Looked through again only when it has doubled.
            desks.reserve(desks.len() + 1);
        }
        let desk = Desk::new(&self.staff);
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
            let (left, in_hand) = desk.clear();
            let count = left.len() + in_hand;
            drop_quietly(left);
            count
        };
        all.iter().map(count).sum()
    }

    /// Takes the seats of subscriptions that are gone, or not served any more; what waits for them
    /// is for nobody.
    pub(super) fn leave<'a>(
        &self,
        gone: impl Iterator<Item = &'a Arc<SubscriptionEntry>>,
        channel: ChannelKey,
        around: &Surroundings,
        trash: &mut Trash,
    ) {
        let Surroundings {
            notices, keeper, ..
        } = around;
        for entry in gone {
            let Some(desk) = self.find(entry.key()) else {
                continue;
            };
            let left = desk.vacate(channel.into());
            if !left.is_empty() {
                notices.push(Notice::LaneDiscarded {
                    id: entry.record.id().uuid(),
                    name: entry.record.name().to_owned(),
                    count: left.len() as u64,
                });
            }
            let trigger = desk.is_vacant().then(|| desk.without_trigger());
            if trigger.as_ref().is_some_and(Option::is_some) {
                keeper.forget(entry.record.id());
            }
            trash.add((left, trigger, desk));
        }
    }
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let desks = self.state.lock().desks.len();
        f.debug_struct("Desks").field("desks", &desks).finish()
    }
}
