//! The pipeline of a fire: stages, order, nesting, context.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use loosely::{
    Broker, ConversionError, EventContext, EventValue, Failure, NESTING_LIMIT, Subscription,
    SubscriptionGuard, ValueRef, ValueType, event_interface,
};

use crate::support::{
    OnPrice, StockEvents, StockEventsPublisher, Tape, TestEngine, Watchdog, live, on_store, quiet,
    subscription,
};

/// A value that counts how often it is looked at.
#[derive(Clone)]
struct Seen(Arc<AtomicUsize>);

impl EventValue for Seen {
    fn value_type() -> ValueType {
        ValueType::U64
    }

    fn view(&self) -> ValueRef<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        ValueRef::U64(1)
    }

    fn from_view(_view: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(Self(Arc::default()))
    }
}

#[event_interface]
trait Glances {
    fn glanced(&self, seen: &Seen);
}

impl Glances for Tape {
    fn glanced(&self, _seen: &Seen) {}
}

#[test]
fn plain_fire_allocates_nothing_and_reifies_no_event() {
    let broker = quiet();
    let glances = broker.publisher::<dyn Glances>().unwrap();
    let _live = broker
        .subscribe::<dyn Glances>(Arc::new(Tape::new()))
        .unwrap();
    let component = loosely::Component::new("single", Tape::new).implements::<dyn Glances>();
    broker.register_component(component).unwrap();
    let record = Subscription::builder("single")
        .to::<dyn Glances>()
        .component("single");
    let record = record.build().unwrap();
    broker.ensure(&record).unwrap();
    let seen = Seen(Arc::default());
    assert_eq!(
        glances.glanced(&seen).delivered(),
        2,
        "the singleton is made"
    );
    seen.0.store(0, Ordering::SeqCst);
    let allocations = allocation_counter::measure(|| {
        assert_eq!(glances.glanced(&seen).delivered(), 2);
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(seen.0.load(Ordering::SeqCst), 0);
    broker.store(&record.with_filter("seen = 1")).unwrap();
    assert_eq!(glances.glanced(&seen).delivered(), 2);
    assert_eq!(
        seen.0.load(Ordering::SeqCst),
        1,
        "a filter needs the event once"
    );
}

#[test]
fn fire_reads_nothing_from_the_store() {
    let (engine, tape) = (TestEngine::default(), Tape::new());
    let broker = on_store(engine.store());
    broker.register_component(tape.component("alarm")).unwrap();
    let filtered = subscription("a", "alarm")
        .filter("price > 1")
        .expires(SystemTime::now());
    broker.ensure(&filtered.build().unwrap()).unwrap();
    broker
        .ensure(&subscription("b", "alarm").build().unwrap())
        .unwrap();
    broker
        .ensure(&subscription("c", "missing").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let _guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    let before = (engine.reads(), engine.writes());
    for _ in 0..10 {
        assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 2);
        stocks
            .explain("price_changed", &[ValueRef::Str("x"), ValueRef::F64(1.0)])
            .unwrap();
    }
    assert_eq!((engine.reads(), engine.writes()), before);
}

#[test]
fn subscribers_are_called_by_priority_and_then_store_order() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for (name, priority) in [("a", 0), ("b", 9), ("c", -1), ("d", 9), ("e", 0)] {
        broker.register_component(tape.component(name)).unwrap();
        let record = subscription(name, name).priority(priority);
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let record = live("f").priority(9).build().unwrap();
    let _live = broker
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("f"))
        .unwrap();
    let order = || {
        stocks.price_changed("x", 0.0);
        let called: Vec<_> = tape.take();
        called
            .iter()
            .map(|line| line[..1].to_owned())
            .collect::<String>()
    };
    assert_eq!(order(), "bdfaec");
    let b = broker.subscriptions("name = 'b'").unwrap().remove(0);
    broker.disable(b.id()).unwrap();
    broker.enable(b.id()).unwrap();
    assert_eq!(order(), "bdfaec", "an update keeps the place");
    let e = broker.subscriptions("name = 'e'").unwrap().remove(0);
    broker.store(&e.with_priority(10)).unwrap();
    assert_eq!(order(), "ebdfac");
}

#[cfg(feature = "sled")]
#[test]
fn order_of_calling_is_the_same_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let order = |tape: &Tape| {
        let broker = Broker::builder()
            .path(directory.path())
            .without_copy()
            .open()
            .unwrap();
        for name in ["z", "m", "a", "k"] {
            broker.register_component(tape.component(name)).unwrap();
            broker
                .ensure(&subscription(name, name).build().unwrap())
                .unwrap();
        }
        broker
            .publisher::<dyn StockEvents>()
            .unwrap()
            .price_changed("x", 0.0);
        tape.take()
    };
    let tape = Tape::new();
    let first = order(&tape);
    assert_eq!(first, ["z x 0", "m x 0", "a x 0", "k x 0"]);
    assert_eq!(order(&tape), first);
}

#[test]
fn filter_and_method_and_switch_decide_who_is_called() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let records = [
        subscription("filter", "x").filter("symbol = 'MSFT' AND price > 185"),
        subscription("method", "x").method("traded"),
        subscription("off", "x").disabled(),
    ];
    for record in records {
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let counts = |report: loosely::FireReport| (report.delivered(), report.filtered());
    assert_eq!(counts(stocks.price_changed("MSFT", 185.5)), (1, 0));
    assert_eq!(counts(stocks.price_changed("MSFT", 185.0)), (0, 1));
    assert_eq!(
        counts(stocks.traded("MSFT", 1)),
        (1, 1),
        "price is NULL in that method"
    );
}

#[test]
fn bags_of_the_subscription_are_read_by_its_filter() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    for (name, limit) in [("low", 10), ("high", 100)] {
        let record = subscription(name, "x").for_publisher([("limit", limit)]);
        let record = record.filter("price > subscription.limit").build().unwrap();
        broker.ensure(&record).unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 50.0).delivered(), 1);
    assert_eq!(stocks.price_changed("MSFT", 500.0).delivered(), 2);
}

#[test]
fn times_of_a_subscription_bound_its_deliveries() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let records = [
        subscription("early", "x").not_before(now + hour),
        subscription("over", "x").expires(now - hour),
        subscription("ends now", "x").expires(now),
        subscription("now", "x")
            .not_before(now - hour)
            .expires(now + hour),
        subscription("since now", "x").not_before(now),
    ];
    for record in records {
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let report = broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    assert_eq!(
        (report.delivered(), report.filtered(), report.lines().len()),
        (2, 0, 0)
    );
}

/// Subscribes what fires the next event of the same class from within one, and notes how deep it
/// is.
fn echo(
    broker: &Broker,
    depths: &Tape,
    refusals: &Tape,
) -> (SubscriptionGuard, StockEventsPublisher) {
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let (next, depths, refusals) = (stocks.clone(), depths.clone(), refusals.clone());
    let object = OnPrice(move |symbol: &str, price| {
        let before = EventContext::current().unwrap();
        depths.write(before.depth().to_string());
        let report = next.price_changed(symbol, price + 1.0);
        if let Some(failure) = report.lines().first().and_then(loosely::Delivery::failure) {
            assert!(matches!(failure, Failure::TooDeep));
            refusals.write(format!("{report}"));
        }
        assert_eq!(
            EventContext::current().unwrap(),
            before,
            "restored after a nested fire"
        );
    });
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    (guard, stocks)
}

#[test]
fn nested_fires_end_at_the_limit_with_an_error() {
    let (broker, depths, refusals) = (quiet(), Tape::new(), Tape::new());
    let (_guard, stocks) = echo(&broker, &depths, &refusals);
    assert_eq!(stocks.price_changed("MSFT", 0.0).delivered(), 1);
    let expected: Vec<_> = (1..=NESTING_LIMIT).map(|depth| depth.to_string()).collect();
    assert_eq!(depths.take(), expected);
    assert_eq!(refusals.take(), ["0 delivered, 1 failed"]);
    assert!(EventContext::current().is_none());
}

#[test]
fn nested_fires_end_at_the_limit_where_a_filter_guards_too() {
    let (broker, depths, refusals) = (quiet(), Tape::new(), Tape::new());
    let (guard, stocks) = echo(&broker, &depths, &refusals);
    let record = live("filtered").filter("price >= 0").build().unwrap();
    let _other = broker
        .subscribe_with::<dyn StockEvents>(&record, depths.listener("x"))
        .unwrap();
    stocks.price_changed("MSFT", 0.0);
    let deepest = NESTING_LIMIT.to_string();
    assert_eq!(
        depths
            .take()
            .iter()
            .filter(|line| **line == deepest)
            .count(),
        1
    );
    assert_eq!(refusals.take(), ["0 delivered, 2 failed"]);
    drop(guard);
}

/// A failure hook may well fire an event about the failure. When that event fails too, the hook
/// would hear of it and fire again, for ever: beyond the limit nothing is entered that could end
/// it.
#[test]
fn hook_that_fires_what_fails_ends() {
    let _watchdog = Watchdog::new();
    let publisher: Arc<OnceLock<StockEventsPublisher>> = Arc::default();
    let told = Arc::new(AtomicUsize::new(0));
    let (stocks, count) = (publisher.clone(), told.clone());
    let broker = Broker::builder()
        .on_failure(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            stocks.get().unwrap().traded("about a failure", 1);
        })
        .open()
        .unwrap();
    publisher
        .set(broker.publisher::<dyn StockEvents>().unwrap())
        .unwrap();
    broker
        .ensure(&subscription("a", "missing").build().unwrap())
        .unwrap();
    assert_eq!(
        publisher.get().unwrap().price_changed("MSFT", 1.0).failed(),
        1
    );
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn context_tells_event_class_subscription_and_depth() {
    let (broker, seen) = (quiet(), Arc::new(Mutex::new(Vec::new())));
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let mut guards = Vec::new();
    for _ in 0..2 {
        let seen = seen.clone();
        let object = OnPrice(move |_: &str, _| {
            seen.lock().unwrap().push(EventContext::current().unwrap());
        });
        guards.push(
            broker
                .subscribe::<dyn StockEvents>(Arc::new(object))
                .unwrap(),
        );
    }
    stocks.price_changed("MSFT", 1.0);
    stocks.price_changed("MSFT", 2.0);
    assert!(
        EventContext::current().is_none(),
        "outside a delivery there is none"
    );
    let seen = seen.lock().unwrap();
    let [first, second, third, fourth] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(first.event_id(), second.event_id());
    assert_eq!(third.event_id(), fourth.event_id());
    assert_ne!(first.event_id(), third.event_id());
    assert!(first.sequence() < third.sequence());
    assert_eq!(
        (first.depth(), first.attempt(), first.class()),
        (1, 1, stocks.class_id())
    );
    let subscriptions = [first.subscription(), second.subscription()];
    assert_eq!(subscriptions, [guards[0].id(), guards[1].id()]);
    assert!(first.time() <= third.time());
}

#[test]
fn subscriber_may_change_the_wiring_during_a_fire() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let (own, guards, log) = (broker.clone(), Mutex::new(Vec::new()), tape.clone());
    let object = OnPrice(move |_: &str, price| {
        let mut guards = guards.lock().unwrap();
        guards.clear();
        guards.push(
            own.subscribe::<dyn StockEvents>(log.listener("new"))
                .unwrap(),
        );
        let record = subscription("stored", "x")
            .priority(price as i32)
            .build()
            .unwrap();
        own.store(&record).unwrap();
        own.ensure(&record).unwrap();
        own.disable(record.id()).unwrap();
        own.enable(record.id()).unwrap();
    });
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    assert_eq!(
        stocks.price_changed("MSFT", -1.0).delivered(),
        1,
        "the fire has its snapshot"
    );
    assert_eq!(stocks.price_changed("MSFT", -2.0).delivered(), 3);
    assert_eq!(tape.take(), ["new MSFT -2", "x MSFT -2"]);
    drop(guard);
}

#[test]
fn events_of_one_publisher_start_in_the_order_of_firing() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let _a = broker
        .subscribe::<dyn StockEvents>(tape.listener("a"))
        .unwrap();
    for number in 0..100 {
        stocks.price_changed("x", f64::from(number));
    }
    let expected: Vec<_> = (0..100).map(|number| format!("a x {number}")).collect();
    assert_eq!(tape.take(), expected);
}
