//! What a broker tells those who trace.
//!
//! A program of its own: whoever listens, listens to all that the process does.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod collector;

use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use loosely::{
    Broker, EventClass, Firing, Mailbox, PublisherId, SpawnedFuture, Subscription,
    SubscriptionGuard, event_interface,
};

use crate::collector::{Collector, Seen};

#[event_interface]
trait Orders {
    fn placed(&self, number: u64) -> Result<(), String>;
}

/// Returns a broker with a class of this name, by which its spans are known.
fn broker(class: &str, firing: Firing) -> (Broker, OrdersPublisher) {
    let broker = Broker::builder().delivery_threads(2).open().unwrap();
    let class = EventClass::new(class, class).with_firing(firing);
    let id = class.id();
    broker.register_class::<dyn Orders>(class).unwrap();
    let orders = broker.publisher_of::<dyn Orders>(id).unwrap();
    (broker, orders)
}

fn subscribe(
    broker: &Broker,
    class: &str,
    name: &str,
    call: impl Fn(u64) -> Result<(), String> + Send + Sync + 'static,
) -> SubscriptionGuard {
    let record = Subscription::builder(name).class(class).object();
    let record = record.build().unwrap();
    let handlers = Arc::new(OrdersHandlers::new().on_placed(call));
    let guard = broker.subscribe_with::<dyn Orders>(&record, handlers);
    guard.unwrap()
}

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.fields.get(name).map_or("", String::as_str)
}

#[test]
fn fire_and_each_delivery_are_spans() {
    let collector = Collector::installed();
    let (broker, orders) = broker("plain", Firing::Serial);
    let first = subscribe(&broker, "plain", "first", |_| Ok(()));
    let _second = subscribe(&broker, "plain", "second", |_| Ok(()));
    let id = PublisherId::from_u128(7);
    orders.set_id(id);
    assert_eq!(orders.placed(1).unwrap_delivered(), 2);
    let fire = collector.fire_of("plain");
    assert_eq!(field(&fire, "method"), "placed");
    assert_eq!(field(&fire, "publisher"), id.to_string());
    let outcome = ["outcome", "delivered", "failed"].map(|name| field(&fire, name));
    assert_eq!(outcome, ["delivered", "2", "0"]);
    assert!(fire.is_over);
    let deliveries = collector.deliveries_of(&fire);
    let names: Vec<_> = deliveries.iter().map(|it| field(it, "name")).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(
        field(&deliveries[0], "subscription"),
        first.id().to_string()
    );
    assert!(
        deliveries
            .iter()
            .all(|it| field(it, "outcome") == "delivered" && it.is_over)
    );
}

#[test]
fn failure_is_the_outcome_of_its_delivery_and_an_event() {
    let collector = Collector::installed();
    let (broker, orders) = broker("failing", Firing::Serial);
    let _refuses = subscribe(&broker, "failing", "refuses", |_| Err("no room".to_owned()));
    let _panics = subscribe(&broker, "failing", "panics", |_| {
        std::panic::resume_unwind(Box::new("on purpose"))
    });
    let _fine = subscribe(&broker, "failing", "fine", |_| Ok(()));
    orders.placed(1);
    let fire = collector.fire_of("failing");
    let outcome = ["outcome", "delivered", "failed"].map(|name| field(&fire, name));
    assert_eq!(outcome, ["some_failed", "1", "2"]);
    let deliveries = collector.deliveries_of(&fire);
    let outcomes: Vec<_> = deliveries
        .iter()
        .map(|it| (field(it, "outcome"), field(it, "error")))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("failed", "no room"),
            ("failed", "panicked: on purpose"),
            ("delivered", "")
        ]
    );
    let told = collector.event_of(&orders.class_id().to_string());
    assert_eq!(field(&told, "name"), "refuses");
    assert_eq!(field(&told, "message"), "failed: no room");
}

#[test]
fn deliveries_on_other_threads_are_inside_of_the_fire() {
    let collector = Collector::installed();
    let (broker, orders) = broker("parallel", Firing::Parallel { max: 2 });
    // Each waits for the other one, so they are on two threads.
    let both = Arc::new(Barrier::new(2));
    let _guards = ["one", "other"].map(|name| {
        let both = Arc::clone(&both);
        subscribe(&broker, "parallel", name, move |_| {
            both.wait();
            Ok(())
        })
    });
    assert_eq!(orders.placed(1).unwrap_delivered(), 2);
    let fire = collector.fire_of("parallel");
    let deliveries = collector.deliveries_of(&fire);
    assert_eq!(deliveries.len(), 2);
    assert_ne!(deliveries[0].thread, deliveries[1].thread);
}

#[test]
fn delivery_that_comes_later_is_inside_of_its_fire_too() {
    let collector = Collector::installed();
    let (broker, orders) = broker("later", Firing::Serial);
    let record = Subscription::builder("detached").class("later").object();
    let record = record.detached().build().unwrap();
    let handlers = Arc::new(OrdersHandlers::new().on_placed(|_| Ok(())));
    let _guard = broker
        .subscribe_with::<dyn Orders>(&record, handlers)
        .unwrap();
    orders.placed(1);
    assert!(broker.idle(Duration::from_secs(60)));
    let fire = collector.fire_of("later");
    let outcome = ["outcome", "delivered", "accepted"].map(|name| field(&fire, name));
    assert_eq!(outcome, ["queued", "0", "1"]);
    let deliveries = collector.deliveries_of(&fire);
    assert_eq!(field(&deliveries[0], "outcome"), "delivered");
    assert_ne!(deliveries[0].thread, fire.thread);
}

#[test]
fn deliveries_to_those_who_come_for_them_are_inside_of_their_fire() {
    let collector = Collector::installed();
    let (broker, orders) = broker("collected", Firing::Serial);
    let (_inner_broker, inner) = self::broker("collected inner", Firing::Serial);
    let record = |name: &str| {
        let record = Subscription::builder(name).class("collected").object();
        record.build().unwrap()
    };
    let mut stream = broker.stream_with::<dyn Orders>(&record("stream")).unwrap();
    let mailbox = Mailbox::new(&broker);
    let fires = move |_: &OrdersEvent| _ = inner.placed(2);
    let _mail = mailbox.subscribe_with::<dyn Orders>(&record("mailbox"), fires);
    let (spawn, spawned) = mpsc::channel::<SpawnedFuture>();
    let spawner = move |future| spawn.send(future).unwrap();
    let refuses = OrdersAsyncHandlers::new().on_placed(async |_| Err::<(), _>("no room"));
    let _spawned = broker.subscribe_async_with::<dyn Orders>(&record("async"), spawner, refuses);
    orders.placed(1);
    assert!(stream.try_next().is_some());
    assert_eq!(mailbox.dispatch(), 1);
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        spawned
            .recv()
            .unwrap()
            .as_mut()
            .poll(&mut context)
            .is_ready()
    );
    let fire = collector.fire_of("collected");
    let deliveries = collector.deliveries_of(&fire);
    let ends: Vec<_> = deliveries
        .iter()
        .map(|it| (field(it, "name"), field(it, "outcome"), field(it, "error")))
        .collect();
    let expected = [
        ("stream", "delivered", ""),
        ("mailbox", "delivered", ""),
        ("async", "failed", "no room"),
    ];
    assert_eq!(ends, expected);
    assert!(deliveries.iter().all(|it| it.is_over));
    let inner = collector.fire_of("collected inner");
    assert_eq!(inner.parent, Some(deliveries[1].id));
}

#[test]
fn event_that_a_subscriber_fires_is_inside_of_its_delivery() {
    let collector = Collector::installed();
    let (inner_broker, inner) = broker("inner", Firing::Serial);
    let _inner = subscribe(&inner_broker, "inner", "inner", |_| Ok(()));
    let (outer_broker, outer) = broker("outer", Firing::Serial);
    let _outer = subscribe(&outer_broker, "outer", "outer", move |number| {
        inner.placed(number);
        Ok(())
    });
    outer.placed(1);
    let outer = collector.fire_of("outer");
    let delivery = collector.deliveries_of(&outer);
    let inner = collector.fire_of("inner");
    assert_eq!(inner.parent, Some(delivery[0].id));
}

/// What the reports of these tests are asked.
trait Delivered {
    fn unwrap_delivered(self) -> usize;
}

impl Delivered for loosely::FireReport {
    fn unwrap_delivered(self) -> usize {
        self.into_result(loosely::FirePolicy::NoFailures)
            .unwrap()
            .delivered()
    }
}
