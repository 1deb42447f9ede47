//! What is asked for, for few subscriptions and for many, which are found by index.

mod model;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::{OnDrop, OnPrice, StockEvents, Watchdog, live, quiet};
use loosely::{
    Broker, Collation, ErrorKind, EventClass, EventInterface, EventMethod, Interest,
    InterfaceSchema, MethodInterest, Parameter, ParameterInterest, Subscription, SubscriptionGuard,
    Value, ValueRef, ValueType, event_interface,
};

#[event_interface]
trait Quotes {
    fn quoted(
        &self,
        symbol: &str,
        price: f64,
        size: i32,
        venue: Option<&str>,
        tags: &[String],
        labels: &BTreeMap<String, i64>,
    );
    fn halted(&self, symbol: &str);
}

struct Deaf;

impl Quotes for Deaf {
    fn quoted(
        &self,
        _symbol: &str,
        _price: f64,
        _size: i32,
        _venue: Option<&str>,
        _tags: &[String],
        _labels: &BTreeMap<String, i64>,
    ) {
    }

    fn halted(&self, _symbol: &str) {}
}

/// A class on which subscriptions come and go.
struct Class {
    broker: Broker,
    quotes: QuotesPublisher,
    guards: Vec<SubscriptionGuard>,
    added: usize,
}

impl Class {
    fn new() -> Self {
        let broker = quiet();
        let class = EventClass::new("quotes", "Quotes").with_open_properties();
        let id = broker.register_class::<dyn Quotes>(class).unwrap();
        let quotes = broker.publisher_of::<dyn Quotes>(id).unwrap();
        Self {
            broker,
            quotes,
            guards: Vec::new(),
            added: 0,
        }
    }

    fn add(&mut self, filter: &str) {
        self.added += 1;
        let record = Subscription::builder(format!("number {}", self.added))
            .to::<dyn Quotes>()
            .method("quoted")
            .object();
        let record = match filter {
            "" => record,
            filter => record.filter(filter),
        };
        let record = record.build().unwrap();
        let guard = self
            .broker
            .subscribe_with::<dyn Quotes>(&record, Arc::new(Deaf));
        self.guards.push(guard.unwrap());
    }

    fn quoted(&self) -> MethodInterest {
        self.quotes.interest().method("quoted").unwrap()
    }

    fn parameter(&self, path: &str) -> ParameterInterest {
        self.quoted().parameter(path).unwrap()
    }
}

/// Returns a class with each filter so often that they are few, and one with so many that there is
/// an index.
fn few_and_many(filters: &[&str]) -> [(Class, usize); 2] {
    [1, 70].map(|times| {
        let mut class = Class::new();
        for filter in filters {
            (0..times).for_each(|_| class.add(filter));
        }
        (class, times)
    })
}

fn values(of: impl Iterator<Item = loosely::AskedValue>) -> Vec<String> {
    let mut all: Vec<_> = of
        .map(|asked| match asked.collation() {
            Collation::Exact => asked.value().to_string(),
            _ => format!("{} nocase", asked.value()),
        })
        .collect();
    all.sort();
    all
}

#[test]
fn method_without_subscriptions_is_not_wanted() {
    let class = Class::new();
    let halted = class.quotes.interest().method("halted").unwrap();
    assert!(!halted.is_wanted() && !class.quoted().is_wanted());
    let symbol = class.parameter("symbol");
    assert!(!symbol.is_open() && !symbol.wants("MSFT") && symbol.constants().next().is_none());
}

#[test]
fn subscriptions_are_counted_and_those_that_want_everything_apart() {
    for (mut class, times) in few_and_many(&["symbol = 'a'", "", "ALL"]) {
        let quoted = class.quoted();
        assert_eq!(
            (quoted.subscriptions(), quoted.unfiltered()),
            (3 * times, 2 * times)
        );
        class.guards.truncate(times);
        assert_eq!((quoted.subscriptions(), quoted.unfiltered()), (times, 0));
        let halted = class.quotes.interest().method("halted").unwrap();
        assert_eq!(halted.subscriptions(), 0);
    }
}

#[test]
fn disabled_subscription_asks_for_nothing() {
    let broker = quiet();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let method = stocks.interest().method("price_changed").unwrap();
    let record = crate::support::subscription("only", "somebody")
        .filter("symbol = 'MSFT'")
        .build()
        .unwrap();
    broker.store(&record).unwrap();
    let symbol = method.parameter("symbol").unwrap();
    assert!(method.is_wanted() && symbol.wants("MSFT"));
    broker.disable(record.id()).unwrap();
    assert!(!method.is_wanted() && !symbol.wants("MSFT"));
    broker.enable(record.id()).unwrap();
    assert!(symbol.wants("MSFT"));
}

#[test]
fn constants_beginnings_and_collations_are_those_of_the_filters() {
    let filters = [
        "symbol = 'MSFT'",
        "symbol IN ('IBM', 'SAP') AND price > 1",
        "symbol = 'Amzn' COLLATE NOCASE",
        "symbol LIKE 'X%Y'",
        "NOT symbol NOT LIKE 'Z%'",
    ];
    for (mut class, _) in few_and_many(&filters) {
        let symbol = class.parameter("symbol");
        let constants = ["'IBM'", "'MSFT'", "'SAP'", "'amzn' nocase"];
        assert_eq!(values(symbol.constants()), constants);
        assert_eq!(values(symbol.prefixes()), ["'X'", "'Z'"]);
        assert!(!symbol.is_open());
        for (value, wanted) in [("IBM", true), ("ibm", false), ("AMZN", true), ("Zoo", true)] {
            assert_eq!(symbol.wants(value), wanted, "{value}");
        }
        assert!(!symbol.wants(ValueRef::Null));
        class.add("");
        assert!(symbol.is_open() && symbol.wants("ibm") && symbol.wants(ValueRef::Null));
    }
}

#[test]
fn filter_that_says_nothing_of_a_parameter_leaves_it_open() {
    for (class, _) in few_and_many(&["symbol = 'MSFT' AND price > 1", "symbol = 'IBM'"]) {
        assert!(!class.parameter("symbol").is_open());
        let price = class.parameter("price");
        assert!(price.is_open() && price.wants(0.5));
        assert_eq!(price.ranges().len(), 1, "of those who do say something");
    }
    for filter in [
        "symbol <> 'MSFT'",
        "symbol > 'M'",
        "symbol LIKE '%T'",
        "NOT symbol = 'a'",
    ] {
        for (class, _) in few_and_many(&[filter]) {
            assert!(class.parameter("symbol").is_open(), "{filter}");
        }
    }
}

#[test]
fn ranges_are_joined_where_they_overlap_and_have_the_parameters_type() {
    let filters = [
        "price > 185 AND size BETWEEN 1 AND 5",
        "price < 10 AND size = 7",
        "price BETWEEN 8 AND 12.5 AND size > 99",
    ];
    for (mut class, times) in few_and_many(&filters) {
        let (price, size) = (class.parameter("price"), class.parameter("size"));
        let (included, excluded, open) = (Bound::Included, Bound::Excluded, Bound::Unbounded);
        assert_eq!(
            price.ranges(),
            [
                (open.clone(), included(Value::from(12.5))),
                (excluded(185.0.into()), open.clone())
            ]
        );
        assert_eq!(values(size.constants()), ["7"]);
        let sizes = [
            (included(1.into()), included(5.into())),
            (excluded(99.into()), open.clone()),
        ];
        assert_eq!(size.ranges(), sizes);
        assert!(size.wants(3) && size.wants(7) && !size.wants(6) && !size.wants(99));
        assert!(price.wants(186.0) && price.wants(-1e9) && !price.wants(13.0));
        // What came is there at once, what went after another look.
        class.add("price BETWEEN 20 AND 30 AND size = 6");
        assert!(price.wants(25.0) && size.wants(6));
        class.guards.drain(times..2 * times);
        assert_eq!(price.ranges()[0].0, included(8.0.into()));
        assert!(!price.wants(1.0) && !size.wants(7));
    }
}

#[test]
fn keys_of_maps_elements_of_lists_and_properties_of_publishers_are_asked_for() {
    let filters = [
        "labels.level = 3 AND tags = 'hot' AND publisher.region = 'EU'",
        "labels.[odd key] > 5 AND tags IN ('cold', 'old') AND publisher.region IS NULL",
    ];
    for (class, _) in few_and_many(&filters) {
        let tags = class.parameter("tags");
        assert_eq!(values(tags.constants()), ["'cold'", "'hot'", "'old'"]);
        let list = |tag: &str| Value::List(vec![Value::from("new"), tag.into()]);
        assert!(tags.wants(&list("old")) && !tags.wants(&list("bold")));
        let region = class.parameter("publisher.region");
        assert_eq!(values(region.constants()), ["'EU'"]);
        assert!(region.wants("EU") && region.wants(ValueRef::Null) && !region.wants("US"));
        let level = class.parameter("labels.level");
        assert!(level.is_open() && values(level.constants()) == ["3"]);
        assert_eq!(class.parameter("labels.[odd key]").ranges().len(), 1);
    }
}

#[test]
fn name_that_is_none_is_refused_with_its_kind() {
    let class = Class::new();
    let kind = |path: &str| class.quoted().parameter(path).unwrap_err().kind();
    for path in [
        "simbol",
        "symbol.x",
        "subscription.x",
        "",
        "NOT symbol",
        "1",
        "symbol = 1 OR a",
    ] {
        assert_eq!(kind(path), ErrorKind::Filter, "{path}");
    }
    let interest = class.quotes.interest();
    assert_eq!(
        interest.method("sold").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(class.quotes.class().has_open_properties());
    let stocks = quiet().publisher::<dyn StockEvents>().unwrap();
    let method = stocks.interest().method("traded").unwrap();
    let undeclared = method.parameter("publisher.region").unwrap_err();
    assert_eq!(undeclared.kind(), ErrorKind::Filter);
}

#[test]
fn constants_that_stay_are_listed_while_others_come_and_go() {
    let mut class = Class::new();
    (0..3_000).for_each(|at| class.add(&format!("symbol = 'kept {at}'")));
    (0..2_000).for_each(|at| class.add(&format!("symbol = 'gone {at}'")));
    let mut listing = class.parameter("symbol").constants();
    let first = listing.next();
    class.guards.truncate(3_000);
    (0..500).for_each(|at| class.add(&format!("symbol = 'new {at}'")));
    let all = values(first.into_iter().chain(listing));
    let kept = all.iter().filter(|value| value.starts_with("'kept"));
    assert_eq!(kept.count(), 3_000);
}

#[test]
fn interest_keeps_no_subscriber_alive() {
    for times in [1, 70] {
        let broker = quiet();
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        let symbol = stocks.interest().method("price_changed").unwrap();
        let symbol = symbol.parameter("symbol").unwrap();
        let (sender, dropped) = mpsc::channel();
        let mut guards = Vec::new();
        for number in 0..times {
            let record = live(&format!("number {number}")).filter("symbol = 'a' AND price > 1");
            let sender = sender.clone();
            let target = Arc::new(OnDrop(move || sender.send(()).unwrap()));
            let record = record.build().unwrap();
            guards.push(
                broker
                    .subscribe_with::<dyn StockEvents>(&record, target)
                    .unwrap(),
            );
        }
        let mut constants = symbol.constants();
        assert!(symbol.wants("a") && constants.next().is_some());
        drop(guards);
        assert_eq!(dropped.try_iter().count(), times);
        assert!(!symbol.wants("a"));
    }
}

#[test]
fn range_that_came_is_wanted_at_once_while_others_look_at_all_ranges() {
    let _watchdog = Watchdog::new();
    let mut class = Class::new();
    (0..2_000).for_each(|at| class.add(&format!("price BETWEEN {at} AND {at}.5")));
    let price = class.parameter("price");
    let over = Arc::new(AtomicBool::new(false));
    let lookers = [price.clone(), price.clone()].map(|price| {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let everything = (Bound::Unbounded, Bound::Unbounded);
                assert!(!price.ranges().contains(&everything) && !price.wants(-1.0));
            }
        })
    });
    for at in 2_000..2_400 {
        class.add(&format!("price BETWEEN {at} AND {at}.5"));
        assert!(price.wants(f64::from(at) + 0.25), "{at}");
        // So that the lookers have to look again.
        drop(class.guards.remove(0));
    }
    over.store(true, Ordering::Relaxed);
    let looked = lookers.map(thread::JoinHandle::join);
    assert!(looked.iter().all(Result::is_ok));
}

#[test]
fn change_is_told_once_and_seen_by_the_next_question() {
    let mut class = Class::new();
    let mut changes = class.quotes.interest().changes();
    assert!(!changes.changed() && !changes.wait(Duration::ZERO));
    let symbol = class.parameter("symbol");
    for number in 0..100 {
        class.add(&format!("symbol = '{number}'"));
        assert!(changes.changed() && !changes.changed());
        assert!(symbol.wants(&number.to_string()));
    }
    class.guards.pop();
    assert!(changes.wait(Duration::ZERO) && !symbol.wants("99"));
    class.broker.close(Duration::MAX).unwrap();
    assert!(symbol.wants("98"), "as a fire still does");
}

#[test]
fn waiting_thread_is_woken_by_a_subscription_and_by_the_rust_type() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let schema = <dyn StockEvents>::schema();
    let class = EventClass::new("stocks", "Stocks");
    let id = broker.register_dynamic_class(class, schema).unwrap();
    let interest = broker.dynamic_publisher(id).unwrap().interest();
    let symbol = interest.method("price_changed").unwrap();
    let symbol = symbol.parameter("symbol").unwrap();
    let waiting = |interest: &Interest| {
        let mut changes = interest.changes();
        thread::spawn(move || changes.wait(Duration::MAX))
    };
    let waits = waiting(&interest);
    let typed = broker.publisher_of::<dyn StockEvents>(id).unwrap();
    assert!(waits.join().unwrap(), "the channel is another now");
    let waits = waiting(&interest);
    let record = live("only")
        .class(id)
        .filter("symbol = 'a'")
        .build()
        .unwrap();
    let target = Arc::new(OnPrice(|_: &str, _| {}));
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, target)
        .unwrap();
    assert!(waits.join().unwrap());
    assert!(symbol.wants("a") && !symbol.wants("b"));
    assert_eq!(
        typed.interest().method("traded").unwrap().subscriptions(),
        1
    );
}

#[test]
fn everything_is_wanted_of_a_parameter_whose_schema_is_another_by_now() {
    let broker = quiet();
    let of = |ty| {
        let method = EventMethod::new("measured", [Parameter::new("celsius", ty)]);
        InterfaceSchema::new("Weather", "Weather", [method])
    };
    let class = || EventClass::new("weather", "Weather");
    let id = broker
        .register_dynamic_class(class(), &of(ValueType::I16))
        .unwrap();
    let interest = broker.dynamic_publisher(id).unwrap().interest();
    let method = interest.method("measured").unwrap();
    let (celsius, mut changes) = (method.parameter("celsius").unwrap(), interest.changes());
    let record = Subscription::builder("cold").class(id).component("any");
    broker
        .store(&record.filter("celsius < 0").build().unwrap())
        .unwrap();
    assert!(changes.changed() && !celsius.wants(1));
    broker
        .register_dynamic_class(class(), &of(ValueType::I64))
        .unwrap();
    assert!(changes.changed() && celsius.wants(1) && celsius.is_open());
    assert_eq!(method.subscriptions(), 1);
    let celsius = interest
        .method("measured")
        .unwrap()
        .parameter("celsius")
        .unwrap();
    assert!(!celsius.wants(1) && celsius.wants(-1));
}
