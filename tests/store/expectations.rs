//! What a batch may expect of values and of prefixes: the suite goes on, over every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use loosely::{Batch, ErrorKind, Revision, Store, StoreOptions};

use crate::conformance::{Maker, suite, with_store};
use crate::support::{Mirror, delete, put, value, watchdog};

suite![
    value_that_is_not_as_expected_stops_the_whole_batch,
    value_is_expected_whoever_wrote_it_and_when,
    sums_stay_right_when_rivals_compare_values,
    prefix_that_is_expected_to_be_quiet_heeds_no_other,
    log_that_does_not_reach_back_is_no_quiet,
];

fn value_that_is_not_as_expected_stops_the_whole_batch<M: Maker>() {
    with_store::<M>(|store| {
        store.commit(put("a", "1")).unwrap();
        let mirror = Mirror::attached(&*store, "");
        let before = (store.revision(), mirror.seen().revisions);
        let refused = |batch: &mut Batch, message: &str| {
            let error = store.commit(batch.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert_eq!(error.to_string(), message);
        };
        let message = "key a was expected with a certain value and found with another";
        refused(put("b", "2").expect_value("a", "2"), message);
        let message = "key c was expected with a certain value and found absent";
        refused(put("b", "2").expect_value("c", ""), message);
        assert_eq!(value(&*store, "b"), None);
        assert_eq!((store.revision(), mirror.seen().revisions), before);
    });
}

fn value_is_expected_whoever_wrote_it_and_when<M: Maker>() {
    with_store::<M>(|store| {
        for text in ["1", "2", "1"] {
            store.commit(put("a", text)).unwrap();
        }
        let mut batch = put("b", "");
        batch.expect_value("a", "1");
        store.commit(batch).unwrap();
        // One that is there and empty is not one that is absent.
        let mut batch = put("c", "3");
        batch.expect_value("b", "");
        let revision = store.commit(batch).unwrap();
        let mut only = Batch::new();
        only.expect_value("c", "3");
        assert_eq!(store.commit(only).unwrap(), revision);
    });
}

fn sums_stay_right_when_rivals_compare_values<M: Maker>() {
    with_store::<M>(|store| {
        store.commit(put("sum", "0")).unwrap();
        let conflicts = AtomicUsize::new(0);
        let add = || {
            loop {
                let old = value(&*store, "sum").unwrap();
                let new = old.parse::<u32>().unwrap() + 1;
                let mut batch = put("sum", &new.to_string());
                batch.expect_value("sum", old);
                match store.commit(batch) {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
                conflicts.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| add()));
            }
        });
        assert_eq!(value(&*store, "sum").as_deref(), Some("100"));
    });
}

fn quiet(key: &str, prefix: &str, since: Revision) -> Batch {
    let mut batch = put(key, "x");
    batch.expect_nothing_under(prefix, since);
    batch
}

fn prefix_that_is_expected_to_be_quiet_heeds_no_other<M: Maker>() {
    with_store::<M>(|store| {
        let since = store.commit(put("a/1", "1")).unwrap();
        store.commit(put("b/1", "1")).unwrap();
        store.commit(quiet("c/1", "a/", since)).unwrap();
        for change in [put("a/2", "1"), delete("a/1")] {
            let since = store.revision();
            store.commit(change).unwrap();
            store.commit(put("b/2", "1")).unwrap();
            let error = store.commit(quiet("c/2", "a/", since)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let message =
                format!("nothing under a/ was to change after revision {since}, and something did");
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(value(&*store, "c/2"), None);
        store.commit(quiet("c/2", "a/", store.revision())).unwrap();
    });
}

fn log_that_does_not_reach_back_is_no_quiet<M: Maker>() {
    let _watchdog = watchdog();
    let maker = M::new();
    let store: Arc<dyn Store> = maker.make(StoreOptions::new().history_limit(2));
    let since = store.commit(put("a", "1")).unwrap();
    for n in 0..2 {
        store.commit(put(&format!("b/{n}"), "1")).unwrap();
    }
    store.commit(quiet("c", "a", since)).unwrap();
    let error = store.commit(quiet("c", "a", since)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}
