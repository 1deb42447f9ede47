//! Queues that begin with past events.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use loosely::testing::{FailedWrite, Fault, FaultyEngine, VirtualClock};
use loosely::{
    Engine, EventClass, FilteredEvent, FireOutcome, History, Overflow, Queued, Retained, Start,
    Subscription, Trigger, ValueRef,
};

use super::faults::broker as broker_over;
use super::histories::{
    all, follow, follower, following, keeping, left, positions, symbols, taping_as,
};
use super::{LONG, MINUTE, builder, close, open, shared};
use crate::support::{OnPrice, StockEvents, Tape};

#[test]
fn queue_begins_with_the_past_and_goes_on_with_what_is_fired() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    assert_eq!(stocks.traded("A", 1).outcome(), FireOutcome::NoSubscribers);
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
fn what_a_queue_waits_for_outlives_a_history_that_was_given_up() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    stocks.traded("A", 1);
    broker.ensure(&follower("late", Start::Oldest)).unwrap();
    let class = broker.class("stocks").unwrap();
    broker.update_class(&class.without_history()).unwrap();
    close(broker);
    let broker = open(&store);
    taping_as(&broker, &tape, "late");
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["late traded A 1"]);
    close(broker);
    assert_eq!(left(&*store), 0);
}

#[test]
fn queue_that_is_older_than_the_history_begins_with_none_of_it() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let class = EventClass::new("stocks", "Stocks");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    follow(&broker, &tape, "old", Start::Oldest);
    let class = broker.class("stocks").unwrap();
    broker.update_class(&class.with_history(all())).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("stocks").unwrap();
    stocks.traded("A", 1);
    stocks.traded("B", 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["old traded A 1", "old traded B 2"]);
    let id = follower("old", Start::Oldest).id();
    broker.disable(id).unwrap();
    stocks.traded("C", 3);
    broker.enable(id).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
    close(broker);
    let broker = open(&store);
    follow(&broker, &tape, "old", Start::Oldest);
    follow(&broker, &tape, "new", Start::Oldest);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take().len(), 3);
    close(broker);
}

#[test]
fn past_events_wait_until_the_program_has_said_what_they_are_asked() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    for volume in 1..=4 {
        stocks.traded("A", volume);
    }
    let queue = Queued::new().starting_at(Start::Oldest);
    let record = Subscription::builder("even")
        .class("stocks")
        .component("even");
    let record = record.predicate("even").delivery(queue).build().unwrap();
    broker.ensure(&record).unwrap();
    close(broker);
    let broker = open(&store);
    assert!(broker.idle(LONG));
    let is_even = |event: &FilteredEvent<'_>| {
        let volume = event.value("volume");
        matches!(volume, Some(ValueRef::U64(it)) if it % 2 == 0)
    };
    broker.register_predicate("even", is_even).unwrap();
    taping_as(&broker, &tape, "even");
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["even traded A 2", "even traded A 4"]);
    close(broker);
}

#[test]
fn past_that_is_more_than_the_capacity_keeps_nothing_new_out() {
    let (broker, tape) = (open(&shared()), Tape::new());
    let stocks = keeping(&broker, all());
    for volume in 1..=5 {
        stocks.traded("A", volume);
    }
    let queue = Queued::new().with_capacity(2).with_overflow(Overflow::Fail);
    let record = following("small", queue.starting_at(Start::Oldest), None);
    broker.ensure(&record).unwrap();
    assert_eq!(stocks.traded("B", 6).accepted(), 1);
    assert_eq!(stocks.traded("B", 7).accepted(), 1);
    assert_eq!(stocks.traded("B", 8).failed(), 1);
    taping_as(&broker, &tape, "small");
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 7);
    close(broker);
}

#[test]
fn retained_event_that_is_kept_too_comes_once() {
    let (broker, tape) = (open(&shared()), Tape::new());
    let class = EventClass::new("stocks", "Stocks").with_retained(Retained::Last);
    broker
        .register_class::<dyn StockEvents>(class.with_history(all()))
        .unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("stocks").unwrap();
    stocks.traded("A", 1);
    stocks.traded("A", 2);
    follow(&broker, &tape, "late", Start::Oldest);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["late traded A 1", "late traded A 2"]);
    stocks.traded("A", 3);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["late traded A 3"]);
    close(broker);
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

/// What a queue has had says nothing of the events of another class, though they are older.
#[test]
fn queue_that_is_bound_to_another_class_has_the_past_of_that_too() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let stocks = keeping(&broker, all());
    let bonds = EventClass::new("bonds", "Bonds").with_history(all());
    broker.register_class::<dyn StockEvents>(bonds).unwrap();
    let bonds = broker.publisher_of::<dyn StockEvents>("bonds").unwrap();
    stocks.traded("A", 1);
    bonds.traded("B", 2);
    bonds.traded("C", 3);
    stocks.traded("D", 4);
    let record = follower("first", Start::Oldest);
    broker.ensure(&record).unwrap();
    broker.register_component(tape.component("first")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["first traded A 1", "first traded D 4"]);
    let rebound = record.to_builder().class("bonds").build().unwrap();
    broker.unregister_component("first");
    broker.store(&rebound).unwrap();
    bonds.traded("E", 5);
    assert!(broker.idle(LONG));
    close(broker);
    let broker = open(&store);
    broker.register_component(tape.component("first")).unwrap();
    assert!(broker.idle(LONG));
    let expected = ["first traded B 2", "first traded C 3", "first traded E 5"];
    assert_eq!(tape.take(), expected);
    close(broker);
    let broker = open(&store);
    broker.register_component(tape.component("first")).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.len(), 0);
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
