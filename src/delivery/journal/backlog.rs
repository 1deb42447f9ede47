//! What waits for one subscription.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use super::chronicle::Past;
use super::ledger::Number;
use super::receipt::Addressed;
use crate::delivery::Desk;
use crate::model::{Queued, SubscriptionId};
use crate::store::record::queue::{Follow, QueueMemory, Tries};

/// What waits for one subscription.
pub(super) struct Backlog {
    pub(super) number: u32,
    pub(super) id: SubscriptionId,
    pub(super) name: Arc<str>,
    pub(super) terms: Option<Arc<Queued>>,
    /// Where its events are delivered from; none while nobody receives.
    pub(super) desk: Option<Weak<Desk>>,
    /// Those that are not in memory.
    pub(super) tail: VecDeque<Number>,
    /// Those that are in the lane, in a hand, or on their way there.
    pub(super) fed: BTreeSet<Number>,
    /// Of those, what nobody has put into the lane yet.
    pub(super) fresh: VecDeque<Addressed>,
    /// Those that wait for their next attempt and let others pass.
    pub(super) later: BTreeSet<Number>,
    /// Rises when what was fed is taken back.
    pub(super) epoch: u64,
    /// Whether somebody was told that it is full, since when it was.
    pub(super) is_told_full: bool,
    /// Those of a class of which nobody receives now.
    pub(super) stranded: BTreeSet<Number>,
    /// Rises when somebody comes who may receive them.
    pub(super) seatings: u64,
    /// How many are being written.
    pub(super) reserved: usize,
    /// What was tried with those that failed.
    pub(super) tries: HashMap<Number, Tries>,
    /// Those that it has had, though it has not had all before, and others wait for.
    pub(super) done: BTreeSet<Number>,
    pub(super) last_done: Number,
    /// It has had all of its events up to this one, as far as is stored.
    pub(super) until: Number,
    /// Whether a thread is filling the lane.
    pub(super) is_feeding: bool,
    /// Whether one will, when a pause is over.
    pub(super) is_put_off: bool,
    /// Whether it is known to the store.
    pub(super) is_stored: bool,
    /// Which past events are its own though they do not name it.
    pub(super) follows: Vec<Follow>,
    /// How many past events wait, which count for no capacity, and the last number of one.
    past: (usize, Number),
}

/// How many events of a queue are in memory: enough for its threads to be at work while the next
/// are read, and little where thousands of subscribers are behind.
pub(super) const WINDOW: usize = 256;

impl Backlog {
    pub(super) fn new(number: u32, id: SubscriptionId, name: &Arc<str>) -> Self {
        Self {
            number,
            id,
            name: Arc::clone(name),
            terms: None,
            desk: None,
            tail: VecDeque::new(),
            fed: BTreeSet::new(),
            fresh: VecDeque::new(),
            stranded: BTreeSet::new(),
            seatings: 0,
            later: BTreeSet::new(),
            epoch: 0,
            is_told_full: false,
            reserved: 0,
            tries: HashMap::new(),
            done: BTreeSet::new(),
            last_done: 0,
            until: 0,
            is_feeding: false,
            is_put_off: false,
            is_stored: false,
            follows: Vec::new(),
            past: (0, 0),
        }
    }

    /// Takes over what was stored.
    pub(super) fn remember(&mut self, memory: QueueMemory) {
        self.until = memory.until;
        self.last_done = memory.done.last().copied().unwrap_or(memory.until);
        self.done = memory.done.into_iter().collect();
        self.tries = memory.tries.into_iter().collect();
        self.follows = memory.follows;
    }

    /// Says of which events it has had up to that one: of those `had` that anybody knows, since
    /// others up to there are its own now.
    pub(super) fn limit_had(&mut self, until: Number, had: impl Iterator<Item = Number>) {
        self.until = until;
        self.done.extend(had);
    }

    pub(super) fn has_had(&self, event: Number) -> bool {
        event <= self.until || self.done.contains(&event)
    }

    /// Returns how many events wait.
    pub(super) fn waiting(&self) -> usize {
        self.tail.len() + self.fed.len() + self.later.len() + self.stranded.len()
    }

    /// Returns all events that wait.
    pub(super) fn all(&self) -> Vec<Number> {
        let all = self.tail.iter().chain(&self.fed).chain(&self.later);
        all.chain(&self.stranded).copied().collect()
    }

    /// Returns whether an event waits, or is in a hand.
    pub(super) fn is_waiting_for(&self, event: Number) -> bool {
        let mut sets = [&self.fed, &self.later, &self.stranded].into_iter();
        self.tail.binary_search(&event).is_ok() || sets.any(|set| set.contains(&event))
    }

    /// Has these past events wait, but for those that it has or has had. Returns those that do.
    pub(super) fn begin_with(&mut self, follow: Follow, mut past: Vec<Number>) -> Vec<Number> {
        self.follows.push(follow);
        past.retain(|event| !self.has_had(*event) && !self.is_waiting_for(*event));
        let mut all = Vec::from(std::mem::take(&mut self.tail));
        all.extend(&past);
        all.sort_unstable();
        self.tail = all.into();
        self.note_past(&past);
        past
    }

    /// Has a past event wait that it has followed before.
    pub(super) fn wait_for_past(&mut self, event: Number) {
        self.wait_for(event);
        self.note_past(&[event]);
    }

    fn note_past(&mut self, events: &[Number]) {
        let last = events.iter().copied().max().unwrap_or_default();
        self.past = (self.past.0 + events.len(), self.past.1.max(last));
    }

    /// Notes that an event is its own though it does not name it.
    pub(super) fn extend_follow(&mut self, chronicle: u32, past: &Past) {
        let mut follows = self.follows.iter_mut();
        let is_it = |it: &&mut Follow| it.chronicle == chronicle && it.interface == past.interface;
        if let Some(follow) = follows.find(is_it) {
            follow.through = follow.through.max(past.number);
        }
    }

    /// Returns whether an event that does not name it is its own.
    pub(super) fn has_followed(&self, chronicle: u32, past: &Past) -> bool {
        self.follows.iter().any(|it| {
            it.chronicle == chronicle
                && it.interface == past.interface
                && (it.from..=it.through).contains(&past.number)
        })
    }

    /// Returns whether the next event can go to the lane as it is.
    pub(super) fn has_room(&self) -> bool {
        let is_seated = self.desk.as_ref().is_some_and(|it| it.strong_count() > 0);
        is_seated && self.tail.is_empty() && self.fed.len() < WINDOW
    }

    /// Returns whether there is room in the lane for those that are in the store alone.
    pub(super) fn is_hungry(&self) -> bool {
        self.fed.len() <= WINDOW / 2
    }

    /// Takes out what is to be put into the lane next and is in the store alone.
    pub(super) fn next_to_read(&mut self) -> Vec<Number> {
        if !self.is_hungry() {
            return Vec::new();
        }
        let room = WINDOW.saturating_sub(self.fed.len());
        let next: Vec<_> = self.tail.drain(..room.min(self.tail.len())).collect();
        self.fed.extend(&next);
        next
    }

    /// Returns whether as many wait as may.
    pub(super) fn is_full(&self) -> bool {
        let capacity = self.terms.as_ref().map_or(usize::MAX, |it| it.capacity());
        (self.waiting() + self.reserved).saturating_sub(self.past.0) >= capacity
    }

    /// Returns the first event that waits.
    pub(super) fn first(&self) -> Option<Number> {
        let firsts = [
            self.tail.front().copied(),
            self.fed.first().copied(),
            self.later.first().copied(),
            self.stranded.first().copied(),
        ];
        firsts.into_iter().flatten().min()
    }

    pub(super) fn leave(&mut self, event: Number) -> bool {
        let left = self.take_out(event);
        if left && event <= self.past.1 {
            self.past.0 = self.past.0.saturating_sub(1);
        }
        left
    }

    fn take_out(&mut self, event: Number) -> bool {
        let sets = [&mut self.fed, &mut self.later, &mut self.stranded];
        if sets.into_iter().any(|set| set.remove(&event)) {
            return true;
        }
        let place = self.tail.binary_search(&event);
        place.is_ok_and(|place| self.tail.remove(place).is_some())
    }

    /// Has an event wait behind those that were accepted before.
    pub(super) fn wait_for(&mut self, event: Number) {
        if self.tail.back().is_none_or(|last| *last < event) {
            self.tail.push_back(event);
        } else if let Err(place) = self.tail.binary_search(&event) {
            self.tail.insert(place, event);
        }
    }

    /// Puts an event that was fed back to those that are not.
    pub(super) fn put_back(&mut self, event: Number) {
        if self.fed.remove(&event) || self.later.remove(&event) {
            self.wait_for(event);
        }
    }

    /// Puts all events back at once that were fed: what is still on its way is nobody's. Returns
    /// those that were on their way to the lane, to be dropped without a lock.
    #[must_use]
    pub(super) fn take_back(&mut self) -> VecDeque<Addressed> {
        self.epoch += 1;
        let mut fed = std::mem::take(&mut self.fed);
        fed.append(&mut self.later);
        fed.into_iter().for_each(|event| self.wait_for(event));
        std::mem::take(&mut self.fresh)
    }

    /// Has an event that waits for its next attempt let others pass, or not any more.
    pub(super) fn set_later(&mut self, event: Number, is_later: bool) {
        let (from, to) = match is_later {
            true => (&mut self.fed, &mut self.later),
            false => (&mut self.later, &mut self.fed),
        };
        if from.remove(&event) {
            to.insert(event);
        }
    }

    /// Has those of which nobody received be tried again.
    pub(super) fn unstrand(&mut self) {
        self.seatings += 1;
        let stranded = std::mem::take(&mut self.stranded);
        stranded.into_iter().for_each(|event| self.wait_for(event));
    }

    pub(super) fn tries(&self, event: Number) -> Option<&Tries> {
        self.tries.get(&event)
    }

    pub(super) fn tries_mut(&mut self, event: Number) -> &mut Tries {
        self.tries.entry(event).or_default()
    }
}
