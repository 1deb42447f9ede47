//! A clock that a test moves, and a broker that is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use loosely::testing::{Fault, FaultyEngine, Gate, Recorder, VirtualClock};
use loosely::{
    Broker, Component, Durability, ErrorKind, EventClass, EventContext, Firing, HealthEvents,
    LocalStore, Pool, Retained, StoreOptions, SubscriptionBuilder, Trigger, WiringChanges,
};

use crate::support::{OnDrop, OnPrice, StockEvents, Watchdog, live, quiet, store, subscription};

const MINUTE: Duration = Duration::from_secs(60);

/// Far longer than anything takes that is waited for here.
const LONG: Duration = Duration::from_secs(120);

fn on_clock() -> (Broker, VirtualClock) {
    let clock = VirtualClock::new();
    let broker = Broker::builder().clock(&clock).on_failure(|_, _| {});
    (broker.open().unwrap(), clock)
}

#[test]
fn instance_is_idle_for_as_long_as_the_clock_says() {
    let (broker, clock) = on_clock();
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = dropped.clone();
    let make = move || {
        let count = count.clone();
        OnDrop(move || {
            count.fetch_add(1, Ordering::SeqCst);
        })
    };
    let component = Component::new("x", make).implements::<dyn StockEvents>();
    broker
        .register_component(component.with_idle_timeout(MINUTE))
        .unwrap();
    broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("1", 1.0);
    clock.advance(MINUTE / 2);
    stocks.price_changed("2", 1.0);
    clock.advance(MINUTE / 2);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    clock.advance(MINUTE / 2);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    for round in 2..5 {
        stocks.price_changed("3", 1.0);
        clock.advance(60 * MINUTE);
        assert_eq!(dropped.load(Ordering::SeqCst), round);
    }
}

#[test]
fn subscription_begins_and_expires_by_the_clock() {
    let start = SystemTime::UNIX_EPOCH + 1_000_000 * MINUTE;
    let clock = VirtualClock::starting_at(start);
    let broker = Broker::builder().clock(&clock).open().unwrap();
    let recorder = Recorder::new();
    let record = live("a")
        .not_before(start + MINUTE)
        .expires(start + 2 * MINUTE);
    let record = record.build().unwrap();
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, &recorder)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for minute in 0..4 {
        assert_eq!(clock.now(), start + minute * MINUTE);
        stocks.price_changed("x", f64::from(minute));
        clock.advance(MINUTE);
        assert!(broker.idle(LONG));
    }
    recorder.expect("price_changed").with("price", 1).once();
    recorder.expect("price_changed").once();
}

#[test]
fn event_waits_for_a_pooled_instance_by_the_clock() {
    let _watchdog = Watchdog::new();
    let (broker, clock) = on_clock();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().from(1, Fault::block(&gate));
    let pool = Pool::new(1).with_wait(MINUTE);
    broker
        .register_component(recorder.component("x").pooled(pool))
        .unwrap();
    broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let fire = |stocks: &crate::support::StockEventsPublisher| {
        let stocks = stocks.clone();
        thread::spawn(move || stocks.price_changed("x", 1.0).failed())
    };
    let first = fire(&stocks);
    gate.wait_for(1, LONG);
    let second = fire(&stocks);
    while !second.is_finished() {
        // It may not have begun to wait yet.
        clock.advance(MINUTE);
        thread::yield_now();
    }
    assert_eq!(second.join().unwrap(), 1);
    gate.open();
    assert_eq!(first.join().unwrap(), 0);
}

#[test]
fn idle_waits_for_what_other_threads_were_given() {
    let _watchdog = Watchdog::new();
    let broker = Broker::builder().delivery_threads(2).open().unwrap();
    let class = EventClass::new("nyse", "nyse").with_firing(Firing::Parallel { max: 4 });
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().from(1, Fault::block(&gate));
    let guards = ["a", "b"].map(|name| {
        let record = live(name).build().unwrap();
        broker
            .subscribe_with::<dyn StockEvents>(&record, &recorder)
            .unwrap()
    });
    assert!(broker.idle(LONG));
    let stocks = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    let fire = thread::spawn(move || stocks.price_changed("x", 1.0).delivered());
    gate.wait_for(2, LONG);
    assert!(!broker.idle(Duration::from_millis(1)));
    gate.open();
    assert!(broker.idle(LONG));
    assert_eq!(fire.join().unwrap(), 2);
    drop(guards);
}

#[test]
fn idle_waits_until_lanes_are_empty() {
    let _watchdog = Watchdog::new();
    let (broker, recorder, gate) = (quiet(), Recorder::new(), Gate::new());
    recorder.faults().from(1, Fault::block(&gate));
    let record = live("a").detached().build().unwrap();
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, &recorder)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for price in 1..=3 {
        stocks.price_changed("x", f64::from(price));
    }
    gate.wait_for(1, LONG);
    assert!(!broker.idle(Duration::from_millis(1)));
    gate.open();
    assert!(broker.idle(LONG));
    recorder.expect("price_changed").times(3);
}

#[test]
fn idle_waits_until_subscribers_were_told_of_the_wiring_and_of_health() {
    let _watchdog = Watchdog::new();
    let (broker, recorder) = (quiet(), Recorder::new());
    let _changes = broker.subscribe::<dyn WiringChanges>(&recorder).unwrap();
    let _health = broker.subscribe::<dyn HealthEvents>(&recorder).unwrap();
    assert!(broker.idle(LONG));
    recorder.take();
    for count in 1..=50 {
        store(&broker, &format!("subscription {count}"));
        assert!(broker.idle(LONG));
        let told = recorder
            .expect("record_changed")
            .matching("record = 'subscription'");
        told.times(count);
    }
}

#[test]
fn broker_that_was_closed_is_idle() {
    let (broker, clock) = on_clock();
    broker.close(LONG).unwrap();
    clock.advance(MINUTE);
    assert!(broker.idle(Duration::ZERO));
}

#[test]
fn store_of_the_broker_pauses_and_flushes_by_the_clock() {
    let (clock, engine) = (VirtualClock::new(), FaultyEngine::new());
    let options = StoreOptions::new()
        .clock(&clock)
        .durability(Durability::Interval(MINUTE))
        .back_off(MINUTE, MINUTE);
    let opened = LocalStore::with_engine(engine.clone(), options).unwrap();
    let broker = crate::support::on_store(Arc::new(opened));
    store(&broker, "a");
    let before = engine.syncs().count();
    clock.advance(MINUTE / 2);
    assert_eq!(engine.syncs().count(), before);
    engine.syncs().at(1, Fault::fail("the disk is out"));
    clock.advance(MINUTE / 2);
    assert_eq!(engine.syncs().count(), before + 1);
    let record = subscription("b", "nobody").build().unwrap();
    let refused = |broker: &Broker| broker.store(&record).unwrap_err().kind();
    assert_eq!(refused(&broker), ErrorKind::Unavailable);
    clock.advance(MINUTE / 2);
    assert_eq!(refused(&broker), ErrorKind::Unavailable);
    clock.advance(MINUTE);
    store(&broker, "b");
}

#[test]
fn clock_goes_as_far_as_the_system_can_tell_and_no_further() {
    let _watchdog = Watchdog::new();
    let (broker, clock) = on_clock();
    let recorder = Recorder::new();
    let record = live("silence").trigger(Trigger::absence(MINUTE));
    let record = record.build().unwrap();
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, &recorder)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("A", 1.0);
    clock.advance(Duration::MAX);
    assert!(broker.idle(LONG));
    recorder.expect("price_changed").once();
    let last = clock.now();
    stocks.price_changed("A", 1.0);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), last);
}

#[test]
fn context_has_the_time_of_the_brokers_clock_at_which_the_event_was_fired() {
    let (broker, clock) = on_clock();
    let retained = EventClass::new("quotes", "Quotes").with_retained(Retained::Last);
    let classes = [EventClass::new("plain", "Plain"), retained];
    for class in classes {
        let id = class.id();
        broker.register_class::<dyn StockEvents>(class).unwrap();
        let stocks = broker.publisher_of::<dyn StockEvents>(id).unwrap();
        let (seen, sees) = mpsc::channel();
        let subscribe = |name: &str, record: SubscriptionBuilder| {
            let (seen, name) = (seen.clone(), name.to_owned());
            let handler = OnPrice(move |_: &str, _| {
                let context = EventContext::current().unwrap();
                seen.send((name.clone(), context.time())).unwrap();
            });
            let record = record.class(id).build().unwrap();
            let guard = broker.subscribe_with::<dyn StockEvents>(&record, Arc::new(handler));
            guard.unwrap()
        };
        let mut guards = vec![subscribe("alone", live("alone"))];
        for round in 0..2 {
            clock.advance(MINUTE);
            stocks.price_changed("A", 1.0);
            assert!(broker.idle(LONG));
            assert_eq!(sees.try_iter().next().unwrap().1, clock.now());
            let filtered = live(&format!("filtered {round}")).filter("price > 0");
            guards.push(subscribe("filtered", filtered));
            let detached = live(&format!("detached {round}")).detached();
            guards.push(subscribe("detached", detached));
            assert!(broker.idle(LONG));
            let late = sees.try_iter().all(|(_, time)| time == clock.now());
            assert!(late, "what is retained has the time of its fire");
        }
        clock.advance(MINUTE);
        stocks.price_changed("A", 1.0);
        assert!(broker.idle(LONG));
        let times: Vec<_> = sees.try_iter().collect();
        assert_eq!(times.len(), guards.len());
        assert!(
            times.iter().all(|(_, time)| *time == clock.now()),
            "{times:?}"
        );
    }
}
