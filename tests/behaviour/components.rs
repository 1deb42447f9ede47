//! Components: made when needed, by policy; what becomes of factories that fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use loosely::{
    ActivationError, Availability, Broker, Component, ComponentId, ComponentPolicy, ErrorKind,
    Event, Failure, SubscriberError, Subscription,
};

use crate::support::{
    Alerts, OnPrice, StockEvents, Tape, Watchdog, only_failure, quiet, subscription, whole,
};

#[test]
fn component_with_several_interfaces_is_one_instance() {
    let (broker, tape) = (quiet(), Tape::new());
    let component = tape.component("alarm").implements::<dyn Alerts>();
    broker.register_component(component).unwrap();
    broker
        .ensure(&subscription("stocks", "alarm").build().unwrap())
        .unwrap();
    let alerts = Subscription::builder("alerts")
        .to::<dyn Alerts>()
        .component("alarm");
    broker.ensure(&alerts.build().unwrap()).unwrap();
    broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    broker.publisher::<dyn Alerts>().unwrap().raised("fire");
    assert_eq!(tape.take(), ["alarm MSFT 1", "alarm raised fire"]);
}

/// Returns a component whose every instance counts itself, and the counts of made and dropped.
fn counted() -> (Component<Counted>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, drops) = (made.clone(), dropped.clone());
    let component = Component::new("counted", move || {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(drops.clone())
    });
    (component.implements::<dyn StockEvents>(), made, dropped)
}

struct Counted(Arc<AtomicUsize>);

impl StockEvents for Counted {
    fn price_changed(&self, _symbol: &str, _price: f64) {}

    fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
        Err("no".to_owned())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn singleton_is_made_at_the_first_event_and_once_for_all_subscriptions() {
    let broker = quiet();
    let (component, made, dropped) = counted();
    broker.register_component(component).unwrap();
    for name in ["a", "b", "c"] {
        broker
            .ensure(&subscription(name, "counted").build().unwrap())
            .unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 3);
    }
    assert_eq!(
        (made.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)),
        (1, 0)
    );
}

#[test]
fn singleton_is_made_once_by_fires_on_several_threads() {
    let _watchdog = Watchdog::new();
    for _ in 0..50 {
        let broker = quiet();
        let (component, made, _) = counted();
        broker.register_component(component).unwrap();
        broker
            .ensure(&subscription("a", "counted").build().unwrap())
            .unwrap();
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn per_call_component_is_made_for_each_event_and_dropped_after_it() {
    let broker = quiet();
    let (component, made, dropped) = counted();
    broker.register_component(component.per_call()).unwrap();
    broker
        .ensure(&subscription("a", "counted").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    for round in 1..4 {
        let report = if round < 3 {
            stocks.price_changed("MSFT", 1.0)
        } else {
            stocks.traded("MSFT", 1)
        };
        assert_eq!(report.failed(), usize::from(round == 3));
        assert_eq!(
            (made.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)),
            (round, round)
        );
    }
}

#[test]
fn unregistered_singleton_is_dropped_and_its_subscriptions_fail_until_it_is_back() {
    let broker = quiet();
    let (component, _, dropped) = counted();
    broker.register_component(component).unwrap();
    broker
        .ensure(&subscription("a", "counted").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    assert!(broker.unregister_component("counted"));
    assert!(!broker.unregister_component("counted"));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let report = stocks.price_changed("MSFT", 1.0);
    let failure = only_failure(&report);
    assert!(matches!(
        failure,
        Failure::Activation(ActivationError::NotRegistered(_))
    ));
    let (component, made, _) = counted();
    broker.register_component(component).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn registering_again_is_a_no_op_and_another_type_or_policy_an_error() {
    let (broker, tape) = (quiet(), Tape::new());
    let (first, made, _) = counted();
    let (same, made_by_same, _) = counted();
    broker.register_component(first).unwrap();
    broker.register_component(same).unwrap();
    broker
        .ensure(&subscription("a", "counted").build().unwrap())
        .unwrap();
    broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    assert_eq!(
        (
            made.load(Ordering::SeqCst),
            made_by_same.load(Ordering::SeqCst)
        ),
        (1, 0)
    );
    let error = broker
        .register_component(counted().0.per_call())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = broker
        .register_component(tape.component("counted"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[test]
fn activation_tells_the_factory_about_subscription_bag_and_broker() {
    let (broker, tape) = (quiet(), Tape::new());
    let log = tape.clone();
    let component = Component::activated("alarm", move |activation| {
        let level = activation.for_subscriber().get("level");
        let broker = activation.broker().ok_or("the broker is gone")?;
        let record = broker
            .subscription(activation.subscription())
            .ok_or("no record")?;
        log.write(format!(
            "made for {} at {}",
            record.name(),
            level.ok_or("no level")?
        ));
        assert_eq!(activation.component(), ComponentId::named("alarm"));
        Ok(OnPrice(|_: &str, _| {}))
    });
    let component = component.implements::<dyn StockEvents>().per_call();
    broker.register_component(component).unwrap();
    for (name, level) in [("a", 1), ("b", 2)] {
        let record = subscription(name, "alarm").for_subscriber([("level", level)]);
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    assert_eq!(tape.take(), ["made for a at 1", "made for b at 2"]);
    drop(broker);
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!(
        (report.delivered(), report.failed()),
        (0, 2),
        "components went with the broker"
    );
}

#[test]
fn factory_that_fails_or_panics_is_the_outcome_of_that_delivery_and_tried_again() {
    let (broker, tape) = (quiet(), Tape::new());
    let (tries, log) = (AtomicUsize::new(0), tape.clone());
    let component = Component::activated("alarm", move |_| {
        match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err("not yet".into()),
            1 => panic!("out of luck"),
            _ => Ok(OnPrice({
                let log = log.clone();
                move |symbol: &str, _| log.write(symbol)
            })),
        }
    });
    broker
        .register_component(component.implements::<dyn StockEvents>())
        .unwrap();
    broker
        .ensure(&subscription("a", "alarm").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let report = stocks.price_changed("1", 1.0);
    let Failure::Activation(error @ ActivationError::Failed { .. }) = only_failure(&report) else {
        panic!("{report:?}")
    };
    assert!(whole(error).contains("not yet"));
    let report = stocks.price_changed("2", 1.0);
    let Failure::Activation(ActivationError::Panicked { message, .. }) = only_failure(&report)
    else {
        panic!("{report:?}")
    };
    assert_eq!(message, "out of luck");
    assert_eq!(stocks.price_changed("3", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["3"]);
}

#[test]
fn component_that_lacks_the_interface_is_a_failure_that_names_both() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    let alerts = Subscription::builder("a")
        .to::<dyn Alerts>()
        .component("alarm");
    broker.ensure(&alerts.build().unwrap()).unwrap();
    let report = broker.publisher::<dyn Alerts>().unwrap().raised("fire");
    let Failure::Activation(error @ ActivationError::NotImplemented { .. }) = only_failure(&report)
    else {
        panic!("{report:?}")
    };
    assert!(error.to_string().contains("Alerts"));
}

/// Registers a component whose factory fires an alert when made, and a subscription of another to
/// that alert.
fn needs(
    broker: &Broker,
    id: &'static str,
    interface: Interface,
    before: Arc<dyn Fn() + Send + Sync>,
) {
    let component = Component::activated(id, move |activation| {
        let broker = activation.broker().ok_or("no broker")?;
        before();
        let report = match interface {
            Interface::Alerts => broker.publisher::<dyn Alerts>()?.raised(id),
            Interface::Stocks => broker
                .publisher::<dyn StockEvents>()?
                .price_changed(id, 0.0),
        };
        match report.into_result(loosely::FirePolicy::NoFailures) {
            Ok(_) => Ok(Both),
            Err(error) => Err(SubscriberError::from(error.to_string())),
        }
    });
    let component = component
        .implements::<dyn StockEvents>()
        .implements::<dyn Alerts>();
    broker.register_component(component).unwrap();
}

#[derive(Clone, Copy)]
enum Interface {
    Alerts,
    Stocks,
}

struct Both;

impl StockEvents for Both {
    fn price_changed(&self, _symbol: &str, _price: f64) {}

    fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
        Ok(())
    }
}

impl Alerts for Both {
    fn raised(&self, _text: &str) {}
}

#[test]
fn component_that_needs_itself_is_an_error_and_no_deadlock() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    needs(&broker, "self", Interface::Stocks, Arc::new(|| {}));
    broker
        .ensure(&subscription("a", "self").build().unwrap())
        .unwrap();
    let report = broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    let failure = only_failure(&report);
    assert!(failure.to_string().contains("needs itself"), "{failure}");
}

#[test]
fn components_that_need_each_other_are_an_error_on_one_thread() {
    let _watchdog = Watchdog::new();
    let (broker, report) = mutual(Arc::new(|| {}));
    let report = report(&broker);
    assert!(only_failure(&report).to_string().contains("needs itself"));
}

/// Returns a broker with two components of which each needs the other, and a fire that needs one.
fn mutual(before: Arc<dyn Fn() + Send + Sync>) -> (Broker, fn(&Broker) -> loosely::FireReport) {
    let broker = quiet();
    needs(&broker, "of stocks", Interface::Alerts, before.clone());
    needs(&broker, "of alerts", Interface::Stocks, before);
    broker
        .ensure(&subscription("a", "of stocks").build().unwrap())
        .unwrap();
    let alerts = Subscription::builder("b")
        .to::<dyn Alerts>()
        .component("of alerts");
    broker.ensure(&alerts.build().unwrap()).unwrap();
    (broker, |broker| {
        broker
            .publisher::<dyn StockEvents>()
            .unwrap()
            .price_changed("x", 1.0)
    })
}

#[test]
fn components_that_need_each_other_are_an_error_across_threads() {
    let _watchdog = Watchdog::new();
    let met = Arc::new(Barrier::new(2));
    let first = Mutex::new(2_u32);
    // Each of the first two factories waits until the other has begun, so both are being made.
    let before = move || {
        let mut left = first.lock().unwrap();
        let waits = *left > 0;
        *left = left.saturating_sub(1);
        drop(left);
        if waits {
            met.wait();
        }
    };
    let (broker, fire_stocks) = mutual(Arc::new(before));
    let failed: usize = thread::scope(|scope| {
        let stocks = scope.spawn(|| fire_stocks(&broker).failed());
        let alerts = broker.publisher::<dyn Alerts>().unwrap();
        let alerts = scope.spawn(move || alerts.raised("y").failed());
        stocks.join().unwrap() + alerts.join().unwrap()
    });
    assert_eq!(failed, 2);
}

#[test]
fn availability_of_components_is_told() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("single")).unwrap();
    broker
        .register_component(tape.component("each").per_call())
        .unwrap();
    broker
        .register_component(tape.component("idle").with_id("explicit id"))
        .unwrap();
    for (name, component) in [
        ("a", "single"),
        ("b", "single"),
        ("c", "each"),
        ("d", "absent"),
    ] {
        broker
            .ensure(&subscription(name, component).build().unwrap())
            .unwrap();
    }
    let told = || -> Vec<(Option<String>, ComponentId, Availability, usize)> {
        let all = broker.components();
        let tell = |c: &loosely::ComponentStatus| {
            (
                c.name().map(str::to_owned),
                c.id(),
                c.availability(),
                c.subscriptions(),
            )
        };
        let mut told: Vec<_> = all.iter().map(tell).collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    };
    let single = |availability| (Some("single".to_owned()), "single".into(), availability, 2);
    let per_call = Availability::Registered(ComponentPolicy::PerCall);
    let singleton = Availability::Registered(ComponentPolicy::Singleton);
    let rest = [
        (None, ComponentId::named("absent"), Availability::Missing, 1),
        (Some("each".to_owned()), "each".into(), per_call, 1),
        (Some("idle".to_owned()), "explicit id".into(), singleton, 0),
    ];
    assert_eq!(told(), [&rest[..], &[single(singleton)]].concat());
    broker
        .publisher::<dyn StockEvents>()
        .unwrap()
        .price_changed("MSFT", 1.0);
    assert_eq!(
        told(),
        [&rest[..], &[single(Availability::Active)]].concat()
    );
}

#[test]
fn component_registered_after_a_failed_event_gets_the_next() {
    let (broker, tape) = (quiet(), Tape::new());
    broker
        .ensure(&subscription("a", "late").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).failed(), 1);
    broker.register_component(tape.component("late")).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 1);
    assert_eq!(tape.take(), ["late MSFT 2"]);
}

#[test]
fn component_of_any_interface_receives_names_and_values() {
    let (broker, tape) = (quiet(), Tape::new());
    let log = tape.clone();
    let component = Component::new("any", move || {
        let log = log.clone();
        move |event: &Event<'_>| -> Result<(), SubscriberError> {
            log.write(format!("{}: {event}", event.interface().name()));
            if event.name() == "raised" {
                Err("unwanted".into())
            } else {
                Ok(())
            }
        }
    });
    broker
        .register_component(component.implements_any())
        .unwrap();
    broker
        .ensure(&subscription("a", "any").build().unwrap())
        .unwrap();
    let alerts = Subscription::builder("b")
        .to::<dyn Alerts>()
        .component("any");
    broker.ensure(&alerts.build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.5).delivered(), 1);
    let report = broker.publisher::<dyn Alerts>().unwrap().raised("fire");
    assert!(matches!(only_failure(&report), Failure::Subscriber(e) if e.to_string() == "unwanted"));
    let expected = [
        "StockEvents: price_changed(symbol = 'MSFT', price = 1.5)",
        "Alerts: raised(text = 'fire')",
    ];
    assert_eq!(tape.take(), expected);
}
