//! A user's `Drop` is user code: it may call the broker, wherever it runs.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use loosely::{
    Broker, Component, ConversionError, EventValue, Subscription, SubscriptionGuard, Trigger,
    ValueRef, ValueType, event_interface,
};

use crate::support::{
    OnDrop, OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live, quiet, subscription,
};

/// A broker, and a factory of subscribers whose drop calls all of it.
struct Scene {
    broker: Broker,
    stocks: StockEventsPublisher,
    dropped: Arc<AtomicUsize>,
    _watchdog: Watchdog,
}

impl Scene {
    fn new() -> Self {
        let broker = quiet();
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        Self {
            broker,
            stocks,
            dropped: Arc::default(),
            _watchdog: Watchdog::new(),
        }
    }

    /// Returns what uses everything of the broker when it is dropped.
    fn talkative(&self) -> OnDrop<impl FnMut() + Send + Sync + use<>> {
        // A strong broker in a component is a cycle; what these tests drop is dropped by hand.
        let (broker, stocks) = (self.broker.clone(), self.stocks.clone());
        let dropped = self.dropped.clone();
        OnDrop(move || {
            use_everything(&broker, &stocks);
            dropped.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn subscribe(&self) -> SubscriptionGuard {
        self.broker
            .subscribe::<dyn StockEvents>(Arc::new(self.talkative()))
            .unwrap()
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

fn use_everything(broker: &Broker, stocks: &StockEventsPublisher) {
    stocks.price_changed("from a drop", 0.0);
    let listener = Tape::new().listener("of a drop");
    let guard = broker.subscribe::<dyn StockEvents>(listener).unwrap();
    broker.subscriptions("ALL").unwrap();
    broker.components();
    broker.notices();
    let record = subscription("of a drop", "nobody").build().unwrap();
    broker.ensure(&record).unwrap();
    broker.disable(record.id()).unwrap();
    broker.remove(record.id()).unwrap();
    broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .traded("x", 1);
    drop(guard);
}

#[test]
fn object_of_a_dropped_guard_may_use_the_broker() {
    let scene = Scene::new();
    drop(scene.subscribe());
    scene
        .subscribe()
        .close_and_wait(std::time::Duration::MAX)
        .unwrap();
    assert_eq!(scene.dropped(), 2);
}

#[test]
fn replaced_object_may_use_the_broker() {
    let scene = Scene::new();
    let guard = scene.subscribe();
    guard
        .replace::<dyn StockEvents>(Tape::new().listener("next"))
        .unwrap();
    assert_eq!(scene.dropped(), 1);
}

#[test]
fn object_that_is_refused_may_use_the_broker() {
    let scene = Scene::new();
    let record = live("a").build().unwrap();
    let listener = Tape::new().listener("first");
    let first = scene
        .broker
        .subscribe_with::<dyn StockEvents>(&record, listener);
    let second = Arc::new(scene.talkative());
    scene
        .broker
        .subscribe_with::<dyn StockEvents>(&record, second)
        .unwrap_err();
    assert_eq!(scene.dropped(), 1);
    drop(first);
}

#[test]
fn object_unsubscribed_during_its_fire_may_use_the_broker() {
    let scene = Scene::new();
    let guard: Arc<Mutex<Option<SubscriptionGuard>>> = Arc::default();
    let own = guard.clone();
    let object = OnPrice(move |_: &str, _| {
        let guard = own.lock().unwrap().take();
        drop(guard);
    });
    let _first = scene
        .broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    *guard.lock().unwrap() = Some(scene.subscribe());
    assert_eq!(scene.stocks.price_changed("x", 1.0).delivered(), 2);
    assert_eq!(scene.dropped(), 1);
}

/// Registers a component whose instances use the broker when they are dropped.
fn register(scene: &Scene, per_call: bool) {
    let (broker, stocks) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    broker.set(scene.broker.clone()).unwrap();
    stocks.set(scene.stocks.clone()).unwrap();
    let dropped = scene.dropped.clone();
    let component = Component::new("x", move || {
        let (broker, stocks, dropped) = (broker.clone(), stocks.clone(), dropped.clone());
        OnDrop(move || {
            // The instance that is dropped while it is used here is another one.
            if dropped.fetch_add(1, Ordering::SeqCst) == 0 {
                use_everything(broker.get().unwrap(), stocks.get().unwrap());
            }
        })
    });
    let component = component.implements::<dyn StockEvents>();
    let component = if per_call {
        component.per_call()
    } else {
        component
    };
    scene.broker.register_component(component).unwrap();
    scene
        .broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
}

#[test]
fn unregistered_singleton_may_use_the_broker() {
    let scene = Scene::new();
    register(&scene, false);
    scene.stocks.price_changed("x", 1.0);
    assert!(scene.broker.unregister_component("x"));
    assert_eq!(scene.dropped(), 1);
}

#[test]
fn instance_of_one_call_may_use_the_broker() {
    let scene = Scene::new();
    register(&scene, true);
    assert_eq!(scene.stocks.price_changed("x", 1.0).delivered(), 1);
    assert!(scene.dropped() > 1);
}

#[test]
fn component_that_was_registered_already_may_use_the_broker_when_it_is_dropped() {
    let scene = Scene::new();
    for expected in 0..2 {
        let captured = scene.talkative();
        let component = Component::new("y", move || {
            let _ = &captured;
            OnPrice(|_: &str, _| {})
        });
        drop(
            scene
                .broker
                .register_component(component.implements::<dyn StockEvents>()),
        );
        assert_eq!(scene.dropped(), expected);
    }
    scene.broker.unregister_component("y");
    assert_eq!(scene.dropped(), 2);
}

#[test]
fn singleton_dropped_by_the_close_may_use_the_broker() {
    let scene = Scene::new();
    let weak = Arc::new(Mutex::new(None));
    let (seen, broker) = (weak.clone(), scene.broker.clone());
    let component = Component::new("x", move || {
        let (seen, broker) = (seen.clone(), broker.clone());
        OnDrop(move || {
            let refused = broker.ensure(&subscription("b", "x").build().unwrap());
            *seen.lock().unwrap() = Some(refused.unwrap_err().kind());
        })
    });
    scene
        .broker
        .register_component(component.implements::<dyn StockEvents>())
        .unwrap();
    scene
        .broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    scene.stocks.price_changed("x", 1.0);
    let Scene { broker, stocks, .. } = scene;
    broker.close(std::time::Duration::MAX).unwrap();
    drop((broker, stocks));
    let told = weak.lock().unwrap().take();
    assert!(told.is_none_or(|kind| kind == loosely::ErrorKind::Closed));
}

#[cfg(feature = "sled")]
#[test]
fn singleton_that_panics_when_it_is_dropped_does_not_keep_the_store_open() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::open(directory.path()).unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    for id in ["x", "y"] {
        let dropped = dropped.clone();
        let component = Component::new(id, move || {
            let dropped = dropped.clone();
            OnDrop(move || {
                dropped.fetch_add(1, Ordering::SeqCst);
                panic!("not like this");
            })
        });
        let component = component.implements::<dyn StockEvents>();
        broker.register_component(component).unwrap();
        broker
            .ensure(&subscription(id, id).build().unwrap())
            .unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 2);
    // The snapshot holds them as well.
    drop(stocks);
    for id in ["x", "y"] {
        broker
            .remove(broker.subscriptions(&format!("name = '{id}'")).unwrap()[0].id())
            .unwrap();
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    broker.close(std::time::Duration::MAX).unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    let again = Broker::open(directory.path()).unwrap();
    assert!(again.subscriptions("ALL").unwrap().is_empty());
}

#[test]
fn panic_payload_may_use_the_broker() {
    let scene = Scene::new();
    let payload = Mutex::new(Some(scene.talkative()));
    let object = OnPrice(move |_: &str, _| {
        let payload = payload.lock().unwrap().take();
        if let Some(payload) = payload {
            std::panic::panic_any(payload);
        }
    });
    let _guard = scene
        .broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    assert_eq!(scene.stocks.price_changed("x", 1.0).failed(), 1);
    assert_eq!(scene.dropped(), 1);
}

#[test]
fn object_dropped_by_a_change_of_the_store_may_use_the_broker() {
    let scene = Scene::new();
    register(&scene, false);
    scene.stocks.price_changed("x", 1.0);
    let record = scene.broker.subscriptions("name = 'a'").unwrap().remove(0);
    // The registry lets go first, so the snapshot that the change replaces holds the last instance.
    scene.broker.disable(record.id()).unwrap();
    scene.broker.unregister_component("x");
    assert_eq!(scene.dropped(), 1);
}

#[test]
fn weak_object_that_goes_during_its_own_call_may_use_the_broker() {
    let scene = Scene::new();
    let holder: Arc<Mutex<Option<Arc<dyn std::any::Any + Send + Sync>>>> = Arc::default();
    let own = holder.clone();
    let inner = scene.talkative();
    let object = Arc::new(OnPrice(move |_: &str, _| {
        let _ = &inner;
        drop(own.lock().unwrap().take());
    }));
    let record = Subscription::builder("weak")
        .to::<dyn StockEvents>()
        .object()
        .build()
        .unwrap();
    let weak = Arc::downgrade(&object);
    let _guard = scene
        .broker
        .subscribe_with::<dyn StockEvents>(&record, weak)
        .unwrap();
    *holder.lock().unwrap() = Some(object);
    assert_eq!(scene.stocks.price_changed("x", 1.0).delivered(), 1);
    assert_eq!(scene.dropped(), 1);
}

/// An argument whose last copy calls somebody when it is dropped.
#[derive(Clone)]
struct Talkative(
    #[expect(dead_code, reason = "it is there to be dropped")] Arc<dyn Any + Send + Sync>,
);

impl EventValue for Talkative {
    fn value_type() -> ValueType {
        ValueType::U64
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::U64(0)
    }

    fn from_view(_view: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(Self(Arc::new(())))
    }
}

#[event_interface]
trait Talks {
    fn said(&self, by: &Talkative);
}

/// A trigger that is edited away gave its events up on a thread of the pool, or, where there was
/// none, under the lock of those who are called. Now whoever edits it drops them, behind the lock.
#[test]
fn argument_that_a_trigger_gives_up_may_use_the_broker() {
    let scene = Scene::new();
    let broker = &scene.broker;
    let deaf = || TalksHandlers::new();
    let component = Component::new("deaf", deaf).implements::<dyn Talks>();
    broker.register_component(component).unwrap();
    let record = Subscription::builder("talks").to::<dyn Talks>();
    let record = record.component("deaf");
    let day = Duration::from_secs(86_400);
    let silence = record.clone().trigger(Trigger::absence(day));
    let talks = broker.publisher::<dyn Talks>().unwrap();
    let edits = [
        record.clone().trigger(Trigger::absence(2 * day)),
        record.clone(),
    ];
    for (count, edit) in (1..).zip(edits) {
        broker.store(&silence.clone().build().unwrap()).unwrap();
        let argument = Talkative(Arc::new(scene.talkative()));
        talks.said(&argument);
        drop(argument);
        assert_eq!(scene.dropped(), count - 1);
        broker.store(&edit.build().unwrap()).unwrap();
        assert_eq!(scene.dropped(), count);
    }
}
