//! The forms in which people write and read records.

use std::time::{Duration, SystemTime};

use loosely::{
    Breaker, DeliveryMode, Detached, EventClass, EventClassId, EventInterface, Firing, InterfaceId,
    Nesting, Overflow, Properties, Retained, Right, Subscription, Target, Trigger, Value,
    ValueType,
};

use crate::support::{StockEvents, Tape, quiet};

#[test]
fn json_as_a_person_writes_it_takes_names_for_ids() {
    let record: Subscription = serde_json::from_str(
        r#"{
            "name": "msft above 185",
            "interface": "StockEvents",
            "component": "alarm",
            "filter": "symbol = 'MSFT' AND price > 185",
            "for_subscriber": { "level": 3, "to": ["ann", null], "loud": true }
        }"#,
    )
    .unwrap();
    let built = Subscription::builder("msft above 185").to::<dyn StockEvents>();
    let to = Value::List(vec!["ann".into(), Value::Null]);
    let mut bag = Properties::from([("level", 3)]);
    bag.insert("to", to);
    bag.insert("loud", true);
    let built = built
        .component("alarm")
        .filter("symbol = 'MSFT' AND price > 185");
    assert_eq!(record, built.for_subscriber(bag).build().unwrap());
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 186.0).delivered(), 1);
}

#[test]
fn toml_as_a_person_writes_it_takes_names_for_ids() {
    let record: Subscription = toml::from_str(
        r#"
            name = "orders"
            class = "stocks"
            method = ["traded", "halted"]
            publisher = "exchange"
            per_user = true
            predicate = "in office hours"
            publisher_role = "traders"
            moniker = "queue:orders"
            enabled = false
            priority = 5
            not_before = "2027-01-01T00:00:00Z"
            owner = "ann"
            description = "into the queue"

            [for_publisher]
            desk = "fx"
            limits = [1, 2.5]
        "#,
    )
    .unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600);
    let limits = Value::List(vec![1.into(), 2.5.into()]);
    let mut bag = Properties::from([("desk", "fx")]);
    bag.insert("limits", limits);
    let built = Subscription::builder("orders")
        .class("stocks")
        .method("traded")
        .method("halted")
        .from_publisher("exchange");
    let built = built
        .per_user()
        .predicate("in office hours")
        .requires_role("traders")
        .moniker("queue:orders")
        .disabled()
        .priority(5)
        .not_before(time);
    let built = built
        .owner("ann")
        .description("into the queue")
        .for_publisher(bag);
    assert_eq!(record, built.build().unwrap());
}

#[test]
fn way_of_calling_is_written_in_words_and_spans() {
    let record: Subscription = toml::from_str(
        r#"
            name = "too hot"
            interface = "StockEvents"
            component = "alarm"
            deadline = "PT1.5S"
            breaker = { failures = 3, max_back_off = "1m" }
            trigger = { kind = { at_most = { count = 3, per = "PT1H" } }, per = ["symbol"] }

            [delivery.detached]
            capacity = 100
            overflow = "drop_oldest"
            key = "symbol"
        "#,
    )
    .unwrap();
    let lane = Detached::with_capacity(100).with_overflow(Overflow::DropOldest);
    let minute = Duration::from_secs(60);
    let built = Subscription::builder("too hot").to::<dyn StockEvents>();
    let built = built
        .component("alarm")
        .delivery(lane.with_key("symbol"))
        .deadline(Duration::from_millis(1_500))
        .breaker(Breaker::after(3).with_max_back_off(minute))
        .trigger(Trigger::at_most(3, minute * 60).per("symbol"));
    assert_eq!(record, built.build().unwrap());
    let record = record.to_builder().delivery(DeliveryMode::Inline);
    let json = serde_json::to_string(&record.without_trigger().build().unwrap()).unwrap();
    let rest = concat!(
        r#""delivery":"inline","deadline":"PT1.5S","#,
        r#""breaker":{"failures":3,"back_off":"PT1S","max_back_off":"PT1M"}}"#,
    );
    assert!(json.ends_with(rest), "{json}");
}

#[test]
fn form_with_a_lane_that_cannot_be_is_refused() {
    let json = r#"{ "name": "a", "class": "c", "component": "d",
        "delivery": { "detached": { "overflow": "coalesce" } } }"#;
    let error = serde_json::from_str::<Subscription>(json).unwrap_err();
    let expected = "delivery: no key says which events coalesce";
    assert!(error.to_string().contains(expected), "{error}");
}

/// A record in which every field has a value.
fn full() -> Subscription {
    let time = SystemTime::UNIX_EPOCH + Duration::new(2_000_000_000, 7);
    let mut bag = Properties::from([("text", "a")]);
    bag.insert("whole", -3);
    bag.insert("fraction", 2.0);
    bag.insert("truth", false);
    bag.insert("time", time);
    bag.insert("span", Duration::new(1, 500_000_000));
    bag.insert("bytes", vec![0_u8, 255]);
    bag.insert("id", uuid::Uuid::from_u128(7));
    bag.insert("list", Value::List(vec![1.into(), "x".into()]));
    bag.insert("inner", Properties::from([("deep", true)]));
    let built = Subscription::builder("full \u{e9}")
        .class("stocks")
        .to::<dyn StockEvents>();
    let built = built
        .method("traded")
        .component("alarm")
        .filter("volume > 1")
        .priority(-3);
    let built = built
        .method("price_changed")
        .from_publisher("exchange")
        .per_user()
        .predicate("p")
        .requires_role("r");
    let built = built
        .disabled()
        .not_before(time)
        .expires(time + Duration::from_nanos(1));
    let built = built
        .owner("ann")
        .description("everything")
        .for_publisher(bag.clone());
    let span = Duration::new(70, 500_000_000);
    let lane = Detached::with_capacity(100).with_overflow(Overflow::DropOldest);
    let trigger = Trigger::on_becoming_true()
        .lasting(span)
        .rearm("volume = 0");
    let trigger = trigger.resolved().per("volume").with_max_keys(9).kept();
    let built = built
        .delivery(lane.with_key("volume"))
        .deadline(span)
        .breaker(Breaker::after(3).with_max_back_off(span))
        .trigger(trigger);
    built.for_subscriber(bag).build().unwrap()
}

#[test]
fn every_field_comes_back_from_json_and_toml() {
    let broker = quiet();
    broker.store(&full()).unwrap();
    for record in [full(), broker.subscription(full().id()).unwrap()] {
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Subscription>(&json).unwrap(), record);
        let toml = toml::to_string(&record).unwrap();
        assert_eq!(
            toml::from_str::<Subscription>(&toml).unwrap(),
            record,
            "{toml}"
        );
    }
}

#[test]
fn what_has_its_default_is_not_written() {
    let record = Subscription::builder("a")
        .class("c")
        .component("x")
        .build()
        .unwrap();
    let json = serde_json::to_value(&record).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["class", "component", "id", "name"]);
    let json = serde_json::to_value(EventClass::new("c", "c")).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "name"]);
}

#[test]
fn revision_in_a_written_record_is_expected_when_it_is_stored() {
    let broker = quiet();
    broker.store(&full()).unwrap();
    let json = serde_json::to_string(&broker.subscription(full().id()).unwrap()).unwrap();
    broker.enable(full().id()).unwrap();
    let read: Subscription = serde_json::from_str(&json).unwrap();
    let error = broker.store(&read).unwrap_err();
    assert_eq!(error.kind(), loosely::ErrorKind::Conflict);
}

#[test]
fn record_that_breaks_a_rule_is_refused_with_the_rule() {
    let cases = [
        (
            r#"{"name": "a", "class": "c"}"#,
            "expected one of component, moniker and object",
        ),
        (
            r#"{"name": "a", "class": "c", "component": "x", "object": true}"#,
            "expected one of",
        ),
        (
            r#"{"name": "a", "component": "x"}"#,
            "neither a class nor an interface",
        ),
        (r#"{"name": " ", "class": "c", "component": "x"}"#, "space"),
        (
            r#"{"name": "a", "class": "c", "component": "x", "prority": 1}"#,
            "prority",
        ),
        (
            r#"{"name": "a", "class": "c", "moniker": "no scheme"}"#,
            "scheme:rest",
        ),
        (
            r#"{"name": "a", "class": "c", "component": "x",
                "not_before": "2027-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z"}"#,
            "expires",
        ),
    ];
    for (json, expected) in cases {
        let error = serde_json::from_str::<Subscription>(json)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn live_record_is_written_as_what_it_is() {
    let record = Subscription::builder("a")
        .class("c")
        .object()
        .build()
        .unwrap();
    let json = serde_json::to_string(&record).unwrap();
    assert!(json.contains(r#""object":true"#));
    let read: Subscription = serde_json::from_str(&json).unwrap();
    assert_eq!(*read.target(), Target::Object);
}

#[test]
fn event_class_is_written_and_read_like_a_subscription() {
    let class: EventClass = toml::from_str(
        r#"
            id = "stocks"
            name = "Stocks"
            interfaces = ["StockEvents"]
            publisher = "exchange"
            nesting = "queued"
            firing = { parallel = { max = 4 } }

            [all_methods]
            publisher_filters = ["audit"]
            default_query = "enabled = TRUE"
            retained = "last"

            [methods.traded]
            retained = { last_per = "symbol" }

            [access]
            publish = ["traders"]

            [[properties]]
            name = "desk"
            type = "str"
            default = "fx"

            [[properties]]
            name = "level"
            type = "u8"
        "#,
    )
    .unwrap();
    let expected = EventClass::new("stocks", "Stocks")
        .with_interface(<dyn StockEvents>::schema().id())
        .with_publisher("exchange")
        .with_nesting(Nesting::Queued)
        .with_firing(Firing::Parallel { max: 4 })
        .with_publisher_filter("audit")
        .with_default_query("enabled = TRUE")
        .with_retained(Retained::Last)
        .with_method_retained("traded", Retained::LastPer("symbol".into()))
        .with_access(Right::Publish, "traders")
        .with_property("desk", ValueType::Str, "fx")
        .with_property("level", ValueType::U8, Value::Null);
    assert_eq!(class, expected);
    let json = serde_json::to_string(&class).unwrap();
    assert_eq!(serde_json::from_str::<EventClass>(&json).unwrap(), class);
    let toml = toml::to_string(&class).unwrap();
    let read = toml::from_str::<EventClass>(&toml).unwrap();
    assert_eq!(read, class, "{toml}");
    let typo = r#"{"id": "c", "name": "c", "open_propertys": true}"#;
    let error = serde_json::from_str::<EventClass>(typo).unwrap_err();
    assert!(error.to_string().contains("open_propertys"), "{error}");
}

#[test]
fn id_is_a_uuid_or_the_name_that_stands_for_one() {
    let id = EventClassId::named("stocks");
    let read = |text: &str| serde_json::from_str::<EventClassId>(text).unwrap();
    assert_eq!(read("\"stocks\""), id);
    assert_eq!(read(&format!("\"{id}\"")), id);
    assert_eq!(
        read(&format!("\"{{{id}}}\"")),
        id,
        "with braces, as COM+ writes it"
    );
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    assert_eq!(
        InterfaceId::named("StockEvents"),
        <dyn StockEvents>::schema().id()
    );
}

#[test]
fn value_that_json_has_no_type_for_is_a_tagged_one() {
    let json = serde_json::to_string(full().for_publisher()).unwrap();
    for part in [
        r#""bytes":{"$bytes":[0,255]}"#,
        r#""time":{"$time":"2033-05-18T03:33:20.000000007Z"}"#,
        r#""span":{"$duration":"PT1.5S"}"#,
        r#""id":{"$uuid":"00000000-0000-0000-0000-000000000007"}"#,
        r#""fraction":2.0"#,
    ] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
}

/// A record whose only key begins with `$` was once written as it is, and read back as what the tag
/// stands for.
#[test]
fn record_that_looks_like_a_tagged_value_comes_back_as_a_record() {
    let inner = Properties::from([("$duration", "PT1S")]);
    let other = Properties::from([("$anything", inner.clone())]);
    let plain = Properties::from([("$a", 1), ("$b", 2)]);
    for (record, json) in [
        (inner.clone(), r#"{"$record":{"$duration":"PT1S"}}"#),
        (
            other,
            r#"{"$record":{"$anything":{"$record":{"$duration":"PT1S"}}}}"#,
        ),
        (plain, r#"{"$a":1,"$b":2}"#),
        (Properties::new(), "{}"),
    ] {
        let value = Value::from(record);
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value);
    }
    let record = Subscription::builder("a").class("c").component("x");
    let mut bag = Properties::new();
    bag.insert("odd", inner);
    let record = record.for_publisher(bag).build().unwrap();
    let toml = toml::to_string(&record).unwrap();
    assert_eq!(
        toml::from_str::<Subscription>(&toml).unwrap(),
        record,
        "{toml}"
    );
}

#[test]
fn class_with_a_property_without_default_comes_back_from_toml() {
    let class = EventClass::new("stocks", "Stocks")
        .with_interface("StockEvents")
        .with_property("level", ValueType::U8, Value::Null);
    let toml = toml::to_string(&class).unwrap();
    assert_eq!(
        toml::from_str::<EventClass>(&toml).unwrap(),
        class,
        "{toml}"
    );
}

#[test]
fn time_that_cannot_be_written_is_refused_by_build() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    let record = Subscription::builder("a").class("c").component("x");
    let error = record.expires(far).build().unwrap_err();
    assert_eq!(error.kind(), loosely::ErrorKind::Invalid);
    assert!(error.to_string().contains("expires: "), "{error}");
}
