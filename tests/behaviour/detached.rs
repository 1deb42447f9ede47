//! Subscriptions whose events wait in a lane for the broker's threads.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Cascade, Component, Detached, ErrorKind, EventClass, EventContext, FireOutcome,
    NESTING_LIMIT, Nesting, Notice, Overflow, Subscription, SubscriptionGuard, ValueRef,
    event_interface,
};

use crate::support::{
    Alerts, AlertsHandlers, OnPrice, StockEvents, StockEventsHandlers, StockEventsPublisher, Tape,
    Watchdog,
};

/// A subscriber that begins with each event when it is let, and says when it has begun.
pub(crate) struct Held {
    pub(crate) begun: mpsc::Receiver<String>,
    pub(crate) go_on: mpsc::Sender<()>,
}

pub(crate) fn quiet(threads: usize) -> Broker {
    let broker = Broker::builder().delivery_threads(threads);
    broker.on_failure(|_, _| {}).open().unwrap()
}

pub(crate) fn stocks(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

pub(crate) fn subscribe(
    broker: &Broker,
    lane: Detached,
    subscriber: Arc<dyn StockEvents>,
) -> SubscriptionGuard {
    let record = Subscription::builder("detached").to::<dyn StockEvents>();
    let record = record.object().delivery(lane).build().unwrap();
    broker.subscribe_with(&record, subscriber).unwrap()
}

/// Subscribes one that holds up each event until it is told to go on.
fn hold(broker: &Broker, lane: Detached) -> (SubscriptionGuard, Held) {
    let (begins, begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let goes_on = std::sync::Mutex::new(goes_on);
    let handler = move |symbol: &str, _| {
        let missed = EventContext::current().unwrap().missed();
        let behind = if missed > 0 {
            format!(" behind {missed}")
        } else {
            String::new()
        };
        begins.send(format!("{symbol}{behind}")).unwrap();
        let _ = goes_on.lock().unwrap().recv();
    };
    let guard = subscribe(broker, lane, Arc::new(OnPrice(handler)));
    (guard, Held { begun, go_on })
}

/// Returns a component that writes each event and then holds it up, the next ones too, until it is
/// told to go on.
fn slow(name: &'static str, tape: &Tape) -> (Component<impl StockEvents>, Held) {
    let (begins, begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let goes_on = Arc::new(std::sync::Mutex::new(goes_on));
    let tape = tape.clone();
    let slow = Component::new(name, move || {
        let (begins, goes_on, tape) = (begins.clone(), Arc::clone(&goes_on), tape.clone());
        OnPrice(move |symbol: &str, price: f64| {
            tape.write(format!("{name} {symbol} {price}"));
            begins.send(symbol.to_owned()).unwrap();
            let _ = goes_on.lock().unwrap().recv();
        })
    });
    (slow.implements::<dyn StockEvents>(), Held { begun, go_on })
}

impl Held {
    /// Lets the present event end, and returns what comes then.
    fn next(&self) -> String {
        self.go_on.send(()).unwrap();
        self.begun.recv().unwrap()
    }
}

fn lane(capacity: usize, overflow: Overflow) -> Detached {
    Detached::with_capacity(capacity).with_overflow(overflow)
}

#[test]
fn fire_goes_on_while_its_subscriber_is_at_it_and_the_order_is_kept() {
    let _watchdog = Watchdog::new();
    let broker = quiet(2);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, Detached::new());
    for symbol in ["A", "B", "C"] {
        let report = stocks.price_changed(symbol, 1.0);
        assert_eq!((report.accepted(), report.delivered()), (1, 0));
        assert_eq!(report.outcome(), FireOutcome::Queued);
    }
    assert_eq!(held.begun.recv().unwrap(), "A");
    assert_eq!([held.next(), held.next()], ["B", "C"]);
    held.go_on.send(()).unwrap();
}

#[test]
fn subscribers_that_are_called_at_once_are_called_beside_those_that_are_not() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let (stocks, tape) = (stocks(&broker), Tape::new());
    let _inline = broker
        .subscribe::<dyn StockEvents>(tape.listener("inline"))
        .unwrap();
    let (_guard, held) = hold(&broker, Detached::new());
    let report = stocks.price_changed("A", 1.0);
    assert_eq!((report.delivered(), report.accepted()), (1, 1));
    assert_eq!(report.outcome(), FireOutcome::Delivered);
    assert_eq!(tape.take(), ["inline A 1"]);
    assert_eq!(held.begun.recv().unwrap(), "A");
    held.go_on.send(()).unwrap();
}

#[test]
fn publisher_waits_for_room() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, lane(1, Overflow::Block));
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    stocks.price_changed("B", 1.0);
    let (fired, blocked) = mpsc::channel();
    let publisher = thread::spawn(move || {
        fired.send(()).unwrap();
        let report = stocks.price_changed("C", 1.0);
        fired.send(()).unwrap();
        report.accepted()
    });
    blocked.recv().unwrap();
    assert!(blocked.recv_timeout(Duration::from_millis(20)).is_err());
    assert_eq!(held.next(), "B");
    blocked.recv().unwrap();
    assert_eq!(publisher.join().unwrap(), 1);
    assert_eq!(held.next(), "C");
    held.go_on.send(()).unwrap();
}

#[test]
fn publisher_inside_a_delivery_does_not_wait_for_room() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let publisher = stocks(&broker);
    let (told, reports) = mpsc::channel();
    // Its lane has room for one, and the one thread is inside of it.
    let again = publisher.clone();
    let handler = move |symbol: &str, price: f64| {
        if symbol == "A" {
            let fire = |_| again.price_changed("B", price).failed();
            told.send((0..3).map(fire).collect::<Vec<_>>()).unwrap();
        }
    };
    let lane = lane(1, Overflow::Block);
    let _guard = subscribe(&broker, lane, Arc::new(OnPrice(handler)));
    publisher.price_changed("A", 1.0);
    assert_eq!(reports.recv().unwrap(), [0, 1, 1]);
}

#[test]
fn oldest_events_are_lost_where_that_was_asked_for_and_the_subscriber_is_told() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, lane(2, Overflow::DropOldest));
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    for symbol in ["B", "C", "D", "E"] {
        assert_eq!(stocks.price_changed(symbol, 1.0).accepted(), 1);
    }
    assert_eq!([held.next(), held.next()], ["D behind 2", "E"]);
    held.go_on.send(()).unwrap();
    let notices = broker.notices();
    let lost = notices.iter().map(ToString::to_string);
    let lost: Vec<_> = lost.filter(|text| text.contains("lane")).collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
}

#[test]
fn newest_events_are_lost_where_that_was_asked_for() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, lane(1, Overflow::DropNewest));
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    let reports = ["B", "C", "D"].map(|symbol| stocks.price_changed(symbol, 1.0));
    assert_eq!(
        reports.each_ref().map(|report| report.accepted()),
        [1, 0, 0]
    );
    assert_eq!(reports.map(|report| report.skipped()), [0, 1, 1]);
    assert_eq!(held.next(), "B");
    stocks.price_changed("E", 1.0);
    assert_eq!(held.next(), "E behind 2");
    held.go_on.send(()).unwrap();
}

#[test]
fn gap_behind_the_last_event_is_told_with_the_next_one() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, lane(1, Overflow::DropNewest));
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    for symbol in ["B", "C", "D"] {
        stocks.price_changed(symbol, 1.0);
    }
    assert_eq!(held.next(), "B");
    held.go_on.send(()).unwrap();
    assert!(broker.idle(Duration::from_secs(60)));
    stocks.price_changed("E", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "E behind 2");
    held.go_on.send(()).unwrap();
}

#[test]
fn gap_is_told_to_the_event_of_its_key() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let lane = lane(3, Overflow::DropOldest).with_key("symbol");
    let (_guard, held) = hold(&broker, lane);
    stocks.price_changed("X", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "X");
    for symbol in ["A", "B", "A", "A"] {
        stocks.price_changed(symbol, 1.0);
    }
    let rest = [held.next(), held.next(), held.next()];
    assert_eq!(rest, ["A behind 1", "B", "A"]);
    held.go_on.send(()).unwrap();
}

#[test]
fn edit_that_gives_a_lane_keys_replaces_nothing_of_another_key() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let (slow, held) = slow("slow", &tape);
    broker.register_component(slow).unwrap();
    let record = Subscription::builder("edited").to::<dyn StockEvents>();
    let record = record.component("slow").detached().build().unwrap();
    broker.ensure(&record).unwrap();
    let stocks = stocks(&broker);
    stocks.price_changed("X", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "X");
    let coalescing = Detached::new().with_key("symbol");
    let coalescing = coalescing.with_overflow(Overflow::Coalesce);
    let stored = broker.subscription(record.id()).unwrap();
    let edited = stored.to_builder().delivery(coalescing).build().unwrap();
    broker.store(&edited).unwrap();
    for (symbol, price) in [("A", 1.0), ("B", 1.0), ("A", 2.0)] {
        assert_eq!(stocks.price_changed(symbol, price).accepted(), 1);
    }
    drop(held.go_on);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(
        tape.take(),
        ["slow X 1", "slow A 1", "slow B 1", "slow A 2"]
    );
}

#[test]
fn lane_has_a_thread_where_fires_are_to_have_no_help() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(0), Tape::new());
    let _guard = subscribe(&broker, Detached::new(), tape.listener("alone"));
    assert_eq!(stocks(&broker).price_changed("A", 1.0).accepted(), 1);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["alone A 1"]);
}

#[test]
fn full_lane_is_a_failure_where_that_was_asked_for() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, lane(1, Overflow::Fail));
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    stocks.price_changed("B", 1.0);
    let report = stocks.price_changed("C", 1.0);
    assert_eq!((report.accepted(), report.failed()), (0, 1));
    let failure = report.failures().next().unwrap().to_string();
    assert_eq!(failure, "\"detached\": failed: its lane is full");
    assert_eq!(held.next(), "B");
    held.go_on.send(()).unwrap();
}

#[test]
fn newer_event_takes_the_place_of_the_waiting_one_of_its_key() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let lane = lane(8, Overflow::Coalesce).with_key("symbol");
    let prices = Tape::new();
    let (begins, begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(goes_on);
    let written = prices.clone();
    let handler = move |symbol: &str, price: f64| {
        let missed = EventContext::current().unwrap().missed();
        written.write(format!("{symbol} {price} {missed}"));
        begins.send(()).unwrap();
        let _ = goes_on.lock().unwrap().recv();
    };
    let _guard = subscribe(&broker, lane, Arc::new(OnPrice(handler)));
    stocks.price_changed("A", 1.0);
    begun.recv().unwrap();
    for (symbol, price) in [("A", 2.0), ("B", 1.0), ("A", 3.0), ("B", 2.0), ("A", 4.0)] {
        assert_eq!(stocks.price_changed(symbol, price).accepted(), 1);
    }
    drop(go_on);
    broker.close(Duration::from_secs(60)).unwrap();
    let mut all = prices.take();
    all[1..].sort();
    assert_eq!(all, ["A 1 0", "A 4 0", "B 2 0"]);
}

#[test]
fn events_of_one_key_come_in_order_and_those_of_others_at_the_same_time() {
    let _watchdog = Watchdog::new();
    let broker = quiet(2);
    let stocks = stocks(&broker);
    let (both, tape) = (Arc::new(Barrier::new(2)), Tape::new());
    let written = tape.clone();
    let handler = move |symbol: &str, price: f64| {
        if price == 1.0 {
            both.wait();
        }
        written.write(format!("{symbol} {price}"));
    };
    let lane = Detached::new().with_key("symbol");
    let _guard = subscribe(&broker, lane, Arc::new(OnPrice(handler)));
    for price in 1..=50 {
        stocks.price_changed("A", f64::from(price));
        stocks.price_changed("B", f64::from(price));
    }
    broker.close(Duration::from_secs(60)).unwrap();
    let all = tape.take();
    for key in ["A", "B"] {
        let of_key: Vec<_> = all.iter().filter(|line| line.starts_with(key)).collect();
        let expected: Vec<_> = (1..=50).map(|price| format!("{key} {price}")).collect();
        assert_eq!(of_key, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn component_is_activated_for_an_event_that_has_waited() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let record = Subscription::builder("late")
        .to::<dyn StockEvents>()
        .component("clerk");
    broker
        .ensure(&record.filter("price > 1").detached().build().unwrap())
        .unwrap();
    broker.register_component(tape.component("clerk")).unwrap();
    let stocks = stocks(&broker);
    assert_eq!(stocks.price_changed("A", 1.0).filtered(), 1);
    assert_eq!(stocks.price_changed("B", 2.0).accepted(), 1);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["clerk B 2"]);
}

#[test]
fn class_says_how_events_are_delivered_where_its_subscriptions_do_not() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let class = EventClass::new("stocks", "stocks").with_delivery(Detached::new());
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("stocks").unwrap();
    let _guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("quiet"))
        .unwrap();
    assert_eq!(stocks.price_changed("A", 1.0).accepted(), 1);
    let inline = Subscription::builder("inline")
        .to::<dyn StockEvents>()
        .object();
    let inline = inline
        .delivery(loosely::DeliveryMode::Inline)
        .build()
        .unwrap();
    let _inline = broker
        .subscribe_with::<dyn StockEvents>(&inline, tape.listener("inline"))
        .unwrap();
    let report = stocks.price_changed("B", 1.0);
    assert_eq!((report.accepted(), report.delivered()), (1, 1));
}

#[event_interface]
trait Shipments {
    fn shipped(&self, goods: &Arc<String>);
}

#[test]
fn all_lanes_share_one_copy_of_the_arguments() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let goods = Arc::new("tea".to_owned());
    let record = Subscription::builder("lane")
        .to::<dyn Shipments>()
        .object()
        .detached();
    let (waits, waiting) = mpsc::channel::<()>();
    let waiting = Arc::new(std::sync::Mutex::new(waiting));
    let guards: Vec<_> = (0..10)
        .map(|index| {
            let waiting = Arc::clone(&waiting);
            let record = record
                .clone()
                .name(format!("lane {index}"))
                .build()
                .unwrap();
            let handlers = ShipmentsHandlers::new();
            let handlers = handlers.on_shipped(move |_| _ = waiting.lock().unwrap().recv());
            broker
                .subscribe_with::<dyn Shipments>(&record, Arc::new(handlers))
                .unwrap()
        })
        .collect();
    let shipments = broker.publisher::<dyn Shipments>().unwrap();
    assert_eq!(shipments.shipped(&goods).accepted(), 10);
    assert_eq!(Arc::strong_count(&goods), 2);
    drop(waits);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(Arc::strong_count(&goods), 1);
    drop(guards);
}

#[test]
fn what_waits_for_a_subscription_that_is_removed_is_for_nobody() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (guard, held) = hold(&broker, Detached::new());
    for symbol in ["A", "B", "C"] {
        stocks.price_changed(symbol, 1.0);
    }
    assert_eq!(held.begun.recv().unwrap(), "A");
    guard.close();
    drop(held.go_on);
    broker.close(Duration::from_secs(60)).unwrap();
    assert!(held.begun.recv().is_err(), "neither B nor C");
}

#[test]
fn guard_that_waits_is_back_when_no_event_is_being_delivered() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (guard, held) = hold(&broker, Detached::new());
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    let closing = thread::spawn(move || guard.close_and_wait(Duration::from_secs(60)));
    while stocks.price_changed("C", 1.0).accepted() > 0 {
        thread::yield_now();
    }
    assert!(!closing.is_finished());
    held.go_on.send(()).unwrap();
    closing.join().unwrap().unwrap();
    assert!(held.begun.try_recv().is_err());
}

#[test]
fn edit_keeps_what_waits_and_gives_it_to_whom_the_subscription_names_now() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let (first, held) = slow("first", &tape);
    broker.register_component(first).unwrap();
    broker.register_component(tape.component("second")).unwrap();
    let record = Subscription::builder("moved").to::<dyn StockEvents>();
    let record = record.component("first").detached().build().unwrap();
    broker.ensure(&record).unwrap();
    let stocks = stocks(&broker);
    stocks.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    stocks.price_changed("B", 2.0);
    let stored = broker.subscription(record.id()).unwrap();
    let moved = stored.to_builder().component("second").without_delivery();
    broker.store(&moved.build().unwrap()).unwrap();
    assert_eq!(stocks.price_changed("C", 3.0).accepted(), 1);
    drop(held.go_on);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["first A 1", "second B 2", "second C 3"]);
}

#[test]
fn what_waits_of_a_class_that_goes_is_told_and_what_waits_of_another_stays() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    for class in ["nyse", "nasdaq"] {
        let class = EventClass::new(class, class);
        broker.register_class::<dyn StockEvents>(class).unwrap();
    }
    let (slow, held) = slow("slow", &tape);
    broker.register_component(slow).unwrap();
    let record = Subscription::builder("both").to::<dyn StockEvents>();
    let record = record.component("slow").detached().build().unwrap();
    broker.ensure(&record).unwrap();
    let [nyse, nasdaq] =
        ["nyse", "nasdaq"].map(|class| broker.publisher_of::<dyn StockEvents>(class).unwrap());
    nasdaq.price_changed("A", 1.0);
    assert_eq!(held.begun.recv().unwrap(), "A");
    nyse.price_changed("B", 2.0);
    nyse.price_changed("C", 3.0);
    nasdaq.price_changed("D", 4.0);
    broker.unregister_class("nyse", Cascade::Refuse).unwrap();
    let notices = broker.notices().into_iter();
    let told = notices.filter_map(|notice| match notice {
        Notice::LaneDiscarded { name, count, .. } => Some((name, count)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [("both".to_owned(), 2)]);
    drop(held.go_on);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["slow A 1", "slow D 4"]);
}

#[test]
fn failures_of_detached_subscribers_reach_the_failure_hook() {
    let _watchdog = Watchdog::new();
    let (told, failures) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let broker = Broker::builder().on_failure(move |_, delivery| {
        told.lock().unwrap().send(delivery.to_string()).unwrap();
    });
    let broker = broker.open().unwrap();
    let handlers = StockEventsHandlers::new()
        .on_price_changed(|_, _| panic!("on purpose"))
        .on_traded(|_, _| Err("no room".to_owned()));
    let _guard = subscribe(&broker, Detached::new(), Arc::new(handlers));
    let stocks = stocks(&broker);
    stocks.price_changed("A", 1.0);
    stocks.traded("A", 1);
    let both = [failures.recv().unwrap(), failures.recv().unwrap()];
    assert_eq!(
        both,
        [
            "\"detached\": failed: panicked: on purpose",
            "\"detached\": failed: no room"
        ]
    );
}

#[test]
fn cycle_of_detached_events_ends_at_the_nesting_limit() {
    let _watchdog = Watchdog::new();
    let (told, failures) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let broker = Broker::builder().delivery_threads(1).on_failure(|_, _| {});
    let broker = broker.open().unwrap();
    let publisher = stocks(&broker);
    let handler = move |symbol: &str, price: f64| {
        let depth = EventContext::current().unwrap().depth();
        assert_eq!(f64::from(depth), price);
        let report = publisher.price_changed(symbol, price + 1.0);
        if report.failed() > 0 {
            told.lock().unwrap().send(depth).unwrap();
        }
    };
    let _guard = subscribe(&broker, Detached::new(), Arc::new(OnPrice(handler)));
    stocks(&broker).price_changed("A", 1.0);
    assert_eq!(failures.recv().unwrap(), NESTING_LIMIT);
}

#[test]
fn events_that_wait_for_the_outermost_fire_follow_the_delivery_they_were_fired_in() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let class = EventClass::new("alerts", "alerts").with_nesting(Nesting::Queued);
    broker.register_class::<dyn Alerts>(class).unwrap();
    let alerts = broker.publisher_of::<dyn Alerts>("alerts").unwrap();
    let written = tape.clone();
    let handler = move |symbol: &str, _| {
        alerts.raised(symbol);
        written.write("seen");
    };
    let _guard = subscribe(&broker, Detached::new(), Arc::new(OnPrice(handler)));
    let written = tape.clone();
    let alerted = AlertsHandlers::new().on_raised(move |text| written.write(text));
    let _alerts = broker.subscribe::<dyn Alerts>(Arc::new(alerted)).unwrap();
    stocks(&broker).price_changed("A", 1.0);
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["seen", "A"]);
}

#[test]
fn closed_broker_accepts_nothing_and_says_what_was_left() {
    let _watchdog = Watchdog::new();
    let broker = quiet(1);
    let stocks = stocks(&broker);
    let (_guard, held) = hold(&broker, Detached::new());
    for symbol in ["A", "B", "C"] {
        stocks.price_changed(symbol, 1.0);
    }
    assert_eq!(held.begun.recv().unwrap(), "A");
    let error = broker.close(Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error.to_string().starts_with("2 events were not delivered"),
        "{error}"
    );
    let report = stocks.price_changed("D", 1.0);
    assert_eq!((report.accepted(), report.failed()), (0, 1));
    held.go_on.send(()).unwrap();
}

#[test]
fn event_fired_by_name_reaches_a_typed_subscriber_through_its_lane() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(1), Tape::new());
    let stocks = stocks(&broker);
    let _guard = subscribe(&broker, Detached::new(), tape.listener("typed"));
    let class = stocks.class_id();
    let dynamic = broker.dynamic_publisher(class).unwrap();
    let values = [ValueRef::Str("A"), ValueRef::F64(1.0)];
    assert_eq!(
        dynamic.fire("price_changed", &values).unwrap().accepted(),
        1
    );
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(tape.take(), ["typed A 1"]);
}
