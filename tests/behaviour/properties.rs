//! Publisher properties.

use std::sync::Arc;

use loosely::{Broker, ErrorKind, EventClass, Properties, Value, ValueType};

use crate::support::{OnPrice, StockEvents, StockEventsPublisher, Tape, live, quiet, subscription};

/// A class that declares `desk` with a default and `level` without one.
fn declared() -> (Broker, StockEventsPublisher, Tape) {
    let (broker, tape) = (quiet(), Tape::new());
    let class = EventClass::new("stocks", "Stocks").with_property("desk", ValueType::Str, "fx");
    let class = class.with_property("level", ValueType::U8, Value::Null);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    (broker, stocks, tape)
}

#[test]
fn default_of_a_declared_property_holds_until_a_publisher_sets_it() {
    let (broker, stocks, _tape) = declared();
    for (name, desk) in [("default", "fx"), ("set", "bonds")] {
        let record = subscription(name, "x").filter(format!("publisher.desk = '{desk}'"));
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let record = subscription("unset", "x")
        .filter("publisher.level IS NULL")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(stocks.property("desk"), Some("fx".into()));
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 2);
    stocks.set("desk", "bonds").unwrap();
    stocks.set("level", 3_u8).unwrap();
    assert_eq!(stocks.property("desk"), Some("bonds".into()));
    let told = stocks.price_changed("x", 1.0);
    assert_eq!((told.delivered(), told.filtered()), (1, 2));
    stocks.set("level", Value::Null).unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 2);
}

#[test]
fn undeclared_property_is_refused_when_set_and_when_a_filter_names_it() {
    let (broker, stocks, _tape) = declared();
    assert_eq!(
        stocks.set("site", "oslo").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(stocks.property("site"), None);
    let record = subscription("a", "x")
        .filter("publisher.site = 'oslo'")
        .build()
        .unwrap();
    assert_eq!(
        broker.ensure(&record).unwrap_err().kind(),
        ErrorKind::Filter
    );
}

#[test]
fn value_of_another_type_is_refused() {
    let (broker, stocks, _tape) = declared();
    assert_eq!(
        stocks.set("desk", 3).unwrap_err().kind(),
        ErrorKind::SchemaMismatch
    );
    assert_eq!(
        stocks.set("level", 256).unwrap_err().kind(),
        ErrorKind::SchemaMismatch
    );
    assert_eq!(stocks.property("desk"), Some("fx".into()));
    let record = subscription("a", "x")
        .filter("publisher.level = 'high'")
        .build()
        .unwrap();
    assert_eq!(
        broker.ensure(&record).unwrap_err().kind(),
        ErrorKind::Filter
    );
}

#[test]
fn open_class_takes_any_property() {
    let (broker, tape) = (quiet(), Tape::new());
    let class = EventClass::new("stocks", "Stocks").with_open_properties();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x")
        .filter("publisher.at.city = 'Oslo'")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).filtered(), 1);
    stocks
        .set("at", Properties::from([("city", "Oslo")]))
        .unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
}

#[test]
fn properties_are_captured_once_per_fire() {
    let (broker, stocks, tape) = declared();
    let own = stocks.clone();
    let object = OnPrice(move |_: &str, _| own.set("desk", "bonds").unwrap());
    let record = live("changes it").priority(1).build().unwrap();
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, Arc::new(object))
        .unwrap();
    let record = subscription("a", "x")
        .filter("publisher.desk = 'fx'")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(stocks.price_changed("1", 1.0).delivered(), 2);
    assert_eq!(stocks.price_changed("2", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["x 1 1"]);
}

#[test]
fn clone_is_the_same_publisher_and_another_publisher_is_not() {
    let (broker, stocks, _tape) = declared();
    let clone = stocks.clone();
    let other = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.set("desk", "bonds").unwrap();
    assert_eq!(clone.property("desk"), Some("bonds".into()));
    assert_eq!(other.property("desk"), Some("fx".into()));
}

#[test]
fn properties_set_at_the_same_time_are_all_kept() {
    let broker = quiet();
    let class = EventClass::new("stocks", "Stocks").with_open_properties();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let stocks = &stocks;
            scope.spawn(move || {
                for round in 0..50 {
                    stocks.set(&format!("p{worker}_{round}"), round).unwrap();
                }
            });
        }
    });
    for worker in 0..4 {
        for round in 0..50 {
            let value = stocks.property(&format!("p{worker}_{round}"));
            assert_eq!(value, Some(Value::I64(round)));
        }
    }
}

#[test]
fn declaration_taken_away_suspends_the_filters_that_name_it() {
    let (broker, stocks, _tape) = declared();
    let record = subscription("a", "x")
        .filter("publisher.desk = 'fx'")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    let class = stocks.class();
    let without = EventClass::new(class.id(), class.name()).with_interface(class.interfaces()[0]);
    broker.update_class(&without).unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).skipped(), 1);
    broker
        .update_class(&without.with_property("desk", ValueType::Str, "fx"))
        .unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
}

#[test]
fn dynamic_publisher_has_properties_of_its_own() {
    let (broker, stocks, _tape) = declared();
    let record = subscription("a", "x")
        .filter("publisher.desk = 'bonds'")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    let dynamic = broker.dynamic_publisher(stocks.class_id()).unwrap();
    assert_eq!(
        dynamic.set("site", 1).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    dynamic.set("desk", "bonds").unwrap();
    let values = [loosely::ValueRef::Str("x"), loosely::ValueRef::F64(1.0)];
    assert_eq!(
        dynamic.fire("price_changed", &values).unwrap().delivered(),
        1
    );
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 0);
}
