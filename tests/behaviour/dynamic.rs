//! Publishing and subscribing without the Rust type.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use loosely::{
    Broker, DynamicPublisher, ErrorKind, Event, EventClass, EventMethod, InterfaceSchema,
    MemoryStore, Parameter, Store, SubscriberError, Subscription, ValueRef, ValueType,
};

use crate::support::{Alerts, StockEvents, Tape, Watchdog, live, on_store, quiet, subscription};

/// An interface that no program has as a trait.
fn weather() -> InterfaceSchema {
    let optional = ValueType::Option(Box::new(ValueType::Str));
    let parameters = [
        Parameter::new("celsius", ValueType::I16),
        Parameter::new("station", optional.clone()),
        Parameter::new("note", optional),
    ];
    InterfaceSchema::new(
        "Weather",
        "Weather",
        [EventMethod::new("measured", parameters)],
    )
}

/// A broker with the class and a component that writes every event of any interface.
fn with_weather() -> (Broker, DynamicPublisher, Tape) {
    let (broker, tape) = (quiet(), Tape::new());
    let id = broker.register_dynamic_class(EventClass::new("weather", "Weather"), &weather());
    broker
        .register_component(tape.untyped("any").implements_any())
        .unwrap();
    let publisher = broker.dynamic_publisher(id.unwrap()).unwrap();
    (broker, publisher, tape)
}

fn to_weather(name: &str) -> loosely::SubscriptionBuilder {
    Subscription::builder(name)
        .class("weather")
        .component("any")
}

#[test]
fn class_without_a_rust_type_is_fired_filtered_and_received_by_name() {
    let (broker, weather, tape) = with_weather();
    let record = to_weather("cold").filter("celsius < 0 AND station = 'Oslo'");
    broker.ensure(&record.build().unwrap()).unwrap();
    let fire = |celsius, station| {
        let values = [
            ValueRef::I64(celsius),
            ValueRef::Str(station),
            ValueRef::Null,
        ];
        weather.fire("measured", &values).unwrap().delivered()
    };
    assert_eq!(
        [fire(-4, "Oslo"), fire(4, "Oslo"), fire(-4, "Rome")],
        [1, 0, 0]
    );
    assert_eq!(
        tape.take(),
        ["measured(celsius = -4, station = 'Oslo', note = NULL)"]
    );
    let misfit = to_weather("b").filter("fahrenheit > 1").build().unwrap();
    assert_eq!(
        broker.ensure(&misfit).unwrap_err().kind(),
        ErrorKind::Filter
    );
    assert_eq!(weather.schema().name(), "Weather");
    assert_eq!(weather.class().name(), "Weather");
}

#[test]
fn what_does_not_fit_the_schema_is_refused_and_calls_nobody() {
    let (broker, weather, tape) = with_weather();
    broker.ensure(&to_weather("a").build().unwrap()).unwrap();
    let kind =
        |method: &str, values: &[ValueRef<'_>]| weather.fire(method, values).unwrap_err().kind();
    let warm = ValueRef::I64(20);
    assert_eq!(kind("forecast", &[warm]), ErrorKind::NotFound);
    assert_eq!(
        kind("measured", &[ValueRef::Str("warm")]),
        ErrorKind::SchemaMismatch
    );
    assert_eq!(
        kind("measured", &[ValueRef::I64(40_000)]),
        ErrorKind::SchemaMismatch
    );
    assert_eq!(kind("measured", &[]), ErrorKind::SchemaMismatch);
    let null = ValueRef::Null;
    assert_eq!(
        kind("measured", &[warm, null, null, null]),
        ErrorKind::SchemaMismatch
    );
    let error = weather.fire("measured", &[null]).unwrap_err();
    assert!(error.to_string().contains("celsius"), "{error}");
    assert_eq!(tape.len(), 0);
}

/// A subscriber that reads by place must find as many values as there are parameters.
#[test]
fn trailing_options_left_out_arrive_as_null() {
    let (broker, weather, tape) = with_weather();
    broker
        .ensure(&to_weather("a").filter("note IS NULL").build().unwrap())
        .unwrap();
    let log = tape.clone();
    let object = move |event: &Event<'_>| -> Result<(), SubscriberError> {
        log.write(format!(
            "{} {:?}",
            event.values().len(),
            event.get("note").is_some()
        ));
        Ok(())
    };
    let record = Subscription::builder("live")
        .class("weather")
        .object()
        .build()
        .unwrap();
    let _guard = broker.subscribe_untyped(&record, Arc::new(object)).unwrap();
    let report = weather.fire("measured", &[ValueRef::I64(7)]).unwrap();
    assert_eq!(report.delivered(), 2);
    let expected = [
        "measured(celsius = 7, station = NULL, note = NULL)",
        "3 true",
    ];
    assert_eq!(tape.take(), expected);
}

#[test]
fn dynamic_fire_reaches_typed_subscribers() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("typed")).unwrap();
    broker
        .ensure(&subscription("a", "typed").build().unwrap())
        .unwrap();
    let class = broker.publisher::<dyn StockEvents>().unwrap().class_id();
    let _live = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    let stocks = broker.dynamic_publisher(class).unwrap();
    let values = [ValueRef::Str("MSFT"), ValueRef::I64(2)];
    assert_eq!(
        stocks.fire("price_changed", &values).unwrap().delivered(),
        2
    );
    assert_eq!(tape.take(), ["typed MSFT 2", "live MSFT 2"]);
}

/// A program that knows the class from the store alone becomes one that has the type, while the
/// publisher that it made before goes on.
#[test]
fn publisher_made_before_the_rust_type_was_known_goes_on() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    on_store(store.clone())
        .publisher::<dyn StockEvents>()
        .unwrap();
    let (broker, tape) = (on_store(store), Tape::new());
    let stocks = broker.dynamic_publisher("StockEvents").unwrap();
    let values = [ValueRef::Str("MSFT"), ValueRef::F64(1.5)];
    assert_eq!(
        stocks.fire("price_changed", &values).unwrap().delivered(),
        0
    );
    broker.register_component(tape.component("typed")).unwrap();
    broker
        .ensure(&subscription("a", "typed").build().unwrap())
        .unwrap();
    let _live = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    assert_eq!(
        stocks.fire("price_changed", &values).unwrap().delivered(),
        2
    );
    broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(
        stocks.fire("price_changed", &values).unwrap().delivered(),
        2
    );
    assert_eq!(tape.len(), 4);
}

/// The first publisher with the Rust type means a new channel behind those that fire by name; it
/// takes a while to fill, and a fire must find it with its subscribers or not at all.
#[test]
fn no_event_is_lost_while_the_rust_type_becomes_known() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let class = EventClass::new("stocks", "Stocks");
    let class = broker.register_class::<dyn StockEvents>(class).unwrap();
    let others = (0..4_000).map(|number| {
        let record = subscription(&format!("{number}"), "nobody");
        record.filter(format!("symbol = 'N{number}'")).build()
    });
    broker.import(others.map(Result::unwrap)).unwrap();
    let listener = Tape::new().listener("live");
    let _live = broker.subscribe::<dyn StockEvents>(listener).unwrap();
    let stocks = broker.dynamic_publisher(class).unwrap();
    let (started, stop) = (Barrier::new(2), AtomicBool::new(false));
    let lost = thread::scope(|scope| {
        let firing = scope.spawn(|| {
            let (mut lost, values) = (0, ["MSFT".into(), 1.5.into()]);
            started.wait();
            while !stop.load(Ordering::SeqCst) {
                lost += 1 - stocks.fire("price_changed", &values).unwrap().delivered();
            }
            lost
        });
        started.wait();
        broker.publisher_of::<dyn StockEvents>(class).unwrap();
        stop.store(true, Ordering::SeqCst);
        firing.join().unwrap()
    });
    assert_eq!(lost, 0);
}

#[test]
fn class_with_several_interfaces_asks_which() {
    let broker = quiet();
    let class = EventClass::new("both", "both");
    broker
        .register_class::<dyn StockEvents>(class.clone())
        .unwrap();
    broker.register_class::<dyn Alerts>(class).unwrap();
    assert_eq!(
        broker.dynamic_publisher("both").unwrap_err().kind(),
        ErrorKind::Invalid
    );
    let alerts = broker.dynamic_publisher_of("both", "Alerts").unwrap();
    assert_eq!(alerts.schema().methods()[0].name(), "raised");
    let error = broker.dynamic_publisher_of("both", "Weather").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        broker.dynamic_publisher("none").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn interface_whose_schema_nobody_stored_cannot_be_fired() {
    let broker = quiet();
    let class = EventClass::new("weather", "Weather").with_interface("Unknown");
    broker.register_dynamic_class(class, &weather()).unwrap();
    let error = broker
        .dynamic_publisher_of("weather", "Unknown")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A new schema means a new channel behind the publisher; a fire must find it with its subscribers
/// or not at all.
#[test]
fn no_event_is_lost_while_the_schema_changes() {
    let _watchdog = Watchdog::new();
    let (broker, weather_publisher, _tape) = with_weather();
    let record = Subscription::builder("a")
        .class("weather")
        .object()
        .build()
        .unwrap();
    let deaf = |_: &Event<'_>| -> Result<(), SubscriberError> { Ok(()) };
    let _guard = broker.subscribe_untyped(&record, Arc::new(deaf)).unwrap();
    let stop = AtomicBool::new(false);
    let lost = thread::scope(|scope| {
        let firing = scope.spawn(|| {
            let mut lost = 0;
            while !stop.load(Ordering::SeqCst) {
                let report = weather_publisher
                    .fire("measured", &[ValueRef::I64(1)])
                    .unwrap();
                lost += 1 - report.delivered();
            }
            lost
        });
        for round in 0..2_000 {
            let extra = EventMethod::new(format!("extra_{round}"), []);
            let methods = weather()
                .methods()
                .iter()
                .cloned()
                .chain([extra])
                .collect::<Vec<_>>();
            let schema = InterfaceSchema::new("Weather", "Weather", methods);
            let class = EventClass::new("weather", "Weather");
            broker.register_dynamic_class(class, &schema).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        firing.join().unwrap()
    });
    assert_eq!(lost, 0);
}

#[test]
fn untyped_record_takes_every_method_of_a_typed_class() {
    let (broker, tape) = (quiet(), Tape::new());
    let log = tape.clone();
    let object = move |event: &Event<'_>| -> Result<(), SubscriberError> {
        log.write(format!("{} {}", event.name(), event.values().len()));
        Ok(())
    };
    let record = live("all").build().unwrap();
    let _guard = broker.subscribe_untyped(&record, Arc::new(object)).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    stocks.traded("MSFT", 1);
    assert_eq!(tape.take(), ["price_changed 2", "traded 2"]);
}

#[test]
fn arguments_are_made_of_what_a_program_has_at_hand() {
    let broker = quiet();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let symbol = String::from("MSFT");
    let explained = stocks.explain("price_changed", &["MSFT".into(), 185.5.into()]);
    assert!(explained.is_ok());
    let dynamic = broker.dynamic_publisher(stocks.class_id()).unwrap();
    let report = dynamic.fire("traded", &[(&symbol).into(), 7_u8.into()]);
    assert!(report.is_ok());
    assert!(ValueRef::from(None::<i32>).is_null());
    assert_eq!(ValueRef::from(Some(true)).as_bool(), Some(true));
    assert_eq!(ValueRef::from(&[1_u8, 2][..]).as_bytes(), Some(&[1, 2][..]));
}

#[test]
fn value_is_read_as_the_type_that_it_has() {
    let bag = loosely::Properties::from([("whole", 7_i64), ("below", -1)]);
    let value = |name: &str| bag.get(name).unwrap();
    assert_eq!(
        (value("whole").as_i64(), value("whole").as_u64()),
        (Some(7), Some(7))
    );
    assert_eq!(
        (value("below").as_u64(), value("below").as_str()),
        (None, None)
    );
    assert_eq!(bag.get_as::<f64>("whole").unwrap(), 7.0);
    let error = bag.get_as::<u8>("below").unwrap_err().to_string();
    assert_eq!(error, "below: found an integer -1, expected u8");
    let error = bag.get_as::<u8>("absent").unwrap_err().to_string();
    assert_eq!(error, "absent: found nothing, expected u8");
}

#[test]
fn property_of_a_publisher_by_name_is_its_own_or_the_default() {
    let broker = quiet();
    let class = EventClass::new("stocks", "Stocks").with_property("desk", ValueType::Str, "fx");
    let id = broker.register_class::<dyn StockEvents>(class).unwrap();
    let stocks = broker.dynamic_publisher(id).unwrap();
    assert_eq!(stocks.property("desk"), Some("fx".into()));
    stocks.set("desk", "bonds").unwrap();
    assert_eq!(stocks.property("desk"), Some("bonds".into()));
    assert_eq!(stocks.property("site"), None);
}
