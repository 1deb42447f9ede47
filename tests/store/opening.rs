//! Stores opened with a sink: one reading checks everything and lists it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loosely::{
    CommitSink, Engine, Error, ErrorKind, LocalStore, MemoryEngine, Notice, Notices, RawChange,
    RawPair, Result, SledEngine, SledStore, Store, StoreOptions,
};

use crate::support::{Mirror, pairs, put};

/// Counts the pairs that are read from it, and cannot be read once it is cut.
#[derive(Debug, Default)]
struct Counting {
    inner: Arc<MemoryEngine>,
    read: Arc<AtomicUsize>,
    is_cut: Arc<AtomicBool>,
}

impl Engine for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        if self.is_cut.load(Ordering::Relaxed) {
            let error = Error::from_store(ErrorKind::Io, "cannot read a page");
            return Err(error.with_source(std::io::Error::other("cut")));
        }
        let page = self.inner.page(prefix, after, limit)?;
        self.read.fetch_add(page.len(), Ordering::Relaxed);
        Ok(page)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        self.inner.apply(changes)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn mirror() -> (Arc<Mirror>, Arc<dyn CommitSink>) {
    let mirror = Arc::new(Mirror::default());
    (Arc::clone(&mirror), mirror)
}

fn cause(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// Leaves a store of two pairs in the directory.
fn fill(directory: &Path) {
    let store = SledStore::open(directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.commit(put("b", "2")).unwrap();
    store.close().unwrap();
}

/// Removes a pair from below, so that the content is not what the head counted.
fn lose(directory: &Path) {
    let engine = SledEngine::open(directory).unwrap();
    engine.apply(&[(b"a".to_vec(), None)]).unwrap();
    engine.close().unwrap();
}

#[test]
fn sink_given_at_opening_is_listed_to_and_told_of_commits_under_its_prefix() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    fill(&directory);
    let (mirror, sink) = mirror();
    let store = SledStore::open_with_sink(&directory, StoreOptions::new(), b"b", &sink).unwrap();
    assert_eq!(mirror.seen().pairs, pairs(&store, "b"));
    assert_eq!(mirror.seen().revisions, [store.revision()]);
    let mut batch = put("b/2", "3");
    batch.put("a", "3");
    let revision = store.commit(batch).unwrap();
    assert_eq!(mirror.seen().pairs, pairs(&store, "b"));
    assert_eq!(mirror.seen().revisions.last(), Some(&revision));
    store.detach(&sink);
    store.commit(put("b", "4")).unwrap();
    assert_ne!(mirror.seen().pairs, pairs(&store, "b"));
}

#[test]
fn opening_with_a_sink_reads_each_pair_once() {
    let inner = Arc::new(MemoryEngine::new());
    let read = Arc::new(AtomicUsize::new(0));
    let engine = || Counting {
        inner: Arc::clone(&inner),
        read: Arc::clone(&read),
        ..Counting::default()
    };
    // Without a log, which is read too.
    let options = StoreOptions::new().history_limit(0);
    let store = LocalStore::with_engine(engine(), options.clone()).unwrap();
    for n in 0..1000 {
        store.commit(put(&format!("k/{n}"), "1")).unwrap();
    }
    drop(store);
    read.store(0, Ordering::Relaxed);
    let (mirror, sink) = mirror();
    drop(LocalStore::with_engine_and_sink(engine(), options, b"", &sink).unwrap());
    assert_eq!(mirror.seen().pairs.len(), 1000);
    assert_eq!(read.load(Ordering::Relaxed), 1000);
}

#[test]
fn damage_found_at_the_end_of_a_listing_is_its_last_item_and_the_copy_is_listed_anew() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    fill(&directory);
    lose(&directory);
    let (mirror, sink) = mirror();
    let notices = Notices::default();
    let options = StoreOptions::new().notices(notices.clone());
    let store = SledStore::open_with_sink(&directory, options, b"", &sink).unwrap();
    let seen = mirror.seen();
    assert_eq!((seen.failed_listings, seen.listings), (1, 1));
    assert_eq!(seen.pairs, pairs(&store, ""));
    assert_eq!(seen.pairs.len(), 2);
    assert_eq!(seen.revisions, [store.revision()]);
    assert!(matches!(notices.drain()[..], [Notice::Restored { .. }]));
}

#[test]
fn store_whose_content_is_not_what_it_counted_is_not_opened_with_a_sink_either() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    fill(&directory);
    lose(&directory);
    let (mirror, sink) = mirror();
    let engine = SledEngine::open(&directory).unwrap();
    let opened = LocalStore::with_engine_and_sink(engine, StoreOptions::new(), b"x", &sink);
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(mirror.seen().failed_listings, 1);
}

#[test]
fn listing_that_fails_says_why_to_the_caller_and_to_the_sink() {
    let engine = Counting::default();
    let is_cut = Arc::clone(&engine.is_cut);
    let store = LocalStore::with_engine(engine, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    is_cut.store(true, Ordering::Relaxed);
    let (mirror, sink) = mirror();
    let error = store.attach(b"", sink).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(cause(&error).as_deref(), Some("cut"));
    let told = mirror.seen().failure;
    assert_eq!(told.as_deref(), Some("cannot read a page: cut"));
}
