//! What a broker measures.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use loosely::{
    Broker, BrokerBuilder, Detached, EventClass, Firing, Metrics, MetricsOptions, Overflow,
    Retained, Right, Role, RoleAuthorizer, Subscription, SubscriptionStatus, event_interface,
};

use crate::support::{OnPrice, StockEvents, StockEventsHandlers, StockEventsPublisher, Tape};

#[event_interface]
trait Orders {
    fn placed(&self, number: u64) -> Result<(), String>;
}

fn measuring() -> BrokerBuilder {
    let builder = Broker::builder().metrics(MetricsOptions::new());
    builder.on_failure(|_, _| {})
}

fn filtered(name: &str, filter: &str) -> Subscription {
    let builder = Subscription::builder(name).to::<dyn StockEvents>();
    let builder = builder.component("listener").filter(filter);
    builder.build().unwrap()
}

/// Returns fires, deliveries, failures of a method.
fn counts(metrics: &Metrics, stocks: &StockEventsPublisher, method: &str) -> (u64, u64, u64) {
    let method = metrics.method(stocks.class_id(), method).unwrap();
    (method.fires(), method.delivered(), method.failed())
}

#[test]
fn broker_that_was_not_told_to_measures_nothing() {
    let broker = Broker::in_memory().unwrap();
    let tape = Tape::new();
    let guard = broker.subscribe::<dyn StockEvents>(tape.listener("a"));
    let guard = guard.unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let metrics = broker.metrics();
    assert!(metrics.methods().is_empty() && metrics.subscriptions().is_empty());
    assert!(metrics.others().is_none());
    assert_eq!(metrics.to_prometheus(), "");
    let health = broker.subscription_health(guard.id()).unwrap();
    assert_eq!(*health.status(), SubscriptionStatus::Active);
    assert!(health.activity().is_none());
}

#[test]
fn plain_fires_are_counted_by_method_and_by_subscription() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("nobody hears", 1.0);
    let first = broker.subscribe::<dyn StockEvents>(tape.listener("first"));
    let first = first.unwrap();
    for _ in 0..200 {
        stocks.price_changed("MSFT", 1.0);
    }
    // The lane is another one from here on.
    let second = broker.subscribe::<dyn StockEvents>(tape.listener("second"));
    let second = second.unwrap();
    for _ in 0..100 {
        stocks.price_changed("MSFT", 1.0);
        stocks.traded("MSFT", 1);
    }
    let metrics = broker.metrics();
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (301, 400, 0));
    assert_eq!(counts(&metrics, &stocks, "traded"), (100, 200, 0));
    let delivered = |id| metrics.subscription(id).unwrap().activity().delivered();
    assert_eq!((delivered(first.id()), delivered(second.id())), (400, 200));
    // One of 64, and each lane begins with one.
    let method = metrics.method(stocks.class_id(), "price_changed").unwrap();
    assert!(method.latencies().count() >= 4);
    let calls = metrics.subscription(first.id()).unwrap().activity();
    assert!(calls.calls().count() >= 4 && calls.calls().quantile(0.5).is_some());
}

#[test]
fn subscription_that_is_gone_takes_its_counts_and_the_class_keeps_its_own() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let guard = broker.subscribe::<dyn StockEvents>(tape.listener("a"));
    let guard = guard.unwrap();
    let id = guard.id();
    stocks.price_changed("MSFT", 1.0);
    guard.close();
    let metrics = broker.metrics();
    assert!(metrics.subscription(id).is_none());
    assert!(broker.subscription_health(id).is_none());
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (1, 1, 0));
}

#[test]
fn failing_subscribers_are_told_apart_from_those_that_return() {
    let broker = measuring().open().unwrap();
    let refuses = OrdersHandlers::new().on_placed(|number| match number {
        0..=99 => Ok(()),
        _ => Err(format!("order {number} is one too many")),
    });
    let panics = OrdersHandlers::new().on_placed(|number| match number {
        102 => std::panic::resume_unwind(Box::new("on purpose")),
        _ => Ok(()),
    });
    let fine = OrdersHandlers::new().on_placed(|_| Ok(()));
    let guards = [refuses, panics, fine].map(|handlers| {
        let guard = broker.subscribe::<dyn Orders>(Arc::new(handlers));
        guard.unwrap()
    });
    let orders = broker.publisher::<dyn Orders>().unwrap();
    (0..103).for_each(|number| drop(orders.placed(number)));
    let metrics = broker.metrics();
    let placed = metrics.method(orders.class_id(), "placed").unwrap();
    assert_eq!(
        (placed.fires(), placed.delivered(), placed.failed()),
        (103, 305, 4)
    );
    let activity = |at: usize| metrics.subscription(guards[at].id()).unwrap().activity();
    let counts = [0, 1, 2].map(|at| (activity(at).delivered(), activity(at).failed()));
    assert_eq!(counts, [(100, 3), (102, 1), (103, 0)]);
    assert_eq!(activity(0).last_error(), Some("order 102 is one too many"));
    assert_eq!(activity(1).last_error(), Some("panicked: on purpose"));
    assert!(activity(0).last_error_at().is_some());
    assert_eq!(activity(2).last_error(), None);
}

#[test]
fn filters_are_counted_and_what_passes_them_is_the_last_match() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    let begun = SystemTime::now();
    broker
        .register_component(tape.component("listener"))
        .unwrap();
    let dear = filtered("dear", "price > 100");
    let never = filtered("never", "price > 1000");
    broker.ensure(&dear).unwrap();
    broker.ensure(&never).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for price in [50.0, 150.0, 250.0] {
        stocks.price_changed("MSFT", price);
    }
    let metrics = broker.metrics();
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (3, 2, 0));
    let method = metrics.method(stocks.class_id(), "price_changed").unwrap();
    assert_eq!(method.filtered(), 4);
    let health = broker.subscription_health(dear.id()).unwrap();
    let activity = health.activity().unwrap();
    assert_eq!((activity.delivered(), health.name()), (2, "dear"));
    let minute = Duration::from_secs(60);
    assert!(activity.last_match().unwrap() > begun - minute);
    assert_eq!(activity.last_match(), activity.last_delivery());
    let health = broker.subscription_health(never.id()).unwrap();
    assert_eq!(health.activity().unwrap().last_match(), None);
}

#[test]
fn failure_is_a_match_and_no_delivery() {
    let broker = measuring().open().unwrap();
    let builder = Subscription::builder("nobody").to::<dyn StockEvents>();
    let absent = builder.component("absent").build().unwrap();
    broker.ensure(&absent).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let health = broker.subscription_health(absent.id()).unwrap();
    let activity = health.activity().unwrap();
    assert!(activity.last_match().is_some() && activity.last_delivery().is_none());
    assert_eq!((activity.delivered(), activity.failed()), (0, 1));
    assert!(activity.last_error().unwrap().contains("not registered"));
}

#[test]
fn counts_stay_where_a_subscription_is_edited() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    broker
        .register_component(tape.component("listener"))
        .unwrap();
    let record = filtered("edited", "price > 100");
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 150.0);
    broker.disable(record.id()).unwrap();
    stocks.price_changed("MSFT", 150.0);
    broker.enable(record.id()).unwrap();
    broker.store(&filtered("edited", "price > 10")).unwrap();
    stocks.price_changed("MSFT", 50.0);
    let metrics = broker.metrics();
    assert_eq!(
        metrics
            .subscription(record.id())
            .unwrap()
            .activity()
            .delivered(),
        2
    );
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (3, 2, 0));
}

#[test]
fn those_beyond_the_limit_are_measured_together() {
    let options = MetricsOptions::new().with_max_subscriptions(2);
    let broker = Broker::builder().metrics(options).open().unwrap();
    let tape = Tape::new();
    let subscribe = || {
        let guard = broker.subscribe::<dyn StockEvents>(tape.listener("one"));
        guard.unwrap()
    };
    let mut guards: Vec<_> = (0..4).map(|_| subscribe()).collect();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let metrics = broker.metrics();
    assert_eq!(metrics.subscriptions().len(), 2);
    assert_eq!(metrics.others().unwrap().delivered(), 2);
    // One that goes makes room.
    let first = metrics.subscriptions()[0].id();
    guards.retain(|guard| guard.id() != first);
    _ = broker.metrics();
    let late = subscribe();
    stocks.price_changed("MSFT", 1.0);
    let metrics = broker.metrics();
    let activity = metrics.subscription(late.id()).unwrap().activity();
    assert_eq!(
        (metrics.subscriptions().len(), activity.delivered()),
        (2, 1)
    );
    assert_eq!(metrics.others().unwrap().delivered(), 4);
}

#[test]
fn subscribers_that_are_called_at_the_same_time_are_counted_each() {
    let broker = measuring().delivery_threads(2).open().unwrap();
    let class = EventClass::new("stocks", "Stocks").with_firing(Firing::Parallel { max: 3 });
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let tape = Tape::new();
    let guards: Vec<_> = (0..5)
        .map(|_| {
            broker
                .subscribe::<dyn StockEvents>(tape.listener("one"))
                .unwrap()
        })
        .collect();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for _ in 0..10 {
        stocks.price_changed("MSFT", 1.0);
    }
    let metrics = broker.metrics();
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (10, 50, 0));
    for guard in &guards {
        let activity = metrics.subscription(guard.id()).unwrap().activity();
        assert_eq!(activity.delivered(), 10);
    }
}

#[test]
fn many_with_filters_are_counted_each() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    broker
        .register_component(tape.component("listener"))
        .unwrap();
    for number in 0..100 {
        let record = filtered(&format!("above {number}"), &format!("price > {number}"));
        broker.ensure(&record).unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for _ in 0..3 {
        stocks.price_changed("MSFT", 30.5);
    }
    let metrics = broker.metrics();
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (3, 93, 0));
    for number in 0..100 {
        let record = filtered(&format!("above {number}"), "price > 0");
        let activity = metrics.subscription(record.id()).unwrap().activity();
        assert_eq!(activity.delivered(), if number <= 30 { 3 } else { 0 });
    }
}

#[test]
fn retained_event_that_is_given_to_a_new_subscription_is_a_delivery_and_no_fire() {
    let broker = measuring().open().unwrap();
    let class = EventClass::new("stocks", "Stocks");
    let class = class.with_retained(Retained::Last);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let tape = Tape::new();
    let guard = broker.subscribe::<dyn StockEvents>(tape.listener("late"));
    let guard = guard.unwrap();
    assert_eq!(tape.len(), 1);
    let metrics = broker.metrics();
    assert_eq!(counts(&metrics, &stocks, "price_changed"), (1, 1, 0));
    let activity = metrics.subscription(guard.id()).unwrap().activity();
    assert_eq!((activity.delivered(), activity.calls().count()), (1, 1));
}

#[test]
fn detached_event_is_accepted_in_its_fire_and_delivered_later() {
    let broker = measuring().delivery_threads(1).open().unwrap();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let handlers = OrdersHandlers::new().on_placed(move |number| {
        let _ = begin.send(());
        let _ = goes_on.lock().unwrap().recv();
        (number < 2).then_some(()).ok_or("no room".to_owned())
    });
    let record = Subscription::builder("later").to::<dyn Orders>().object();
    let record = record.detached().build().unwrap();
    let guard = broker.subscribe_with::<dyn Orders>(&record, Arc::new(handlers));
    let guard = guard.unwrap();
    let orders = broker.publisher::<dyn Orders>().unwrap();
    orders.placed(0);
    // The thread takes several at once if they are there.
    begun.recv_timeout(Duration::from_secs(60)).unwrap();
    (1..3).for_each(|number| drop(orders.placed(number)));
    let health = broker.subscription_health(guard.id()).unwrap();
    assert_eq!(health.activity().unwrap().accepted(), 3);
    assert_eq!(health.activity().unwrap().last_delivery(), None);
    assert_eq!((health.waiting(), health.lost()), (2, 0));
    drop(go_on);
    assert!(broker.idle(Duration::from_secs(60)));
    let metrics = broker.metrics();
    let placed = metrics.method(orders.class_id(), "placed").unwrap();
    assert_eq!((placed.fires(), placed.accepted()), (3, 3));
    assert_eq!((placed.delivered(), placed.failed()), (2, 1));
    let activity = metrics.subscription(guard.id()).unwrap().activity();
    assert_eq!((activity.delivered(), activity.failed()), (2, 1));
    assert_eq!(activity.calls().count(), 3);
    assert_eq!(activity.last_error(), Some("no room"));
    assert!(activity.last_delivery().is_some());
}

#[cfg(feature = "testing")]
#[test]
fn call_that_overran_its_deadline_counts_once() {
    use loosely::testing::{Fault, Gate, Recorder, VirtualClock};

    let (clock, minute) = (VirtualClock::new(), Duration::from_secs(60));
    let builder = measuring().clock(&clock).on_failure(|_, _| {});
    let broker = builder.delivery_threads(1).open().unwrap();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().from(1, Fault::block(&gate));
    let record = Subscription::builder("hung").to::<dyn Orders>().object();
    let record = record.detached().deadline(minute).build().unwrap();
    let guard = broker.subscribe_with::<dyn Orders>(&record, &recorder);
    let guard = guard.unwrap();
    broker.publisher::<dyn Orders>().unwrap().placed(1);
    gate.wait_for(1, minute);
    clock.advance(minute);
    gate.open();
    assert!(broker.idle(minute));
    let health = broker.subscription_health(guard.id()).unwrap();
    let activity = health.activity().unwrap();
    assert_eq!((activity.delivered(), activity.failed()), (0, 1));
}

#[test]
fn what_waits_in_a_stream_is_seen_from_outside() {
    let broker = measuring().open().unwrap();
    let record = Subscription::builder("read").to::<dyn Orders>().object();
    let lane = Detached::with_capacity(2).with_overflow(Overflow::DropOldest);
    let record = record.delivery(lane).build().unwrap();
    let stream = broker.stream_with::<dyn Orders>(&record).unwrap();
    let orders = broker.publisher::<dyn Orders>().unwrap();
    (0..3).for_each(|number| drop(orders.placed(number)));
    let health = broker.subscription_health(stream.id()).unwrap();
    assert_eq!((health.waiting(), health.lost()), (2, 1));
}

#[cfg(feature = "testing")]
#[test]
fn times_are_those_of_the_brokers_clock() {
    let clock = loosely::testing::VirtualClock::new();
    let broker = measuring().clock(&clock).open().unwrap();
    let tape = Tape::new();
    let guard = broker.subscribe::<dyn StockEvents>(tape.listener("a"));
    let guard = guard.unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let last = || {
        let health = broker.subscription_health(guard.id()).unwrap();
        health.activity().unwrap().last_delivery()
    };
    assert_eq!(last(), None);
    clock.advance(Duration::from_secs(60));
    let first = clock.now();
    stocks.price_changed("MSFT", 1.0);
    clock.advance(Duration::from_secs(60));
    assert_eq!(last(), Some(first));
    let looked = clock.now();
    clock.advance(Duration::from_secs(60));
    // Not the one of 64: it came after the last look.
    stocks.price_changed("MSFT", 1.0);
    assert_eq!(last(), Some(looked));
}

#[test]
fn nothing_is_lost_while_threads_fire_and_subscriptions_come_and_go() {
    let broker = measuring().open().unwrap();
    let stays = broker.subscribe::<dyn StockEvents>(Arc::new(OnPrice(|_: &str, _| ())));
    let stays = stays.unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    stocks.price_changed("MSFT", 1.0);
                }
            });
        }
        let mut before = 0;
        for _ in 0..200 {
            let guard = broker.subscribe::<dyn StockEvents>(Arc::new(StockEventsHandlers::new()));
            drop(guard.unwrap());
            let metrics = broker.metrics();
            let delivered = metrics
                .subscription(stays.id())
                .unwrap()
                .activity()
                .delivered();
            assert!(before <= delivered, "{before} became {delivered}");
            before = delivered;
        }
    });
    let metrics = broker.metrics();
    let method = metrics.method(stocks.class_id(), "price_changed").unwrap();
    let activity = metrics.subscription(stays.id()).unwrap().activity();
    assert_eq!((method.fires(), activity.delivered()), (6_000, 6_000));
}

#[test]
fn text_for_prometheus_has_every_count_under_its_labels() {
    let broker = measuring().open().unwrap();
    let tape = Tape::new();
    let builder = Subscription::builder("a \"quoted\" name").to::<dyn StockEvents>();
    let record = builder.object().build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, tape.listener("a"));
    let guard = guard.unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let text = broker.metrics().to_prometheus();
    let class = stocks.class_id();
    let method = format!(
        "class=\"StockEvents\",class_id=\"{class}\",interface=\"StockEvents\",\
         method=\"price_changed\""
    );
    let of = format!(
        "subscription=\"{}\",name=\"a \\\"quoted\\\" name\"",
        guard.id()
    );
    for line in [
        "# TYPE loosely_fires_total counter".to_owned(),
        format!("loosely_fires_total{{{method}}} 1"),
        format!("loosely_deliveries_total{{{method},outcome=\"delivered\"}} 1"),
        format!("loosely_fire_seconds_bucket{{{method},le=\"+Inf\"}} 1"),
        format!("loosely_fire_seconds_count{{{method}}} 1"),
        format!("loosely_subscription_deliveries_total{{{of},outcome=\"delivered\"}} 1"),
        format!("loosely_call_seconds_count{{{of}}} 1"),
        "# TYPE loosely_last_error_timestamp_seconds gauge".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            name.starts_with("loosely_") && name.ends_with('}'),
            "{line}"
        );
        value.parse::<f64>().unwrap();
    }
}

#[test]
fn principal_sees_what_it_may_read() {
    let authorizer = RoleAuthorizer::new().administrators("admins");
    let broker = measuring().authorizer(authorizer).open().unwrap();
    let class = EventClass::new("StockEvents", "StockEvents");
    let class = class.with_access(Right::Read, "staff");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let staff = Role::new("staff").with_principal("ann");
    broker.define_role(&staff).unwrap();
    let tape = Tape::new();
    let guard = broker.subscribe::<dyn StockEvents>(tape.listener("a"));
    let guard = guard.unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    for (name, sees) in [("ann", true), ("eve", false)] {
        let view = broker.as_principal(name).unwrap();
        let metrics = view.metrics();
        assert_eq!(metrics.subscription(guard.id()).is_some(), sees, "{name}");
        assert_eq!(metrics.method(stocks.class_id(), "traded").is_some(), sees);
        assert_eq!(view.subscription_health(guard.id()).is_some(), sees);
    }
}
