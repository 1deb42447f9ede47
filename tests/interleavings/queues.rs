//! Queues: what is stored until its subscriber has had it.

use std::ops::ControlFlow;
use std::sync::Arc;

use loosely::{Broker, DeliveryMode, Queued, Store};

use crate::support::{LONG, Log, close, ensure, explore, memory, open, publisher, together};

#[test]
fn queued_events_are_delivered_once_and_in_order_and_leave_nothing() {
    explore(|| queue(Queued::new()));
}

#[test]
fn queue_whose_fires_do_not_wait_has_all_of_them() {
    explore(|| queue(Queued::new().without_waiting()));
}

#[test]
fn relaxed_queue_has_all_of_them() {
    explore(|| {
        let (broker, log, _) = start(Queued::new().relaxed());
        together(vec![fire(&broker, 0), fire(&broker, 1)]);
        settle(&broker);
        close(broker);
        for from in 0..2 {
            let mut numbers = log.from(from);
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1], "{:?}", log.all());
        }
    });
}

#[test]
fn narrow_queue_has_its_publishers_wait_and_loses_nothing() {
    explore(|| queue(Queued::new().with_capacity(1)));
}

#[test]
fn events_that_a_closing_leaves_are_delivered_when_the_store_is_opened_again() {
    explore(|| {
        let (broker, log, store) = start(Queued::new());
        let closing = broker.clone();
        let ticks = publisher(&broker);
        let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = Arc::clone(&accepted);
        let fire = move || {
            for number in 0..3 {
                if ticks.tick(0, number).accepted() == 1 {
                    kept.lock().expect("nobody has panicked").push(number);
                }
            }
        };
        together(vec![
            Box::new(fire),
            Box::new(move || drop(closing.close(LONG))),
        ]);
        drop(broker);
        let broker = open(&store);
        broker
            .register_component(log.component("log"))
            .expect("a component");
        settle(&broker);
        close(broker);
        let accepted = accepted.lock().expect("nobody has panicked").clone();
        let mut seen = log.from(0);
        seen.dedup();
        assert_eq!(seen, accepted);
        assert_eq!(stored_events(&*store), 0);
    });
}

#[test]
fn component_that_comes_late_is_given_what_waits() {
    explore(|| {
        let store = memory();
        let (broker, log) = (open(&store), Log::default());
        ensure(&broker, "log", Queued::new());
        let (coming, component) = (broker.clone(), log.component("log"));
        let register = move || coming.register_component(component).expect("a component");
        together(vec![fire(&broker, 0), Box::new(register)]);
        settle(&broker);
        close(broker);
        assert_eq!(log.from(0), [0, 1]);
        assert_eq!(stored_events(&*store), 0);
    });
}

fn queue(mode: Queued) {
    let (broker, log, store) = start(mode);
    together(vec![fire(&broker, 0), fire(&broker, 1)]);
    settle(&broker);
    close(broker);
    for from in 0..2 {
        assert_eq!(log.from(from), [0, 1], "{:?}", log.all());
    }
    assert_eq!(
        stored_events(&*store),
        0,
        "an event is there that was delivered"
    );
}

/// Waits until nothing is to be done, by making room for whoever does it.
fn settle(broker: &Broker) {
    assert!(broker.idle(LONG), "nothing is to be done");
}

fn start(mode: impl Into<DeliveryMode>) -> (Broker, Log, Arc<dyn Store>) {
    let store = memory();
    let (broker, log) = (open(&store), Log::default());
    broker
        .register_component(log.component("log"))
        .expect("a component");
    ensure(&broker, "log", mode);
    (broker, log, store)
}

fn fire(broker: &Broker, from: u32) -> Box<dyn FnOnce() + Send> {
    let ticks = publisher(broker);
    Box::new(move || {
        for number in 0..2 {
            assert_eq!(ticks.tick(from, number).accepted(), 1);
        }
    })
}

/// Returns how many events the store has: their keys are frozen.
fn stored_events(store: &dyn Store) -> usize {
    let mut count = 0;
    let counted = store.scan(&[0x81], &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    });
    counted.expect("memory can be read");
    count
}
