//! Lanes: what publishers hand over to a thread that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loosely::{Detached, Overflow};

use crate::support::{
    Log, close, ensure, explore, memory, open, open_with, publisher, rest, together,
};

#[test]
fn every_event_of_two_publishers_is_delivered_once_and_in_order() {
    explore(|| two_publishers(Detached::new(), 1));
}

#[test]
fn publishers_that_wait_for_room_lose_nothing() {
    explore(|| {
        two_publishers(Detached::with_capacity(1).with_overflow(Overflow::Block), 1);
    });
}

/// Small, so that most orders differ in how the last event meets the thread that is leaving.
#[test]
fn event_that_comes_as_the_thread_leaves_the_lane_is_not_left_behind() {
    explore(|| {
        let (broker, log) = (open(&memory()), Log::default());
        broker
            .register_component(log.component("log"))
            .expect("a component");
        ensure(&broker, "log", Detached::new());
        let ticks = publisher(&broker);
        for number in 0..3 {
            ticks.tick(0, number);
            rest();
        }
        close(broker);
        assert_eq!(log.from(0), [0, 1, 2]);
    });
}

#[test]
fn lane_is_in_one_hand_though_two_threads_deliver() {
    explore(|| two_publishers(Detached::new(), 2));
}

#[test]
fn keys_of_a_lane_have_each_its_order() {
    explore(|| two_publishers(Detached::new().with_key("from"), 2));
}

#[test]
fn closing_drains_what_was_accepted_before() {
    explore(|| {
        let (broker, log) = (open(&memory()), Log::default());
        broker
            .register_component(log.component("log"))
            .expect("a component");
        ensure(&broker, "log", Detached::new());
        let (ticks, other) = (publisher(&broker), broker.clone());
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let fire = move || {
            for number in 0..3 {
                count.fetch_add(ticks.tick(0, number).accepted(), Ordering::Relaxed);
            }
        };
        together(vec![Box::new(fire), Box::new(move || close(other))]);
        let accepted = accepted.load(Ordering::Relaxed);
        let seen = log.from(0);
        assert_eq!(seen, (0..3).take(accepted).collect::<Vec<_>>());
        drop(broker);
    });
}

fn two_publishers(mode: Detached, threads: usize) {
    let (broker, log) = (open_with(&memory(), threads), Log::default());
    broker
        .register_component(log.component("log"))
        .expect("a component");
    ensure(&broker, "log", mode);
    let fire = |from| -> Box<dyn FnOnce() + Send> {
        let ticks = publisher(&broker);
        Box::new(move || {
            for number in 0..3 {
                assert_eq!(ticks.tick(from, number).accepted(), 1);
            }
        })
    };
    together(vec![fire(0), fire(1)]);
    close(broker);
    for from in 0..2 {
        assert_eq!(log.from(from), [0, 1, 2], "{:?}", log.all());
    }
}
