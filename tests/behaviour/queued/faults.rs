//! Queues over a store that fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use loosely::testing::{FailedWrite, Fault, FaultyEngine, VolatileEngine};
use loosely::{
    Broker, DeliveryOutcome, Engine, ErrorKind, Failure, LocalStore, Notice, Queued, Retry, Store,
    StoreOptions,
};

use super::{LONG, builder, close, component, id, queue, taping};
use crate::support::{StockEvents, Tape};

fn over<E: Engine>(engine: &FaultyEngine<E>) -> Arc<dyn Store> {
    let options = StoreOptions::new().without_copy();
    let options = options.back_off(Duration::ZERO, Duration::ZERO);
    Arc::new(LocalStore::with_engine(engine.clone(), options).unwrap())
}

/// Opens a broker over an engine, without a pause behind its failures.
pub(super) fn broker<E: Engine>(engine: &FaultyEngine<E>) -> Broker {
    builder().store(over(engine)).open().unwrap()
}

/// Waits until what could not be written has been: that is tried again after a second.
fn settled(broker: &Broker) {
    assert!(broker.idle(LONG));
}

#[test]
fn event_that_cannot_be_stored_is_a_failure_of_the_fire() {
    let engine = FaultyEngine::new();
    let (broker, tape) = (broker(&engine), Tape::new());
    let stocks = queue(&broker, Queued::new());
    taping(&broker, &tape);
    stocks.traded("A", 1);
    engine.writes().from(1, Fault::fail("the disk is full"));
    let report = stocks.traded("B", 2);
    assert_eq!((report.accepted(), report.failed()), (0, 1));
    let why = report.lines()[0].outcome();
    assert!(matches!(
        why,
        DeliveryOutcome::Failed(Failure::NotStored(_))
    ));
    engine.writes().clear();
    assert_eq!(stocks.traded("C", 3).accepted(), 1);
    settled(&broker);
    let came = tape.take();
    assert_eq!(came.first().map(String::as_str), Some("ledger traded A 1"));
    assert_eq!(came.last().map(String::as_str), Some("ledger traded C 3"));
    close(broker);
}

#[test]
fn fire_that_did_not_wait_is_told_of_by_a_notice() {
    let engine = FaultyEngine::new();
    let broker = broker(&engine);
    let stocks = queue(&broker, Queued::new().without_waiting());
    engine.writes().from(1, Fault::fail("the disk is full"));
    assert_eq!(stocks.traded("A", 1).accepted(), 1);
    let told = |notice: &Notice| matches!(notice, Notice::QueueFailed { lost: 1, .. });
    while !broker.notices().iter().any(told) {
        std::thread::yield_now();
    }
    engine.writes().clear();
}

/// Whatever call of the engine fails, and however much it has done by then: what was accepted is
/// delivered, by this broker or by the next, and what was never fired is not.
#[test]
fn nothing_that_was_accepted_is_lost_whichever_call_fails() {
    for failed_write in [
        FailedWrite::Nothing,
        FailedWrite::Half,
        FailedWrite::Everything,
    ] {
        for nth in 1..40 {
            survives(failed_write, nth);
        }
    }
}

fn survives(failed_write: FailedWrite, nth: usize) {
    let engine = FaultyEngine::with_failed_writes(failed_write);
    let (first, tape) = (broker(&engine), Tape::new());
    let stocks = queue(&first, Queued::new());
    taping(&first, &tape);
    engine.all().at(nth, Fault::fail("out of order"));
    let accepted = |price: &u64| stocks.traded("A", *price).accepted() == 1;
    let accepted: BTreeSet<_> = (1..=6).filter(accepted).collect();
    engine.all().clear();
    let _ = first.close(LONG);
    // As opening a medium does, this takes back what is there in part.
    engine.reopen().unwrap();
    let second = broker(&engine);
    taping(&second, &tape);
    // Finds those who receive, of whom nobody has asked yet.
    second.publisher::<dyn StockEvents>().unwrap();
    settled(&second);
    close(second);
    let came = tape.take().into_iter();
    let came: Vec<u64> = came
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    let lost: Vec<_> = accepted.iter().filter(|it| !came.contains(it)).collect();
    assert!(
        lost.is_empty(),
        "{failed_write:?} {nth}: {lost:?} of {came:?}"
    );
    assert!(came.iter().all(|price| (1..=6).contains(price)));
}

#[test]
fn dead_letter_that_cannot_be_replayed_stays_what_it_is() {
    let engine = FaultyEngine::new();
    let (broker, tape) = (broker(&engine), Tape::new());
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    component(&broker, |_, _| Err("no".to_owned()));
    stocks.traded("A", 1);
    settled(&broker);
    let letters = broker.dead_letters().unwrap();
    engine.writes().from(1, Fault::fail("the disk is full"));
    let error = broker.replay(&letters[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    engine.writes().clear();
    assert_eq!(broker.dead_letters().unwrap(), letters);
    broker.unregister_component("ledger");
    taping(&broker, &tape);
    broker.replay(&letters[0]).unwrap();
    settled(&broker);
    assert_eq!(tape.take(), ["ledger traded A 1"]);
    close(broker);
}

/// The removal was stored, and the power went before what waited was cleared away. Whoever had the
/// id next found it in the queue.
#[test]
fn subscription_that_is_back_after_a_crash_has_nothing_that_its_removal_gave_up() {
    for kept in 0..2 {
        let medium = VolatileEngine::new();
        let engine = FaultyEngine::over(medium.clone());
        let first = broker(&engine);
        let stocks = queue(&first, Queued::new());
        stocks.traded("A", 1);
        let cut = medium.clone();
        engine
            .writes()
            .at(2, Fault::run(move || cut.cut_power(kept)));
        first.remove(id()).unwrap();
        medium.cut_power(0);
        drop((first, stocks));

        let engine = FaultyEngine::over(medium.restarted());
        let (second, tape) = (broker(&engine), Tape::new());
        let stocks = queue(&second, Queued::new());
        taping(&second, &tape);
        stocks.traded("B", 2);
        settled(&second);
        assert_eq!(tape.take(), ["ledger traded B 2"]);
        close(second);
    }
}

/// The store says that nobody knows, opens itself again and lists what it has: the queue of a
/// subscription that is not there any more was left, and had no memory.
#[test]
fn subscription_whose_removal_is_found_out_later_takes_its_queue_along() {
    let engine = FaultyEngine::with_failed_writes(FailedWrite::Everything);
    let (first, tape) = (broker(&engine), Tape::new());
    let stocks = queue(&first, Queued::new());
    assert_eq!(stocks.traded("A", 1).accepted(), 1);
    engine.writes().at(1, Fault::fail("out of order"));
    let removed = first.remove(id()).unwrap_err();
    assert_eq!(removed.kind(), ErrorKind::Uncertain);
    engine.writes().clear();
    // Whatever reads the store has it opened again.
    assert_eq!(first.trees().unwrap(), Vec::<String>::new());
    assert!(first.subscription(id()).is_none());
    let stocks = queue(&first, Queued::new());
    assert_eq!(stocks.traded("B", 2).accepted(), 1);
    first.close(LONG).unwrap();
    engine.reopen().unwrap();
    let second = broker(&engine);
    taping(&second, &tape);
    assert!(second.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded B 2"]);
    close(second);
}
