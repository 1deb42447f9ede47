//! Which events wait for whom.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use super::receipt::Addressed;
use crate::delivery::Desk;
use crate::model::{Queued, SubscriptionId};
use crate::store::record::queue::{Addressee, QueueMemory, Tries};

/// The number of an event: those that were accepted later have greater ones.
pub(super) type Number = u64;

/// Every event that somebody waits for, and every queue.
#[derive(Default)]
pub(super) struct Ledger {
    /// How many wait for each event.
    waited_for: HashMap<Number, u32>,
    queues: HashMap<u32, Backlog>,
    by_subscription: HashMap<SubscriptionId, u32>,
    last_queue: u32,
}

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
    /// How many are being written.
    pub(super) reserved: usize,
    /// What was tried with those that failed.
    tries: HashMap<Number, Tries>,
    /// Those that it has had, though it has not had all before, and others wait for.
    done: BTreeSet<Number>,
    last_done: Number,
    /// It has had all of its events up to this one, as far as is stored.
    until: Number,
    /// Whether a thread is filling the lane.
    pub(super) is_feeding: bool,
    /// Whether it is known to the store.
    pub(super) is_stored: bool,
}

/// What is to be written now that a queue is done with an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Nobody waits for the event any more.
    pub(super) removal: bool,
    /// What the queue remembers has changed.
    pub(super) memory: bool,
}

/// How many events of a queue are in memory: enough for its threads to be at work while the next
/// are read, and little where thousands of subscribers are behind.
pub(super) const WINDOW: usize = 256;

impl Ledger {
    /// Returns the queue of a subscription, made now if it has none.
    pub(super) fn queue_of(&mut self, id: SubscriptionId, name: &Arc<str>) -> &mut Backlog {
        let number = match self.by_subscription.get(&id) {
            Some(number) => *number,
            None => self.add(self.last_queue + 1, id, name),
        };
        self.queues
            .entry(number)
            .or_insert_with(|| Backlog::new(number, id, name))
    }

    /// Adds a queue that has this number.
    pub(super) fn add(&mut self, number: u32, id: SubscriptionId, name: &Arc<str>) -> u32 {
        self.last_queue = self.last_queue.max(number);
        self.by_subscription.insert(id, number);
        self.queues.insert(number, Backlog::new(number, id, name));
        number
    }

    pub(super) fn find(&self, id: SubscriptionId) -> Option<&Backlog> {
        self.queues.get(self.by_subscription.get(&id)?)
    }

    pub(super) fn find_mut(&mut self, id: SubscriptionId) -> Option<&mut Backlog> {
        self.queues.get_mut(self.by_subscription.get(&id)?)
    }

    pub(super) fn get_mut(&mut self, queue: u32) -> Option<&mut Backlog> {
        self.queues.get_mut(&queue)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Backlog> {
        self.queues.values()
    }

    /// Returns whether an event is known that somebody waits for.
    pub(super) fn knows(&self, event: Number) -> bool {
        self.waited_for.contains_key(&event)
    }

    /// Gives queues greater numbers than this from now on.
    pub(super) fn begin_behind(&mut self, last: u32) {
        self.last_queue = self.last_queue.max(last);
    }

    /// Takes in an event that is stored, for those of its addressees who have not had it. Returns
    /// whether all have: of one whose memory cannot be read nobody knows.
    pub(super) fn take_in(&mut self, event: Number, addressees: &[Addressee]) -> bool {
        let (mut count, mut unknown) = (0, false);
        for addressee in addressees {
            let Some(queue) = self.queues.get_mut(&addressee.queue) else {
                unknown = true;
                continue;
            };
            if !queue.has_had(event) {
                queue.wait_for(event);
                count += 1;
            }
        }
        self.wait_for(event, count) && !unknown
    }

    /// Notes that so many wait for an event. Returns whether nobody does.
    pub(super) fn wait_for(&mut self, event: Number, count: u32) -> bool {
        if count > 0 {
            self.waited_for.insert(event, count);
        }
        count == 0
    }

    /// Notes that a queue is done with an event.
    pub(super) fn done(&mut self, queue: u32, event: Number) -> Due {
        let Some(backlog) = self.queues.get_mut(&queue) else {
            return Due::default();
        };
        if !backlog.leave(event) {
            return Due::default();
        }
        let had_tries = backlog.tries.remove(&event).is_some();
        let Some(count) = self.waited_for.get_mut(&event) else {
            return Due::default();
        };
        *count -= 1;
        let removal = *count == 0;
        if removal {
            self.waited_for.remove(&event);
        } else {
            backlog.last_done = backlog.last_done.max(event);
            backlog.done.insert(event);
        }
        Due {
            removal,
            memory: had_tries || !removal,
        }
    }

    /// Takes out the queue of a subscription that is gone, and returns it, to be dropped without a
    /// lock, and the events for which nobody waits now.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<(Backlog, Vec<Number>)> {
        let number = self.by_subscription.remove(&id)?;
        let queue = self.queues.remove(&number)?;
        let all = queue.tail.iter().chain(&queue.fed).chain(&queue.later);
        let all = all.chain(&queue.stranded);
        let mut left = Vec::new();
        for event in all {
            if let Some(count) = self.waited_for.get_mut(event) {
                *count -= 1;
                if *count == 0 {
                    self.waited_for.remove(event);
                    left.push(*event);
                }
            }
        }
        Some((queue, left))
    }

    /// Returns what is to be stored of a queue.
    pub(super) fn memory(&mut self, queue: u32) -> Option<QueueMemory> {
        let Self {
            waited_for, queues, ..
        } = self;
        let queue = queues.get_mut(&queue)?;
        let first = queue.first();
        let until = first.map_or(queue.last_done, |first| {
            queue.last_done.min(first.saturating_sub(1))
        });
        let until = until.max(queue.until);
        queue
            .done
            .retain(|done| *done > until && waited_for.contains_key(done));
        let mut tries: Vec<_> = queue.tries.iter().collect();
        tries.sort_unstable_by_key(|(event, _)| **event);
        Some(QueueMemory {
            subscription: queue.id,
            until,
            done: queue.done.iter().copied().collect(),
            tries: tries.into_iter().map(|(n, t)| (*n, t.clone())).collect(),
        })
    }
}

impl Backlog {
    fn new(number: u32, id: SubscriptionId, name: &Arc<str>) -> Self {
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
            later: BTreeSet::new(),
            epoch: 0,
            is_told_full: false,
            reserved: 0,
            tries: HashMap::new(),
            done: BTreeSet::new(),
            last_done: 0,
            until: 0,
            is_feeding: false,
            is_stored: false,
        }
    }

    /// Takes over what was stored.
    pub(super) fn remember(&mut self, memory: QueueMemory) {
        self.until = memory.until;
        self.last_done = memory.done.last().copied().unwrap_or(memory.until);
        self.done = memory.done.into_iter().collect();
        self.tries = memory.tries.into_iter().collect();
    }

    fn has_had(&self, event: Number) -> bool {
        event <= self.until || self.done.contains(&event)
    }

    /// Returns how many events wait.
    pub(super) fn waiting(&self) -> usize {
        self.tail.len() + self.fed.len() + self.later.len() + self.stranded.len()
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
        self.waiting() + self.reserved >= capacity
    }

    /// Returns the first event that waits.
    fn first(&self) -> Option<Number> {
        let firsts = [
            self.tail.front().copied(),
            self.fed.first().copied(),
            self.later.first().copied(),
            self.stranded.first().copied(),
        ];
        firsts.into_iter().flatten().min()
    }

    fn leave(&mut self, event: Number) -> bool {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;

    fn ledger(queues: u32) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 1..=queues {
            let id = SubscriptionId::from_u128(number.into());
            assert_eq!(ledger.queue_of(id, &Arc::from("q")).number, number);
        }
        ledger
    }

    fn to(queues: &[u32]) -> Vec<Addressee> {
        let to = |queue: &u32| Addressee {
            queue: *queue,
            lane: 0,
            why: 0,
        };
        queues.iter().map(to).collect()
    }

    const REMOVAL: Due = Due {
        removal: true,
        memory: false,
    };
    const MEMORY: Due = Due {
        removal: false,
        memory: true,
    };

    #[test]
    fn event_goes_when_the_last_who_waited_has_had_it() {
        let mut ledger = ledger(2);
        assert!(!ledger.take_in(7, &to(&[1, 2])));
        assert!(
            !ledger.take_in(8, &to(&[3])),
            "somebody may have the number"
        );
        assert_eq!(ledger.done(1, 7), MEMORY);
        assert_eq!(ledger.done(1, 7), Due::default(), "for the second time");
        assert_eq!(ledger.done(2, 7), REMOVAL);
        assert!(!ledger.knows(7));
    }

    #[test]
    fn queue_remembers_what_it_has_had_of_what_others_wait_for() {
        let mut first = ledger(2);
        for event in 1..=6 {
            first.take_in(event, &to(&[1, 2]));
        }
        for event in [1, 2, 4, 5] {
            first.done(1, event);
        }
        // Of 5 nothing has to be remembered, as it is gone.
        first.done(2, 5);
        let memory = first.memory(1).unwrap();
        assert_eq!((memory.until, &*memory.done), (2, &[4][..]));
        let mut second = ledger(2);
        second.get_mut(1).unwrap().remember(memory);
        for event in [1, 2, 3, 4, 6] {
            second.take_in(event, &to(&[1, 2]));
        }
        assert_eq!(second.get_mut(1).unwrap().tail, [3, 6]);
        assert_eq!(second.get_mut(2).unwrap().tail, [1, 2, 3, 4, 6]);
        // What is remembered never goes back.
        second.done(1, 3);
        assert_eq!(second.memory(1).unwrap().until, 4);
    }

    #[test]
    fn events_that_are_put_back_stand_where_they_stood() {
        let mut ledger = ledger(1);
        for event in 1..=5 {
            ledger.take_in(event, &to(&[1]));
        }
        let queue = ledger.get_mut(1).unwrap();
        for _ in 0..3 {
            let event = queue.tail.pop_front().unwrap();
            queue.fed.insert(event);
        }
        for event in [3, 1, 2] {
            queue.put_back(event);
        }
        assert_eq!(queue.tail, [1, 2, 3, 4, 5]);
        assert_eq!((queue.waiting(), queue.fed.len()), (5, 0));
    }

    #[test]
    fn queue_that_goes_leaves_those_for_which_nobody_waits() {
        let mut ledger = ledger(2);
        ledger.take_in(1, &to(&[1, 2]));
        ledger.take_in(2, &to(&[1]));
        let (gone, left) = ledger.remove(SubscriptionId::from_u128(1)).unwrap();
        assert_eq!((gone.number, gone.waiting(), left), (1, 2, vec![2]));
        assert_eq!(ledger.done(2, 1), REMOVAL);
    }
}
