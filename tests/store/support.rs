//! Sinks and short words that several modules use.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use loosely::testing::Watchdog;
use loosely::{Batch, Commit, CommitSink, Listing, Revision, Store, Trash};

pub(crate) fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

pub(crate) fn delete(key: &str) -> Batch {
    let mut batch = Batch::new();
    batch.delete(key);
    batch
}

pub(crate) fn value(store: &dyn Store, key: &str) -> Option<String> {
    let entry = store.get(key.as_bytes()).unwrap()?;
    Some(String::from_utf8(entry.value).unwrap())
}

pub(crate) type Pairs = BTreeMap<String, (String, Revision)>;

/// Returns everything under a prefix, and fails if it did not come in key order.
pub(crate) fn pairs(store: &dyn Store, prefix: &str) -> Pairs {
    let mut pairs = Pairs::new();
    let mut last = None;
    store
        .scan(prefix.as_bytes(), &mut |key, entry| {
            let key = String::from_utf8(key.to_vec()).unwrap();
            assert!(last.as_ref() < Some(&key), "{last:?} before {key}");
            last = Some(key.clone());
            let value = String::from_utf8(entry.value).unwrap();
            pairs.insert(key, (value, entry.revision));
            ControlFlow::Continue(())
        })
        .unwrap();
    pairs
}

pub(crate) fn watchdog() -> Watchdog {
    Watchdog::new()
}

/// A sink that mirrors what it is told.
#[derive(Default)]
pub(crate) struct Mirror {
    seen: Mutex<Seen>,
}

#[derive(Default, Clone)]
pub(crate) struct Seen {
    pub(crate) pairs: Pairs,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) listings: usize,
    pub(crate) failed_listings: usize,
    /// What the last of these said.
    pub(crate) failure: Option<String>,
}

impl Mirror {
    pub(crate) fn attached(store: &dyn Store, prefix: &str) -> Arc<Self> {
        let mirror = Arc::new(Self::default());
        store.attach(prefix.as_bytes(), mirror.clone()).unwrap();
        mirror
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl CommitSink for Mirror {
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, trash: &mut Trash) {
        let pairs: Result<Pairs, _> = listing
            .map(|item| {
                let (key, entry) = item?;
                let key = String::from_utf8_lossy(&key).into_owned();
                let value = String::from_utf8_lossy(&entry.value).into_owned();
                Ok::<_, loosely::Error>((key, (value, entry.revision)))
            })
            .collect();
        let mut seen = self.seen.lock().unwrap();
        match pairs {
            Ok(pairs) => {
                trash.add(std::mem::replace(&mut seen.pairs, pairs));
                seen.revisions.push(revision);
                seen.listings += 1;
            }
            Err(error) => {
                seen.failed_listings += 1;
                seen.failure = Some(error.to_string());
            }
        }
    }

    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash) {
        let mut seen = self.seen.lock().unwrap();
        for change in commit.changes() {
            let key = String::from_utf8_lossy(change.key()).into_owned();
            match change.value() {
                Some(value) => {
                    let value = String::from_utf8_lossy(value).into_owned();
                    trash.add(seen.pairs.insert(key, (value, commit.revision())));
                }
                None => trash.add(seen.pairs.remove(&key)),
            }
        }
        seen.revisions.push(commit.revision());
    }
}
