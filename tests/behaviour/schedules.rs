//! Subscriptions that are delivered at some times and not at others.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loosely::testing::VirtualClock;
use loosely::{
    Broker, DeliveryMode, ErrorKind, EventClass, FireOutcome, MemoryStore, OffHours, Problems,
    Queued, Retained, Schedule, Stage, Store, Subscription, SubscriptionBuilder, SubscriptionId,
    SubscriptionStatus,
};

use crate::support::{StockEvents, StockEventsPublisher, Tape, live, subscription};

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

fn queued() -> SubscriptionBuilder {
    a().delivery(Queued::new())
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
fn events_of_quiet_hours_wait_in_a_queue_and_are_delivered_in_order() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let id = rig.ensure(queued().schedule(quiet("22:00-06:00")).filter("price < 9"));
    rig.fire(1.0);
    rig.until(instant("2026-11-06T22:00:00Z"));
    assert_eq!(rig.tape.take(), ["x A 1"]);
    for price in [2.0, 3.0, 9.0, 4.0] {
        let accepted = rig.stocks.price_changed("A", price).accepted();
        assert_eq!(accepted, usize::from(price < 9.0));
    }
    assert_eq!(
        rig.explained(),
        "would be queued, quiet until 2026-11-07T06:00:00Z"
    );
    let until = OffHours::Quiet(instant("2026-11-07T06:00:00Z"));
    assert_eq!(rig.status(id), SubscriptionStatus::OffHours(until));
    rig.until(instant("2026-11-07T06:00:00Z") - NANO);
    assert_eq!(rig.tape.len(), 0);
    assert_eq!(rig.broker.subscription_health(id).unwrap().waiting(), 3);
    // What waits is delivered by a later program, too.
    let rig = rig.reopened();
    assert!(rig.broker.idle(LONG));
    assert_eq!((rig.fire(5.0), rig.tape.len()), (0, 0));
    rig.until(instant("2026-11-07T06:00:00Z"));
    rig.fire(6.0);
    assert!(rig.broker.idle(LONG));
    assert_eq!(
        rig.tape.take(),
        ["x A 2", "x A 3", "x A 4", "x A 5", "x A 6"]
    );
}

#[test]
fn event_in_a_queue_is_delivered_from_the_first_instant_on() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    let start = rig.clock.now();
    rig.ensure(queued().not_before(start + DAY).expires(start + 2 * DAY));
    assert_eq!(rig.stocks.price_changed("A", 1.0).accepted(), 1);
    rig.until(start + DAY - NANO);
    assert_eq!(rig.tape.len(), 0);
    rig.until(start + DAY);
    assert_eq!(rig.tape.take(), ["x A 1"]);
}

#[test]
fn expired_queue_accepts_nothing_and_keeps_what_waits_until_it_gets_a_later_end() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    let start = rig.clock.now();
    let night = quiet("14:00-20:00");
    let id = rig.ensure(queued().schedule(night.clone().expires(start + 4 * HOUR)));
    rig.until(start + 2 * HOUR);
    assert_eq!(rig.stocks.price_changed("A", 1.0).accepted(), 1);
    rig.until(start + 4 * HOUR);
    let report = rig.stocks.price_changed("A", 2.0);
    assert_eq!(report.outcome(), FireOutcome::NoSubscribers);
    rig.until(start + DAY);
    assert_eq!(rig.tape.len(), 0);
    assert_eq!(rig.broker.subscription_health(id).unwrap().waiting(), 1);
    let record = rig.broker.subscription(id).unwrap();
    rig.broker.store(&record.with_schedule(night)).unwrap();
    assert!(rig.broker.idle(LONG));
    assert_eq!(rig.tape.take(), ["x A 1"]);
}

#[test]
fn edit_of_the_schedule_counts_at_once_and_the_old_edges_are_forgotten() {
    let rig = Rig::at("2026-11-06T23:00:00Z");
    let id = rig.ensure(a().schedule(quiet("22:00-06:00")));
    assert_eq!(rig.fire(1.0), 0);
    let stored = || rig.broker.subscription(id).unwrap();
    let noon = stored().with_schedule(quiet("12:00-13:00"));
    rig.broker.store(&noon).unwrap();
    assert_eq!(rig.fire(2.0), 1);
    rig.until(instant("2026-11-07T12:00:00Z"));
    assert_eq!(rig.fire(3.0), 0);
    let always = stored().to_builder().without_times().build().unwrap();
    rig.broker.store(&always).unwrap();
    assert_eq!(rig.fire(4.0), 1);
    rig.until(instant("2026-11-09T12:30:00Z"));
    assert_eq!(
        (rig.fire(5.0), rig.status(id)),
        (1, SubscriptionStatus::Active)
    );
}

#[test]
fn subscription_that_is_switched_off_stays_so_when_its_time_begins() {
    let rig = Rig::at("2026-11-06T23:00:00Z");
    let id = rig.ensure(a().schedule(quiet("22:00-06:00")).disabled());
    assert_eq!(rig.status(id), SubscriptionStatus::Disabled);
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!((rig.fire(1.0), rig.explained()), (0, "disabled".to_owned()));
    rig.broker.enable(id).unwrap();
    assert_eq!(rig.fire(2.0), 1);
    rig.until(instant("2026-11-07T22:00:00Z"));
    rig.broker.disable(id).unwrap();
    rig.broker.enable(id).unwrap();
    assert_eq!(rig.fire(3.0), 0);
}

#[test]
fn schedule_is_computed_anew_when_the_store_is_opened() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    assert_eq!(rig.fire(1.0), 1);
    rig.broker.close(LONG).unwrap();
    let (clock, store) = (rig.clock.clone(), Arc::clone(&rig.store));
    clock.advance(HOUR);
    let rig = Rig::on(clock, store);
    assert_eq!(rig.fire(2.0), 0);
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!(rig.fire(3.0), 1);
}

#[test]
fn brokers_of_one_store_follow_a_schedule_each_by_itself() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let later = VirtualClock::starting_at(instant("2026-11-06T23:00:00Z"));
    let other = Rig::on(later, Arc::clone(&rig.store));
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    assert_eq!((rig.fire(1.0), other.fire(1.0)), (1, 0));
    let revision = rig.broker.revision();
    rig.until(instant("2026-11-06T22:00:00Z"));
    other.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!((rig.fire(2.0), other.fire(2.0)), (0, 1));
    assert_eq!(rig.broker.revision(), revision, "nothing was written");
}

#[test]
fn guard_that_is_dropped_in_quiet_hours_leaves_nothing_to_begin() {
    let rig = Rig::at("2026-11-06T23:00:00Z");
    let record = live("live").schedule(quiet("22:00-06:00")).build().unwrap();
    let [kept, dropped] = ["kept", "dropped"].map(|name| {
        let listener = rig.tape.listener(name);
        let weak = Arc::downgrade(&listener);
        let record = record.to_builder().name(name).id(name).build().unwrap();
        let guard = rig
            .broker
            .subscribe_with::<dyn StockEvents>(&record, listener);
        (guard.unwrap(), weak)
    });
    drop(dropped.0);
    assert_eq!(
        dropped.1.strong_count(),
        0,
        "nobody keeps the object for later"
    );
    rig.until(instant("2026-11-07T06:00:00Z"));
    assert_eq!(rig.fire(1.0), 1);
    assert_eq!(rig.tape.take(), ["kept A 1"]);
    drop(kept);
    assert_eq!(rig.fire(2.0), 0);
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
fn subscription_whose_time_begins_is_given_what_is_retained() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let class = EventClass::new("desk", "desk").with_retained(Retained::Last);
    rig.broker.register_class::<dyn StockEvents>(class).unwrap();
    let desk = rig.broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    desk.price_changed("A", 1.0);
    rig.until(instant("2026-11-06T22:00:00Z"));
    desk.price_changed("A", 2.0);
    desk.price_changed("A", 3.0);
    rig.until(instant("2026-11-07T06:00:00Z"));
    desk.price_changed("A", 4.0);
    assert_eq!(rig.tape.take(), ["x A 1", "x A 3", "x A 4"]);
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
fn schedule_that_cannot_be_is_refused_with_all_that_is_wrong() {
    let schedule = quiet("22-6").in_zone("Europe/Atlantis");
    let error = a().schedule(schedule).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let problems = std::error::Error::source(&error).unwrap();
    let problems = problems.downcast_ref::<Problems>().unwrap();
    let fields: Vec<_> = problems.iter().map(loosely::Problem::field).collect();
    assert_eq!(fields, ["time_zone", "quiet"]);
    let text = error.to_string() + &problems.to_string();
    assert!(
        text.contains("no time zone \"Europe/Atlantis\" is known"),
        "{text}"
    );
    assert!(text.contains("\"22\" is no time"), "{text}");
    let nothing = a().schedule(quiet("00:00-24:00")).build().unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
}

#[test]
fn schedule_is_written_by_people_and_found_by_criteria() {
    let rig = Rig::at("2026-11-06T12:00:00Z");
    let written = serde_json::json!({
        "name": "a", "interface": "StockEvents", "component": "x",
        "quiet": ["22:00-06:00", "00:00-24:00 sat sun"], "time_zone": "Europe/Berlin",
    });
    let record: Subscription = serde_json::from_value(written).unwrap();
    let night = quiet("22:00-06:00").quiet("00:00-24:00 sat sun");
    let night = night.in_zone("Europe/Berlin");
    assert_eq!(*record.schedule(), night);
    let json = serde_json::to_value(&record).unwrap();
    let back: Subscription = serde_json::from_value(json).unwrap();
    assert_eq!(back, record);
    rig.broker.ensure(&record).unwrap();
    rig.ensure(subscription("b", "x"));
    for (criteria, count) in [
        ("quiet = TRUE", 1),
        ("quiet = FALSE", 1),
        ("time_zone = 'Europe/Berlin'", 1),
        ("time_zone IS NULL", 1),
    ] {
        let found = rig.broker.subscriptions(criteria).unwrap();
        assert_eq!(found.len(), count, "{criteria}");
    }
}

#[test]
fn stage_of_a_subscription_in_its_quiet_hours_is_its_schedule() {
    let rig = Rig::at("2026-11-06T23:00:00Z");
    rig.ensure(a().schedule(quiet("22:00-06:00")));
    let event = ["A".into(), 1.0.into()];
    let told = rig.stocks.explain("price_changed", &event).unwrap();
    let stage = told.line("a").unwrap().stage();
    assert!(
        matches!(stage, Stage::OffHours(OffHours::Quiet(_))),
        "{told}"
    );
    assert_eq!(told.delivered(), 0);
}
