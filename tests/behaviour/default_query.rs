//! Default queries of publishers and classes, and views of subscriptions.

use loosely::{ErrorKind, ValueRef};

use crate::publisher_filters::{firing, rig};
use crate::support::{StockEvents, Tape, live, subscription};

#[test]
fn default_query_calls_only_the_subscriptions_it_selects() {
    let (broker, stocks, tape) = rig();
    stocks
        .set_default_query("price_changed", "priority > 0")
        .unwrap();
    let report = stocks.price_changed("x", 1.0);
    assert_eq!((report.delivered(), report.withheld()), (2, 1));
    assert_eq!(stocks.traded("x", 1).delivered(), 3);
    tape.take();
    let record = subscription("d", "a").priority(5).filter("symbol = 'y'");
    broker.ensure(&record.build().unwrap()).unwrap();
    let report = stocks.price_changed("x", 1.0);
    let counts = (report.delivered(), report.filtered(), report.withheld());
    assert_eq!(counts, (2, 1, 1));
    stocks.price_changed("y", 1.0);
    assert_eq!(tape.take()[2..], ["a y 1", "b y 1", "c y 1"]);
    stocks.clear_default_query("price_changed").unwrap();
    assert_eq!(stocks.price_changed("y", 1.0).delivered(), 4);
}

#[test]
fn query_of_a_publisher_stands_before_the_one_of_its_class() {
    let (broker, stocks, _tape) = rig();
    let class = broker.class("StockEvents").unwrap();
    let class = class.with_default_query("name = 'a'");
    broker.update_class(&class).unwrap();
    let other = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.set_default_query("price_changed", "ALL").unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 3);
    assert_eq!(other.price_changed("x", 1.0).delivered(), 1);
    stocks.clear_default_query("price_changed").unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.without_default_queries())
        .unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 3);
}

#[test]
fn publisher_filter_is_asked_in_place_of_the_query() {
    let (_broker, stocks, tape) = rig();
    stocks
        .set_default_query("price_changed", "name = 'a'")
        .unwrap();
    stocks.install_filter(firing(&["b"]));
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["b x 1"]);
}

#[test]
fn default_query_selects_among_what_an_index_finds() {
    let (broker, stocks, tape) = rig();
    for n in 0..200 {
        let record = subscription(&format!("s{n}"), "a").filter(format!("price > {n}"));
        broker
            .ensure(&record.priority(n % 2).build().unwrap())
            .unwrap();
    }
    stocks
        .set_default_query("price_changed", "priority = 1")
        .unwrap();
    let report = stocks.price_changed("x", 10.0);
    assert_eq!(
        (report.delivered(), report.withheld(), report.filtered()),
        (6, 7, 190)
    );
    assert_eq!(tape.take().len(), 6);
}

#[test]
fn invalid_query_is_refused_and_the_one_before_stays() {
    let (broker, stocks, _tape) = rig();
    stocks
        .set_default_query("price_changed", "name = 'a'")
        .unwrap();
    let set = |method, criteria| stocks.set_default_query(method, criteria);
    assert_eq!(
        set("price_changed", "color = 1").unwrap_err().kind(),
        ErrorKind::Filter
    );
    assert_eq!(set("gone", "ALL").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    let dynamic = broker.dynamic_publisher("StockEvents").unwrap();
    dynamic.set_default_query("traded", "name = 'b'").unwrap();
    let report = dynamic
        .fire("traded", &[ValueRef::Str("x"), ValueRef::U64(1)])
        .unwrap();
    assert_eq!((report.delivered(), report.withheld()), (1, 2));
}

#[test]
fn explanation_says_what_the_query_withholds_and_counts_filters_it_does_not_ask() {
    let (_broker, stocks, _tape) = rig();
    stocks
        .set_default_query("price_changed", "name <> 'c'")
        .unwrap();
    let values = [ValueRef::Str("x"), ValueRef::F64(1.0)];
    let explained = stocks.explain("price_changed", &values).unwrap();
    assert_eq!(
        explained.line("c").unwrap().to_string(),
        "\"c\": withheld by the default query"
    );
    assert_eq!(
        (explained.delivered(), explained.publisher_filters()),
        (2, 0)
    );
    stocks.install_filter(firing(&["b"]));
    let explained = stocks.explain("price_changed", &values).unwrap();
    assert_eq!(
        (explained.delivered(), explained.publisher_filters()),
        (3, 1)
    );
}

#[test]
fn view_shows_the_subscriptions_as_they_are_when_it_is_asked() {
    let (broker, stocks, _tape) = rig();
    let view = stocks
        .subscriptions("price_changed", "priority >= 1")
        .unwrap();
    let names = || -> Vec<_> { view.now().iter().map(|it| it.name().to_owned()).collect() };
    assert_eq!(names(), ["b", "c"]);
    let generation = view.generation();
    assert_eq!((names().len(), view.generation()), (2, generation));
    let record = live("d").priority(7).build().unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&record, Tape::new().listener("d"))
        .unwrap();
    assert_eq!(names(), ["d", "b", "c"]);
    assert!(view.generation() > generation);
    let b = view.now()[1].id();
    broker.disable(b).unwrap();
    assert_eq!(names(), ["d", "c"]);
    let held = view.now();
    guard
        .close_and_wait(std::time::Duration::from_secs(60))
        .unwrap();
    assert_eq!((names(), held.len()), (vec!["c".to_owned()], 2));
    assert!(stocks.subscriptions("gone", "ALL").is_err());
}
