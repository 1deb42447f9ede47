//! Subscribers that fail again and again, and are left alone for a while.

use std::thread;
use std::time::Duration;

use loosely::testing::{Fault, Gate, Recorder};
use loosely::{
    Breaker, BreakerState, Detached, EventClass, Overflow, SkipReason, SubscriptionId, ValueRef,
};

use crate::deadlines::{LONG, Rig, assert_skipped};
use crate::support::{StockEvents, live, subscription};

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Recorder {
    let recorder = Recorder::new();
    recorder.faults().from(1, Fault::fail("out of order"));
    recorder
}

fn state(rig: &Rig, id: SubscriptionId) -> BreakerState {
    rig.broker.subscription_health(id).unwrap().breaker()
}

#[test]
fn subscriber_is_left_alone_after_failures_in_a_row_until_the_back_off_is_over() {
    let rig = Rig::new();
    let recorder = failing();
    let guard = rig.subscribe(live("a").breaker(Breaker::after(2)), &recorder);
    assert_eq!([rig.fire("1").failed(), rig.fire("2").failed()], [1, 1]);
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    assert_skipped(&rig.fire("3"), SkipReason::BreakerOpen);
    rig.clock.advance(SECOND);
    assert_eq!(state(&rig, guard.id()), BreakerState::HalfOpen);
    assert_eq!(rig.fire("4").failed(), 1);
    rig.clock.advance(SECOND);
    assert_skipped(&rig.fire("5"), SkipReason::BreakerOpen);
    rig.clock.advance(SECOND);
    recorder.faults().clear();
    assert_eq!(
        [rig.fire("6"), rig.fire("7")].map(|it| it.delivered()),
        [1, 1]
    );
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
    recorder.expect("price_changed").times(5);
    assert_eq!(
        rig.notices(),
        [
            "\"a\" failed 2 times in a row and is not called for 1s",
            "\"a\" failed 3 times in a row and is not called for 2s",
            "\"a\" is called again",
        ]
    );
}

#[test]
fn panics_count_and_one_delivery_that_goes_well_begins_the_count_anew() {
    let rig = Rig::new();
    let recorder = Recorder::new();
    for nth in [1, 3] {
        recorder.faults().at(nth, Fault::panic("on purpose"));
    }
    let guard = rig.subscribe(live("a").breaker(Breaker::after(2)), &recorder);
    let failed = ["1", "2", "3", "4"].map(|symbol| rig.fire(symbol).failed());
    assert_eq!(failed, [1, 0, 1, 0]);
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
}

#[test]
fn others_are_skipped_while_the_trial_is_made() {
    let rig = Rig::new();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().at(1, Fault::fail("out of order"));
    recorder.faults().at(2, Fault::block(&gate));
    let _guard = rig.subscribe(live("a").breaker(Breaker::after(1)), &recorder);
    rig.fire("1");
    rig.clock.advance(SECOND);
    let stocks = rig.stocks.clone();
    let trial = thread::spawn(move || stocks.price_changed("2", 1.0).delivered());
    gate.wait_for(1, LONG);
    assert_skipped(&rig.fire("3"), SkipReason::BreakerOpen);
    let values = [ValueRef::Str("4"), ValueRef::F64(1.0)];
    let explained = rig.stocks.explain("price_changed", &values).unwrap();
    let line = explained.lines()[0].to_string();
    assert_eq!(line, "\"a\": skipped, its breaker is open");
    gate.open();
    assert_eq!(trial.join().unwrap(), 1);
    assert_eq!(rig.fire("5").delivered(), 1);
}

#[test]
fn lane_pauses_and_nothing_is_lost() {
    let rig = Rig::new();
    let recorder = Recorder::new();
    for nth in 1..=3 {
        recorder.faults().at(nth, Fault::fail("out of order"));
    }
    let record = live("a").detached().breaker(Breaker::after(2));
    let guard = rig.subscribe(record, &recorder);
    for price in 1..=100 {
        let report = rig.stocks.price_changed("x", f64::from(price));
        assert_eq!(report.accepted(), 1);
    }
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(2);
    let health = rig.broker.subscription_health(guard.id()).unwrap();
    assert_eq!(
        (health.waiting(), health.breaker()),
        (98, BreakerState::Open)
    );
    rig.clock.advance(SECOND);
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(3);
    rig.clock.advance(SECOND);
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(3);
    rig.clock.advance(SECOND);
    assert!(rig.broker.idle(LONG));
    let all = recorder.expect("price_changed").times(100);
    let expected = (1..=100).map(|price| format!("price_changed(symbol = 'x', price = {price}.0)"));
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(all, expected.collect::<Vec<_>>());
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
}

#[test]
fn events_of_all_keys_wait_and_go_on() {
    let rig = Rig::new();
    let recorder = failing();
    let lane = Detached::new().with_key("symbol");
    let record = live("a").delivery(lane).breaker(Breaker::after(1));
    let _guard = rig.subscribe(record, &recorder);
    for symbol in ["a", "b", "c", "a", "b", "c"] {
        rig.fire(symbol);
    }
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").once();
    recorder.faults().clear();
    rig.clock.advance(SECOND);
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(6);
}

#[test]
fn lane_that_pauses_overflows_as_its_policy_says() {
    let rig = Rig::new();
    let recorder = failing();
    let lane = Detached::with_capacity(2).with_overflow(Overflow::DropOldest);
    let record = live("a").delivery(lane).breaker(Breaker::after(1));
    let guard = rig.subscribe(record, &recorder);
    rig.fire("1");
    assert!(rig.broker.idle(LONG));
    for symbol in ["2", "3", "4"] {
        assert_eq!(rig.fire(symbol).accepted(), 1);
        assert!(rig.broker.idle(LONG));
    }
    let health = rig.broker.subscription_health(guard.id()).unwrap();
    assert_eq!((health.waiting(), health.lost()), (2, 1));
    recorder.faults().clear();
    rig.clock.advance(SECOND);
    assert!(rig.broker.idle(LONG));
    recorder
        .expect("price_changed")
        .matching("symbol = '2'")
        .never();
    recorder.expect("price_changed").times(3);
}

#[test]
fn missed_deadline_is_a_failure() {
    let rig = Rig::new();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().at(1, Fault::block(&gate));
    let record = live("a").deadline(SECOND);
    let guard = rig.subscribe(record.breaker(Breaker::after(1)), &recorder);
    let stocks = rig.stocks.clone();
    let fire = thread::spawn(move || stocks.price_changed("1", 1.0).failed());
    gate.wait_for(1, LONG);
    rig.clock.advance(SECOND);
    assert_eq!(fire.join().unwrap(), 1);
    assert_skipped(&rig.fire("2"), SkipReason::Busy);
    gate.open();
    assert!(rig.broker.idle(LONG));
    // That it returned at last says nothing.
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    rig.clock.advance(SECOND);
    assert_eq!(rig.fire("3").delivered(), 1);
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
}

#[test]
fn lane_whose_call_missed_its_deadline_pauses_for_the_breaker() {
    let rig = Rig::new();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().at(1, Fault::block(&gate));
    let breaker = Breaker::after(1).with_back_off(60 * SECOND);
    let record = live("a").deadline(SECOND).detached();
    let guard = rig.subscribe(record.breaker(breaker), &recorder);
    rig.fire("1");
    rig.fire("2");
    gate.wait_for(1, LONG);
    rig.clock.advance(SECOND);
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    gate.open();
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").once();
    rig.clock.advance(60 * SECOND);
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(2);
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
}

#[test]
fn edit_keeps_the_breaker_open_and_another_breaker_closes_it() {
    let rig = Rig::new();
    let recorder = failing();
    rig.broker
        .register_component(recorder.component("x"))
        .unwrap();
    let record = subscription("a", "x").breaker(Breaker::after(1));
    let record = record.build().unwrap();
    rig.broker.store(&record).unwrap();
    rig.fire("1");
    let edited = record.to_builder().priority(3).build().unwrap();
    rig.broker.store(&edited).unwrap();
    assert_skipped(&rig.fire("2"), SkipReason::BreakerOpen);
    let edited = edited.to_builder().breaker(Breaker::after(2));
    rig.broker.store(&edited.build().unwrap()).unwrap();
    assert_eq!(rig.fire("3").failed(), 1);
}

#[test]
fn breaker_that_is_taken_away_lets_the_lane_go_on() {
    let rig = Rig::new();
    let recorder = failing();
    rig.broker
        .register_component(recorder.component("x"))
        .unwrap();
    let record = subscription("a", "x").detached();
    let record = record.breaker(Breaker::after(1)).build().unwrap();
    rig.broker.store(&record).unwrap();
    for symbol in ["1", "2", "3"] {
        rig.fire(symbol);
    }
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").once();
    let edited = record.to_builder().without_breaker().build().unwrap();
    rig.broker.store(&edited).unwrap();
    assert!(rig.broker.idle(LONG));
    recorder.expect("price_changed").times(3);
}

#[test]
fn each_subscription_has_the_breaker_of_its_class_for_itself() {
    let class = EventClass::new("nyse", "nyse").with_breaker(Breaker::after(1));
    let rig = Rig::of(class);
    let (bad, good) = (failing(), Recorder::new());
    let _guards = [("bad", &bad), ("good", &good)].map(|(name, it)| rig.subscribe(live(name), it));
    assert_eq!(rig.fire("1").delivered(), 1);
    let report = rig.fire("2");
    assert_eq!((report.delivered(), report.skipped()), (1, 1));
}

#[test]
fn breakers_of_subscribers_that_are_called_at_the_same_time_count_too() {
    use loosely::Firing;
    let class = EventClass::new("nyse", "nyse").with_firing(Firing::Parallel { max: 4 });
    let rig = Rig::of(class);
    let (bad, good) = (failing(), Recorder::new());
    let guards = [("bad", &bad), ("good", &good)]
        .map(|(name, it)| rig.subscribe(live(name).breaker(Breaker::after(1)), it));
    let report = rig.fire("1");
    assert_eq!((report.delivered(), report.failed()), (1, 1));
    assert_eq!(state(&rig, guards[0].id()), BreakerState::Open);
    assert_eq!(rig.fire("2").skipped(), 1);
    guards.into_iter().for_each(|guard| guard.close());
    let _alone = rig.subscribe(live("alone").breaker(Breaker::after(1)), &bad);
    assert_eq!([rig.fire("3").failed(), rig.fire("4").skipped()], [1, 1]);
}

#[test]
fn breaker_stays_as_it_is_where_another_class_comes_to_be_served() {
    let class = |id: &str, failures| EventClass::new(id, id).with_breaker(Breaker::after(failures));
    let rig = Rig::of(class("nyse", 1));
    let recorder = failing();
    let guard = rig.subscribe(live("a"), &recorder);
    rig.fire("1");
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    rig.broker
        .register_class::<dyn StockEvents>(class("lse", 5))
        .unwrap();
    let lse = rig.broker.publisher_of::<dyn StockEvents>("lse").unwrap();
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    let report = lse.price_changed("2", 1.0);
    assert_skipped(&report, SkipReason::BreakerOpen);
    let other = rig.broker.class("nyse").unwrap();
    let other = other.with_breaker(Breaker::after(2));
    rig.broker.update_class(&other).unwrap();
    assert_eq!(state(&rig, guard.id()), BreakerState::Closed);
}

/// Another lane, deadline or breaker of a class reached its subscriptions only when something else
/// of it changed, too.
#[test]
fn defaults_of_a_class_hold_from_when_they_are_changed() {
    let rig = Rig::new();
    let guard = rig.subscribe(live("a"), &failing());
    rig.fire("1");
    let class = rig.broker.class("nyse").unwrap();
    let broken = class.with_breaker(Breaker::after(1));
    rig.broker.update_class(&broken).unwrap();
    rig.fire("2");
    assert_eq!(state(&rig, guard.id()), BreakerState::Open);
    let class = rig.broker.class("nyse").unwrap();
    let queued = class.with_delivery(Detached::new());
    rig.broker.update_class(&queued).unwrap();
    assert_eq!(rig.fire("3").accepted(), 1);
}
