//! Subscriptions that are delivered at some times and not at others.

mod records;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use loosely::testing::VirtualClock;
use loosely::{
    Broker, DeliveryMode, FireOutcome, MemoryStore, OffHours, Schedule, Store, Subscription,
    SubscriptionBuilder, SubscriptionId, SubscriptionStatus,
};

use crate::support::{OnPrice, StockEvents, StockEventsPublisher, Tape, live, subscription};

/// Far longer than anything takes that is waited for here.
const LONG: Duration = Duration::from_secs(120);

const NANO: Duration = Duration::from_nanos(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A broker whose component `x` writes to a tape, and whose clock is moved.
struct Rig {
    clock: VirtualClock,
    store: Arc<dyn Store>,
    broker: Broker,
    stocks: StockEventsPublisher,
    tape: Tape,
}

impl Rig {
    fn at(time: &str) -> Self {
        let clock = VirtualClock::starting_at(instant(time));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self::on(clock, store)
    }

    fn on(clock: VirtualClock, store: Arc<dyn Store>) -> Self {
        let broker = Broker::builder().clock(&clock).store(Arc::clone(&store));
        let broker = broker.on_failure(|_, _| {}).open().unwrap();
        let tape = Tape::new();
        broker.register_component(tape.component("x")).unwrap();
        Self {
            stocks: broker.publisher::<dyn StockEvents>().unwrap(),
            clock,
            store,
            broker,
            tape,
        }
    }

    /// Closes the broker, and opens another one on its store.
    fn reopened(self) -> Self {
        self.broker.close(LONG).unwrap();
        Self::on(self.clock, self.store)
    }

    fn ensure(&self, record: SubscriptionBuilder) -> SubscriptionId {
        let record = record.build().unwrap();
        self.broker.ensure(&record).unwrap();
        record.id()
    }

    /// Lets time pass until this time of day.
    fn until(&self, time: impl Into<SystemTime>) {
        let passes = time.into().duration_since(self.clock.now()).unwrap();
        self.clock.advance(passes);
        assert!(self.broker.idle(LONG));
    }

    fn fire(&self, price: f64) -> usize {
        self.stocks.price_changed("A", price).delivered()
    }

    fn status(&self, id: SubscriptionId) -> SubscriptionStatus {
        self.broker.status(id).unwrap()
    }

    /// Returns what explains that `a` is called or not.
    fn explained(&self) -> String {
        let event = ["A".into(), 1.0.into()];
        let told = self.stocks.explain("price_changed", &event).unwrap();
        told.line("a").unwrap().stage().to_string()
    }
}

fn instant(time: &str) -> SystemTime {
    time.parse::<Time>().unwrap().0
}

/// A time of day as people write it: the serde form of a subscription reads it.
struct Time(SystemTime);

impl std::str::FromStr for Time {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let record = serde_json::json!({
            "name": "a", "interface": "i", "component": "x", "expires": text,
        });
        let record: Subscription = serde_json::from_value(record)?;
        Ok(Self(record.expires().unwrap()))
    }
}

fn a() -> SubscriptionBuilder {
    subscription("a", "x")
}

fn quiet(hours: &str) -> Schedule {
    Schedule::new().quiet(hours)
}

#[test]
fn nothing_is_delivered_before_the_first_instant_or_from_the_last_on() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    let start = rig.clock.now();
    let times = Schedule::new().not_before(start + HOUR);
    let id = rig.ensure(a().schedule(times.expires(start + 2 * HOUR)));
    let report = rig.stocks.price_changed("A", 0.0);
    assert_eq!(report.outcome(), FireOutcome::NoSubscribers);
    let early = OffHours::TooEarly(start + HOUR);
    assert_eq!(rig.status(id), SubscriptionStatus::OffHours(early));
    assert_eq!(rig.explained(), "not before 2026-11-06T13:00:00Z");
    rig.until(start + HOUR - NANO);
    assert_eq!(rig.fire(1.0), 0);
    rig.until(start + HOUR);
    assert_eq!(
        (rig.fire(2.0), rig.status(id)),
        (1, SubscriptionStatus::Active)
    );
    assert_eq!(rig.explained(), "would be called");
    rig.until(start + 2 * HOUR - NANO);
    assert_eq!(rig.fire(3.0), 1);
    rig.until(start + 2 * HOUR);
    assert_eq!(rig.fire(4.0), 0);
    assert_eq!(rig.explained(), "expired at 2026-11-06T14:00:00Z");
    let health = rig.broker.subscription_health(id).unwrap();
    let expired = SubscriptionStatus::OffHours(OffHours::Expired(start + 2 * HOUR));
    assert_eq!(*health.status(), expired);
    rig.until(start + 1_000 * DAY);
    assert_eq!((rig.fire(5.0), rig.tape.take().len()), (0, 2));
    // Nothing is deleted because its time is over.
    let over = "expires < '2026-11-07T00:00:00Z'";
    assert_eq!(rig.broker.remove_where(over).unwrap().len(), 1);
}

#[test]
fn quiet_hours_over_midnight_are_quiet_to_the_nanosecond_every_day() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    let midnight = instant("2026-11-07T00:00:00Z");
    for day in 0..3 {
        let midnight = midnight + day * DAY;
        let [from, to] = [midnight - 2 * HOUR, midnight + 6 * HOUR];
        for (time, called) in [
            (from - NANO, 1),
            (from, 0),
            (midnight, 0),
            (to - NANO, 0),
            (to, 1),
        ] {
            rig.until(time);
            assert_eq!(rig.fire(1.0), called);
        }
    }
    rig.until(midnight + 2 * DAY + 22 * HOUR);
    assert_eq!(rig.explained(), "quiet until 2026-11-10T06:00:00Z");
}

#[test]
fn quiet_hours_of_weekdays_are_those_that_begin_on_them() {
    // A Friday.
    let rig = Rig::at("2026-11-06T00:00:00Z");
    rig.ensure(a().schedule(quiet("20:00-08:00 fri").quiet("00:00-24:00 sun")));
    let start = rig.clock.now();
    let mut heard = Vec::new();
    for hours in 0..=96 {
        rig.until(start + hours * HOUR);
        heard.push(rig.fire(f64::from(hours)) == 1);
    }
    let quiet: Vec<_> = (0..).zip(heard).filter(|(_, heard)| !heard).collect();
    let quiet: Vec<_> = quiet.into_iter().map(|(hour, _)| hour).collect();
    // From Friday 20:00 until Saturday 08:00, and all of Sunday.
    let expected: Vec<_> = (20..32).chain(48..72).collect();
    assert_eq!(quiet, expected);
}

#[test]
fn quiet_hours_follow_the_clocks_of_their_zone() {
    // The clocks are put forward in the night to the 29th of March, and back in that to the 25th of
    // October.
    for (day, begins, ends) in [
        (
            "2026-03-27T12:00:00Z",
            "2026-03-27T21:00:00Z",
            "2026-03-28T05:00:00Z",
        ),
        (
            "2026-03-28T12:00:00Z",
            "2026-03-28T21:00:00Z",
            "2026-03-29T04:00:00Z",
        ),
        (
            "2026-10-24T12:00:00Z",
            "2026-10-24T20:00:00Z",
            "2026-10-25T05:00:00Z",
        ),
    ] {
        let rig = Rig::at(day);
        rig.ensure(a().schedule(quiet("22:00-06:00").in_zone("Europe/Berlin")));
        let [begins, ends] = [begins, ends].map(instant);
        for (time, called) in [(begins - NANO, 1), (begins, 0), (ends - NANO, 0), (ends, 1)] {
            rig.until(time);
            assert_eq!(rig.fire(1.0), called, "{day}");
        }
    }
}

#[test]
fn private_subscription_has_quiet_hours_too() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let record = live("own").schedule(quiet("22:00-06:00")).build().unwrap();
    let own = rig.stocks.subscribe_with(&record, rig.tape.listener("own"));
    let _own = own.unwrap();
    assert_eq!(rig.fire(1.0), 1);
    rig.until(instant("2026-11-06T22:00:00Z"));
    assert_eq!(rig.fire(2.0), 0);
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!(rig.fire(3.0), 1);
}

#[test]
fn detached_and_filtered_subscriptions_rest_in_an_index_like_any() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    for number in 0..200 {
        let record = subscription(&number.to_string(), "x").filter(format!("price = {number}"));
        let record = match number % 2 {
            0 => record.schedule(quiet("22:00-06:00")),
            _ => record.delivery(DeliveryMode::Inline),
        };
        rig.ensure(record);
    }
    let heard = || {
        let fires = (0..200).map(|number| rig.fire(f64::from(number)));
        fires.sum::<usize>()
    };
    assert_eq!(heard(), 200);
    rig.until(instant("2026-11-06T22:00:00Z"));
    assert_eq!(heard(), 100);
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!(heard(), 200);
}

#[test]
fn thousand_schedules_begin_and_end_each_at_its_time() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    let start = rig.clock.now();
    let second = |number| start + Duration::from_secs(number);
    for number in 1..=1_000 {
        // In an order that is not that of the edges.
        let number = number * 7 % 1_009 + 1;
        let times = Schedule::new().not_before(second(number));
        let record = subscription(&number.to_string(), "x");
        rig.ensure(record.schedule(times.expires(second(number + 10))));
    }
    let expected = |at: u64| {
        let listed = (1..=1_000).map(|number| number * 7 % 1_009 + 1);
        listed
            .filter(|number| *number <= at && at < number + 10)
            .count()
    };
    for at in [1, 2, 500, 501, 1_000, 1_015, 1_020] {
        rig.until(second(at));
        assert_eq!(rig.fire(1.0), expected(at), "after {at} seconds");
    }
}

#[test]
fn fire_at_subscriptions_with_schedules_allocates_nothing() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let calls = Arc::new(AtomicUsize::new(0));
    let [open, early] = ["open", "early"].map(|name| {
        let counted = Arc::clone(&calls);
        let count = OnPrice(move |_: &str, _| _ = counted.fetch_add(1, Ordering::Relaxed));
        let times = quiet("22:00-06:00").expires(rig.clock.now() + DAY);
        let times = match name {
            "early" => times.not_before(rig.clock.now() + HOUR),
            _ => times,
        };
        let record = live(name).schedule(times).build().unwrap();
        let guard = rig
            .broker
            .subscribe_with::<dyn StockEvents>(&record, Arc::new(count));
        guard.unwrap()
    });
    rig.fire(1.0);
    let allocations = allocation_counter::measure(|| assert_eq!(rig.fire(2.0), 1));
    assert_eq!(allocations.count_total, 0);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    drop((open, early));
}

#[test]
fn interest_of_a_publisher_is_what_is_delivered_at_the_time() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let interested = || {
        rig.stocks
            .interest()
            .method("price_changed")
            .unwrap()
            .is_wanted()
    };
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    assert!(interested());
    rig.until(instant("2026-11-06T22:00:00Z"));
    assert!(!interested());
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert!(interested());
}
