//! Publisher filters: who is called, in which order, and what of the rest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use loosely::{
    Broker, DeliveryOutcome, ErrorKind, EventClass, Failure, FilteredEvent, FireOutcome,
    FireReport, PublisherFilter, Selection, StickyByKey, ValueRef,
};

use crate::support::{
    Alerts, OnPrice, StockEvents, StockEventsPublisher, Tape, live, quiet, subscription,
};

/// A publisher filter made of a closure.
pub(crate) struct Filtering<F>(pub(crate) F);

impl<F> PublisherFilter for Filtering<F>
where
    F: Fn(&FilteredEvent<'_>, &mut Selection<'_>) + Send + Sync,
{
    fn fire(&self, event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        (self.0)(event, subscriptions);
    }
}

/// Returns a publisher filter made of a closure.
pub(crate) fn filtering<F>(filter: F) -> Arc<Filtering<F>>
where
    F: Fn(&FilteredEvent<'_>, &mut Selection<'_>) + Send + Sync,
{
    Arc::new(Filtering(filter))
}

/// Returns a filter that fires the subscriptions of these names, in this order.
pub(crate) fn firing(names: &'static [&'static str]) -> Arc<impl PublisherFilter> {
    filtering(move |_, subscriptions| {
        for name in names {
            let found = subscriptions.iter().find(|it| it.name() == *name);
            found.iter().for_each(|it| _ = subscriptions.fire(it));
        }
    })
}

/// Returns a broker with the subscriptions `a` to `c` to all stock events, of priorities 0, 2 and
/// 1.
pub(crate) fn rig() -> (Broker, StockEventsPublisher, Tape) {
    let (broker, tape) = (quiet(), Tape::new());
    for (name, priority) in [("a", 0), ("b", 2), ("c", 1)] {
        broker.register_component(tape.component(name)).unwrap();
        let record = subscription(name, name).priority(priority);
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    (broker, stocks, tape)
}

fn counts(report: &FireReport) -> [usize; 4] {
    [
        report.delivered(),
        report.filtered(),
        report.withheld(),
        report.failed(),
    ]
}

#[test]
fn filter_selects_and_orders_and_the_rest_is_withheld() {
    let (_broker, stocks, tape) = rig();
    let filter = firing(&["c", "a"]);
    stocks.install_filter(Arc::clone(&filter));
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(tape.take(), ["c x 1", "a x 1"]);
    assert_eq!(counts(&report), [2, 0, 1, 0]);
    assert_eq!(report.outcome(), FireOutcome::Delivered);
    assert!(stocks.remove_filter(Arc::clone(&filter)));
    assert!(!stocks.remove_filter(filter));
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [3, 0, 0, 0]);
}

#[test]
fn event_of_which_all_is_withheld_is_told_from_one_nobody_subscribed_to() {
    let (broker, stocks, tape) = rig();
    stocks.install_filter(firing(&[]));
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(
        (report.outcome(), report.withheld()),
        (FireOutcome::AllFiltered, 3)
    );
    for record in broker.subscriptions("ALL").unwrap() {
        broker.remove(record.id()).unwrap();
    }
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(
        (report.outcome(), report.withheld()),
        (FireOutcome::NoSubscribers, 0)
    );
    assert!(tape.take().is_empty());
}

#[test]
fn filter_sees_the_event_its_publisher_and_both_bags_in_calling_order() {
    let (broker, stocks, _tape) = rig();
    let mut class = broker.class("StockEvents").unwrap();
    class = class.with_property("desk", loosely::ValueType::Str, "fx");
    broker.update_class(&class).unwrap();
    let record = subscription("bags", "a").priority(9).owner("ann");
    let record = record
        .for_publisher([("shelf", 7)])
        .for_subscriber([("bin", 8)]);
    broker.ensure(&record.build().unwrap()).unwrap();
    let seen = Tape::new();
    let tape = seen.clone();
    stocks.install_filter(filtering(move |event, subscriptions| {
        let (symbol, desk) = (
            event.get("symbol").unwrap(),
            event.property("desk").unwrap(),
        );
        let (class, method) = (event.class().name(), event.method());
        tape.write(format!(
            "{class} {method} {symbol} {desk} {}",
            event.get("none").is_none()
        ));
        let names: Vec<_> = subscriptions.iter().map(|it| it.name()).collect();
        tape.write(names.join(" "));
        let first = subscriptions.iter().next().unwrap();
        let (out, inside) = (first.for_publisher(), first.for_subscriber());
        tape.write(format!(
            "{} {} {:?} {:?}",
            first.priority(),
            first.owner().unwrap(),
            out.get("shelf").unwrap().view(),
            inside.get("bin").unwrap().view(),
        ));
    }));
    stocks.price_changed("MSFT", 1.0);
    let lines = [
        "StockEvents price_changed 'MSFT' 'fx' true",
        "bags b c a",
        "9 ann 7 8",
    ];
    assert_eq!(seen.take(), lines);
    let dynamic = broker.dynamic_publisher("StockEvents").unwrap();
    dynamic.install_filter(firing(&["a"]));
    let values = [ValueRef::Str("x"), ValueRef::F64(1.0)];
    assert_eq!(
        counts(&dynamic.fire("price_changed", &values).unwrap()),
        [1, 0, 3, 0]
    );
}

#[test]
fn control_returns_what_became_of_a_subscriber_and_calls_it_once_at_most() {
    let (broker, stocks, tape) = rig();
    let record = subscription("picky", "a").filter("symbol = 'MSFT'");
    broker.ensure(&record.build().unwrap()).unwrap();
    let panicking = live("bad").build().unwrap();
    let target = Arc::new(OnPrice(|_: &str, _| panic!("no room")));
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&panicking, target)
        .unwrap();
    let told = Tape::new();
    let outcomes = told.clone();
    stocks.install_filter(filtering(move |_, subscriptions| {
        for candidate in subscriptions.iter().chain(subscriptions.iter()) {
            let outcome = subscriptions.fire(&candidate).to_string();
            outcomes.write(format!("{} {outcome}", candidate.name()));
        }
    }));
    let report = stocks.price_changed("IBM", 1.0);
    assert_eq!(counts(&report), [3, 1, 0, 1]);
    assert_eq!(tape.take(), ["b IBM 1", "c IBM 1", "a IBM 1"]);
    let told = told.take();
    assert_eq!(told[..5], told[5..]);
    assert_eq!(
        told[3..5],
        ["picky filtered out", "bad failed: panicked: no room"]
    );
}

#[test]
fn panicking_filter_fails_what_it_had_not_fired_and_nothing_else() {
    let (_broker, stocks, tape) = rig();
    stocks.install_filter(filtering(|event, subscriptions| {
        let first = subscriptions.iter().next().unwrap();
        subscriptions.fire(&first);
        assert!(event.get("nothing").is_some(), "bad day");
    }));
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(tape.take(), ["b x 1"]);
    assert_eq!(counts(&report), [1, 0, 0, 2]);
    let lines: Vec<_> = report.lines().iter().map(ToString::to_string).collect();
    assert!(
        lines[0].starts_with("\"c\": failed: the publisher filter panicked: "),
        "{lines:?}"
    );
    assert!(lines[1].contains("bad day"), "{lines:?}");
}

#[test]
fn filter_for_one_method_is_not_asked_about_others() {
    let (_broker, stocks, tape) = rig();
    stocks
        .install_method_filter("traded", firing(&["a"]))
        .unwrap();
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [3, 0, 0, 0]);
    assert_eq!(counts(&stocks.traded("x", 1)), [1, 0, 2, 0]);
    assert_eq!(tape.take().last().unwrap(), "a traded x 1");
    let error = stocks
        .install_method_filter("gone", firing(&[]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn filter_holds_for_all_clones_and_interfaces_of_one_publisher_and_for_no_other() {
    let (broker, stocks, _tape) = rig();
    let class = EventClass::new("StockEvents", "StockEvents");
    broker.register_class::<dyn Alerts>(class).unwrap();
    let alerts = stocks.interface::<dyn Alerts>().unwrap();
    let _guard = broker
        .subscribe::<dyn Alerts>(Tape::new().listener("x"))
        .unwrap();
    let other = broker.publisher::<dyn StockEvents>().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    stocks.install_filter(filtering(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    assert_eq!(stocks.clone().price_changed("x", 1.0).withheld(), 3);
    assert_eq!(alerts.raised("x").withheld(), 1);
    assert_eq!(other.price_changed("x", 1.0).delivered(), 3);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn each_filter_of_a_chain_sees_what_the_one_before_selected_in_its_order() {
    let (_broker, stocks, tape) = rig();
    let seen = Tape::new();
    let (passed, last) = (seen.clone(), seen.clone());
    stocks.install_filter(filtering(move |_, subscriptions| {
        for candidate in subscriptions.iter().filter(|it| it.name() != "b") {
            passed.write(subscriptions.fire(&candidate).to_string());
        }
    }));
    stocks.install_filter(filtering(move |_, subscriptions| {
        let mut all: Vec<_> = subscriptions.iter().collect();
        all.reverse();
        for candidate in all {
            last.write(candidate.name());
            let outcome = subscriptions.fire(&candidate);
            assert!(matches!(outcome, DeliveryOutcome::Delivered));
        }
    }));
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [2, 0, 1, 0]);
    assert_eq!(seen.take(), ["selected", "selected", "a", "c"]);
    assert_eq!(tape.take(), ["a x 1", "c x 1"]);
}

#[test]
fn registered_filter_is_found_by_the_name_that_its_class_bears() {
    let (broker, stocks, tape) = rig();
    let class = broker.class("StockEvents").unwrap();
    let class = class.with_method_publisher_filter("price_changed", "first");
    broker.update_class(&class).unwrap();
    let report = stocks.price_changed("x", 1.0);
    assert_eq!(counts(&report), [0, 0, 0, 3]);
    let failure = report.failures().next().unwrap().failure().unwrap();
    assert!(matches!(failure, Failure::PublisherFilter(_)));
    assert_eq!(
        failure.to_string(),
        "the publisher filter \"first\" is not registered"
    );
    assert_eq!(stocks.traded("x", 1).delivered(), 3);

    let filter: Arc<dyn PublisherFilter> = firing(&["a"]);
    broker
        .register_publisher_filter("first", Arc::clone(&filter))
        .unwrap();
    broker.register_publisher_filter("first", filter).unwrap();
    tape.take();
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [1, 0, 2, 0]);
    assert_eq!(tape.take(), ["a x 1"]);
    let error = broker
        .register_publisher_filter("first", firing(&[]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = broker
        .register_publisher_filter("", firing(&[]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(broker.unregister_publisher_filter("first"));
    assert!(!broker.unregister_publisher_filter("first"));
    assert_eq!(stocks.price_changed("x", 1.0).failed(), 3);

    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.without_publisher_filters())
        .unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 3);
}

#[test]
fn filter_of_the_class_stands_before_one_that_a_publisher_installs_by_name() {
    let (broker, stocks, tape) = rig();
    broker
        .register_publisher_filter("ab", firing(&["a", "b"]))
        .unwrap();
    broker
        .register_publisher_filter("bc", firing(&["b", "c"]))
        .unwrap();
    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.with_publisher_filter("ab"))
        .unwrap();
    stocks.install_filter("bc");
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [1, 0, 2, 0]);
    assert_eq!(tape.take(), ["b x 1"]);
    assert!(stocks.remove_filter("bc"));
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 2);
}

#[test]
fn changes_are_seen_by_the_next_event_beside_an_index_too() {
    let (broker, stocks, tape) = rig();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let names = Arc::clone(&seen);
    stocks.install_filter(filtering(move |_, subscriptions| {
        *names.lock().unwrap() = subscriptions
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        subscriptions.fire_all();
    }));
    let record = |n: usize| {
        let record = subscription(&format!("s{n}"), "a").filter(format!("price = {n}"));
        record.build().unwrap()
    };
    for n in 0..100 {
        broker.ensure(&record(n)).unwrap();
        let report = stocks.price_changed("x", n as f64);
        assert_eq!(counts(&report), [4, n, 0, 0]);
        assert_eq!(seen.lock().unwrap().len(), n + 4);
    }
    broker.remove(record(50).id()).unwrap();
    broker.disable(record(51).id()).unwrap();
    tape.take();
    assert_eq!(counts(&stocks.price_changed("x", 50.0)), [3, 98, 0, 0]);
    assert!(broker.unregister_component("b"));
    let report = stocks.price_changed("x", 52.0);
    assert_eq!(counts(&report), [3, 97, 0, 1]);
    let last = seen.lock().unwrap().last().cloned();
    assert_eq!(last.as_deref(), Some("s99"));
}

#[test]
fn filter_may_fire_change_the_wiring_and_remove_itself() {
    let (broker, stocks, tape) = rig();
    let inner = stocks.clone();
    let host = broker.clone();
    stocks
        .install_method_filter(
            "price_changed",
            filtering(move |event, subscriptions| {
                subscriptions.fire_all();
                inner.traded(event.get("symbol").unwrap().as_str().unwrap(), 1);
                host.remove(subscriptions.iter().next().unwrap().id())
                    .unwrap();
                inner.install_filter("gone");
                inner.remove_filter("gone");
            }),
        )
        .unwrap();
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [3, 0, 0, 0]);
    assert_eq!(tape.take().len(), 6);
    assert_eq!(counts(&stocks.price_changed("x", 1.0)), [2, 0, 0, 0]);
}

#[test]
fn filter_that_fires_its_own_event_again_ends_at_the_nesting_limit() {
    let (_broker, stocks, _tape) = rig();
    let inner = stocks.clone();
    let deepest = Arc::new(Mutex::new(None));
    let last = Arc::clone(&deepest);
    stocks.install_filter(filtering(move |_, _| {
        let report = inner.price_changed("x", 1.0);
        last.lock().unwrap().get_or_insert(report.failed());
    }));
    assert_eq!(stocks.price_changed("x", 1.0).withheld(), 3);
    assert_eq!(*deepest.lock().unwrap(), Some(3));
}

#[test]
fn queued_event_is_steered_as_when_it_was_fired() {
    let (broker, stocks, tape) = rig();
    let class = broker.class("StockEvents").unwrap();
    broker
        .update_class(&class.with_nesting(loosely::Nesting::Queued))
        .unwrap();
    let filter = firing(&["c"]);
    stocks
        .install_method_filter("traded", Arc::clone(&filter))
        .unwrap();
    let inner = stocks.clone();
    let nesting = Arc::new(OnPrice(move |_: &str, _| {
        inner.traded("y", 2);
        inner.remove_filter(Arc::clone(&filter));
    }));
    let _guard = broker.subscribe::<dyn StockEvents>(nesting).unwrap();
    stocks.price_changed("x", 1.0);
    assert_eq!(tape.take(), ["b x 1", "c x 1", "a x 1", "c traded y 2"]);
}

#[test]
fn events_of_one_key_go_to_the_subscriber_that_took_the_last_until_it_fails() {
    let (broker, stocks, tape) = rig();
    let sticky = Arc::new(StickyByKey::on("symbol").remembering(2));
    stocks.install_filter(Arc::clone(&sticky));
    let b = broker.subscriptions("name = 'b'").unwrap().remove(0);
    for symbol in ["x", "y", "x"] {
        assert_eq!(counts(&stocks.price_changed(symbol, 1.0)), [1, 0, 2, 0]);
    }
    assert_eq!(tape.take(), ["b x 1", "b y 1", "b x 1"]);
    broker.disable(b.id()).unwrap();
    stocks.price_changed("x", 1.0);
    broker.enable(b.id()).unwrap();
    stocks.price_changed("x", 2.0);
    stocks.price_changed("y", 2.0);
    assert_eq!(tape.take(), ["c x 1", "c x 2", "b y 2"]);
    stocks.price_changed("z", 1.0);
    assert_eq!(sticky.len(), 2);
    broker.disable(b.id()).unwrap();
    broker.unregister_component("c");
    let report = stocks.price_changed("y", 3.0);
    assert_eq!(counts(&report), [1, 0, 0, 1]);
    assert_eq!(tape.take(), ["b z 1", "a y 3"]);
    let report = stocks.price_changed("y", 4.0);
    assert_eq!(counts(&report), [1, 0, 1, 0]);
}

#[test]
fn sticky_filter_before_another_one_selects_one_subscriber_per_key() {
    let (_broker, stocks, tape) = rig();
    stocks.install_filter(Arc::new(StickyByKey::on("symbol")));
    stocks.install_filter(filtering(|_, subscriptions| subscriptions.fire_all()));
    for _ in 0..2 {
        let report = stocks.price_changed("x", 1.0);
        assert_eq!(counts(&report), [1, 0, 2, 0]);
    }
    assert_eq!(tape.take(), ["b x 1", "b x 1"]);
}

#[test]
fn explanation_says_that_a_filter_is_not_registered() {
    let (broker, stocks, _tape) = rig();
    stocks.install_filter("nobody's");
    let values = [ValueRef::Str("x"), ValueRef::F64(1.0)];
    let explained = || stocks.explain("price_changed", &values).unwrap();
    assert_eq!(explained().delivered(), 0);
    let stage = explained().line("a").unwrap().stage().to_string();
    assert!(stage.contains("\"nobody's\" is not registered"), "{stage}");
    broker
        .register_publisher_filter("nobody's", firing(&["a"]))
        .unwrap();
    assert_eq!(explained().delivered(), 3);
}
