//! Streams of events.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Detached, DynamicEvent, EventClass, EventContext, EventStream, Failure, FireOutcome,
    NESTING_LIMIT, Overflow, Retained, Streamed, Subscription, Value, ValueRef, ValueType,
};

use crate::support::{
    Alerts, AlertsEvent, StockEvents, StockEventsEvent, StockEventsPublisher, Watchdog, live,
    only_failure, quiet,
};

pub(crate) fn stocks(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

fn stream_of(broker: &Broker, lane: Detached) -> EventStream<StockEventsEvent> {
    let record = live("stream").delivery(lane).build().unwrap();
    broker.stream_with::<dyn StockEvents>(&record).unwrap()
}

/// Returns the event as text.
pub(crate) fn text(event: &StockEventsEvent) -> String {
    match event {
        StockEventsEvent::PriceChanged(change) => format!("{} {}", change.symbol, change.price),
        StockEventsEvent::Traded(trade) => format!("{} x{}", trade.symbol, trade.volume),
    }
}

/// Takes what waits.
fn take(stream: &mut EventStream<StockEventsEvent>) -> Vec<String> {
    let all = std::iter::from_fn(|| stream.try_next());
    let all = all.map(|item| match item {
        Streamed::Event(event) => text(&event),
        Streamed::Gap(count) => format!("gap of {count}"),
    });
    all.collect()
}

fn lane(capacity: usize, overflow: Overflow) -> Detached {
    Detached::with_capacity(capacity).with_overflow(overflow)
}

#[test]
fn stream_yields_the_events_of_all_methods_in_order() {
    let broker = quiet();
    let (stocks, mut stream) = (stocks(&broker), broker.stream::<dyn StockEvents>().unwrap());
    let report = stocks.price_changed("A", 1.0);
    assert_eq!(
        (report.accepted(), report.outcome()),
        (1, FireOutcome::Queued)
    );
    stocks.traded("B", 2);
    assert_eq!(stream.waiting(), 2);
    assert_eq!(take(&mut stream), ["A 1", "B x2"]);
    assert!(stream.try_next().is_none() && !stream.is_ended());
}

#[test]
fn filter_and_methods_of_the_record_say_what_is_streamed() {
    let broker = quiet();
    let record = live("a").method("price_changed").filter("price > 5");
    let record = record.build().unwrap();
    let mut stream = broker.stream_with::<dyn StockEvents>(&record).unwrap();
    let stocks = stocks(&broker);
    stocks.price_changed("A", 1.0);
    stocks.traded("B", 2);
    stocks.price_changed("C", 6.0);
    assert_eq!(take(&mut stream), ["C 6"]);
    assert_eq!(stream.id(), record.id());
}

#[test]
fn streams_share_the_arguments_and_the_last_one_has_them_for_itself() {
    let broker = quiet();
    let streams = [(); 2].map(|()| broker.stream::<dyn StockEvents>().unwrap());
    stocks(&broker).price_changed("A", 1.0);
    let [first, second] = streams.map(|mut stream| {
        let event = stream.try_next().unwrap().into_event().unwrap();
        (stream, event)
    });
    let symbol = |event: &StockEventsEvent| match event {
        StockEventsEvent::PriceChanged(change) => change.symbol.as_ptr(),
        StockEventsEvent::Traded(_) => unreachable!("none was fired"),
    };
    let address = symbol(&first.1);
    assert_eq!(symbol(&second.1), address);
    assert_ne!(
        symbol(&first.1.into_event()),
        address,
        "the second has it too"
    );
    assert_eq!(symbol(&second.1.into_event()), address);
}

#[test]
fn event_brings_its_context_and_the_properties_of_its_publisher() {
    let broker = quiet();
    let class = EventClass::new("quotes", "Quotes").with_property("desk", ValueType::Str, "none");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let publisher = broker.publisher_of::<dyn StockEvents>("quotes").unwrap();
    let mut stream = broker.stream::<dyn StockEvents>().unwrap();
    publisher
        .with("desk", "fx")
        .unwrap()
        .price_changed("A", 1.0);
    publisher.price_changed("B", 2.0);
    let [first, second] = [(); 2].map(|()| stream.next().unwrap().into_event().unwrap());
    let (one, two) = (first.context(), second.context());
    assert_eq!(
        (one.class(), one.subscription()),
        (publisher.class_id(), stream.id())
    );
    assert!(one.sequence() < two.sequence() && one.time() <= two.time());
    assert_ne!(one.event_id(), two.event_id());
    assert_eq!(first.property("desk"), Some(Value::from("fx")));
    assert_eq!(second.property("desk"), Some(Value::from("none")));
    assert!(EventContext::current().is_none());
    let inside = first.within(|| {
        let current = EventContext::current().unwrap();
        (current, current.property("desk"))
    });
    assert_eq!(inside, Some((*one, Some(Value::from("fx")))));
}

#[test]
fn cycle_through_a_stream_ends_at_the_nesting_limit() {
    let broker = quiet();
    let (stocks, mut stream) = (stocks(&broker), broker.stream::<dyn StockEvents>().unwrap());
    stocks.price_changed("A", 1.0);
    let mut depth = 0;
    let last = loop {
        let event = stream.try_next().unwrap().into_event().unwrap();
        depth += 1;
        assert_eq!(event.context().depth(), depth);
        let report = event.within(|| stocks.price_changed("A", 1.0)).unwrap();
        if report.accepted() == 0 {
            break report;
        }
    };
    assert_eq!(depth, NESTING_LIMIT);
    assert!(matches!(only_failure(&last), Failure::TooDeep));
}

#[test]
fn dynamic_stream_yields_names_and_values_of_any_interface() {
    let broker = quiet();
    let record = Subscription::builder("all").class("desk").object();
    let class = EventClass::new("desk", "Desk");
    broker
        .register_class::<dyn StockEvents>(class.clone())
        .unwrap();
    broker.register_class::<dyn Alerts>(class).unwrap();
    let mut stream = broker.stream_dynamic(&record.build().unwrap()).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>("desk").unwrap();
    stocks.price_changed("A", 1.5);
    stocks.interface::<dyn Alerts>().unwrap().raised("fire");
    let [price, alert] = [(); 2].map(|()| stream.try_next().unwrap().into_event().unwrap());
    let price: DynamicEvent = price.into_event();
    assert_eq!(
        price.to_string(),
        "price_changed(symbol = 'A', price = 1.5)"
    );
    assert_eq!(price.get("price").unwrap().to_value(), Value::F64(1.5));
    assert_eq!(
        (price.values().len(), price.get("volume").is_none()),
        (2, true)
    );
    assert_eq!(
        (alert.name(), alert.interface().name()),
        ("raised", "Alerts")
    );
    assert_eq!(alert.method().unwrap().parameters().len(), 1);
}

#[test]
fn typed_stream_has_what_is_fired_by_name() {
    let broker = quiet();
    let mut stream = broker.stream::<dyn StockEvents>().unwrap();
    let class = stocks(&broker).class_id();
    let publisher = broker.dynamic_publisher(class).unwrap();
    let values = [ValueRef::Str("A"), ValueRef::I64(3)];
    publisher.fire("price_changed", &values).unwrap();
    assert_eq!(take(&mut stream), ["A 3"]);
}

#[test]
fn new_stream_begins_with_what_is_retained() {
    let broker = quiet();
    let retained = Retained::LastPer("symbol".into());
    let class = EventClass::new("quotes", "Quotes").with_retained(retained);
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let publisher = broker.publisher_of::<dyn StockEvents>("quotes").unwrap();
    publisher.price_changed("A", 1.0);
    let mut stream = broker.stream::<dyn StockEvents>().unwrap();
    publisher.price_changed("B", 2.0);
    let first = stream.try_next().unwrap().into_event().unwrap();
    assert!(first.context().is_retained());
    assert_eq!(
        (text(&first), take(&mut stream)),
        ("A 1".into(), vec!["B 2".into()])
    );
}

#[test]
fn oldest_events_give_way_and_the_gap_stands_in_their_place() {
    let broker = quiet();
    let mut stream = stream_of(&broker, lane(2, Overflow::DropOldest));
    let stocks = stocks(&broker);
    for symbol in ["A", "B", "C", "D"] {
        assert_eq!(stocks.price_changed(symbol, 1.0).accepted(), 1);
    }
    let Some(Streamed::Gap(2)) = stream.try_next() else {
        panic!("two events are missing");
    };
    let event = stream.try_next().unwrap().into_event().unwrap();
    assert_eq!(
        (text(&event).as_str(), event.context().missed()),
        ("C 1", 2)
    );
    assert_eq!(take(&mut stream), ["D 1"]);
}

#[test]
fn newest_events_are_lost_or_refused_when_asked_to() {
    let broker = quiet();
    let mut drops = stream_of(&broker, lane(1, Overflow::DropNewest));
    let record = live("fails")
        .delivery(lane(1, Overflow::Fail))
        .build()
        .unwrap();
    let mut fails = broker.stream_with::<dyn StockEvents>(&record).unwrap();
    let stocks = stocks(&broker);
    assert_eq!(stocks.price_changed("A", 1.0).accepted(), 2);
    let report = stocks.price_changed("B", 1.0);
    assert_eq!(
        (report.accepted(), report.skipped(), report.failed()),
        (0, 1, 1)
    );
    assert!(matches!(only_failure(&report), Failure::Overflow));
    for stream in [&mut drops, &mut fails] {
        assert_eq!(take(stream), ["A 1", "gap of 1"]);
    }
}

#[test]
fn waiting_event_of_the_same_key_is_replaced() {
    let broker = quiet();
    let latest = lane(10, Overflow::Coalesce).with_key("symbol");
    let mut stream = stream_of(&broker, latest);
    let stocks = stocks(&broker);
    for (symbol, price) in [("A", 1.0), ("B", 2.0), ("A", 3.0)] {
        stocks.price_changed(symbol, price);
    }
    assert_eq!(take(&mut stream), ["A 3", "B 2"]);
}

#[test]
fn publisher_waits_for_whoever_reads() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let mut stream = stream_of(&broker, lane(1, Overflow::Block));
    let stocks = stocks(&broker);
    let publisher = thread::spawn(move || {
        for price in [1.0, 2.0, 3.0, 4.0, 5.0] {
            assert_eq!(stocks.price_changed("A", price).accepted(), 1);
        }
    });
    let prices: Vec<_> = stream.by_ref().take(5).collect();
    publisher.join().unwrap();
    assert!(prices.iter().all(|item| matches!(item, Streamed::Event(_))));
    assert!(stream.try_next().is_none());
}

#[test]
fn reader_waits_for_the_next_event_and_no_longer_than_it_said() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let mut stream = broker.stream::<dyn StockEvents>().unwrap();
    assert!(stream.next_timeout(Duration::from_millis(1)).is_none());
    assert!(!stream.is_ended());
    let (reads, reading) = mpsc::channel();
    let reader = thread::spawn(move || {
        reads.send(()).unwrap();
        let first = stream.next().unwrap().into_event().unwrap();
        let second = stream.next_timeout(Duration::MAX).unwrap();
        [text(&first), text(&second.into_event().unwrap())]
    });
    reading.recv().unwrap();
    let stocks = stocks(&broker);
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    assert_eq!(reader.join().unwrap(), ["A 1", "B 2"]);
}

#[test]
fn stream_ends_behind_the_last_event_when_the_broker_is_closed() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (stocks, mut stream) = (stocks(&broker), broker.stream::<dyn StockEvents>().unwrap());
    stocks.price_changed("A", 1.0);
    broker.close(Duration::MAX).unwrap();
    let report = stocks.price_changed("B", 1.0);
    assert!(matches!(only_failure(&report), Failure::Closed));
    assert!(stream.is_ended());
    assert_eq!(stream.by_ref().count(), 1);
    assert!(stream.next_timeout(Duration::MAX).is_none());
}

#[test]
fn stream_ends_when_the_last_handle_of_the_broker_goes() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let stream = broker.stream::<dyn Alerts>().unwrap();
    let reader = thread::spawn(move || stream.count());
    drop(broker);
    assert_eq!(reader.join().unwrap(), 0);
}

#[test]
fn stream_is_its_owners_alone_to_end() {
    let broker = quiet();
    let (stocks, mut stream) = (stocks(&broker), broker.stream::<dyn StockEvents>().unwrap());
    assert!(!broker.remove(stream.id()).unwrap());
    stocks.price_changed("A", 1.0);
    assert_eq!(
        (take(&mut stream), stream.is_ended()),
        (vec!["A 1".into()], false)
    );
}

#[test]
fn dropped_stream_is_no_subscriber_any_more_and_lets_waiting_publishers_go_on() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let stream = stream_of(&broker, lane(1, Overflow::Block));
    let publisher = stocks(&broker);
    publisher.price_changed("A", 1.0);
    let (fires, firing) = mpsc::channel();
    let waiting = publisher.clone();
    let fire = thread::spawn(move || {
        fires.send(()).unwrap();
        waiting.price_changed("B", 1.0).failed()
    });
    firing.recv().unwrap();
    stream.close();
    assert_eq!(fire.join().unwrap(), 0);
    assert_eq!(
        publisher.price_changed("C", 1.0).outcome(),
        FireOutcome::NoSubscribers
    );
}

#[test]
fn streams_of_the_built_in_classes_are_told_of_the_last_change() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let stream = broker.stream::<dyn loosely::WiringChanges>().unwrap();
    let class = EventClass::new("quotes", "Quotes");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker.close(Duration::MAX).unwrap();
    let changes = stream.filter_map(Streamed::into_event);
    let names: Vec<_> = changes
        .map(|event| {
            let loosely::WiringChangesEvent::RecordChanged(change) = event.into_event();
            format!("{change:?}")
        })
        .collect();
    assert!(
        names.iter().any(|name| name.contains("'Quotes'")),
        "{names:?}"
    );
}

#[test]
fn arguments_of_a_stream_are_dropped_with_it() {
    let broker = quiet();
    let mut stream = broker.stream::<dyn Alerts>().unwrap();
    broker.publisher::<dyn Alerts>().unwrap().raised("fire");
    let event = stream.try_next().unwrap().into_event().unwrap();
    drop(stream);
    drop(broker);
    let event = Arc::new(event);
    let AlertsEvent::Raised(raised) = &**event;
    assert_eq!(raised.text, "fire", "an event outlives its stream");
}
