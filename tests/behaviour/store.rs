//! Storing subscriptions: revisions, bags, what is kept over an update, what cannot be read.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use loosely::{
    Bags, Batch, Broker, ErrorKind, MemoryStore, Notice, Properties, Store, Subscription,
};

use crate::support::{StockEvents, Tape, Watchdog, live, on_store, quiet, subscription};

#[test]
fn store_inserts_and_replaces_by_id_at_a_rising_revision() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    let first = broker.store(&record).unwrap();
    let second = broker.store(&record.clone().with_priority(2)).unwrap();
    assert!(second > first);
    let found = broker.subscription(record.id()).unwrap();
    assert_eq!((found.priority(), found.revision()), (2, Some(second)));
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 1);
}

#[test]
fn record_read_before_somebody_elses_change_is_a_conflict() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    broker.store(&record).unwrap();
    let mine = broker.subscription(record.id()).unwrap();
    broker.disable(record.id()).unwrap();
    let error = broker.store(&mine.clone().with_priority(7)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let found = broker.subscription(record.id()).unwrap();
    assert_eq!((found.priority(), found.is_enabled()), (0, false));
    broker
        .store(&mine.with_priority(7).without_revision())
        .unwrap();
    let found = broker.subscription(record.id()).unwrap();
    assert_eq!((found.priority(), found.is_enabled()), (7, true));
}

#[test]
fn record_that_was_removed_since_it_was_read_is_a_conflict() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    broker.store(&record).unwrap();
    let mine = broker.subscription(record.id()).unwrap();
    broker.remove(record.id()).unwrap();
    assert_eq!(broker.store(&mine).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(broker.subscription(record.id()).is_none());
}

fn bagged(entries: &[(&str, i64)]) -> Subscription {
    let bag: Properties = entries.iter().copied().collect();
    let record = subscription("a", "alarm").for_publisher(bag.clone());
    record.for_subscriber(bag).build().unwrap()
}

#[test]
fn bags_are_replaced_unless_they_are_to_be_retained() {
    let broker = quiet();
    broker.store(&bagged(&[("x", 1), ("y", 1)])).unwrap();
    broker
        .store_with(&bagged(&[("y", 2), ("z", 2)]), Bags::Retain)
        .unwrap();
    let found = broker.subscription(bagged(&[]).id()).unwrap();
    let expected = bagged(&[("x", 1), ("y", 2), ("z", 2)]);
    assert_eq!(found.for_publisher(), expected.for_publisher());
    assert_eq!(found.for_subscriber(), expected.for_subscriber());
    broker.store(&bagged(&[("y", 3)])).unwrap();
    let found = broker.subscription(found.id()).unwrap();
    assert_eq!(found.for_publisher(), bagged(&[("y", 3)]).for_publisher());
    assert_eq!(found.for_subscriber(), bagged(&[("y", 3)]).for_subscriber());
}

/// What is retained was read before the write: two that retain at the same time must not take the
/// other's value away.
#[test]
fn values_retained_at_the_same_time_are_all_kept() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    broker.store(&bagged(&[])).unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let broker = broker.clone();
            scope.spawn(move || {
                for round in 0..25 {
                    let name = format!("{worker}/{round}");
                    broker
                        .store_with(&bagged(&[(&name, 1)]), Bags::Retain)
                        .unwrap();
                }
            });
        }
    });
    let found = broker.subscription(bagged(&[]).id()).unwrap();
    assert_eq!(
        (found.for_publisher().len(), found.for_subscriber().len()),
        (100, 100)
    );
}

#[test]
fn place_in_store_order_is_kept_over_an_update() {
    let broker = quiet();
    for name in ["a", "b", "c"] {
        broker
            .store(&subscription(name, "alarm").build().unwrap())
            .unwrap();
    }
    broker
        .store(&subscription("a", "other").build().unwrap())
        .unwrap();
    let second = subscription("b", "alarm").build().unwrap();
    broker.disable(second.id()).unwrap();
    broker.remove(second.id()).unwrap();
    broker.ensure(&second).unwrap();
    let all = broker.subscriptions("ALL").unwrap();
    let names: Vec<_> = all.iter().map(Subscription::name).collect();
    assert_eq!(names, ["a", "c", "b"]);
}

#[cfg(feature = "sled")]
#[test]
fn reopened_directory_gives_back_every_field_and_the_order() {
    use std::time::{Duration, SystemTime};

    use loosely::{Broker, Value};

    let directory = tempfile::tempdir().unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(2_000_000_000, 7);
    let full = Subscription::builder("full \u{e9}")
        .to::<dyn StockEvents>()
        .class("stocks")
        .method("traded")
        .moniker("queue:orders")
        .filter("volume > 1")
        .priority(-3)
        .disabled()
        .not_before(time)
        .expires(time + Duration::from_nanos(1))
        .owner("ann")
        .description("everything")
        .for_publisher([("list", Value::List(vec![1.into(), Value::Null, "x".into()]))])
        .for_subscriber([
            ("at", Value::Time(time)),
            ("n", u64::MAX.into()),
            ("f", 0.5.into()),
        ])
        .build()
        .unwrap();
    let written = {
        let broker = Broker::open(directory.path()).unwrap();
        broker.ensure(&full).unwrap();
        broker
            .ensure(&subscription("a", "alarm").build().unwrap())
            .unwrap();
        broker.store(&full.clone().with_priority(-4)).unwrap();
        broker.subscriptions("ALL").unwrap()
    };
    let broker = Broker::open(directory.path()).unwrap();
    assert_eq!(broker.subscriptions("ALL").unwrap(), written);
    assert_eq!(
        written[0].clone().without_revision(),
        full.with_priority(-4)
    );
    broker
        .ensure(&subscription("z", "alarm").build().unwrap())
        .unwrap();
    assert_eq!(broker.subscriptions("ALL").unwrap()[2].name(), "z");
}

/// The identity of a subscription says nothing about its target, so a person may well store what
/// has the id of a live one.
#[test]
fn stored_subscription_cannot_take_the_place_of_a_live_one() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    let record = live("a").build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, tape.listener("live"));
    let guard = guard.unwrap();
    let same_id = subscription("a", "alarm").build().unwrap();
    assert_eq!(same_id.id(), record.id());
    assert_eq!(
        broker.store(&same_id).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        broker.ensure(&same_id).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    assert_eq!(tape.take(), ["live MSFT 1"]);
    drop(guard);
    broker.ensure(&same_id).unwrap();
    stocks.price_changed("MSFT", 2.0);
    assert_eq!(tape.take(), ["alarm MSFT 2"]);
}

/// Another broker does not know the live ones of this. Its commit stands, and the guard of the live
/// one must not take it away.
#[test]
fn guard_leaves_alone_what_another_broker_stored_under_its_id() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (one, other, tape) = (on_store(store.clone()), on_store(store), Tape::new());
    one.register_component(tape.component("alarm")).unwrap();
    let record = live("a").build().unwrap();
    let guard = one
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("live"))
        .unwrap();
    other
        .store(&subscription("a", "alarm").build().unwrap())
        .unwrap();
    assert_eq!(
        guard
            .replace::<dyn StockEvents>(tape.listener("next"))
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    drop(guard);
    let stocks = one.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    assert_eq!(tape.take(), ["alarm MSFT 1"]);
}

/// Returns the keys of what the store has of one name, in key order.
pub(crate) fn keys(store: &dyn Store) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    store
        .scan(b"", &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    keys
}

#[test]
fn record_that_cannot_be_read_is_reported_and_the_rest_served() {
    let _watchdog = Watchdog::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (broker, tape) = (on_store(store.clone()), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let before = keys(store.as_ref());
    let damaged = subscription("damaged", "alarm").build().unwrap();
    broker.ensure(&damaged).unwrap();
    let mut added = keys(store.as_ref());
    added.retain(|key| !before.contains(key));
    broker
        .ensure(&subscription("whole", "alarm").build().unwrap())
        .unwrap();
    let mut batch = Batch::new();
    batch.put(added[0].clone(), b"no record".to_vec());
    store.commit(batch).unwrap();

    for broker in [&broker, &on_store(store.clone())] {
        assert!(broker.subscription(damaged.id()).is_none());
        assert_eq!(broker.subscriptions("ALL").unwrap()[0].name(), "whole");
        let quarantined = broker.notices();
        assert!(
            matches!(&quarantined[..], [Notice::Quarantined { key, .. }] if *key == added[0]),
            "{quarantined:?}"
        );
    }
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    assert_eq!(
        broker.ensure(&damaged).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    broker.store(&damaged).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 2);
}

/// Returns a broker, its store, and the one subscription in it, of which the record cannot be read.
fn with_damaged() -> (Broker, Arc<dyn Store>, Subscription) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(store.clone());
    let damaged = subscription("damaged", "alarm").build().unwrap();
    broker.ensure(&damaged).unwrap();
    let mut batch = Batch::new();
    batch.put(keys(store.as_ref())[0].clone(), b"no record".to_vec());
    store.commit(batch).unwrap();
    (broker, store, damaged)
}

#[test]
fn record_that_cannot_be_read_can_be_removed() {
    let (broker, store, damaged) = with_damaged();
    assert!(broker.remove(damaged.id()).unwrap());
    assert!(keys(store.as_ref()).is_empty());
    assert!(!broker.remove(damaged.id()).unwrap());
}

#[test]
fn import_replaces_a_record_that_cannot_be_read() {
    let _watchdog = Watchdog::new();
    let (broker, _, damaged) = with_damaged();
    assert_eq!(broker.import([&damaged]).unwrap().added(), 1);
    assert!(broker.subscription(damaged.id()).is_some());
}

#[test]
fn class_that_cannot_be_read_is_an_error_until_it_is_removed() {
    let _watchdog = Watchdog::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    on_store(store.clone())
        .publisher::<dyn StockEvents>()
        .unwrap();
    let class = loosely::EventClassId::named("StockEvents");
    let mut batch = Batch::new();
    let all = keys(store.as_ref());
    let key = all
        .iter()
        .find(|key| key.ends_with(class.uuid().as_bytes()));
    batch.put(key.unwrap().clone(), b"no record".to_vec());
    store.commit(batch).unwrap();
    let broker = on_store(store);
    let error = broker.publisher::<dyn StockEvents>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        broker
            .unregister_class(class, loosely::Cascade::Refuse)
            .unwrap()
    );
    broker.publisher::<dyn StockEvents>().unwrap();
}
