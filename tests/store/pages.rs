//! Scans that begin behind a key: the suite goes on, over every store.

use std::ops::ControlFlow;
use std::sync::Arc;

use loosely::testing::FaultyStore;
use loosely::{Batch, CommitSink, Entry, LoggedCommit, MemoryStore, Result, Revision, Store};

use crate::conformance::{Maker, suite, with_store};

suite![
    scan_after_a_key_begins_behind_it_whether_it_is_there_or_not,
    pages_of_a_long_scan_follow_each_other_without_gap_or_repeat,
];

/// Returns so many keys under a prefix behind another.
fn keys(store: &dyn Store, prefix: &[u8], after: Option<&[u8]>, most: usize) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let visit = &mut |key: &[u8], _: Entry| {
        keys.push(key.to_vec());
        if keys.len() < most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    store.scan_after(prefix, after, visit).unwrap();
    keys
}

fn check_beginnings(store: &dyn Store) {
    let mut batch = Batch::new();
    for key in ["a", "b", "b1", "b2", "c"] {
        batch.put(key, key);
    }
    batch.put([0xff], "last").put([0x01], "first");
    store.commit(batch).unwrap();
    let count = |prefix: &[u8], after: &[u8]| keys(store, prefix, Some(after), 9).len();
    assert_eq!(keys(store, b"b", Some(b"b"), 9), [b"b1", b"b2"]);
    assert_eq!(keys(store, b"b", Some(b"b0"), 9), [b"b1", b"b2"]);
    assert_eq!(keys(store, b"b", Some(b"b1"), 9), [b"b2"]);
    assert_eq!(keys(store, b"b", None, 9).len(), 3);
    // One that stands before all of them passes over none, one behind them over all.
    assert_eq!((count(b"b", b"a"), count(b"b", b"")), (3, 3));
    assert_eq!((count(b"b", b"b2"), count(b"b", b"c")), (0, 0));
    assert_eq!((count(b"", b"b2"), count(b"", b"")), (2, 7));
    assert_eq!((count(b"", b"\0"), count(b"", &[0xff])), (7, 0));
    assert_eq!(count(b"\0", b""), 0, "the store's own keys show");
}

fn scan_after_a_key_begins_behind_it_whether_it_is_there_or_not<M: Maker>() {
    with_store::<M>(|store| check_beginnings(&*store));
}

fn pages_of_a_long_scan_follow_each_other_without_gap_or_repeat<M: Maker>() {
    with_store::<M>(|store| {
        let mut batch = Batch::new();
        for n in 0..1500 {
            batch.put(format!("k/{n:05}"), "x");
        }
        store.commit(batch).unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = keys(&*store, b"k/", after.as_deref(), 100);
            if page.is_empty() {
                break;
            }
            after = page.last().cloned();
            found.extend(page);
        }
        assert_eq!(found.len(), 1500);
        assert!(found.is_sorted());
    });
}

#[test]
fn store_that_fails_on_request_passes_the_beginning_on() {
    check_beginnings(&FaultyStore::new());
}

/// Knows nothing of scans that begin behind a key.
#[derive(Debug, Default)]
struct Plain(MemoryStore);

impl Store for Plain {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        self.0.scan(prefix, visit)
    }

    fn commit(&self, batch: Batch) -> Result<Revision> {
        self.0.commit(batch)
    }

    fn revision(&self) -> Revision {
        self.0.revision()
    }

    fn attach(&self, prefix: &[u8], sink: Arc<dyn CommitSink>) -> Result<Revision> {
        self.0.attach(prefix, sink)
    }

    fn detach(&self, sink: &Arc<dyn CommitSink>) {
        self.0.detach(sink);
    }

    fn changes_since(&self, revision: Revision) -> Result<Vec<LoggedCommit>> {
        self.0.changes_since(revision)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn close(&self) -> Result<()> {
        self.0.close()
    }
}

#[test]
fn store_that_knows_no_such_scan_does_it_all_the_same() {
    check_beginnings(&Plain::default());
}
