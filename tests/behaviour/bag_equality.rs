//! Bags compared with events.

use std::sync::Arc;

use loosely::{
    BagEquality, Broker, ErrorKind, EventClass, FireReport, MemoryStore, Properties, Store,
    Subscription, SubscriptionStatus, Value, ValueRef, ValueType,
};

use crate::publisher_filters::firing;
use crate::support::{
    StockEvents, StockEventsPublisher, Tape, live, on_store, quiet, subscription, whole,
};

/// A broker whose stock events have the publisher property `desk`.
fn rig() -> (Broker, StockEventsPublisher, Tape) {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let class = EventClass::new("StockEvents", "StockEvents");
    let class = class.with_property("desk", ValueType::Str, "fx");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    (broker, stocks, tape)
}

fn with_bag(name: &str, bag: impl Into<Properties>) -> Subscription {
    subscription(name, "x").for_publisher(bag).build().unwrap()
}

/// Has the class compare these names, in place of what it compared before.
fn compare<const N: usize>(broker: &Broker, names: [&str; N]) {
    broker.unregister_publisher_filter("bags");
    let filter = Arc::new(BagEquality::on(names));
    broker.register_publisher_filter("bags", filter).unwrap();
    let class = broker.class("StockEvents").unwrap();
    let class = class.without_publisher_filters();
    broker
        .update_class(&class.with_publisher_filter("bags"))
        .unwrap();
}

/// Has the class compare nothing.
fn compare_nothing(broker: &Broker) {
    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.without_publisher_filters())
        .unwrap();
}

fn counts(report: &FireReport) -> (usize, usize) {
    (report.delivered(), report.filtered())
}

#[test]
fn value_in_the_bag_must_be_the_parameters_and_an_absent_one_lets_all_pass() {
    let (broker, stocks, _tape) = rig();
    for (name, symbol) in [
        ("a", Value::from("MSFT")),
        ("b", "IBM".into()),
        ("c", Value::Null),
    ] {
        broker
            .ensure(&with_bag(name, [("symbol", symbol)]))
            .unwrap();
    }
    broker.ensure(&with_bag("d", [("other", 1)])).unwrap();
    let both = Value::List(vec!["MSFT".into(), "IBM".into()]);
    broker.ensure(&with_bag("e", [("symbol", both)])).unwrap();
    assert_eq!(counts(&stocks.price_changed("MSFT", 1.0)), (5, 0));
    compare(&broker, ["symbol"]);
    assert_eq!(counts(&stocks.price_changed("MSFT", 1.0)), (4, 1));
    assert_eq!(counts(&stocks.traded("IBM", 1)), (4, 1));
    assert_eq!(counts(&stocks.price_changed("SUN", 1.0)), (2, 3));
    compare_nothing(&broker);
    assert_eq!(counts(&stocks.price_changed("SUN", 1.0)), (5, 0));
}

#[test]
fn value_is_compared_with_the_publisher_property_where_no_parameter_has_the_name() {
    let (broker, stocks, _tape) = rig();
    compare(&broker, ["desk", "price"]);
    broker.ensure(&with_bag("a", [("desk", "fx")])).unwrap();
    broker.ensure(&with_bag("b", [("desk", "bonds")])).unwrap();
    broker.ensure(&with_bag("c", [("price", 2)])).unwrap();
    assert_eq!(counts(&stocks.price_changed("x", 2.0)), (2, 1));
    stocks.set("desk", "bonds").unwrap();
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), (1, 2));
    // This one has no price, and the publisher neither.
    assert_eq!(counts(&stocks.traded("x", 1)), (1, 2));
}

#[test]
fn bag_and_filter_must_both_let_the_event_pass_and_the_explanation_says_which_does_not() {
    let (broker, stocks, _tape) = rig();
    compare(&broker, ["symbol"]);
    let record = subscription("a", "x").filter("price > 1 OR price < -1");
    let record = record.for_publisher([("symbol", "MSFT")]).build().unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(counts(&stocks.price_changed("MSFT", 2.0)), (1, 0));
    assert_eq!(counts(&stocks.price_changed("MSFT", 1.0)), (0, 1));
    assert_eq!(counts(&stocks.price_changed("IBM", 2.0)), (0, 1));
    let values = [ValueRef::Str("IBM"), ValueRef::F64(2.0)];
    let explained = stocks
        .explain("price_changed", &values)
        .unwrap()
        .to_string();
    assert!(explained.contains("symbol = 'MSFT'"), "{explained}");
}

#[test]
fn many_bags_are_found_by_the_index_and_followed_through_changes() {
    let (broker, stocks, tape) = rig();
    let all: Vec<_> = (0..500)
        .map(|n| with_bag(&format!("s{n}"), [("symbol", format!("S{}", n % 100))]))
        .collect();
    broker.import(&all).unwrap();
    assert_eq!(counts(&stocks.price_changed("S7", 1.0)), (500, 0));
    compare(&broker, ["symbol"]);
    assert_eq!(counts(&stocks.price_changed("S7", 1.0)), (5, 495));
    tape.take();
    broker.store(&with_bag("s7", [("symbol", "S8")])).unwrap();
    broker.remove(all[107].id()).unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(
            &live("live")
                .for_publisher([("symbol", "S7")])
                .build()
                .unwrap(),
            tape.listener("live"),
        )
        .unwrap();
    assert_eq!(counts(&stocks.price_changed("S7", 1.0)), (4, 496));
    assert_eq!(tape.take().last().unwrap(), "live S7 1");
    drop(guard);
    assert_eq!(counts(&stocks.price_changed("S8", 1.0)), (6, 493));
    let class = broker.class("StockEvents").unwrap();
    broker.update_class(&class.with_unordered()).unwrap();
    assert_eq!(counts(&stocks.price_changed("S8", 1.0)), (6, 493));
    compare_nothing(&broker);
    assert_eq!(counts(&stocks.price_changed("S8", 1.0)), (499, 0));
}

#[test]
fn name_that_no_event_of_the_class_has_is_refused() {
    let (broker, stocks, _tape) = rig();
    let colors = || Arc::new(BagEquality::on(["symbol", "color"]));
    let class = broker.class("StockEvents").unwrap();
    let class = class.with_method_publisher_filter("traded", "colors");
    broker
        .register_publisher_filter("colors", colors())
        .unwrap();
    let other = EventClass::new("other", "other").with_publisher_filter("colors");
    for refused in [
        broker.update_class(&class).unwrap_err(),
        broker.register_class::<dyn StockEvents>(other).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert!(whole(&refused).contains("\"color\""));
    }
    broker.unregister_publisher_filter("colors");
    broker.update_class(&class).unwrap();
    let refused = broker.register_publisher_filter("colors", colors());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    broker.ensure(&with_bag("a", [("symbol", "x")])).unwrap();
    // Nothing is registered, as before, and events of other methods do not care.
    assert_eq!(stocks.traded("x", 1).failed(), 1);
    assert_eq!(stocks.price_changed("y", 1.0).delivered(), 1);
}

#[test]
fn class_goes_on_comparing_when_it_comes_out_of_the_store_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bags = || Arc::new(BagEquality::on(["symbol"]));
    for round in 0..2 {
        let (broker, tape) = (on_store(Arc::clone(&store)), Tape::new());
        broker.register_component(tape.component("x")).unwrap();
        broker.register_publisher_filter("bags", bags()).unwrap();
        if round == 0 {
            let class = EventClass::new("StockEvents", "StockEvents");
            let class = class.with_method_publisher_filter("price_changed", "bags");
            broker.register_class::<dyn StockEvents>(class).unwrap();
            broker.ensure(&with_bag("a", [("symbol", "x")])).unwrap();
        }
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        assert_eq!(counts(&stocks.price_changed("y", 1.0)), (0, 1));
        assert_eq!(counts(&stocks.price_changed("x", 1.0)), (1, 0));
        // Asked for one method alone.
        assert_eq!(counts(&stocks.traded("y", 1)), (1, 0));
    }
}

#[test]
fn publisher_object_and_class_compare_alike() {
    let (broker, stocks, _tape) = rig();
    for (name, bag) in [
        ("number", Value::from(2)),
        ("fraction", 2.5.into()),
        ("either", Value::List(vec![1.into(), 2.into()])),
        ("text", "2".into()),
        ("none", Value::Null),
    ] {
        broker.ensure(&with_bag(name, [("price", bag)])).unwrap();
    }
    compare(&broker, ["price"]);
    let by_class = [1.0, 2.0, 2.5].map(|price| stocks.price_changed("x", price).delivered());
    compare_nothing(&broker);
    stocks.install_filter(Arc::new(BagEquality::on(["price"])));
    let by_object = [1.0, 2.0, 2.5].map(|price| {
        let report = stocks.price_changed("x", price);
        assert_eq!(report.delivered() + report.withheld(), 5);
        report.delivered()
    });
    assert_eq!(by_class, by_object);
    assert_eq!(by_object, [2, 3, 2]);
}

#[test]
fn other_filters_of_the_class_stand_before_the_comparison() {
    let (broker, stocks, tape) = rig();
    for (name, symbol) in [("a", "x"), ("b", "y")] {
        broker
            .ensure(&with_bag(name, [("symbol", symbol)]))
            .unwrap();
    }
    compare(&broker, ["symbol"]);
    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.with_publisher_filter("all"))
        .unwrap();
    broker
        .register_publisher_filter("all", firing(&["b", "a"]))
        .unwrap();
    let report = stocks.price_changed("x", 1.0);
    assert_eq!((counts(&report), report.withheld()), ((1, 1), 0));
    assert_eq!(tape.take(), ["x x 1"]);
}

#[test]
fn value_of_another_type_is_refused_when_stored_and_suspends_what_is_stored() {
    let (broker, stocks, _tape) = rig();
    let stored = with_bag("stored", [("symbol", 7)]);
    broker.ensure(&stored).unwrap();
    compare(&broker, ["symbol"]);
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.skipped()), (0, 1));
    let status = broker.status(stored.id()).unwrap();
    assert!(
        matches!(status, SubscriptionStatus::Suspended(_)),
        "{status:?}"
    );
    let refused = broker
        .ensure(&with_bag("new", [("symbol", 8)]))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Filter);
    let text = whole(&refused);
    assert!(
        text.contains("the bag for the publisher side of \"new\""),
        "{text}"
    );
    assert!(text.contains('8'), "{text}");
    compare(&broker, ["price"]);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
}
