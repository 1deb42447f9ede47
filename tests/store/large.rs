//! Batches that a store writes in parts are as whole as small ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use loosely::{Batch, MemoryStore, Store};

use crate::support::{pairs, value};

fn for_each_store(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    #[cfg(feature = "sled")]
    {
        let root = tempfile::tempdir().unwrap();
        let options = loosely::StoreOptions::new();
        test(&loosely::SledStore::open(root.path().join("wiring"), options).unwrap());
    }
}

/// Larger than any part that a store writes it in.
const LARGE: usize = 17_000;

fn large(n: usize) -> Batch {
    let mut batch = Batch::new();
    for key in 0..LARGE {
        batch.put(format!("k{key:05}"), n.to_string());
    }
    batch
}

#[test]
fn large_batch_is_never_seen_in_part() {
    for_each_store(|store| {
        store.commit(large(0)).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..4 {
                    store.commit(large(n)).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            let number = |key: usize| {
                let text = value(store, &format!("k{key:05}"));
                text.unwrap().parse::<usize>().unwrap()
            };
            while !done.load(Ordering::Acquire) {
                let first = number(0);
                assert!(number(LARGE - 1) >= first);
                let last = number(LARGE - 1);
                assert!(number(0) >= last);
            }
        });
    });
}

#[test]
fn large_batch_replaces_and_removes_as_a_small_one_does() {
    for_each_store(|store| {
        store.commit(large(0)).unwrap();
        let mut batch = Batch::new();
        for key in 0..2 * LARGE {
            match key % 3 {
                0 => batch.delete(format!("k{key:05}")),
                1 => batch.put(format!("k{key:05}"), "1"),
                _ => &mut batch,
            };
        }
        store.commit(batch).unwrap();
        let found = pairs(store, "");
        for key in 0..2 * LARGE {
            let found = found.get(&format!("k{key:05}"));
            let expected = match key % 3 {
                0 => None,
                1 => Some("1"),
                _ => (key < LARGE).then_some("0"),
            };
            assert_eq!(found.map(|(value, _)| value.as_str()), expected, "{key}");
        }
    });
}
