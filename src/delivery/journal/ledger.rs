//! Which events wait for whom.

use std::collections::HashMap;
use std::sync::Arc;

use super::backlog::Backlog;
use super::chronicle::{Chronicle, Followers, Past};
use crate::model::SubscriptionId;
use crate::store::record::queue::{Addressee, QueueMemory, QueueRecord};

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
    /// The past events of classes; numbered as queues are.
    pub(super) chronicles: HashMap<u32, Chronicle>,
    pub(super) followers: Followers,
}

/// What is to be written now that a queue is done with an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Nobody waits for the event any more.
    pub(super) removal: bool,
    /// What the queue remembers has changed.
    pub(super) memory: bool,
}

impl Ledger {
    /// Returns the queue of a subscription, made now if it has none.
    pub(super) fn queue_of(&mut self, id: SubscriptionId, name: &Arc<str>) -> &mut Backlog {
        let number = match self.by_subscription.get(&id) {
            Some(number) => *number,
            None => self.add(self.next_queue(), id, name),
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

    /// Returns a number that no queue has had.
    pub(super) fn next_queue(&self) -> u32 {
        self.last_queue + 1
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
    pub(super) fn take_in(&mut self, past: Past, addressees: &[Addressee]) -> bool {
        let event = past.number;
        let (mut count, mut unknown) = (0, false);
        for addressee in addressees {
            // One that was given up may have followers still.
            count += self.reenter(addressee.queue, past, addressees);
            if self.chronicles.contains_key(&addressee.queue) {
                continue;
            }
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

    /// Notes that one more waits for each of these, which are stored.
    pub(super) fn wait_also(&mut self, events: Vec<Number>) {
        for event in events {
            *self.waited_for.entry(event).or_default() += 1;
        }
    }

    /// Notes that one less waits for each of these. Returns those for which nobody waits now.
    pub(super) fn let_go(&mut self, events: impl IntoIterator<Item = Number>) -> Vec<Number> {
        let is_left = |event: &Number| {
            let Some(count) = self.waited_for.get_mut(event) else {
                return false;
            };
            *count -= 1;
            let is_left = *count == 0;
            if is_left {
                self.waited_for.remove(event);
            }
            is_left
        };
        events.into_iter().filter(is_left).collect()
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
        self.unfollow(number);
        let left = self.let_go(queue.all());
        Some((queue, left))
    }

    /// Says of a queue that it has had none of these past events, in their order, though it has had
    /// all of its own up to a later one.
    pub(super) fn limit_had(&mut self, queue: u32, past: &[Number]) {
        let Self {
            waited_for, queues, ..
        } = self;
        let (Some(first), Some(backlog)) = (past.first(), queues.get_mut(&queue)) else {
            return;
        };
        if *first <= backlog.until {
            let range = *first..=backlog.until;
            let known = waited_for.keys().copied();
            let had = known.filter(|it| range.contains(it) && past.binary_search(it).is_err());
            backlog.limit_had(first - 1, had);
        }
    }

    /// Returns what is to be stored under a number.
    pub(super) fn record(&mut self, number: u32) -> Option<QueueRecord> {
        match self.chronicles.get(&number) {
            Some(chronicle) => Some(chronicle.record()),
            None => self.memory(number).map(QueueRecord::Queue),
        }
    }

    /// Notes that what is to be stored under a number is.
    pub(super) fn set_stored(&mut self, number: u32) {
        if let Some(queue) = self.queues.get_mut(&number) {
            queue.is_stored = true;
        } else if let Some(chronicle) = self.chronicles.get_mut(&number) {
            chronicle.is_stored = true;
        }
    }

    /// Returns what is to be stored of a queue.
    fn memory(&mut self, queue: u32) -> Option<QueueMemory> {
        let Self {
            waited_for, queues, ..
        } = self;
        let queue = queues.get_mut(&queue)?;
        let first = queue.first();
        let until = first.map_or(queue.last_done, |first| {
            queue.last_done.min(first.saturating_sub(1))
        });
        let until = until.max(queue.until);
        queue.until = until;
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
            follows: queue.follows.clone(),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::value::InterfaceId;

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

    fn past(number: Number) -> Past {
        Past {
            number,
            interface: InterfaceId::from_u128(0),
            time: SystemTime::UNIX_EPOCH,
            size: 1,
        }
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
        assert!(!ledger.take_in(past(7), &to(&[1, 2])));
        assert!(
            !ledger.take_in(past(8), &to(&[3])),
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
            first.take_in(past(event), &to(&[1, 2]));
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
            second.take_in(past(event), &to(&[1, 2]));
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
            ledger.take_in(past(event), &to(&[1]));
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
        ledger.take_in(past(1), &to(&[1, 2]));
        ledger.take_in(past(2), &to(&[1]));
        let (gone, left) = ledger.remove(SubscriptionId::from_u128(1)).unwrap();
        assert_eq!((gone.number, gone.waiting(), left), (1, 2, vec![2]));
        assert_eq!(ledger.done(2, 1), REMOVAL);
    }
}
