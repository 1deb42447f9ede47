//! Where the subscriptions of an index are in it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::index::EntryId;
use crate::model::SubscriptionId;

/// Where the filters of a subscription are.
pub(super) enum Places {
    /// In the index of this method.
    One(usize, EntryId),
    Several(Box<[(usize, EntryId)]>),
}

/// Subscription -> its slot and its places.
///
/// The ids are not held here: `id_of` gives the one of a slot.
#[derive(Default)]
pub(super) struct Registered {
    hasher: DefaultHashBuilder,
    slots: HashTable<u32>,
    /// Slot -> where its filters are.
    places: Vec<Option<Places>>,
}

impl Registered {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the slot of a subscription.
    pub(super) fn slot(
        &self,
        id: SubscriptionId,
        id_of: impl Fn(u32) -> Option<SubscriptionId>,
    ) -> Option<u32> {
        let is_it = |slot: &u32| id_of(*slot) == Some(id);
        self.slots.find(self.hasher.hash_one(id), is_it).copied()
    }

    /// Notes a subscription whose slot is filled already.
    pub(super) fn insert(
        &mut self,
        id: SubscriptionId,
        slot: u32,
        places: Places,
        id_of: impl Fn(u32) -> Option<SubscriptionId>,
    ) {
        let hasher = &self.hasher;
        let rehash = |slot: &u32| hasher.hash_one(id_of(*slot).unwrap_or(id));
        self.slots.insert_unique(hasher.hash_one(id), slot, rehash);
        let place = slot as usize;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        self.places[place] = Some(places);
    }

    /// Forgets the subscription of a slot, and returns where it was.
    pub(super) fn remove(&mut self, id: SubscriptionId, slot: u32) -> Option<Places> {
        let hash = self.hasher.hash_one(id);
        if let Ok(entry) = self.slots.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        let places = self.places.get_mut(slot as usize)?.take();
        if self.slots.is_empty() {
            // Gives back what a million needed.
            *self = Self::default();
        }
        places
    }
}

impl Places {
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, EntryId)> {
        let (one, several) = match self {
            Self::One(method, place) => (Some((*method, *place)), &[][..]),
            Self::Several(places) => (None, &**places),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

impl FromIterator<(usize, EntryId)> for Places {
    fn from_iter<T: IntoIterator<Item = (usize, EntryId)>>(places: T) -> Self {
        let places: smallvec::SmallVec<[_; 4]> = places.into_iter().collect();
        match places.as_slice() {
            [(method, place)] => Self::One(*method, *place),
            several => Self::Several(several.into()),
        }
    }
}
