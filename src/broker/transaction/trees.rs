//! What a transaction does to trees.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{Size, Transaction};
use crate::broker::access::Access;
use crate::broker::tree::{check_pair, conflict, expect};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Right;
use crate::store::{Batch, Store, tree_key};

/// A [`Tree`](crate::Tree) as a [`Transaction`] changes it; from [`Transaction::tree`].
///
/// Keys and values are as long as they may be in a tree. Through a view of a principal, writing
/// takes the right to administer, and expecting the right to read.
pub struct TransactionTree<'a> {
    transaction: &'a mut Transaction,
    name: Arc<str>,
}

/// Writes and expectations by the keys of the store; `None` is no value.
#[derive(Default)]
pub(super) struct TreeWrites {
    writes: Values,
    expected: Values,
    /// What it takes to commit them.
    rights: BTreeSet<(Right, Arc<str>)>,
    bytes: usize,
}

type Values = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl<'a> TransactionTree<'a> {
    pub(super) fn new(transaction: &'a mut Transaction, name: Arc<str>) -> Self {
        Self { transaction, name }
    }

    /// Has the commit insert or replace the value of a key.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if key or value is longer than may be, or the transaction
    /// becomes larger; [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right.
    pub fn insert(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl Into<Vec<u8>>,
    ) -> Result<&mut Self> {
        self.write(key.as_ref(), Some(value.into()))
    }

    /// Has the commit remove a key; that it is not there is no error.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Result<&mut Self> {
        self.write(key.as_ref(), None)
    }

    /// Lets the commit happen only if the key has this value then.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); [`Invalid`](ErrorKind::Invalid) also if something else is
    /// expected of the key already.
    pub fn expect(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl Into<Vec<u8>>,
    ) -> Result<&mut Self> {
        self.demand(key.as_ref(), Some(value.into()))
    }

    /// Lets the commit happen only if the key is not there then.
    ///
    /// # Errors
    ///
    /// As [`expect`](Self::expect).
    pub fn expect_absent(&mut self, key: impl AsRef<[u8]>) -> Result<&mut Self> {
        self.demand(key.as_ref(), None)
    }

    fn write(&mut self, key: &[u8], value: Option<Vec<u8>>) -> Result<&mut Self> {
        let key = self.check(Right::Administer, key, value.as_deref())?;
        let trees = &mut self.transaction.trees;
        let len = key.len();
        let before = trees.writes.get(&key);
        let had = before.map(|value| len + value.as_ref().map_or(0, Vec::len));
        let size = Size {
            keys: trees.size().keys + usize::from(had.is_none()),
            bytes: trees.bytes + len + value.as_ref().map_or(0, Vec::len) - had.unwrap_or(0),
        };
        size.and(self.transaction.size).check()?;
        trees.bytes = size.bytes;
        trees.writes.insert(key, value);
        Ok(self)
    }

    fn demand(&mut self, key: &[u8], value: Option<Vec<u8>>) -> Result<&mut Self> {
        let full = self.check(Right::Read, key, value.as_deref())?;
        let trees = &mut self.transaction.trees;
        let bytes = full.len() + value.as_ref().map_or(0, Vec::len);
        let size = trees.size().and(Size { keys: 1, bytes });
        match trees.expected.entry(full) {
            Slot::Vacant(slot) => {
                size.and(self.transaction.size).check()?;
                slot.insert(value);
                trees.bytes = size.bytes;
            }
            Slot::Occupied(slot) if *slot.get() == value => {}
            Slot::Occupied(_) => {
                let (key, name) = (key.escape_ascii(), &self.name);
                let message = format!(
                    "something else is expected of the key \"{key}\" of the tree {name:?} already"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        Ok(self)
    }

    /// Returns the key of the store, if all is as it may be.
    fn check(&mut self, right: Right, key: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>> {
        check_pair(&self.name, key, value)?;
        let broker = &self.transaction.broker;
        broker.core.check_open()?;
        let needed = (right, Arc::clone(&self.name));
        if !self.transaction.trees.rights.contains(&needed) {
            broker.access().require_tree(right, &self.name)?;
            self.transaction.trees.rights.insert(needed);
        }
        Ok(tree_key::key(&self.name, key))
    }
}

impl TreeWrites {
    pub(super) fn size(&self) -> Size {
        Size {
            keys: self.writes.len() + self.expected.len(),
            bytes: self.bytes,
        }
    }

    /// Returns Ok if all the rights are there that it takes.
    pub(super) fn require(&self, access: &Access<'_>) -> Result<()> {
        let mut rights = self.rights.iter();
        rights.try_for_each(|(right, name)| access.require_tree(*right, name))
    }

    pub(super) fn put(&self, batch: &mut Batch) {
        for (key, value) in &self.expected {
            expect(batch, key.clone(), value.as_deref());
        }
        for (key, value) in &self.writes {
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            };
        }
    }

    /// Returns the conflict of the first key that is not what is expected, if there is one now.
    pub(super) fn check(&self, store: &dyn Store) -> Result<()> {
        for (key, expected) in &self.expected {
            let found = store.get(key)?.map(|entry| entry.value);
            if found != *expected
                && let Some((name, key)) = tree_key::parse(key)
            {
                return Err(conflict(name, key));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TransactionTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionTree")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
