//! Events that are stored in the commit of a transaction.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use loosely::testing::{FailedWrite, Fault, FaultyEngine};
use loosely::{Engine, ErrorKind, EventContext, Overflow, Queued, ValueRef};

use super::faults::broker;
use super::{LONG, builder, close, component, open, queue, record, shared, taping};
use crate::support::{OnPrice, StockEvents, StockEventsPriceChanged, StockEventsTraded, Tape};

#[test]
fn event_leaves_with_the_commit_and_not_without() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = queue(&broker, Queued::new());
    taping(&broker, &tape);
    let orders = broker.tree("orders").unwrap();

    let mut dropped = broker.transaction();
    dropped.tree("orders").unwrap().insert("1", "a").unwrap();
    dropped
        .fire(&stocks, StockEventsTraded::new("dropped", 1))
        .unwrap();
    drop(dropped);

    let mut refused = broker.transaction();
    refused.tree("orders").unwrap().expect("1", "b").unwrap();
    refused
        .fire(&stocks, StockEventsTraded::new("refused", 1))
        .unwrap();
    assert_eq!(refused.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(broker.idle(LONG));
    assert_eq!((tape.len(), orders.get("1").unwrap()), (0, None));

    let by_name = broker.dynamic_publisher(stocks.class_id()).unwrap();
    let mut made = broker.transaction();
    made.tree("orders").unwrap().insert("1", "a").unwrap();
    made.fire(&stocks, StockEventsTraded::new("made", 1))
        .unwrap();
    made.fire_dynamic(
        &by_name,
        "traded",
        &[ValueRef::Str("by name"), ValueRef::U64(2)],
    )
    .unwrap();
    assert_eq!(made.commit().unwrap().queued(), 2);
    assert!(broker.idle(LONG));
    assert_eq!(
        tape.take(),
        ["ledger traded made 1", "ledger traded by name 2"]
    );
    close(broker);
}

#[test]
fn those_without_a_queue_get_the_same_event_behind_the_commit() {
    let broker = builder().open().unwrap();
    let stocks = queue(&broker, Queued::new());
    let ids = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&ids);
    component(&broker, move |_, _| {
        let context = EventContext::current().unwrap();
        noted.lock().unwrap().push(context.event_id());
        Ok(())
    });
    let (seen, noted) = (broker.tree("orders").unwrap(), Arc::clone(&ids));
    let live = OnPrice(move |_: &str, _| {
        let is_committed = seen.get("1").unwrap().is_some();
        assert!(is_committed);
        noted
            .lock()
            .unwrap()
            .push(EventContext::current().unwrap().event_id());
    });
    let guard = broker.subscribe::<dyn StockEvents>(Arc::new(live)).unwrap();
    let mut order = broker.transaction();
    order.tree("orders").unwrap().insert("1", "a").unwrap();
    order
        .fire(&stocks, StockEventsPriceChanged::new("A", 1.0))
        .unwrap();
    assert_eq!(order.commit().unwrap().queued(), 1);
    assert!(broker.idle(LONG));
    let ids = ids.lock().unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    guard.close();
}

#[test]
fn full_queue_keeps_a_transaction_from_its_commit() {
    let broker = builder().open().unwrap();
    let full = Queued::new()
        .with_capacity(1)
        .with_overflow(Overflow::Block);
    let stocks = queue(&broker, full);
    stocks.traded("A", 1);
    let mut order = broker.transaction();
    order.tree("orders").unwrap().insert("1", "a").unwrap();
    order.fire(&stocks, StockEventsTraded::new("B", 1)).unwrap();
    let error = order.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is full"), "{error}");
    assert_eq!(broker.tree("orders").unwrap().get("1").unwrap(), None);
    let losing = Queued::new()
        .with_capacity(1)
        .with_overflow(Overflow::DropNewest);
    broker.store(&record(losing)).unwrap();
    let mut order = broker.transaction();
    order.fire(&stocks, StockEventsTraded::new("B", 1)).unwrap();
    assert_eq!(order.commit().unwrap().queued(), 0);
}

/// Whatever call of the engine fails: an order has its event, and an event its order.
#[test]
fn order_and_event_are_there_together_or_not_at_all() {
    for failed_write in [
        FailedWrite::Nothing,
        FailedWrite::Half,
        FailedWrite::Everything,
    ] {
        for nth in 1..40 {
            agree(failed_write, nth);
        }
    }
}

fn agree(failed_write: FailedWrite, nth: usize) {
    let engine = FaultyEngine::with_failed_writes(failed_write);
    let first = broker(&engine);
    let stocks = queue(&first, Queued::new());
    first.tree("orders").unwrap().insert("0", "").unwrap();
    engine.all().at(nth, Fault::fail("out of order"));
    for number in 1..=5 {
        let mut order = first.transaction();
        let mut orders = order.tree("orders").unwrap();
        orders.insert(number.to_string(), "").unwrap();
        order
            .fire(&stocks, StockEventsTraded::new("A", number))
            .unwrap();
        let _ = order.commit();
    }
    engine.all().clear();
    let _ = first.close(LONG);
    engine.reopen().unwrap();
    let (second, tape) = (broker(&engine), Tape::new());
    taping(&second, &tape);
    second.publisher::<dyn StockEvents>().unwrap();
    assert!(second.idle(LONG));
    let orders = second.tree("orders").unwrap();
    let all = orders.starting_with("").unwrap().map(|it| it.unwrap().0);
    let ordered: BTreeSet<_> = all
        .map(|key| String::from_utf8(key).unwrap())
        .filter(|number| number != "0")
        .collect();
    let told = tape.take().into_iter();
    let told: BTreeSet<_> = told
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(ordered, told, "{failed_write:?} {nth}");
    close(second);
}

#[test]
fn subscription_of_the_same_transaction_is_not_there_yet() {
    let broker = builder().open().unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let mut both = broker.transaction();
    both.ensure(&record(Queued::new())).unwrap();
    both.fire(&stocks, StockEventsTraded::new("A", 1)).unwrap();
    assert_eq!(both.commit().unwrap().queued(), 0);
    let mut next = broker.transaction();
    next.fire(&stocks, StockEventsTraded::new("A", 2)).unwrap();
    assert_eq!(next.commit().unwrap().queued(), 1);
}

/// The memory of the queue was written again behind its removal, as the event was its first: after
/// a crash right then whoever had the id next got the event.
#[test]
fn event_for_a_subscription_that_the_transaction_removes_is_nobodys_after_a_crash_either() {
    let (engine, tape) = (FaultyEngine::new(), Tape::new());
    let first = broker(&engine);
    let stocks = queue(&first, Queued::new());
    let mut last = first.transaction();
    last.fire(&stocks, StockEventsTraded::new("A", 1)).unwrap();
    last.remove(super::id()).unwrap();
    // Nothing behind the commit reaches the disk: as if the process were killed.
    engine.writes().from(2, Fault::fail("killed"));
    assert_eq!(last.commit().unwrap().removed(), [super::id()]);
    let _ = first.close(LONG);
    engine.writes().clear();
    engine.reopen().unwrap();
    let second = broker(&engine);
    let stocks = queue(&second, Queued::new());
    taping(&second, &tape);
    stocks.traded("B", 2);
    assert!(second.idle(LONG));
    assert_eq!(tape.take(), ["ledger traded B 2"]);
    close(second);
}
