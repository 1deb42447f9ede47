//! Triggers whose state outlives the broker.

use std::ops::ControlFlow;
use std::sync::Arc;

use loosely::testing::VirtualClock;
use loosely::{Broker, Component, MemoryStore, Store, Subscription, Trigger};

use super::{LONG, Rig, SECOND, writing};
use crate::support::StockEvents;

/// A store, and a broker on it that comes and goes.
struct House {
    store: Arc<dyn Store>,
    clock: VirtualClock,
}

impl House {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: VirtualClock::new(),
        }
    }

    /// Opens a broker whose component writes each event and why it got it.
    fn open(&self) -> Rig {
        let broker = Broker::builder().clock(&self.clock).delivery_threads(2);
        let broker = broker.store(Arc::clone(&self.store));
        let broker = broker.on_failure(|_, _| {}).open().unwrap();
        let rig = Rig::on(broker, self.clock.clone());
        let tape = rig.tape.clone();
        let component = Component::new("writer", move || writing(&tape));
        let component = component.implements::<dyn StockEvents>();
        rig.broker.register_component(component).unwrap();
        rig
    }

    /// Returns how many triggers are kept.
    fn kept(&self) -> usize {
        let mut count = 0;
        let mut visit = |_: &[u8], _| {
            count += 1;
            ControlFlow::Continue(())
        };
        self.store.scan(b"t", &mut visit).unwrap();
        count
    }
}

fn alarm(trigger: Trigger) -> Subscription {
    named("alarm", trigger)
}

fn named(name: &str, trigger: Trigger) -> Subscription {
    let record = Subscription::builder(name).to::<dyn StockEvents>();
    let record = record.component("writer").filter("price > 100");
    record.trigger(trigger.kept()).build().unwrap()
}

#[test]
fn alarm_that_was_given_is_not_given_again_after_a_restart() {
    let house = House::new();
    let record = alarm(Trigger::on_becoming_true().per("symbol").resolved());
    let rig = house.open();
    rig.broker.store(&record).unwrap();
    rig.fire("A", 101.0);
    rig.broker.close(LONG).unwrap();
    assert_eq!(house.kept(), 1);
    let rig = house.open();
    assert_eq!(rig.fire("A", 102.0).suppressed(), 1);
    assert_eq!(rig.fire("B", 102.0).delivered(), 1);
    rig.fire("A", 99.0);
    let expected = ["B 102 BecameTrue", "A 99 Resolved"];
    assert_eq!(rig.tape.take(), expected);
}

#[test]
fn what_was_to_be_due_is_due_after_a_restart() {
    let house = House::new();
    let rig = house.open();
    let lasting = Trigger::on_becoming_true().lasting(10 * SECOND);
    rig.broker.store(&alarm(lasting)).unwrap();
    let silence = named("silence", Trigger::absence(20 * SECOND));
    rig.broker.store(&silence).unwrap();
    rig.fire("A", 101.0);
    rig.broker.close(LONG).unwrap();
    house.clock.advance(5 * SECOND);
    let rig = house.open();
    rig.advance(4);
    assert_eq!(rig.tape.take(), [""; 0]);
    rig.advance(1);
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue"]);
    rig.advance(10);
    assert_eq!(rig.tape.take(), ["A 101 Absent"]);
}

#[test]
fn state_is_written_some_seconds_after_it_has_changed() {
    let house = House::new();
    let rig = house.open();
    rig.broker
        .store(&alarm(Trigger::on_becoming_true()))
        .unwrap();
    rig.fire("A", 101.0);
    rig.advance(4);
    assert_eq!(house.kept(), 0);
    rig.advance(1);
    assert_eq!(house.kept(), 1);
    let revision = house.store.revision();
    rig.fire("A", 102.0);
    rig.advance(10);
    assert_eq!(house.store.revision(), revision, "nothing has changed");
}

#[test]
fn state_goes_with_its_subscription() {
    let house = House::new();
    let rig = house.open();
    let record = alarm(Trigger::on_becoming_true());
    rig.broker.store(&record).unwrap();
    rig.fire("A", 101.0);
    rig.advance(5);
    rig.broker.remove(record.id()).unwrap();
    rig.advance(5);
    assert_eq!(house.kept(), 0);
    rig.broker.store(&record).unwrap();
    assert_eq!(rig.fire("A", 101.0).delivered(), 1);
}

#[test]
fn state_is_of_no_use_to_a_subscription_that_asks_for_something_else() {
    let house = House::new();
    let rig = house.open();
    let record = alarm(Trigger::on_becoming_true());
    rig.broker.store(&record).unwrap();
    rig.fire("A", 101.0);
    rig.broker.close(LONG).unwrap();
    let rig = house.open();
    let edit = rig.broker.subscription(record.id()).unwrap().to_builder();
    rig.broker
        .store(&edit.filter("price > 99").build().unwrap())
        .unwrap();
    assert_eq!(rig.fire("A", 101.0).delivered(), 1);
}
