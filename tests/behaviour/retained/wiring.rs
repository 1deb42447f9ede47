//! Who is new to what a class retains, and what becomes of that when the wiring changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use loosely::{
    Broker, Cascade, Component, EventContext, EventInterface, EventMethod, InterfaceSchema,
    MemoryStore, Parameter, Retained, Store, Subscription, SubscriptionId, ValueRef, ValueType,
};

use super::{desk, listen, per_symbol, ready};
use crate::publisher_filters::firing;
use crate::support::{OnPrice, StockEvents, Tape, Watchdog, on_store, quiet, subscription};

#[test]
fn subscription_is_new_when_it_comes_to_be_served() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    let got = |what: &str, change: &mut dyn FnMut()| {
        change();
        assert_eq!(tape.take(), ["x IBM 2"], "{what}");
    };
    let record = |name: &str| subscription(name, "x").build().unwrap();
    got("stored", &mut || _ = broker.store(&record("a")).unwrap());
    got("ensured", &mut || _ = broker.ensure(&record("b")).unwrap());
    got("imported", &mut || {
        _ = broker.import([record("c")]).unwrap()
    });
    let off = subscription("d", "x").disabled().build().unwrap();
    broker.ensure(&off).unwrap();
    assert!(tape.take().is_empty());
    got("switched on", &mut || broker.enable(off.id()).unwrap());
    broker.disable(off.id()).unwrap();
    got("and again", &mut || broker.enable(off.id()).unwrap());
    let ann = subscription("e", "x").owner("ann").per_user();
    broker.ensure(&ann.build().unwrap()).unwrap();
    assert!(tape.take().is_empty());
    let mut session = None;
    got("logged on", &mut || {
        session = Some(broker.log_on("ann").unwrap())
    });
    broker.remove(off.id()).unwrap();
    got("stored again", &mut || {
        _ = broker.ensure(&off.clone().enabled()).unwrap()
    });
}

#[test]
fn component_that_is_registered_later_gets_what_is_retained_then() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    let record = subscription("a", "late").build().unwrap();
    broker.ensure(&record).unwrap();
    assert!(tape.take().is_empty());
    broker.register_component(tape.component("late")).unwrap();
    assert_eq!(tape.take(), ["late IBM 2"]);
    broker.unregister_component("late");
    stocks.price_changed("IBM", 3.0);
    broker.register_component(tape.component("late")).unwrap();
    assert_eq!(tape.take(), ["late IBM 3"]);
}

#[test]
fn subscription_that_is_edited_gets_nothing_again() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    let record = subscription("a", "x").id("a");
    broker
        .store(&record.clone().filter("price > 5").build().unwrap())
        .unwrap();
    assert!(tape.take().is_empty());
    broker.store(&record.build().unwrap()).unwrap();
    assert!(tape.take().is_empty(), "another filter");
    let class = broker.class("desk").unwrap().with_open_properties();
    broker.update_class(&class).unwrap();
    assert!(tape.take().is_empty(), "another class record");
    stocks.price_changed("IBM", 3.0);
    assert_eq!(tape.take(), ["x IBM 3"]);
}

#[test]
fn object_that_takes_the_place_of_another_gets_nothing_again() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    let guard = listen(&broker, &tape, "a");
    tape.take();
    guard
        .replace::<dyn StockEvents>(tape.listener("b"))
        .unwrap();
    assert!(tape.take().is_empty());
}

#[test]
fn what_is_retained_is_mapped_by_name_to_the_next_schema() {
    let tape = Tape::new();
    let broker = quiet();
    let [price, _] = <dyn StockEvents>::schema().methods() else {
        panic!("two methods");
    };
    let [symbol, amount] = price.parameters() else {
        panic!("two parameters");
    };
    // Parameters in another order, and one that is not there any more.
    let gone = Parameter::new("venue", ValueType::Str);
    let former = EventMethod::new("price_changed", [amount.clone(), gone, symbol.clone()]);
    let id = <dyn StockEvents>::schema().id();
    let former = InterfaceSchema::new(id, "StockEvents", [former]);
    let class = desk().with_retained(Retained::Last);
    broker.register_dynamic_class(class, &former).unwrap();
    let by_name = broker.dynamic_publisher("desk").unwrap();
    let values = [
        ValueRef::F64(2.0),
        ValueRef::Str("XETRA"),
        ValueRef::Str("IBM"),
    ];
    by_name.fire("price_changed", &values).unwrap();
    let _guard = listen(&broker, &tape, "a");
    let _stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    let _late = listen(&broker, &tape, "b");
    assert!(tape.take().contains(&"b IBM 2".to_owned()));
}

#[test]
fn publisher_filter_of_a_method_is_asked_wherever_the_next_schema_has_the_method() {
    let tape = Tape::new();
    let broker = quiet();
    let methods = <dyn StockEvents>::schema().methods().iter().rev().cloned();
    let id = <dyn StockEvents>::schema().id();
    let former = InterfaceSchema::new(id, "StockEvents", methods);
    let class = desk().with_retained(Retained::Last);
    let class = class.with_method_publisher_filter("price_changed", "nobody");
    broker.register_dynamic_class(class, &former).unwrap();
    broker
        .register_publisher_filter("nobody", firing(&[]))
        .unwrap();
    let by_name = broker.dynamic_publisher("desk").unwrap();
    let symbol = ValueRef::Str("IBM");
    let price = [symbol, ValueRef::F64(2.0)];
    by_name.fire("price_changed", &price).unwrap();
    by_name.fire("traded", &[symbol, 7.into()]).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    assert_eq!(stocks.retained("price_changed").unwrap(), 1);
    let _late = listen(&broker, &tape, "late");
    assert_eq!(tape.take(), ["late traded IBM 7"]);
}

#[test]
fn retention_begins_and_ends_with_the_class_record() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk(), &tape);
    let _early = listen(&broker, &tape, "early");
    stocks.price_changed("IBM", 1.0);
    let class = broker.class("desk").unwrap();
    broker
        .update_class(&class.with_retained(Retained::Last))
        .unwrap();
    assert_eq!(stocks.retained("price_changed").unwrap(), 0);
    stocks.price_changed("IBM", 2.0);
    let _late = listen(&broker, &tape, "late");
    assert_eq!(tape.take(), ["early IBM 1", "early IBM 2", "late IBM 2"]);
    let class = broker.class("desk").unwrap();
    broker.update_class(&class.without_retained()).unwrap();
    assert_eq!(stocks.retained("price_changed").unwrap(), 0);
    let class = broker.class("desk").unwrap();
    broker
        .update_class(&class.with_retained(per_symbol()))
        .unwrap();
    let _last = listen(&broker, &tape, "last");
    assert!(tape.take().is_empty());
    stocks.price_changed("IBM", 3.0);
    assert_eq!(tape.take(), ["early IBM 3", "late IBM 3", "last IBM 3"]);
}

#[test]
fn class_that_was_removed_has_forgotten_its_events() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 1.0);
    broker.unregister_class("desk", Cascade::Refuse).unwrap();
    let class = desk().with_retained(Retained::Last);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let _guard = listen(&broker, &tape, "a");
    assert!(tape.take().is_empty());
    stocks.price_changed("IBM", 2.0);
    let _guard = listen(&broker, &tape, "b");
    assert_eq!(tape.take(), ["a IBM 2", "b IBM 2"]);
}

#[test]
fn each_broker_of_a_store_retains_what_its_own_publishers_fired() {
    let tape = Tape::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let brokers = [on_store(store.clone()), on_store(store)];
    let class = desk().with_retained(Retained::Last);
    brokers[0].register_class::<dyn StockEvents>(class).unwrap();
    for (broker, name) in brokers.iter().zip(["one", "two"]) {
        let named = tape.named(name);
        let named = Mutex::new(Some(named));
        let component = Component::new("x", move || named.lock().unwrap().take().unwrap());
        let component = component.implements::<dyn StockEvents>();
        broker.register_component(component).unwrap();
    }
    let stocks = brokers[1].publisher_of::<dyn StockEvents>("desk").unwrap();
    stocks.price_changed("IBM", 1.0);
    let record = subscription("a", "x").build().unwrap();
    brokers[0].ensure(&record).unwrap();
    assert_eq!(tape.take(), ["two IBM 1"]);
}

#[test]
fn subscription_stored_inside_a_delivery_gets_its_events_inside_it() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    let (inner, written) = (broker.clone(), tape.clone());
    let storing: Arc<dyn StockEvents> = Arc::new(OnPrice(move |_: &str, price: f64| {
        let name = format!("at {price}");
        let record = subscription(&name, "x").build().unwrap();
        inner.store(&record).unwrap();
        written.write("stored");
    }));
    let _guard = broker.subscribe(storing).unwrap();
    stocks.price_changed("IBM", 1.0);
    assert_eq!(tape.take(), ["x IBM 1", "stored"]);
}

/// Returns two subscriptions of a component that notes its events and does something in the first.
fn two_of(
    broker: &Broker,
    tape: &Tape,
    once: impl Fn(SubscriptionId) + Send + Sync + 'static,
) -> [Subscription; 2] {
    let (done, tape) = (AtomicBool::new(false), tape.clone());
    let noting = Arc::new(move |symbol: &str, price: f64| {
        tape.write(format!("{symbol} {price}"));
        if !done.swap(true, Ordering::SeqCst) {
            once(EventContext::current().unwrap().subscription());
        }
    });
    let component = Component::new("noting", move || {
        let noting = Arc::clone(&noting);
        OnPrice(move |symbol: &str, price| noting(symbol, price))
    });
    let component = component.implements::<dyn StockEvents>();
    broker.register_component(component).unwrap();
    ["a", "b"].map(|name| subscription(name, "noting").build().unwrap())
}

#[test]
fn subscription_that_is_edited_before_its_turn_is_given_what_is_retained_as_edited() {
    let tape = Tape::new();
    let (broker, stocks) = ready(desk().with_retained(Retained::Last), &tape);
    stocks.price_changed("IBM", 2.0);
    let editing = broker.clone();
    let both = two_of(&broker, &tape, move |present| {
        // The other one.
        let all = editing.subscriptions("ALL").unwrap();
        let other = all.iter().find(|it| it.id() != present).unwrap();
        let edited = other.clone().with_filter("symbol = 'MSFT'");
        editing.store(&edited).unwrap();
    });
    broker.import(both).unwrap();
    assert_eq!(tape.take(), ["IBM 2"]);
    stocks.price_changed("MSFT", 3.0);
    assert_eq!(tape.take(), ["MSFT 3", "MSFT 3"]);
    assert!(broker.unregister_component("noting"));
}

#[test]
fn subscription_whose_class_becomes_typed_before_its_turn_misses_nothing() {
    let tape = Tape::new();
    let broker = quiet();
    let class = desk().with_retained(Retained::Last);
    let schema = <dyn StockEvents>::schema();
    broker.register_dynamic_class(class, schema).unwrap();
    let by_name = broker.dynamic_publisher("desk").unwrap();
    let fire = |price: f64| {
        let values = [ValueRef::Str("IBM"), ValueRef::F64(price)];
        by_name.fire("price_changed", &values).unwrap()
    };
    fire(2.0);
    let typing = broker.clone();
    let both = two_of(&broker, &tape, move |_| {
        typing.publisher_of::<dyn StockEvents>("desk").unwrap();
    });
    broker.import(both).unwrap();
    assert_eq!(tape.take(), ["IBM 2", "IBM 2"]);
    assert_eq!(fire(3.0).delivered(), 2);
    assert_eq!(tape.take(), ["IBM 3", "IBM 3"]);
    assert!(broker.unregister_component("noting"));
}
