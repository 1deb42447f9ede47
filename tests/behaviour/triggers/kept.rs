//! Triggers whose state outlives the broker.

use std::ops::ControlFlow;
use std::sync::Arc;

use loosely::testing::{Fault, Gate, Recorder, VirtualClock};
use loosely::{
    Broker, Component, Detached, EventClass, Mailbox, MemoryStore, Overflow, Store, Subscription,
    SubscriptionBuilder, Trigger,
};

use super::{LONG, Rig, SECOND, writing};
use crate::support::{StockEvents, Tape, live};

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
        let broker = Broker::builder().clock(&self.clock).delivery_threads(1);
        let broker = broker.store(Arc::clone(&self.store));
        let broker = broker.on_failure(|_, _| {}).open().unwrap();
        let tape = Tape::new();
        let written = tape.clone();
        let component = Component::new("writer", move || writing(&written));
        let component = component.implements::<dyn StockEvents>();
        broker.register_component(component).unwrap();
        let rig = Rig::on(broker, self.clock.clone());
        Rig { tape, ..rig }
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
    builder(name, trigger).build().unwrap()
}

fn builder(name: &str, trigger: Trigger) -> SubscriptionBuilder {
    let record = Subscription::builder(name).to::<dyn StockEvents>();
    let record = record.component("writer").filter("price > 100");
    record.trigger(trigger.kept())
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

#[test]
fn what_is_overdue_after_a_restart_comes_when_a_publisher_is_made() {
    let house = House::new();
    let rig = house.open();
    let lasting = Trigger::on_becoming_true().lasting(10 * SECOND);
    rig.broker.store(&alarm(lasting)).unwrap();
    rig.fire("A", 101.0);
    rig.broker.close(LONG).unwrap();
    house.clock.advance(60 * SECOND);
    let rig = house.open();
    rig.advance(0);
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue"]);
}

/// What was kept of other classes than the one that was served first was lost at a restart.
#[test]
fn events_of_several_classes_are_due_after_a_restart() {
    for trigger in [
        Trigger::on_becoming_true().lasting(10 * SECOND),
        Trigger::absence(10 * SECOND),
    ] {
        let house = House::new();
        let rig = house.open();
        let lse = EventClass::new("lse", "lse");
        rig.broker.register_class::<dyn StockEvents>(lse).unwrap();
        let record = alarm(trigger.per("symbol"));
        rig.broker.store(&record).unwrap();
        let lse = rig.broker.publisher_of::<dyn StockEvents>("lse").unwrap();
        for symbol in ["A", "B", "C"] {
            lse.price_changed(symbol, 101.0);
        }
        rig.fire("D", 101.0);
        rig.broker.close(LONG).unwrap();
        let rig = house.open();
        // One that comes before its event can be made again takes its place.
        rig.fire("C", 102.0);
        rig.advance(4);
        rig.broker.close(LONG).unwrap();
        let rig = house.open();
        let _lse = rig.broker.publisher_of::<dyn StockEvents>("lse").unwrap();
        rig.advance(10);
        let mut told = rig.tape.take();
        told.sort();
        let symbols: Vec<_> = told.iter().map(|line| &line[..5]).collect();
        assert_eq!(symbols, ["A 101", "B 101", "C 102", "D 101"]);
    }
}

#[test]
fn state_goes_with_the_trigger_that_is_edited_away() {
    let house = House::new();
    let rig = house.open();
    let kept = || alarm(Trigger::on_becoming_true());
    let edit = || kept().to_builder();
    let edits = [
        edit().without_trigger(),
        edit().trigger(Trigger::on_becoming_true()),
        edit().without_trigger().detached(),
    ];
    for edit in edits {
        rig.broker.store(&kept()).unwrap();
        rig.fire("A", 101.0);
        rig.advance(5);
        assert_eq!(house.kept(), 1);
        rig.broker.store(&edit.build().unwrap()).unwrap();
        rig.advance(5);
        assert_eq!(house.kept(), 0);
    }
}

/// What was due after a restart stood in a lane with keys as an event of none.
#[test]
fn event_that_is_due_after_a_restart_has_its_key_in_the_lane() {
    let house = House::new();
    let rig = house.open();
    let lasting = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let lasting = lasting.per("symbol");
    let lane = Detached::new().with_key("symbol");
    let lane = lane.with_overflow(Overflow::Coalesce);
    let record = builder("alarm", lasting).delivery(lane);
    rig.broker.store(&record.build().unwrap()).unwrap();
    rig.fire("A", 101.0);
    rig.broker.close(LONG).unwrap();
    let rig = house.open();
    // The broker's only thread is busy.
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().at(1, Fault::block(&gate));
    let busy = live("busy").detached().filter("symbol = 'busy'");
    let busy = busy.build().unwrap();
    let _busy = rig
        .broker
        .subscribe_with::<dyn StockEvents>(&busy, &recorder)
        .unwrap();
    rig.fire("busy", 1.0);
    gate.wait_for(1, LONG);
    rig.clock.advance(10 * SECOND);
    assert_eq!(rig.fire("A", 99.0).accepted(), 1);
    gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.tape.take(), ["A 99 Resolved"]);
}

/// What was due without an event came to a mailbox with keys as one of none.
#[test]
fn event_that_is_due_has_its_key_in_a_mailbox() {
    let rig = House::new().open();
    let mailbox = Mailbox::new(&rig.broker);
    let lasting = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let lane = Detached::new().with_key("symbol");
    let lane = lane.with_overflow(Overflow::Coalesce);
    let record = super::alarm(lasting).delivery(lane).build().unwrap();
    let tape = rig.tape.clone();
    let read = move |event: &loosely::DynamicEvent| tape.write(event.to_string());
    let _read = mailbox.subscribe_dynamic(&record, read).unwrap();
    rig.fire("A", 101.0);
    rig.advance(10);
    assert_eq!(mailbox.waiting(), 1);
    assert_eq!(rig.fire("A", 99.0).accepted(), 1);
    assert_eq!((mailbox.dispatch(), rig.tape.len()), (1, 1));
}
