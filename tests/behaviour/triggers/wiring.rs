//! Triggers as subscriptions come, change and go, and whatever else they have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use loosely::testing::{Fault, Gate, Recorder};
use loosely::{
    Breaker, ConversionError, Detached, EventClass, EventValue, Overflow, Retained, Subscription,
    SubscriptionBuilder, SubscriptionGuard, Trigger, ValueRef, ValueType, event_interface,
};

use super::{LONG, Rig, SECOND, alarm, counts};
use crate::support::{StockEvents, StockEventsHandlers, live};

fn stored(trigger: Trigger) -> Subscription {
    let record = Subscription::builder("alarm").to::<dyn StockEvents>();
    let record = record.component("writer").filter("price > 100");
    record.trigger(trigger).build().unwrap()
}

#[test]
fn state_survives_what_does_not_concern_it() {
    let rig = Rig::new();
    rig.broker
        .register_component(rig.tape.component("writer"))
        .unwrap();
    let record = stored(Trigger::on_becoming_true());
    rig.broker.store(&record).unwrap();
    rig.fire("A", 101.0);
    let edits = [
        record.to_builder().priority(5),
        record.to_builder().delivery(Detached::new()),
        record.to_builder().description("louder"),
    ];
    for edit in edits {
        let edit = edit.build().unwrap().without_revision();
        rig.broker.store(&edit).unwrap();
        assert_eq!(rig.fire("A", 102.0).suppressed(), 1);
    }
    rig.broker.unregister_component("writer");
    rig.broker
        .register_component(rig.tape.component("writer"))
        .unwrap();
    assert_eq!(rig.fire("A", 102.0).suppressed(), 1);
    assert_eq!(rig.tape.take(), ["writer A 101"]);
}

#[test]
fn state_begins_anew_with_another_trigger_or_filter_and_when_it_was_away() {
    let rig = Rig::new();
    rig.broker
        .register_component(rig.tape.component("writer"))
        .unwrap();
    let record = stored(Trigger::on_becoming_true());
    rig.broker.store(&record).unwrap();
    assert_eq!(rig.fire("A", 101.0).delivered(), 1);
    let edits = [
        record
            .to_builder()
            .trigger(Trigger::on_becoming_true().resolved()),
        record.to_builder().filter("price > 99"),
    ];
    for edit in edits {
        let edit = edit.build().unwrap().without_revision();
        rig.broker.store(&edit).unwrap();
        assert_eq!(rig.fire("A", 102.0).delivered(), 1);
        assert_eq!(rig.fire("A", 102.0).suppressed(), 1);
    }
    rig.broker.disable(record.id()).unwrap();
    rig.broker.enable(record.id()).unwrap();
    assert_eq!(rig.fire("A", 102.0).delivered(), 1);
    rig.broker.remove(record.id()).unwrap();
    rig.broker.store(&record).unwrap();
    assert_eq!(rig.fire("A", 102.0).delivered(), 1);
}

#[test]
fn nothing_is_due_of_a_subscription_that_is_gone() {
    let rig = Rig::new();
    let guard = rig.alarm(Trigger::on_becoming_true().lasting(SECOND));
    rig.fire("A", 101.0);
    guard.close();
    rig.advance(10);
    assert_eq!(rig.tape.take(), [""; 0]);
}

#[test]
fn edges_are_seen_among_so_many_filters_that_they_are_in_an_index() {
    let rig = Rig::new();
    let edge = Trigger::on_becoming_true().resolved();
    let others: Vec<_> = (0..100)
        .map(|number| {
            let other = live(&format!("other {number}"));
            rig.subscribe(other.filter(format!("price = {number}.5")))
        })
        .collect();
    let _edge = rig.alarm(edge);
    let limited = live("limited").filter("price > 200");
    let _limited = rig.subscribe(limited.trigger(Trigger::at_most(1, SECOND)));
    assert_eq!(counts(&rig.fire("A", 1.0)), [0, 0, 102]);
    assert_eq!(counts(&rig.fire("A", 101.0)), [1, 0, 101]);
    assert_eq!(counts(&rig.fire("A", 201.0)), [1, 1, 100]);
    assert_eq!(counts(&rig.fire("A", 202.0)), [0, 2, 100]);
    assert_eq!(counts(&rig.fire("A", 2.5)), [2, 0, 100]);
    drop(others);
    let expected = ["A 101 BecameTrue", "A 201", "A 2.5 Resolved", "A 2.5"];
    let mut all = rig.tape.take();
    // Whichever of the two has come first.
    all[2..].sort_by(|one, other| other.cmp(one));
    assert_eq!(all, expected);
}

#[test]
fn events_of_another_publisher_end_nothing() {
    let rig = Rig::new();
    let edge = alarm(Trigger::on_becoming_true()).from_publisher("exchange");
    let _guard = rig.subscribe(edge);
    let exchange = rig.broker.publisher::<dyn StockEvents>().unwrap();
    exchange.set_id("exchange");
    assert_eq!(exchange.price_changed("A", 101.0).delivered(), 1);
    assert_eq!(counts(&rig.fire("A", 1.0)), [0, 0, 1]);
    assert_eq!(exchange.price_changed("A", 102.0).suppressed(), 1);
    exchange.price_changed("A", 1.0);
    assert_eq!(exchange.price_changed("A", 103.0).delivered(), 1);
}

#[test]
fn predicate_is_part_of_what_becomes_true() {
    let rig = Rig::new();
    let code = |event: &loosely::FilteredEvent<'_>| {
        event
            .get("symbol")
            .and_then(|symbol| symbol.as_str().map(|it| it != "B"))
            == Some(true)
    };
    rig.broker.register_predicate("listed", code).unwrap();
    let edge = alarm(Trigger::on_becoming_true().resolved()).predicate("listed");
    let _guard = rig.subscribe(edge);
    assert_eq!(counts(&rig.fire("B", 101.0)), [0, 0, 1]);
    assert_eq!(counts(&rig.fire("A", 101.0)), [1, 0, 0]);
    assert_eq!(counts(&rig.fire("B", 101.0)), [1, 0, 0]);
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue", "B 101 Resolved"]);
}

#[test]
fn retained_event_is_one_of_those_that_are_seen() {
    let rig = Rig::new();
    let class = EventClass::new("nyse", "nyse").with_retained(Retained::Last);
    rig.broker.register_class::<dyn StockEvents>(class).unwrap();
    let nyse = rig.broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    nyse.price_changed("A", 101.0);
    let record = Subscription::builder("alarm").class("nyse").object();
    let edge = Trigger::on_becoming_true().resolved();
    let _guard = rig.subscribe(record.filter("price > 100").trigger(edge));
    assert_eq!(nyse.price_changed("A", 102.0).suppressed(), 1);
    nyse.price_changed("A", 1.0);
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue", "A 1 Resolved"]);
}

#[test]
fn explanation_says_what_the_trigger_would_do_and_changes_nothing() {
    let rig = Rig::new();
    let _guard = rig.alarm(Trigger::on_becoming_true().resolved());
    let explain = |price: f64| {
        let values = [ValueRef::Str("A"), ValueRef::F64(price)];
        let explanation = rig.stocks.explain("price_changed", &values).unwrap();
        explanation.lines()[0].stage().to_string()
    };
    for _ in 0..2 {
        assert!(explain(101.0).starts_with("would be called, "));
        assert!(explain(99.0).starts_with("filtered out, "));
    }
    rig.fire("A", 101.0);
    for _ in 0..2 {
        assert!(explain(101.0).starts_with("suppressed by its trigger, "));
        assert!(explain(99.0).starts_with("would be told that it is over, "));
    }
    rig.fire("A", 99.0);
    assert_eq!(rig.tape.take().len(), 2);
}

#[test]
fn what_nobody_was_called_for_is_not_taken_for_told() {
    let rig = Rig::new();
    let breaker = Breaker::after(1).with_back_off(10 * SECOND);
    let record = alarm(Trigger::on_becoming_true().per("symbol")).breaker(breaker);
    let handlers = StockEventsHandlers::new().on_price_changed(|symbol, _| {
        assert_ne!(symbol, "A", "on purpose");
    });
    let record = record.build().unwrap();
    let broker = &rig.broker;
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, Arc::new(handlers))
        .unwrap();
    assert_eq!(rig.fire("A", 101.0).failed(), 1);
    assert_eq!(rig.fire("B", 101.0).skipped(), 1);
    rig.advance(10);
    assert_eq!(rig.fire("B", 102.0).delivered(), 1);
    assert_eq!(rig.fire("B", 103.0).suppressed(), 1);
    assert_eq!(rig.fire("A", 104.0).suppressed(), 1);
}

/// Subscribes somebody who does not return until the gate is opened, and has one event stand there.
fn stuck(rig: &Rig, record: SubscriptionBuilder) -> (SubscriptionGuard, Gate, Recorder) {
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().at(1, Fault::block(&gate));
    let record = record.build().unwrap();
    let broker = &rig.broker;
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, &recorder);
    (guard.unwrap(), gate, recorder)
}

#[test]
fn event_for_which_a_lane_has_no_room_is_not_taken_for_told() {
    for overflow in [Overflow::Fail, Overflow::DropNewest] {
        for trigger in [
            Trigger::on_becoming_true(),
            Trigger::once_within(10 * SECOND),
            Trigger::at_most(1, 10 * SECOND),
        ] {
            let rig = Rig::new();
            let lane = Detached::with_capacity(1).with_overflow(overflow);
            let record = alarm(trigger.per("symbol")).delivery(lane);
            let (_guard, gate, recorder) = stuck(&rig, record);
            assert_eq!(rig.fire("A", 101.0).accepted(), 1);
            gate.wait_for(1, LONG);
            assert_eq!(rig.fire("B", 101.0).accepted(), 1);
            let report = rig.fire("C", 101.0);
            assert_eq!(report.skipped() + report.failed(), 1, "{report}");
            gate.open();
            assert!(rig.broker.idle(LONG));
            assert_eq!(rig.fire("B", 102.0).suppressed(), 1);
            assert_eq!(rig.fire("C", 102.0).accepted(), 1);
            assert_eq!(rig.fire("C", 103.0).suppressed(), 1);
            assert!(rig.broker.idle(LONG));
            recorder.expect("price_changed").times(3);
        }
    }
}

#[test]
fn end_of_which_nobody_was_told_is_told_later() {
    let rig = Rig::new();
    let lane = Detached::with_capacity(1).with_overflow(Overflow::Fail);
    let trigger = Trigger::on_becoming_true().resolved().per("symbol");
    let (_guard, gate, _recorder) = stuck(&rig, alarm(trigger).delivery(lane));
    rig.fire("A", 101.0);
    gate.wait_for(1, LONG);
    assert_eq!(rig.fire("B", 101.0).accepted(), 1);
    assert_eq!(rig.fire("A", 99.0).failed(), 1);
    gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.fire("A", 98.0).accepted(), 1);
    assert_eq!(counts(&rig.fire("A", 97.0)), [0, 0, 1]);
}

#[test]
fn event_that_a_call_which_was_abandoned_keeps_out_is_not_taken_for_told() {
    for trigger in [
        Trigger::on_becoming_true(),
        Trigger::at_most(1, 1000 * SECOND),
    ] {
        let rig = Rig::new();
        let record = alarm(trigger.per("symbol")).deadline(10 * SECOND);
        let (_guard, gate, recorder) = stuck(&rig, record);
        let stocks = rig.stocks.clone();
        let fire = thread::spawn(move || stocks.price_changed("A", 101.0).failed());
        gate.wait_for(1, LONG);
        rig.clock.advance(10 * SECOND);
        assert_eq!(fire.join().unwrap(), 1);
        assert_eq!(rig.fire("B", 101.0).skipped(), 1);
        gate.open();
        assert!(rig.broker.idle(LONG));
        assert_eq!(rig.fire("B", 102.0).delivered(), 1);
        assert_eq!(rig.fire("A", 102.0).suppressed(), 1);
        recorder.expect("price_changed").times(2);
    }
}

/// An argument of which no copy can be made while it says so.
struct Fragile(Arc<AtomicBool>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "do not copy");
        Self(Arc::clone(&self.0))
    }
}

impl EventValue for Fragile {
    fn value_type() -> ValueType {
        ValueType::U64
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::U64(1)
    }

    fn from_view(_view: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(Self(Arc::default()))
    }
}

#[event_interface]
trait Freight {
    fn sent(&self, goods: &Fragile);
}

#[test]
fn event_that_cannot_be_copied_is_not_taken_for_told() {
    let rig = Rig::new();
    let freight = rig.broker.publisher::<dyn Freight>().unwrap();
    let record = |name: &str| Subscription::builder(name).to::<dyn Freight>().object();
    let records = [
        record("detached").detached(),
        record("timed").deadline(10 * SECOND),
    ];
    let _guards = records.map(|record| {
        let record = record.trigger(Trigger::at_most(1, 1000 * SECOND));
        let record = record.build().unwrap();
        let seen = FreightHandlers::new().on_sent(|_| ());
        let broker = &rig.broker;
        let guard = broker.subscribe_with::<dyn Freight>(&record, Arc::new(seen));
        guard.unwrap()
    });
    let goods = Fragile(Arc::new(AtomicBool::new(true)));
    assert_eq!(freight.sent(&goods).failed(), 2);
    goods.0.store(false, Ordering::SeqCst);
    let report = freight.sent(&goods);
    assert_eq!((report.accepted(), report.delivered()), (1, 1), "{report}");
    assert_eq!(freight.sent(&goods).suppressed(), 2);
}
