//! Finding and removing by criteria over the columns of records.

use std::time::{Duration, SystemTime};

use loosely::{Broker, ErrorKind, EventClass, Subscription, SubscriptionGuard};

use crate::support::{Alerts, StockEvents, Tape, live, quiet, subscription};

/// Three stored subscriptions, a live one and two classes.
fn stocked() -> (Broker, SubscriptionGuard) {
    let broker = quiet();
    let stocks = EventClass::new("stocks", "Stocks")
        .with_owner("ann")
        .with_description("of the exchange");
    broker
        .register_class::<dyn StockEvents>(stocks.with_publisher("exchange"))
        .unwrap();
    broker
        .register_class::<dyn Alerts>(EventClass::new("alerts", "Alerts").with_unordered())
        .unwrap();
    let first = subscription("first", "alarm").owner("ann").priority(5);
    let first = first
        .filter("price > 1")
        .method("price_changed")
        .class("stocks");
    broker.store(&first.build().unwrap()).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let second = Subscription::builder("second")
        .class("stocks")
        .moniker("queue:orders");
    let second = second.disabled().not_before(time).description("d");
    let second = second
        .for_publisher([("desk", "fx")])
        .for_subscriber([("level", 3)]);
    broker.store(&second.build().unwrap()).unwrap();
    broker
        .store(&subscription("third", "logger").build().unwrap())
        .unwrap();
    let record = live("live").build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, Tape::new().listener("live"));
    (broker, guard.unwrap())
}

fn names(broker: &Broker, criteria: &str) -> Vec<String> {
    let found = broker.subscriptions(criteria).unwrap();
    found.iter().map(|found| found.name().to_owned()).collect()
}

#[test]
fn all_selects_every_one_in_store_order() {
    let (broker, _guard) = stocked();
    assert_eq!(names(&broker, "ALL"), ["first", "second", "third", "live"]);
}

#[test]
fn every_column_can_be_asked_for() {
    let (broker, _guard) = stocked();
    let first = broker.subscriptions("name = 'first'").unwrap().remove(0);
    let cases = [
        (format!("id = '{}'", first.id()), "first"),
        (
            format!(
                "class = '{}' AND enabled = TRUE",
                first.binding().class().unwrap()
            ),
            "first",
        ),
        ("method = 'price_changed'".to_owned(), "first"),
        ("owner = 'ann'".to_owned(), "first"),
        ("priority >= 5".to_owned(), "first"),
        ("filter LIKE 'price%'".to_owned(), "first"),
        ("moniker = 'queue:orders'".to_owned(), "second"),
        ("enabled = FALSE".to_owned(), "second"),
        ("description = 'd'".to_owned(), "second"),
        ("not_before > '2000-01-01T00:00:00Z'".to_owned(), "second"),
        ("for_publisher.desk = 'fx'".to_owned(), "second"),
        ("for_subscriber.level = 3".to_owned(), "second"),
        ("transient = TRUE".to_owned(), "live"),
        (
            "class IS NULL AND method IS NULL AND transient = FALSE".to_owned(),
            "third",
        ),
        (format!("revision = {}", first.revision().unwrap()), "first"),
    ];
    for (criteria, expected) in cases {
        assert_eq!(names(&broker, &criteria), [expected], "{criteria}");
    }
    assert_eq!(names(&broker, "expires IS NULL").len(), 4);
}

#[test]
fn com_plus_names_of_columns_are_taken() {
    let (broker, _guard) = stocked();
    let first = broker
        .subscriptions("SubscriptionName = 'first'")
        .unwrap()
        .remove(0);
    let class = first.binding().class().unwrap();
    let interface = first.binding().interface().unwrap();
    let component = loosely::ComponentId::named("logger");
    for (criteria, expected) in [
        (
            format!("EventClassID == '{{{class}}}' AND MethodName = 'price_changed'"),
            "first",
        ),
        (format!("SubscriptionID = '{}'", first.id()), "first"),
        ("UserName = 'ann'".to_owned(), "first"),
        ("OwnerSID = 'ann'".to_owned(), "first"),
        ("FilterCriteria IS NOT NULL".to_owned(), "first"),
        ("SubscriberMoniker = 'queue:orders'".to_owned(), "second"),
        ("PublisherProperties.desk = 'fx'".to_owned(), "second"),
        ("SubscriberProperties.level = 3".to_owned(), "second"),
        ("Description = 'd'".to_owned(), "second"),
        (
            format!("SubscriberCLSID = '{component}' AND InterfaceID = '{interface}'"),
            "third",
        ),
    ] {
        assert_eq!(names(&broker, &criteria), [expected], "{criteria}");
    }
}

#[test]
fn whose_events_for_whom_and_of_which_methods_can_be_asked_for() {
    let (broker, _guard) = stocked();
    let guarded = Subscription::builder("guarded").to::<dyn StockEvents>();
    let guarded = guarded.component("x").owner("eve").per_user();
    let guarded = guarded.from_publisher("exchange").predicate("p");
    let guarded = guarded.requires_role("traders").method("traded");
    let guarded = guarded.method("price_changed").build().unwrap();
    broker.store(&guarded).unwrap();
    let exchange = loosely::PublisherId::named("exchange");
    for criteria in [
        "per_user = TRUE",
        "PerUser = TRUE",
        "predicate = 'p'",
        "publisher_role LIKE 't%'",
        "method = 'traded'",
        "MethodName = ('traded' & 'price_changed')",
        "NOT method <> 'traded'",
    ] {
        assert_eq!(names(&broker, criteria), ["guarded"], "{criteria}");
    }
    let of_exchange = format!("publisher = {{{exchange}}} AND PublisherID IS NOT NULL");
    assert_eq!(names(&broker, &of_exchange), ["guarded"]);
    let one = names(&broker, "method = 'price_changed'");
    assert_eq!(one, ["first", "guarded"], "among others or alone");
    assert_eq!(
        names(&broker, "method IS NULL AND per_user = FALSE").len(),
        3
    );
    let error = broker.subscriptions("method = 3").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

#[test]
fn criteria_that_select_nothing_are_no_error() {
    let (broker, _guard) = stocked();
    assert!(broker.subscriptions("name = 'nobody'").unwrap().is_empty());
    assert!(broker.classes("name = 'nobody'").unwrap().is_empty());
    let revision = broker.revision();
    assert!(broker.remove_where("name = 'nobody'").unwrap().is_empty());
    assert_eq!(broker.revision(), revision);
}

#[test]
fn criteria_that_do_not_fit_are_filter_errors() {
    let (broker, _guard) = stocked();
    for criteria in [
        "",
        "name =",
        "colour = 'red'",
        "priority = 'high'",
        "name > 3",
    ] {
        let error = broker.subscriptions(criteria).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{criteria}");
        assert!(error.filter_error().is_some(), "{criteria}");
        assert_eq!(
            broker.remove_where(criteria).unwrap_err().kind(),
            ErrorKind::Filter
        );
        assert_eq!(
            broker.would_remove(criteria).unwrap_err().kind(),
            ErrorKind::Filter
        );
    }
    assert_eq!(
        broker.classes("method = 'x'").unwrap_err().kind(),
        ErrorKind::Filter
    );
}

#[test]
fn dry_run_removes_nothing_and_names_what_the_removal_then_removes() {
    let (broker, _guard) = stocked();
    let would = broker.would_remove("priority = 0").unwrap();
    assert_eq!(names(&broker, "ALL").len(), 4);
    let revision = broker.revision();
    let removed = broker.remove_where("priority = 0").unwrap();
    assert_eq!(removed, would);
    assert_eq!(
        broker.revision().get(),
        revision.get() + 1,
        "one commit removes them all"
    );
    assert_eq!(
        names(&broker, "ALL"),
        ["first", "live"],
        "the live one is its guard's"
    );
}

#[test]
fn classes_are_found_by_their_columns_under_both_names() {
    let (broker, _guard) = stocked();
    let names = |criteria: &str| -> Vec<String> {
        let found = broker.classes(criteria).unwrap();
        found.iter().map(|class| class.name().to_owned()).collect()
    };
    assert_eq!(names("ALL"), ["Alerts", "Stocks"]);
    let publisher = loosely::PublisherId::named("exchange");
    let id = loosely::EventClassId::named("stocks");
    for criteria in [
        "name = 'Stocks'".to_owned(),
        "EventClassName = 'Stocks'".to_owned(),
        "OwnerSID = 'ann'".to_owned(),
        "Description LIKE '%exchange'".to_owned(),
        format!("PublisherID = '{publisher}'"),
        format!("EventClassID = '{id}'"),
        "unordered = FALSE".to_owned(),
        "open_properties = FALSE AND name != 'Alerts'".to_owned(),
    ] {
        assert_eq!(names(&criteria), ["Stocks"], "{criteria}");
    }
}

#[test]
fn subscription_is_found_by_its_id_whether_stored_or_live() {
    let (broker, guard) = stocked();
    assert_eq!(broker.subscription(guard.id()).unwrap().name(), "live");
    let error = broker.disable(guard.id()).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::NotFound,
        "a guard's is not in the store"
    );
    assert!(!broker.remove(guard.id()).unwrap());
    drop(guard);
    assert_eq!(names(&broker, "transient = TRUE").len(), 0);
}
