//! Recorders and what is expected of them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loosely::testing::Recorder;
use loosely::{Subscription, Value};

use super::complaint;
use crate::support::{Alerts, StockEvents, StockEventsPublisher, Watchdog, live, quiet};

/// Returns a recorder with three events of two methods.
fn recorded() -> Recorder {
    let (broker, recorder) = (quiet(), Recorder::new());
    let _guard = broker.subscribe::<dyn StockEvents>(&recorder).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 185.0);
    stocks.traded("MSFT", 7);
    stocks.price_changed("IBM", 100.5);
    recorder
}

#[test]
fn recorder_keeps_events_of_any_interface_in_their_order() {
    let (broker, recorder) = (quiet(), Recorder::new());
    let _stocks = broker.subscribe::<dyn StockEvents>(&recorder).unwrap();
    let alerts = Subscription::builder("alerts").to::<dyn Alerts>().object();
    let _alerts = broker
        .subscribe_untyped(&alerts.build().unwrap(), &recorder)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.traded("MSFT", 7);
    let alerts = broker.publisher::<dyn Alerts>().unwrap();
    alerts.raised("it's late");
    let expected = [
        "traded(symbol = 'MSFT', volume = 7)",
        "raised(text = 'it''s late')",
    ];
    assert_eq!(recorder.lines(), expected);
    let events = recorder.take();
    assert_eq!(
        (events[0].interface(), events[1].method()),
        ("StockEvents", "raised")
    );
    assert_eq!(events[0].get("volume"), Some(&Value::U64(7)));
    assert_eq!(events[0].values().len(), 2);
    recorder.expect_nothing();
}

#[test]
fn recorded_event_has_the_context_of_its_delivery() {
    let (broker, recorder) = (quiet(), Recorder::new());
    let record = live("all").build().unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&record, &recorder)
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    let event = recorder.expect("price_changed").once();
    assert_eq!(event.context().unwrap().subscription(), guard.id());
}

#[test]
fn component_that_is_a_recorder_is_called_as_any_other() {
    let (broker, recorder) = (quiet(), Recorder::new());
    broker
        .register_component(recorder.component("alarm"))
        .unwrap();
    let record = crate::support::subscription("a", "alarm").filter("price > 1");
    broker.ensure(&record.build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("MSFT", 1.0);
    stocks.price_changed("MSFT", 2.0);
    recorder.expect("price_changed").with("price", 2).once();
}

#[test]
fn conditions_hold_for_numbers_by_what_they_count_and_for_criteria() {
    let recorder = recorded();
    recorder
        .expect("price_changed")
        .with("symbol", "MSFT")
        .with("price", 185)
        .once();
    recorder
        .expect("price_changed")
        .matching("price BETWEEN 100 AND 200")
        .times(2);
    let above = |value: &Value| value.as_f64() > Some(150.0);
    recorder
        .expect("price_changed")
        .with_where("price", above)
        .at_most(1);
    recorder.expect("traded").with("volume", 8_u64).never();
    recorder.expect("price_changed").at_least(2);
}

#[test]
fn expectation_that_fails_says_what_was_expected_and_what_came() {
    let recorder = recorded();
    let twice = recorder
        .expect("price_changed")
        .with("symbol", "MSFT")
        .matching("price > 185");
    assert_eq!(
        complaint(|| twice.times(2)),
        "expected price_changed with symbol = 'MSFT' and price > 185, 2 times; it came 0 times\n\
         what came:\n  \
         1. price_changed(symbol = 'MSFT', price = 185.0)  not price > 185\n  \
         2. traded(symbol = 'MSFT', volume = 7)  not price_changed\n  \
         3. price_changed(symbol = 'IBM', price = 100.5)  not symbol = 'MSFT'"
    );
    let never = complaint(|| recorder.expect("traded").never());
    assert!(
        never.starts_with("expected traded, never; it came once"),
        "{never}"
    );
    assert!(never.contains("volume = 7)  as expected"), "{never}");
    let nothing = complaint(|| Recorder::new().expect("traded").once());
    assert_eq!(
        nothing,
        "expected traded, once; it came 0 times\nnothing came"
    );
}

#[test]
fn condition_about_no_parameter_fails_also_where_nothing_is_expected() {
    let recorder = recorded();
    let text = complaint(|| recorder.expect("traded").with("price", 1).never());
    assert!(
        text.starts_with("traded with price = 1 cannot be expected"),
        "{text}"
    );
    let text = complaint(|| {
        recorder
            .expect("traded")
            .with_where("color", |_| true)
            .never()
    });
    assert!(text.ends_with("traded has no parameter color"), "{text}");
    complaint(|| recorder.expect("traded").matching("volume >"));
}

#[test]
fn wait_ends_with_the_event_waited_for() {
    let _watchdog = Watchdog::new();
    let (broker, recorder) = (quiet(), Recorder::new());
    let _guard = broker.subscribe::<dyn StockEvents>(&recorder).unwrap();
    let stocks: Arc<StockEventsPublisher> =
        Arc::new(broker.publisher::<dyn StockEvents>().unwrap());
    let firing = thread::spawn(move || {
        stocks.price_changed("1", 1.0);
        stocks.price_changed("2", 1.0);
    });
    assert!(recorder.wait_for(2, Duration::MAX).len() == 2);
    firing.join().unwrap();
    let text = complaint(|| recorder.wait_for(3, Duration::ZERO));
    assert!(
        text.starts_with("expected 3 events within 0ns\nwhat came:\n  1. "),
        "{text}"
    );
}
