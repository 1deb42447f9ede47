//! Past events that classes keep.

use std::sync::Arc;
use std::time::Duration;

use loosely::testing::{Fault, FaultyEngine, VirtualClock};
use loosely::{
    Broker, Cascade, ErrorKind, EventClass, History, Queued, Start, Store, Subscription, Value,
};

use super::faults::broker as broker_over;
use super::{LONG, MINUTE, builder, close, open, shared};
use crate::support::{StockEvents, StockEventsPublisher, StockEventsTraded, Tape};

pub(super) fn all() -> History {
    History::new().with_count(1_000_000)
}

pub(super) fn keeping(broker: &Broker, history: History) -> StockEventsPublisher {
    let class = EventClass::new("stocks", "Stocks").with_history(history);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.publisher_of::<dyn StockEvents>("stocks").unwrap()
}

pub(super) fn follower(name: &str, start: Start) -> Subscription {
    following(name, Queued::new().starting_at(start), None)
}

pub(super) fn following(name: &str, queue: Queued, filter: Option<&str>) -> Subscription {
    let record = Subscription::builder(name).class("stocks");
    let mut record = record.component(name).delivery(queue);
    if let Some(filter) = filter {
        record = record.filter(filter);
    }
    record.build().unwrap()
}

pub(super) fn follow(broker: &Broker, tape: &Tape, name: &str, start: Start) {
    broker.register_component(tape.component(name)).unwrap();
    broker.ensure(&follower(name, start)).unwrap();
}

pub(super) fn positions(broker: &Broker) -> Vec<u64> {
    let past = broker.past_events("stocks", 0, usize::MAX).unwrap();
    past.iter().map(|event| event.position()).collect()
}

pub(super) fn symbols(broker: &Broker) -> Vec<String> {
    let past = broker.past_events("stocks", 0, usize::MAX).unwrap();
    let symbol = |event: &loosely::PastEvent| match event.values().get("symbol") {
        Some(Value::Str(symbol)) => symbol.to_string(),
        other => panic!("{other:?}"),
    };
    past.iter().map(symbol).collect()
}

#[test]
fn past_event_says_what_it_was() {
    let broker = open(&shared());
    let stocks = keeping(&broker, all());
    stocks.price_changed("A", 1.5);
    let past = broker.past_events("stocks", 0, 10).unwrap();
    assert_eq!(past.len(), 1);
    assert_eq!(past[0].method(), Some("price_changed"));
    assert_eq!(past[0].values().get("price"), Some(&Value::F64(1.5)));
    assert_eq!(past[0].class(), stocks.class_id());
    let behind = past[0].position() + 1;
    assert!(broker.past_events("stocks", behind, 10).unwrap().is_empty());
    assert!(broker.past_events("stocks", 0, 0).unwrap().is_empty());
    assert!(broker.past_events("none", 0, 10).unwrap().is_empty());
    close(broker);
}

#[test]
fn history_keeps_the_youngest_that_fit_its_limits() {
    let (clock, store) = (VirtualClock::new(), shared());
    let opened = || {
        let builder = builder().store(Arc::clone(&store)).clock(&clock);
        builder.open().unwrap()
    };
    let broker = opened();
    let stocks = keeping(&broker, History::new().with_count(3).with_age(MINUTE));
    for symbol in ["A", "B", "C", "D"] {
        stocks.traded(symbol, 1);
    }
    assert_eq!(symbols(&broker), ["B", "C", "D"]);
    clock.advance(MINUTE / 2);
    stocks.traded("E", 1);
    assert_eq!(symbols(&broker), ["C", "D", "E"]);
    clock.advance(MINUTE / 2);
    assert!(broker.idle(LONG));
    assert_eq!(symbols(&broker), ["E"]);
    close(broker);
    clock.advance(MINUTE);
    let broker = opened();
    keeping(&broker, History::new().with_count(3).with_age(MINUTE));
    assert_eq!(symbols(&broker), [""; 0]);
    close(broker);
    assert_eq!(left(&*store), 0);
}

#[test]
fn history_of_few_bytes_keeps_few_events() {
    let broker = open(&shared());
    let stocks = keeping(&broker, History::new().with_bytes(2_000));
    for volume in 0..100 {
        stocks.traded("A", volume);
    }
    let kept = positions(&broker).len();
    assert!((2..50).contains(&kept), "{kept}");
    stocks.traded(&"long ".repeat(1_000), 1);
    assert_eq!(positions(&broker).len(), 0);
    close(broker);
}

pub(super) fn left(store: &dyn Store) -> usize {
    let mut left = 0;
    let mut count = |_: &[u8], _| {
        left += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.scan(&[0x81], &mut count).unwrap();
    left
}

pub(super) fn taping_as(broker: &Broker, tape: &Tape, name: &str) {
    broker.register_component(tape.component(name)).unwrap();
}

#[test]
fn class_that_keeps_none_any_more_leaves_nothing_behind() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    broker.ensure(&follower("late", Start::Oldest)).unwrap();
    let class = broker.class("stocks").unwrap();
    broker.update_class(&class.without_history()).unwrap();
    assert!(positions(&broker).is_empty());
    stocks.traded("B", 2);
    taping_as(&broker, &tape, "late");
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["late traded A 1", "late traded B 2"]);
    close(broker);
    assert_eq!(left(&*store), 0);
}

#[test]
fn position_is_given_once_though_nothing_is_left() {
    let (clock, store) = (VirtualClock::new(), shared());
    let mut last = 0;
    for _ in 0..3 {
        let builder = builder().store(Arc::clone(&store)).clock(&clock);
        let broker = builder.open().unwrap();
        let stocks = keeping(&broker, History::new().with_age(MINUTE));
        stocks.traded("A", 1);
        let position = *positions(&broker).last().unwrap();
        assert!(position > last, "{position} after {last}");
        last = position;
        clock.advance(MINUTE);
        assert!(broker.idle(LONG));
        assert!(positions(&broker).is_empty());
        close(broker);
    }
}

#[test]
fn class_that_is_removed_takes_its_history_along() {
    let store = shared();
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    assert!(broker.unregister_class("stocks", Cascade::Remove).unwrap());
    assert!(broker.idle(LONG));
    assert!(positions(&broker).is_empty());
    close(broker);
    assert_eq!(left(&*store), 0);
}

#[test]
fn event_of_a_transaction_is_kept_if_that_commits() {
    let broker = open(&shared());
    let stocks = keeping(&broker, all());
    let mut refused = broker.transaction();
    refused.tree("orders").unwrap().expect("1", "b").unwrap();
    refused
        .fire(&stocks, StockEventsTraded::new("no", 1))
        .unwrap();
    assert_eq!(refused.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(positions(&broker).is_empty());
    let mut made = broker.transaction();
    made.fire(&stocks, StockEventsTraded::new("yes", 1))
        .unwrap();
    made.commit().unwrap();
    assert_eq!(symbols(&broker), ["yes"]);
    let tape = Tape::new();
    follow(&broker, &tape, "late", Start::Oldest);
    let mut again = broker.transaction();
    again
        .fire(&stocks, StockEventsTraded::new("too", 2))
        .unwrap();
    assert_eq!(again.commit().unwrap().queued(), 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["late traded yes 1", "late traded too 2"]);
    close(broker);
}

#[test]
fn fire_whose_event_cannot_be_kept_says_so() {
    let engine = FaultyEngine::new();
    let broker = broker_over(&engine);
    let stocks = keeping(&broker, all());
    let tape = Tape::new();
    let _guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    engine.writes().from(1, Fault::fail("the disk is full"));
    let report = stocks.traded("A", 1);
    engine.writes().clear();
    let unkept = report.unkept().unwrap();
    assert_eq!(
        report.to_string(),
        format!("1 delivered, 0 failed; not kept: {unkept}")
    );
    assert!(report.into_result(loosely::FirePolicy::NoFailures).is_err());
    assert_eq!(tape.len(), 1);
    assert!(stocks.traded("B", 2).unkept().is_none());
    assert!(broker.idle(LONG));
    assert_eq!(symbols(&broker), ["B"]);
    close(broker);
}

#[test]
fn history_and_start_are_written_as_people_write_them() {
    let day = Duration::from_secs(24 * 60 * 60);
    let history = History::new().with_count(5).with_age(day);
    let class = EventClass::new("stocks", "Stocks").with_history(history);
    let text = serde_json::to_string(&class).unwrap();
    assert!(
        text.contains(r#""history":{"count":5,"age":"PT24H"}"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<EventClass>(&text).unwrap(), class);
    let time = std::time::SystemTime::UNIX_EPOCH + day;
    for (start, expected) in [
        (Start::Oldest, r#""start":"oldest""#),
        (
            Start::Time(time),
            r#""start":{"time":"1970-01-02T00:00:00Z"}"#,
        ),
        (Start::Position(7), r#""start":{"position":7}"#),
    ] {
        let queue = Queued::new().starting_at(start);
        let text = serde_json::to_string(&queue).unwrap();
        assert!(text.contains(expected), "{text}");
        assert_eq!(serde_json::from_str::<Queued>(&text).unwrap(), queue);
    }
    assert!(
        !serde_json::to_string(&Queued::new())
            .unwrap()
            .contains("start")
    );
}
