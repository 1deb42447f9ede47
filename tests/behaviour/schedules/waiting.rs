//! What becomes of events that are fired out of a subscription's times.

use loosely::{
    EventClass, FireOutcome, OffHours, Queued, Retained, Streamed, SubscriptionBuilder,
    SubscriptionStatus,
};

use super::{DAY, HOUR, LONG, NANO, Rig, a, instant, quiet};
use crate::support::{StockEvents, live};

fn queued() -> SubscriptionBuilder {
    a().delivery(Queued::new())
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
fn stream_is_given_nothing_that_is_fired_in_its_quiet_hours() {
    let rig = Rig::at("2026-11-06T21:00:00Z");
    let record = live("s").schedule(quiet("22:00-06:00")).build().unwrap();
    let mut stream = rig.broker.stream_with::<dyn StockEvents>(&record).unwrap();
    let mut take = || {
        let items = std::iter::from_fn(|| stream.try_next());
        let events = items.filter(|item| matches!(item, Streamed::Event(_)));
        events.count()
    };
    rig.fire(1.0);
    assert_eq!(take(), 1);
    rig.until(instant("2026-11-06T22:00:00Z"));
    rig.fire(2.0);
    assert_eq!(take(), 0);
    rig.until(instant("2026-11-07T06:00:00Z"));
    rig.fire(3.0);
    assert_eq!(take(), 1);
}
