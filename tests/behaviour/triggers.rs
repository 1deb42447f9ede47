//! Which of the events that match are delivered.

use std::sync::Arc;
use std::time::Duration;

use loosely::testing::VirtualClock;
use loosely::{
    Broker, Detached, EventClass, EventContext, FireOutcome, FireReport, Firing, Subscription,
    SubscriptionBuilder, SubscriptionGuard, Trigger,
};

use crate::support::{OnPrice, StockEvents, StockEventsPublisher, Tape, Watchdog, live};

mod kept;
mod wiring;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes that is waited for here.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A broker on a clock that the test moves, with a publisher and somebody who writes down.
pub(crate) struct Rig {
    _watchdog: Watchdog,
    pub(crate) clock: VirtualClock,
    pub(crate) broker: Broker,
    pub(crate) stocks: StockEventsPublisher,
    pub(crate) tape: Tape,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let clock = VirtualClock::new();
        let broker = Broker::builder().clock(&clock).delivery_threads(2);
        let broker = broker.on_failure(|_, _| {}).open().unwrap();
        Self::on(broker, clock)
    }

    pub(crate) fn on(broker: Broker, clock: VirtualClock) -> Self {
        Self {
            _watchdog: Watchdog::new(),
            stocks: broker.publisher::<dyn StockEvents>().unwrap(),
            tape: Tape::new(),
            clock,
            broker,
        }
    }

    /// Returns a subscriber that writes each event and why it got it.
    pub(crate) fn writer(&self) -> Arc<dyn StockEvents> {
        Arc::new(writing(&self.tape))
    }

    pub(crate) fn subscribe(&self, record: SubscriptionBuilder) -> SubscriptionGuard {
        let record = record.build().unwrap();
        self.broker.subscribe_with(&record, self.writer()).unwrap()
    }

    /// Subscribes to prices above 100.
    pub(crate) fn alarm(&self, trigger: Trigger) -> SubscriptionGuard {
        self.subscribe(alarm(trigger))
    }

    pub(crate) fn fire(&self, symbol: &str, price: f64) -> FireReport {
        self.stocks.price_changed(symbol, price)
    }

    pub(crate) fn fire_all(&self, prices: &[f64]) {
        prices.iter().for_each(|price| _ = self.fire("A", *price));
    }

    pub(crate) fn advance(&self, seconds: u32) {
        self.clock.advance(seconds * SECOND);
        assert!(self.broker.idle(LONG));
    }
}

/// Returns a subscriber that writes each event and why it got it.
pub(crate) fn writing(tape: &Tape) -> OnPrice<impl Fn(&str, f64) + Send + Sync + use<>> {
    let tape = tape.clone();
    OnPrice(move |symbol: &str, price| {
        let why = EventContext::current().unwrap().trigger();
        let why = why.map_or_else(String::new, |why| format!(" {why:?}"));
        tape.write(format!("{symbol} {price}{why}"));
    })
}

pub(crate) fn alarm(trigger: Trigger) -> SubscriptionBuilder {
    live("alarm").filter("price > 100").trigger(trigger)
}

/// Returns how many were called, suppressed and filtered out.
fn counts(report: &FireReport) -> [usize; 3] {
    [report.delivered(), report.suppressed(), report.filtered()]
}

#[test]
fn input_that_flaps_above_the_threshold_to_rearm_gives_one_alarm() {
    let rig = Rig::new();
    let _guard = rig.alarm(Trigger::on_becoming_true().rearm("price < 90").resolved());
    rig.fire_all(&[
        99.0, 101.0, 99.0, 102.0, 95.0, 103.0, 89.0, 99.0, 104.0, 105.0,
    ]);
    let expected = ["A 101 BecameTrue", "A 89 Resolved", "A 104 BecameTrue"];
    assert_eq!(rig.tape.take(), expected);
}

#[test]
fn report_counts_what_was_suppressed_and_has_no_line_of_it() {
    let rig = Rig::new();
    let _guard = rig.alarm(Trigger::on_becoming_true());
    assert_eq!(counts(&rig.fire("A", 101.0)), [1, 0, 0]);
    let report = rig.fire("A", 102.0);
    assert_eq!(counts(&report), [0, 1, 0]);
    assert_eq!((report.lines().len(), report.skipped()), (0, 0));
    assert_eq!(report.outcome(), FireOutcome::AllFiltered);
    assert_eq!(report.to_string(), "0 delivered, 1 suppressed, 0 failed");
    assert_eq!(counts(&rig.fire("A", 99.0)), [0, 0, 1]);
}

#[test]
fn keys_do_not_hide_each_other_and_the_least_recently_used_gives_way() {
    let rig = Rig::new();
    let _guard = rig.alarm(Trigger::on_becoming_true().per("symbol").with_max_keys(2));
    for symbol in ["A", "B", "A", "C", "A", "B"] {
        rig.fire(symbol, 101.0);
    }
    let expected = [
        "A 101 BecameTrue",
        "B 101 BecameTrue",
        "C 101 BecameTrue",
        "B 101 BecameTrue",
    ];
    assert_eq!(rig.tape.take(), expected);
}

#[test]
fn alarm_that_has_to_last_comes_by_the_clock_and_not_if_the_condition_ends() {
    let rig = Rig::new();
    let edge = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let _guard = rig.alarm(edge);
    assert_eq!(counts(&rig.fire("A", 101.0)), [0, 1, 0]);
    rig.advance(9);
    rig.fire("A", 99.0);
    rig.advance(9);
    rig.fire("A", 102.0);
    rig.advance(5);
    rig.fire("A", 103.0);
    rig.advance(4);
    assert_eq!(rig.tape.take(), [""; 0]);
    rig.advance(1);
    assert_eq!(rig.tape.take(), ["A 103 BecameTrue"]);
    rig.advance(100);
    rig.fire("A", 104.0);
    rig.fire("A", 99.0);
    assert_eq!(rig.tape.take(), ["A 99 Resolved"]);
}

#[test]
fn absence_of_events_is_told_once_for_each_key() {
    let rig = Rig::new();
    let heartbeat = live("silence").trigger(Trigger::absence(10 * SECOND).per("symbol"));
    let _guard = rig.subscribe(heartbeat);
    rig.fire("A", 1.0);
    rig.fire("B", 1.0);
    rig.advance(6);
    rig.fire("A", 2.0);
    rig.advance(6);
    assert_eq!(rig.tape.take(), ["B 1 Absent"]);
    rig.advance(100);
    assert_eq!(rig.tape.take(), ["A 2 Absent"]);
    rig.fire("B", 3.0);
    rig.advance(10);
    assert_eq!(rig.tape.take(), ["B 3 Absent"]);
}

#[test]
fn limits_let_so_many_through_and_give_no_reason() {
    let rig = Rig::new();
    let _limited = rig.subscribe(live("limited").trigger(Trigger::at_most(2, 10 * SECOND)));
    for price in [1.0, 2.0, 3.0] {
        rig.fire("A", price);
        rig.advance(1);
    }
    rig.advance(7);
    rig.fire("A", 4.0);
    assert_eq!(rig.tape.take(), ["A 1", "A 2", "A 4"]);
    drop(_limited);
    let once = Trigger::once_within(10 * SECOND).per("symbol").per("price");
    let _once = rig.subscribe(live("once").trigger(once));
    for (symbol, price) in [("A", 1.0), ("A", 1.0), ("A", 2.0), ("B", 1.0), ("A", 1.0)] {
        rig.fire(symbol, price);
    }
    rig.advance(10);
    rig.fire("A", 1.0);
    assert_eq!(rig.tape.take(), ["A 1", "A 2", "B 1", "A 1"]);
}

#[test]
fn lane_carries_the_reason() {
    let rig = Rig::new();
    let edge = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let lane = Detached::new().with_key("symbol");
    let _guard = rig.subscribe(alarm(edge).delivery(lane));
    assert_eq!(rig.fire("A", 101.0).suppressed(), 1);
    rig.advance(10);
    assert_eq!(rig.fire("A", 99.0).accepted(), 1);
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue", "A 99 Resolved"]);
}

#[test]
fn reason_is_the_subscriptions_own_and_gone_after_its_call() {
    let rig = Rig::new();
    let _alarm = rig.alarm(Trigger::on_becoming_true());
    let _all = rig.subscribe(live("all").priority(-1));
    let _lane = rig.subscribe(live("lane").priority(-2).detached());
    rig.fire("A", 101.0);
    assert!(rig.broker.idle(LONG));
    let expected = ["A 101 BecameTrue", "A 101", "A 101"];
    assert_eq!(rig.tape.take(), expected);
}

#[test]
fn class_that_fires_in_parallel_asks_triggers_all_the_same() {
    let rig = Rig::new();
    let class = EventClass::new("nyse", "nyse").with_firing(Firing::Parallel { max: 4 });
    rig.broker.register_class::<dyn StockEvents>(class).unwrap();
    let record = Subscription::builder("alarm").class("nyse").object();
    let edge = Trigger::on_becoming_true().resolved();
    let _guard = rig.subscribe(record.filter("price > 100").trigger(edge));
    let nyse = rig.broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    let reports = [101.0, 102.0, 99.0, 98.0].map(|price| counts(&nyse.price_changed("A", price)));
    assert_eq!(reports, [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]);
    assert_eq!(rig.tape.take(), ["A 101 BecameTrue", "A 99 Resolved"]);
}

#[test]
fn what_is_due_waits_for_no_room_and_comes_in_order() {
    let rig = Rig::new();
    let edge = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let edge = edge.per("symbol");
    let _guard = rig.subscribe(alarm(edge).delivery(Detached::with_capacity(1)));
    let symbols: Vec<_> = (0..50).map(|number| format!("S{number}")).collect();
    symbols
        .iter()
        .for_each(|symbol| _ = rig.fire(symbol, 101.0));
    rig.advance(10);
    let expected = symbols
        .iter()
        .map(|symbol| format!("{symbol} 101 BecameTrue"));
    assert_eq!(rig.tape.take(), expected.collect::<Vec<_>>());
}

#[test]
fn trigger_of_a_closed_broker_has_nothing_delivered() {
    let rig = Rig::new();
    let _guard = rig.subscribe(live("silence").trigger(Trigger::absence(SECOND)));
    rig.fire("A", 1.0);
    rig.broker.close(LONG).unwrap();
    rig.clock.advance(10 * SECOND);
    assert_eq!(rig.tape.take(), [""; 0]);
}
