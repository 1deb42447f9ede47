//! Records that are not what the crate has written.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use loosely::testing::{FaultyEngine, VirtualClock};
use loosely::{
    Batch, Broker, Component, Engine, Entry, ErrorKind, Event, EventClass, EventMethod,
    InterfaceSchema, LocalStore, MemoryStore, Queued, RawPair, Result, Retained, Retry, Role,
    Store, StoreOptions, SubscriberError, Subscription, Trigger, Value, ValueRef, ValueType,
};

use crate::events::READINGS;
use crate::input::Input;

/// Changes bytes of a store that has some of everything, and opens a broker over it.
///
/// # Panics
///
/// If the broker does not open, or does not serve what is not damaged.
pub fn stored_records(data: &[u8]) {
    let mut input = Input::new(data);
    let is_raw = input.below(4) == 3;
    let options = StoreOptions::new().back_off(Duration::ZERO, Duration::ZERO);
    let store: Arc<dyn Store> = if is_raw {
        let engine = FaultyEngine::new();
        let mut pairs = raw().to_vec();
        edit(&mut input, &mut pairs);
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        engine.apply(&pairs).expect("memory takes everything");
        match LocalStore::with_engine(engine, options) {
            Ok(store) => Arc::new(store),
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::NewerFormat];
                assert!(kinds.contains(&error.kind()), "{error}");
                return;
            }
        }
    } else {
        let mut pairs = sealed().to_vec();
        edit(&mut input, &mut pairs);
        let mut batch = Batch::new();
        for (key, value) in pairs {
            if !key.is_empty() && key[0] != 0 {
                batch.put(key, value);
            }
        }
        let store = LocalStore::with_engine(FaultyEngine::new(), options);
        let store = store.expect("an empty store opens");
        store.commit(batch).expect("memory takes everything");
        Arc::new(store)
    };
    serve(&store);
}

/// Does what the input says with the pairs.
fn edit(input: &mut Input<'_>, pairs: &mut Vec<RawPair>) {
    let mut edits = 0;
    while !input.is_empty() && edits < MOST_EDITS {
        edits += 1;
        let kind = input.below(6);
        let index = input.below(pairs.len());
        let count = pairs[index].1.len();
        match kind {
            0 => pairs[index].1 = input.bytes().to_vec(),
            1 => {
                let at = input.below(count);
                let bytes = input.bytes();
                let end = count.min(at + bytes.len());
                pairs[index].1[at..end].copy_from_slice(&bytes[..end - at]);
            }
            2 => {
                let at = input.below(count);
                let bytes = input.bytes().iter().copied();
                pairs[index].1.splice(at..at, bytes);
            }
            3 => pairs[index].1.truncate(input.below(count)),
            4 => {
                // Next to the record's own: of its kind, and of another thing.
                let (key, value) = pairs[index].clone();
                let kept = key.len().saturating_sub(input.below(key.len() + 1));
                let key = [&key[..kept], input.bytes()].concat();
                pairs.push((key, value));
            }
            _ => pairs[index].1 = pairs[input.below(pairs.len())].1.clone(),
        }
    }
}

/// Opens a broker and uses all that could be damaged, and something that cannot.
fn serve(store: &Arc<dyn Store>) {
    let clock = VirtualClock::new();
    let broker = open(store, &clock).expect("what cannot be read is left out");
    let log = || ignore;
    let ledger = Component::new("ledger", log).implements_any();
    broker.register_component(ledger).expect("a component");
    for record in broker.subscriptions("ALL").expect("all subscriptions") {
        let _ = (
            broker.status(record.id()),
            broker.subscription_health(record.id()),
        );
        let _ = serde_json::to_string(&record);
    }
    for class in broker.classes("ALL").expect("all classes") {
        if let Ok(publisher) = broker.dynamic_publisher(class.id()) {
            let schema = publisher.schema();
            for method in schema.methods() {
                let values = vec![ValueRef::Null; method.parameters().len()];
                let _ = publisher.fire(method.name(), &values);
            }
        }
    }
    let _ = (broker.roles(), broker.notices(), broker.metrics());
    probe(&broker);
    for span in [Duration::ZERO, Duration::from_secs(3_600)] {
        clock.advance(span);
        assert!(broker.idle(LONG), "what is due comes to an end");
    }
    for letter in broker.dead_letters().expect("all dead letters") {
        let _ = serde_json::to_string(&letter);
        let _ = broker.replay(&letter);
    }
    assert!(broker.idle(LONG), "what is replayed comes to an end");
    broker.close(LONG).expect("memory can be closed");
}

/// Says that what the input does not name is served.
fn probe(broker: &Broker) {
    let method = EventMethod::new("seen", []);
    let schema = InterfaceSchema::new("Probe", "Probe", [method]);
    let class = broker.register_dynamic_class(EventClass::new("probe", "Probe"), &schema);
    let class = class.expect("another class");
    let record = Subscription::builder("probe").class(class).object().build();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let object = move |_: &Event<'_>| -> std::result::Result<(), SubscriberError> {
        *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ok(())
    };
    let record = record.expect("a valid subscription");
    let guard = broker.subscribe_untyped(&record, Arc::new(object));
    let _guard = guard.expect("another subscription");
    let publisher = broker.dynamic_publisher(class).expect("a publisher");
    publisher.fire("seen", &[]).expect("an event that fits");
    let count = *count.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(count, 1, "the rest is served");
}

fn ignore(_: &Event<'_>) -> std::result::Result<(), SubscriberError> {
    Ok(())
}

fn open(store: &Arc<dyn Store>, clock: &VirtualClock) -> Result<Broker> {
    let builder = Broker::builder().on_failure(|_, _| {}).delivery_threads(1);
    builder.clock(clock).store(Arc::clone(store)).open()
}

/// The pairs of a store with some of everything, as its broker has put them.
fn sealed() -> &'static [RawPair] {
    static PAIRS: OnceLock<Vec<RawPair>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut pairs = Vec::new();
        let mut take = |key: &[u8], entry: Entry| {
            pairs.push((key.to_vec(), entry.value));
            ControlFlow::Continue(())
        };
        fill(&store)
            .and_then(|()| store.scan(&[], &mut take))
            .expect("a store with some of everything");
        pairs
    })
}

/// The same as an engine has them: with checksums, head and log.
fn raw() -> &'static [RawPair] {
    static PAIRS: OnceLock<Vec<RawPair>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let engine = FaultyEngine::new();
        let store = LocalStore::with_engine(engine.clone(), StoreOptions::new());
        let store: Arc<dyn Store> = Arc::new(store.expect("an empty store opens"));
        fill(&store).expect("a store with some of everything");
        engine.page(&[], None, usize::MAX).expect("all pairs")
    })
}

/// Has a broker write some of everything.
fn fill(store: &Arc<dyn Store>) -> Result<()> {
    let broker = open(store, &VirtualClock::new())?;
    let class = EventClass::new("readings", "Readings")
        .with_owner("ann")
        .with_property("region", ValueType::Str, "EU")
        .with_retained(Retained::Last);
    let class = broker.register_dynamic_class(class, &READINGS)?;
    broker.define_role(&Role::new("traders").with_principal("ann"))?;
    let to = |name: &str| Subscription::builder(name).class(class).component("ledger");
    let minute = Duration::from_secs(60);
    let failing = Queued::new().with_retry(Retry::never());
    let all = [
        to("inline").filter("n > 1 AND name LIKE 'a%'").priority(3),
        to("bags")
            .for_publisher([("desk", "fx")])
            .for_subscriber([("level", 3)]),
        to("queue").delivery(Queued::new()),
        to("tried").delivery(Queued::new().with_retry(Retry::after([minute; 3]))),
        Subscription::builder("dead")
            .class(class)
            .delivery(failing)
            .component("failing"),
        to("trigger")
            .trigger(Trigger::on_becoming_true().kept())
            .filter("n > 0"),
        to("absence").trigger(Trigger::absence(minute)).disabled(),
    ];
    for record in all {
        broker.ensure(&record.build()?)?;
    }
    let fail = |_: &Event<'_>| -> std::result::Result<(), SubscriberError> { Err("no".into()) };
    broker.register_component(Component::new("failing", move || fail).implements_any())?;
    let publisher = broker.dynamic_publisher(class)?;
    for number in 0..3 {
        let mut random = crate::input::Random::of(&[number]);
        let values = crate::events::event("MSFT 1", &mut random);
        let views: Vec<_> = values.iter().map(Value::view).collect();
        publisher.fire("taken", &views)?;
    }
    assert!(
        broker.idle(LONG),
        "nothing waits for a component that is there"
    );
    broker.close(LONG)
}

/// More say nothing more, and take longer.
const MOST_EDITS: usize = 16;

/// No test waits that long.
const LONG: Duration = Duration::from_secs(60);
