//! Private subscriptions among everybody's: order, filters, and who else is told of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use loosely::{
    Broker, FilteredEvent, Interest, PublisherFilter, Selection, Stage, SubscriptionGuard, ValueRef,
};

use crate::private::{built, publisher, two};
use crate::support::{
    OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, quiet, subscription,
};

/// Subscribes `a`, `B`, `c`, `D`, the capital ones privately, and two of priority 1 and -1.
fn mixed(broker: &Broker, one: &StockEventsPublisher, tape: &Tape) -> Vec<SubscriptionGuard> {
    let all = |name: &str, priority| built(live(name).priority(priority));
    let mut guards = Vec::new();
    for (name, priority) in [("a", 0), ("B", 0), ("c", 0), ("D", 0), ("E", 1), ("f", -1)] {
        let (record, listener) = (all(name, priority), tape.listener(name));
        let guard = match name.to_lowercase() == name {
            true => broker.subscribe_with::<dyn StockEvents>(&record, listener),
            false => one.subscribe_with(&record, listener),
        };
        guards.push(guard.unwrap());
    }
    guards
}

/// Stores subscriptions that never match, so many that an index finds those that do.
fn fill(broker: &Broker, count: u32) {
    let records = (0..count).map(|number| {
        let record = subscription(&format!("s{number}"), "nobody");
        built(record.filter(format!("symbol = '{number}'")))
    });
    broker.import(records).unwrap();
}

#[test]
fn private_ones_are_called_by_priority_and_in_the_order_of_subscribing_among_all() {
    for stored in [0, 10, 100] {
        let (broker, one, other) = two();
        let tape = Tape::new();
        let _guards = mixed(&broker, &one, &tape);
        fill(&broker, stored);
        let report = one.price_changed("A", 1.0);
        assert_eq!(
            (report.delivered(), report.filtered()),
            (6, stored as usize)
        );
        let order = ["E A 1", "a A 1", "B A 1", "c A 1", "D A 1", "f A 1"];
        assert_eq!(tape.take(), order, "beside {stored}");
        assert_eq!(other.price_changed("A", 1.0).delivered(), 3);
        assert_eq!(tape.take(), ["a A 1", "c A 1", "f A 1"]);
    }
}

#[test]
fn many_private_filters_of_one_object_are_found_like_a_few() {
    let (broker, one, other) = two();
    let (tape, mut guards) = (Tape::new(), Vec::new());
    fill(&broker, 100);
    for number in 0..200 {
        let record = live(&format!("p{number}")).method("price_changed");
        let record = built(record.filter(format!("price = {}", number % 100)));
        let guard = one.subscribe_with(&record, tape.listener(&number.to_string()));
        guards.push(guard.unwrap());
        // Those that are there so far, in the order in which they came.
        let report = one.price_changed("A", 7.0);
        let expected = (0..=number).filter(|number| number % 100 == 7);
        let heard: Vec<_> = expected.map(|number| format!("{number} A 7")).collect();
        assert_eq!(tape.take(), heard);
        assert_eq!(report.filtered(), 100 + number + 1 - heard.len());
    }
    assert_eq!(other.price_changed("A", 7.0).filtered(), 100);
    while let Some(guard) = guards.pop() {
        drop(guard);
        let expected = (0..guards.len()).filter(|number| number % 100 == 7).count();
        assert_eq!(one.price_changed("A", 7.0).delivered(), expected);
        tape.take();
    }
}

#[test]
fn explanation_has_the_private_ones_of_its_object_alone() {
    let (broker, one, other) = two();
    let tape = Tape::new();
    let _guards = mixed(&broker, &one, &tape);
    let filtered = built(live("filtered").filter("price > 5"));
    let _filtered = one.subscribe_with(&filtered, tape.listener("x"));
    let values = [ValueRef::Str("A"), ValueRef::F64(1.0)];
    let explained = |one: &StockEventsPublisher| {
        let explanation = one.explain("price_changed", &values).unwrap();
        let names = explanation
            .lines()
            .iter()
            .map(|line| line.name().to_owned());
        (names.collect::<Vec<_>>().join(""), explanation)
    };
    let (names, explanation) = explained(&one);
    assert_eq!(names, "EaBcDfilteredf");
    let line = explanation.line("filtered").unwrap();
    assert!(matches!(line.stage(), Stage::FilteredOut(_)), "{line}");
    assert_eq!(explanation.delivered(), 6);
    assert_eq!(explained(&other).0, "acf");
    assert_eq!(tape.take().len(), 0);
}

fn symbols(interest: &Interest) -> Vec<String> {
    let method = interest.method("price_changed").unwrap();
    let constants = method.parameter("symbol").unwrap().constants();
    let mut symbols: Vec<_> = constants.map(|it| it.value().to_string()).collect();
    symbols.sort();
    symbols
}

#[test]
fn interest_is_that_of_everybody_and_of_the_object_alone() {
    for stored in [0, 100] {
        let (broker, one, other) = two();
        let interest = one.interest();
        let mut changes = interest.changes();
        let listener = || Tape::new().listener("x");
        let record = |name: &str, filter: &str| {
            let record = live(name).method("price_changed");
            built(record.filter(filter))
        };
        fill(&broker, stored);
        let first = record("a", "symbol = 'A' AND price > 5");
        let _all = broker.subscribe_with::<dyn StockEvents>(&first, listener());
        assert!(changes.changed());
        let own = one.subscribe_with(&record("b", "symbol = 'B' AND price < 9"), listener());
        assert!(changes.changed());
        let _other = other.subscribe_with(&record("c", "symbol = 'C'"), listener());
        let found = symbols(&interest);
        let named = |symbol: &str| found.iter().any(|it| it == &format!("'{symbol}'"));
        assert!(named("A") && named("B") && !named("C"), "{found:?}");
        let method = interest.method("price_changed").unwrap();
        assert_eq!(method.subscriptions(), stored as usize + 2);
        let symbol = method.parameter("symbol").unwrap();
        assert!(symbol.wants("A") && symbol.wants("B") && !symbol.wants("C"));
        // Together the two ranges are everything.
        let price = method.parameter("price").unwrap();
        assert_eq!(price.ranges().len(), 1);
        assert!(!symbol.is_open());
        drop(own);
        assert!(!symbol.wants("B"));
        let _open = one.subscribe(listener());
        assert!(symbol.is_open() && symbol.wants("D"));
        assert_eq!(method.unfiltered(), 1);
    }
}

/// Fires the last first.
struct Backwards;

impl PublisherFilter for Backwards {
    fn fire(&self, _event: &FilteredEvent<'_>, selection: &mut Selection<'_>) {
        let mut all: Vec<_> = selection.iter().collect();
        all.reverse();
        for candidate in &all {
            selection.fire(candidate);
        }
    }
}

#[test]
fn publisher_filters_queries_and_views_have_them_among_all() {
    for stored in [0, 100] {
        let (broker, one, other) = two();
        let tape = Tape::new();
        let _guards = mixed(&broker, &one, &tape);
        fill(&broker, stored);
        let seen = |one: &StockEventsPublisher| {
            let view = one
                .subscriptions("price_changed", "transient = TRUE")
                .unwrap();
            let names = view
                .now()
                .iter()
                .map(|it| it.name().to_owned())
                .collect::<Vec<_>>();
            names.join("")
        };
        assert_eq!(
            (seen(&one).as_str(), seen(&other).as_str()),
            ("EaBcDf", "acf")
        );

        let query = "transient = TRUE AND name < 'b' OR priority > 0";
        one.set_default_query("price_changed", query).unwrap();
        let report = one.price_changed("A", 1.0);
        assert_eq!(tape.take(), ["E A 1", "a A 1", "B A 1", "D A 1"]);
        assert_eq!(report.delivered(), 4);
        one.clear_default_query("price_changed").unwrap();

        let filter: Arc<dyn PublisherFilter> = Arc::new(Backwards);
        one.install_filter(Arc::clone(&filter));
        let report = one.price_changed("A", 1.0);
        assert_eq!(tape.take().join(","), "f A 1,D A 1,c A 1,B A 1,a A 1,E A 1");
        assert_eq!(
            (report.delivered(), report.filtered()),
            (6, stored as usize)
        );
        assert!(one.remove_filter(filter));
        assert_eq!(one.price_changed("A", 1.0).delivered(), 6);
    }
}

/// What other publisher objects have is nothing to a plain fire.
#[test]
fn plain_fire_of_another_object_stays_as_it_is() {
    let (broker, one, other) = two();
    let _all = broker
        .subscribe::<dyn StockEvents>(Arc::new(OnPrice(|_: &str, _: f64| {})))
        .unwrap();
    let filtered = built(live("filtered").filter("price > 5"));
    let _filtered = one.subscribe_with(&filtered, Tape::new().listener("x"));
    other.price_changed("A", 1.0);
    let allocations = allocation_counter::measure(|| {
        assert_eq!(other.price_changed("A", 1.0).delivered(), 1);
    });
    assert_eq!(allocations.count_total, 0);
}

/// Counts the calls that it gets.
fn counter() -> (Arc<AtomicUsize>, Arc<impl StockEvents>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let on_price = OnPrice(move |_: &str, _: f64| _ = counted.fetch_add(1, Ordering::SeqCst));
    (count, Arc::new(on_price))
}

/// An index begins and ends meanwhile, beside the objects' own subscriptions and among them.
#[test]
fn each_object_calls_its_own_while_others_and_everybody_come_and_go() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let objects: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| come_and_go(&publisher(&broker))))
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                fill(&broker, 70);
                broker.remove_where("ALL").unwrap();
            }
        });
        let ended = objects.into_iter().map(thread::ScopedJoinHandle::join);
        let ended: Vec<_> = ended.collect();
        done.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
}

/// Subscribes up to seventy with filters to an object, fires, and lets them go again.
fn come_and_go(one: &StockEventsPublisher) {
    let (count, counting) = counter();
    let mut guards = Vec::new();
    for round in 0..280 {
        if round / 70 % 2 == 0 {
            let record = built(live(&format!("{round}")).filter("price > 0"));
            let guard = one.subscribe_with(&record, Arc::clone(&counting));
            guards.push(guard.unwrap());
        } else {
            guards.pop();
        }
        one.price_changed("A", 1.0);
        assert_eq!(count.swap(0, Ordering::SeqCst), guards.len());
    }
}
