//! Subscriptions by their keys.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::publish::{SubscriptionEntry, SubscriptionKey};

/// A set of subscriptions, found by the keys in their entries: of a million, each id is held once.
#[derive(Default)]
pub(crate) struct Entries {
    hasher: DefaultHashBuilder,
    table: HashTable<Arc<SubscriptionEntry>>,
}

impl Entries {
    /// Returns the subscription of this key, or of this id if it is nobody's own.
    pub(crate) fn get(&self, key: impl Into<SubscriptionKey>) -> Option<&Arc<SubscriptionEntry>> {
        let key = key.into();
        self.table.find(hash(&self.hasher, key), has(key))
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
        let hash = |entry: &Arc<SubscriptionEntry>| hash(&self.hasher, entry.key());
        self.table.reserve(more, hash);
    }

    /// Adds a subscription whose key no other one has.
    pub(super) fn insert(&mut self, entry: Arc<SubscriptionEntry>) {
        let hasher = &self.hasher;
        let hash = |entry: &Arc<SubscriptionEntry>| hash(hasher, entry.key());
        self.table.insert_unique(hash(&entry), entry, hash);
    }

    /// Takes a subscription out.
    pub(super) fn remove(&mut self, key: SubscriptionKey) -> Option<Arc<SubscriptionEntry>> {
        let found = self.table.find_entry(hash(&self.hasher, key), has(key));
        let (entry, _) = found.ok()?.remove();
        if self.table.is_empty() {
            // Gives back what a million needed.
            self.table = HashTable::new();
        }
        Some(entry)
    }
}

fn has(key: SubscriptionKey) -> impl Fn(&Arc<SubscriptionEntry>) -> bool {
    move |entry| entry.record.id() == key.id && entry.object() == key.object
}

/// Publisher objects may each have a subscription of one id, so the object counts where there is
/// one.
fn hash(hasher: &DefaultHashBuilder, key: SubscriptionKey) -> u64 {
    match key.object {
        None => hasher.hash_one(key.id),
        Some(_) => hasher.hash_one(key),
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
