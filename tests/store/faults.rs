//! An engine that fails at each of its operations in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::testing::{FailedWrite, Fault, FaultyEngine};
use loosely::{
    CommitSink, Durability, Engine, Error, ErrorKind, LocalStore, MemoryEngine, Notice, Notices,
    RawChange, RawPair, Result, Store, StoreOptions,
};

use crate::support::{Mirror, Pairs, pairs, put, value, watchdog};

/// Lets so many operations succeed, and none after them.
fn fail_after(engine: &FaultyEngine, count: usize) {
    repair(engine);
    engine.all().from(count + 1, Fault::fail("injected"));
}

fn repair(engine: &FaultyEngine) {
    engine.all().clear();
}

fn options(notices: &Notices) -> StoreOptions {
    StoreOptions::new()
        .notices(notices.clone())
        .back_off(Duration::ZERO, Duration::ZERO)
}

/// The steps of every scenario; each is one call, and its outcome.
fn steps(store: &dyn Store, mirror: &Arc<Mirror>) -> Vec<Result<()>> {
    let mut batch = put("a", "2");
    batch.put("b", "2").delete("c").put("d", "2");
    let visit = &mut |_: &[u8], _| ControlFlow::Continue(());
    vec![
        store.commit(batch).map(|_| ()),
        store.get(b"a").map(|_| ()),
        store.scan(b"", visit),
        store.attach(b"", mirror.clone()).map(|_| ()),
        store.commit(put("a", "3")).map(|_| ()),
        store.sync(),
    ]
}

fn is_whole(pairs: &Pairs) -> bool {
    let values: Vec<_> = pairs
        .iter()
        .map(|(key, (value, _))| format!("{key}{value}"))
        .collect();
    let states = ["a1 b1 c1", "a2 b2 d2", "a3 b2 d2", "a3 b1 c1"];
    states.contains(&values.join(" ").as_str())
}

fn start(failed: FailedWrite, notices: &Notices) -> (LocalStore<FaultyEngine>, FaultyEngine) {
    let engine = FaultyEngine::with_failed_writes(failed);
    let store = LocalStore::with_engine(engine.clone(), options(notices)).unwrap();
    let mut batch = put("a", "1");
    batch.put("b", "1").put("c", "1");
    store.commit(batch).unwrap();
    (store, engine)
}

/// Fails the `nth` operation and every one after it, until `repair`.
fn scenario(failed: FailedWrite, nth: usize) -> bool {
    let notices = Notices::default();
    let (store, engine) = start(failed, &notices);
    let early = Mirror::attached(&store, "");
    let late = Arc::new(Mirror::default());
    fail_after(&engine, nth);
    let outcomes = steps(&store, &late);
    let some_failed = outcomes.iter().any(Result::is_err);
    let told = early.seen();
    assert!(is_whole(&told.pairs), "{:?}", told.pairs);
    for error in outcomes.into_iter().filter_map(Result::err) {
        let clear = [ErrorKind::Io, ErrorKind::Unavailable, ErrorKind::Uncertain];
        assert!(clear.contains(&error.kind()), "{error}");
    }

    repair(&engine);
    store.sync().unwrap();
    let held = pairs(&store, "");
    assert!(is_whole(&held), "{failed:?} {nth}: {held:?}");
    let seen = early.seen();
    assert_eq!(seen.pairs, held, "{failed:?} {nth}: a sink is out of date");
    let rises = |pair: &[loosely::Revision]| pair[0] <= pair[1];
    assert!(seen.revisions.windows(2).all(rises));
    let revision = store.commit(put("after", "1")).unwrap();
    assert!(seen.revisions.last() < Some(&revision));
    some_failed
}

fn fail_everywhere(failed: FailedWrite) {
    let _watchdog = watchdog();
    let failures = (0..).take_while(|nth| scenario(failed, *nth)).count();
    assert!(failures >= 10, "only {failures} operations were failed");
}

#[test]
fn operation_that_fails_cleanly_leaves_no_trace() {
    fail_everywhere(FailedWrite::Nothing);
}

#[test]
fn batch_torn_by_a_failure_is_never_seen() {
    fail_everywhere(FailedWrite::Half);
}

#[test]
fn batch_written_although_it_failed_is_listed_after_reopening() {
    fail_everywhere(FailedWrite::Everything);
}

#[test]
fn sink_is_not_told_of_a_commit_whose_write_failed() {
    let notices = Notices::default();
    let (store, engine) = start(FailedWrite::Half, &notices);
    let mirror = Mirror::attached(&store, "");
    let before = mirror.seen();
    // The commit reads one key, then writes.
    fail_after(&engine, 1);
    let error = store.commit(put("a", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    assert_eq!(mirror.seen().pairs, before.pairs);
    assert_eq!(mirror.seen().revisions, before.revisions);
    let error = store.get(b"a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    repair(&engine);
    assert_eq!(value(&store, "a").as_deref(), Some("1"));
    assert_eq!(mirror.seen().listings, 2);
    let kinds = notices.drain();
    assert!(matches!(
        kinds[..],
        [
            Notice::StoreUnavailable { .. },
            Notice::StoreReopened { revision }
        ] if revision.get() == 1
    ));
}

#[test]
fn failed_flush_is_uncertain_and_refuses_writes_until_reopened() {
    let notices = Notices::default();
    let engine = FaultyEngine::new();
    let hour = Duration::from_secs(3600);
    let options = options(&notices).back_off(hour, hour);
    let store = LocalStore::with_engine(engine.clone(), options).unwrap();
    let mirror = Mirror::attached(&store, "");
    // Two operations begin the numbers, two are the commit, then comes its flush.
    fail_after(&engine, 4);
    let error = store.commit(put("a", "1")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    assert_eq!(
        mirror.seen().pairs["a"].0,
        "1",
        "applied, though not durable"
    );
    repair(&engine);
    let error = store.commit(put("a", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is opened again in"), "{error}");
    assert_eq!(value(&store, "a").as_deref(), Some("1"), "reads go on");
    let sink: Arc<dyn CommitSink> = mirror;
    store.detach(&sink);
    store.close().unwrap();
}

#[test]
fn store_that_failed_and_has_an_endless_pause_stays_unavailable() {
    let engine = FaultyEngine::new();
    let options = options(&Notices::default()).back_off(Duration::MAX, Duration::MAX);
    let store = LocalStore::with_engine(engine.clone(), options).unwrap();
    fail_after(&engine, 0);
    assert!(store.commit(put("a", "1")).is_err());
    repair(&engine);
    let error = store.commit(put("a", "1")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn flush_in_the_background_that_fails_is_reported_and_stops_writes() {
    let _watchdog = watchdog();
    let notices = Notices::default();
    let engine = FaultyEngine::new();
    let hour = Duration::from_secs(3600);
    let options = options(&notices)
        .durability(Durability::Interval(Duration::from_millis(1)))
        .back_off(hour, hour);
    let store = LocalStore::with_engine(engine.clone(), options).unwrap();
    // Two operations begin the numbers, two are the commit, then comes its flush.
    fail_after(&engine, 4);
    store.commit(put("a", "1")).unwrap();
    assert!(notices.wait(Duration::MAX));
    let text = notices.drain()[0].to_string();
    assert!(
        text.ends_with("could not be made durable: injected"),
        "{text}"
    );
    repair(&engine);
    let error = store.commit(put("a", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.sync().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn revision_seen_before_a_failed_flush_is_not_given_again() {
    let notices = Notices::default();
    let (store, engine) = start(FailedWrite::Nothing, &notices);
    fail_after(&engine, 2);
    store.commit(put("a", "2")).unwrap_err();
    let seen = store.revision();
    repair(&engine);
    let next = store.commit(put("a", "3")).unwrap();
    assert!(next.get() > seen.get() + 1000, "{seen} then {next}");
    // The chain of changes holds all the same.
    assert_eq!(store.changes_since(seen).unwrap().len(), 1);
}

#[cfg(feature = "sled")]
#[test]
fn sled_is_opened_again_after_a_failed_flush_and_goes_on() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let notices = Notices::default();
    let engine = loosely::SledEngine::open(root.path()).unwrap();
    let engine = FaultyEngine::over(engine);
    let store = LocalStore::with_engine(engine.clone(), options(&notices)).unwrap();
    let mirror = Mirror::attached(&store, "");
    for n in 0..2 {
        store.commit(put("a", &n.to_string())).unwrap();
    }
    engine.syncs().at(1, Fault::fail("injected"));
    let error = store.commit(put("a", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    store.commit(put("b", "3")).unwrap();
    assert_eq!(mirror.seen().pairs, pairs(&store, ""));
    assert_eq!(mirror.seen().listings, 2);
    let error = loosely::SledStore::open(root.path(), StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "reopening let go of it");
    store.close().unwrap();
}

/// Calls the store when it is dropped, which under the commit lock would never end.
struct CallsOnDrop(Arc<LocalStore<MemoryEngine>>);

impl CommitSink for CallsOnDrop {
    fn listed(&self, _: &mut loosely::Listing<'_>, _: loosely::Revision, _: &mut loosely::Trash) {}

    fn committed(&self, _: &loosely::Commit<'_>, _: &mut loosely::Trash) {}
}

impl Drop for CallsOnDrop {
    fn drop(&mut self) {
        assert!(self.0.changes_since(loosely::Revision::ZERO).is_err());
    }
}

#[test]
fn sink_that_could_not_be_attached_is_dropped_outside_the_lock() {
    let _watchdog = watchdog();
    let store = Arc::new(loosely::MemoryStore::new());
    store.close().unwrap();
    let sink = Arc::new(CallsOnDrop(store.clone()));
    let error = store.attach(b"", sink).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// An engine that, opened again, holds only what was synced.
#[derive(Debug, Default)]
struct Forgetful {
    synced: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    present: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    is_failing: Arc<AtomicBool>,
}

impl Engine for Forgetful {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.present.lock().unwrap().get(key).cloned())
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        let present = self.present.lock().unwrap();
        let pairs = present
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && Some(&key[..]) > after);
        Ok(pairs
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        let mut present = self.present.lock().unwrap();
        for (key, value) in changes.iter().cloned() {
            match value {
                Some(value) => present.insert(key, value),
                None => present.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        if self.is_failing.load(Ordering::Acquire) {
            return Err(Error::from_store(ErrorKind::Io, "injected"));
        }
        *self.synced.lock().unwrap() = self.present.lock().unwrap().clone();
        Ok(())
    }

    fn reopen(&self) -> Result<()> {
        *self.present.lock().unwrap() = self.synced.lock().unwrap().clone();
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn no_revision_is_given_twice_however_often_commits_are_lost() {
    let engine = Forgetful::default();
    let is_failing = engine.is_failing.clone();
    let hour = Durability::Interval(Duration::from_secs(3600));
    let options = options(&Notices::default()).durability(hour);
    let store = LocalStore::with_engine(engine, options).unwrap();
    let mut given = BTreeSet::new();
    for round in 0..6 {
        for n in 0..3 {
            let revision = store.commit(put("a", &n.to_string())).unwrap();
            assert!(given.insert(revision), "{revision} again in round {round}");
        }
        is_failing.store(true, Ordering::Release);
        store.sync().unwrap_err();
        is_failing.store(false, Ordering::Release);
        assert_eq!(value(&store, "a").as_deref(), Some("2"), "still there");
        store.sync().unwrap();
        assert_eq!(value(&store, "a"), None, "lost at the reopening");
    }
}

#[test]
fn engine_that_cannot_be_read_at_open_is_an_error() {
    for nth in 0..4 {
        let engine = FaultyEngine::new();
        fail_after(&engine, nth);
        let outcome = LocalStore::with_engine(engine, StoreOptions::new());
        let error = outcome.map(|_| ()).err().map(|error| error.kind());
        assert_eq!(error, Some(ErrorKind::Io), "operation {nth}");
    }
}
