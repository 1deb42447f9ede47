//! Past events that classes keep, and queues that begin with them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loosely::testing::{FailedWrite, Fault, FaultyEngine, VirtualClock};
use loosely::{
    Broker, Cascade, Engine, ErrorKind, EventClass, History, Queued, Start, Store, Subscription,
    Trigger, Value,
};

use super::faults::broker as broker_over;
use super::{LONG, MINUTE, builder, close, open, shared};
use crate::support::{OnPrice, StockEvents, StockEventsPublisher, StockEventsTraded, Tape};

fn all() -> History {
    History::new().with_count(1_000_000)
}

fn keeping(broker: &Broker, history: History) -> StockEventsPublisher {
    let class = EventClass::new("stocks", "Stocks").with_history(history);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.publisher_of::<dyn StockEvents>("stocks").unwrap()
}

fn follower(name: &str, start: Start) -> Subscription {
    following(name, Queued::new().starting_at(start), None)
}

fn following(name: &str, queue: Queued, filter: Option<&str>) -> Subscription {
    let record = Subscription::builder(name).class("stocks");
    let mut record = record.component(name).delivery(queue);
    if let Some(filter) = filter {
        record = record.filter(filter);
    }
    record.build().unwrap()
}

fn follow(broker: &Broker, tape: &Tape, name: &str, start: Start) {
    broker.register_component(tape.component(name)).unwrap();
    broker.ensure(&follower(name, start)).unwrap();
}

fn positions(broker: &Broker) -> Vec<u64> {
    let past = broker.past_events("stocks", 0, usize::MAX).unwrap();
    past.iter().map(|event| event.position()).collect()
}

fn symbols(broker: &Broker) -> Vec<String> {
    let past = broker.past_events("stocks", 0, usize::MAX).unwrap();
    let symbol = |event: &loosely::PastEvent| match event.values().get("symbol") {
        Some(Value::Str(symbol)) => symbol.to_string(),
        other => panic!("{other:?}"),
    };
    past.iter().map(symbol).collect()
}

#[test]
fn queue_begins_with_the_past_and_goes_on_with_what_is_fired() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    assert_eq!(
        stocks.traded("A", 1).outcome(),
        loosely::FireOutcome::NoSubscribers
    );
    stocks.price_changed("B", 2.0);
    follow(&broker, &tape, "first", Start::Oldest);
    assert_eq!(stocks.traded("C", 3).accepted(), 1);
    assert!(broker.idle(LONG));
    let expected = ["first traded A 1", "first B 2", "first traded C 3"];
    assert_eq!(tape.take(), expected);
    close(broker);
    // What it has had it has had, whoever else begins anew.
    let broker = open(&store);
    follow(&broker, &tape, "first", Start::Oldest);
    follow(&broker, &tape, "second", Start::Oldest);
    assert!(broker.idle(LONG));
    let expected = ["second traded A 1", "second B 2", "second traded C 3"];
    assert_eq!(tape.take(), expected);
    let stocks = keeping(&broker, all());
    assert_eq!(stocks.traded("D", 4).accepted(), 2);
    assert!(broker.idle(LONG));
    let mut came = tape.take();
    came.sort();
    assert_eq!(came, ["first traded D 4", "second traded D 4"]);
    close(broker);
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

fn left(store: &dyn Store) -> usize {
    let mut left = 0;
    let mut count = |_: &[u8], _| {
        left += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.scan(&[0x81], &mut count).unwrap();
    left
}

#[test]
fn queue_begins_where_it_is_told() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let stocks = keeping(&broker, all());
    for symbol in ["A", "B"] {
        stocks.traded(symbol, 1);
        clock.advance(MINUTE);
    }
    let time = clock.now();
    stocks.traded("C", 1);
    stocks.traded("D", 1);
    let last = *positions(&broker).last().unwrap();
    let starts = [
        ("time", Start::Time(time), "CD"),
        ("late", Start::Time(time + LONG), ""),
        ("place", Start::Position(last), "D"),
        ("future", Start::Position(last + 100), ""),
        ("new", Start::New, ""),
        ("oldest", Start::Oldest, "ABCD"),
    ];
    for (name, start, past) in starts {
        follow(&broker, &tape, name, start);
        assert!(broker.idle(LONG));
        let expected = past
            .chars()
            .map(|symbol| format!("{name} traded {symbol} 1"));
        assert_eq!(tape.take(), expected.collect::<Vec<_>>());
    }
    assert_eq!(stocks.traded("E", 1).accepted(), starts.len());
    assert!(broker.idle(LONG));
    assert_eq!(tape.take().len(), starts.len());
    close(broker);
}

#[test]
fn past_events_pass_the_filter_and_keep_the_order_of_their_key() {
    let broker = open(&shared());
    let stocks = keeping(&broker, all());
    for number in 0..100 {
        stocks.traded(["A", "B", "C"][number as usize % 3], number);
    }
    let tape = Tape::new();
    taping_as(&broker, &tape, "keyed");
    let queue = Queued::new().with_key("symbol").starting_at(Start::Oldest);
    let record = following("keyed", queue, Some("symbol != 'C' AND volume >= 10"));
    broker.ensure(&record).unwrap();
    assert!(broker.idle(LONG));
    let came = tape.take();
    for (symbol, first) in [("A", 12), ("B", 10)] {
        let of = came.iter().filter(|line| line.contains(symbol));
        let expected = (first..100).step_by(3);
        let expected = expected.map(|number| format!("keyed traded {symbol} {number}"));
        assert_eq!(
            of.cloned().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
    }
    assert!(came.iter().all(|line| !line.contains('C')));
    close(broker);
}

fn taping_as(broker: &Broker, tape: &Tape, name: &str) {
    broker.register_component(tape.component(name)).unwrap();
}

/// However the making of the subscription and the fires of two threads meet: each event comes once,
/// and those of one publisher in their order.
#[test]
fn no_event_is_left_out_or_comes_twice_between_the_past_and_the_present() {
    for round in 0..30 {
        let broker = builder().open().unwrap();
        let stocks = keeping(&broker, all().without_waiting());
        let came = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&came);
        let made = move || {
            let seen = Arc::clone(&seen);
            OnPrice(move |symbol: &str, price| {
                seen.lock().unwrap().push((symbol.to_owned(), price))
            })
        };
        let component = loosely::Component::new("racer", made).implements::<dyn StockEvents>();
        broker.register_component(component).unwrap();
        let fired = AtomicU64::new(0);
        thread::scope(|scope| {
            for name in ["one", "two"] {
                let (stocks, fired) = (&stocks, &fired);
                scope.spawn(move || {
                    for number in 0..200_u32 {
                        stocks.price_changed(name, f64::from(number));
                        fired.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while fired.load(Ordering::Relaxed) < round * 10 {
                thread::yield_now();
            }
            broker.ensure(&follower("racer", Start::Oldest)).unwrap();
        });
        assert!(broker.idle(LONG));
        let came = std::mem::take(&mut *came.lock().unwrap());
        for name in ["one", "two"] {
            let of = came.iter().filter(|(symbol, _)| symbol == name);
            let of: Vec<_> = of.map(|(_, price)| *price).collect();
            let expected: Vec<_> = (0..200).map(f64::from).collect();
            assert_eq!(of, expected, "round {round}");
        }
        close(broker);
    }
}

#[test]
fn what_a_queue_waits_for_outlives_the_history() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, History::new().with_count(2));
    stocks.traded("A", 1);
    stocks.traded("B", 2);
    broker.ensure(&follower("late", Start::Oldest)).unwrap();
    stocks.traded("C", 3);
    stocks.traded("D", 4);
    assert_eq!(symbols(&broker), ["C", "D"]);
    close(broker);
    let broker = open(&store);
    keeping(&broker, History::new().with_count(2));
    assert_eq!(symbols(&broker), ["C", "D"]);
    taping_as(&broker, &tape, "late");
    assert!(broker.idle(LONG));
    let expected = ["A 1", "B 2", "C 3", "D 4"].map(|event| format!("late traded {event}"));
    assert_eq!(tape.take(), expected);
    close(broker);
    assert_eq!(left(&*store), 2);
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
fn what_is_fired_while_a_follower_is_switched_off_is_not_for_it() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    follow(&broker, &tape, "off", Start::Oldest);
    assert!(broker.idle(LONG));
    let id = follower("off", Start::Oldest).id();
    broker.disable(id).unwrap();
    stocks.traded("B", 2);
    close(broker);
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    stocks.traded("C", 3);
    taping_as(&broker, &tape, "off");
    broker.enable(id).unwrap();
    stocks.traded("D", 4);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["off traded A 1", "off traded D 4"]);
    close(broker);
}

#[test]
fn edit_takes_a_queue_to_no_other_event() {
    let tape = Tape::new();
    let broker = open(&shared());
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    follow(&broker, &tape, "one", Start::New);
    stocks.traded("B", 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["one traded B 2"]);
    let record = follower("one", Start::Oldest);
    broker.store(&record).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    broker.remove(record.id()).unwrap();
    broker.store(&record).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["one traded A 1", "one traded B 2"]);
    close(broker);
}

#[test]
fn past_event_beyond_the_time_to_live_is_not_for_the_queue() {
    let (clock, tape) = (VirtualClock::new(), Tape::new());
    let broker = builder().clock(&clock).open().unwrap();
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    clock.advance(2 * MINUTE);
    stocks.traded("B", 2);
    taping_as(&broker, &tape, "brief");
    let queue = Queued::new().with_time_to_live(MINUTE);
    let record = following("brief", queue.starting_at(Start::Oldest), None);
    broker.ensure(&record).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["brief traded B 2"]);
    assert!(broker.dead_letters().unwrap().is_empty());
    close(broker);
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

/// Whatever call of the engine fails: each event that was kept comes to a queue that begins with
/// the oldest, by this broker or the next, and none that was never fired.
#[test]
fn nothing_that_was_kept_is_lost_whichever_call_fails() {
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
    let (first, tape) = (broker_over(&engine), Tape::new());
    let stocks = keeping(&first, all());
    let before = (1..=3).filter(|volume| stocks.traded("A", *volume).unkept().is_none());
    let mut kept: BTreeSet<u64> = before.collect();
    taping_as(&first, &tape, "late");
    engine.all().at(nth, Fault::fail("out of order"));
    let is_there = first.ensure(&follower("late", Start::Oldest)).is_ok();
    let behind = (4..=6).filter(|volume| stocks.traded("A", *volume).unkept().is_none());
    kept.extend(behind);
    engine.all().clear();
    let _ = first.close(LONG);
    engine.reopen().unwrap();
    let second = broker_over(&engine);
    if !is_there {
        second.ensure(&follower("late", Start::Oldest)).unwrap();
    }
    taping_as(&second, &tape, "late");
    keeping(&second, all());
    assert!(second.idle(LONG));
    close(second);
    let came = tape.take().into_iter();
    let came: Vec<u64> = came
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    let lost: Vec<_> = kept.iter().filter(|it| !came.contains(it)).collect();
    assert!(
        lost.is_empty(),
        "{failed_write:?} {nth}: {lost:?} of {came:?}"
    );
    assert!(came.iter().all(|volume| (1..=6).contains(volume)));
}

#[test]
fn history_and_start_that_make_no_sense_are_refused() {
    let broker = open(&shared());
    let class = EventClass::new("stocks", "Stocks").with_history(History::new());
    let error = broker.register_class::<dyn StockEvents>(class).unwrap_err();
    assert!(error.to_string().contains("no limit is set"), "{error}");
    let queue = Queued::new().starting_at(Start::Oldest);
    let record = Subscription::builder("both")
        .class("stocks")
        .component("both");
    let record = record.delivery(queue).trigger(Trigger::on_becoming_true());
    let error = record.build().unwrap_err().to_string();
    assert!(
        error.contains("a trigger does not see past events"),
        "{error}"
    );
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
