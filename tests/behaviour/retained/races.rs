//! Exactly once between the last retained event and the first live one, while publishers fire.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use loosely::{
    Broker, Component, EventClass, EventContext, EventInterface, FireOutcome, Firing, Retained,
    SubscriptionBuilder, SubscriptionGuard, ValueRef,
};

use crate::support::{
    OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, quiet, subscription,
};

/// What one subscriber got: whether it was retained, and the number.
type Got = Arc<Mutex<Vec<(bool, u64)>>>;

/// Fewer than may wait for a subscription, however long its thread is kept from running.
const EVENTS: u64 = 2_000;
const SUBSCRIBERS: usize = 24;

fn class() -> EventClass {
    EventClass::new("desk", "Desk").with_method_retained("price_changed", Retained::Last)
}

fn ready(class: EventClass) -> (Broker, StockEventsPublisher) {
    let broker = quiet();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    (broker, stocks)
}

fn subscribe(broker: &Broker, record: SubscriptionBuilder) -> (Got, SubscriptionGuard) {
    let got = Got::default();
    let noted = Arc::clone(&got);
    let note: Arc<dyn StockEvents> = Arc::new(OnPrice(move |_: &str, price: f64| {
        let retained = EventContext::current().unwrap().is_retained();
        noted.lock().unwrap().push((retained, price as u64));
    }));
    let guard = broker.subscribe_with::<dyn StockEvents>(&record.build().unwrap(), note);
    (got, guard.unwrap())
}

/// Checks a run that ends at the last event: without a gap or a repetition, and in order; only the
/// first may be one that was retained.
fn check(got: &Got, step: u64) {
    let got = got.lock().unwrap();
    let numbers: Vec<_> = got.iter().map(|(_, number)| *number).collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        panic!("nothing came");
    };
    let expected: Vec<_> = (*first..=*last).step_by(step as usize).collect();
    assert_eq!(numbers, expected);
    assert!(EVENTS - last < step);
    assert!(got.iter().skip(1).all(|(retained, _)| !retained));
}

/// Subscribes again and again while `fire` fires the numbers, and checks what each got.
fn race(fire: impl Fn(u64) + Sync, mut subscribe: impl FnMut(usize) -> (Got, SubscriptionGuard)) {
    let _watchdog = Watchdog::new();
    fire(1);
    let all: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 2..=EVENTS {
                fire(number);
                // Others are to come between.
                if number % 16 == 0 {
                    thread::yield_now();
                }
            }
        });
        let come = (0..SUBSCRIBERS).map(|index| {
            thread::yield_now();
            subscribe(index)
        });
        come.collect()
    });
    all.iter().for_each(|(got, _)| check(got, 1));
}

#[test]
fn subscribers_that_come_while_events_are_fired_miss_none_and_get_none_twice() {
    for _ in 0..10 {
        let (broker, stocks) = ready(class());
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| subscribe(&broker, live(&index.to_string())));
    }
}

#[test]
fn subscribers_that_an_index_finds_miss_none_and_get_none_twice() {
    for _ in 0..5 {
        let (broker, stocks) = ready(class());
        let others = |number| live(&format!("other {number}")).filter("price < 0");
        let _others: Vec<_> = (0..100)
            .map(|number| subscribe(&broker, others(number)))
            .collect();
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| {
            let filter = format!("price > 0 AND symbol <> '{index}'");
            subscribe(&broker, live(&index.to_string()).filter(filter))
        });
    }
}

#[test]
fn subscribers_of_a_steered_class_miss_none_and_get_none_twice() {
    for _ in 0..5 {
        let (broker, stocks) = ready(class().with_default_query("priority = 1"));
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| {
            subscribe(&broker, live(&index.to_string()).priority(1))
        });
    }
}

#[test]
fn subscribers_that_are_called_in_parallel_miss_none_and_get_none_twice() {
    for _ in 0..5 {
        let (broker, stocks) = ready(class().with_firing(Firing::Parallel { max: 2 }));
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| subscribe(&broker, live(&index.to_string())));
    }
}

#[test]
fn subscribers_beside_private_ones_miss_none_and_get_none_twice() {
    for _ in 0..5 {
        let (broker, stocks) = ready(class());
        let private: Arc<dyn StockEvents> = Arc::new(OnPrice(|_: &str, _| {}));
        let _private = stocks.subscribe(private).unwrap();
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| subscribe(&broker, live(&index.to_string())));
    }
}

#[test]
fn subscribers_miss_none_while_a_type_takes_the_place_of_a_name() {
    for _ in 0..20 {
        let broker = quiet();
        let schema = <dyn StockEvents>::schema();
        broker.register_dynamic_class(class(), schema).unwrap();
        let by_name = broker.dynamic_publisher("desk").unwrap();
        let fire = |number| {
            let values = [ValueRef::Str("IBM"), ValueRef::F64(number as f64)];
            by_name.fire("price_changed", &values).unwrap();
        };
        race(fire, |index| {
            if index == SUBSCRIBERS / 2 {
                broker.publisher_of::<dyn StockEvents>("desk").unwrap();
            }
            subscribe(&broker, live(&index.to_string()))
        });
    }
}

#[test]
fn subscribers_miss_none_while_the_class_is_changed() {
    for _ in 0..5 {
        let (broker, stocks) = ready(class());
        let fire = |number| _ = stocks.price_changed("IBM", number as f64);
        race(fire, |index| {
            let class = broker.class("desk").unwrap();
            let class = match index % 2 {
                0 => class.with_open_properties(),
                _ => class.with_default_query("ALL"),
            };
            broker.update_class(&class).unwrap();
            subscribe(&broker, live(&index.to_string()))
        });
    }
}

#[test]
fn each_key_goes_on_where_it_was_retained_while_several_publishers_fire() {
    let _watchdog = Watchdog::new();
    let retained = Retained::LastPer("symbol".into());
    let class = EventClass::new("desk", "Desk").with_retained(retained);
    let (broker, stocks) = ready(class);
    let symbols = ["A", "B"];
    let fire = |start: u64| {
        for number in (start..=EVENTS).step_by(2) {
            stocks.price_changed(symbols[start as usize - 1], number as f64);
            thread::yield_now();
        }
    };
    let all: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| fire(1));
        scope.spawn(|| fire(2));
        let come = (0..SUBSCRIBERS).map(|index| {
            thread::yield_now();
            let symbol = symbols[index % 2];
            let record = live(&index.to_string()).filter(format!("symbol = '{symbol}'"));
            subscribe(&broker, record)
        });
        come.collect()
    });
    all.iter().for_each(|(got, _)| check(got, 2));
}

#[test]
fn subscriber_that_hangs_in_a_retained_event_holds_up_nobody_else() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = ready(class());
    stocks.price_changed("IBM", 1.0);
    let (tape, barrier) = (Tape::new(), Arc::new(Barrier::new(2)));
    let (written, waiting, first) = (tape.clone(), Arc::clone(&barrier), AtomicBool::new(true));
    let hanging: Arc<dyn StockEvents> = Arc::new(OnPrice(move |_: &str, price: f64| {
        if first.swap(false, Ordering::SeqCst) {
            waiting.wait();
            waiting.wait();
        }
        written.write(price.to_string());
    }));
    thread::scope(|scope| {
        let subscribing = scope.spawn(|| broker.subscribe(hanging).unwrap());
        barrier.wait();
        let (got, _guard) = subscribe(&broker, live("other"));
        let report = stocks.price_changed("IBM", 2.0);
        assert_eq!((report.delivered(), report.deferred()), (1, 1));
        assert_eq!(report.outcome(), FireOutcome::Delivered);
        assert_eq!(*got.lock().unwrap(), [(true, 1), (false, 2)]);
        assert_eq!(tape.len(), 0);
        barrier.wait();
        let _guard = subscribing.join().unwrap();
        assert_eq!(tape.take(), ["1", "2"]);
        stocks.price_changed("IBM", 3.0);
        assert_eq!(tape.take(), ["3"]);
    });
}

#[test]
fn others_of_one_import_are_not_held_up_by_the_one_that_hangs() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = ready(class());
    stocks.price_changed("IBM", 1.0);
    let (tape, barrier) = (Tape::new(), Arc::new(Barrier::new(2)));
    let first = Arc::new(AtomicBool::new(true));
    let records = ["a", "b"].map(|name| {
        let (written, waiting, first) = (tape.clone(), Arc::clone(&barrier), first.clone());
        let make = move || {
            let (written, waiting, first) = (written.clone(), waiting.clone(), first.clone());
            OnPrice(move |_: &str, price: f64| {
                if first.swap(false, Ordering::SeqCst) {
                    waiting.wait();
                    waiting.wait();
                }
                let retained = EventContext::current().unwrap().is_retained();
                written.write(format!("{price} {retained}"));
            })
        };
        let component = Component::new(name, make).implements::<dyn StockEvents>();
        broker.register_component(component).unwrap();
        subscription(name, name).build().unwrap()
    });
    thread::scope(|scope| {
        let importing = scope.spawn(|| broker.import(records).unwrap());
        barrier.wait();
        let report = stocks.price_changed("IBM", 2.0);
        assert_eq!((report.delivered(), report.deferred()), (0, 2));
        assert_eq!(tape.take(), ["2 true"], "retained by then");
        assert_eq!(stocks.price_changed("IBM", 3.0).delivered(), 1);
        assert_eq!(tape.take(), ["3 false"]);
        barrier.wait();
        assert_eq!(importing.join().unwrap().added(), 2);
        assert_eq!(tape.take(), ["1 true", "2 false", "3 false"]);
    });
}

#[test]
fn subscription_that_is_removed_while_it_is_behind_gets_nothing_more() {
    let _watchdog = Watchdog::new();
    let retained = Retained::LastPer("symbol".into());
    let (broker, stocks) = ready(EventClass::new("desk", "Desk").with_retained(retained));
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    let tape = Tape::new();
    let record = subscription("a", "leaving").build().unwrap();
    let (id, store) = (record.id(), broker.clone());
    let (written, firing) = (tape.clone(), stocks.clone());
    let make = move || {
        let (store, written, firing) = (store.clone(), written.clone(), firing.clone());
        OnPrice(move |symbol: &str, _: f64| {
            written.write(symbol);
            assert_eq!(firing.price_changed("C", 3.0).deferred(), 1);
            assert!(store.remove(id).unwrap());
        })
    };
    let leaving = Component::new("leaving", make).implements::<dyn StockEvents>();
    broker.register_component(leaving).unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(tape.take(), ["A"]);
    broker.unregister_component("leaving");
}
