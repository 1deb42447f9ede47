//! What is known of each key, of a bounded number of them.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

/// A state for each key, found by the bytes of the key; the one that was used least recently gives
/// way to one that is too many.
pub(super) struct KeyTable<S> {
    /// The places of the keys in `slots`.
    places: HashTable<u32>,
    slots: Vec<Slot<S>>,
    /// The place that was given up last, from which the `older` ones follow.
    free: u32,
    newest: u32,
    oldest: u32,
    hasher: DefaultHashBuilder,
    max: usize,
}

struct Slot<S> {
    /// None, if it is free.
    state: Option<S>,
    hash: u64,
    key: SmallVec<[u8; INLINE]>,
    newer: u32,
    older: u32,
}

/// As long as the key of a number, or of a name of ordinary length.
const INLINE: usize = 32;

/// No place.
const NONE: u32 = u32::MAX;

impl<S> KeyTable<S> {
    /// Returns a table of at most so many keys; more than there are places for need more memory
    /// than there is.
    pub(super) fn new(max: usize) -> Self {
        Self {
            places: HashTable::new(),
            slots: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            hasher: DefaultHashBuilder::default(),
            max: max.clamp(1, NONE as usize - 1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns the place of a key.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &u32| {
            let slot = &self.slots[*place as usize];
            slot.hash == hash && slot.key[..] == *key
        };
        self.places.find(hash, is_it).copied()
    }

    /// Returns the state at a place that a key has.
    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut S> {
        self.slots.get_mut(place as usize)?.state.as_mut()
    }

    /// Makes the key at a place the one that was used most recently.
    #[inline]
    pub(super) fn touch(&mut self, place: u32) {
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
    }

    /// Returns the place that was used least recently, and its state.
    pub(super) fn oldest(&self) -> Option<(u32, &S)> {
        let slot = self.slots.get(self.oldest as usize)?;
        Some((self.oldest, slot.state.as_ref()?))
    }

    /// Adds a key, of which there is none yet, and returns its place; beside it the place and the
    /// state that had to give way.
    pub(super) fn insert(&mut self, key: &[u8], state: S) -> (u32, Option<(u32, S)>) {
        let displaced = match self.len() >= self.max {
            true => Some(self.oldest),
            false => None,
        };
        let displaced = displaced.and_then(|place| Some((place, self.remove(place)?)));
        let hash = self.hasher.hash_one(key);
        let slot = Slot {
            state: Some(state),
            hash,
            key: SmallVec::from_slice(key),
            newer: NONE,
            older: NONE,
        };
        let place = self.put(slot);
        self.link(place);
        let slots = &self.slots;
        let hash_of = |place: &u32| slots[*place as usize].hash;
        self.places.insert_unique(hash, place, hash_of);
        (place, displaced)
    }

    /// Takes the key at a place out.
    pub(super) fn remove(&mut self, place: u32) -> Option<S> {
        let slot = self.slots.get_mut(place as usize)?;
        let state = slot.state.take()?;
        let hash = slot.hash;
        slot.key = SmallVec::new();
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        self.unlink(place);
        self.slots[place as usize].older = self.free;
        self.free = place;
        Some(state)
    }

    /// Returns keys and states, those that were used least recently first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &S)> {
        let slot = |place: u32| self.slots.get(place as usize);
        let all = std::iter::successors(slot(self.oldest), move |last| slot(last.newer));
        all.filter_map(|slot| Some((&slot.key[..], slot.state.as_ref()?)))
    }

    /// Takes all states out.
    pub(super) fn clear(&mut self) -> Vec<S> {
        self.places.clear();
        (self.free, self.newest, self.oldest) = (NONE, NONE, NONE);
        let slots = std::mem::take(&mut self.slots);
        slots.into_iter().filter_map(|slot| slot.state).collect()
    }

    fn put(&mut self, slot: Slot<S>) -> u32 {
        let place = self.free;
        match self.slots.get_mut(place as usize) {
            Some(free) => {
                self.free = free.older;
                *free = slot;
                place
            }
            None => {
                self.slots.push(slot);
                // There are no more of them than fit.
                self.slots.len() as u32 - 1
            }
        }
    }

    fn link(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
        let slot = &mut self.slots[place as usize];
        (slot.newer, slot.older) = (NONE, older);
    }

    fn unlink(&mut self, place: u32) {
        let slot = &self.slots[place as usize];
        let (newer, older) = (slot.newer, slot.older);
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

impl<S> fmt::Debug for KeyTable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable")
            .field("keys", &self.len())
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;

    fn all(table: &KeyTable<u32>) -> Vec<(&[u8], u32)> {
        table.iter().map(|(key, state)| (key, *state)).collect()
    }

    #[test]
    fn key_that_was_used_least_recently_gives_way() {
        let mut table = KeyTable::new(2);
        table.insert(b"a", 1);
        table.insert(b"b", 2);
        let a = table.find(b"a").unwrap();
        table.touch(a);
        let (_, displaced) = table.insert(b"c", 3);
        assert_eq!(displaced.map(|(_, state)| state), Some(2));
        assert_eq!(all(&table), [(&b"a"[..], 1), (b"c", 3)]);
        assert!(table.find(b"b").is_none());
        assert_eq!(table.oldest().map(|(_, state)| *state), Some(1));
    }

    #[test]
    fn places_are_taken_again_and_the_order_stays() {
        let mut table = KeyTable::new(100);
        for (state, key) in (0..).zip([b"a", b"b", b"c", b"d"]) {
            table.insert(key, state);
        }
        for key in [b"b", b"d"] {
            let place = table.find(key).unwrap();
            assert!(table.remove(place).is_some() && table.remove(place).is_none());
        }
        table.insert(&[7; 100], 7);
        table.insert(b"", 8);
        let expected = [(&b"a"[..], 0), (b"c", 2), (&[7; 100], 7), (b"", 8)];
        assert_eq!(all(&table), expected);
        assert_eq!((table.slots.len(), table.len()), (4, 4));
        let long = table.find(&[7; 100]).unwrap();
        *table.get_mut(long).unwrap() = 9;
        assert_eq!(table.clear().len(), 4);
        assert!(table.find(b"a").is_none() && table.oldest().is_none());
        table.insert(b"a", 1);
        assert_eq!(all(&table), [(&b"a"[..], 1)]);
    }
}
