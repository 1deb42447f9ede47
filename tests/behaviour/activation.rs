//! Pools and idle time-outs, with several publishers at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{
    ActivationError, Availability, Broker, Component, ComponentPolicy, ErrorKind, Failure, Pool,
    Subscription,
};

use crate::support::{
    Alerts, OnDrop, OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, only_failure,
    quiet, subscription,
};

/// Far more than a wait of a test takes that is not to end by itself.
const LONG: Duration = Duration::from_secs(600);

/// Returns a broker with this component, which is subscribed to all stock events.
fn broker_with<T: Send + Sync + 'static>(component: Component<T>) -> Broker {
    let broker = quiet();
    subscribe(&broker, component);
    broker
}

fn subscribe<T: Send + Sync + 'static>(broker: &Broker, component: Component<T>) {
    let id = component.id().to_string();
    broker.register_component(component).unwrap();
    let record = subscription(&format!("of {id}"), &id);
    broker.ensure(&record.build().unwrap()).unwrap();
}

fn stocks(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

/// Returns a component that does this for every price.
fn on_price<F>(id: &str, call: F) -> Component<OnPrice<impl Fn(&str, f64) + Send + Sync + 'static>>
where
    F: Fn(&str, f64) + Clone + Send + Sync + 'static,
{
    let make = move || {
        let call = call.clone();
        OnPrice(move |symbol: &str, price: f64| call(symbol, price))
    };
    Component::new(id, make).implements::<dyn StockEvents>()
}

/// Tells of its end, and with the price zero panics.
struct Mortal {
    number: usize,
    seen: Tape,
    dropped: Sender<usize>,
}

impl StockEvents for Mortal {
    fn price_changed(&self, symbol: &str, price: f64) {
        self.seen.write(format!("{} {symbol}", self.number));
        assert!(price > 0.0, "no price");
    }

    fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
        Err("no".to_owned())
    }
}

impl Alerts for Mortal {
    fn raised(&self, text: &str) {
        self.seen.write(format!("{} {text}", self.number));
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.dropped.send(self.number);
    }
}

fn mortal(tape: &Tape) -> (Component<Mortal>, Receiver<usize>) {
    let (dropped, drops) = mpsc::channel();
    let (seen, made) = (tape.clone(), AtomicUsize::new(0));
    let component = Component::new("mortal", move || Mortal {
        number: made.fetch_add(1, Ordering::SeqCst),
        seen: seen.clone(),
        dropped: dropped.clone(),
    });
    (component.implements::<dyn StockEvents>(), drops)
}

#[test]
fn pool_serves_many_publishers_with_no_more_than_its_maximum() {
    struct Exclusive(AtomicBool);

    impl StockEvents for Exclusive {
        fn price_changed(&self, _symbol: &str, _price: f64) {
            assert!(!self.0.swap(true, Ordering::SeqCst), "used twice at once");
            thread::yield_now();
            self.0.store(false, Ordering::SeqCst);
        }

        fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
            Ok(())
        }
    }

    let _watchdog = Watchdog::new();
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let component = Component::new("exclusive", move || {
        count.fetch_add(1, Ordering::SeqCst);
        Exclusive(AtomicBool::new(false))
    });
    let pool = Pool::new(3).with_minimum(1).with_wait(LONG);
    let broker = broker_with(component.implements::<dyn StockEvents>().pooled(pool));
    let start = Barrier::new(6);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let stocks = stocks(&broker);
                start.wait();
                for _ in 0..200 {
                    let report = stocks.price_changed("MSFT", 1.0);
                    assert_eq!(report.delivered(), 1, "{report}");
                }
            });
        }
    });
    assert!((1..=3).contains(&made.load(Ordering::SeqCst)));
}

#[test]
fn instances_of_a_pool_work_at_the_same_time() {
    let _watchdog = Watchdog::new();
    let met = Arc::new(Barrier::new(3));
    let component = on_price("meeting", move |_, _| {
        met.wait();
    });
    let broker = broker_with(component.pooled(Pool::new(3)));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(stocks(&broker).price_changed("MSFT", 1.0).delivered(), 1));
        }
    });
}

#[test]
fn event_that_finds_the_pool_busy_fails_at_once_or_waits_as_the_pool_says() {
    let _watchdog = Watchdog::new();
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        let met = Arc::new(Barrier::new(2));
        let meet = met.clone();
        let component = on_price("busy", move |_, price| {
            if price < 0.0 {
                meet.wait();
                meet.wait();
            }
        });
        let broker = broker_with(component.pooled(Pool::new(1).with_wait(wait)));
        thread::scope(|scope| {
            let held = scope.spawn(|| stocks(&broker).price_changed("MSFT", -1.0).delivered());
            met.wait();
            let report = stocks(&broker).price_changed("MSFT", 1.0);
            let Failure::Activation(ActivationError::Exhausted { size, waited, .. }) =
                only_failure(&report)
            else {
                panic!("{report:?}")
            };
            assert!(*size == 1 && *waited >= wait, "{waited:?}");
            met.wait();
            assert_eq!(held.join().unwrap(), 1);
        });
        assert_eq!(stocks(&broker).price_changed("MSFT", 1.0).delivered(), 1);
    }
}

#[test]
fn instance_whose_call_panicked_is_dropped_and_one_that_erred_is_kept() {
    let tape = Tape::new();
    let (component, drops) = mortal(&tape);
    let broker = broker_with(component.pooled(Pool::new(1)));
    let stocks = stocks(&broker);
    assert_eq!(stocks.traded("MSFT", 1).failed(), 1);
    assert_eq!(stocks.price_changed("a", 1.0).delivered(), 1);
    let report = stocks.price_changed("b", 0.0);
    assert!(matches!(only_failure(&report), Failure::Panicked(_)));
    assert_eq!(drops.try_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(stocks.price_changed("c", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["0 a", "0 b", "1 c"]);
}

#[test]
fn event_fired_into_a_pool_that_its_own_thread_holds_whole_fails_at_once() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let inner: Arc<Mutex<Option<StockEventsPublisher>>> = Arc::default();
    let (publisher, tape) = (inner.clone(), Tape::new());
    let log = tape.clone();
    let component = on_price("echo", move |_, price| {
        let publisher = publisher.lock().unwrap().clone();
        if let Some(publisher) = publisher.filter(|_| price > 0.0) {
            log.write(publisher.price_changed("again", price - 1.0).to_string());
        }
    });
    subscribe(&broker, component.pooled(Pool::new(2).with_wait(LONG)));
    *inner.lock().unwrap() = Some(stocks(&broker));
    // The third would need a third instance.
    assert_eq!(stocks(&broker).price_changed("MSFT", 2.0).delivered(), 1);
    let reports = tape.take();
    assert!(
        reports.first().unwrap().contains("0 delivered"),
        "{reports:?}"
    );
    assert!(
        reports.last().unwrap().contains("1 delivered"),
        "{reports:?}"
    );
    inner.lock().unwrap().take();
}

#[test]
fn pools_whose_components_fire_at_each_other_wait_no_longer_than_they_say() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (quiet(), Tape::new());
    let wait = Duration::from_millis(50);
    let met = Arc::new(Barrier::new(2));
    for (id, other) in [("left", "right"), ("right", "left")] {
        let host = Arc::new(Mutex::new(Some(broker.clone())));
        let (met, tape) = (met.clone(), tape.clone());
        let component = on_price(id, move |_, price| {
            if price == 0.0 {
                return;
            }
            met.wait();
            let broker = host.lock().unwrap().take().unwrap();
            let report = stocks(&broker).price_changed(other, 0.0);
            for failed in report.failures() {
                tape.write(failed.failure().unwrap().to_string());
            }
        });
        broker
            .register_component(component.pooled(Pool::new(1).with_wait(wait)))
            .unwrap();
        let record = subscription(id, id).filter(format!("symbol = '{id}'"));
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let outer: usize = thread::scope(|scope| {
        let fire = |symbol| stocks(&broker).price_changed(symbol, 1.0).delivered();
        let threads = ["left", "right"].map(|symbol| scope.spawn(move || fire(symbol)));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(outer, 2);
    let failures = tape.take();
    assert!((1..=2).contains(&failures.len()), "{failures:?}");
    assert!(
        failures
            .iter()
            .all(|line| line.contains("are busy, after a wait")),
        "{failures:?}"
    );
}

#[test]
fn factory_of_a_pool_that_fires_into_it_is_a_failure_and_no_deadlock() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let component = Component::activated("self", |activation| {
        let broker = activation.broker().ok_or("no broker")?;
        let report = stocks(&broker).price_changed("inner", 1.0);
        match report.failures().next() {
            Some(failed) => Err(failed
                .failure()
                .map(ToString::to_string)
                .unwrap_or_default())?,
            None => Ok(OnPrice(|_: &str, _| {})),
        }
    });
    let pool = Pool::new(2).with_minimum(2).with_wait(LONG);
    subscribe(
        &broker,
        component.implements::<dyn StockEvents>().pooled(pool),
    );
    for _ in 0..2 {
        let report = stocks(&broker).price_changed("outer", 1.0);
        let text = only_failure(&report).to_string();
        assert!(text.contains("all 2 instances"), "{text}");
    }
}

#[test]
fn component_unregistered_during_a_call_is_dropped_when_the_call_is_over() {
    let _watchdog = Watchdog::new();
    let (tell, dropped) = mpsc::channel();
    let met = Arc::new(Barrier::new(2));
    let meet = met.clone();
    let component = Component::new("leaving", move || {
        let (tell, meet) = (tell.clone(), meet.clone());
        let end = OnDrop(move || {
            let _ = tell.send(());
        });
        OnPrice(move |_: &str, _| {
            let _whole = &end;
            meet.wait();
            meet.wait();
        })
    });
    let component = component.implements::<dyn StockEvents>();
    let broker = broker_with(component.pooled(Pool::new(2)).with_idle_timeout(LONG));
    thread::scope(|scope| {
        let held = scope.spawn(|| stocks(&broker).price_changed("MSFT", 1.0).delivered());
        met.wait();
        assert!(broker.unregister_component("leaving"));
        let report = stocks(&broker).price_changed("MSFT", 1.0);
        let failure = only_failure(&report);
        let expected = matches!(
            failure,
            Failure::Activation(ActivationError::NotRegistered(_))
        );
        assert!(expected, "{failure}");
        assert!(dropped.try_recv().is_err(), "dropped in its call");
        met.wait();
        assert_eq!(held.join().unwrap(), 1);
    });
    dropped.recv().unwrap();
}

#[test]
fn idle_components_are_dropped_without_another_event_and_made_anew_by_one() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let (component, drops) = mortal(&tape);
    let component = component.implements::<dyn Alerts>();
    let broker = broker_with(component.with_idle_timeout(Duration::from_millis(1)));
    let alerts = Subscription::builder("alerts")
        .to::<dyn Alerts>()
        .component("mortal");
    broker.ensure(&alerts.build().unwrap()).unwrap();
    for round in 0..3 {
        let delivered = if round == 1 {
            broker
                .publisher::<dyn Alerts>()
                .unwrap()
                .raised("a")
                .delivered()
        } else {
            stocks(&broker).price_changed("a", 1.0).delivered()
        };
        assert_eq!((delivered, drops.recv().unwrap()), (1, round));
    }
    assert_eq!(tape.take(), ["0 a", "1 a", "2 a"]);
}

#[test]
fn singleton_that_may_be_idle_is_one_for_publishers_on_several_threads() {
    let _watchdog = Watchdog::new();
    let met = Arc::new(Barrier::new(3));
    let (made, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (makes, calls) = (made.clone(), count.clone());
    let component = Component::new("single", move || {
        makes.fetch_add(1, Ordering::SeqCst);
        let (met, calls) = (met.clone(), calls.clone());
        // Each waits for the others in the instance, so it is in use until all of them were there.
        OnPrice(move |_: &str, _| {
            calls.fetch_add(1, Ordering::SeqCst);
            met.wait();
        })
    });
    let component = component.implements::<dyn StockEvents>();
    let broker = broker_with(component.with_idle_timeout(LONG));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(stocks(&broker).price_changed("MSFT", 1.0).delivered(), 1));
        }
    });
    assert_eq!(
        (made.load(Ordering::SeqCst), count.load(Ordering::SeqCst)),
        (1, 3)
    );
}

#[test]
fn drop_of_an_idle_instance_may_use_the_broker() {
    let _watchdog = Watchdog::new();
    let (broker, (tell, told)) = (quiet(), mpsc::channel());
    let component = Component::activated("last will", move |activation| {
        let (broker, tell) = (activation.broker(), tell.clone());
        Ok(OnDrop(move || {
            let broker = broker.clone().unwrap();
            let fired = stocks(&broker).price_changed("will", 1.0).delivered();
            let gone = broker.unregister_component("last will");
            let _ = tell.send((fired, gone));
        }))
    });
    let component = component.implements::<dyn StockEvents>();
    subscribe(&broker, component.with_idle_timeout(Duration::ZERO));
    assert_eq!(stocks(&broker).price_changed("MSFT", 1.0).delivered(), 1);
    // Its event made another instance, which finds the component gone.
    let (mut fired, mut gone): (Vec<_>, Vec<_>) = (0..2).map(|_| told.recv().unwrap()).unzip();
    fired.sort_unstable();
    gone.sort_unstable();
    assert_eq!((fired, gone), (vec![0, 1], vec![false, true]));
}

#[test]
fn pool_of_a_closed_broker_goes_on_lending_to_publishers() {
    let tape = Tape::new();
    let (component, drops) = mortal(&tape);
    let broker = broker_with(component.pooled(Pool::new(2)).with_idle_timeout(LONG));
    let stocks = stocks(&broker);
    stocks.price_changed("before", 1.0);
    broker.close(LONG).unwrap();
    drop(broker);
    assert_eq!(stocks.price_changed("after", 1.0).delivered(), 1);
    assert_eq!(tape.take(), ["0 before", "0 after"]);
    drop(stocks);
    assert_eq!(drops.try_iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn pooled_component_of_any_interface_receives_names_and_values() {
    let (broker, tape) = (quiet(), Tape::new());
    let component = tape.untyped("any").implements_any();
    subscribe(&broker, component.pooled(Pool::new(1)));
    for price in [1.5, 2.5] {
        assert_eq!(stocks(&broker).price_changed("A", price).delivered(), 1);
    }
    let expected = [1.5, 2.5].map(|price| format!("price_changed(symbol = 'A', price = {price})"));
    assert_eq!(tape.take(), expected);
}

#[test]
fn pool_that_cannot_have_its_minimum_is_refused_and_not_registered() {
    let broker = quiet();
    let component = |pool| on_price("odd", |_, _| {}).pooled(pool);
    let error = broker
        .register_component(component(Pool::new(1).with_minimum(2)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(broker.components().is_empty());
    broker.register_component(component(Pool::new(2))).unwrap();
}

#[test]
fn pool_is_told_as_active_while_it_has_instances() {
    let _watchdog = Watchdog::new();
    let tape = Tape::new();
    let (component, drops) = mortal(&tape);
    let pool = Pool::new(2);
    let component = component.pooled(pool);
    let broker = broker_with(component.with_idle_timeout(Duration::from_millis(1)));
    let told = || broker.components().first().unwrap().availability();
    let registered = Availability::Registered(ComponentPolicy::Pooled(pool));
    assert_eq!(told(), registered);
    stocks(&broker).price_changed("MSFT", 1.0);
    drops.recv().unwrap();
    assert_eq!(told(), registered);
    broker.unregister_component("mortal");
    let (component, _) = mortal(&tape);
    broker.register_component(component.pooled(pool)).unwrap();
    stocks(&broker).price_changed("MSFT", 1.0);
    assert_eq!(told(), Availability::Active);
}
