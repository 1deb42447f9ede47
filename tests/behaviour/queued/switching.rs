//! Queues whose subscription is switched, removed, or has none any more.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use loosely::testing::Watchdog;
use loosely::{ErrorKind, EventClass, EventContext, Queued, Retry};

use super::{LONG, MINUTE, builder, close, component, id, open, queue, record, shared, taping};
use crate::support::{StockEvents, Tape};

/// One class after the other let go of a subscription that was switched off, and in between a later
/// event of the second came before an earlier one of the first.
#[test]
fn events_of_several_classes_stay_in_order_when_their_subscription_is_switched_off() {
    let (broker, tape) = (builder().open().unwrap(), Tape::new());
    let classes = ["a", "b", "c"].map(|name| {
        let class = EventClass::new(name, name);
        broker.register_class::<dyn StockEvents>(class).unwrap()
    });
    broker
        .ensure(&record(Queued::new().keep_backlog()))
        .unwrap();
    taping(&broker, &tape);
    let all = classes.map(|class| broker.publisher_of::<dyn StockEvents>(class).unwrap());
    let mut fired = 0;
    for _ in 0..300 {
        broker.enable(id()).unwrap();
        for stocks in all.iter().cycle().take(7) {
            stocks.traded("A", fired);
            fired += 1;
        }
        broker.disable(id()).unwrap();
    }
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    let expected: Vec<_> = (0..fired)
        .map(|it| format!("ledger traded A {it}"))
        .collect();
    assert_eq!(tape.take(), expected);
}

/// A queue that was left goes on delivering what is in it, and took dead letters in, which nobody
/// delivered then.
#[test]
fn dead_letter_of_a_subscription_without_a_queue_is_not_replayed() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    component(&broker, |_, _| Err("no".to_owned()));
    stocks.traded("A", 1);
    assert!(broker.idle(LONG));
    let letters = broker.dead_letters().unwrap();
    let queued = record(Queued::new().with_retry(Retry::never()));
    let inline = queued.to_builder().without_delivery().build().unwrap();
    broker.store(&inline).unwrap();
    let refused = broker.replay(&letters[0]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(broker.dead_letters().unwrap(), letters);
    broker.store(&queued).unwrap();
    broker.unregister_component("ledger");
    taping(&broker, &tape);
    broker.replay(&letters[0]).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 1"]);
    close(broker);
}

#[test]
fn dead_letter_is_replayed_to_a_subscription_that_is_switched_off_and_new_again() {
    let (broker, tape) = (builder().open().unwrap(), Tape::new());
    let terms = Queued::new().with_retry(Retry::never());
    let stocks = queue(&broker, terms.clone());
    component(&broker, |_, _| Err("no".to_owned()));
    stocks.traded("A", 1);
    assert!(broker.idle(LONG));
    broker.remove(id()).unwrap();
    let off = record(terms).to_builder().disabled().build().unwrap();
    broker.ensure(&off).unwrap();
    let letters = broker.dead_letters().unwrap();
    broker.replay(&letters[0]).unwrap();
    broker.unregister_component("ledger");
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded A 1"]);
    close(broker);
}

/// It was taken back with all that waited, and its failure was nobody's: it came again for ever as
/// long as somebody switched often enough.
#[test]
fn attempt_that_fails_behind_the_switch_counts() {
    let (broker, tape) = (builder().open().unwrap(), Tape::new());
    let terms = Queued::new().with_retry(Retry::after([MINUTE]));
    let stocks = queue(&broker, terms.keep_backlog());
    let (begun, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let (ends, taped) = (Mutex::new(ends), tape.clone());
    component(&broker, move |_, _| {
        let attempt = EventContext::current().unwrap().attempt();
        taped.write(attempt.to_string());
        begun.send(()).unwrap();
        ends.lock().unwrap().recv().unwrap();
        Err("no".to_owned())
    });
    stocks.traded("A", 1);
    begins.recv().unwrap();
    broker.disable(id()).unwrap();
    end.send(()).unwrap();
    assert!(broker.idle(LONG));
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["1"], "the second attempt is not due");
    close(broker);
}

/// What waits for a component was taken out of the lane, and whoever closed the broker waited for
/// the lane all the same, as long as it was to.
#[test]
fn close_does_not_wait_for_a_queue_that_was_switched_off_while_nobody_could_be_called() {
    let _watchdog = Watchdog::new();
    for terms in [Queued::new(), Queued::new().keep_backlog()] {
        for is_removed in [false, true] {
            let broker = builder().open().unwrap();
            let stocks = queue(&broker, terms.clone());
            stocks.traded("A", 1);
            assert!(broker.idle(LONG));
            match is_removed {
                true => _ = broker.remove(id()).unwrap(),
                false => broker.disable(id()).unwrap(),
            }
            broker.close(Duration::MAX).unwrap();
        }
    }
}

/// The next attempt was a quarter of an hour away, and whoever closed the broker waited for it.
#[test]
fn close_does_not_wait_for_the_next_attempt_of_a_queue_that_was_switched_off() {
    let _watchdog = Watchdog::new();
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let terms = Queued::new().with_retry(Retry::after([MINUTE]));
    let stocks = queue(&broker, terms.keep_backlog());
    component(&broker, |_, _| Err("no".to_owned()));
    stocks.traded("A", 1);
    assert!(broker.idle(LONG));
    broker.disable(id()).unwrap();
    broker.close(Duration::MAX).unwrap();
    drop(broker);
    let broker = open(&store);
    taping(&broker, &tape);
    broker.enable(id()).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(broker.subscription_health(id()).unwrap().waiting(), 1);
    close(broker);
}
