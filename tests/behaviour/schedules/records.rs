//! Schedules as parts of records: written, edited, refused, opened again.

use std::sync::Arc;

use loosely::testing::VirtualClock;
use loosely::{ErrorKind, OffHours, Problems, Stage, Subscription, SubscriptionStatus};

use super::{HOUR, LONG, Rig, a, instant, quiet};
use crate::support::{StockEvents, live, subscription};

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
