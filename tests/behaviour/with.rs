//! Publisher properties of single events, and what subscribers see of properties.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use loosely::{
    Broker, ErrorKind, EventClass, EventContext, Firing, Nesting, Stage, SubscriptionGuard, Value,
    ValueRef, ValueType,
};

use crate::support::{
    OnDrop, OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, quiet, subscription,
};

/// A class that declares `desk` with a default and `level` without one.
fn declared() -> (Broker, StockEventsPublisher, Tape) {
    let (broker, tape) = (quiet(), Tape::new());
    let class = EventClass::new("stocks", "Stocks").with_property("desk", ValueType::Str, "fx");
    let class = class.with_property("level", ValueType::U8, Value::Null);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("stocks").unwrap();
    (broker, stocks, tape)
}

/// Subscribes an object that notes what the context says of `desk` and `level`.
fn watch(broker: &Broker) -> Arc<Mutex<Vec<[Option<Value>; 2]>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let watcher = OnPrice(move |_: &str, _| {
        let context = EventContext::current().unwrap();
        let values = ["desk", "level"].map(|name| context.property(name));
        noted.lock().unwrap().push(values);
    });
    broker
        .subscribe::<dyn StockEvents>(Arc::new(watcher))
        .unwrap()
        .detach();
    seen
}

#[test]
fn property_of_one_event_stands_before_the_objects_own_and_is_gone_with_it() {
    let (broker, stocks, _tape) = declared();
    for (name, desk) in [("fx", "fx"), ("bonds", "bonds"), ("rates", "rates")] {
        let record = subscription(name, "x").filter(format!("publisher.desk = '{desk}'"));
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    stocks.set("desk", "bonds").unwrap();
    let values = [ValueRef::Str("x"), ValueRef::F64(1.0)];
    let rates = stocks.with("desk", "rates").unwrap();
    let explained = rates.explain("price_changed", &values).unwrap();
    let stage = explained.line("rates").unwrap().stage();
    assert!(matches!(stage, Stage::Delivered(Some(_))), "{stage:?}");
    assert_eq!(rates.price_changed("x", 1.0).delivered(), 1);
    assert_eq!(rates.traded("x", 1).delivered(), 1);
    let explained = stocks.explain("price_changed", &values).unwrap();
    let stage = explained.line("bonds").unwrap().stage();
    assert!(matches!(stage, Stage::Delivered(Some(_))), "{stage:?}");
    assert_eq!(stocks.property("desk"), Some("bonds".into()));
}

#[test]
fn lent_properties_are_found_by_the_index_too() {
    let (broker, stocks, _tape) = declared();
    for level in 0..200_u8 {
        let record = subscription(&level.to_string(), "x");
        let record = record.filter(format!("publisher.level = {level}"));
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    for level in [3_u8, 199] {
        let report = stocks.with("level", level).unwrap().traded("x", 1);
        assert_eq!((report.delivered(), report.filtered()), (1, 199));
    }
    assert_eq!(stocks.traded("x", 1).filtered(), 200);
}

#[test]
fn property_that_the_class_does_not_take_is_refused() {
    let (_broker, stocks, _tape) = declared();
    let undeclared = stocks.with("site", "oslo").unwrap_err();
    assert_eq!(undeclared.kind(), ErrorKind::NotFound);
    let wrong = stocks.with("level", 300).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::SchemaMismatch);
    let reserved = stocks.with("publisher_id", "x").unwrap_err();
    assert_eq!(reserved.kind(), ErrorKind::NotFound);
}

#[test]
fn last_of_several_properties_of_one_name_counts() {
    let (broker, stocks, _tape) = declared();
    let seen = watch(&broker);
    let properties = [
        ("desk", "a".into()),
        ("level", 2.into()),
        ("desk", "b".into()),
    ];
    stocks.with_all(properties).unwrap().price_changed("x", 1.0);
    assert_eq!(*seen.lock().unwrap(), [[Some("b".into()), Some(2.into())]]);
}

#[test]
fn subscriber_sees_the_lent_value_or_else_the_objects_or_else_the_default() {
    let (broker, stocks, _tape) = declared();
    let seen = watch(&broker);
    stocks.price_changed("x", 1.0);
    stocks.set("level", 3_u8).unwrap();
    stocks.price_changed("x", 1.0);
    stocks
        .with("desk", "rates")
        .unwrap()
        .price_changed("x", 1.0);
    let (desk, level) = (
        |name: &str| Some(Value::from(name)),
        Some(Value::from(3_u8)),
    );
    let expected = [
        [desk("fx"), Some(Value::Null)],
        [desk("fx"), level.clone()],
        [desk("rates"), level],
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn subscriber_sees_the_id_that_the_publisher_was_given() {
    let (broker, stocks, _tape) = declared();
    let seen = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&seen);
    let watcher = OnPrice(move |_: &str, _| {
        let context = EventContext::current().unwrap();
        *noted.lock().unwrap() = context.property("publisher_id");
    });
    let _guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(watcher))
        .unwrap();
    stocks.set_id("nyse");
    stocks.price_changed("x", 1.0);
    let id = stocks.id().unwrap();
    assert_eq!(seen.lock().unwrap().take(), Some(Value::Uuid(id.into())));
}

#[test]
fn nested_event_has_its_own_properties_and_the_outer_one_gets_back_its() {
    let (broker, stocks, _tape) = declared();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, inner) = (Arc::clone(&seen), stocks.clone());
    let watcher = OnPrice(move |_: &str, price: f64| {
        let context = EventContext::current().unwrap();
        if price > 1.0 {
            inner.with("desk", "inner").unwrap().price_changed("x", 1.0);
            assert_eq!(EventContext::current(), Some(context));
        }
        noted.lock().unwrap().push(context.property("desk"));
    });
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(watcher))
        .unwrap();
    stocks
        .with("desk", "outer")
        .unwrap()
        .price_changed("x", 2.0);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, [Some("inner".into()), Some("outer".into())]);
    // It holds a publisher of the class that it is subscribed to.
    guard.close();
}

#[test]
fn context_that_is_kept_has_no_properties_when_its_event_is_over() {
    let (broker, stocks, _tape) = declared();
    let kept = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&kept);
    let watcher = OnPrice(move |_: &str, _| {
        let context = EventContext::current().unwrap();
        let former: Option<EventContext> = slot.lock().unwrap().replace(context);
        assert_eq!(former.and_then(|former| former.property("desk")), None);
    });
    let _guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(watcher))
        .unwrap();
    for _ in 0..2 {
        assert_eq!(stocks.price_changed("x", 1.0).failed(), 0);
        assert_eq!(kept.lock().unwrap().unwrap().property("desk"), None);
    }
}

#[test]
fn event_that_waits_for_the_one_around_it_keeps_what_was_lent() {
    let (broker, stocks, _tape) = declared();
    let class = broker
        .class("stocks")
        .unwrap()
        .with_nesting(Nesting::Queued);
    broker.update_class(&class).unwrap();
    let seen = watch(&broker);
    let inner = stocks.clone();
    let nesting = live("nesting").priority(1).build().unwrap();
    let watcher = OnPrice(move |_: &str, price: f64| {
        if price > 1.0 {
            let desk = String::from("lent");
            inner.with("desk", &desk).unwrap().price_changed("x", 1.0);
        }
    });
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&nesting, Arc::new(watcher))
        .unwrap();
    stocks.price_changed("x", 2.0);
    let desks: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|it| it[0].clone())
        .collect();
    assert_eq!(desks, [Some("fx".into()), Some("lent".into())]);
    guard.close();
}

#[test]
fn publisher_by_name_lends_properties_too() {
    let (broker, _stocks, _tape) = declared();
    let seen = watch(&broker);
    let stocks = broker.dynamic_publisher("stocks").unwrap();
    let rates = stocks.with("desk", "rates").unwrap();
    let values = [ValueRef::Str("x"), ValueRef::F64(1.0)];
    assert_eq!(rates.fire("price_changed", &values).unwrap().delivered(), 1);
    assert_eq!(seen.lock().unwrap()[0][0], Some("rates".into()));
    assert_eq!(
        rates
            .explain("traded", &["x".into(), 1.into()])
            .unwrap()
            .lines()
            .len(),
        1
    );
    assert!(stocks.with("site", 1).is_err());
}

#[test]
fn lending_borrowed_values_allocates_nothing() {
    let (broker, stocks, _tape) = declared();
    for number in 0..3 {
        let record = live(&number.to_string()).filter("publisher.desk = 'rates'");
        let idle = Arc::new(OnPrice(|_: &str, _| {}));
        broker
            .subscribe_with::<dyn StockEvents>(&record.build().unwrap(), idle)
            .unwrap()
            .detach();
    }
    let desk = String::from("rates");
    let fire = || {
        let with = stocks.with_all([("desk", (&desk).into()), ("level", 3.into())]);
        assert_eq!(with.unwrap().price_changed("MSFT", 1.0).delivered(), 3);
    };
    fire();
    let allocations = allocation_counter::measure(fire);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn subscribers_on_other_threads_see_the_properties_of_their_event() {
    let _watchdog = Watchdog::new();
    let (broker, stocks, _tape) = declared();
    let class = broker.class("stocks").unwrap();
    let class = class.with_property("floor", ValueType::Str, "2");
    let class = class.with_firing(Firing::Parallel { max: 2 });
    broker.update_class(&class).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let both = Arc::new(Barrier::new(2));
    for _ in 0..2 {
        let (seen, both) = (Arc::clone(&seen), Arc::clone(&both));
        let watcher = OnPrice(move |_: &str, _| {
            // So that it takes two threads.
            both.wait();
            let context = EventContext::current().unwrap();
            let values = ["desk", "level", "floor"].map(|name| context.property(name));
            seen.lock().unwrap().push((thread::current().id(), values));
        });
        let watcher: Arc<dyn StockEvents> = Arc::new(watcher);
        broker
            .subscribe::<dyn StockEvents>(watcher)
            .unwrap()
            .detach();
    }
    stocks.set("level", 3_u8).unwrap();
    let lent = stocks.with("desk", "rates").unwrap();
    assert_eq!(lent.price_changed("x", 1.0).delivered(), 2);
    let seen = seen.lock().unwrap();
    assert_ne!(seen[0].0, seen[1].0);
    let expected = [Some("rates".into()), Some(3_u8.into()), Some("2".into())];
    assert!(seen.iter().all(|(_, values)| *values == expected));
}

#[test]
fn what_is_fired_behind_the_event_has_none_of_its_properties() {
    let (broker, stocks, _tape) = declared();
    let seen = watch(&broker);
    // Its last holder is the snapshot of the fire in which it goes.
    let slot: Arc<Mutex<Option<SubscriptionGuard>>> = Arc::default();
    let (inner, guard) = (stocks.clone(), Arc::clone(&slot));
    let farewell = OnDrop(move || {
        inner.traded("bye", 1);
        inner.price_changed("bye", 1.0);
    });
    let leaving = OnPrice(move |_: &str, _| {
        let _kept = &farewell;
        drop(guard.lock().unwrap().take());
    });
    let record = live("leaving").priority(-1).build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, Arc::new(leaving));
    *slot.lock().unwrap() = Some(guard.unwrap());
    stocks.with("desk", "lent").unwrap().price_changed("x", 1.0);
    let desks: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|it| it[0].clone())
        .collect();
    assert_eq!(desks, [Some("lent".into()), Some("fx".into())]);
}
