//! Bags compared with events.

use loosely::{
    BagEquality, Broker, ErrorKind, EventClass, FireReport, Properties, Subscription,
    SubscriptionStatus, Value, ValueRef, ValueType,
};

use crate::support::{StockEvents, StockEventsPublisher, Tape, live, quiet, subscription, whole};

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
    broker.match_bags("StockEvents", ["symbol"]).unwrap();
    assert_eq!(counts(&stocks.price_changed("MSFT", 1.0)), (4, 1));
    assert_eq!(counts(&stocks.traded("IBM", 1)), (4, 1));
    assert_eq!(counts(&stocks.price_changed("SUN", 1.0)), (2, 3));
    broker
        .match_bags("StockEvents", BagEquality::default())
        .unwrap();
    assert_eq!(counts(&stocks.price_changed("SUN", 1.0)), (5, 0));
}

#[test]
fn value_is_compared_with_the_publisher_property_where_no_parameter_has_the_name() {
    let (broker, stocks, _tape) = rig();
    broker.match_bags("StockEvents", ["desk", "price"]).unwrap();
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
    broker.match_bags("StockEvents", ["symbol"]).unwrap();
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
    broker.match_bags("StockEvents", ["symbol"]).unwrap();
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
    broker
        .match_bags("StockEvents", BagEquality::default())
        .unwrap();
    assert_eq!(counts(&stocks.price_changed("S8", 1.0)), (499, 0));
}

#[test]
fn name_that_no_event_of_the_class_has_is_refused() {
    let (broker, _stocks, _tape) = rig();
    let refused = broker
        .match_bags("StockEvents", ["symbol", "color"])
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(whole(&refused).contains("\"color\""));
    let refused = broker.match_bags("gone", ["symbol"]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[test]
fn value_of_another_type_is_refused_when_stored_and_suspends_what_is_stored() {
    let (broker, stocks, _tape) = rig();
    let stored = with_bag("stored", [("symbol", 7)]);
    broker.ensure(&stored).unwrap();
    broker.match_bags("StockEvents", ["symbol"]).unwrap();
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
    broker.match_bags("StockEvents", ["price"]).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
}
