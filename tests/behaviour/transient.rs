//! Transient subscriptions and the guards that hold them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use loosely::{ErrorKind, Event, SkipReason, SubscriberError, SubscriptionGuard};

use crate::support::{
    Alerts, OnDrop, OnPrice, StockEvents, Tape, Watchdog, live, quiet, subscription,
};

#[test]
fn live_object_is_called_until_its_guard_is_dropped() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let revision = broker.revision();
    let guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("a"))
        .unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    drop(guard);
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 0);
    assert_eq!(tape.take(), ["a MSFT 1"]);
    assert_eq!(broker.revision(), revision, "nothing is stored");
}

#[test]
fn closed_guard_unsubscribes_and_gives_the_object_back() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let object = tape.listener("a");
    let guard = broker.subscribe::<dyn StockEvents>(object.clone()).unwrap();
    stocks.price_changed("MSFT", 1.0);
    guard.close();
    assert_eq!(Arc::strong_count(&object), 1);
    let guard = broker.subscribe::<dyn StockEvents>(object.clone()).unwrap();
    guard.close_and_wait(Duration::ZERO).unwrap();
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn detached_subscription_lives_without_its_guard() {
    let (broker, tape) = (quiet(), Tape::new());
    broker
        .subscribe::<dyn StockEvents>(tape.listener("a"))
        .unwrap()
        .detach();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    assert_eq!(broker.subscriptions("transient = TRUE").unwrap().len(), 1);
}

#[test]
fn record_gives_a_live_subscription_its_filter_priority_and_name() {
    let (broker, tape) = (quiet(), Tape::new());
    let low = live("low").filter("symbol = 'MSFT'").build().unwrap();
    let high = live("high")
        .priority(1)
        .method("price_changed")
        .build()
        .unwrap();
    let _low = broker
        .subscribe_with::<dyn StockEvents>(&low, tape.listener("low"))
        .unwrap();
    let _high = broker
        .subscribe_with::<dyn StockEvents>(&high, tape.listener("high"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    stocks.price_changed("IBM", 1.0);
    stocks.traded("MSFT", 2);
    let expected = [
        "high MSFT 1",
        "low MSFT 1",
        "high IBM 1",
        "low traded MSFT 2",
    ];
    assert_eq!(tape.take(), expected);
}

#[test]
fn record_of_a_component_or_of_an_id_in_use_is_refused() {
    let (broker, tape) = (quiet(), Tape::new());
    let stored = subscription("a", "alarm").build().unwrap();
    let refused = broker.subscribe_with::<dyn StockEvents>(&stored, tape.listener("a"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    broker.ensure(&stored).unwrap();
    let same_id = live("a").build().unwrap();
    let refused = broker.subscribe_with::<dyn StockEvents>(&same_id, tape.listener("a"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let wrong = live("b").filter("color = 1").build().unwrap();
    broker.publisher::<dyn StockEvents>().unwrap();
    let refused = broker.subscribe_with::<dyn StockEvents>(&wrong, tape.listener("b"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Filter);
}

/// Returns an object that counts its drops.
fn droppable(drops: &Arc<AtomicUsize>) -> Arc<impl StockEvents + use<>> {
    let drops = Arc::clone(drops);
    Arc::new(OnDrop(move || {
        drops.fetch_add(1, Ordering::SeqCst);
    }))
}

#[test]
fn replaced_target_is_dropped_once_and_its_place_kept() {
    let (broker, tape) = (quiet(), Tape::new());
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = broker
        .subscribe::<dyn StockEvents>(droppable(&drops))
        .unwrap();
    let _second = broker
        .subscribe::<dyn StockEvents>(tape.listener("second"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    guard
        .replace::<dyn StockEvents>(tape.listener("first"))
        .unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    stocks.price_changed("MSFT", 2.0);
    assert_eq!(
        tape.take(),
        ["second MSFT 1", "first MSFT 2", "second MSFT 2"]
    );
    drop(guard);
    drop((stocks, broker));
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn weak_object_that_is_gone_is_skipped_once_and_its_subscription_removed() {
    let (broker, tape) = (quiet(), Tape::new());
    let object = tape.listener("weak");
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::downgrade(&object))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    drop(object);
    let report = stocks.price_changed("MSFT", 2.0);
    assert_eq!(
        (report.delivered(), report.failed(), report.skipped()),
        (0, 0, 1)
    );
    let gone = report.lines()[0].outcome();
    assert!(matches!(
        gone,
        loosely::DeliveryOutcome::Skipped(SkipReason::Gone)
    ));
    assert_eq!(stocks.price_changed("MSFT", 3.0).skipped(), 0);
    assert!(broker.subscriptions("ALL").unwrap().is_empty());
    let error = guard
        .replace::<dyn StockEvents>(tape.listener("next"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// The fire finds the object gone and tells the broker afterwards; by then the guard may have
/// another one.
#[test]
fn object_put_in_the_place_of_one_that_is_gone_is_not_pruned() {
    let (broker, tape) = (quiet(), Tape::new());
    let object = tape.listener("weak");
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::downgrade(&object))
        .unwrap();
    let guard = Arc::new(guard);
    let (held, next) = (guard.clone(), tape.listener("next"));
    let replacing = OnPrice(move |_: &str, _| {
        held.replace::<dyn StockEvents>(next.clone()).unwrap();
    });
    let _replacing = broker
        .subscribe::<dyn StockEvents>(Arc::new(replacing))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    drop(object);
    assert_eq!(stocks.price_changed("MSFT", 1.0).skipped(), 1);
    stocks.price_changed("MSFT", 2.0);
    assert_eq!(tape.take(), ["next MSFT 2"]);
}

/// A weak subscription goes with its object, and its id is free before its guard is dropped.
#[test]
fn guard_of_an_object_that_is_gone_leaves_its_successor_alone() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let record = live("a").build().unwrap();
    let object = tape.listener("weak");
    let weak = Arc::downgrade(&object);
    let first = broker
        .subscribe_with::<dyn StockEvents>(&record, weak)
        .unwrap();
    drop(object);
    assert_eq!(stocks.price_changed("MSFT", 1.0).skipped(), 1);
    let next = tape.listener("next");
    let _second = broker
        .subscribe_with::<dyn StockEvents>(&record, next)
        .unwrap();
    drop(first);
    stocks.price_changed("MSFT", 2.0);
    assert_eq!(tape.take(), ["next MSFT 2"]);
}

/// Subscribes an object that says when it is called and then waits to be let go.
fn blocking(broker: &loosely::Broker) -> (SubscriptionGuard, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, inside) = mpsc::channel();
    let (let_go, released) = mpsc::channel::<()>();
    let (entered, released) = (Mutex::new(entered), Mutex::new(released));
    let object = OnPrice(move |_: &str, _| {
        entered.lock().unwrap().send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    });
    let guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    (guard, inside, let_go)
}

#[test]
fn close_and_wait_waits_for_the_fire_that_calls_the_object() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (guard, inside, let_go) = blocking(&broker);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    thread::scope(|scope| {
        let fired = scope.spawn(|| stocks.price_changed("MSFT", 1.0).delivered());
        inside.recv().unwrap();
        let waiting = scope.spawn(move || guard.close_and_wait(Duration::MAX));
        while !broker.subscriptions("ALL").unwrap().is_empty() {
            thread::yield_now();
        }
        assert!(!waiting.is_finished(), "the object is still being called");
        let_go.send(()).unwrap();
        waiting.join().unwrap().unwrap();
        assert_eq!(fired.join().unwrap(), 1);
    });
}

#[test]
fn close_and_wait_times_out_while_a_fire_still_calls_the_object() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (guard, inside, let_go) = blocking(&broker);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| stocks.price_changed("MSFT", 1.0));
        inside.recv().unwrap();
        let error = guard.close_and_wait(Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(
            broker.subscriptions("ALL").unwrap().is_empty(),
            "it is gone all the same"
        );
        let_go.send(()).unwrap();
    });
}

#[test]
fn close_and_wait_waits_for_a_replaced_object_too() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(), Tape::new());
    let (guard, inside, let_go) = blocking(&broker);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| stocks.price_changed("MSFT", 1.0));
        inside.recv().unwrap();
        guard
            .replace::<dyn StockEvents>(tape.listener("next"))
            .unwrap();
        let error = guard.close_and_wait(Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let_go.send(()).unwrap();
    });
}

#[test]
fn close_and_wait_inside_any_delivery_would_deadlock() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(), Tape::new());
    let other = broker
        .subscribe::<dyn Alerts>(tape.listener("other"))
        .unwrap();
    let (other, outcome) = (Mutex::new(Some(other)), Arc::new(Mutex::new(None)));
    let seen = outcome.clone();
    let object = OnPrice(move |_: &str, _| {
        let guard = other.lock().unwrap().take().unwrap();
        *seen.lock().unwrap() = Some(guard.close_and_wait(Duration::MAX));
    });
    let _guard = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    let error = outcome.lock().unwrap().take().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
    assert_eq!(
        broker
            .publisher::<dyn Alerts>()
            .unwrap()
            .raised("x")
            .delivered(),
        0
    );
}

#[test]
fn object_is_gone_once_close_and_wait_returned() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                stocks.price_changed("MSFT", 1.0);
            }
        });
        for _ in 0..2_000 {
            let drops = Arc::new(AtomicUsize::new(0));
            let guard = broker
                .subscribe::<dyn StockEvents>(droppable(&drops))
                .unwrap();
            guard.close_and_wait(Duration::MAX).unwrap();
            if drops.load(Ordering::SeqCst) != 1 {
                stop.store(true, Ordering::SeqCst);
                panic!("the object is still there");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn guard_outlives_the_broker_and_still_unsubscribes_from_a_publisher() {
    let (broker, tape) = (quiet(), Tape::new());
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let first = broker
        .subscribe::<dyn StockEvents>(tape.listener("first"))
        .unwrap();
    let second = broker
        .subscribe::<dyn StockEvents>(tape.listener("second"))
        .unwrap();
    drop(broker);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    drop(first);
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 1);
    second.close_and_wait(Duration::ZERO).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 3.0).delivered(), 0);
    assert_eq!(
        tape.take(),
        ["first MSFT 1", "second MSFT 1", "second MSFT 2"]
    );
}

#[test]
fn untyped_object_receives_names_and_values_and_its_error_is_in_the_report() {
    let (broker, tape) = (quiet(), Tape::new());
    let log = tape.clone();
    let object = move |event: &Event<'_>| -> Result<(), SubscriberError> {
        log.write(event.to_string());
        if event.name() == "traded" {
            Err("full".into())
        } else {
            Ok(())
        }
    };
    let record = live("untyped").build().unwrap();
    let _guard = broker.subscribe_untyped(&record, Arc::new(object)).unwrap();
    let _typed = broker
        .subscribe::<dyn StockEvents>(tape.listener("typed"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.5).delivered(), 2);
    let report = stocks.traded("MSFT", 7);
    assert_eq!((report.delivered(), report.failed()), (1, 1));
    assert_eq!(report.lines()[0].failure().unwrap().to_string(), "full");
    let expected = [
        "price_changed(symbol = 'MSFT', price = 1.5)",
        "typed MSFT 1.5",
        "traded(symbol = 'MSFT', volume = 7)",
        "typed traded MSFT 7",
    ];
    assert_eq!(tape.take(), expected);
}

#[test]
fn live_object_of_one_interface_of_its_class_is_suspended_in_the_other() {
    let (broker, tape) = (quiet(), Tape::new());
    let class = loosely::EventClass::new("nyse", "nyse");
    broker.register_class::<dyn Alerts>(class.clone()).unwrap();
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let record = loosely::Subscription::builder("odd").class("nyse").object();
    let record = record.build().unwrap();
    let guard = broker
        .subscribe_with::<dyn Alerts>(&record, tape.listener("odd"))
        .unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.skipped()), (0, 1));
    guard
        .replace::<dyn StockEvents>(tape.listener("even"))
        .unwrap();
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 1);
    assert_eq!(tape.len(), 1);
}

#[test]
fn publisher_can_be_a_subscriber_and_forward() {
    let (broker, tape) = (quiet(), Tape::new());
    for id in ["near", "far"] {
        broker
            .register_class::<dyn StockEvents>(loosely::EventClass::new(id, id))
            .unwrap();
    }
    let near = broker.publisher_of::<dyn StockEvents>("near").unwrap();
    let far = broker.publisher_of::<dyn StockEvents>("far").unwrap();
    let at = |class: &str| {
        loosely::Subscription::builder(class)
            .class(class)
            .object()
            .build()
            .unwrap()
    };
    let _there = broker.subscribe_with::<dyn StockEvents>(&at("far"), tape.listener("far"));
    let _over = broker
        .subscribe_with::<dyn StockEvents>(&at("near"), Arc::new(far))
        .unwrap();
    assert_eq!(near.price_changed("MSFT", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["far MSFT 1"]);
}

#[test]
fn weak_subscriber_of_a_trait_or_of_any_interface_is_called_while_it_lives() {
    let (broker, tape) = (quiet(), Tape::new());
    let typed: Arc<dyn StockEvents> = tape.listener("typed");
    let log = tape.clone();
    let any: Arc<dyn loosely::Subscriber> =
        Arc::new(move |event: &Event<'_>| -> Result<(), SubscriberError> {
            log.write(event.method().name());
            Ok(())
        });
    let _typed = broker
        .subscribe::<dyn StockEvents>(Arc::downgrade(&typed))
        .unwrap();
    let record = live("any").build().unwrap();
    let _any = broker
        .subscribe_untyped(&record, Arc::downgrade(&any))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("A", 1.0).delivered(), 2);
    assert_eq!(tape.take(), ["typed A 1", "price_changed"]);
    drop((typed, any));
    assert_eq!(stocks.price_changed("A", 2.0).delivered(), 0);
    assert_eq!(tape.len(), 0);
}
