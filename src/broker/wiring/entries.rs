//! Subscriptions by their id.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::SubscriptionId;
use crate::publish::SubscriptionEntry;

/// A set of subscriptions, found by the ids in their records: of a million, each id is held once.
#[derive(Default)]
pub(crate) struct Entries {
    hasher: DefaultHashBuilder,
    table: HashTable<Arc<SubscriptionEntry>>,
}

impl Entries {
    /// Returns the subscription of this id.
    pub(crate) fn get(&self, id: SubscriptionId) -> Option<&Arc<SubscriptionEntry>> {
        self.table.find(self.hasher.hash_one(id), has(id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns all, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<SubscriptionEntry>> {
        self.table.iter()
    }

    /// Makes room for so many more: while a table grows it asks for every id again.
    pub(super) fn reserve(&mut self, more: usize) {
        let hash = |entry: &Arc<SubscriptionEntry>| self.hasher.hash_one(entry.record.id());
        self.table.reserve(more, hash);
    }

    /// Adds a subscription whose id no other one has.
    pub(super) fn insert(&mut self, entry: Arc<SubscriptionEntry>) {
        let hasher = &self.hasher;
        let hash = |entry: &Arc<SubscriptionEntry>| hasher.hash_one(entry.record.id());
        self.table.insert_unique(hash(&entry), entry, hash);
    }

    /// Takes a subscription out.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Arc<SubscriptionEntry>> {
        let found = self.table.find_entry(self.hasher.hash_one(id), has(id));
        let (entry, _) = found.ok()?.remove();
        if self.table.is_empty() {
            // Gives back what a million needed.
            self.table = HashTable::new();
        }
        Some(entry)
    }
}

fn has(id: SubscriptionId) -> impl Fn(&Arc<SubscriptionEntry>) -> bool {
    move |entry| entry.record.id() == id
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
