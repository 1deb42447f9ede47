//! A broker that has nothing to do writes nothing, however long it waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use loosely::testing::VirtualClock;
use loosely::{Broker, Queued, Subscription, event_interface};

use crate::support::watchdog;

#[event_interface]
trait Ledger {
    fn booked(&self, number: u64);
}

/// What tells whether a file was written: its length and the time of its last change.
fn state_of(directory: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            files.extend(state_of(&entry.path()));
        }
        files.push((entry.path(), metadata.len(), metadata.modified().unwrap()));
    }
    files.sort();
    files
}

fn wait_for(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn idle_broker_with_events_that_wait_writes_nothing_in_a_day() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let clock = VirtualClock::new();
    let broker = Broker::builder().path(root.path()).clock(&clock);
    let broker = broker.on_failure(|_, _| {}).open().unwrap();
    let queue = Subscription::builder("queue").to::<dyn Ledger>();
    let queue = queue.component("clerk").delivery(Queued::new());
    broker.ensure(&queue.build().unwrap()).unwrap();
    let ledger = broker.publisher::<dyn Ledger>().unwrap();
    for number in 0..100 {
        assert_eq!(ledger.booked(number).accepted(), 1);
    }
    // The copy of the wiring is written soon after the last change, and is all that is due.
    let copy = root.path().join("wiring.copy");
    clock.advance(Duration::from_secs(600));
    wait_for(|| copy.exists());
    assert!(broker.idle(Duration::from_secs(60)));
    let before = state_of(root.path());
    for _ in 0..24 {
        clock.advance(Duration::from_secs(3_600));
        assert!(broker.idle(Duration::from_secs(60)));
    }
    assert_eq!(state_of(root.path()), before);
    // The same look sees a write where there is one.
    ledger.booked(100);
    assert_ne!(state_of(root.path()), before);
}
