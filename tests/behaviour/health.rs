//! Health events: what they are about, and what causes none.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::{
    Batch, Broker, ErrorKind, EventClass, EventInterface, HealthEvents, MemoryStore, Notice, Store,
    Subscription, SubscriptionGuard, ValueType, WiringChanges,
};
use uuid::Uuid;

use crate::support::{StockEvents, TestEngine, Watchdog, on_store, quiet, store, subscription};
use crate::wiring_changes::{OnChange, told, up_to};

/// Does what it was made with for every health event: sequence, kind, subject.
struct OnHealth<F>(F);

impl<F> HealthEvents for OnHealth<F>
where
    F: Fn(u64, &str, Option<Uuid>) + Send + Sync + 'static,
{
    fn health_changed(&self, sequence: u64, kind: &str, subject: Option<Uuid>, _text: &str) {
        (self.0)(sequence, kind, subject);
    }
}

fn health(broker: &Broker) -> (Receiver<(u64, String, Option<Uuid>)>, SubscriptionGuard) {
    let (sender, receiver) = channel();
    let listener = OnHealth(move |sequence, kind: &str, subject| {
        drop(sender.send((sequence, kind.to_owned(), subject)));
    });
    let guard = broker.subscribe::<dyn HealthEvents>(Arc::new(listener));
    (receiver, guard.unwrap())
}

#[test]
fn slow_subscriber_is_told_of_a_gap_and_then_of_what_comes() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (reports, _health) = health(&broker);
    let (sender, receiver) = channel();
    let hold = Arc::new(Mutex::new(()));
    let held = hold.lock().unwrap();
    let gate = Arc::clone(&hold);
    let listener: Arc<dyn WiringChanges> = Arc::new(OnChange(move |told| {
        sender.send(told).unwrap();
        drop(gate.lock().unwrap());
    }));
    let _guard = broker.subscribe(listener).unwrap();
    let first = store(&broker, "first");
    assert_eq!(receiver.recv().unwrap().revision, first);
    store(&broker, "second");
    // More than the log and the backlog hold.
    let many: Vec<_> = (0..20_000)
        .map(|number| Subscription::builder(format!("{number}")).class("ticks"))
        .map(|record| record.component("nobody").build().unwrap())
        .collect();
    let imported = broker.import(&many).unwrap();
    let third = store(&broker, "third");
    drop(held);
    assert_eq!(receiver.recv().unwrap().name, "second");
    assert_eq!(reports.recv().unwrap().1, "gap");
    assert!(broker.notices().iter().any(|notice| matches!(
        notice,
        Notice::ChangesMissed { after, until }
            if *after < imported.revision() && *until == third
    )));
    store(&broker, "fourth");
    assert_eq!(receiver.recv().unwrap().name, "fourth");
}

#[test]
fn store_opened_again_with_nothing_lost_leaves_no_gap() {
    let _watchdog = Watchdog::new();
    let engine = TestEngine::default();
    let broker = on_store(engine.store());
    let (reports, _health) = health(&broker);
    let (receiver, _guard) = told(&broker, None);
    store(&broker, "first");
    engine.fail_syncs(true);
    let lost = subscription("uncertain", "nobody").build().unwrap();
    assert_eq!(
        broker.store(&lost).unwrap_err().kind(),
        ErrorKind::Uncertain
    );
    engine.fail_syncs(false);
    store(&broker, "after");
    let names: Vec<_> = up_to(&receiver, "after")
        .into_iter()
        .map(|told| told.name)
        .collect();
    assert_eq!(names, ["first", "uncertain", "after"]);
    assert!(reports.try_iter().next().is_none());
}

#[test]
fn suspended_subscription_and_scanned_filter_are_told_once_each() {
    #[loosely::event_interface]
    trait Ticks {
        fn tick(&self, price: f64);
    }
    let _watchdog = Watchdog::new();
    let shared: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(Arc::clone(&shared));
    let (reports, _guard) = health(&broker);
    let class = broker
        .register_class::<dyn Ticks>(EventClass::new("ticks", "Ticks").with_property(
            "source",
            ValueType::Str,
            "",
        ))
        .unwrap();
    let record = Subscription::builder("suspended")
        .class(class)
        .component("nobody")
        .filter("publisher.source LIKE '%x%'")
        .build()
        .unwrap();
    broker.store(&record).unwrap();
    let id = Some(record.id().uuid());
    assert_eq!(reports.recv().unwrap(), (1, "filter_scanned".into(), id));
    let present = broker.class(class).unwrap();
    let narrowed = EventClass::new(class, "Ticks").with_interface(<dyn Ticks>::schema().id());
    assert_ne!(present, narrowed);
    broker.update_class(&narrowed).unwrap();
    let ticks = broker.publisher_of::<dyn Ticks>(class).unwrap();
    for _ in 0..3 {
        assert_eq!(ticks.tick(1.0).skipped(), 1);
    }
    let suspended = (2, "subscription_suspended".into(), id);
    assert_eq!(reports.recv().unwrap(), suspended);

    let mut batch = Batch::new();
    let mut key = b"rs".to_vec();
    key.extend(Uuid::from_u128(7).as_bytes());
    batch.put(key, b"nonsense".to_vec());
    shared.commit(batch).unwrap();
    let quarantined = (3, "quarantined".into(), Some(Uuid::from_u128(7)));
    assert_eq!(reports.recv().unwrap(), quarantined);
}

/// Each fire meets all of them, and what waits to be read has room for a thousand notices.
#[test]
fn two_thousand_suspended_subscriptions_leave_room_for_other_notices() {
    let broker = quiet();
    let class = EventClass::new("ticks", "Ticks").with_property("source", ValueType::Str, "");
    let class = broker.register_class::<dyn StockEvents>(class).unwrap();
    let records = (0..2_000).map(|number| {
        let record = Subscription::builder(format!("{number}")).class(class);
        let record = record.filter(format!("publisher.source = '{number}'"));
        record.component("nobody").build().unwrap()
    });
    broker.import(records).unwrap();
    broker.notices();
    let narrowed = EventClass::new(class, "Ticks");
    let narrowed = narrowed.with_interface(<dyn StockEvents>::schema().id());
    broker.update_class(&narrowed).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>(class).unwrap();
    for _ in 0..3 {
        assert_eq!(stocks.price_changed("MSFT", 1.0).skipped(), 2_000);
    }
    let notices = broker.notices();
    let is_of_one =
        |notice: &Notice| matches!(notice, Notice::SubscriptionSuspended { others: 0, .. });
    let of_one = notices.iter().filter(|notice| is_of_one(notice)).count();
    assert_eq!(of_one, 8);
    // One more for the rest, if the machine took a minute for this.
    assert!(notices.len() <= 9);
}

#[test]
fn subscriber_of_health_events_that_fails_makes_no_further_one() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let failing = OnHealth(|_, _: &str, _| panic!("not well either"));
    let _failing = broker
        .subscribe::<dyn HealthEvents>(Arc::new(failing))
        .unwrap();
    let (reports, _guard) = health(&broker);
    broker.publisher::<dyn StockEvents>().unwrap();
    for number in 1..=3 {
        let record = subscription(&format!("scan {number}"), "nobody");
        let record = record.filter("symbol LIKE '%x%' OR price != 1").build();
        broker.store(&record.unwrap()).unwrap();
        assert_eq!(reports.recv().unwrap().0, number);
    }
    broker.close(Duration::MAX).unwrap();
    assert!(reports.try_iter().next().is_none());
}
