//! The engine that keeps everything in memory.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

use super::engine::{Engine, RawChange, RawPair};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::RwLock;

/// Keeps pairs in memory; they are gone with it.
#[derive(Default)]
pub struct MemoryEngine {
    pairs: RwLock<Pairs>,
}

/// None once closed.
struct Pairs(Option<BTreeSet<Pair>>);

/// A pair in one allocation, ordered and found by its key.
struct Pair {
    bytes: Box<[u8]>,
    key_len: usize,
}

impl MemoryEngine {
    /// Returns an engine without pairs.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let pairs = self.pairs.read();
        Ok(pairs.open()?.get(key).map(|pair| pair.value().to_vec()))
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        let pairs = self.pairs.read();
        let start = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let page = pairs
            .open()?
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|pair| pair.key().starts_with(prefix))
            .take(limit)
            .map(|pair| (pair.key().to_vec(), pair.value().to_vec()))
            .collect();
        Ok(page)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        let mut pairs = self.pairs.write();
        let pairs = pairs.0.as_mut().ok_or_else(closed)?;
        for (key, value) in changes {
            match value {
                Some(value) => pairs.replace(Pair::new(key, value)).is_some(),
                None => pairs.remove(key.as_slice()),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.pairs.read().open().map(|_| ())
    }

    fn reopen(&self) -> Result<()> {
        self.sync()
    }

    fn close(&self) -> Result<()> {
        self.pairs.write().0 = None;
        Ok(())
    }
}

impl Pairs {
    fn open(&self) -> Result<&BTreeSet<Pair>> {
        self.0.as_ref().ok_or_else(closed)
    }
}

impl Pair {
    fn new(key: &[u8], value: &[u8]) -> Self {
        Self {
            bytes: [key, value].concat().into_boxed_slice(),
            key_len: key.len(),
        }
    }

    fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_len).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.bytes.get(self.key_len..).unwrap_or_default()
    }
}

impl Borrow<[u8]> for Pair {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl Default for Pairs {
    fn default() -> Self {
        Self(Some(BTreeSet::new()))
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs.read();
        let len = pairs.0.as_ref().map(BTreeSet::len);
        f.debug_struct("MemoryEngine").field("len", &len).finish()
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the memory store was closed")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn keys(pairs: &[RawPair]) -> Vec<&str> {
        pairs
            .iter()
            .map(|(key, _)| std::str::from_utf8(key).unwrap())
            .collect()
    }

    #[test]
    fn pages_of_a_prefix_follow_each_other_without_gap_or_repeat() {
        let engine = MemoryEngine::new();
        let changes: Vec<RawChange> = ["a", "b", "b1", "b2", "b3", "c"]
            .map(|key| (key.as_bytes().to_vec(), Some(Vec::new())))
            .to_vec();
        engine.apply(&changes).unwrap();
        let first = engine.page(b"b", None, 2).unwrap();
        assert_eq!(keys(&first), ["b", "b1"]);
        let second = engine.page(b"b", Some(b"b1"), 2).unwrap();
        assert_eq!(keys(&second), ["b2", "b3"]);
        assert!(engine.page(b"b", Some(b"b3"), 2).unwrap().is_empty());
    }

    #[test]
    fn value_goes_to_its_key_however_alike_key_and_value_are() {
        let engine = MemoryEngine::new();
        let put = |key: &[u8], value: &[u8]| (key.to_vec(), Some(value.to_vec()));
        let changes = [put(b"a", b"bc"), put(b"ab", b"c"), put(b"abc", b"")];
        engine.apply(&changes).unwrap();
        engine.apply(&[put(b"ab", b"new")]).unwrap();
        assert_eq!(engine.get(b"a").unwrap().unwrap(), b"bc");
        assert_eq!(engine.get(b"ab").unwrap().unwrap(), b"new");
        assert_eq!(engine.get(b"abc").unwrap().unwrap(), b"");
        engine.apply(&[(b"ab".to_vec(), None)]).unwrap();
        assert_eq!(engine.get(b"ab").unwrap(), None);
        assert_eq!(keys(&engine.page(b"", None, 9).unwrap()), ["a", "abc"]);
    }

    #[test]
    fn every_operation_after_close_is_closed() {
        let engine = MemoryEngine::new();
        engine.close().unwrap();
        assert_eq!(engine.get(b"a").unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(engine.apply(&[]).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(engine.sync().unwrap_err().kind(), ErrorKind::Closed);
        engine.close().unwrap();
    }
}
