//! A place for bytes whose power can be cut.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::{Engine, Error, ErrorKind, RawChange, RawPair, Result};

/// An [`Engine`] over memory that keeps, when its power is cut, what was synced, and of what was
/// written since no more than a beginning; a clone is the same engine.
///
/// So a test can end a program at any instant, in its own process: what the program does from then
/// on reaches the medium no more, and [`restarted`](Self::restarted) is what the next one finds.
/// [`FaultyEngine::over`](super::FaultyEngine::over) one, with [`Fault::run`](super::Fault::run),
/// cuts the power in the midst of a commit.
///
/// ```
/// use loosely::testing::VolatileEngine;
/// use loosely::{Batch, Engine, LocalStore, Store, StoreOptions};
///
/// let engine = VolatileEngine::new();
/// let open = |engine: &VolatileEngine| {
///     LocalStore::with_engine(engine.clone(), StoreOptions::new().without_copy())
/// };
/// let store = open(&engine)?;
/// let mut batch = Batch::new();
/// batch.put("color", "red");
/// store.commit(batch)?;
///
/// // Behind the store's back, and not synced.
/// engine.apply(&[(b"shape".to_vec(), Some(b"round".to_vec()))])?;
/// assert_eq!(engine.unsynced(), 1);
/// engine.cut_power(0);
/// assert!(store.sync().is_err() || store.get(b"color").is_err());
///
/// let engine = engine.restarted();
/// assert_eq!(engine.get(b"shape")?, None);
/// let color = open(&engine)?.get(b"color")?;
/// assert_eq!(color.map(|entry| entry.value), Some(b"red".to_vec()));
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct VolatileEngine {
    medium: Arc<RwLock<Medium>>,
}

#[derive(Debug, Default)]
struct Medium {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For each write since the last sync, what there was before it.
    undo: Vec<Vec<RawChange>>,
    power: Power,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Power {
    #[default]
    On,
    /// Whoever had the engine has closed it.
    Closed,
    Cut,
}

impl VolatileEngine {
    /// Returns an engine that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many writes a loss of power may take away: those that were not synced.
    pub fn unsynced(&self) -> usize {
        self.medium.read().undo.len()
    }

    /// Cuts the power: of the writes that were not synced the first `kept` stay, each whole, and
    /// the others are gone. Whatever is asked of this engine from now on is
    /// [`Unavailable`](ErrorKind::Unavailable). Where there is no power, nothing happens.
    pub fn cut_power(&self, kept: usize) {
        let mut medium = self.medium.write();
        if medium.power == Power::Cut {
            return;
        }
        medium.power = Power::Cut;
        let lost = medium.undo.len().saturating_sub(kept);
        for _ in 0..lost {
            let before = medium.undo.pop().unwrap_or_default();
            medium.put(before.into_iter());
        }
        medium.undo.clear();
    }

    /// Returns another engine over what this one holds, for the program that comes after. Where
    /// the power is on, it is cut before, and nothing stays that was not synced.
    #[must_use]
    pub fn restarted(&self) -> Self {
        self.cut_power(0);
        let restarted = Medium {
            pairs: self.medium.read().pairs.clone(),
            ..Medium::default()
        };
        Self {
            medium: Arc::new(RwLock::new(restarted)),
        }
    }
}

impl Medium {
    fn powered(&self) -> Result<()> {
        match self.power {
            Power::On => Ok(()),
            Power::Closed => Err(Error::from_store(
                ErrorKind::Closed,
                "the engine was closed",
            )),
            Power::Cut => Err(Error::from_store(
                ErrorKind::Unavailable,
                "the power is out",
            )),
        }
    }

    fn put(&mut self, changes: impl Iterator<Item = RawChange>) {
        for (key, value) in changes {
            match value {
                Some(value) => _ = self.pairs.insert(key, value),
                None => _ = self.pairs.remove(&key),
            }
        }
    }
}

impl Engine for VolatileEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let medium = self.medium.read();
        medium.powered()?;
        Ok(medium.pairs.get(key).cloned())
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        let medium = self.medium.read();
        medium.powered()?;
        let start = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let pairs = medium.pairs.range::<[u8], _>((start, Bound::Unbounded));
        let pairs = pairs.take_while(|(key, _)| key.starts_with(prefix));
        let pairs = pairs.map(|(key, value)| (key.clone(), value.clone()));
        Ok(pairs.take(limit).collect())
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        let mut medium = self.medium.write();
        medium.powered()?;
        let before = changes.iter();
        let before = before.map(|(key, _)| (key.clone(), medium.pairs.get(key).cloned()));
        let before = before.collect();
        medium.undo.push(before);
        medium.put(changes.iter().cloned());
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut medium = self.medium.write();
        medium.powered()?;
        medium.undo.clear();
        Ok(())
    }

    fn reopen(&self) -> Result<()> {
        self.medium.read().powered()
    }

    fn close(&self) -> Result<()> {
        let mut medium = self.medium.write();
        if medium.power == Power::On {
            medium.power = Power::Closed;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn put(engine: &VolatileEngine, key: &str, value: Option<&str>) {
        let value = value.map(|value| value.as_bytes().to_vec());
        engine.apply(&[(key.as_bytes().to_vec(), value)]).unwrap();
    }

    fn all(engine: &VolatileEngine) -> String {
        let pairs = engine.page(b"", None, 99).unwrap().into_iter();
        let texts = pairs.map(|(key, value)| {
            let [key, value] = [key, value].map(|bytes| String::from_utf8(bytes).unwrap());
            format!("{key}={value}")
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    fn written() -> VolatileEngine {
        let engine = VolatileEngine::new();
        put(&engine, "a", Some("1"));
        put(&engine, "b", Some("1"));
        engine.sync().unwrap();
        put(&engine, "a", None);
        put(&engine, "b", Some("2"));
        put(&engine, "a", Some("3"));
        engine
    }

    #[test]
    fn loss_of_power_leaves_what_was_synced_and_a_beginning_of_the_rest() {
        for (kept, expected) in ["a=1 b=1", "b=1", "b=2", "a=3 b=2", "a=3 b=2"]
            .into_iter()
            .enumerate()
        {
            let engine = written();
            assert_eq!(engine.unsynced(), 3);
            engine.cut_power(kept);
            engine.cut_power(9);
            assert_eq!(all(&engine.restarted()), expected);
        }
        assert_eq!(all(&written().restarted()), "a=1 b=1");
    }

    #[test]
    fn engine_without_power_takes_nothing_and_does_not_touch_what_came_after() {
        let engine = written();
        let restarted = engine.restarted();
        let refused = engine.apply(&[]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(engine.get(b"a").is_err() && engine.sync().is_err() && engine.reopen().is_err());
        engine.close().unwrap();
        put(&restarted, "c", Some("1"));
        restarted.sync().unwrap();
        restarted.close().unwrap();
        let refused = restarted.get(b"c").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert_eq!(all(&restarted.restarted()), "a=1 b=1 c=1");
    }
}
