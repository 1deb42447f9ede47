//! What is being delivered while its broker is closed.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use loosely::testing::Watchdog;
use loosely::{Component, DeliveryMode, Detached, ErrorKind, EventContext, Queued, Retry, Tree};

use super::{LONG, close, component, open, queue, record, shared, taping};
use crate::support::{OnPrice, StockEvents, Tape};

/// It was an attempt like any other, and for the store's sake it fails then as a rule: of a queue
/// that tries once the event was a dead letter.
#[test]
fn attempt_that_fails_while_the_broker_is_closed_is_none() {
    let _watchdog = Watchdog::new();
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new().with_retry(Retry::never()));
    let (begun, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let ends = std::sync::Mutex::new(ends);
    component(&broker, move |_, _| {
        begun.send(()).unwrap();
        ends.lock().unwrap().recv().unwrap();
        Err("out of time".to_owned())
    });
    stocks.traded("A", 1);
    stocks.traded("B", 2);
    begins.recv().unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| broker.close(LONG));
        // Closed for all but those who are being called.
        while broker.dead_letters().map_err(|it| it.kind()) != Err(ErrorKind::Closed) {
            thread::yield_now();
        }
        end.send(()).unwrap();
        closing.join().unwrap().unwrap();
    });
    drop(broker);
    let broker = open(&store);
    assert!(broker.dead_letters().unwrap().is_empty());
    let taped = tape.clone();
    component(&broker, move |symbol, _| {
        let attempt = EventContext::current().unwrap().attempt();
        taped.write(format!("{symbol} {attempt}"));
        Ok(())
    });
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["A 1", "B 1"]);
    close(broker);
}

#[test]
fn what_ends_well_while_the_broker_is_closed_does_not_come_again() {
    let _watchdog = Watchdog::new();
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    let (begun, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let ends = std::sync::Mutex::new(ends);
    let tree = broker.tree("trades").unwrap();
    component(&broker, move |symbol, _| {
        begun.send(()).unwrap();
        ends.lock().unwrap().recv().unwrap();
        tree.insert(symbol, "1").map_err(|it| it.to_string())?;
        Ok(())
    });
    stocks.traded("A", 1);
    stocks.traded("B", 2);
    begins.recv().unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| broker.close(LONG));
        while broker.trees().is_ok() {
            thread::yield_now();
        }
        end.send(()).unwrap();
        closing.join().unwrap().unwrap();
    });
    drop(broker);
    let broker = open(&store);
    let trades = broker.tree("trades").unwrap();
    assert!(trades.get("A").unwrap().is_some());
    taping(&broker, &tape);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded B 2"]);
    close(broker);
}

/// What waits in a lane is delivered before the broker is closed, to those who write it down too.
#[test]
fn subscriber_may_use_the_store_as_long_as_closing_waits_for_it() {
    let _watchdog = Watchdog::new();
    let store = shared();
    let broker = open(&store);
    let detached = record(Queued::new()).to_builder();
    let detached = detached
        .delivery(DeliveryMode::Detached(Detached::new()))
        .build()
        .unwrap();
    broker.ensure(&detached).unwrap();
    let (begun, begins) = mpsc::channel();
    let tree: Tree = broker.tree("prices").unwrap();
    let keeper = Component::new("ledger", move || {
        let (begun, tree) = (begun.clone(), tree.clone());
        OnPrice(move |symbol: &str, _| {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(2));
            tree.insert(symbol, "1").unwrap();
        })
    });
    let keeper = keeper.implements::<dyn StockEvents>();
    broker.register_component(keeper).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let symbols: Vec<_> = (0..20).map(|it| format!("S{it:02}")).collect();
    for symbol in &symbols {
        stocks.price_changed(symbol, 1.0);
    }
    begins.recv().unwrap();
    broker.close(LONG).unwrap();
    let trees = broker.trees().unwrap_err();
    assert_eq!(trees.kind(), ErrorKind::Closed);
    drop(broker);
    let broker = open(&store);
    let kept = broker.tree("prices").unwrap();
    let kept = kept.starting_with("").unwrap();
    let kept: Vec<_> = kept.map(|it| it.unwrap().0).collect();
    assert_eq!(
        kept,
        symbols.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
    close(broker);
}
