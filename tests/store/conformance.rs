//! One suite, run over every store.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use loosely::{
    Batch, ChangeKind, Commit, CommitSink, ErrorKind, Listing, MemoryStore, Notice, Notices,
    Revision, Store, StoreOptions, Trash,
};

use crate::support::{Mirror, delete, pairs, put, value, watchdog};

/// Makes stores, and keeps alive what they stand on.
pub(crate) trait Maker {
    fn new() -> Self;
    fn make(&self, options: StoreOptions) -> Arc<dyn Store>;
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name::<crate::conformance::InMemory>(); })*
        }
        #[cfg(feature = "sled")]
        mod sled {
            $(#[test] fn $name() { super::$name::<crate::conformance::OnDisk>(); })*
        }
    };
}
pub(crate) use suite;

suite![
    get_returns_the_last_value_and_the_revision_that_wrote_it,
    scan_visits_a_prefix_in_key_order_and_stops_on_break,
    scan_over_many_pages_sees_every_pair_once,
    visitor_may_use_the_store,
    revisions_rise_with_every_commit_from_many_threads,
    batch_that_changes_nothing_returns_the_present_revision,
    precondition_that_does_not_hold_stops_the_whole_batch,
    only_one_of_many_rivals_meets_its_precondition,
    reserved_and_empty_keys_are_invalid,
    batch_is_never_seen_in_part,
    bulk_keys_alone_make_no_revision_and_reach_no_sink,
    bulk_keys_beside_others_are_written_with_them_and_not_logged,
    list_then_watch_has_no_gap_under_concurrent_writers,
    sink_knows_the_commit_when_it_returns,
    sink_sees_only_its_prefix_and_every_revision,
    detached_sink_is_not_called_again,
    prepared_form_reaches_the_sinks,
    changes_since_leads_to_the_present_or_is_compacted,
    drop_of_what_a_sink_replaced_may_call_the_store,
    sink_that_panics_is_detached_and_reported,
    every_call_after_close_is_closed,
];

pub(crate) struct InMemory;

impl Maker for InMemory {
    fn new() -> Self {
        Self
    }

    fn make(&self, options: StoreOptions) -> Arc<dyn Store> {
        Arc::new(MemoryStore::with_engine(Default::default(), options).unwrap())
    }
}

#[cfg(feature = "sled")]
pub(crate) struct OnDisk(tempfile::TempDir);

#[cfg(feature = "sled")]
impl Maker for OnDisk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn make(&self, options: StoreOptions) -> Arc<dyn Store> {
        Arc::new(loosely::SledStore::open(self.0.path().join("wiring"), options).unwrap())
    }
}

pub(crate) fn with_store<M: Maker>(test: impl FnOnce(Arc<dyn Store>)) {
    let _watchdog = watchdog();
    let maker = M::new();
    test(maker.make(StoreOptions::new()));
}

fn get_returns_the_last_value_and_the_revision_that_wrote_it<M: Maker>() {
    with_store::<M>(|store| {
        assert_eq!(store.revision(), Revision::ZERO);
        assert!(store.get(b"a").unwrap().is_none());
        let first = store.commit(put("a", "1")).unwrap();
        let second = store.commit(put("b", "2")).unwrap();
        let entry = store.get(b"a").unwrap().unwrap();
        assert_eq!((entry.value, entry.revision), (b"1".to_vec(), first));
        assert!(second > first);
        assert_eq!(store.revision(), second);
        store.commit(delete("a")).unwrap();
        assert!(store.get(b"a").unwrap().is_none());
    });
}

fn scan_visits_a_prefix_in_key_order_and_stops_on_break<M: Maker>() {
    with_store::<M>(|store| {
        let mut batch = Batch::new();
        for key in ["s/2", "c/1", "s/10", "s", "t", "s/", "s0"] {
            batch.put(key, key);
        }
        batch.put([0xff, 0xff], "last").put([0x01], "first");
        store.commit(batch).unwrap();
        let found = pairs(&*store, "s/");
        let keys: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(keys, ["s/", "s/10", "s/2"]);
        let mut all = Vec::new();
        let visit = &mut |key: &[u8], _| {
            all.push(key.to_vec());
            ControlFlow::Continue(())
        };
        store.scan(b"", visit).unwrap();
        assert_eq!(all.len(), 9);
        assert_eq!(all.first(), Some(&vec![0x01]));
        assert_eq!(all.last(), Some(&vec![0xff, 0xff]));
        let mut visits = 0;
        let visit = &mut |_: &[u8], _| {
            visits += 1;
            ControlFlow::Break(())
        };
        store.scan(b"", visit).unwrap();
        assert_eq!(visits, 1);
    });
}

fn scan_over_many_pages_sees_every_pair_once<M: Maker>() {
    with_store::<M>(|store| {
        let mut batch = Batch::new();
        for n in 0..3000 {
            batch.put(format!("k/{n:05}"), n.to_string());
        }
        store.commit(batch).unwrap();
        let found = pairs(&*store, "k/");
        assert_eq!(found.len(), 3000);
        assert!((0..3000).all(|n| found[&format!("k/{n:05}")].0 == n.to_string()));
        assert!(pairs(&*store, "\0").is_empty(), "the store's own keys show");
    });
}

fn visitor_may_use_the_store<M: Maker>() {
    with_store::<M>(|store| {
        store.commit(put("a", "1")).unwrap();
        let visit = &mut |_: &[u8], _| {
            store.commit(put("b", "2")).unwrap();
            ControlFlow::Break(())
        };
        store.scan(b"", visit).unwrap();
        assert_eq!(value(&*store, "b").as_deref(), Some("2"));
    });
}

fn revisions_rise_with_every_commit_from_many_threads<M: Maker>() {
    with_store::<M>(|store| {
        let writer = |thread: usize| {
            let mut last = Revision::ZERO;
            for n in 0..50 {
                let key = format!("{thread}/{n}");
                let revision = store.commit(put(&key, "x")).unwrap();
                assert!(revision > last);
                last = revision;
            }
        };
        thread::scope(|scope| {
            for thread in 1..=4 {
                scope.spawn(move || writer(thread));
            }
        });
        let found = pairs(&*store, "");
        let mut revisions: Vec<_> = found.values().map(|(_, revision)| *revision).collect();
        revisions.sort();
        revisions.dedup();
        assert_eq!(revisions.len(), 200);
        assert_eq!(revisions.last(), Some(&store.revision()));
    });
}

fn batch_that_changes_nothing_returns_the_present_revision<M: Maker>() {
    with_store::<M>(|store| {
        let revision = store.commit(put("a", "1")).unwrap();
        assert_eq!(store.commit(Batch::new()).unwrap(), revision);
        assert_eq!(store.commit(delete("absent")).unwrap(), revision);
        let mut expecting = Batch::new();
        expecting.expect_absent("b").expect_revision("a", revision);
        assert_eq!(store.commit(expecting).unwrap(), revision);
        assert_eq!(store.revision(), revision);
    });
}

fn precondition_that_does_not_hold_stops_the_whole_batch<M: Maker>() {
    with_store::<M>(|store| {
        let revision = store.commit(put("a", "1")).unwrap();
        let mut absent = put("b", "2");
        absent.expect_absent("a");
        let error = store.commit(absent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let expected = format!("key a was expected absent and found at revision {revision}");
        assert_eq!(error.to_string(), expected);
        let mut gone = put("b", "2");
        gone.expect_revision("c", revision);
        let error = store.commit(gone).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let expected = format!("key c was expected at revision {revision} and found absent");
        assert_eq!(error.to_string(), expected);
        assert_eq!(value(&*store, "b"), None);
        let mut holding = put("a", "2");
        holding.expect_revision("a", revision).expect_absent("b");
        holding.expect_nothing_since(revision);
        let now = store.commit(holding).unwrap();
        assert!(now > revision);
        let mut late = put("b", "2");
        late.expect_nothing_since(revision);
        let error = store.commit(late).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let expected = format!("the store was expected at revision {revision} and found at {now}");
        assert_eq!(error.to_string(), expected);
    });
}

fn only_one_of_many_rivals_meets_its_precondition<M: Maker>() {
    with_store::<M>(|store| {
        let won: usize = thread::scope(|scope| {
            let rivals: Vec<_> = (0..8)
                .map(|n| {
                    let store = &store;
                    scope.spawn(move || {
                        let mut batch = put("seat", &n.to_string());
                        batch.expect_absent("seat");
                        usize::from(store.commit(batch).is_ok())
                    })
                })
                .collect();
            rivals.into_iter().map(|rival| rival.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    });
}

fn reserved_and_empty_keys_are_invalid<M: Maker>() {
    with_store::<M>(|store| {
        for key in ["", "\0head", "\0"] {
            let error = store.commit(put(key, "x")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{key:?}");
        }
        store.commit(put("a", "1")).unwrap();
        assert!(store.get(b"\0head").unwrap().is_none());
        assert!(store.get(b"").unwrap().is_none());
    });
}

/// A batch that puts this under a bulk key.
fn bulk(value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put([0x81, b'k'], value);
    batch
}

fn bulk_keys_alone_make_no_revision_and_reach_no_sink<M: Maker>() {
    with_store::<M>(|store| {
        let revision = store.commit(put("a", "1")).unwrap();
        let mirror = Mirror::attached(&*store, "");
        assert_eq!(store.commit(bulk("1")).unwrap(), revision);
        let entry = store.get(&[0x81, b'k']).unwrap().unwrap();
        assert_eq!((&*entry.value, entry.revision), (&b"1"[..], revision));
        assert_eq!(store.revision(), revision);
        assert_eq!(mirror.seen().revisions, [revision]);
        let next = store.commit(put("a", "2")).unwrap();
        assert_eq!(next.get(), revision.get() + 1);
        assert_eq!(store.changes_since(revision).unwrap().len(), 1);
    });
}

fn bulk_keys_beside_others_are_written_with_them_and_not_logged<M: Maker>() {
    with_store::<M>(|store| {
        let revision = store.commit(bulk("first of all")).unwrap();
        assert!(
            revision > Revision::from(0),
            "an empty store has no revision"
        );
        let mut batch = bulk("1");
        batch.put("a", "1");
        let next = store.commit(batch).unwrap();
        assert!(next > revision);
        let logged = store.changes_since(revision).unwrap();
        let keys: Vec<_> = logged[0].changes.iter().map(|it| it.key.clone()).collect();
        assert_eq!(keys, [b"a"]);
        let mut refused = bulk("2");
        refused.put("a", "2").expect_absent("a");
        assert_eq!(
            store.commit(refused).unwrap_err().kind(),
            ErrorKind::Conflict
        );
        assert_eq!(store.get(&[0x81, b'k']).unwrap().unwrap().value, b"1");
    });
}

fn batch_is_never_seen_in_part<M: Maker>() {
    with_store::<M>(|store| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..200 {
                    let mut batch = put("left", &n.to_string());
                    batch.put("right", n.to_string());
                    store.commit(batch).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                let number = |key| value(&*store, key).map(|text| text.parse::<i32>().unwrap());
                let left = number("left");
                assert!(number("right") >= left);
            }
        });
    });
}

fn list_then_watch_has_no_gap_under_concurrent_writers<M: Maker>() {
    with_store::<M>(|store| {
        let mirrors: Vec<_> = thread::scope(|scope| {
            for thread in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..60 {
                        let mut batch = put(&format!("{thread}/{}", n % 7), &n.to_string());
                        batch.delete(format!("{thread}/{}", (n + 3) % 7));
                        store.commit(batch).unwrap();
                    }
                });
            }
            (0..20).map(|_| Mirror::attached(&*store, "")).collect()
        });
        let expected = pairs(&*store, "");
        for mirror in mirrors {
            let seen = mirror.seen();
            assert_eq!(seen.pairs, expected);
            let is_next = |pair: &[Revision]| pair[1].get() == pair[0].get() + 1;
            assert!(seen.revisions.windows(2).all(is_next));
        }
    });
}

fn sink_knows_the_commit_when_it_returns<M: Maker>() {
    with_store::<M>(|store| {
        let mirror = Mirror::attached(&*store, "");
        for n in 0..20 {
            let revision = store.commit(put("a", &n.to_string())).unwrap();
            assert_eq!(mirror.seen().pairs["a"], (n.to_string(), revision));
        }
    });
}

fn sink_sees_only_its_prefix_and_every_revision<M: Maker>() {
    with_store::<M>(|store| {
        store.commit(put("s/1", "1")).unwrap();
        store.commit(put("c/1", "1")).unwrap();
        let mirror = Mirror::attached(&*store, "s/");
        let mut batch = put("s/2", "2");
        batch.put("c/2", "2").put("t", "3");
        store.commit(batch).unwrap();
        store.commit(put("c/3", "3")).unwrap();
        let seen = mirror.seen();
        assert_eq!(seen.pairs, pairs(&*store, "s/"));
        assert_eq!(seen.revisions, [2, 3, 4].map(Revision::from));
    });
}

fn detached_sink_is_not_called_again<M: Maker>() {
    with_store::<M>(|store| {
        let mirror = Mirror::attached(&*store, "");
        let other = Mirror::attached(&*store, "");
        let sink: Arc<dyn CommitSink> = mirror.clone();
        store.detach(&sink);
        store.commit(put("a", "1")).unwrap();
        assert!(mirror.seen().pairs.is_empty());
        assert_eq!(other.seen().pairs.len(), 1);
        drop(sink);
        assert_eq!(Arc::strong_count(&mirror), 1);
    });
}

/// Keeps the numbers that batches carried.
#[derive(Default)]
struct Numbers(Mutex<Vec<u32>>);

impl CommitSink for Numbers {
    fn listed(&self, _: &mut Listing<'_>, _: Revision, _: &mut Trash) {}

    fn committed(&self, commit: &Commit<'_>, _: &mut Trash) {
        for change in commit.changes() {
            let prepared = change.prepared().unwrap().clone();
            self.0.lock().unwrap().push(*prepared.downcast().unwrap());
        }
    }
}

fn prepared_form_reaches_the_sinks<M: Maker>() {
    with_store::<M>(|store| {
        let numbers = Arc::new(Numbers::default());
        store.attach(b"", numbers.clone()).unwrap();
        let mut batch = Batch::new();
        batch.put_prepared("a", "seven", Arc::new(7_u32));
        store.commit(batch).unwrap();
        assert_eq!(*numbers.0.lock().unwrap(), [7]);
    });
}

fn changes_since_leads_to_the_present_or_is_compacted<M: Maker>() {
    let _watchdog = watchdog();
    let maker = M::new();
    let store = maker.make(StoreOptions::new().history_limit(10));
    let mut revisions = vec![store.revision()];
    for n in 0..20 {
        let mut batch = put(&format!("k{n}"), "x");
        batch.delete(format!("k{}", n - 1));
        revisions.push(store.commit(batch).unwrap());
    }
    let changes = store.changes_since(revisions[18]).unwrap();
    let found: Vec<_> = changes.iter().map(|commit| commit.revision).collect();
    assert_eq!(found, revisions[19..]);
    let last = &changes[1];
    assert_eq!(last.previous, revisions[19]);
    let kinds: Vec<_> = last.changes.iter().map(|c| (&c.key[..], c.kind)).collect();
    let expected: [(&[u8], _); 2] = [(b"k18", ChangeKind::Delete), (b"k19", ChangeKind::Put)];
    assert_eq!(kinds, expected);
    assert!(store.changes_since(store.revision()).unwrap().is_empty());
    assert!(store.changes_since(revisions[16]).is_ok());
    for revision in [revisions[1], Revision::from(1 << 40)] {
        let error = store.changes_since(revision).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Compacted);
    }
}

/// Calls the store when it is dropped.
struct Caller(Arc<dyn Store>, Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.commit(put("from drop", "x")).unwrap();
        self.1.store(true, Ordering::Release);
    }
}

/// Throws a `Caller` away on the first commit that it sees.
struct Thrower(Mutex<Option<Caller>>);

impl CommitSink for Thrower {
    fn listed(&self, _: &mut Listing<'_>, _: Revision, _: &mut Trash) {}

    fn committed(&self, _: &Commit<'_>, trash: &mut Trash) {
        trash.add(self.0.lock().unwrap().take());
    }
}

fn drop_of_what_a_sink_replaced_may_call_the_store<M: Maker>() {
    with_store::<M>(|store| {
        let dropped = Arc::new(AtomicBool::new(false));
        let caller = Caller(store.clone(), dropped.clone());
        let thrower = Arc::new(Thrower(Mutex::new(Some(caller))));
        store.attach(b"", thrower).unwrap();
        store.commit(put("a", "1")).unwrap();
        assert!(dropped.load(Ordering::Acquire));
        assert_eq!(value(&*store, "from drop").as_deref(), Some("x"));
    });
}

struct Panicking;

impl CommitSink for Panicking {
    fn listed(&self, _: &mut Listing<'_>, _: Revision, _: &mut Trash) {}

    fn committed(&self, _: &Commit<'_>, _: &mut Trash) {
        std::panic::resume_unwind(Box::new("a bug"));
    }
}

fn sink_that_panics_is_detached_and_reported<M: Maker>() {
    let _watchdog = watchdog();
    let maker = M::new();
    let notices = Notices::default();
    let store = maker.make(StoreOptions::new().notices(notices.clone()));
    store.attach(b"", Arc::new(Panicking)).unwrap();
    let mirror = Mirror::attached(&*store, "");
    store.commit(put("a", "1")).unwrap();
    store.commit(put("a", "2")).unwrap();
    assert_eq!(mirror.seen().pairs["a"].0, "2");
    assert_eq!(
        notices.drain(),
        [Notice::SinkDetached {
            revision: loosely::Revision::from_u64(1)
        }]
    );
}

fn every_call_after_close_is_closed<M: Maker>() {
    with_store::<M>(|store| {
        let mirror = Mirror::attached(&*store, "");
        store.commit(put("a", "1")).unwrap();
        store.close().unwrap();
        store.close().unwrap();
        assert_eq!(Arc::strong_count(&mirror), 1, "the sink is still held");
        let visit = &mut |_: &[u8], _| ControlFlow::Continue(());
        let outcomes = [
            store.get(b"a").map(|_| ()),
            store.scan(b"", visit),
            store.commit(put("a", "2")).map(|_| ()),
            store.attach(b"", mirror.clone()).map(|_| ()),
            store.changes_since(Revision::ZERO).map(|_| ()),
            store.sync(),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
        }
        assert_eq!(store.revision(), Revision::from(1));
    });
}
