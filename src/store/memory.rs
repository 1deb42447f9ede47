//! The engine that keeps everything in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use parking_lot::RwLock;

use super::engine::{Engine, RawChange, RawPair};
use crate::error::{Error, ErrorKind, Result};

/// Keeps pairs in memory; they are gone with it.
#[derive(Default)]
pub struct MemoryEngine {
    pairs: RwLock<Pairs>,
}

/// None once closed.
struct Pairs(Option<BTreeMap<Vec<u8>, Vec<u8>>>);

impl MemoryEngine {
    /// Returns an engine without pairs.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.pairs.read().open()?.get(key).cloned())
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
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Ok(page)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        let mut pairs = self.pairs.write();
        let pairs = pairs.0.as_mut().ok_or_else(closed)?;
        for (key, value) in changes {
            match value {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
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
    fn open(&self) -> Result<&BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.as_ref().ok_or_else(closed)
    }
}

impl Default for Pairs {
    fn default() -> Self {
        Self(Some(BTreeMap::new()))
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs.read();
        let len = pairs.0.as_ref().map(BTreeMap::len);
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
    fn every_operation_after_close_is_closed() {
        let engine = MemoryEngine::new();
        engine.close().unwrap();
        assert_eq!(engine.get(b"a").unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(engine.apply(&[]).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(engine.sync().unwrap_err().kind(), ErrorKind::Closed);
        engine.close().unwrap();
    }
}
