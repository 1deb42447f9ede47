//! Following changes from a revision on.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use loosely::{ErrorKind, LocalStore, MemoryEngine, StoreOptions};

use crate::support::{Watchdog, on_store, quiet, store, subscription};

#[test]
fn feed_returns_the_past_and_what_comes_without_gap_or_repetition() {
    const THREADS: usize = 4;
    const COMMITS: usize = 200;
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let start = store(&broker, "before");
    store(&broker, "past");
    let barrier = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (broker, barrier) = (broker.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for commit in 0..COMMITS {
                    store(&broker, &format!("{thread} {}", commit % 10));
                }
            })
        })
        .collect();
    barrier.wait();
    // Begun anew from where the last one was, now and then, as one that is restarted would.
    let mut changes = Vec::new();
    let mut position = start;
    while changes.len() <= THREADS * COMMITS {
        let mut feed = broker.follow_changes(position).unwrap();
        changes.extend(feed.by_ref().take(70).map(Result::unwrap));
        position = feed.revision();
        if changes.len() + 70 > THREADS * COMMITS {
            let rest = THREADS * COMMITS + 1 - changes.len();
            changes.extend(feed.by_ref().take(rest).map(Result::unwrap));
        }
    }
    threads.into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(changes, broker.changes_since(start).unwrap());
    assert_eq!(changes.len(), THREADS * COMMITS + 1);
}

#[test]
fn position_inside_a_commit_is_before_it() {
    let broker = quiet();
    let both = ["one", "two"].map(|name| subscription(name, "nobody").build().unwrap());
    let start = broker.revision();
    let imported = broker.import(&both).unwrap();
    let mut feed = broker.follow_changes(start).unwrap();
    assert_eq!(feed.revision(), start);
    feed.next().unwrap().unwrap();
    assert_eq!(feed.revision(), start);
    feed.next().unwrap().unwrap();
    assert_eq!(feed.revision(), imported.revision());
    assert!(feed.next_within(Duration::ZERO).is_none());
}

#[test]
fn feed_that_fell_behind_the_log_ends_with_compacted() {
    let options = StoreOptions::new().history_limit(3);
    let store_of_three = LocalStore::with_engine(MemoryEngine::new(), options).unwrap();
    let broker = on_store(Arc::new(store_of_three));
    let first = store(&broker, "first");
    let mut feed = broker.follow_changes(first).unwrap();
    for number in 0..5 {
        store(&broker, &format!("number {number}"));
    }
    let error = feed.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(feed.next().is_none());
    let late = broker.follow_changes(first).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Compacted);
}

#[test]
fn feed_that_waits_ends_when_the_broker_is_closed_or_dropped() {
    let _watchdog = Watchdog::new();
    for closes in [true, false] {
        let broker = quiet();
        let mut feed = broker.follow_changes(broker.revision()).unwrap();
        let waiting = thread::spawn(move || feed.next());
        if closes {
            broker.close(Duration::MAX).unwrap();
        }
        drop(broker);
        assert!(waiting.join().unwrap().is_none());
    }
}
