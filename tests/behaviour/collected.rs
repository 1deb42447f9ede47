//! Those who come for their events, streams, mailboxes and asynchronous subscribers: what bounds
//! and what counts their deliveries.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use loosely::testing::VirtualClock;
use loosely::{
    Breaker, BreakerState, Broker, Delivery, Detached, Error, ErrorKind, EventClass, Failure,
    Mailbox, MetricsOptions, Overflow, SpawnedFuture, SubscriptionGuard,
};

use crate::async_subscribers::{Later, on_threads};
use crate::support::{
    OnDrop, StockEvents, StockEventsAsyncHandlers, StockEventsEvent, StockEventsPriceChanged,
    StockEventsPublisher, Watchdog, live, only_failure,
};

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes that is waited for here.
const LONG: Duration = Duration::from_secs(120);

/// A broker on a clock that measures, with what its failure hook has heard.
struct Rig {
    clock: VirtualClock,
    broker: Broker,
    stocks: StockEventsPublisher,
    later: Later,
    told: mpsc::Receiver<String>,
    _watchdog: Watchdog,
}

impl Rig {
    fn new() -> Self {
        let (clock, (tell, told)) = (VirtualClock::new(), mpsc::channel());
        let hook = move |_, delivery: &Delivery| _ = tell.send(delivery.to_string());
        let broker = Broker::builder().clock(&clock).on_failure(hook);
        let broker = broker.metrics(MetricsOptions::new()).open().unwrap();
        let class = EventClass::new("nyse", "nyse").with_breaker(Breaker::after(1));
        let class = class.with_deadline(SECOND);
        broker.register_class::<dyn StockEvents>(class).unwrap();
        Self {
            stocks: broker.publisher_of::<dyn StockEvents>("nyse").unwrap(),
            clock,
            broker,
            later: Later::default(),
            told,
            _watchdog: Watchdog::new(),
        }
    }

    fn told(&self) -> Vec<String> {
        self.told.try_iter().collect()
    }

    fn notices(&self) -> Vec<String> {
        let notices = self.broker.notices();
        notices.iter().map(ToString::to_string).collect()
    }

    /// Subscribes a closure that fails as long as it is to, and counts the events that it has not
    /// failed for.
    fn failing(&self, lane: Detached) -> (SubscriptionGuard, Arc<AtomicBool>, Arc<AtomicUsize>) {
        let (fails, received) = (
            Arc::new(AtomicBool::new(true)),
            Arc::<AtomicUsize>::default(),
        );
        let (failing, count) = (Arc::clone(&fails), Arc::clone(&received));
        let handlers = StockEventsAsyncHandlers::new().on_price_changed(move |_| {
            let fails = failing.load(Ordering::SeqCst);
            let count = Arc::clone(&count);
            async move {
                if fails {
                    return Err("out of order");
                }
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        });
        let record = live("a").delivery(lane).breaker(Breaker::after(2));
        let record = record.build().unwrap();
        let spawner = self.later.spawner();
        let broker = &self.broker;
        let guard = broker.subscribe_async_with::<dyn StockEvents>(&record, spawner, handlers);
        (guard.unwrap(), fails, received)
    }
}

/// A deadline of an asynchronous subscription was ignored.
#[test]
fn future_that_overruns_its_deadline_is_dropped_and_the_next_event_is_received() {
    let rig = Rig::new();
    let (seen, sees) = mpsc::channel();
    let handlers =
        StockEventsAsyncHandlers::new().on_price_changed(move |change: StockEventsPriceChanged| {
            let (seen, dropped) = (seen.clone(), seen.clone());
            async move {
                let _dropped = OnDrop(move || dropped.send("dropped".to_owned()).unwrap());
                seen.send(change.symbol.clone()).unwrap();
                if change.symbol == "slow" {
                    std::future::pending::<()>().await;
                }
                Ok::<(), String>(())
            }
        });
    let record = live("a").deadline(60 * SECOND).build().unwrap();
    let broker = &rig.broker;
    let guard = broker.subscribe_async_with::<dyn StockEvents>(&record, on_threads, handlers);
    let guard = guard.unwrap();
    for symbol in ["slow", "quick"] {
        assert_eq!(rig.stocks.price_changed(symbol, 1.0).accepted(), 1);
    }
    assert_eq!(sees.recv().unwrap(), "slow");
    rig.clock.advance(59 * SECOND);
    assert!(sees.try_recv().is_err());
    rig.clock.advance(SECOND);
    assert!(sees.iter().take(3).eq(["dropped", "quick", "dropped"]));
    guard.close_and_wait(LONG).unwrap();
    assert_eq!(
        rig.told(),
        ["\"a\": failed: not done within its deadline of 60s"]
    );
    assert_eq!(
        rig.notices(),
        ["\"a\" was not done within its deadline of 60s"]
    );
}

/// A breaker of an asynchronous subscription was ignored.
#[test]
fn events_wait_while_the_breaker_of_an_asynchronous_subscription_is_open() {
    for lane in [Detached::new(), Detached::new().with_key("symbol")] {
        let rig = Rig::new();
        let (guard, fails, received) = rig.failing(lane);
        let health = || rig.broker.subscription_health(guard.id()).unwrap();
        for symbol in ["A", "B", "C", "A"] {
            rig.stocks.price_changed(symbol, 1.0);
        }
        rig.later.run();
        assert_eq!(rig.told(), ["\"a\": failed: out of order"; 2]);
        assert_eq!(
            (health().breaker(), health().openings()),
            (BreakerState::Open, 1)
        );
        rig.stocks.price_changed("D", 1.0);
        assert_eq!((health().waiting(), rig.later.len()), (3, 0));
        rig.clock.advance(SECOND);
        assert!(rig.broker.idle(LONG));
        assert_eq!(
            (rig.later.len(), health().breaker()),
            (1, BreakerState::HalfOpen)
        );
        rig.later.run();
        assert_eq!(
            (rig.told().len(), health().waiting()),
            (1, 2),
            "the trial has failed"
        );
        fails.store(false, Ordering::SeqCst);
        rig.clock.advance(2 * SECOND);
        assert!(rig.broker.idle(LONG));
        rig.later.run();
        assert_eq!(
            (received.load(Ordering::SeqCst), health().waiting()),
            (2, 0)
        );
        assert_eq!(health().breaker(), BreakerState::Closed);
        rig.stocks.price_changed("E", 1.0);
        rig.later.run();
        assert_eq!(received.load(Ordering::SeqCst), 3);
        assert_eq!(rig.notices().len(), 3);
    }
}

#[test]
fn what_waits_for_a_breaker_is_told_when_the_broker_is_closed_and_not_when_nobody_wants_it() {
    for is_closed in [true, false] {
        let rig = Rig::new();
        let (guard, ..) = rig.failing(Detached::new());
        for symbol in ["A", "B", "C", "D"] {
            rig.stocks.price_changed(symbol, 1.0);
        }
        rig.later.run();
        assert_eq!(rig.told().len(), 2);
        match is_closed {
            true => rig.broker.close(LONG).unwrap(),
            false => guard.close_and_wait(LONG).unwrap(),
        }
        let closed = "\"a\": failed: the broker is closed, and nobody would deliver it";
        let expected: &[_] = if is_closed { &[closed; 2] } else { &[] };
        assert_eq!(rig.told(), expected);
        rig.clock.advance(10 * SECOND);
        assert_eq!(rig.later.len(), 0);
    }
}

/// A future that was dropped in the middle took its event along in silence.
#[test]
fn event_of_a_future_that_is_dropped_is_a_failure() {
    let rig = Rig::new();
    let handlers = StockEventsAsyncHandlers::new()
        .on_price_changed(async |_: StockEventsPriceChanged| std::future::pending::<()>().await);
    let broker = &rig.broker;
    let record = live("a").build().unwrap();
    let guard =
        broker.subscribe_async_with::<dyn StockEvents>(&record, rig.later.spawner(), handlers);
    let guard = guard.unwrap();
    for symbol in ["A", "B"] {
        rig.stocks.price_changed(symbol, 1.0);
    }
    let mut futures: Vec<SpawnedFuture> = rig.later.take();
    let mut context = Context::from_waker(Waker::noop());
    let polled = Pin::new(&mut futures[0]).poll(&mut context);
    assert!(polled.is_pending());
    drop(futures);
    let expected = [
        "\"a\": failed: the future that received it was dropped",
        "\"a\": failed: the broker is closed, and nobody would deliver it",
    ];
    assert_eq!(rig.told(), expected);
    let report = rig.stocks.price_changed("C", 1.0);
    assert!(matches!(only_failure(&report), Failure::Closed));
    let health = rig.broker.subscription_health(guard.id()).unwrap();
    let activity = health.activity().unwrap();
    assert_eq!((activity.delivered(), activity.failed()), (0, 2));
}

/// Streams and mailboxes took a deadline or a breaker and did nothing with it.
#[test]
fn deadlines_and_breakers_that_would_mean_nothing_are_refused() {
    let rig = Rig::new();
    let mailbox = Mailbox::new(&rig.broker);
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let timed = live("a").deadline(SECOND).build().unwrap();
    let broken = live("a").breaker(Breaker::after(3)).build().unwrap();
    let streamed = rig.broker.stream_with::<dyn StockEvents>(&timed);
    assert_eq!(
        refused(streamed.unwrap_err()),
        "the subscription \"a\" has a deadline of 1s, and is read as a stream, which makes no call"
    );
    let streamed = rig.broker.stream_dynamic(&broken);
    assert!(refused(streamed.unwrap_err()).contains("has a breaker after 3 failures, and"));
    let closure = |_: &StockEventsEvent| ();
    let sent = mailbox.subscribe_with::<dyn StockEvents>(&broken, closure);
    assert_eq!(
        refused(sent.unwrap_err()),
        "the subscription \"a\" has a breaker after 3 failures, and is called where its mailbox is \
         dispatched"
    );
    let sent = mailbox.subscribe_dynamic(&timed, |_| ());
    assert!(refused(sent.unwrap_err()).contains("has a deadline of 1s, and"));
    assert_eq!(rig.stocks.price_changed("A", 1.0).accepted(), 0);
}

/// What was taken by those who come for it was accepted, and never delivered, in what is measured.
#[test]
fn deliveries_are_counted_when_they_are_taken() {
    let rig = Rig::new();
    let mut stream = rig
        .broker
        .stream_with::<dyn StockEvents>(&live("stream").build().unwrap())
        .unwrap();
    let mailbox = Mailbox::new(&rig.broker);
    let fails = |event: &StockEventsEvent| match event {
        StockEventsEvent::PriceChanged(change) if change.price > 1.0 => Err("too much"),
        _ => Ok(()),
    };
    let record = live("mailbox").build().unwrap();
    let boxed = mailbox.subscribe_with::<dyn StockEvents>(&record, fails);
    let boxed = boxed.unwrap();
    let record = live("async").build().unwrap();
    let handler = async |_: StockEventsEvent| ();
    let spawned =
        rig.broker
            .subscribe_async_with::<dyn StockEvents>(&record, rig.later.spawner(), handler);
    let spawned = spawned.unwrap();
    let activity = |id| {
        let health = rig.broker.subscription_health(id).unwrap();
        health.activity().unwrap().clone()
    };
    let ids = [stream.id(), boxed.id(), spawned.id()];
    for price in [1.0, 2.0] {
        assert_eq!(rig.stocks.price_changed("A", price).accepted(), 3);
    }
    for id in ids {
        let activity = activity(id);
        assert_eq!((activity.accepted(), activity.delivered()), (2, 0));
        assert_eq!(activity.last_delivery(), None);
    }
    rig.clock.advance(SECOND);
    assert!(stream.try_next().is_some());
    assert_eq!(mailbox.dispatch(), 2);
    rig.later.run();
    let counts = ids.map(|id| (activity(id).delivered(), activity(id).failed()));
    assert_eq!(counts, [(1, 0), (1, 1), (2, 0)]);
    let now = Some(rig.clock.now());
    assert_eq!(ids.map(|id| activity(id).last_delivery()), [now; 3]);
    assert_eq!(activity(boxed.id()).last_error(), Some("too much"));
    let calls = ids.map(|id| activity(id).calls().count());
    assert_eq!(calls, [0, 2, 2], "to read a stream is no call");
    let metrics = rig.broker.metrics();
    let method = metrics.method("nyse", "price_changed").unwrap();
    assert_eq!((method.accepted(), method.delivered()), (6, 4));
    assert_eq!(method.failed(), 1);
}

#[test]
fn publisher_that_waits_goes_on_when_the_guard_of_a_future_that_hangs_is_dropped() {
    let rig = Rig::new();
    let (begin, begun) = mpsc::channel();
    let handlers = StockEventsAsyncHandlers::new().on_price_changed(move |_| {
        let begin = begin.clone();
        async move {
            begin.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    });
    let lane = Detached::with_capacity(1).with_overflow(Overflow::Block);
    let record = live("a").delivery(lane).build().unwrap();
    let broker = &rig.broker;
    let guard = broker.subscribe_async_with::<dyn StockEvents>(&record, on_threads, handlers);
    rig.stocks.price_changed("hangs", 1.0);
    begun.recv().unwrap();
    rig.stocks.price_changed("waits", 1.0);
    let (stocks, (fires, firing)) = (rig.stocks.clone(), mpsc::channel());
    let fire = thread::spawn(move || {
        fires.send(()).unwrap();
        stocks.price_changed("blocked", 1.0).failed()
    });
    firing.recv().unwrap();
    guard.unwrap().close();
    assert_eq!(fire.join().unwrap(), 0);
}
