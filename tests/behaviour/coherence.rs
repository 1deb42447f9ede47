//! A change that returned is seen by every fire that begins afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use loosely::{Broker, Cascade, MemoryStore, Store, SubscriptionGuard};

use crate::support::{
    StockEvents, StockEventsPublisher, Tape, Watchdog, on_store, quiet, subscription,
};

/// Switches a subscription on and off while another thread fires, and checks every fire that began
/// and ended between two switches.
fn check(stocks: &StockEventsPublisher, on: impl Fn(), off: impl Fn()) {
    const ROUNDS: u64 = 300;
    let _watchdog = Watchdog::new();
    // Modulo four: 0 is being switched on, 1 on, 2 is being switched off, 3 off.
    let (phase, checked) = (AtomicU64::new(3), AtomicU64::new(0));
    let end = 4 * ROUNDS + 4;
    // Until some fire was checked in this phase; another thread may need the processor for that.
    let settled = |now: u64| {
        phase.store(now, Ordering::SeqCst);
        let seen = checked.load(Ordering::SeqCst);
        while checked.load(Ordering::SeqCst) < seen + 2 {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let firing = scope.spawn(|| {
            let mut wrong = None;
            loop {
                let before = phase.load(Ordering::SeqCst);
                let delivered = stocks.price_changed("MSFT", 1.0).delivered();
                let after = phase.load(Ordering::SeqCst);
                let expected = usize::from(before % 4 == 1);
                if before % 2 == 1 && before == after && delivered != expected {
                    wrong = wrong.or(Some((before, delivered)));
                }
                checked.fetch_add(1, Ordering::SeqCst);
                if before == end {
                    return wrong;
                }
            }
        });
        for round in 0..ROUNDS {
            phase.store(4 * round + 4, Ordering::SeqCst);
            on();
            settled(4 * round + 5);
            phase.store(4 * round + 6, Ordering::SeqCst);
            off();
            settled(4 * round + 7);
        }
        // Not before the last phase was settled, for which two more fires are needed.
        phase.store(end, Ordering::SeqCst);
        assert_eq!(firing.join().unwrap(), None, "(phase, delivered)");
    });
}

/// A broker with a component and a publisher.
fn ready(tape: &Tape) -> (Broker, StockEventsPublisher) {
    let broker = quiet();
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    (broker, stocks)
}

#[test]
fn fire_after_disable_returned_delivers_nothing() {
    let (broker, stocks) = ready(&Tape::new());
    let record = subscription("a", "x").disabled().build().unwrap();
    broker.ensure(&record).unwrap();
    let on = || broker.enable(record.id()).unwrap();
    check(&stocks, on, || broker.disable(record.id()).unwrap());
}

#[test]
fn fire_after_ensure_or_remove_returned_uses_the_new_state() {
    let (broker, stocks) = ready(&Tape::new());
    let record = subscription("a", "x").build().unwrap();
    let on = || _ = broker.ensure(&record).unwrap();
    check(&stocks, on, || _ = broker.remove(record.id()).unwrap());
}

#[test]
fn fire_after_store_returned_uses_the_new_filter() {
    let (broker, stocks) = ready(&Tape::new());
    let with = |filter: &str| subscription("a", "x").filter(filter).build().unwrap();
    broker.store(&with("price > 1")).unwrap();
    let on = || _ = broker.store(&with("price = 1")).unwrap();
    check(&stocks, on, || {
        _ = broker.store(&with("price > 1")).unwrap();
    });
}

#[test]
fn fire_after_a_guard_was_dropped_calls_nobody() {
    let tape = Tape::new();
    let (broker, stocks) = ready(&tape);
    let guard: Mutex<Option<SubscriptionGuard>> = Mutex::new(None);
    let on = || {
        let subscribed = broker
            .subscribe::<dyn StockEvents>(tape.listener("live"))
            .unwrap();
        *guard.lock().unwrap() = Some(subscribed);
    };
    check(&stocks, on, || drop(guard.lock().unwrap().take()));
}

#[test]
fn fire_after_a_component_was_unregistered_does_not_call_it() {
    let tape = Tape::new();
    let (broker, stocks) = ready(&tape);
    broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    broker.unregister_component("x");
    let on = || broker.register_component(tape.component("x")).unwrap();
    check(&stocks, on, || _ = broker.unregister_component("x"));
}

#[test]
fn fire_after_another_broker_changed_the_store_uses_the_new_state() {
    let (store, tape): (Arc<dyn Store>, _) = (Arc::new(MemoryStore::new()), Tape::new());
    let (one, other) = (on_store(store.clone()), on_store(store));
    one.register_component(tape.component("x")).unwrap();
    let stocks = one.publisher::<dyn StockEvents>().unwrap();
    let record = subscription("a", "x").disabled().build().unwrap();
    other.ensure(&record).unwrap();
    let on = || other.enable(record.id()).unwrap();
    check(&stocks, on, || other.disable(record.id()).unwrap());
}

#[test]
fn publisher_made_after_a_change_begins_with_it() {
    let (broker, stocks) = ready(&Tape::new());
    let record = subscription("a", "x").build().unwrap();
    broker.ensure(&record).unwrap();
    broker
        .unregister_class(stocks.class_id(), Cascade::Refuse)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    broker.disable(record.id()).unwrap();
    let next = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(next.price_changed("x", 1.0).delivered(), 0);
}
