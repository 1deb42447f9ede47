//! What waits in a lane, in order.

use std::collections::{HashMap, VecDeque};

use super::lane::Gap;
pub(crate) use super::queue::Entry;
use super::queue::Queue;
use crate::value::ValueKey;

/// Events that wait, each behind those of the same key, and whose turn it is.
pub(super) enum Line<T> {
    /// All are of one key.
    Single(Queue<T>),
    Keyed(Keyed<T>),
}

pub(super) struct Keyed<T> {
    queues: HashMap<ValueKey, Queue<T>>,
    /// The keys whose turn it is, each once.
    ready: VecDeque<ValueKey>,
    items: usize,
}

impl<T> Line<T> {
    pub(super) fn new(keyed: bool) -> Self {
        match keyed {
            false => Self::Single(Queue::default()),
            true => Self::Keyed(Keyed {
                queues: HashMap::new(),
                ready: VecDeque::new(),
                items: 0,
            }),
        }
    }

    /// Returns whether events of different keys may be in different hands.
    pub(super) fn is_keyed(&self) -> bool {
        matches!(self, Self::Keyed(_))
    }

    /// Returns how many events wait.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(queue) => queue.items,
            Self::Keyed(keyed) => keyed.items,
        }
    }

    /// Returns whether nothing waits and nobody is at what waited.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Single(queue) => !queue.told,
            Self::Keyed(keyed) => keyed.queues.is_empty(),
        }
    }

    /// Adds an event, and returns whether somebody is to be told.
    #[inline]
    pub(super) fn push(&mut self, item: T, key: &ValueKey) -> bool {
        match self {
            Self::Single(queue) => queue.push(item),
            Self::Keyed(keyed) => keyed.push(item, key),
        }
    }

    /// Puts an event in the place of the last one of its key that waits, which it returns; without
    /// one it returns the event itself as an error.
    pub(super) fn replace(&mut self, item: T, key: &ValueKey) -> Result<T, T> {
        let queue = match self {
            // Of which key each is was not kept.
            Self::Single(_) => None,
            Self::Keyed(keyed) => keyed.queues.get_mut(key),
        };
        match queue {
            Some(queue) => queue.replace(item),
            None => Err(item),
        }
    }

    /// Takes out the oldest event of the key, or of those whose turn it is; a gap is left.
    pub(super) fn drop_oldest(&mut self, key: &ValueKey) -> Option<(T, Gap)> {
        match self {
            Self::Single(queue) => queue.drop_oldest(),
            Self::Keyed(keyed) => keyed.drop_oldest(key),
        }
    }

    /// Leaves a gap where the newest event of the key would stand.
    pub(super) fn miss(&mut self, key: &ValueKey) -> Gap {
        match self {
            Self::Single(queue) => queue.miss(),
            Self::Keyed(keyed) => match keyed.queues.get_mut(key) {
                Some(queue) => queue.miss(),
                // Where nothing of the key waits there is nowhere to say it: keys are many.
                None => Gap::Begins,
            },
        }
    }

    /// Takes the next events of one key, up to `max`, after those of `done` were seen to, and
    /// returns the key. None if there is none, and then somebody is told of the next one.
    pub(super) fn take(
        &mut self,
        done: Option<ValueKey>,
        max: usize,
        taken: &mut VecDeque<Entry<T>>,
    ) -> Option<ValueKey> {
        match self {
            Self::Single(queue) => {
                queue.take(max, taken);
                queue.told = !taken.is_empty();
                queue.told.then_some(ValueKey::ONLY)
            }
            Self::Keyed(keyed) => keyed.take(done, max, taken),
        }
    }

    /// Puts back what was taken of one key, in front of what waits of it. The key stays in the hand
    /// that it is in.
    pub(super) fn put_back(&mut self, key: &ValueKey, taken: &mut VecDeque<Entry<T>>) {
        match self {
            Self::Single(queue) => queue.put_back(taken),
            Self::Keyed(keyed) => {
                // One in hand has its queue until it is done.
                if let Some(queue) = keyed.queues.get_mut(key) {
                    let before = queue.items;
                    queue.put_back(taken);
                    keyed.items += queue.items - before;
                }
            }
        }
    }

    /// Says before the next event that so many are missing, of which nobody was told: where there
    /// are keys, of nothing, as nothing is kept of a key of which nothing waits.
    pub(super) fn owe(&mut self, missed: u64) {
        if let Self::Single(queue) = self {
            match queue.entries.front_mut() {
                Some(Entry::Gap(count)) => *count += missed,
                _ => queue.entries.push_front(Entry::Gap(missed)),
            }
        }
    }

    /// Takes out the events that wait of which `is_out` is true.
    pub(super) fn take_out(&mut self, is_out: impl Fn(&T) -> bool) -> Vec<T> {
        match self {
            Self::Single(queue) => queue.take_out(&is_out),
            Self::Keyed(keyed) => {
                let queues = keyed.queues.values_mut();
                let out: Vec<_> = queues.flat_map(|queue| queue.take_out(&is_out)).collect();
                keyed.items -= out.len();
                out
            }
        }
    }

    /// Takes out all events that wait.
    pub(super) fn clear(&mut self) -> Vec<T> {
        match self {
            Self::Single(queue) => queue.clear(),
            Self::Keyed(keyed) => keyed.clear(),
        }
    }
}

impl<T> Keyed<T> {
    fn push(&mut self, item: T, key: &ValueKey) -> bool {
        self.items += 1;
        let Some(queue) = self.queues.get_mut(key) else {
            let mut queue = Queue::default();
            queue.push(item);
            self.queues.insert(key.clone(), queue);
            self.ready.push_back(key.clone());
            return true;
        };
        let is_ready = queue.push(item);
        if is_ready {
            self.ready.push_back(key.clone());
        }
        is_ready
    }

    fn drop_oldest(&mut self, key: &ValueKey) -> Option<(T, Gap)> {
        let waits = |key: &&ValueKey| self.queues.get(key).is_some_and(|queue| queue.items > 0);
        // Behind those whose turn it is, what is behind the events in hand.
        let others = self.ready.iter().chain(self.queues.keys());
        let victim = std::iter::once(key).chain(others).find(waits)?.clone();
        let dropped = self.queues.get_mut(&victim)?.drop_oldest()?;
        self.items -= 1;
        Some(dropped)
    }

    fn take(
        &mut self,
        done: Option<ValueKey>,
        max: usize,
        taken: &mut VecDeque<Entry<T>>,
    ) -> Option<ValueKey> {
        if let Some(done) = done
            && let Some(queue) = self.queues.get(&done)
        {
            match queue.entries.is_empty() {
                true => drop(self.queues.remove(&done)),
                false => self.ready.push_back(done),
            }
        }
        let key = self.ready.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let before = queue.items;
        queue.take(max, taken);
        self.items -= before - queue.items;
        Some(key)
    }

    fn clear(&mut self) -> Vec<T> {
        self.items = 0;
        let all: Vec<_> = self.queues.values_mut().flat_map(Queue::clear).collect();
        // A key in hand stays until whoever has it is through.
        let ready = std::mem::take(&mut self.ready);
        for key in ready {
            self.queues.remove(&key);
        }
        all
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;
    use crate::value::ValueRef;

    fn key(text: &str) -> ValueKey {
        ValueKey::of(ValueRef::Str(text))
    }

    fn taken(line: &mut Line<u32>, done: Option<ValueKey>) -> (Option<ValueKey>, Vec<Entry<u32>>) {
        let mut taken = VecDeque::new();
        let key = line.take(done, 64, &mut taken);
        (key, taken.into())
    }

    #[test]
    fn somebody_is_told_of_the_first_event_and_again_only_when_nothing_was_left() {
        let mut line = Line::new(false);
        assert!(line.push(1, &ValueKey::ONLY) && !line.push(2, &ValueKey::ONLY));
        let (_, first) = taken(&mut line, None);
        assert_eq!(first, [Entry::Item(1), Entry::Item(2)]);
        assert!(!line.push(3, &ValueKey::ONLY) && !line.is_idle());
        assert_eq!(taken(&mut line, None).1, [Entry::Item(3)]);
        assert!(taken(&mut line, None).0.is_none() && line.is_idle());
        assert!(line.push(4, &ValueKey::ONLY));
    }

    #[test]
    fn gaps_stand_where_the_events_would() {
        let mut line = Line::new(false);
        (1..=3).for_each(|item| _ = line.push(item, &ValueKey::ONLY));
        assert_eq!(line.drop_oldest(&ValueKey::ONLY), Some((1, Gap::Begins)));
        assert_eq!(line.drop_oldest(&ValueKey::ONLY), Some((2, Gap::GoesOn)));
        assert_eq!(line.miss(&ValueKey::ONLY), Gap::Begins);
        line.push(5, &ValueKey::ONLY);
        let all = [Entry::Gap(2), Entry::Item(3), Entry::Gap(1), Entry::Item(5)];
        assert_eq!(taken(&mut line, None).1, all);
    }

    #[test]
    fn gaps_that_meet_are_one() {
        let mut line = Line::new(false);
        line.push(1, &ValueKey::ONLY);
        line.miss(&ValueKey::ONLY);
        assert_eq!(line.drop_oldest(&ValueKey::ONLY), Some((1, Gap::Begins)));
        assert_eq!(taken(&mut line, None).1, [Entry::Gap(2)]);
        assert_eq!(line.drop_oldest(&ValueKey::ONLY), None);
    }

    #[test]
    fn keys_take_turns_and_none_is_in_two_hands() {
        let (a, b) = (key("a"), key("b"));
        let mut line = Line::new(true);
        assert!(line.push(1, &a) && line.push(2, &b) && !line.push(3, &a));
        let (first, events) = taken(&mut line, None);
        assert_eq!((first.as_ref(), events.len()), (Some(&a), 2));
        assert!(!line.push(4, &a), "a is in hand");
        let (second, _) = taken(&mut line, None);
        assert_eq!(second.as_ref(), Some(&b));
        assert!(taken(&mut line, None).0.is_none());
        assert_eq!(taken(&mut line, first).1, [Entry::Item(4)]);
        assert!(taken(&mut line, second).0.is_none() && !line.is_idle());
        assert!(taken(&mut line, Some(a)).0.is_none() && line.is_idle());
    }

    #[test]
    fn oldest_of_the_same_key_gives_way_before_others() {
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let mut line = Line::new(true);
        line.push(1, &a);
        line.push(2, &b);
        assert_eq!(line.drop_oldest(&b), Some((2, Gap::Begins)));
        assert_eq!(line.drop_oldest(&c), Some((1, Gap::Begins)));
        assert_eq!((line.drop_oldest(&c), line.len()), (None, 0));
    }

    #[test]
    fn newer_event_takes_the_place_of_the_waiting_one_of_its_key() {
        let (a, b) = (key("a"), key("b"));
        let mut line = Line::new(true);
        assert_eq!(line.replace(1, &a), Err(1));
        line.push(1, &a);
        assert_eq!((line.replace(2, &a), line.replace(3, &b)), (Ok(1), Err(3)));
        assert_eq!(line.len(), 1);
        assert_eq!(taken(&mut line, None).1, [Entry::Item(2)]);
        assert_eq!(
            line.replace(4, &a),
            Err(4),
            "what is in hand stays as it is"
        );
    }

    #[test]
    fn what_is_put_back_comes_first_again() {
        let (a, b) = (key("a"), key("b"));
        for keyed in [false, true] {
            let mut line = Line::new(keyed);
            (1..=3).for_each(|item| _ = line.push(item, &a));
            let mut taken = VecDeque::new();
            let hand = line.take(None, 2, &mut taken).unwrap();
            taken.push_back(Entry::Gap(1));
            assert_eq!(line.len(), 1);
            line.put_back(&hand, &mut taken);
            assert_eq!((line.len(), taken.len()), (3, 0));
            assert!(!line.push(4, &a) && !line.is_idle(), "it is still in hand");
            assert_eq!(line.push(5, &b), keyed);
            line.take(Some(hand), 64, &mut taken);
            if keyed {
                taken.clear();
                line.take(Some(b.clone()), 64, &mut taken);
            }
            let all = [1, 2].map(Entry::Item).into_iter().chain([Entry::Gap(1)]);
            let all = all.chain([3, 4].map(Entry::Item));
            let found: Vec<_> = taken.into_iter().take(5).collect();
            assert_eq!(found, all.collect::<Vec<_>>());
        }
    }

    #[test]
    fn gap_that_is_put_back_meets_the_one_in_front() {
        let mut line = Line::new(false);
        line.push(1, &ValueKey::ONLY);
        line.push(2, &ValueKey::ONLY);
        assert_eq!(line.drop_oldest(&ValueKey::ONLY), Some((1, Gap::Begins)));
        line.put_back(&ValueKey::ONLY, &mut VecDeque::from([Entry::Gap(2)]));
        assert_eq!(taken(&mut line, None).1, [Entry::Gap(3), Entry::Item(2)]);
    }

    #[test]
    fn nothing_is_left_after_all_was_taken_out() {
        for keyed in [false, true] {
            let mut line = Line::new(keyed);
            line.push(1, &ValueKey::ONLY);
            line.miss(&ValueKey::ONLY);
            assert_eq!((line.clear(), line.len()), (vec![1], 0));
            assert!(taken(&mut line, None).0.is_none() && line.is_idle());
        }
    }
}
