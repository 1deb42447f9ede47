//! What a fire would do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loosely::{
    Broker, Component, ErrorKind, Explanation, OffHours, Stage, Subscription, SubscriptionBuilder,
    Value, ValueRef,
};

use crate::support::{Alerts, Listener, StockEvents, Tape, live, quiet, subscription};

fn price<'a>(symbol: &'a str, price: f64) -> [ValueRef<'a>; 2] {
    [ValueRef::Str(symbol), ValueRef::F64(price)]
}

/// Returns a broker with one subscription of every fate.
fn every_fate(tape: &Tape) -> Broker {
    let broker = quiet();
    let deaf = Component::activated("deaf", |_| Err::<Listener, _>("it was made".into()));
    broker
        .register_component(deaf.implements::<dyn Alerts>())
        .unwrap();
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let records: [SubscriptionBuilder; 10] = [
        subscription("called", "fine"),
        subscription("off", "fine").disabled(),
        subscription("unfit", "fine").filter("color = 'red'"),
        subscription("early", "fine").not_before(now + hour),
        subscription("over", "fine").expires(now - hour),
        subscription("filtered", "fine").filter("symbol = 'MSFT' AND price > 185"),
        subscription("selected", "fine").filter("price < 185"),
        subscription("missing", "nobody"),
        subscription("lacking", "deaf"),
        subscription("of another method", "fine").method("traded"),
    ];
    for record in records {
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let fine = tape.component("fine");
    broker.register_component(fine).unwrap();
    let moniker = Subscription::builder("moniker")
        .to::<dyn StockEvents>()
        .moniker("mail:ann");
    broker.ensure(&moniker.build().unwrap()).unwrap();
    broker
}

fn stage<'a>(explanation: &'a Explanation, name: &str) -> &'a Stage {
    explanation.line(name).unwrap().stage()
}

#[test]
fn every_subscription_has_the_stage_that_decides_about_it() {
    let tape = Tape::new();
    let broker = every_fate(&tape);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let weak = tape.listener("weak");
    let record = live("gone").build().unwrap();
    let _gone = broker
        .subscribe_with::<dyn StockEvents>(&record, Arc::downgrade(&weak))
        .unwrap();
    drop(weak);
    let told = stocks
        .explain("price_changed", &price("MSFT", 184.0))
        .unwrap();
    assert!(matches!(stage(&told, "called"), Stage::Delivered(_)));
    assert!(matches!(stage(&told, "selected"), Stage::Delivered(_)));
    assert!(matches!(stage(&told, "off"), Stage::Disabled));
    assert!(matches!(stage(&told, "unfit"), Stage::Suspended(why) if why.contains("color")));
    let off = |name| match stage(&told, name) {
        Stage::OffHours(off) => off.clone(),
        other => panic!("{other}"),
    };
    assert!(matches!(off("early"), OffHours::TooEarly(_)));
    assert!(matches!(off("over"), OffHours::Expired(_)));
    assert!(
        matches!(stage(&told, "missing"), Stage::Unavailable(why) if why.contains("registered"))
    );
    assert!(
        matches!(stage(&told, "lacking"), Stage::Unavailable(why) if why.contains("StockEvents"))
    );
    assert!(matches!(stage(&told, "moniker"), Stage::Unavailable(why) if why.contains("mail:ann")));
    assert!(matches!(stage(&told, "gone"), Stage::Unavailable(why) if why.contains("gone")));
    assert!(told.line("of another method").is_none());
    assert_eq!((told.delivered(), told.lines().len()), (2, 11));
    assert_eq!(tape.len(), 0, "nobody was called");
}

#[test]
fn deciding_predicate_is_named_with_its_values() {
    let broker = every_fate(&Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let told = stocks
        .explain("price_changed", &price("MSFT", 184.0))
        .unwrap();
    let Stage::FilteredOut(decision) = stage(&told, "filtered") else {
        panic!("{told}")
    };
    assert_eq!(decision.predicate(), "price > 185");
    assert_eq!(decision.outcome(), Some(false));
    assert_eq!(decision.values(), [("price".to_owned(), Value::F64(184.0))]);
    let text = told.to_string();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("price_changed(symbol = 'MSFT', price = 184.0)")
    );
    assert_eq!(lines.next(), Some("  \"called\": would be called"));
    let Stage::Delivered(Some(decision)) = stage(&told, "selected") else {
        panic!("{told}")
    };
    assert_eq!(decision.outcome(), Some(true));
    let filtered = "  \"filtered\": filtered out, price > 185 is false: price = 184.0";
    assert!(text.contains(filtered), "{text}");
}

#[test]
fn explanation_and_report_agree_and_have_one_order() {
    let tape = Tape::new();
    let broker = every_fate(&tape);
    let last = subscription("last", "fine").priority(-1).build().unwrap();
    let first = subscription("first", "fine").priority(1).build().unwrap();
    broker.ensure(&last).unwrap();
    broker.ensure(&first).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for cents in [184.0, 186.0] {
        let told = stocks
            .explain("price_changed", &price("MSFT", cents))
            .unwrap();
        let report = stocks.price_changed("MSFT", cents);
        assert_eq!(told.delivered(), report.delivered());
        let count = |fits: fn(&Stage) -> bool| {
            told.lines()
                .iter()
                .filter(|line| fits(line.stage()))
                .count()
        };
        let kept_out = |stage: &Stage| matches!(stage, Stage::FilteredOut(_));
        assert_eq!(count(kept_out), report.filtered());
        assert_eq!(
            count(|stage| matches!(stage, Stage::Unavailable(_))),
            report.failed()
        );
        assert_eq!(
            count(|stage| matches!(stage, Stage::Suspended(_))),
            report.skipped()
        );
        let lines = told.lines();
        assert_eq!(
            (lines[0].name(), lines[lines.len() - 1].name()),
            ("first", "last")
        );
    }
}

#[test]
fn explaining_what_cannot_be_fired_is_an_error() {
    let broker = every_fate(&Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let kind =
        |method: &str, values: &[ValueRef<'_>]| stocks.explain(method, values).unwrap_err().kind();
    assert_eq!(kind("split", &[]), ErrorKind::NotFound);
    assert_eq!(
        kind("price_changed", &[ValueRef::Str("x")]),
        ErrorKind::SchemaMismatch
    );
    let class = stocks.class_id();
    let told = broker
        .explain(class, "price_changed", &price("MSFT", 1.0))
        .unwrap();
    assert_eq!(told.delivered(), 2);
    let unknown = broker
        .explain("no such class", "price_changed", &[])
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[test]
fn property_of_the_publisher_that_explains_is_used() {
    let broker = quiet();
    let class = loosely::EventClass::new("stocks", "stocks").with_open_properties();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let record = subscription("a", "x")
        .filter("publisher.desk = 'fx'")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    broker
        .register_component(Tape::new().component("x"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let delivered = || {
        stocks
            .explain("price_changed", &price("x", 1.0))
            .unwrap()
            .delivered()
    };
    assert_eq!(delivered(), 0);
    stocks.set("desk", "fx").unwrap();
    assert_eq!(delivered(), 1);
}

#[test]
fn method_finds_its_interface_among_those_of_the_class() {
    let broker = quiet();
    let class = loosely::EventClass::new("mixed", "mixed");
    broker
        .register_class::<dyn StockEvents>(class.clone())
        .unwrap();
    broker.register_class::<dyn Alerts>(class).unwrap();
    let told = broker.explain("mixed", "raised", &["x".into()]).unwrap();
    assert_eq!(told.to_string(), "raised(text = 'x')");
    let told = broker.explain("mixed", "price_changed", &price("A", 1.0));
    assert!(told.is_ok());
    let none = broker.explain("mixed", "split", &[]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}
