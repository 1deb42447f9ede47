//! Closures that return futures, under tokio and under an executor of a few lines.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use loosely::{
    Broker, Delivery, Detached, EventContext, FireOutcome, NESTING_LIMIT, Overflow, SpawnedFuture,
    SubscriptionGuard,
};

use crate::streams::{stocks, text};
use crate::support::{
    StockEvents, StockEventsAsyncHandlers, StockEventsEvent, StockEventsPriceChanged, Watchdog,
    live, only_failure, quiet,
};

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs each future on a thread of its own.
pub(crate) fn on_threads(future: SpawnedFuture) {
    drop(thread::spawn(|| block_on(future)));
}

/// Runs each future on the publisher's thread, before its fire goes on.
fn at_once(future: SpawnedFuture) {
    block_on(future);
}

/// Futures that somebody runs later.
#[derive(Clone, Default)]
pub(crate) struct Later(Arc<Mutex<Vec<SpawnedFuture>>>);

impl Later {
    pub(crate) fn spawner(&self) -> impl Fn(SpawnedFuture) + Send + Sync + 'static {
        let later = self.clone();
        move |future| later.0.lock().unwrap().push(future)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn take(&self) -> Vec<SpawnedFuture> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn run(&self) {
        self.take().into_iter().for_each(block_on);
    }
}

/// Is pending once.
#[derive(Default)]
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn lane(
    broker: &Broker,
    lane: Detached,
    spawner: impl loosely::Spawner,
) -> (SubscriptionGuard, mpsc::Receiver<String>) {
    let (seen, sees) = mpsc::channel();
    let note = move |event: StockEventsEvent| {
        let seen = seen.clone();
        async move {
            let missed = EventContext::current().unwrap().missed();
            seen.send(format!("{} {missed}", text(&event))).unwrap();
        }
    };
    let record = live("async").delivery(lane).build().unwrap();
    let guard = broker.subscribe_async_with::<dyn StockEvents>(&record, spawner, note);
    (guard.unwrap(), sees)
}

#[test]
fn closures_per_method_receive_events_one_after_another() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (stocks, busy) = (stocks(&broker), Arc::new(AtomicBool::new(false)));
    let (seen, sees) = mpsc::channel();
    let log = seen.clone();
    let handlers = StockEventsAsyncHandlers::new()
        .on_price_changed(move |change: StockEventsPriceChanged| {
            let (seen, busy) = (seen.clone(), Arc::clone(&busy));
            async move {
                assert!(!busy.swap(true, Ordering::SeqCst), "one at a time");
                Yield::default().await;
                seen.send(format!("{} {}", change.symbol, change.price))
                    .unwrap();
                busy.store(false, Ordering::SeqCst);
            }
        })
        .on_traded(move |trade| {
            let log = log.clone();
            async move {
                log.send(format!("{} x{}", trade.symbol, trade.volume))
                    .unwrap();
                Ok::<(), String>(())
            }
        });
    let _guard = broker
        .subscribe_async::<dyn StockEvents>(on_threads, handlers)
        .unwrap();
    for price in 0..50_u8 {
        assert_eq!(stocks.price_changed("A", price.into()).accepted(), 1);
    }
    stocks.traded("B", 7);
    let expected = (0..50)
        .map(|price| format!("A {price}"))
        .chain(["B x7".to_owned()]);
    assert!(sees.iter().take(51).eq(expected));
}

#[test]
fn future_is_spawned_for_the_first_event_and_takes_what_comes_behind() {
    let broker = quiet();
    let (stocks, later) = (stocks(&broker), Later::default());
    let (_guard, sees) = lane(&broker, Detached::new(), later.spawner());
    let report = stocks.price_changed("A", 1.0);
    assert_eq!(
        (report.accepted(), report.outcome()),
        (1, FireOutcome::Queued)
    );
    stocks.price_changed("B", 1.0);
    assert_eq!(later.len(), 1);
    later.run();
    assert!(sees.try_iter().eq(["A 1 0", "B 1 0"]));
    stocks.price_changed("C", 1.0);
    assert_eq!(later.len(), 1, "another one, as the first is through");
    later.run();
    assert!(sees.try_iter().eq(["C 1 0"]));
}

#[test]
fn events_come_one_at_a_time_where_the_spawner_runs_them_at_once() {
    let broker = quiet();
    let stocks = stocks(&broker);
    let (_guard, sees) = lane(&broker, Detached::new(), at_once);
    for symbol in ["A", "B"] {
        assert_eq!(stocks.price_changed(symbol, 1.0).accepted(), 1);
        assert_eq!(sees.try_iter().count(), 1);
    }
}

#[test]
fn lane_overflows_as_it_was_asked_to() {
    let broker = quiet();
    let (stocks, later) = (stocks(&broker), Later::default());
    let bounds = Detached::with_capacity(1).with_overflow(Overflow::DropOldest);
    let (_guard, sees) = lane(&broker, bounds, later.spawner());
    for symbol in ["A", "B", "C"] {
        stocks.price_changed(symbol, 1.0);
    }
    later.run();
    assert!(sees.try_iter().eq(["C 1 2"]));
}

#[test]
fn keyed_lane_has_one_future_too() {
    let broker = quiet();
    let (stocks, later) = (stocks(&broker), Later::default());
    let (_guard, sees) = lane(&broker, Detached::new().with_key("symbol"), later.spawner());
    for symbol in ["A", "B", "A"] {
        stocks.price_changed(symbol, 1.0);
    }
    assert_eq!(later.len(), 1);
    later.run();
    assert_eq!(sees.try_iter().count(), 3);
    stocks.price_changed("B", 2.0);
    later.run();
    assert!(sees.try_iter().eq(["B 2 0"]));
}

#[test]
fn context_is_there_between_all_awaits_and_what_is_fired_counts_as_caused() {
    let broker = quiet();
    let (publisher, later) = (stocks(&broker), Later::default());
    let (fires, depths) = (publisher.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&depths);
    let handlers = StockEventsAsyncHandlers::new().on_price_changed(move |_| {
        let (fires, seen) = (fires.clone(), Arc::clone(&seen));
        let before = EventContext::current().unwrap();
        async move {
            assert_eq!(EventContext::current(), Some(before));
            Yield::default().await;
            assert_eq!(EventContext::current(), Some(before));
            seen.lock().unwrap().push(before.depth());
            fires.price_changed("A", 1.0);
        }
    });
    let _guard = broker
        .subscribe_async::<dyn StockEvents>(later.spawner(), handlers)
        .unwrap();
    publisher.price_changed("A", 1.0);
    while later.len() > 0 {
        later.run();
        assert!(EventContext::current().is_none());
    }
    let depths = depths.lock().unwrap();
    assert!(depths.iter().copied().eq(1..=NESTING_LIMIT), "{depths:?}");
}

/// Returns a broker, and what its failure hook hears.
fn listening() -> (Broker, mpsc::Receiver<String>) {
    let (heard, hears) = mpsc::channel();
    let hook = move |_, delivery: &Delivery| heard.send(delivery.outcome().to_string()).unwrap();
    (Broker::builder().on_failure(hook).open().unwrap(), hears)
}

#[test]
fn errors_and_panics_reach_the_failure_hook_and_the_next_event_is_received() {
    let (broker, hears) = listening();
    let (stocks, later) = (stocks(&broker), Later::default());
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let handlers =
        StockEventsAsyncHandlers::new().on_price_changed(move |change: StockEventsPriceChanged| {
            assert!(change.price < 3.0, "no future for it");
            let count = Arc::clone(&count);
            async move {
                Yield::default().await;
                assert!(change.price < 2.0, "too much");
                count.fetch_add(1, Ordering::Relaxed);
                if change.price < 1.0 {
                    Err("too little")
                } else {
                    Ok(())
                }
            }
        });
    let _guard = broker
        .subscribe_async::<dyn StockEvents>(later.spawner(), handlers)
        .unwrap();
    for price in [0.0, 3.0, 2.0, 1.0] {
        stocks.price_changed("A", price);
    }
    stocks.traded("ignored", 1);
    later.run();
    let expected = [
        "failed: too little",
        "failed: panicked: no future for it",
        "failed: panicked: too much",
    ];
    assert!(hears.try_iter().eq(expected));
    assert_eq!(received.load(Ordering::Relaxed), 2);
}

#[test]
fn future_that_is_dropped_ends_the_subscription_and_loses_nothing_in_silence() {
    let (broker, hears) = listening();
    let (stocks, later) = (stocks(&broker), Later::default());
    let (_guard, sees) = lane(&broker, Detached::new(), later.spawner());
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 1.0);
    drop(later.take());
    let closed = "failed: the broker is closed";
    assert_eq!(hears.try_iter().count(), 2, "one for each that waited");
    let report = stocks.price_changed("C", 1.0);
    assert!(
        matches!(only_failure(&report), loosely::Failure::Closed),
        "{closed}"
    );
    assert_eq!((later.len(), sees.try_iter().count()), (0, 0));
}

#[test]
fn spawner_that_panics_ends_the_subscription_and_fails_no_fire() {
    let (broker, hears) = listening();
    let stocks = stocks(&broker);
    let spawner = |_: SpawnedFuture| panic!("outside of the runtime");
    let (_guard, _sees) = lane(&broker, Detached::new(), spawner);
    assert_eq!(stocks.price_changed("A", 1.0).failed(), 0);
    assert_eq!(hears.try_iter().count(), 1);
    assert_eq!(stocks.price_changed("B", 1.0).failed(), 1);
}

#[test]
fn dropped_guard_gives_up_what_waits() {
    let broker = quiet();
    let (stocks, later) = (stocks(&broker), Later::default());
    let (guard, sees) = lane(&broker, Detached::new(), later.spawner());
    stocks.price_changed("A", 1.0);
    drop(guard);
    later.run();
    assert!(
        sees.recv().is_err(),
        "the closure is gone, and was not called"
    );
    assert_eq!(
        stocks.price_changed("B", 1.0).outcome(),
        FireOutcome::NoSubscribers
    );
}

#[test]
fn publisher_waits_for_a_slow_future() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let stocks = stocks(&broker);
    let (_guard, sees) = lane(&broker, Detached::with_capacity(1), on_threads);
    let publisher = thread::spawn(move || {
        (0..200_u8)
            .map(|price| stocks.price_changed("A", price.into()).accepted())
            .sum::<usize>()
    });
    assert_eq!(sees.iter().take(200).count(), 200);
    assert_eq!(publisher.join().unwrap(), 200);
}

#[test]
fn tokio_runs_asynchronous_subscribers() {
    let _watchdog = Watchdog::new();
    for runtime in [
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap(),
    ] {
        let broker = quiet();
        let handle = runtime.handle().clone();
        let (seen, mut sees) = tokio::sync::mpsc::channel(1);
        let handlers = StockEventsAsyncHandlers::new().on_price_changed(move |change| {
            let seen = seen.clone();
            async move { seen.send(change.price).await }
        });
        let spawner = move |future| drop(handle.spawn(future));
        let _guard = broker
            .subscribe_async::<dyn StockEvents>(spawner, handlers)
            .unwrap();
        let stocks = stocks(&broker);
        let publisher = thread::spawn(move || {
            (0..100_u8).for_each(|price| drop(stocks.price_changed("A", price.into())));
        });
        let prices = runtime.block_on(async {
            let mut prices = Vec::new();
            while prices.len() < 100 {
                prices.push(sees.recv().await.unwrap());
            }
            prices
        });
        publisher.join().unwrap();
        assert!(prices.into_iter().eq((0..100).map(f64::from)));
    }
}

#[cfg(feature = "futures")]
mod streams {
    use std::pin::pin;

    use futures_core::Stream;
    use loosely::{EventStream, Streamed};

    use super::*;

    async fn next<E>(stream: &mut EventStream<E>) -> Option<Streamed<E>> {
        std::future::poll_fn(|context| pin!(&mut *stream).poll_next(context)).await
    }

    async fn read(mut stream: EventStream<StockEventsEvent>) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(item) = next(&mut stream).await {
            seen.push(text(&item.into_event().unwrap()));
        }
        seen
    }

    #[test]
    fn stream_is_awaited_until_the_broker_is_closed() {
        let _watchdog = Watchdog::new();
        let broker = quiet();
        let stream = broker.stream::<dyn StockEvents>().unwrap();
        let reader = thread::spawn(|| block_on(read(stream)));
        let stocks = stocks(&broker);
        for price in 0..100_u8 {
            stocks.price_changed("A", price.into());
        }
        broker.close(std::time::Duration::MAX).unwrap();
        let expected: Vec<_> = (0..100).map(|price| format!("A {price}")).collect();
        assert_eq!(reader.join().unwrap(), expected);
    }

    #[test]
    fn stream_is_read_in_a_task_of_tokio() {
        let _watchdog = Watchdog::new();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).build().unwrap();
        let broker = quiet();
        let task = runtime.spawn(read(broker.stream::<dyn StockEvents>().unwrap()));
        stocks(&broker).price_changed("A", 1.0);
        drop(broker);
        assert_eq!(runtime.block_on(task).unwrap(), ["A 1"]);
    }
}
