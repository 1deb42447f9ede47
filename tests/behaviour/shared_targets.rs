//! One subscriber of many filtered subscriptions, which an index finds and has once.

use std::sync::{Arc, Mutex};

use loosely::{Broker, Component, EventContext, Subscription, SubscriptionGuard, SubscriptionId};

use crate::many::{Quotes, QuotesPublisher};

/// Fires on from within each call while the price is above 0, and notes each call in its order.
struct Forwarder {
    quotes: QuotesPublisher,
    calls: Arc<Mutex<Vec<(i64, SubscriptionId)>>>,
    /// Which calls at the price 0 panic, by their number.
    failing: Vec<usize>,
}

impl Quotes for Forwarder {
    fn quoted(&self, symbol: &str, price: i64, venue: Option<&str>) {
        let before = EventContext::current().unwrap();
        if price > 0 {
            self.quotes.quoted(symbol, price - 1, venue);
        }
        assert_eq!(EventContext::current(), Some(before));
        let mut calls = self.calls.lock().unwrap();
        let number = calls.iter().filter(|(of, _)| *of == price).count();
        calls.push((price, before.subscription()));
        drop(calls);
        assert!(price > 0 || !self.failing.contains(&number), "bad luck");
    }
}

/// Subscribes an object a hundred times.
fn subscribed(broker: &Broker, object: &Arc<dyn Quotes>) -> Vec<SubscriptionGuard> {
    let subscribe = |number: i64| {
        let record = Subscription::builder(format!("s{number}"))
            .to::<dyn Quotes>()
            .filter(format!("price < {}", number + 10))
            .object()
            .build()?;
        broker.subscribe_with::<dyn Quotes>(&record, Arc::clone(object))
    };
    (0..100).map(|number| subscribe(number).unwrap()).collect()
}

fn forwarder(failing: &[usize]) -> (Broker, QuotesPublisher, Forwarder) {
    let broker = Broker::builder().on_failure(|_, _| {}).open().unwrap();
    let quotes = broker.publisher::<dyn Quotes>().unwrap();
    let forwarder = Forwarder {
        quotes: quotes.clone(),
        calls: Arc::default(),
        failing: failing.to_vec(),
    };
    (broker, quotes, forwarder)
}

#[test]
fn each_call_knows_its_own_subscription_with_an_index_inside_an_index() {
    let (broker, quotes, forwarder) = forwarder(&[]);
    let calls = Arc::clone(&forwarder.calls);
    let object: Arc<dyn Quotes> = Arc::new(forwarder);
    let guards = subscribed(&broker, &object);
    let ids: Vec<_> = guards.iter().map(SubscriptionGuard::id).collect();
    assert_eq!(quotes.quoted("MSFT", 1, None).delivered(), 100);
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    let outer = calls.iter().filter(|(price, _)| *price == 1);
    assert_eq!(outer.map(|(_, id)| *id).collect::<Vec<_>>(), ids);
    let inner: Vec<_> = calls.iter().filter(|(price, _)| *price == 0).collect();
    for fire in inner.chunks(100) {
        assert!(fire.iter().map(|(_, id)| id).eq(&ids));
    }
    assert_eq!(inner.len(), 100 * 100);
    assert_eq!(EventContext::current(), None);
}

#[test]
fn failures_of_one_subscriber_name_the_subscriptions_that_failed() {
    let (broker, quotes, forwarder) = forwarder(&[0, 1, 50, 99]);
    let object: Arc<dyn Quotes> = Arc::new(forwarder);
    let guards = subscribed(&broker, &object);
    let report = quotes.quoted("MSFT", 0, None);
    assert_eq!((report.delivered(), report.failed()), (96, 4));
    let failed = report.failures().map(|line| line.subscription());
    assert!(failed.eq([0, 1, 50, 99].map(|number| guards[number].id())));
}

#[test]
fn subscriber_is_called_and_kept_through_the_subscriptions_that_are_left() {
    let (broker, quotes, forwarder) = forwarder(&[]);
    let object: Arc<dyn Quotes> = Arc::new(forwarder);
    let weak = Arc::downgrade(&object);
    let mut guards = subscribed(&broker, &object);
    let kept = guards.split_off(40);
    drop((guards, object));
    assert_eq!(quotes.quoted("MSFT", 0, None).delivered(), 60);
    drop(kept);
    assert_eq!(quotes.quoted("MSFT", 0, None).delivered(), 0);
    assert!(weak.upgrade().is_none());
}

#[test]
fn component_that_comes_anew_is_called_through_all_its_subscriptions() {
    let (broker, quotes, first) = forwarder(&[]);
    let second = Arc::clone(&first.calls);
    let register = |calls: &Arc<_>| {
        let (quotes, calls) = (quotes.clone(), Arc::clone(calls));
        let make = move || Forwarder {
            quotes: quotes.clone(),
            calls: Arc::clone(&calls),
            failing: Vec::new(),
        };
        let component = Component::new("forwarder", make).implements::<dyn Quotes>();
        broker.register_component(component).unwrap();
    };
    register(&Arc::default());
    for number in 0..100 {
        let record = Subscription::builder(format!("s{number}"))
            .to::<dyn Quotes>()
            .filter("price >= 0")
            .component("forwarder");
        broker.store(&record.build().unwrap()).unwrap();
    }
    assert_eq!(quotes.quoted("MSFT", 0, None).delivered(), 100);
    assert!(broker.unregister_component("forwarder"));
    let report = quotes.quoted("MSFT", 0, None);
    assert_eq!((report.delivered(), report.failed()), (0, 100));
    register(&second);
    assert_eq!(quotes.quoted("MSFT", 0, None).delivered(), 100);
    assert_eq!(second.lock().unwrap().len(), 100);
}
