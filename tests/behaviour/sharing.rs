//! Several brokers on one store.

use std::sync::Arc;
use std::thread;

use loosely::{Broker, ErrorKind, MemoryStore, Store};

use crate::support::{Alerts, StockEvents, Tape, TestEngine, Watchdog, on_store, subscription};

fn pair() -> (Broker, Broker) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    (on_store(store.clone()), on_store(store))
}

#[test]
fn change_through_one_broker_is_seen_by_the_other_when_it_returned() {
    let ((one, other), tape) = (pair(), Tape::new());
    one.register_component(tape.component("x")).unwrap();
    let stocks = one.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(other.classes("ALL").unwrap().len(), 1);
    let record = subscription("a", "x").build().unwrap();
    other.ensure(&record).unwrap();
    assert_eq!(
        one.subscription(record.id()),
        other.subscription(record.id())
    );
    assert_eq!(one.revision(), other.revision());
    assert_eq!(stocks.price_changed("1", 1.0).delivered(), 1);
    other.remove(record.id()).unwrap();
    assert_eq!(stocks.price_changed("2", 1.0).delivered(), 0);
}

#[test]
fn revision_read_through_one_broker_is_expected_through_the_other() {
    let (one, other) = pair();
    let record = subscription("a", "x").build().unwrap();
    one.ensure(&record).unwrap();
    let read = one.subscription(record.id()).unwrap();
    other.disable(record.id()).unwrap();
    assert_eq!(one.store(&read).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(other.store(&read).unwrap_err().kind(), ErrorKind::Conflict);
    let fresh = one.subscription(record.id()).unwrap();
    other.store(&fresh.enabled()).unwrap();
}

#[test]
fn components_and_live_objects_are_each_brokers_own() {
    let ((one, other), tape) = (pair(), Tape::new());
    one.register_component(tape.component("x")).unwrap();
    let _guard = one
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    one.ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    let here = one.publisher::<dyn StockEvents>().unwrap();
    let there = other.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(here.price_changed("1", 1.0).delivered(), 2);
    let report = there.price_changed("2", 1.0);
    assert_eq!(
        (report.delivered(), report.failed()),
        (0, 1),
        "no component x over there"
    );
}

#[test]
fn closing_one_broker_leaves_the_other_at_work() {
    let ((one, other), tape) = (pair(), Tape::new());
    other.register_component(tape.component("x")).unwrap();
    let stocks = other.publisher::<dyn StockEvents>().unwrap();
    one.close(std::time::Duration::MAX).unwrap();
    drop(one);
    other
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    assert_eq!(stocks.price_changed("1", 1.0).delivered(), 1);
}

#[test]
fn changes_from_several_threads_and_brokers_are_all_kept() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    thread::scope(|scope| {
        for (worker, broker) in [&one, &other, &one, &other].into_iter().enumerate() {
            scope.spawn(move || {
                for number in 0..25 {
                    let record = subscription(&format!("{worker}/{number}"), "x");
                    let record = record.build().unwrap();
                    broker.ensure(&record).unwrap();
                    broker.disable(record.id()).unwrap();
                    if number % 5 == 0 {
                        assert!(broker.remove(record.id()).unwrap());
                    }
                }
            });
        }
    });
    let all = one.subscriptions("enabled = FALSE").unwrap();
    assert_eq!(all.len(), 80);
    assert_eq!(other.subscriptions("ALL").unwrap(), all);
}

#[test]
fn edits_of_one_subscription_from_both_sides_all_count() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    let record = subscription("a", "x").build().unwrap();
    one.ensure(&record).unwrap();
    thread::scope(|scope| {
        for broker in [&one, &other] {
            let record = &record;
            scope.spawn(move || {
                let mut done = 0;
                while done < 50 {
                    let read = broker.subscription(record.id()).unwrap();
                    let next = read.priority() + 1;
                    match broker.store(&read.with_priority(next)) {
                        Ok(_) => done += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                    }
                }
            });
        }
    });
    assert_eq!(one.subscription(record.id()).unwrap().priority(), 100);
}

#[test]
fn no_op_writes_nothing_whichever_broker_asks() {
    let engine = TestEngine::default();
    let store = engine.store();
    let (one, other) = (on_store(store.clone()), on_store(store));
    let record = subscription("a", "x").build().unwrap();
    one.ensure(&record).unwrap();
    one.publisher::<dyn StockEvents>().unwrap();
    one.publisher::<dyn Alerts>().unwrap();
    let writes = engine.writes();
    other.ensure(&record).unwrap();
    other.enable(record.id()).unwrap();
    other.publisher::<dyn StockEvents>().unwrap();
    other.publisher::<dyn Alerts>().unwrap();
    other.remove("unknown").unwrap();
    assert_eq!(engine.writes(), writes);
}
