//! Subscribers that do not return in time.

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use loosely::testing::{Fault, Gate, Recorder, VirtualClock};
use loosely::{
    Broker, Component, DeliveryOutcome, Detached, ErrorKind, EventClass, EventContext, Failure,
    FireReport, Firing, Nesting, Notice, Overflow, Pool, SkipReason, Subscription,
    SubscriptionBuilder, SubscriptionGuard, ValueType,
};

use crate::support::{
    Alerts, AlertsHandlers, OnPrice, StockEvents, StockEventsPublisher, Watchdog, live,
    only_failure, subscription,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Far longer than anything takes that is waited for here.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A broker on a clock, with what its failure hook has heard.
pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) clock: VirtualClock,
    pub(crate) stocks: StockEventsPublisher,
    told: mpsc::Receiver<String>,
}

/// A subscriber that does not return until the gate is opened.
struct Hung {
    recorder: Recorder,
    gate: Gate,
    guard: SubscriptionGuard,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::of(EventClass::new("nyse", "nyse"))
    }

    pub(crate) fn of(class: EventClass) -> Self {
        let (clock, (tell, told)) = (VirtualClock::new(), mpsc::channel());
        let tell = Mutex::new(tell);
        let hook = move |_, delivery: &loosely::Delivery| {
            drop(tell.lock().unwrap().send(delivery.to_string()));
        };
        let broker = Broker::builder().clock(&clock).delivery_threads(1);
        let broker = broker.deadline_threads(2).on_failure(hook).open().unwrap();
        broker.register_class::<dyn StockEvents>(class).unwrap();
        let stocks = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
        Self {
            broker,
            clock,
            stocks,
            told,
        }
    }

    pub(crate) fn subscribe(
        &self,
        record: SubscriptionBuilder,
        recorder: &Recorder,
    ) -> SubscriptionGuard {
        let record = record.build().unwrap();
        let broker = &self.broker;
        broker
            .subscribe_with::<dyn StockEvents>(&record, recorder)
            .unwrap()
    }

    fn hang(&self, record: SubscriptionBuilder) -> Hung {
        let (recorder, gate) = (Recorder::new(), Gate::new());
        recorder.faults().from(1, Fault::block(&gate));
        let guard = self.subscribe(record, &recorder);
        Hung {
            recorder,
            gate,
            guard,
        }
    }

    pub(crate) fn fire(&self, symbol: &str) -> FireReport {
        self.stocks.price_changed(symbol, 1.0)
    }

    /// Fires on another thread, to somebody who hangs.
    fn fire_to(&self, hung: &Hung, symbol: &'static str) -> JoinHandle<FireReport> {
        let stocks = self.stocks.clone();
        let fire = thread::spawn(move || stocks.price_changed(symbol, 1.0));
        hung.gate.wait_for(1, LONG);
        fire
    }

    /// Has the call of somebody who hangs abandoned.
    fn abandon(&self, hung: &Hung, symbol: &'static str) -> FireReport {
        let fire = self.fire_to(hung, symbol);
        self.clock.advance(MINUTE);
        fire.join().unwrap()
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        let notices = self.broker.notices();
        notices.iter().map(ToString::to_string).collect()
    }
}

#[track_caller]
pub(crate) fn assert_skipped(report: &FireReport, reason: SkipReason) {
    let lines: Vec<_> = report.lines().iter().map(|line| line.outcome()).collect();
    let [DeliveryOutcome::Skipped(skipped)] = lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(*skipped, reason);
}

fn symbols(recorder: &Recorder) -> Vec<String> {
    let events = recorder.events();
    let symbol = |event: &loosely::testing::RecordedEvent| event.to_string();
    let first = |text: String| text.split('\'').nth(1).unwrap().to_owned();
    events.iter().map(symbol).map(first).collect()
}

#[test]
fn others_get_the_event_and_the_fire_goes_on_when_the_deadline_is_over() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let hung = rig.hang(live("hung").deadline(MINUTE).priority(1));
    let other = Recorder::new();
    let _other = rig.subscribe(live("other"), &other);
    let fire = rig.fire_to(&hung, "A");
    rig.clock.advance(MINUTE / 2);
    assert!(!fire.is_finished());
    rig.clock.advance(MINUTE / 2);
    let report = fire.join().unwrap();
    assert_eq!((report.delivered(), report.failed()), (1, 1));
    let failure = only_failure(&report);
    assert!(matches!(failure, Failure::Deadline(after) if *after == MINUTE));
    assert_eq!(symbols(&other), ["A"]);
    let said = "\"hung\": failed: not done within its deadline of 60s";
    assert_eq!(rig.told.recv().unwrap(), said);
    assert_eq!(
        rig.notices(),
        [
            "\"hung\" was not done within its deadline of 60s",
            "a call was abandoned; 1 threads are held by calls that do not return",
        ]
    );
}

#[test]
fn events_are_skipped_until_the_call_that_was_abandoned_returns() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let hung = rig.hang(live("hung").deadline(MINUTE));
    rig.abandon(&hung, "A");
    assert_skipped(&rig.fire("B"), SkipReason::Busy);
    let explained = rig.stocks.explain(
        "price_changed",
        &[loosely::ValueRef::Str("C"), loosely::ValueRef::F64(1.0)],
    );
    let line = explained.unwrap().lines()[0].to_string();
    let skipped = "\"hung\": skipped, a call that overran its deadline still runs";
    assert_eq!(line, skipped);
    let health = || rig.broker.subscription_health(hung.guard.id()).unwrap();
    assert!(health().is_busy());
    hung.gate.open();
    assert!(rig.broker.idle(LONG));
    assert!(!health().is_busy());
    assert_eq!(rig.fire("D").delivered(), 1);
    assert_eq!(symbols(&hung.recorder), ["A", "D"]);
}

#[test]
fn call_that_is_in_time_is_part_of_its_fire() {
    let _watchdog = Watchdog::new();
    let rig = Rig::of(EventClass::new("nyse", "nyse").with_property("desk", ValueType::Str, "x"));
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let handler = move |symbol: &str, _| {
        let context = EventContext::current().unwrap();
        let desk = context.property("desk").unwrap().to_string();
        let seen = (context.event_id(), context.subscription(), desk);
        tell.lock().unwrap().send(seen).unwrap();
        assert_ne!(symbol, "B", "on purpose");
    };
    let handler = Arc::new(OnPrice(handler));
    let guards = [live("a"), live("b").deadline(MINUTE)].map(|record| {
        let record = record.build().unwrap();
        let broker = &rig.broker;
        let subscribed = broker.subscribe_with::<dyn StockEvents>(&record, handler.clone());
        subscribed.unwrap()
    });
    assert_eq!(rig.fire("A").delivered(), 2);
    let [one, other] = [(); 2].map(|()| told.recv().unwrap());
    assert_eq!((one.0, &one.2), (other.0, &other.2));
    assert_eq!(
        [one.1, other.1],
        guards.each_ref().map(SubscriptionGuard::id)
    );
    let report = rig.fire("B");
    let texts: Vec<_> = report.failures().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|text| text.contains("panicked: ")));
}

/// Subscribes somebody to alerts, and returns on which threads they come.
fn alerted(broker: &Broker) -> (SubscriptionGuard, mpsc::Receiver<thread::ThreadId>) {
    let class = EventClass::new("alerts", "alerts").with_nesting(Nesting::Queued);
    broker.register_class::<dyn Alerts>(class).unwrap();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let told_of = move |_: &str| tell.lock().unwrap().send(thread::current().id()).unwrap();
    let handlers = AlertsHandlers::new().on_raised(told_of);
    let guard = broker.subscribe::<dyn Alerts>(Arc::new(handlers));
    (guard.unwrap(), told)
}

#[test]
fn event_that_waits_for_the_end_of_the_fire_comes_there_if_its_subscriber_was_in_time() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let (_alerted, threads) = alerted(&rig.broker);
    let alerts = rig.broker.publisher_of::<dyn Alerts>("alerts").unwrap();
    let (gate, passage) = (Gate::new(), Recorder::new());
    passage.faults().from(2, Fault::block(&gate));
    let meets = passage.clone();
    let handler = move |symbol: &str, _| {
        alerts.raised(symbol);
        meets.faults().meet().unwrap();
    };
    let record = live("caller").deadline(MINUTE).build().unwrap();
    let handler = Arc::new(OnPrice(handler));
    let _caller = rig
        .broker
        .subscribe_with::<dyn StockEvents>(&record, handler)
        .unwrap();
    assert_eq!(rig.fire("A").delivered(), 1);
    assert_eq!(threads.recv().unwrap(), thread::current().id());
    let stocks = rig.stocks.clone();
    let fire = thread::spawn(move || stocks.price_changed("B", 1.0).failed());
    let publisher = fire.thread().id();
    gate.wait_for(1, LONG);
    rig.clock.advance(MINUTE);
    assert_eq!(fire.join().unwrap(), 1);
    assert!(threads.try_recv().is_err());
    gate.open();
    let late = threads.recv().unwrap();
    assert!(late != publisher && late != thread::current().id());
}

#[test]
fn delivery_fails_at_once_when_all_threads_for_deadlines_are_held() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let record = |name| live(name).deadline(MINUTE).filter("symbol = 'A'");
    let all = ["a", "b"].map(|name| rig.hang(record(name)));
    let stocks = rig.stocks.clone();
    let fire = thread::spawn(move || stocks.price_changed("A", 1.0).failed());
    for hung in &all {
        hung.gate.wait_for(1, LONG);
        rig.clock.advance(MINUTE);
    }
    assert_eq!(fire.join().unwrap(), 2);
    let late = Recorder::new();
    let _late = rig.subscribe(live("late").deadline(MINUTE), &late);
    assert!(matches!(only_failure(&rig.fire("B")), Failure::NoThread));
    all[0].gate.open();
    while rig.fire("B").delivered() == 0 {
        thread::yield_now();
    }
}

#[test]
fn calls_with_deadlines_are_made_at_the_same_time_as_others_of_their_priority() {
    let _watchdog = Watchdog::new();
    let class = EventClass::new("nyse", "nyse").with_firing(Firing::Parallel { max: 2 });
    let rig = Rig::of(class);
    let all = Arc::new(Barrier::new(4));
    let records = [live("a"), live("b"), live("c"), live("d")];
    let deadlines = [true, false, true, false];
    let _guards: Vec<_> = records
        .into_iter()
        .zip(deadlines)
        .map(|(record, has_deadline)| {
            let all = Arc::clone(&all);
            let handler = Arc::new(OnPrice(move |_: &str, _| _ = all.wait()));
            let record = match has_deadline {
                true => record.deadline(MINUTE),
                false => record,
            };
            let record = record.build().unwrap();
            let broker = &rig.broker;
            broker
                .subscribe_with::<dyn StockEvents>(&record, handler)
                .unwrap()
        })
        .collect();
    assert_eq!(rig.fire("A").delivered(), 4);
}

#[test]
fn hook_hears_of_a_late_call_in_a_lane_and_other_lanes_go_on() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let lane = Detached::with_capacity(2).with_overflow(Overflow::DropOldest);
    let hung = rig.hang(live("hung").delivery(lane).deadline(MINUTE));
    let other = Recorder::new();
    let _other = rig.subscribe(live("other").detached(), &other);
    for symbol in ["A", "B", "C", "D"] {
        assert_eq!(rig.fire(symbol).accepted(), 2);
        // The one thread is with the first lane.
        hung.gate.wait_for(1, LONG);
    }
    other.expect_nothing();
    rig.clock.advance(MINUTE);
    other.wait_for(4, LONG);
    let said = "\"hung\": failed: not done within its deadline of 60s";
    assert_eq!(rig.told.recv().unwrap(), said);
    hung.gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(symbols(&hung.recorder), ["A", "C", "D"]);
    assert!(rig.told.try_recv().is_err(), "it was told of once");
    assert_eq!(rig.fire("E").accepted(), 2);
    assert!(rig.broker.idle(LONG));
}

#[test]
fn broker_closes_though_calls_were_abandoned() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let inline = rig.hang(live("inline").deadline(MINUTE).priority(1));
    let lane = rig.hang(live("lane").deadline(MINUTE).detached());
    rig.abandon(&inline, "A");
    lane.gate.wait_for(1, LONG);
    rig.clock.advance(MINUTE);
    rig.broker.close(LONG).unwrap();
    // Inline fires go on.
    assert_eq!(rig.fire("B").skipped(), 1);
    inline.gate.open();
    while rig.fire("B").delivered() == 0 {
        thread::yield_now();
    }
}

#[test]
fn what_waits_behind_an_abandoned_call_is_left_when_the_broker_is_closed() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let lane = rig.hang(live("lane").deadline(MINUTE).detached());
    for symbol in ["A", "B", "C"] {
        rig.fire(symbol);
    }
    lane.gate.wait_for(1, LONG);
    rig.clock.advance(MINUTE);
    let error = rig.broker.close(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error.to_string().starts_with("2 events were not"),
        "{error}"
    );
}

#[test]
fn subscription_may_go_while_its_call_is_abandoned() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let Hung {
        recorder,
        gate,
        guard,
    } = {
        let hung = rig.hang(live("hung").deadline(MINUTE));
        rig.abandon(&hung, "A");
        hung
    };
    guard.close();
    assert_eq!(rig.fire("B").lines().len(), 0);
    gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(symbols(&recorder), ["A"]);
}

#[test]
fn hung_call_may_hold_the_instance_that_others_wait_for() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let (recorder, gate) = (Recorder::new(), Gate::new());
    recorder.faults().from(1, Fault::block(&gate));
    let pool = Pool::new(1).with_wait(LONG);
    let component = recorder.component("pooled").pooled(pool);
    rig.broker.register_component(component).unwrap();
    for (name, priority) in [("first", 1), ("second", 0)] {
        let record = subscription(name, "pooled").priority(priority);
        rig.broker
            .ensure(&record.deadline(MINUTE).build().unwrap())
            .unwrap();
    }
    let stocks = rig.stocks.clone();
    let fire = thread::spawn(move || stocks.price_changed("A", 1.0).failed());
    gate.wait_for(1, LONG);
    rig.clock.advance(MINUTE);
    // The second waits for the instance, or its deadline has yet to begin.
    while !fire.is_finished() {
        rig.clock.advance(MINUTE / 4);
        thread::yield_now();
    }
    assert_eq!(fire.join().unwrap(), 2);
    gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.fire("B").delivered(), 2);
}

#[test]
fn caller_that_waits_for_its_own_instance_is_told_so() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let stocks = rig.stocks.clone();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let make = move || {
        let (stocks, tell) = (stocks.clone(), tell.lock().unwrap().clone());
        let tell = Mutex::new(tell);
        OnPrice(move |symbol: &str, price| {
            if symbol == "A" {
                let failed = stocks.price_changed("B", price).failed();
                tell.lock().unwrap().send(failed).unwrap();
            }
        })
    };
    let component = Component::new("pooled", make).implements::<dyn StockEvents>();
    let component = component.pooled(Pool::new(1).with_wait(LONG));
    rig.broker.register_component(component).unwrap();
    let record = subscription("again", "pooled").deadline(MINUTE);
    rig.broker.ensure(&record.build().unwrap()).unwrap();
    assert_eq!(rig.fire("A").delivered(), 1);
    assert_eq!(told.recv().unwrap(), 1);
}

#[test]
fn class_says_how_long_calls_may_take_where_its_subscriptions_do_not() {
    let _watchdog = Watchdog::new();
    let rig = Rig::of(EventClass::new("nyse", "nyse").with_deadline(MINUTE));
    let hung = rig.hang(live("hung"));
    assert_eq!(rig.abandon(&hung, "A").failed(), 1);
}

#[test]
fn deadline_that_is_taken_away_does_not_end_with_the_call() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let recorder = Recorder::new();
    let component = recorder.component("x");
    rig.broker.register_component(component).unwrap();
    let record: Subscription = subscription("a", "x").deadline(MINUTE).build().unwrap();
    rig.broker.store(&record).unwrap();
    assert_eq!(rig.fire("A").delivered(), 1);
    let record = record.to_builder().without_deadline().build().unwrap();
    rig.broker.store(&record).unwrap();
    assert_eq!(rig.fire("B").delivered(), 1);
    assert_eq!(symbols(&recorder), ["A", "B"]);
}

#[test]
fn threads_are_started_in_place_of_those_that_calls_without_deadlines_hold() {
    let _watchdog = Watchdog::new();
    let rig = Rig::new();
    let hung = rig.hang(live("hung").detached());
    let other = Recorder::new();
    let _other = rig.subscribe(live("other").detached(), &other);
    rig.fire("A");
    hung.gate.wait_for(1, LONG);
    rig.clock.advance(MINUTE);
    other.wait_for(1, LONG);
    let stuck = rig.broker.notices();
    let expected = Notice::PoolStuck {
        threads: 1,
        waiting: 1,
    };
    assert_eq!(stuck, [expected]);
}
