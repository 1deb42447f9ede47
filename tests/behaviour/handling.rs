//! What a subscription says of how its subscriber is called: kept, found, and refused where it does
//! not fit.

use std::time::Duration;

use loosely::{
    Breaker, DeliveryMode, Detached, ErrorKind, Overflow, Problem, Problems, Subscription,
    SubscriptionBuilder, SubscriptionStatus, Trigger, TriggerKind,
};

use crate::support::{Alerts, StockEvents, Tape, quiet};

const SECOND: Duration = Duration::from_secs(1);

fn alarm() -> SubscriptionBuilder {
    let alarm = Subscription::builder("alarm").to::<dyn StockEvents>();
    alarm.component("alarm").filter("price > 5")
}

fn full() -> SubscriptionBuilder {
    let lane = Detached::with_capacity(9).with_overflow(Overflow::Coalesce);
    let trigger = Trigger::on_becoming_true().rearm("price < 4");
    alarm()
        .delivery(lane.with_key("symbol"))
        .deadline(SECOND)
        .breaker(Breaker::after(3))
        .trigger(trigger.lasting(SECOND).per("symbol").kept())
}

#[test]
fn everything_that_is_said_is_there_when_the_store_is_read_again() {
    let broker = quiet();
    let record = full().build().unwrap();
    broker.store(&record).unwrap();
    let read = broker.subscription(record.id()).unwrap();
    assert_eq!(read.delivery(), record.delivery());
    let lane = read.delivery().unwrap().as_detached().unwrap();
    assert_eq!((lane.capacity(), lane.overflow()), (9, Overflow::Coalesce));
    assert_eq!(lane.key(), Some("symbol"));
    assert_eq!(read.deadline(), Some(SECOND));
    assert_eq!(read.breaker(), Some(&Breaker::after(3)));
    let trigger = read.trigger().unwrap();
    assert_eq!(*trigger.kind(), TriggerKind::BecomingTrue);
    assert_eq!(trigger.lasting_for(), Some(SECOND));
    assert_eq!(trigger.rearm_criteria(), Some("price < 4"));
    assert_eq!(trigger.keys(), ["symbol"]);
    assert!(trigger.is_kept() && !trigger.tells_resolved());

    let builder = read.to_builder().without_delivery().without_deadline();
    let plain = builder.without_breaker().without_trigger();
    broker.store(&plain.build().unwrap()).unwrap();
    let read = broker.subscription(record.id()).unwrap();
    assert_eq!(read.without_revision(), alarm().build().unwrap());
}

#[test]
fn detached_without_more_is_a_lane_of_the_default_size() {
    let record = alarm().detached().build().unwrap();
    let expected = Detached::with_capacity(1_024);
    assert_eq!(record.delivery(), Some(&expected.into()));
    assert_eq!(Detached::new().overflow(), Overflow::Block);
}

#[test]
fn everything_that_cannot_be_is_said_at_once() {
    let lane = Detached::with_capacity(0).with_overflow(Overflow::Coalesce);
    let trigger = Trigger::on_becoming_true().rearm("price <").per("a b");
    let wrong = alarm().delivery(lane).deadline(Duration::ZERO);
    let wrong = wrong.breaker(Breaker::after(0)).trigger(trigger);
    let error = wrong.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let source = std::error::Error::source(&error).unwrap();
    let problems: &Problems = source.downcast_ref().unwrap();
    let fields: Vec<_> = problems.iter().map(Problem::field).collect();
    let expected = [
        "delivery", "delivery", "deadline", "breaker", "trigger", "trigger",
    ];
    assert_eq!(fields, expected, "{error}");
}

#[test]
fn subscription_is_found_by_how_its_subscriber_is_called() {
    let broker = quiet();
    broker.store(&full().build().unwrap()).unwrap();
    let inline = alarm().name("inline").delivery(DeliveryMode::Inline);
    broker.store(&inline.build().unwrap()).unwrap();
    broker
        .store(&alarm().name("plain").build().unwrap())
        .unwrap();
    for (criteria, expected) in [
        ("delivery = 'detached'", &["alarm"][..]),
        ("delivery = 'inline'", &["inline"]),
        ("delivery IS NULL", &["plain"]),
        ("deadline <= 'PT1S'", &["alarm"]),
        ("breaker = 3", &["alarm"]),
        ("trigger = 'becoming_true'", &["alarm"]),
        ("deadline IS NULL AND trigger IS NULL", &["inline", "plain"]),
    ] {
        let found = broker.subscriptions(criteria).unwrap();
        let names: Vec<_> = found.iter().map(Subscription::name).collect();
        assert_eq!(names, expected, "{criteria}");
    }
}

#[test]
fn name_that_no_bound_method_has_is_refused_like_that_in_a_filter() {
    let broker = quiet();
    broker.publisher::<dyn StockEvents>().unwrap();
    let per = |name: &str| alarm().trigger(Trigger::once_within(SECOND).per(name));
    let keyed = |name: &str| alarm().delivery(Detached::new().with_key(name));
    let rearmed = |text: &str| alarm().trigger(Trigger::on_becoming_true().rearm(text));
    for (wrong, message, span) in [
        (per("symbl"), "the key of the trigger of \"alarm\"", 0..5),
        (keyed("symbl"), "the key of the lanes of \"alarm\"", 0..5),
        (keyed("symbol.a"), "the key of the lanes of \"alarm\"", 0..8),
        (keyed("subscription.a"), "the key of the lanes", 0..14),
        (
            rearmed("symbl = 'A'"),
            "the re-arm filter of \"alarm\"",
            0..5,
        ),
        (
            rearmed("price < 'A'"),
            "the re-arm filter of \"alarm\"",
            8..11,
        ),
    ] {
        let error = broker.store(&wrong.build().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!(error.filter_error().unwrap().span(), span, "{error}");
    }
    for right in [
        per("symbol").trigger(Trigger::absence(SECOND).per("publisher.publisher_id")),
        // The other methods have none: NULL there.
        keyed("volume"),
        rearmed("volume = 0").from_publisher("exchange"),
    ] {
        broker
            .store(&right.build().unwrap().without_revision())
            .unwrap();
    }
}

#[test]
fn subscription_whose_key_turns_out_to_fit_nothing_is_suspended() {
    let broker = quiet();
    let tape = Tape::new();
    broker.register_component(tape.component("alarm")).unwrap();
    let wrong = Subscription::builder("alarm").to::<dyn Alerts>();
    let lane = Detached::new().with_key("symbl");
    let wrong = wrong.component("alarm").delivery(lane).build().unwrap();
    broker.store(&wrong).unwrap();
    assert_eq!(
        broker.status(wrong.id()),
        Some(SubscriptionStatus::Unchecked)
    );
    let _alerts = broker.publisher::<dyn Alerts>().unwrap();
    let status = broker.status(wrong.id());
    let Some(SubscriptionStatus::Suspended(why)) = status else {
        panic!("{status:?}");
    };
    assert!(
        why.starts_with("the key of the lanes of \"alarm\""),
        "{why}"
    );
}
