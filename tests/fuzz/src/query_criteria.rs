//! The criteria of queries over records.

use std::collections::BTreeSet;
use std::time::Duration;

use loosely::{
    Broker, Component, Detached, Event, EventClass, Filter, Queued, Result, SubscriberError,
    Subscription, SubscriptionId, Trigger,
};

use crate::events::READINGS;

/// Asks a broker for subscriptions and classes by these criteria.
///
/// # Panics
///
/// If two ways of asking for the same have different answers.
pub fn query_criteria(data: &[u8]) {
    let Ok(criteria) = str::from_utf8(data) else {
        return;
    };
    BROKER.with(|broker| {
        let classes = broker.classes(criteria);
        let Ok(found) = ids(broker.subscriptions(criteria)) else {
            let removed = broker.would_remove(criteria);
            assert!(removed.is_err(), "what cannot be found would be removed");
            return;
        };
        let removed = ids(broker.would_remove(criteria));
        assert_eq!(removed.ok().as_ref(), Some(&found), "{criteria}");
        let all = ids(broker.subscriptions("ALL")).expect("all subscriptions");
        assert!(found.is_subset(&all), "{criteria}");
        if let Ok(classes) = classes {
            assert!(classes.len() <= 16, "there are no such classes");
        }
        if let Ok(filter) = Filter::parse(criteria) {
            let printed = ids(broker.subscriptions(&filter.to_string()));
            assert_eq!(printed.ok().as_ref(), Some(&found), "{filter}");
            excludes(broker, &filter, &found);
        }
    });
}

/// What does not hold holds for none of those found.
fn excludes(broker: &Broker, filter: &Filter, found: &BTreeSet<SubscriptionId>) {
    // One level more may be one too many.
    if let Ok(others) = ids(broker.subscriptions(&format!("NOT ({filter})"))) {
        assert!(others.is_disjoint(found), "{filter}");
    }
}

fn ids(found: Result<Vec<Subscription>>) -> Result<BTreeSet<SubscriptionId>> {
    Ok(found?.iter().map(Subscription::id).collect())
}

thread_local! {
    static BROKER: Broker = broker().expect("a broker with some of everything");
}

fn broker() -> Result<Broker> {
    let broker = Broker::builder().on_failure(|_, _| {}).open()?;
    let class = EventClass::new("readings", "Readings")
        .with_owner("ann")
        .with_property("region", loosely::ValueType::Str, "EU");
    broker.register_dynamic_class(class, &READINGS)?;
    let log = || |_: &Event<'_>| -> std::result::Result<(), SubscriberError> { Ok(()) };
    broker.register_component(Component::new("log", log).implements_any())?;
    let to = |name: &str| {
        Subscription::builder(name)
            .class("readings")
            .component("log")
    };
    let all = [
        to("all"),
        to("some").filter("n > 1").priority(7).owner("ann"),
        to("off").disabled().description("not now"),
        Subscription::builder("moniker")
            .class("readings")
            .moniker("queue:orders"),
        to("bags").for_publisher([("desk", "fx")]),
        to("levels").for_subscriber([("level", 3)]),
        to("lane").delivery(Detached::new()),
        to("queue")
            .delivery(Queued::new())
            .deadline(Duration::from_secs(1)),
        to("trigger").trigger(Trigger::at_most(2, Duration::from_secs(60))),
        Subscription::builder("any class")
            .interface("Elsewhere")
            .component("log"),
    ];
    for record in all {
        broker.ensure(&record.build()?)?;
    }
    Ok(broker)
}
