//! Filter criteria: what is printed means the same, by every way of asking.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use loosely::{
    Broker, DynamicPublisher, Event, EventClass, Filter, FilterError, Subscriber, SubscriberError,
    Subscription, SubscriptionGuard, Value, ValueRef,
};

use crate::events::{READINGS, event, method};
use crate::input::Random;

/// Reads criteria, prints them, and asks both about events; the index of a class is asked too.
///
/// # Panics
///
/// If they do not say the same.
pub fn filter_text(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(filter) = Filter::parse(text) else {
        return;
    };
    let printed = filter.to_string();
    let again = match Filter::parse(&printed) {
        Ok(again) => again,
        // What is printed may be longer than what was read.
        Err(_) if printed.len() > LONGEST => return,
        Err(error) => panic!("{printed:?} does not parse: {error}"),
    };
    assert_eq!(again, filter, "{printed:?} is something else");
    assert_eq!(again.to_string(), printed, "printing has no end");
    let built = Filter::from(filter.expr().clone());
    assert_eq!(built, filter, "building {printed:?} makes something else");

    let mut random = Random::of(data);
    let events: Vec<_> = (0..4).map(|_| event(text, &mut random)).collect();
    for event in &events {
        agree(&filter, &again, event);
    }
    INDEXED.with_borrow(|indexed| indexed.agree(&filter, &events));
}

/// Asks a filter and what was printed of it about an event.
fn agree(filter: &Filter, again: &Filter, event: &[Value]) {
    let values: Vec<_> = event.iter().map(Value::view).collect();
    let kind = |error: FilterError| error.kind();
    let decided = filter.matches(method(), &values).map_err(kind);
    let printed = again.matches(method(), &values).map_err(kind);
    assert_eq!(decided, printed, "{filter} about {event:?}");
    let explained = filter.explain(method(), &values).map_err(kind);
    let explained = explained.map(|decision| decision.outcome());
    assert_eq!(decided, explained, "{filter} about {event:?}, explained");
}

/// A class with so many filters that an index finds those that hold.
struct Indexed {
    broker: Broker,
    readings: DynamicPublisher,
    _others: Vec<SubscriptionGuard>,
}

thread_local! {
    static INDEXED: std::cell::RefCell<LazyLock<Indexed>> =
        const { std::cell::RefCell::new(LazyLock::new(Indexed::new)) };
}

impl Indexed {
    fn new() -> Self {
        let new = || -> loosely::Result<Self> {
            let broker = Broker::builder().on_failure(|_, _| {}).open()?;
            let class = EventClass::new("readings", "Readings").with_open_properties();
            let class = broker.register_dynamic_class(class, &READINGS)?;
            let other = |i: usize| {
                let filter = format!("n = {} AND name = 'other'", i + 1_000_000);
                subscribe(&broker, &format!("other {i}"), &filter, Arc::new(ignore))
            };
            let others = (0..OTHERS).map(other).collect::<loosely::Result<_>>()?;
            Ok(Self {
                readings: broker.dynamic_publisher(class)?,
                broker,
                _others: others,
            })
        };
        new().expect("the class of the index")
    }

    fn agree(&self, filter: &Filter, events: &[Vec<Value>]) {
        let called = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&called);
        let object = move |_: &Event<'_>| -> Result<(), SubscriberError> {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let subscribed = subscribe(
            &self.broker,
            "reader",
            &filter.to_string(),
            Arc::new(object),
        );
        for event in events {
            let values: Vec<_> = event.iter().map(Value::view).collect();
            let decided = filter.matches(method(), &values);
            match &subscribed {
                Ok(_) => {
                    let decided = decided.expect("a filter that the broker takes");
                    let called = self.calls(&called, &values);
                    assert_eq!(called, decided == Some(true), "{filter} about {event:?}");
                }
                // Properties are not looked for when no broker is there.
                Err(error) if decided.is_ok() => {
                    let text = filter.to_string().to_lowercase();
                    let has_root = text.contains("publisher") || text.contains("subscription");
                    assert!(has_root, "{filter} is refused: {error}");
                }
                Err(_) => {}
            }
        }
    }

    fn calls(&self, called: &AtomicUsize, values: &[ValueRef<'_>]) -> bool {
        called.store(0, Ordering::Relaxed);
        let fired = self.readings.fire("taken", values);
        let report = fired.expect("values that fit");
        let count = called.load(Ordering::Relaxed);
        assert_eq!(report.delivered(), count, "the report says something else");
        assert!(count <= 1, "the subscriber was called {count} times");
        count == 1
    }
}

fn subscribe(
    broker: &Broker,
    name: &str,
    filter: &str,
    object: Arc<dyn Subscriber>,
) -> loosely::Result<SubscriptionGuard> {
    let record = Subscription::builder(name).class("readings").object();
    broker.subscribe_untyped(&record.filter(filter).build()?, object)
}

fn ignore(_: &Event<'_>) -> Result<(), SubscriberError> {
    Ok(())
}

/// From sixty-four on a method has an index.
const OTHERS: usize = 70;

/// What criteria may have, in bytes.
const LONGEST: usize = 65_536;
