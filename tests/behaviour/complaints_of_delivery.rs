//! What users of COM+ Events complained about that is a matter of delivery apart from the fire:
//! subscribers that hang, publishers that are blocked, overload, and events that get lost.
//! [`complaints`](super::complaints) has the others, and what the sources are called.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use loosely::testing::VirtualClock;
use loosely::{
    Broker, Detached, EventContext, Failure, MemoryStore, Notice, Overflow, Queued, Store,
    Subscription,
};

use crate::support::{OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, subscription};

const LONG: Duration = Duration::from_secs(60);

fn publisher(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

fn object(name: &str) -> loosely::SubscriptionBuilder {
    Subscription::builder(name).to::<dyn StockEvents>().object()
}

/// Complaint 1, KB 297146, the half about subscribers that hang: the publisher stopped responding.
#[test]
fn subscriber_that_hangs_holds_up_neither_publisher_nor_others() {
    let _watchdog = Watchdog::new();
    let clock = VirtualClock::new();
    let broker = Broker::builder().clock(&clock).on_failure(|_, _| {});
    let (broker, tape) = (broker.open().unwrap(), Tape::new());
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let hangs = OnPrice(move |_: &str, _| {
        begins.send(()).unwrap();
        let _ = goes_on.lock().unwrap().recv();
    });
    let hung = object("hung").deadline(Duration::from_secs(1)).priority(1);
    let hung = hung.build().unwrap();
    let _hung = broker
        .subscribe_with::<dyn StockEvents>(&hung, Arc::new(hangs))
        .unwrap();
    let _well = broker
        .subscribe::<dyn StockEvents>(tape.listener("well"))
        .unwrap();
    let stocks = publisher(&broker);
    let report = std::thread::scope(|scope| {
        let fire = scope.spawn(|| stocks.price_changed("A", 1.0));
        begun.recv().unwrap();
        while !fire.is_finished() {
            clock.advance(Duration::from_secs(1));
            std::thread::yield_now();
        }
        fire.join().unwrap()
    });
    assert_eq!((report.delivered(), report.failed()), (1, 1));
    let failure = report.failures().next().unwrap().failure().unwrap();
    assert!(matches!(failure, Failure::Deadline(_)));
    assert_eq!(tape.take(), ["well A 1"]);
    drop(go_on);
}

/// Complaint 12, Lowy 9.5: a slow subscriber blocks the publisher until it returns.
#[test]
fn publisher_goes_on_while_a_slow_subscriber_is_at_the_event() {
    let _watchdog = Watchdog::new();
    let broker = Broker::in_memory().unwrap();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (done, ends) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let slow = OnPrice(move |symbol: &str, _| {
        let _ = goes_on.lock().unwrap().recv();
        done.send(symbol.to_owned()).unwrap();
    });
    let record = object("slow").detached().build().unwrap();
    let _slow = broker
        .subscribe_with::<dyn StockEvents>(&record, Arc::new(slow))
        .unwrap();
    let report = publisher(&broker).price_changed("A", 1.0);
    assert_eq!((report.accepted(), ends.try_recv().is_err()), (1, true));
    go_on.send(()).unwrap();
    assert_eq!(ends.recv().unwrap(), "A");
}

/// Complaint 7, Lowy 9.11, the half about overload: at a high rate memory bloats, and events fail.
#[test]
fn overload_takes_as_much_memory_as_was_allowed_and_what_is_lost_is_told() {
    let _watchdog = Watchdog::new();
    let broker = Broker::builder().delivery_threads(1);
    let broker = broker.on_failure(|_, _| {}).open().unwrap();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let slow = OnPrice(move |_: &str, price| {
        begins
            .send((price, EventContext::current().unwrap().missed()))
            .unwrap();
        let _ = goes_on.lock().unwrap().recv();
    });
    let lane = Detached::with_capacity(2).with_overflow(Overflow::DropOldest);
    let record = object("slow").delivery(lane).build().unwrap();
    let _slow = broker
        .subscribe_with::<dyn StockEvents>(&record, Arc::new(slow))
        .unwrap();
    let stocks = publisher(&broker);
    stocks.price_changed("A", 0.0);
    assert_eq!(begun.recv().unwrap(), (0.0, 0));
    (1..=100).for_each(|price| drop(stocks.price_changed("A", f64::from(price))));
    let health = broker.subscription_health(record.id()).unwrap();
    assert_eq!((health.waiting(), health.lost()), (2, 98));
    go_on.send(()).unwrap();
    assert_eq!(begun.recv().unwrap(), (99.0, 98));
    let told = |notice: &Notice| matches!(notice, Notice::LaneOverflow { .. });
    assert!(broker.notices().iter().any(told));
    drop(go_on);
}

/// Complaint 15, "COM+ Tracking": events get lost, and nobody can tell that they did.
#[test]
fn event_with_a_queue_outlives_the_program_that_fired_it() {
    let (store, tape): (Arc<dyn Store>, _) = (Arc::new(MemoryStore::new()), Tape::new());
    let open = || Broker::builder().store(Arc::clone(&store)).open().unwrap();
    let first = open();
    let ledger = subscription("ledger", "ledger").delivery(Queued::new());
    first.ensure(&ledger.build().unwrap()).unwrap();
    assert_eq!(publisher(&first).price_changed("A", 1.0).accepted(), 1);
    first.close(LONG).unwrap();
    let second = open();
    second.register_component(tape.component("ledger")).unwrap();
    assert!(second.idle(LONG));
    assert_eq!(tape.take(), ["ledger A 1"]);
    assert!(second.dead_letters().unwrap().is_empty());
    second.close(LONG).unwrap();
}
