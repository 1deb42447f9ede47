//! Subscribers of one event that are called at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use loosely::{
    Broker, EventClass, EventContext, EventValue, FilteredEvent, FireOutcome, Firing,
    PublisherFilter, Selection, Subscription, SubscriptionGuard, SubscriptionId, ValueRef,
    event_interface,
};

use crate::support::{
    Alerts, AlertsHandlers, AlertsPublisher, OnPrice, StockEvents, StockEventsHandlers,
    StockEventsPublisher, Tape, Watchdog, live,
};

pub(crate) fn class(max: usize) -> EventClass {
    EventClass::new("stocks", "stocks").with_firing(Firing::Parallel { max })
}

/// Returns a quiet broker with so many threads and the class, and a publisher of it.
pub(crate) fn parallel(threads: usize, class: EventClass) -> (Broker, StockEventsPublisher) {
    let broker = Broker::builder()
        .delivery_threads(threads)
        .on_failure(|_, _| {});
    let broker = broker.open().unwrap();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    (broker, stocks)
}

pub(crate) fn on_price(
    broker: &Broker,
    handler: impl Fn(&str, f64) + Send + Sync + 'static,
) -> SubscriptionGuard {
    broker
        .subscribe::<dyn StockEvents>(Arc::new(OnPrice(handler)))
        .unwrap()
}

#[test]
fn two_subscribers_are_called_at_the_same_time() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let both = Arc::new(Barrier::new(2));
    let _guards = [(); 2].map(|()| {
        let both = Arc::clone(&both);
        on_price(&broker, move |symbol, price| {
            assert_eq!((symbol, price), ("MSFT", 1.0));
            both.wait();
        })
    });
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    let dynamic = broker.dynamic_publisher("stocks").unwrap();
    let values = [ValueRef::Str("MSFT"), ValueRef::F64(1.0)];
    let report = dynamic.fire("price_changed", &values).unwrap();
    assert_eq!(report.delivered(), 2);
}

#[test]
fn no_more_subscribers_are_in_a_call_than_the_class_lets() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(4, class(2));
    let pairs = Arc::new(Barrier::new(2));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let _guards = [(); 6].map(|()| {
        let (pairs, inside, most) = (Arc::clone(&pairs), inside.clone(), most.clone());
        on_price(&broker, move |_, _| {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            pairs.wait();
            inside.fetch_sub(1, Ordering::SeqCst);
        })
    });
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 6);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn lines_are_in_the_order_of_calling_whoever_fails_first() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let (failed, told) = mpsc::channel();
    let (told, failed) = (Mutex::new(told), Mutex::new(failed));
    let first = StockEventsHandlers::new().on_traded(move |_, _| {
        told.lock().unwrap().recv().unwrap();
        panic!("the first, and last to fail")
    });
    let second = StockEventsHandlers::new().on_traded(move |_, _| {
        failed.lock().unwrap().send(()).unwrap();
        Err("the second".to_owned())
    });
    let third = StockEventsHandlers::new().on_traded(|_, _| Ok(()));
    let guards = [first, second, third].map(|handlers| {
        broker
            .subscribe::<dyn StockEvents>(Arc::new(handlers))
            .unwrap()
    });
    let report = stocks.traded("MSFT", 1);
    assert_eq!(report.outcome(), FireOutcome::SomeFailed);
    let lines: Vec<_> = report.lines().iter().map(|it| it.subscription()).collect();
    assert_eq!(lines, [guards[0].id(), guards[1].id()]);
    let texts: Vec<_> = report
        .lines()
        .iter()
        .map(|it| it.outcome().to_string())
        .collect();
    let panicked = "failed: panicked: the first, and last to fail";
    assert_eq!(texts, [panicked, "failed: the second"]);
}

#[test]
fn subscribers_of_a_priority_begin_when_those_of_a_higher_one_have_returned() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(2, class(4));
    let tape = Tape::new();
    let both = Arc::new(Barrier::new(2));
    let mut guards = Vec::new();
    for (number, priority) in [0, 7, 0, 7].into_iter().enumerate() {
        let (tape, both) = (tape.clone(), Arc::clone(&both));
        let target = OnPrice(move |_: &str, _| {
            both.wait();
            tape.write(priority.to_string());
        });
        let record = live(&number.to_string())
            .priority(priority)
            .build()
            .unwrap();
        let guard = broker.subscribe_with::<dyn StockEvents>(&record, Arc::new(target));
        guards.push(guard.unwrap());
    }
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 4);
    assert_eq!(tape.take(), ["7", "7", "0", "0"]);
}

#[test]
fn event_is_the_same_for_all_subscribers_on_all_threads() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(2, class(3));
    let all = Arc::new(Barrier::new(3));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let guards = [(); 3].map(|()| {
        let (all, seen) = (Arc::clone(&all), Arc::clone(&seen));
        on_price(&broker, move |_, _| {
            all.wait();
            let context = EventContext::current().unwrap();
            seen.lock().unwrap().push((thread::current().id(), context));
        })
    });
    let outer = on_alert(&broker, move |_| {
        stocks.price_changed("MSFT", 1.0);
    });
    alerts(&broker).raised("now");
    drop(outer);
    let seen = seen.lock().unwrap();
    let threads: BTreeSet<_> = seen.iter().map(|(id, _)| format!("{id:?}")).collect();
    assert_eq!(threads.len(), 3);
    for (_, context) in &*seen {
        assert_eq!((context.depth(), context.class()), (2, "stocks".into()));
        assert_eq!(context.event_id(), seen[0].1.event_id());
        assert_eq!(context.sequence(), seen[0].1.sequence());
    }
    let called: BTreeSet<_> = seen.iter().map(|(_, it)| it.subscription()).collect();
    assert_eq!(called, guards.iter().map(SubscriptionGuard::id).collect());
    assert_eq!(EventContext::current(), None);
}

pub(crate) fn on_alert(
    broker: &Broker,
    handler: impl Fn(&str) + Send + Sync + 'static,
) -> SubscriptionGuard {
    let handlers = AlertsHandlers::new().on_raised(handler);
    broker.subscribe::<dyn Alerts>(Arc::new(handlers)).unwrap()
}

pub(crate) fn alerts(broker: &Broker) -> AlertsPublisher {
    broker.publisher::<dyn Alerts>().unwrap()
}

#[test]
fn class_is_switched_while_its_publisher_lives() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, EventClass::new("stocks", "stocks"));
    let both = Arc::new(Barrier::new(2));
    let here = thread::current().id();
    let elsewhere = Arc::new(AtomicUsize::new(0));
    let _guards = [(); 2].map(|()| {
        let (both, elsewhere) = (Arc::clone(&both), Arc::clone(&elsewhere));
        on_price(&broker, move |_, price| {
            if price > 1.0 {
                both.wait();
            }
            if thread::current().id() != here {
                elsewhere.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let fire = |price| {
        assert_eq!(stocks.price_changed("MSFT", price).delivered(), 2);
        elsewhere.swap(0, Ordering::SeqCst)
    };
    assert_eq!(fire(1.0), 0);
    let switch = |firing| {
        let class = broker.class("stocks").unwrap().with_firing(firing);
        broker.update_class(&class).unwrap();
    };
    switch(Firing::Parallel { max: 2 });
    assert_eq!(fire(2.0), 1);
    let explained = stocks.explain(
        "price_changed",
        &[ValueRef::Str("MSFT"), ValueRef::F64(2.0)],
    );
    let explained = explained.unwrap();
    assert_eq!(explained.firing(), Firing::Parallel { max: 2 });
    assert!(
        explained
            .to_string()
            .contains("), at most 2 at the same time"),
        "{explained}"
    );
    switch(Firing::Parallel { max: 1 });
    assert_eq!(fire(1.0), 0);
    switch(Firing::Parallel { max: 9 });
    assert_eq!(fire(2.0), 1);
    switch(Firing::Serial);
    assert_eq!(fire(1.0), 0);
}

#[test]
fn subscribers_that_an_index_finds_are_called_at_the_same_time() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(3, class(4));
    let fours = Arc::new(Barrier::new(4));
    let tape = Tape::new();
    let mut guards = Vec::new();
    for number in 0..200 {
        let (fours, tape) = (Arc::clone(&fours), tape.clone());
        let target = OnPrice(move |_: &str, _| {
            fours.wait();
            tape.write(number.to_string());
        });
        let symbol = if number % 2 == 0 { "MSFT" } else { "IBM" };
        let record = live("one of many").id(SubscriptionId::from_u128(number + 1));
        let record = record
            .filter(format!("symbol = '{symbol}'"))
            .build()
            .unwrap();
        let guard = broker.subscribe_with::<dyn StockEvents>(&record, Arc::new(target));
        guards.push(guard.unwrap());
    }
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.filtered()), (100, 100));
    let called: BTreeSet<_> = tape.take().into_iter().collect();
    assert_eq!(called.len(), 100);
}

#[test]
fn what_keeps_an_event_back_is_asked_on_the_publishers_thread() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(2, class(4).with_default_query("enabled = TRUE"));
    let both = Arc::new(Barrier::new(2));
    let here = thread::current().id();
    let asked = move |_: &FilteredEvent<'_>| thread::current().id() == here;
    broker.register_predicate("here", asked).unwrap();
    let wanted = |name| {
        let both = Arc::clone(&both);
        let target = Arc::new(OnPrice(move |_: &str, _| {
            both.wait();
        }));
        let record = live(name).predicate("here").build().unwrap();
        broker
            .subscribe_with::<dyn StockEvents>(&record, target)
            .unwrap()
    };
    let _wanted = ["one", "two"].map(wanted);
    let other = live("other").filter("symbol = 'IBM'").build().unwrap();
    let other =
        broker.subscribe_with::<dyn StockEvents>(&other, Arc::new(OnPrice(|_: &str, _| {})));
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.filtered()), (2, 1));
    stocks.install_filter(Arc::new(All));
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.filtered()), (2, 1));
    drop(other);
}

/// Fires all, as if there were no filter.
struct All;

impl PublisherFilter for All {
    fn fire(&self, _event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        subscriptions.fire_all();
    }
}

/// Cannot be copied.
#[derive(Debug, EventValue)]
struct Parcel {
    weight: u32,
}

impl Clone for Parcel {
    fn clone(&self) -> Self {
        panic!("a parcel of {} is not copied", self.weight);
    }
}

#[event_interface]
trait Shipments {
    fn sent(&self, parcel: &Parcel);
}

#[test]
fn arguments_whose_copy_panics_fail_those_who_needed_it_and_nobody_else() {
    let broker = Broker::builder().on_failure(|_, _| {}).open().unwrap();
    let class = EventClass::new("Shipments", "Shipments");
    let class = class.with_firing(Firing::Parallel { max: 4 });
    broker.register_class::<dyn Shipments>(class).unwrap();
    let shipments = broker.publisher::<dyn Shipments>().unwrap();
    let guards = [("a", 1), ("b", 0), ("c", 0)].map(|(name, priority)| {
        let record = Subscription::builder(name).to::<dyn Shipments>();
        let record = record.object().priority(priority).build().unwrap();
        let desk: Arc<dyn Shipments> = Arc::new(ShipmentsHandlers::new());
        let guard = broker.subscribe_with::<dyn Shipments>(&record, desk);
        guard.unwrap()
    });
    let report = shipments.sent(&Parcel { weight: 3 });
    assert_eq!((report.delivered(), report.failed()), (1, 2));
    for failure in report.failures() {
        let failure = failure.failure().unwrap();
        assert_eq!(failure.to_string(), "panicked: a parcel of 3 is not copied");
    }
    drop(guards);
}
