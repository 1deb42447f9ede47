//! Subscribers that are called at the same time, and what they fire, wait for and share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use loosely::{
    ActivationError, Broker, Component, ErrorKind, EventClass, EventContext, Failure, FireOutcome,
    Firing, Nesting, Pool, Subscription,
};

use crate::parallel::{alerts, class, on_alert, on_price, parallel};
use crate::support::{
    Alerts, AlertsPublisher, StockEvents, StockEventsPublisher, Tape, Watchdog, only_failure,
    subscription,
};

#[test]
fn queued_events_wait_for_the_whole_fire_in_the_order_of_calling() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let queued = EventClass::new("alerts", "alerts").with_nesting(Nesting::Queued);
    broker.register_class::<dyn Alerts>(queued).unwrap();
    let (tape, both) = (Tape::new(), Arc::new(Barrier::new(2)));
    // The second fires before the first does, and both before either returns.
    let (fired, told) = mpsc::channel();
    let (fired, told) = (Mutex::new(fired), Mutex::new(told));
    let (alerts, met) = (alerts(&broker), Arc::clone(&both));
    let (inner, written) = (alerts.clone(), tape.clone());
    let _first = on_price(&broker, move |_, _| {
        told.lock().unwrap().recv().unwrap();
        assert_eq!(inner.raised("first").outcome(), FireOutcome::Queued);
        met.wait();
        written.write("returns");
    });
    let written = tape.clone();
    let _second = on_price(&broker, move |_, _| {
        assert_eq!(alerts.raised("second").outcome(), FireOutcome::Queued);
        fired.lock().unwrap().send(()).unwrap();
        both.wait();
        written.write("returns");
    });
    let (written, here) = (tape.clone(), thread::current().id());
    let _heard = on_alert(&broker, move |text| {
        assert_eq!(thread::current().id(), here);
        assert_eq!(EventContext::current().unwrap().depth(), 2);
        written.write(text);
    });
    stocks.price_changed("MSFT", 1.0);
    assert_eq!(tape.take(), ["returns", "returns", "first", "second"]);
}

#[test]
fn fires_inside_of_fires_end_at_the_limit_and_need_no_thread_of_their_own() {
    let _watchdog = Watchdog::new();
    for threads in [0, 1, 3] {
        let (broker, stocks) = parallel(threads, class(4));
        let (leaves, deep) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (inner, refused) = (stocks.clone(), Arc::clone(&deep));
        let _chain = on_price(&broker, move |symbol, price| {
            let report = inner.price_changed(symbol, price + 1.0);
            let lines = report.failures();
            let lines = lines.filter(|it| matches!(it.failure(), Some(Failure::TooDeep)));
            refused.fetch_add(lines.count(), Ordering::SeqCst);
        });
        let leaf = Arc::clone(&leaves);
        let _leaf = on_price(&broker, move |_, _| {
            leaf.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
        let limit = loosely::NESTING_LIMIT as usize;
        assert_eq!(leaves.load(Ordering::SeqCst), limit, "{threads} threads");
        assert_eq!(deep.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn fire_goes_on_alone_while_the_pool_is_held_up() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let tape = Tape::new();
    let _listeners = ["one", "two"].map(|name| {
        let listener: Arc<dyn StockEvents> = tape.listener(name);
        broker.subscribe::<dyn StockEvents>(listener).unwrap()
    });
    let slow = EventClass::new("slow", "slow").with_firing(Firing::Parallel { max: 2 });
    broker.register_class::<dyn Alerts>(slow).unwrap();
    let (inside, go) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let _slow = [(); 2].map(|()| {
        let (inside, go) = (Arc::clone(&inside), Arc::clone(&go));
        on_alert(&broker, move |_| {
            inside.wait();
            go.wait();
        })
    });
    let alerts = alerts(&broker);
    thread::scope(|scope| {
        let held = scope.spawn(move || alerts.raised("slowly").delivered());
        inside.wait();
        for price in 0..5_000 {
            assert_eq!(stocks.price_changed("MSFT", price.into()).delivered(), 2);
        }
        assert_eq!(tape.take().len(), 10_000);
        go.wait();
        assert_eq!(held.join().unwrap(), 2);
    });
}

#[test]
fn waiting_for_the_end_of_fires_is_refused_on_every_thread_of_a_delivery() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let both = Arc::new(Barrier::new(2));
    let refused = Arc::new(Mutex::new(Vec::new()));
    let mut guards = Vec::new();
    for _ in 0..2 {
        let (both, refused) = (Arc::clone(&both), Arc::clone(&refused));
        let other = Mutex::new(Some(on_alert(&broker, |_| {})));
        guards.push(on_price(&broker, move |_, _| {
            both.wait();
            let other = other.lock().unwrap().take().unwrap();
            let closed = other.close_and_wait(Duration::from_secs(60));
            refused.lock().unwrap().push(closed.unwrap_err().kind());
        }));
    }
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    assert_eq!(*refused.lock().unwrap(), [ErrorKind::WouldDeadlock; 2]);
    for guard in guards {
        guard.close_and_wait(Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn guard_is_not_held_up_by_a_pool_that_came_too_late() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(1, class(2));
    let (inside, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let first = Arc::new(AtomicUsize::new(0));
    let mut guards = [(); 2].map(|()| {
        let (inside, go, first) = (inside.clone(), go.clone(), first.clone());
        Some(on_price(&broker, move |_, price| {
            // One of the two is on the pool's thread, and stays there.
            if price < 1.0
                && thread::current()
                    .name()
                    .is_some_and(|it| it.contains("pool"))
            {
                first.fetch_add(1, Ordering::SeqCst);
                inside.wait();
                go.wait();
            } else if price < 1.0 {
                inside.wait();
            }
        }))
    });
    thread::scope(|scope| {
        let publisher = stocks.clone();
        let held = scope.spawn(move || publisher.price_changed("MSFT", 0.0).delivered());
        while first.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let other = on_price(&broker, |_, _| {});
        assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 3);
        other.close_and_wait(Duration::from_secs(60)).unwrap();
        go.wait();
        assert_eq!(held.join().unwrap(), 2);
    });
    guards.iter_mut().for_each(|guard| drop(guard.take()));
}

#[test]
fn fires_go_on_by_their_own_threads_when_the_broker_is_closed() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(2, class(2));
    let tape = Tape::new();
    let _guards = ["one", "two"].map(|name| {
        let listener: Arc<dyn StockEvents> = tape.listener(name);
        broker.subscribe::<dyn StockEvents>(listener).unwrap()
    });
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    tape.take();
    broker.close(Duration::from_secs(60)).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 2);
    assert_eq!(tape.take(), ["one MSFT 2", "two MSFT 2"]);
}

#[test]
fn publishers_reach_everybody_while_subscribers_come_and_go() {
    const PUBLISHERS: usize = 4;
    const FIRES: usize = 300;
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(2, class(3));
    let nested = EventClass::new("alerts", "alerts").with_firing(Firing::Parallel { max: 2 });
    broker.register_class::<dyn Alerts>(nested).unwrap();
    let (outer, inner) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let _outer = [(); 3].map(|()| {
        let (outer, alerts) = (Arc::clone(&outer), alerts(&broker));
        on_price(&broker, move |_, _| {
            outer.fetch_add(1, Ordering::SeqCst);
            assert!(alerts.raised("nested").delivered() >= 2);
        })
    });
    let _inner = [(); 2].map(|()| {
        let inner = Arc::clone(&inner);
        on_alert(&broker, move |_| {
            inner.fetch_add(1, Ordering::SeqCst);
        })
    });
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            let stocks = stocks.clone();
            scope.spawn(move || {
                for _ in 0..FIRES {
                    let report = stocks.price_changed("MSFT", 1.0);
                    assert!(
                        report.delivered() >= 3 && report.failed() == 0,
                        "{report:?}"
                    );
                }
            });
        }
        for _ in 0..FIRES {
            let closed = Arc::new(AtomicBool::new(false));
            let late = Arc::clone(&closed);
            let guest = on_alert(&broker, move |_| {
                assert!(!late.load(Ordering::SeqCst), "called after its end");
            });
            guest.close_and_wait(Duration::from_secs(120)).unwrap();
            closed.store(true, Ordering::SeqCst);
        }
    });
    assert_eq!(outer.load(Ordering::SeqCst), 3 * PUBLISHERS * FIRES);
    assert_eq!(inner.load(Ordering::SeqCst), 2 * 3 * PUBLISHERS * FIRES);
}

/// A component whose making or call fires an alert, which may reach it again.
#[derive(Default)]
struct Echo(OnceLock<AlertsPublisher>);

impl Alerts for Echo {
    fn raised(&self, text: &str) {
        if let (Some(alerts), "outer") = (self.0.get(), text) {
            let report = alerts.raised("inner");
            assert_eq!((report.delivered(), report.failed()), (1, 1), "{report:?}");
            let activation = report.failures().next().and_then(|it| it.failure());
            assert!(
                matches!(
                    activation,
                    Some(Failure::Activation(ActivationError::WouldDeadlock { .. }))
                ),
                "{report:?}"
            );
        }
    }
}

fn alerting(class: Firing) -> Broker {
    let broker = Broker::builder().delivery_threads(2).on_failure(|_, _| {});
    let broker = broker.open().unwrap();
    let class = EventClass::new("alerts", "alerts").with_firing(class);
    broker.register_class::<dyn Alerts>(class).unwrap();
    broker
}

fn subscribed(broker: &Broker, name: &str, component: &str, filter: &str) {
    let record = Subscription::builder(name).to::<dyn Alerts>();
    let record = record.component(component).filter(filter).build().unwrap();
    broker.store(&record).unwrap();
}

#[test]
fn instance_that_the_fire_around_holds_is_not_waited_for() {
    let _watchdog = Watchdog::new();
    let broker = alerting(Firing::Parallel { max: 3 });
    let alerts = alerts(&broker);
    let made = alerts.clone();
    let echo = Component::new("echo", move || Echo(OnceLock::from(made.clone())));
    let echo = echo.implements::<dyn Alerts>().pooled(Pool::new(1));
    broker.register_component(echo).unwrap();
    subscribed(&broker, "outer", "echo", "text = 'outer'");
    subscribed(&broker, "inner", "echo", "text = 'inner'");
    // So that the inner event has two to call, of which a helper may take either.
    let _other = on_alert(&broker, |_| {});
    let report = alerts.raised("outer");
    assert_eq!((report.delivered(), report.failed()), (2, 0), "{report:?}");
}

#[test]
fn singleton_whose_factory_needs_it_on_other_threads_is_an_error_and_no_deadlock() {
    let _watchdog = Watchdog::new();
    let broker = alerting(Firing::Parallel { max: 3 });
    let alerts = alerts(&broker);
    let (inner, seen) = (alerts.clone(), Arc::new(Mutex::new(Vec::new())));
    let reports = Arc::clone(&seen);
    let component = Component::new("needs itself", move || {
        let report = inner.raised("while it is made");
        reports
            .lock()
            .unwrap()
            .push((report.delivered(), report.failed()));
        Echo::default()
    });
    broker
        .register_component(component.implements::<dyn Alerts>())
        .unwrap();
    subscribed(&broker, "itself", "needs itself", "text LIKE '%'");
    let _other = on_alert(&broker, |_| {});
    assert_eq!(alerts.raised("first").delivered(), 2);
    assert_eq!(*seen.lock().unwrap(), [(1, 1)]);
}

#[test]
fn instances_are_made_once_lent_in_turn_and_made_for_each_call_as_the_policy_says() {
    let _watchdog = Watchdog::new();
    let (broker, stocks) = parallel(3, class(4));
    let tape = Tape::new();
    let made = Arc::new(AtomicUsize::new(0));
    let component = |id: &'static str| {
        let (tape, made) = (tape.clone(), Arc::clone(&made));
        Component::new(id, move || {
            made.fetch_add(1, Ordering::SeqCst);
            tape.named(id)
        })
        .implements::<dyn StockEvents>()
    };
    broker.register_component(component("single")).unwrap();
    broker
        .register_component(component("lent").pooled(Pool::new(1)))
        .unwrap();
    broker
        .register_component(component("each").per_call())
        .unwrap();
    for (id, number) in ["single", "lent", "each"]
        .into_iter()
        .flat_map(|id| [(id, 1), (id, 2)])
    {
        let record = subscription(&format!("{id} {number}"), id).build().unwrap();
        broker.store(&record).unwrap();
    }
    for round in 1..=2 {
        assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 6);
        assert_eq!(tape.take().len(), 6);
        assert_eq!(made.load(Ordering::SeqCst), 2 + 2 * round);
    }
}

#[test]
fn failure_hook_does_not_hear_of_what_it_fires_itself_on_any_thread() {
    let _watchdog = Watchdog::new();
    let publisher: Arc<OnceLock<StockEventsPublisher>> = Arc::default();
    let (heard, inner) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&publisher));
    let count = Arc::clone(&heard);
    let broker = Broker::builder()
        .delivery_threads(1)
        .on_failure(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            inner.get().unwrap().price_changed("MSFT", 1.0);
        });
    let broker = broker.open().unwrap();
    broker.register_class::<dyn StockEvents>(class(2)).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    publisher.set(stocks.clone()).unwrap();
    let _fails = on_alert(&broker, |_| panic!("on purpose"));
    let both = Arc::new(Barrier::new(2));
    let _guards = [(); 2].map(|()| {
        let (both, alerts) = (Arc::clone(&both), alerts(&broker));
        on_price(&broker, move |_, _| {
            both.wait();
            only_failure(&alerts.raised("inside"));
        })
    });
    only_failure(&alerts(&broker).raised("outside"));
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}
