//! The pairs of a tree, in key order.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Weak;

use super::Tree;
use super::pages::Pages;
use crate::error::Result;
use crate::store::{Entry, tree_key};

/// Some of the pairs of a [`Tree`], keys and values, in key order.
///
/// An iterator that reads 512 pairs at a time and holds no lock between. It ends at the end, or
/// behind an error of the store.
pub struct TreeRange {
    pages: Pages,
    /// Returned before the pages, which begin behind it.
    first: Option<Vec<u8>>,
    end: Bound<Vec<u8>>,
    /// How many bytes of a key of the store are not the user's.
    own: usize,
    has_ended: bool,
}

impl TreeRange {
    pub(super) fn new<K: AsRef<[u8]>>(tree: &Tree, range: impl RangeBounds<K>) -> Self {
        let key = |key: &K| tree_key::key(&tree.name, key.as_ref());
        let prefix = tree_key::key(&tree.name, b"");
        let (first, after) = match range.start_bound() {
            Bound::Included(start) => (Some(key(start)), Some(key(start))),
            Bound::Excluded(start) => (None, Some(key(start))),
            Bound::Unbounded => (None, None),
        };
        let own = prefix.len();
        Self {
            pages: Pages::new(Weak::clone(&tree.core), prefix, after),
            first,
            end: range.end_bound().map(key),
            own,
            has_ended: false,
        }
    }

    pub(super) fn starting_with(tree: &Tree, prefix: &[u8]) -> Self {
        let prefix = tree_key::key(&tree.name, prefix);
        Self {
            pages: Pages::new(Weak::clone(&tree.core), prefix, None),
            first: None,
            end: Bound::Unbounded,
            own: tree_key::key(&tree.name, b"").len(),
            has_ended: false,
        }
    }

    fn turn(&mut self) -> Result<Option<(Vec<u8>, Entry)>> {
        if let Some(first) = self.first.take()
            && let Some(entry) = self.pages.get(&first)?
        {
            return Ok(Some((first, entry)));
        }
        self.pages.next()
    }

    fn is_within(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
            Bound::Unbounded => true,
        }
    }
}

impl Iterator for TreeRange {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        match self.turn() {
            Ok(Some((mut key, entry))) if self.is_within(&key) => {
                drop(key.drain(..self.own.min(key.len())));
                Some(Ok((key, entry.value)))
            }
            outcome => {
                self.has_ended = true;
                outcome.err().map(Err)
            }
        }
    }
}

impl fmt::Debug for TreeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeRange").finish_non_exhaustive()
    }
}
