//! What goes wrong when a test says so.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loosely::testing::{Fault, Faults, FaultyEngine, FaultyStore, Gate, Recorder};
use loosely::{Batch, Engine, ErrorKind, Store};

use super::complaint;
use crate::support::{StockEvents, Watchdog, only_failure, quiet};

#[test]
fn recorder_fails_panics_and_goes_on_at_the_stated_events() {
    let (broker, recorder) = (quiet(), Recorder::new());
    let _guard = broker.subscribe::<dyn StockEvents>(&recorder).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    recorder.faults().at(2, Fault::fail("no paper"));
    recorder.faults().at(3, Fault::panic("no ink"));
    assert_eq!(stocks.price_changed("1", 1.0).delivered(), 1);
    let failed = stocks.price_changed("2", 1.0);
    assert_eq!(only_failure(&failed).to_string(), "no paper");
    let panicked = stocks.price_changed("3", 1.0);
    assert!(only_failure(&panicked).to_string().contains("no ink"));
    assert_eq!(stocks.price_changed("4", 1.0).delivered(), 1);
    recorder.expect("price_changed").times(4);
}

#[test]
fn faults_count_from_when_they_are_told() {
    let faults = Faults::new();
    faults.meet().unwrap();
    faults.from(2, Fault::fail_as(ErrorKind::Closed, "closed"));
    faults.meet().unwrap();
    for _ in 0..2 {
        assert_eq!(faults.meet().unwrap_err().kind(), ErrorKind::Closed);
    }
    faults.clear();
    faults.meet().unwrap();
    assert_eq!(faults.count(), 5);
}

#[test]
fn call_stands_at_the_gate_until_it_is_opened() {
    let _watchdog = Watchdog::new();
    let (broker, recorder, gate) = (quiet(), Recorder::new(), Gate::new());
    let _guard = broker.subscribe::<dyn StockEvents>(&recorder).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    recorder.faults().from(1, Fault::block(&gate));
    let other = stocks.clone();
    let fire = thread::spawn(move || other.price_changed("1", 1.0).delivered());
    gate.wait_for(1, Duration::MAX);
    assert!(!fire.is_finished());
    gate.open();
    assert_eq!(fire.join().unwrap(), 1);
    assert_eq!(
        (stocks.price_changed("2", 1.0).delivered(), gate.waiting()),
        (1, 0)
    );
    gate.close();
    let fire = thread::spawn(move || stocks.price_changed("3", 1.0).delivered());
    gate.wait_for(1, Duration::MAX);
    let text = complaint(|| gate.wait_for(2, Duration::ZERO));
    assert_eq!(text, "after 0ns, 1 of 2 stand at the gate");
    drop(gate);
    assert_eq!(fire.join().unwrap(), 1, "a gate that is gone is open");
}

#[test]
fn store_below_hears_nothing_of_a_commit_that_fails() {
    let below = Arc::new(loosely::MemoryStore::new());
    let store = FaultyStore::over(below.clone());
    let batch = || {
        let mut batch = Batch::new();
        batch.put("a", "1");
        batch
    };
    store
        .commits()
        .at(1, Fault::fail_as(ErrorKind::Unavailable, "away"));
    let before = below.revision();
    let refused = store.commit(batch()).unwrap_err();
    assert_eq!(
        (refused.kind(), below.revision()),
        (ErrorKind::Unavailable, before)
    );
    let gate = Gate::new();
    gate.open();
    store.commits().at(1, Fault::block(&gate));
    store.commit(batch()).unwrap();
    store.reads().from(1, Fault::fail("scratched"));
    assert_eq!(store.get(b"a").unwrap_err().kind(), ErrorKind::Io);
    assert!(below.get(b"a").unwrap().is_some());
}

#[test]
fn engine_that_is_opened_again_has_the_one_below_opened_too() {
    let below = FaultyEngine::new();
    let engine = FaultyEngine::over(below.clone());
    engine.reopen().unwrap();
    // One to open it, and one to take back what a failed write has done.
    assert_eq!((below.all().count(), below.writes().count()), (2, 1));
    below.all().at(1, Fault::fail("no disk"));
    assert!(engine.reopen().is_err());
}
