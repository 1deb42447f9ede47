//! How lanes, triggers and breakers stand, in what is measured.

use std::time::Duration;

use loosely::testing::{Fault, Gate, Recorder, VirtualClock};
use loosely::{
    Breaker, BreakerState, Broker, Detached, MetricsOptions, Overflow, SubscriptionBuilder,
    SubscriptionGuard, Trigger,
};

use crate::support::{StockEvents, StockEventsPublisher, Watchdog, live};

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than anything takes that is waited for here.
const LONG: Duration = Duration::from_secs(120);

struct Rig {
    broker: Broker,
    stocks: StockEventsPublisher,
    recorder: Recorder,
    _watchdog: Watchdog,
}

impl Rig {
    fn new() -> Self {
        let broker = Broker::builder().clock(&VirtualClock::new());
        let broker = broker.metrics(MetricsOptions::new()).delivery_threads(1);
        let broker = broker.on_failure(|_, _| {}).open().unwrap();
        Self {
            stocks: broker.publisher::<dyn StockEvents>().unwrap(),
            broker,
            recorder: Recorder::new(),
            _watchdog: Watchdog::new(),
        }
    }

    fn subscribe(&self, record: SubscriptionBuilder) -> SubscriptionGuard {
        let record = record.build().unwrap();
        let broker = &self.broker;
        broker
            .subscribe_with::<dyn StockEvents>(&record, &self.recorder)
            .unwrap()
    }

    /// Returns the number that the text for Prometheus has of a subscription.
    fn number(&self, guard: &SubscriptionGuard, name: &str) -> Option<u64> {
        let text = self.broker.metrics().to_prometheus();
        let begin = format!("loosely_{name}{{subscription=\"{}\"", guard.id());
        let line = text.lines().find(|line| line.starts_with(&begin))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

#[test]
fn lane_shows_what_waits_what_was_lost_and_what_gave_way() {
    let rig = Rig::new();
    let gate = Gate::new();
    rig.recorder.faults().at(1, Fault::block(&gate));
    let lane = Detached::with_capacity(2).with_key("symbol");
    let guard = rig.subscribe(live("a").delivery(lane.with_overflow(Overflow::Coalesce)));
    rig.stocks.price_changed("first", 1.0);
    gate.wait_for(1, LONG);
    for symbol in ["A", "B", "A", "A", "C"] {
        rig.stocks.price_changed(symbol, 1.0);
    }
    let metrics = rig.broker.metrics();
    let measured = metrics.subscription(guard.id()).unwrap();
    let counts = (measured.waiting(), measured.lost(), measured.coalesced());
    assert_eq!(counts, (2, 1, 2));
    let health = rig.broker.subscription_health(guard.id()).unwrap();
    assert_eq!(
        (health.waiting(), health.lost(), health.coalesced()),
        counts
    );
    let names = ["lane_waiting", "lane_lost_total", "lane_coalesced_total"];
    let numbers = names.map(|name| rig.number(&guard, name));
    assert_eq!(numbers, [Some(2), Some(1), Some(2)]);
    gate.open();
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.number(&guard, "lane_waiting"), Some(0));
    let plain = rig.subscribe(live("plain"));
    rig.stocks.price_changed("A", 1.0);
    assert_eq!(rig.number(&plain, "lane_waiting"), None, "it has no lane");
}

#[test]
fn breaker_and_trigger_show_how_they_stand() {
    let rig = Rig::new();
    rig.recorder.faults().from(1, Fault::fail("out of order"));
    let breaker = Breaker::after(1).with_back_off(SECOND);
    let guard = rig.subscribe(live("a").breaker(breaker));
    let of = |name: &str| rig.number(&guard, name);
    assert_eq!(
        (of("breaker_state"), of("breaker_openings_total")),
        (Some(0), Some(0))
    );
    rig.stocks.price_changed("A", 1.0);
    assert_eq!(
        (of("breaker_state"), of("breaker_openings_total")),
        (Some(2), Some(1))
    );
    let metrics = rig.broker.metrics();
    let measured = metrics.subscription(guard.id()).unwrap();
    assert_eq!(
        (measured.breaker(), measured.openings()),
        (BreakerState::Open, 1)
    );
}

#[test]
fn suppressed_events_are_counted_though_the_trigger_be_edited() {
    let rig = Rig::new();
    let recorder = rig.recorder.component("x");
    rig.broker.register_component(recorder).unwrap();
    let record = crate::support::subscription("a", "x").filter("price > 100");
    let record = record.trigger(Trigger::on_becoming_true()).build().unwrap();
    rig.broker.store(&record).unwrap();
    let suppressed = || {
        let metrics = rig.broker.metrics();
        let measured = metrics.subscription(record.id()).unwrap();
        let health = rig.broker.subscription_health(record.id()).unwrap();
        assert_eq!(health.suppressed(), measured.suppressed());
        measured.suppressed()
    };
    (0..3).for_each(|_| _ = rig.stocks.price_changed("A", 101.0));
    assert_eq!(suppressed(), 2);
    let edit = record.to_builder().trigger(Trigger::at_most(1, SECOND));
    rig.broker.store(&edit.build().unwrap()).unwrap();
    assert_eq!(suppressed(), 2);
    (0..3).for_each(|_| _ = rig.stocks.price_changed("A", 101.0));
    assert_eq!(suppressed(), 4);
    let edit = record.to_builder().without_trigger().detached();
    rig.broker.store(&edit.build().unwrap()).unwrap();
    assert_eq!(suppressed(), 4);
}
