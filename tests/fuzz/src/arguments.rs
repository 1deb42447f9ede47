//! Arguments of any type, against parameters of any type, now and after the interface has changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loosely::testing::VirtualClock;
use loosely::{
    Broker, Component, DeliveryMode, Detached, Event, EventClass, InterfaceSchema, MemoryStore,
    Queued, Result, Store, Streamed, SubscriberError, Subscription, Value, ValueRef,
};

use crate::input::Input;

/// Fires events of a described interface, by each mode, and has them wait while it changes.
///
/// # Panics
///
/// If an event that fits arrives as another one or not at all, or one arrives that does not fit.
pub fn arguments(data: &[u8]) {
    let mut input = Input::new(data);
    let (before, after) = (input.schema(), input.schema());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let Ok(accepted) = fire(&mut input, &store, &before) else {
        return;
    };
    let told = deliver(&store, &after).expect("a broker over what one has left");
    assert_eq!(told, accepted, "each event is delivered or a dead letter");
}

/// Fires some events, and returns how many are queued.
fn fire(input: &mut Input<'_>, store: &Arc<dyn Store>, schema: &InterfaceSchema) -> Result<usize> {
    let broker = open(store)?;
    let class = broker.register_dynamic_class(EventClass::new("orders", "Orders"), schema)?;
    let queue = Subscription::builder("ledger")
        .class(class)
        .component("ledger");
    broker.ensure(&queue.delivery(Queued::new()).build()?)?;
    let record = Subscription::builder("stream").class(class).object();
    let mut stream = broker.stream_dynamic(&record.delivery(Detached::new()).build()?)?;
    let (seen, log) = Seen::new();
    let record = Subscription::builder("inline").class(class).object();
    let record = record.delivery(DeliveryMode::Inline).build()?;
    let _guard = broker.subscribe_untyped(&record, Arc::new(log))?;

    let publisher = broker.dynamic_publisher(class)?;
    let mut accepted = 0;
    for _ in 0..4 {
        let method = &schema.methods()[input.below(schema.methods().len())];
        let types = method.parameters().iter().map(|it| it.value_type());
        let mut values: Vec<_> = types.map(|ty| input.value(ty)).collect();
        values.truncate(values.len().saturating_sub(input.below(8) / 6));
        let views: Vec<_> = values.iter().map(Value::view).collect();
        let explained = publisher.explain(method.name(), &views).is_ok();
        match publisher.fire(method.name(), &views) {
            Ok(report) => {
                assert!(explained, "what can be fired can be explained");
                assert_eq!(report.failed(), 0, "{report}");
                let event = [seen.take(), next(&mut stream)];
                // NaN is not equal to itself, and has one spelling.
                let [inline, streamed] = event.each_ref().map(|event| format!("{event:?}"));
                assert_eq!(inline, streamed, "a stream has another event");
                let arrived = event[0].as_deref().unwrap_or_default();
                assert!(starts_as(arrived, &views), "{arrived:?} of {views:?}");
                accepted += 1;
            }
            Err(_) => {
                assert!(!explained, "what cannot be fired is not explained");
                assert_eq!(seen.take(), None, "an event that does not fit");
            }
        }
    }
    drop(stream);
    broker.close(LONG)?;
    Ok(accepted)
}

/// Opens the store with another form of the interface, and returns for how many events its
/// subscriber was called or has a dead letter.
fn deliver(store: &Arc<dyn Store>, schema: &InterfaceSchema) -> Result<usize> {
    let broker = open(store)?;
    let Ok(class) = broker.register_dynamic_class(EventClass::new("orders", "Orders"), schema)
    else {
        // What suspends nothing else: the queue waits for a form that does.
        broker.close(LONG)?;
        return recover(store);
    };
    let _publisher = broker.dynamic_publisher(class)?;
    let called = receive(&broker)?;
    let letters = broker.dead_letters()?;
    for letter in &letters {
        broker.replay(letter)?;
    }
    assert!(broker.idle(LONG), "replayed events come to an end");
    let told = called + letters.len();
    broker.close(LONG)?;
    Ok(told)
}

/// Delivers to a program that registers nothing but the subscriber.
fn recover(store: &Arc<dyn Store>) -> Result<usize> {
    let broker = open(store)?;
    let called = receive(&broker)?;
    let told = called + broker.dead_letters()?.len();
    broker.close(LONG)?;
    Ok(told)
}

/// Registers the component of the queue, and returns how often it was called.
fn receive(broker: &Broker) -> Result<usize> {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let ledger = Component::new("ledger", move || {
        let count = Arc::clone(&counted);
        move |_: &Event<'_>| -> std::result::Result<(), SubscriberError> {
            *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            Ok(())
        }
    });
    broker.register_component(ledger.implements_any())?;
    assert!(broker.idle(LONG), "what waits is delivered");
    let called = *count.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(called)
}

fn open(store: &Arc<dyn Store>) -> Result<Broker> {
    let builder = Broker::builder().on_failure(|_, _| {}).delivery_threads(1);
    let builder = builder.clock(&VirtualClock::new());
    builder.store(Arc::clone(store)).open()
}

/// Returns whether these are the arguments, with NULL for those that were left out.
fn starts_as(arrived: &[Value], fired: &[ValueRef<'_>]) -> bool {
    let print = |value: ValueRef<'_>| format!("{value:?}");
    let is_equal =
        |(arrived, fired): (&Value, &ValueRef<'_>)| print(arrived.view()) == print(*fired);
    arrived.len() >= fired.len()
        && arrived.iter().zip(fired).all(is_equal)
        && arrived[fired.len()..].iter().all(Value::is_null)
}

fn next(stream: &mut loosely::EventStream<loosely::DynamicEvent>) -> Option<Vec<Value>> {
    match stream.try_next()? {
        Streamed::Event(event) => Some(event.values().iter().map(ValueRef::to_value).collect()),
        _ => None,
    }
}

/// The values of the event that was seen last.
#[derive(Clone, Default)]
struct Seen {
    values: Arc<Mutex<Option<Vec<Value>>>>,
}

impl Seen {
    fn new() -> (Self, impl loosely::Subscriber) {
        let seen = Self::default();
        let log = seen.clone();
        let object = move |event: &Event<'_>| -> std::result::Result<(), SubscriberError> {
            let values = event.values().iter().map(ValueRef::to_value).collect();
            *log.values.lock().unwrap_or_else(PoisonError::into_inner) = Some(values);
            Ok(())
        };
        (seen, object)
    }

    fn take(&self) -> Option<Vec<Value>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.take()
    }
}

/// No test waits that long.
const LONG: Duration = Duration::from_secs(60);
