//! Retained events of classes that call several at the same time, and of publisher objects that
//! have subscriptions of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use loosely::{Broker, Component, EventClass, FireOutcome, Firing, Retained};

use super::{desk, listen, per_symbol, ready, subscribe};
use crate::support::{
    OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, subscription,
};

fn class() -> EventClass {
    let class = desk().with_firing(Firing::Parallel { max: 2 });
    class.with_method_retained("price_changed", per_symbol())
}

/// Subscribes who fires `C` from inside of `A`, so that it waits for itself.
fn firing_inside(broker: &Broker, stocks: &StockEventsPublisher, tape: &Tape) {
    let (firing, written) = (stocks.clone(), tape.clone());
    let inner: Arc<dyn StockEvents> = Arc::new(OnPrice(move |symbol: &str, _: f64| {
        written.write(symbol);
        if symbol == "A" {
            let report = firing.price_changed("C", 3.0);
            assert_eq!((report.delivered(), report.deferred()), (2, 1));
        }
    }));
    broker.subscribe(inner).unwrap().detach();
}

#[test]
fn class_that_fires_in_parallel_retains_and_calls_at_the_same_time_afterwards() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let (broker, stocks) = ready(class(), &tape);
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    assert_eq!(stocks.retained("price_changed").unwrap(), 2);
    let both = Arc::new(Barrier::new(2));
    let _guards = ["one", "other"].map(|name| {
        let (both, written) = (Arc::clone(&both), tape.clone());
        let meet: Arc<dyn StockEvents> = Arc::new(OnPrice(move |symbol: &str, price: f64| {
            if symbol == "C" {
                both.wait();
            } else {
                written.write(format!("{name} {symbol} {price}"));
            }
        }));
        broker.subscribe(meet).unwrap()
    });
    assert_eq!(
        tape.take(),
        ["one A 1", "one B 2", "other A 1", "other B 2"]
    );
    assert_eq!(stocks.price_changed("C", 3.0).delivered(), 2);
}

#[test]
fn priorities_hold_where_a_fire_gives_a_subscription_what_is_retained() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let (broker, stocks) = ready(class(), &tape);
    let high = live("high").priority(1);
    let _high = subscribe(&broker, &tape, high);
    stocks.price_changed("A", 1.0);
    tape.take();
    // The first of three is held up in its retained event, whichever that is.
    let (held, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let noting = {
        let (tape, held, go_on) = (tape.clone(), Arc::clone(&held), Arc::clone(&go_on));
        let first = AtomicBool::new(true);
        move |symbol: &str, price: f64| {
            tape.write(format!("low {symbol} {price}"));
            if first.swap(false, Ordering::SeqCst) {
                held.wait();
                go_on.wait();
            }
        }
    };
    let noting = Arc::new(noting);
    let component = Component::new("low", move || {
        let noting = Arc::clone(&noting);
        OnPrice(move |symbol: &str, price| noting(symbol, price))
    });
    let component = component.implements::<dyn StockEvents>();
    broker.register_component(component).unwrap();
    let three = ["a", "b", "c"].map(|name| subscription(name, "low").build().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| broker.import(three).unwrap());
        held.wait();
        assert_eq!(tape.take(), ["low A 1"]);
        let report = stocks.price_changed("A", 2.0);
        assert_eq!((report.delivered(), report.deferred()), (1, 3));
        assert_eq!(tape.take(), ["high A 2", "low A 2", "low A 2"]);
        go_on.wait();
    });
    assert_eq!(tape.take(), ["low A 2"]);
}

#[test]
fn live_event_of_a_parallel_class_waits_behind_the_retained_ones() {
    let _watchdog = Watchdog::new();
    for steered in [false, true] {
        let tape = Tape::new();
        let (broker, stocks) = ready(class(), &tape);
        let _others = ["x", "y"].map(|name| {
            let written = live(name).method("price_changed").filter("symbol = 'C'");
            subscribe(&broker, &Tape::new(), written)
        });
        if steered {
            stocks.set_default_query("price_changed", "ALL").unwrap();
        }
        stocks.price_changed("A", 1.0);
        stocks.price_changed("B", 2.0);
        firing_inside(&broker, &stocks, &tape);
        assert_eq!(tape.take(), ["A", "B", "C"], "steered: {steered}");
        assert_eq!(stocks.price_changed("C", 4.0).delivered(), 3);
    }
}

#[test]
fn private_subscription_gets_live_events_and_none_that_were_retained() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 1.0);
    let private = stocks.subscribe(tape.listener("private")).unwrap();
    assert_eq!(tape.len(), 0);
    let report = stocks.price_changed("IBM", 2.0);
    assert_eq!(
        (report.outcome(), report.delivered()),
        (FireOutcome::Delivered, 1)
    );
    assert_eq!(tape.take(), ["private IBM 2"]);
    let _all = listen(&broker, &tape, "all");
    assert_eq!(tape.take(), ["all IBM 2"]);
    let class = broker.class("desk").unwrap().with_open_properties();
    broker.update_class(&class).unwrap();
    stocks.price_changed("IBM", 3.0);
    assert_eq!(tape.take(), ["private IBM 3", "all IBM 3"]);
    drop(private);
    stocks.price_changed("IBM", 4.0);
    assert_eq!(tape.take(), ["all IBM 4"]);
    assert_eq!(stocks.retained("price_changed").unwrap(), 1);
}
