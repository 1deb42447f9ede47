//! The end of a broker.

use std::time::Duration;

use loosely::{Broker, Cascade, ErrorKind, EventClass, ValueRef};

use crate::support::{StockEvents, Tape, TestEngine, Watchdog, on_store, quiet, subscription};

#[test]
fn store_calls_after_close_are_closed_and_fires_go_on() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x").build().unwrap();
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let dynamic = broker.dynamic_publisher(stocks.class_id()).unwrap();
    let guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    assert_eq!(stocks.price_changed("1", 1.0).delivered(), 2);
    broker.close(Duration::MAX).unwrap();
    broker.close(Duration::MAX).unwrap();
    let class = EventClass::new("c", "c");
    let refusals = [
        broker.ensure(&record).map(drop),
        broker.store(&record).map(drop),
        broker.remove(record.id()).map(drop),
        broker.remove("unknown").map(drop),
        broker.remove_where("ALL").map(drop),
        broker.enable(record.id()),
        broker.disable(record.id()),
        broker.register_class::<dyn StockEvents>(class).map(drop),
        broker.update_class(&stocks.class()),
        broker
            .unregister_class(stocks.class_id(), Cascade::Remove)
            .map(drop),
        broker.register_component(tape.component("y")),
        broker
            .subscribe::<dyn StockEvents>(tape.listener("late"))
            .map(drop),
        broker.publisher::<dyn StockEvents>().map(drop),
        broker.publisher_of::<dyn StockEvents>("c").map(drop),
        broker.dynamic_publisher(stocks.class_id()).map(drop),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        assert_eq!(
            refusal.unwrap_err().kind(),
            ErrorKind::Closed,
            "call {index}"
        );
    }
    tape.take();
    assert_eq!(stocks.price_changed("2", 1.0).delivered(), 2);
    let values = [ValueRef::Str("3"), ValueRef::F64(1.0)];
    assert_eq!(
        dynamic.fire("price_changed", &values).unwrap().delivered(),
        2
    );
    drop(guard);
    assert_eq!(stocks.price_changed("4", 1.0).delivered(), 1);
    assert_eq!(
        tape.take(),
        ["x 2 1", "live 2 1", "x 3 1", "live 3 1", "x 4 1"]
    );
}

#[test]
fn store_that_was_given_is_left_open() {
    let engine = TestEngine::default();
    let store = engine.store();
    let broker = on_store(store.clone());
    let record = subscription("a", "x").build().unwrap();
    broker.ensure(&record).unwrap();
    broker.close(Duration::MAX).unwrap();
    assert_eq!(
        broker.ensure(&record).unwrap_err().kind(),
        ErrorKind::Closed
    );
    let next = on_store(store);
    assert!(next.subscription(record.id()).is_some());
    next.remove(record.id()).unwrap();
}

#[cfg(feature = "sled")]
#[test]
fn directory_can_be_opened_again_at_once() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let record = subscription("a", "x").build().unwrap();
    let mut publishers = Vec::new();
    for round in 0..6 {
        let broker = Broker::open(directory.path()).unwrap();
        publishers.push(broker.publisher::<dyn StockEvents>().unwrap());
        assert_eq!(broker.subscription(record.id()).is_some(), round > 0);
        broker.ensure(&record).unwrap();
        let refused = Broker::open(directory.path()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked);
        if round % 2 == 0 {
            broker.close(Duration::MAX).unwrap();
        }
    }
}

#[cfg(feature = "sled")]
#[test]
fn last_clone_that_goes_closes_the_broker_whatever_else_is_left() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let tape = Tape::new();
    let broker = Broker::open(directory.path()).unwrap();
    let clone = broker.clone();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    drop(broker);
    let refused = Broker::open(directory.path()).unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Locked,
        "a clone is the same broker"
    );
    drop(clone);
    let again = Broker::open(directory.path()).unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    drop(again);
    drop(guard);
}

/// Every order in which broker, publisher and guard can go.
#[test]
fn broker_publisher_and_guard_go_in_any_order() {
    let _watchdog = Watchdog::new();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let tape = Tape::new();
        let object = tape.listener("live");
        let broker = quiet();
        broker.register_component(tape.component("x")).unwrap();
        broker
            .ensure(&subscription("a", "x").build().unwrap())
            .unwrap();
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        let guard = broker.subscribe::<dyn StockEvents>(object.clone()).unwrap();
        assert_eq!(stocks.price_changed("x", 1.0).delivered(), 2);
        let (mut broker, mut stocks, mut guard) = (Some(broker), Some(stocks), Some(guard));
        for which in order {
            match which {
                0 => drop(broker.take()),
                1 => drop(stocks.take()),
                _ => drop(guard.take()),
            }
            if let Some(stocks) = &stocks {
                let expected = 1 + usize::from(guard.is_some());
                assert_eq!(stocks.price_changed("x", 1.0).delivered(), expected);
            }
        }
        assert_eq!(std::sync::Arc::strong_count(&object), 1, "order {order:?}");
    }
}

#[test]
fn singletons_are_dropped_with_the_last_of_broker_and_publishers() {
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let component = loosely::Component::new("x", move || {
        let held = held.clone();
        crate::support::OnPrice(move |_: &str, _| {
            let _ = &held;
        })
    });
    let broker = quiet();
    broker
        .register_component(component.implements::<dyn StockEvents>())
        .unwrap();
    broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("x", 1.0);
    drop(broker);
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    drop(stocks);
    assert_eq!(std::sync::Arc::strong_count(&alive), 1);
}
