//! Predicates by name, asked behind the filter.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loosely::{ErrorKind, Failure, Stage, ValueRef};

use crate::support::{StockEvents, Tape, only_failure, quiet, subscription};

#[test]
fn predicate_is_asked_about_the_events_that_the_filter_selects() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x")
        .filter("price > 1")
        .predicate("round");
    broker.ensure(&record.build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    broker
        .register_predicate("round", move |event| {
            counter.fetch_add(1, Ordering::SeqCst);
            let price = event.get("price").and_then(|price| price.as_f64());
            price.is_some_and(|price| price.fract() == 0.0)
        })
        .unwrap();
    for (price, delivered) in [(1.0, 0), (1.5, 0), (2.0, 1)] {
        let report = stocks.price_changed("x", price);
        assert_eq!(
            (report.delivered(), report.filtered()),
            (delivered, 1 - delivered)
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let explained = |price| {
        let values = [ValueRef::Str("x"), ValueRef::F64(price)];
        stocks.explain("price_changed", &values).unwrap()
    };
    assert!(matches!(explained(1.5).lines()[0].stage(), Stage::Refused(name) if name == "round"));
    assert_eq!(explained(2.0).delivered(), 1);
}

#[test]
fn predicate_that_is_not_registered_or_panics_fails_the_delivery() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    for n in 0..100 {
        let record = subscription(&format!("s{n}"), "x").filter(format!("price = {n}"));
        broker
            .ensure(&record.predicate("p").build().unwrap())
            .unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let report = stocks.price_changed("x", 1.0);
    assert!(matches!(only_failure(&report), Failure::Predicate(_)));
    assert_eq!(
        only_failure(&report).to_string(),
        "the predicate \"p\" is not registered"
    );
    broker
        .register_predicate("p", |_| panic!("no idea"))
        .unwrap();
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(
        only_failure(&report).to_string(),
        "the predicate \"p\" panicked: no idea"
    );
    let taken = broker.register_predicate("p", |_| true).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert!(broker.unregister_predicate("p"));
    broker.register_predicate("p", |_| true).unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["x x 1"]);
}

#[test]
fn predicate_may_fire_and_change_the_wiring() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x").predicate("p").build().unwrap();
    let id = record.id();
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let (inner, host) = (stocks.clone(), broker.clone());
    broker
        .register_predicate("p", move |event| {
            if event.method() == "price_changed" {
                inner.traded("y", 1);
                host.disable(id).unwrap();
            }
            true
        })
        .unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["x traded y 1", "x x 1"]);
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 0);
}
