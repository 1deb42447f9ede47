//! Subscriptions whose events are stored until their subscriber has had them.

mod catching_up;
mod closing;
mod evolution;
mod faults;
mod histories;
mod hopeless;
mod once;
mod switching;
mod transactions;
mod upcasters;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::testing::{VirtualClock, Watchdog};
use loosely::{
    Breaker, Broker, BrokerBuilder, Component, DeadLetter, DeadLetterCause, DeliveryOutcome,
    ErrorKind, EventClass, EventContext, Failure, FinalFailure, MemoryStore, Notice, Overflow,
    Queued, Retry, SkipReason, Store, Subscription, SubscriptionId, Trigger,
};
use uuid::Uuid;

use crate::support::{OnPrice, StockEvents, StockEventsPublisher, Tape};

const LONG: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

fn shared() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn builder() -> BrokerBuilder {
    Broker::builder().on_failure(|_, _| {})
}

fn open(store: &Arc<dyn Store>) -> Broker {
    builder().store(Arc::clone(store)).open().unwrap()
}

fn close(broker: Broker) {
    broker.close(LONG).unwrap();
}

fn record(queue: Queued) -> Subscription {
    let record = Subscription::builder("ledger").to::<dyn StockEvents>();
    record.component("ledger").delivery(queue).build().unwrap()
}

fn queue(broker: &Broker, queue: Queued) -> StockEventsPublisher {
    broker.ensure(&record(queue)).unwrap();
    broker.publisher::<dyn StockEvents>().unwrap()
}

/// Registers a component that does what `on` does with each event, which may fail.
fn component<F>(broker: &Broker, on: F)
where
    F: Fn(&str, f64) -> Result<(), String> + Send + Sync + 'static,
{
    let on = Arc::new(on);
    let made = move || {
        let on = Arc::clone(&on);
        loosely_fallible::Fallible(move |symbol: &str, price| on(symbol, price))
    };
    let ledger = Component::new("ledger", made).implements::<dyn StockEvents>();
    broker.register_component(ledger).unwrap();
}

/// A subscriber of a method that can fail: `traded` with the volume as the price.
mod loosely_fallible {
    use crate::support::StockEvents;

    pub(super) struct Fallible<F>(pub(super) F);

    impl<F> StockEvents for Fallible<F>
    where
        F: Fn(&str, f64) -> Result<(), String> + Send + Sync + 'static,
    {
        fn price_changed(&self, symbol: &str, price: f64) {
            if let Err(error) = (self.0)(symbol, price) {
                std::panic::panic_any(error);
            }
        }

        fn traded(&self, symbol: &str, volume: u64) -> Result<(), String> {
            (self.0)(symbol, f64::from(u32::try_from(volume).unwrap()))
        }
    }
}

fn taping(broker: &Broker, tape: &Tape) {
    broker.register_component(tape.component("ledger")).unwrap();
}

#[test]
fn event_is_stored_when_the_fire_returns_and_delivered_by_the_next_broker() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    let report = stocks.price_changed("MSFT", 185.5);
    assert_eq!((report.accepted(), report.failed()), (1, 0));
    assert_eq!(broker.subscription_health(id()).unwrap().waiting(), 1);
    close(broker);
    let broker = open(&store);
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger MSFT 185.5"]);
    close(broker);
    // What was delivered is not delivered again, and nothing of it is left.
    let broker = open(&store);
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    close(broker);
    let mut left = 0;
    let mut count = |_: &[u8], _| {
        left += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.scan(&[0x81], &mut count).unwrap();
    assert_eq!(left, 0);
}

fn id() -> SubscriptionId {
    record(Queued::new()).id()
}

#[test]
fn events_come_in_the_order_in_which_they_were_accepted() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new().without_waiting());
    for price in 0..1_000 {
        stocks.price_changed("A", f64::from(price));
    }
    taping(&broker, &tape);
    for price in 1_000..2_000 {
        stocks.price_changed("A", f64::from(price));
    }
    assert!(broker.idle(LONG));
    let came = tape.take();
    let misplaced = (0..)
        .zip(&came)
        .find(|(place, line)| **line != format!("ledger A {place}"));
    assert_eq!((came.len(), misplaced), (2_000, None));
    close(broker);
}

#[test]
fn event_that_failed_is_tried_again_before_those_behind_it() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let fails = Arc::new(AtomicBool::new(true));
    let (failing, taped) = (Arc::clone(&fails), tape.clone());
    component(&broker, move |symbol, price| {
        let attempt = EventContext::current().unwrap().attempt();
        taped.write(format!("{symbol} {price} attempt {attempt}"));
        match failing.load(Ordering::Relaxed) {
            true => Err("no ink".to_owned()),
            false => Ok(()),
        }
    });
    let retry = Retry::after([MINUTE, MINUTE]).with_attempts_each(2);
    let stocks = queue(&broker, Queued::new().with_retry(retry));
    stocks.traded("A", 1);
    stocks.traded("B", 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["A 1 attempt 1", "A 1 attempt 2"]);
    fails.store(false, Ordering::Relaxed);
    clock.advance(MINUTE / 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    clock.advance(MINUTE);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["A 1 attempt 3", "B 2 attempt 1"]);
    assert!(broker.dead_letters().unwrap().is_empty());
}

#[test]
fn relaxed_queue_lets_others_pass_one_that_waits_for_its_next_attempt() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let taped = tape.clone();
    component(&broker, move |symbol, _| {
        let attempt = EventContext::current().unwrap().attempt();
        taped.write(format!("{symbol} {attempt}"));
        match (symbol, attempt) {
            ("bad", 1) => Err("not now".to_owned()),
            _ => Ok(()),
        }
    });
    let queued = Queued::new().with_retry(Retry::after([MINUTE]));
    let stocks = queue(&broker, queued.relaxed());
    stocks.traded("bad", 1);
    stocks.traded("good", 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["bad 1", "good 1"]);
    clock.advance(2 * MINUTE);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["bad 2"]);
    assert_eq!(broker.subscription_health(id()).unwrap().waiting(), 0);
}

#[test]
fn event_of_one_key_holds_back_no_other() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let taped = tape.clone();
    component(&broker, move |symbol, price| {
        taped.write(format!("{symbol} {price}"));
        match symbol {
            "bad" => Err("never".to_owned()),
            _ => Ok(()),
        }
    });
    let queued = Queued::new().with_retry(Retry::after([MINUTE]));
    let stocks = queue(&broker, queued.with_key("symbol"));
    stocks.traded("bad", 1);
    stocks.traded("bad", 2);
    stocks.traded("good", 3);
    assert!(broker.idle(LONG));
    let mut came = tape.take();
    came.sort();
    assert_eq!(came, ["bad 1", "good 3"]);
}

#[test]
fn many_dead_letters_are_purged_at_once_but_for_those_that_are_gone() {
    let store = shared();
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    component(&broker, |_, _| Err("no".to_owned()));
    (1..=5).for_each(|volume| _ = stocks.traded("A", volume));
    assert!(broker.idle(LONG));
    let letters = broker.dead_letters().unwrap();
    broker.purge(&letters[1]).unwrap();
    assert_eq!(broker.purge_all(&letters[..3]).unwrap(), 2);
    assert_eq!(broker.purge_all(&letters[..3]).unwrap(), 0);
    assert_eq!(broker.purge_all(&[]).unwrap(), 0);
    assert_eq!(broker.dead_letters().unwrap(), letters[3..]);
    close(broker);
    let broker = open(&store);
    assert_eq!(broker.dead_letters().unwrap(), letters[3..]);
    assert_eq!(broker.purge_all(&letters).unwrap(), 2);
    assert!(broker.dead_letters().unwrap().is_empty());
    let closed = broker.clone();
    close(broker);
    let refused = closed.purge_all(&letters).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn dead_letter_keeps_every_attempt_and_is_replayed_or_purged() {
    let (clock, store) = (VirtualClock::new(), shared());
    let open = || {
        let broker = builder().clock(&clock).store(Arc::clone(&store));
        broker.open().unwrap()
    };
    let broker = open();
    let (fails, keys) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let on = |fails: &Arc<AtomicBool>, keys: &Arc<Mutex<Vec<Uuid>>>| {
        let (fails, keys) = (Arc::clone(fails), Arc::clone(keys));
        move |_: &str, _| {
            let context = EventContext::current().unwrap();
            keys.lock().unwrap().push(context.idempotency_key());
            match fails.load(Ordering::Relaxed) {
                true => Err(format!("jam {}", context.attempt())),
                false => Ok(()),
            }
        }
    };
    component(&broker, on(&fails, &keys));
    let stocks = queue(&broker, Queued::new().with_retry(Retry::after([MINUTE])));
    stocks.traded("A", 7);
    stocks.traded("B", 8);
    for _ in 0..3 {
        assert!(broker.idle(LONG));
        clock.advance(2 * MINUTE);
    }
    assert!(broker.idle(LONG));
    let told = |notice: &Notice| matches!(notice, Notice::DeadLetter { attempts: 2, .. });
    assert_eq!(broker.notices().iter().filter(|it| told(it)).count(), 2);
    close(broker);
    // They outlive the broker.
    let broker = open();
    let letters = broker.dead_letters().unwrap();
    let [first, second] = &letters[..] else {
        panic!("{letters:?}");
    };
    assert_eq!((first.name(), first.method()), ("ledger", Some("traded")));
    assert_eq!(first.cause(), DeadLetterCause::Failed);
    let errors: Vec<_> = first.attempts().iter().map(|it| it.error()).collect();
    assert_eq!(errors, ["jam 1", "jam 2"]);
    assert!(first.attempts()[0].time() < first.attempts()[1].time());
    assert_eq!(first.values().get("symbol").unwrap().to_string(), "'A'");
    let exported = serde_json::to_string(&letters).unwrap();
    assert!(exported.contains(r#""cause":"failed""#), "{exported}");
    fails.store(false, Ordering::Relaxed);
    component(&broker, on(&fails, &keys));
    broker.replay(first).unwrap();
    broker.purge(second).unwrap();
    assert!(broker.idle(LONG));
    assert!(broker.dead_letters_of(id()).unwrap().is_empty());
    let gone = broker.replay(first).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    // The subscriber can tell that it is the same delivery.
    let keys = keys.lock().unwrap();
    assert_eq!((keys[0], keys.len()), (keys[4], 5));
    assert_ne!(keys[0], keys[2]);
    drop(keys);
    close(broker);
}

#[test]
fn full_queue_fails_drops_or_blocks_as_it_is_told_to() {
    let broker = builder().open().unwrap();
    let full = |overflow| Queued::new().with_capacity(2).with_overflow(overflow);
    let stocks = queue(&broker, full(Overflow::Fail));
    assert_eq!(
        (
            stocks.traded("A", 1).accepted(),
            stocks.traded("A", 2).accepted()
        ),
        (1, 1)
    );
    let report = stocks.traded("A", 3);
    let lines = report.lines();
    assert!(matches!(
        lines[0].outcome(),
        DeliveryOutcome::Failed(Failure::Overflow)
    ));
    assert_eq!(report.accepted(), 0);
    broker.store(&record(full(Overflow::DropNewest))).unwrap();
    let report = stocks.traded("A", 3);
    assert!(matches!(
        report.lines()[0].outcome(),
        DeliveryOutcome::Skipped(SkipReason::Dropped)
    ));
    broker.store(&record(full(Overflow::Block))).unwrap();
    let tape = Tape::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stocks.traded("A", 4).accepted());
        taping(&broker, &tape);
        assert_eq!(waiting.join().unwrap(), 1);
    });
    assert!(broker.idle(LONG));
    assert_eq!(tape.take().last().unwrap(), "ledger traded A 4");
}

#[test]
fn subscription_that_is_switched_off_keeps_what_waits() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    stocks.traded("A", 1);
    broker.disable(id()).unwrap();
    taping(&broker, &tape);
    assert_eq!(stocks.traded("A", 2).accepted(), 0, "it is not for it");
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 1"]);
    let keeps = record(Queued::new().keep_backlog());
    broker.store(&keeps).unwrap();
    broker.disable(id()).unwrap();
    assert_eq!(stocks.traded("A", 3).accepted(), 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 3"]);
    close(broker);
}

#[test]
fn events_wait_for_an_owner_who_is_not_logged_on() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    taping(&broker, &tape);
    let own = record(Queued::new()).to_builder().owner("ada").per_user();
    broker.ensure(&own.build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.traded("A", 1).accepted(), 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    let session = broker.log_on("ada").unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 1"]);
    drop(session);
    stocks.traded("A", 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    let _session = broker.log_on("ada").unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 2"]);
    close(broker);
}

#[test]
fn removed_subscription_gives_up_what_waits_and_says_so() {
    let store = shared();
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    stocks.traded("A", 1);
    stocks.traded("A", 2);
    broker.remove(id()).unwrap();
    assert!(broker.idle(LONG));
    let told = |notice: &Notice| matches!(notice, Notice::LaneDiscarded { count: 2, .. });
    assert!(broker.notices().iter().any(told));
    close(broker);
    for prefix in [[0x81], [0x82]] {
        let mut left = 0;
        let mut count = |_: &[u8], _| {
            left += 1;
            std::ops::ControlFlow::Continue(())
        };
        store.scan(&prefix, &mut count).unwrap();
        assert_eq!(left, 0);
    }
}

#[test]
fn one_stored_event_serves_all_who_wait_for_it() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    for name in ["b", "c"] {
        let other = record(Queued::new())
            .to_builder()
            .name(name)
            .component(name);
        let other = other.id(SubscriptionId::from(name)).build().unwrap();
        broker.ensure(&other).unwrap();
    }
    assert_eq!(stocks.traded("A", 1).accepted(), 3);
    let stored = |store: &Arc<dyn Store>| {
        let mut count = 0;
        let mut visit = |_: &[u8], _| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        store.scan(&[0x81], &mut visit).unwrap();
        count
    };
    assert_eq!(stored(&store), 1);
    taping(&broker, &tape);
    broker.register_component(tape.component("b")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!((tape.take().len(), stored(&store)), (2, 1));
    close(broker);
    // Those who have had it do not get it again, whoever still waits.
    let broker = open(&store);
    for name in ["ledger", "b", "c"] {
        broker.register_component(tape.component(name)).unwrap();
    }
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["c traded A 1"]);
    close(broker);
    assert_eq!(stored(&store), 0);
}

/// What one queue has had of what another waits for is remembered by the numbers of the events.
#[test]
fn events_have_numbers_that_none_had_before_however_often_the_broker_is_opened() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    let other = record(Queued::new()).to_builder().name("b").component("b");
    let other = other.id(SubscriptionId::from("b")).build().unwrap();
    broker.ensure(&other).unwrap();
    taping(&broker, &tape);
    for volume in 0..5 {
        assert_eq!(stocks.traded("A", volume).accepted(), 2);
    }
    assert!(broker.idle(LONG));
    broker.register_component(tape.component("b")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take().len(), 10);
    close(broker);
    // Nothing waits, and what is fired now is as new as ever.
    let broker = open(&store);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.traded("B", 6).accepted(), 2);
    close(broker);
    let broker = open(&store);
    taping(&broker, &tape);
    broker.register_component(tape.component("b")).unwrap();
    assert!(broker.idle(LONG));
    let mut came = tape.take();
    came.sort();
    assert_eq!(came, ["b traded B 6", "ledger traded B 6"]);
    close(broker);
}

#[test]
fn new_queue_gets_nothing_that_was_for_one_that_is_gone() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    let named = |name: &'static str| {
        let other = record(Queued::new()).to_builder().name(name).component("b");
        other.id(SubscriptionId::from(name)).build().unwrap()
    };
    broker.ensure(&named("gone")).unwrap();
    assert_eq!(stocks.traded("A", 1).accepted(), 2);
    broker.remove(SubscriptionId::from("gone")).unwrap();
    close(broker);
    let broker = open(&store);
    broker.ensure(&named("new")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.traded("B", 2).accepted(), 2);
    close(broker);
    let broker = open(&store);
    broker.register_component(tape.component("b")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["b traded B 2"]);
    close(broker);
}

#[test]
fn event_that_is_too_old_is_a_dead_letter() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let stocks = queue(&broker, Queued::new().with_time_to_live(MINUTE));
    stocks.traded("A", 1);
    clock.advance(2 * MINUTE);
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    let letters = broker.dead_letters().unwrap();
    assert_eq!(letters[0].cause(), DeadLetterCause::Expired);
    assert!(letters[0].attempts().is_empty());
}

#[test]
fn handler_of_final_failures_may_see_to_an_event_itself() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handled = Arc::clone(&seen);
    let broker = builder().on_final_failure(move |letter| {
        let symbol = letter.values().get("symbol").unwrap().to_string();
        let last = letter.attempts().last().unwrap().error().to_owned();
        handled.lock().unwrap().push(format!("{symbol}: {last}"));
        match &*symbol {
            "'A'" => FinalFailure::Resolved,
            "'B'" => FinalFailure::Keep,
            _ => panic!("nothing can be done"),
        }
    });
    let broker = broker.open().unwrap();
    component(&broker, |symbol, _| Err(format!("no {symbol}")));
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    for symbol in ["A", "B", "C"] {
        stocks.traded(symbol, 1);
    }
    assert!(broker.idle(LONG));
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, ["'A': no A", "'B': no B", "'C': no C"]);
    let letters = broker.dead_letters().unwrap();
    let left = letters.iter().map(|it| it.attempts()[0].error());
    assert_eq!(left.collect::<Vec<_>>(), ["no B", "no C"]);
}

#[test]
fn open_breaker_costs_a_queue_no_attempt() {
    let (clock, calls) = (VirtualClock::new(), Arc::new(AtomicU32::new(0)));
    let broker = builder().clock(&clock).open().unwrap();
    let called = Arc::clone(&calls);
    component(&broker, move |_, _| {
        match called.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err("down".to_owned()),
            _ => Ok(()),
        }
    });
    let queued = Queued::new().with_retry(Retry::after([Duration::from_secs(1); 9]));
    let breaker = Breaker::after(2).with_back_off(10 * MINUTE);
    let guarded = record(queued)
        .to_builder()
        .breaker(breaker)
        .build()
        .unwrap();
    broker.ensure(&guarded).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.traded("A", 1);
    for _ in 0..5 {
        assert!(broker.idle(LONG));
        clock.advance(MINUTE);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    clock.advance(10 * MINUTE);
    assert!(broker.idle(LONG));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert_eq!(broker.subscription_health(id()).unwrap().waiting(), 0);
}

#[test]
fn alarm_of_a_trigger_waits_in_the_queue_too() {
    let (clock, store, tape) = (VirtualClock::new(), shared(), Tape::new());
    let open = || {
        let broker = builder().clock(&clock).store(Arc::clone(&store));
        broker.open().unwrap()
    };
    let broker = open();
    let alarm = record(Queued::new())
        .to_builder()
        .method("price_changed")
        .filter("price > 10");
    let alarm = alarm.trigger(Trigger::on_becoming_true().lasting(MINUTE));
    broker.ensure(&alarm.id(id()).build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("A", 11.0);
    clock.advance(2 * MINUTE);
    assert!(broker.idle(LONG));
    close(broker);
    let broker = open();
    let (why, taped) = (Arc::new(Mutex::new(None)), tape.clone());
    let said = Arc::clone(&why);
    let on = move |symbol: &str, _| {
        *said.lock().unwrap() = EventContext::current().unwrap().trigger();
        taped.write(symbol);
    };
    let on = Arc::new(on);
    let made = move || {
        let on = Arc::clone(&on);
        OnPrice(move |symbol: &str, price| on(symbol, price))
    };
    let ledger = Component::new("ledger", made).implements::<dyn StockEvents>();
    broker.register_component(ledger).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["A"]);
    assert_eq!(*why.lock().unwrap(), Some(loosely::Triggered::BecameTrue));
    close(broker);
}

#[test]
fn queue_that_cannot_be_is_refused_where_it_is_written() {
    let live = Subscription::builder("live")
        .to::<dyn StockEvents>()
        .object()
        .queued();
    let error = live.build().unwrap_err().to_string();
    assert!(
        error.contains("a live object is gone when the process is"),
        "{error}"
    );
    let broker = builder().open().unwrap();
    let class = EventClass::new("class", "Class").with_delivery(Queued::new());
    let error = broker.register_class::<dyn StockEvents>(class).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot be the default of a class"),
        "{error}"
    );
}

#[test]
fn second_broker_on_one_store_leaves_its_queues_alone() {
    let (store, tape) = (shared(), Tape::new());
    let (first, second) = (open(&store), open(&store));
    queue(&first, Queued::new());
    taping(&first, &tape);
    let report = second
        .publisher::<dyn StockEvents>()
        .unwrap()
        .traded("A", 1);
    assert_eq!((report.accepted(), report.failed()), (0, 1));
    let line = report.lines()[0].to_string();
    assert!(
        line.contains("another broker of this process has the queues"),
        "{line}"
    );
    first.publisher::<dyn StockEvents>().unwrap().traded("B", 2);
    assert!(first.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded B 2"]);
    close(first);
    close(second);
}

/// Numbers of queues were given twice: the second broker deleted what its own would have
/// remembered, which was the memory of another queue.
#[test]
fn second_broker_on_one_store_ends_no_queue_of_the_first_when_subscriptions_go() {
    let (store, tape) = (shared(), Tape::new());
    let (first, second) = (open(&store), open(&store));
    let named = |name: &str| {
        let record = Subscription::builder(name).to::<dyn StockEvents>();
        let record = record.component(name).delivery(Queued::new());
        record.build().unwrap()
    };
    let records = ["a", "b", "c", "d"].map(named);
    for record in &records {
        first.ensure(record).unwrap();
    }
    let stocks = first.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.traded("A", 1).accepted(), 4);
    first.remove(records[0].id()).unwrap();
    second
        .publisher::<dyn StockEvents>()
        .unwrap()
        .traded("B", 2);
    first.remove(records[2].id()).unwrap();
    second.remove(records[3].id()).unwrap();
    assert!(first.idle(LONG) && second.idle(LONG));
    close(second);
    close(first);
    let broker = open(&store);
    broker.register_component(tape.component("b")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["b traded A 1"]);
    close(broker);
}

#[test]
fn dead_letters_that_several_replay_at_once_come_once() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    component(&broker, |_, _| Err("no".to_owned()));
    (1..=200).for_each(|volume| _ = stocks.traded("A", volume));
    assert!(broker.idle(LONG));
    broker.unregister_component("ledger");
    let letters = broker.dead_letters().unwrap();
    let each = |letter: &DeadLetter| usize::from(broker.replay(letter).is_ok());
    let replayed: usize = std::thread::scope(|scope| {
        let one = scope.spawn(|| letters.iter().map(each).sum::<usize>());
        let other = scope.spawn(|| letters.iter().map(each).sum::<usize>());
        let all = scope.spawn(|| broker.replay_all(&letters).unwrap());
        [one, other, all].map(|it| it.join().unwrap()).iter().sum()
    });
    assert_eq!(replayed, 200);
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 200);
    assert!(broker.dead_letters().unwrap().is_empty());
    close(broker);
}

/// Those who ask wrote what was pending until nothing was, and under load something always is.
#[test]
fn dead_letters_are_listed_while_events_come_without_a_pause() {
    let _watchdog = Watchdog::new();
    let (broker, tape) = (builder().open().unwrap(), Tape::new());
    let stocks = queue(&broker, Queued::new());
    taping(&broker, &tape);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    stocks.traded("A", 1);
                }
            });
        }
        for _ in 0..20 {
            assert!(broker.dead_letters().unwrap().is_empty());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    close(broker);
}
