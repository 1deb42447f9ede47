//! Events that a class retains: what is kept, who gets it, and what of it.

mod parallel;
mod races;
mod wiring;

use std::sync::{Arc, Mutex};

use loosely::{
    Broker, DeliveryOutcome, ErrorKind, EventClass, EventContext, EventInterface, FireOutcome,
    Notice, Retained, Subscription, SubscriptionBuilder, SubscriptionGuard, ValueRef,
};

use crate::support::{
    Alerts, OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, quiet, subscription,
};

fn desk() -> EventClass {
    EventClass::new("desk", "Desk")
}

fn per_symbol() -> Retained {
    Retained::LastPer("symbol".into())
}

/// Returns a broker with the component `x` and a publisher of the class.
fn ready(class: EventClass, tape: &Tape) -> (Broker, StockEventsPublisher) {
    let broker = quiet();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    (broker, stocks)
}

fn listen(broker: &Broker, tape: &Tape, name: &str) -> SubscriptionGuard {
    subscribe(broker, tape, live(name))
}

fn subscribe(broker: &Broker, tape: &Tape, record: SubscriptionBuilder) -> SubscriptionGuard {
    let record = record.build().unwrap();
    let listener = tape.listener(record.name());
    broker
        .subscribe_with::<dyn StockEvents>(&record, listener)
        .unwrap()
}

#[test]
fn new_subscriber_gets_the_last_event_of_each_method_in_the_order_of_firing() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.traded("IBM", 7);
    stocks.price_changed("MSFT", 1.0);
    stocks.price_changed("IBM", 2.0);
    let _first = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a traded IBM 7", "a IBM 2"]);
    stocks.price_changed("IBM", 3.0);
    assert_eq!(tape.take(), ["a IBM 3"]);
    let _second = listen(&broker, &tape, "b");
    assert_eq!(tape.take(), ["b traded IBM 7", "b IBM 3"]);
}

#[test]
fn new_subscriber_gets_the_last_event_of_each_key() {
    let tape = Tape::new();
    let class = desk().with_method_retained("price_changed", per_symbol());
    let (broker, stocks) = ready(class, &tape);
    for (symbol, price) in [("MSFT", 1.0), ("IBM", 2.0), ("MSFT", 3.0)] {
        stocks.price_changed(symbol, price);
    }
    stocks.traded("IBM", 7);
    assert_eq!(stocks.retained("price_changed").unwrap(), 2);
    assert_eq!(stocks.retained("traded").unwrap(), 0);
    let _guard = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a IBM 2", "a MSFT 3"]);
}

#[test]
fn method_without_the_parameter_retains_nothing() {
    let tape = Tape::new();
    let class = desk().with_retained(Retained::LastPer("volume".into()));
    let (broker, stocks) = ready(class, &tape);
    stocks.price_changed("IBM", 2.0);
    stocks.traded("IBM", 7);
    let _guard = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a traded IBM 7"]);
}

#[test]
fn retained_event_passes_filter_binding_and_times_like_a_live_one() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    stocks.traded("IBM", 7);
    let past = std::time::SystemTime::UNIX_EPOCH;
    let records = [
        live("cheap").filter("price < 1"),
        live("dear").filter("price > 1"),
        live("trades").method("traded"),
        live("over").expires(past),
    ];
    let _guards = records.map(|record| subscribe(&broker, &tape, record));
    assert_eq!(tape.take(), ["dear IBM 2", "trades traded IBM 7"]);
}

#[test]
fn publisher_is_the_one_that_fired_with_its_properties_of_then() {
    let tape = Tape::new();
    let class = desk().with_retained(Retained::Last).with_open_properties();
    let (broker, stocks) = ready(class, &tape);
    stocks.set_id("seven");
    stocks.set("floor", 3_i64).unwrap();
    stocks.price_changed("IBM", 2.0);
    stocks.set("floor", 4_i64).unwrap();
    stocks.set_id("somebody else");
    let records = [
        live("third").filter("publisher.floor = 3"),
        live("fourth").filter("publisher.floor = 4"),
        live("seven").from_publisher("seven"),
        live("else").from_publisher("somebody else"),
    ];
    let _guards = records.map(|record| subscribe(&broker, &tape, record));
    assert_eq!(tape.take(), ["third IBM 2", "seven IBM 2"]);
}

#[test]
fn what_was_lent_to_the_event_is_kept_with_it() {
    let tape = Tape::new();
    let class = desk().with_retained(Retained::Last).with_open_properties();
    let (broker, stocks) = ready(class, &tape);
    stocks.set("floor", 3_i64).unwrap();
    let lent = stocks.with("floor", 4_i64).unwrap();
    lent.price_changed("IBM", 2.0);
    stocks.traded("IBM", 7);
    let records = [
        live("third").filter("publisher.floor = 3"),
        live("fourth").filter("publisher.floor = 4"),
    ];
    let _guards = records.map(|record| subscribe(&broker, &tape, record));
    assert_eq!(tape.take(), ["third traded IBM 7", "fourth IBM 2"]);
    assert_eq!(stocks.property("floor"), Some(3_i64.into()));
}

#[test]
fn subscriber_sees_what_was_lent_to_a_retained_event_and_to_one_that_waited() {
    let tape = Tape::new();
    let class = desk().with_retained(Retained::Last).with_open_properties();
    let (broker, stocks) = ready(class, &tape);
    let firing = stocks.clone();
    let written = tape.clone();
    let inner: Arc<dyn StockEvents> = Arc::new(OnPrice(move |symbol: &str, _: f64| {
        let floor = || EventContext::current().unwrap().property("floor");
        if symbol == "A" {
            let lent = firing.with("floor", "live").unwrap();
            assert_eq!(lent.price_changed("B", 2.0).deferred(), 1);
            firing.price_changed("C", 3.0);
        }
        written.write(format!("{symbol} {:?}", floor()));
    }));
    let lent = stocks.with("floor", "retained").unwrap();
    lent.price_changed("A", 1.0);
    let _guard = broker.subscribe(inner).unwrap();
    assert_eq!(
        tape.take(),
        [
            "A Some(Str(\"retained\"))",
            "B Some(Str(\"live\"))",
            "C None"
        ]
    );
}

#[test]
fn context_says_that_the_event_is_retained_and_which_it_was() {
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &Tape::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscribe = || {
        let seen = Arc::clone(&seen);
        let note = move |_: &str, _: f64| {
            let context = EventContext::current().unwrap();
            seen.lock().unwrap().push(context);
        };
        let note: Arc<dyn StockEvents> = Arc::new(OnPrice(note));
        broker.subscribe(note).unwrap()
    };
    let live = subscribe();
    stocks.price_changed("IBM", 2.0);
    let retained = subscribe();
    let seen = seen.lock().unwrap();
    let [first, second] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert!(!first.is_retained() && second.is_retained());
    assert_eq!(first.event_id(), second.event_id());
    assert_eq!(
        (first.time(), first.sequence()),
        (second.time(), second.sequence())
    );
    assert_eq!(
        (first.class(), first.depth()),
        (second.class(), second.depth())
    );
    assert_eq!(
        [first, second].map(EventContext::subscription),
        [live.id(), retained.id()]
    );
}

#[test]
fn what_one_kind_of_publisher_fired_is_retained_for_the_other_kind_of_subscriber() {
    let tape = Tape::new();
    let broker = quiet();
    let schema = <dyn StockEvents>::schema();
    let class = desk().with_retained(per_symbol());
    broker.register_dynamic_class(class, schema).unwrap();
    let by_name = broker.dynamic_publisher("desk").unwrap();
    let values = |symbol, price| [ValueRef::Str(symbol), ValueRef::F64(price)];
    by_name.fire("price_changed", &values("IBM", 2.0)).unwrap();
    // The typed channel takes the place of the one by name.
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    stocks.price_changed("MSFT", 3.0);
    by_name.fire("price_changed", &values("SAP", 4.0)).unwrap();
    let _typed = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a IBM 2", "a MSFT 3", "a SAP 4"]);
    let untyped = tape.untyped("u").implements_any();
    broker.register_component(untyped).unwrap();
    let record = subscription("any", "u").filter("symbol <> 'SAP'").build();
    broker.ensure(&record.unwrap()).unwrap();
    let expected = ["'IBM', price = 2.0", "'MSFT', price = 3.0"];
    let expected = expected.map(|values| format!("price_changed(symbol = {values})"));
    assert_eq!(tape.take(), expected);
    assert_eq!(by_name.retained("price_changed").unwrap(), 3);
}

#[test]
fn publisher_forgets_all_or_one() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(per_symbol()), &tape);
    for symbol in ["A", "B", "C"] {
        stocks.price_changed(symbol, 1.0);
    }
    assert!(stocks.forget_retained_of("price_changed", "B").unwrap());
    assert!(!stocks.forget_retained_of("price_changed", "B").unwrap());
    let _guard = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a A 1", "a C 1"]);
    assert_eq!(stocks.forget_retained("price_changed").unwrap(), 2);
    assert_eq!(stocks.retained("price_changed").unwrap(), 0);
    let error = stocks.forget_retained("gone").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    stocks.price_changed("B", 2.0);
    let _guard = listen(&broker, &tape, "b");
    assert_eq!(tape.take(), ["a B 2", "b B 2"]);
}

#[test]
fn oldest_key_gives_way_where_there_are_too_many_and_a_notice_says_so() {
    let tape = Tape::new();
    let broker = Broker::builder().retained_keys(2).open().unwrap();
    let class = desk().with_retained(per_symbol());
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    for symbol in ["A", "B", "A", "C", "D"] {
        stocks.price_changed(symbol, 1.0);
    }
    let notices = broker.notices();
    let [Notice::NotRetained { class, method, .. }] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!((class.as_str(), method.as_str()), ("Desk", "price_changed"));
    let _guard = listen(&broker, &tape, "a");
    assert_eq!(tape.take(), ["a C 1", "a D 1"]);
}

#[test]
fn failure_of_a_retained_delivery_is_told_to_the_hook_and_fails_nothing_else() {
    let tape = Tape::new();
    let told = tape.clone();
    let broker = Broker::builder()
        .on_failure(move |_, delivery| told.write(delivery.to_string()))
        .open()
        .unwrap();
    let class = desk().with_retained(Retained::Last);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    stocks.price_changed("IBM", 1.0);
    let panicking: Arc<dyn StockEvents> = Arc::new(OnPrice(|_: &str, _: f64| panic!("not now")));
    let record = live("a").build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, panicking);
    assert_eq!(tape.take(), ["\"a\": failed: panicked: not now"]);
    drop(guard.unwrap());
}

#[test]
fn publishers_side_decides_about_retained_events_too() {
    let tape = Tape::new();
    let class = desk()
        .with_retained(Retained::Last)
        .with_default_query("priority > 0");
    let (broker, stocks) = ready(class, &tape);
    stocks.price_changed("IBM", 1.0);
    let _low = subscribe(&broker, &tape, live("low"));
    let _high = subscribe(&broker, &tape, live("high").priority(1));
    assert_eq!(tape.take(), ["high IBM 1"]);
    let class = broker.class("desk").unwrap().without_default_queries();
    let class = class.with_publisher_filter("nobody registered this");
    broker.update_class(&class).unwrap();
    let _other = subscribe(&broker, &tape, live("other"));
    assert!(tape.take().is_empty());
}

#[test]
fn live_event_comes_after_the_retained_ones_that_cause_it() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let class = desk().with_method_retained("price_changed", per_symbol());
    let (broker, stocks) = ready(class, &tape);
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    let (firing, written) = (stocks.clone(), tape.clone());
    let inner: Arc<dyn StockEvents> = Arc::new(OnPrice(move |symbol: &str, price: f64| {
        written.write(format!("{symbol} {price}"));
        if symbol == "A" && price < 3.0 {
            let report = firing.price_changed("A", price + 1.0);
            assert_eq!(report.outcome(), FireOutcome::Queued);
            let lines = report.lines();
            assert!(matches!(lines[0].outcome(), DeliveryOutcome::Deferred));
            assert_eq!((report.deferred(), report.skipped()), (1, 0));
        }
    }));
    let _guard = broker.subscribe(inner).unwrap();
    assert_eq!(tape.take(), ["A 1", "B 2", "A 2", "A 3"]);
    assert_eq!(stocks.price_changed("A", 9.0).delivered(), 1);
}

#[test]
fn events_of_a_method_that_retains_none_wait_behind_the_retained_ones_too() {
    let tape = Tape::new();
    let class = desk().with_method_retained("price_changed", per_symbol());
    let (broker, stocks) = ready(class, &tape);
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    let (firing, written) = (stocks.clone(), tape.clone());
    let handlers = crate::support::StockEventsHandlers::new()
        .on_price_changed(move |symbol, _| {
            written.write(symbol);
            firing.traded(symbol, 1);
        })
        .on_traded({
            let written = tape.clone();
            move |symbol, _| {
                written.write(format!("traded {symbol}"));
                Ok(())
            }
        });
    let handlers: Arc<dyn StockEvents> = Arc::new(handlers);
    let _guard = broker.subscribe(handlers).unwrap();
    assert_eq!(tape.take(), ["A", "B", "traded A", "traded B"]);
    let report = stocks.traded("C", 1);
    assert_eq!((report.delivered(), report.lines().len()), (1, 0));
}

#[test]
fn other_interfaces_and_classes_are_not_touched() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 1.0);
    let alerts = broker.publisher::<dyn Alerts>().unwrap();
    alerts.raised("fire");
    let record = Subscription::builder("a").to::<dyn Alerts>().object();
    let record = record.build().unwrap();
    let _guard = broker.subscribe_with::<dyn Alerts>(&record, tape.listener("a"));
    assert!(tape.take().is_empty());
}

#[test]
fn everything_is_wanted_of_a_method_whose_events_are_retained() {
    let class = desk().with_method_retained("price_changed", Retained::Last);
    let (_broker, stocks) = ready(class, &Tape::new());
    let wanted = |method| stocks.interest().method(method).unwrap().is_wanted();
    assert!(wanted("price_changed") && !wanted("traded"));
}
