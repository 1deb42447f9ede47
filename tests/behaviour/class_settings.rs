//! What a class says of its publishers: kept, shown, and refused where it is wrong.

use std::time::Duration;

use loosely::{
    Breaker, Broker, Cascade, Detached, ErrorKind, EventClass, EventInterface, EventMethod, Firing,
    Problem, Problems, Retained, Right,
};

use crate::support::{Alerts, StockEvents, quiet};

/// A class in which everything is set.
fn desk() -> EventClass {
    EventClass::new("desk", "Desk")
        .with_publisher_filter("audit")
        .with_publisher_filter("throttle")
        .with_default_query("enabled = TRUE")
        .with_retained(Retained::Last)
        .with_method_publisher_filter("traded", "large trades")
        .with_method_default_query("traded", "priority > 0 AND MethodName = 'traded'")
        .with_method_retained("price_changed", Retained::LastPer("symbol".into()))
        .with_firing(Firing::Parallel { max: 4 })
        .with_delivery(Detached::with_capacity(9).with_key("symbol"))
        .with_deadline(Duration::from_secs(2))
        .with_breaker(Breaker::after(5))
        .with_access(Right::Publish, "traders")
        .with_access(Right::Publish, "night shift")
        .with_access(Right::Define, "operators")
}

fn registered(class: EventClass) -> (Broker, EventClass) {
    let broker = quiet();
    let id = broker.register_class::<dyn StockEvents>(class).unwrap();
    let read = broker.class(id).unwrap();
    (broker, read)
}

fn method(name: &str) -> &'static EventMethod {
    let (_, method) = <dyn StockEvents>::schema().method(name).unwrap();
    method
}

#[test]
fn everything_that_is_set_is_there_when_the_store_is_read_again() {
    let (_, read) = registered(desk());
    let settings = read.settings();
    assert_eq!(settings.publisher_filters(), ["audit", "throttle"]);
    assert_eq!(settings.default_query(), Some("enabled = TRUE"));
    assert_eq!(settings.retained(), Some(&Retained::Last));
    assert!(
        read.method_settings()
            .map(|(name, _)| name)
            .eq(["price_changed", "traded"])
    );
    assert_eq!(read.firing(), Firing::Parallel { max: 4 });
    let lane = Detached::with_capacity(9).with_key("symbol");
    assert_eq!(read.delivery(), Some(&lane.into()));
    assert_eq!(read.deadline(), Some(Duration::from_secs(2)));
    assert_eq!(read.breaker(), Some(&Breaker::after(5)));
    assert!(
        read.roles_with(Right::Publish)
            .eq(["night shift", "traders"])
    );
    assert_eq!(read.roles_with(Right::Subscribe).len(), 0);
    let expected = [
        (Right::Define, "operators"),
        (Right::Publish, "night shift"),
        (Right::Publish, "traders"),
    ];
    assert!(read.access().eq(expected));
}

#[test]
fn setting_of_a_method_takes_the_place_of_that_of_all_and_nothing_else() {
    let (_, read) = registered(desk());
    let traded = read.settings_of(method("traded"));
    assert_eq!(traded.publisher_filters(), ["large trades"]);
    let query = "priority > 0 AND MethodName = 'traded'";
    assert_eq!(traded.default_query(), Some(query));
    assert_eq!(traded.retained(), Some(&Retained::Last));
    let price = read.settings_of(method("price_changed"));
    assert_eq!(price.publisher_filters(), ["audit", "throttle"]);
    assert_eq!(price.default_query(), Some("enabled = TRUE"));
    let per_symbol = Retained::LastPer("symbol".into());
    assert_eq!(price.retained(), Some(&per_symbol));
}

#[test]
fn administrator_takes_back_what_was_set() {
    let (broker, read) = registered(desk());
    let plain = read
        .without_publisher_filters()
        .without_default_queries()
        .without_retained()
        .with_firing(Firing::Serial)
        .without_delivery()
        .without_deadline()
        .without_breaker()
        .without_access(Right::Publish)
        .without_access(Right::Define);
    broker.update_class(&plain).unwrap();
    let (_, expected) = registered(EventClass::new("desk", "Desk"));
    let read = broker.class("desk").unwrap();
    assert_eq!(read.method_settings().count(), 0);
    let rest = |class: &EventClass| {
        let mut json = serde_json::to_value(class).unwrap();
        json.as_object_mut().unwrap().remove("revision");
        json
    };
    assert_eq!(rest(&read), rest(&expected));
}

#[test]
fn names_and_numbers_that_break_a_rule_are_problems_of_the_class() {
    let wrong = EventClass::new("desk", "Desk")
        .with_publisher_filter("audit")
        .with_publisher_filter("audit")
        .with_method_publisher_filter("a b", "")
        .with_retained(Retained::LastPer("a.b".into()))
        .with_firing(Firing::Parallel { max: 0 })
        .with_delivery(Detached::with_capacity(0))
        .with_deadline(Duration::ZERO)
        .with_breaker(Breaker::after(0))
        .with_access(Right::Read, " ");
    let error = quiet()
        .register_class::<dyn StockEvents>(wrong)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let source = std::error::Error::source(&error).unwrap();
    let problems: &Problems = source.downcast_ref().unwrap();
    let fields: Vec<_> = problems.iter().map(Problem::field).collect();
    let expected = [
        "publisher_filters",
        "retained",
        "methods",
        "publisher_filters",
        "firing",
        "delivery",
        "deadline",
        "breaker",
        "access",
    ];
    assert_eq!(fields, expected);
    assert!(error.to_string().contains("\"audit\" is named twice"));
}

#[test]
fn default_query_that_does_not_fit_the_columns_of_subscriptions_is_refused() {
    let broker = quiet();
    let class = || EventClass::new("desk", "Desk");
    let typo = class().with_default_query("enabeld = TRUE");
    let error = broker.register_class::<dyn StockEvents>(typo).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    assert_eq!(error.filter_error().unwrap().span(), 0..7);
    assert!(
        error
            .to_string()
            .starts_with("the default query of the class \"Desk\" is not valid: "),
        "{error}"
    );
    assert!(broker.class("desk").is_none());

    broker.register_class::<dyn StockEvents>(class()).unwrap();
    let present = broker.class("desk").unwrap();
    let typo = present.with_method_default_query("traded", "price > 1");
    let error = broker.update_class(&typo).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter, "events are not its rows");
    assert!(error.to_string().contains("for \"traded\""), "{error}");
}

#[test]
fn key_of_the_lanes_of_a_class_has_to_be_a_name() {
    let class = EventClass::new("desk", "Desk");
    let class = class.with_delivery(Detached::new().with_key("sym bol"));
    let error = quiet()
        .register_class::<dyn StockEvents>(class)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    assert_eq!(error.filter_error().unwrap().span(), 4..7);
}

#[test]
fn class_is_found_by_its_publisher_filters_and_by_how_it_fires() {
    let (broker, _) = registered(desk());
    let alerts = EventClass::new("alerts", "Alerts");
    broker.register_class::<dyn Alerts>(alerts).unwrap();
    for criteria in [
        "publisher_filters = 'throttle'",
        "MultiInterfacePublisherFilterCLSID IS NOT NULL",
        "parallel = TRUE",
        "FireInParallel <> FALSE",
        "delivery = 'detached'",
        "deadline >= 'PT2S' AND breaker = 5",
    ] {
        let found = broker.classes(criteria).unwrap();
        assert_eq!(found.len(), 1, "{criteria}");
        assert_eq!(found[0].name(), "Desk");
    }
    let plain = broker.classes("publisher_filters IS NULL AND parallel = FALSE");
    assert_eq!(plain.unwrap()[0].name(), "Alerts");
    assert!(broker.unregister_class("desk", Cascade::Refuse).unwrap());
}
