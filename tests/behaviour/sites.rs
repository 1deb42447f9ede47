//! Several classes, classes that come and go, and the channels that follow them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::{
    Broker, Cascade, Component, ConversionError, EventClass, EventValue, FireOutcome, Subscription,
    ValueRef, ValueType, event_interface,
};

#[event_interface]
trait Trades {
    fn traded(&self, price: f64);
}

#[event_interface]
trait Halts {
    fn halted(&self, symbol: &str);
}

#[derive(Default)]
struct Counter(AtomicU32);

impl Trades for Counter {
    fn traded(&self, _price: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Halts for Counter {
    fn halted(&self, _symbol: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn name_that_only_one_of_the_bound_classes_declares_is_null_in_the_others() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    let a = EventClass::new("a", "a").with_property("exchange", ValueType::Str, "N");
    broker.register_class::<dyn Trades>(a)?;
    broker.register_class::<dyn Trades>(EventClass::new("b", "b"))?;
    let counter = Arc::new(Counter::default());
    let record = Subscription::builder("either")
        .to::<dyn Trades>()
        .filter("publisher.exchange = 'N' OR price > 100")
        .object()
        .build()?;
    let _guard = broker.subscribe_with::<dyn Trades>(&record, Arc::clone(&counter))?;
    let (a, b) = (
        broker.publisher_of::<dyn Trades>("a")?,
        broker.publisher_of::<dyn Trades>("b")?,
    );
    assert_eq!(a.traded(1.0).delivered(), 1);
    assert_eq!(b.traded(200.0).delivered(), 1);
    assert_eq!(b.traded(1.0).outcome(), FireOutcome::AllFiltered);
    Ok(())
}

#[test]
fn name_in_a_filter_may_belong_to_one_interface_of_the_class_only() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Trades>(EventClass::new("both", "both"))?;
    broker.register_class::<dyn Halts>(EventClass::new("both", "both"))?;
    let halts = broker.publisher_of::<dyn Halts>("both")?;
    let record = Subscription::builder("by symbol")
        .class("both")
        .component("counter")
        .filter("symbol = 'MSFT'")
        .build()?;
    broker.ensure(&record)?;
    broker.register_component(
        Component::new("counter", Counter::default)
            .implements::<dyn Trades>()
            .implements::<dyn Halts>(),
    )?;
    assert_eq!(halts.halted("MSFT").delivered(), 1);
    let trades = broker.publisher_of::<dyn Trades>("both")?;
    assert_eq!(trades.traded(1.0).outcome(), FireOutcome::AllFiltered);
    Ok(())
}

#[test]
fn publisher_reaches_subscribers_again_when_its_class_comes_back() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Trades>(EventClass::new("c", "c"))?;
    let trades = broker.publisher_of::<dyn Trades>("c")?;
    let counter = Arc::new(Counter::default());
    let _guard = broker.subscribe::<dyn Trades>(Arc::clone(&counter))?;
    assert!(broker.unregister_class("c", Cascade::Refuse)?);
    assert_eq!(trades.traded(1.0).outcome(), FireOutcome::NoSubscribers);
    broker.register_class::<dyn Trades>(EventClass::new("c", "c"))?;
    assert_eq!(trades.traded(1.0).delivered(), 1);
    Ok(())
}

#[test]
fn channel_of_an_interface_that_the_class_gave_up_lets_its_subscribers_go() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Trades>(EventClass::new("c", "c"))?;
    broker.register_class::<dyn Halts>(EventClass::new("c", "c"))?;
    let trades = broker.publisher_of::<dyn Trades>("c")?;
    let counter = Arc::new(Counter::default());
    let guard = broker.subscribe::<dyn Trades>(Arc::clone(&counter))?;
    let only_halts = broker.class_of_halts_only("c")?;
    broker.update_class(&only_halts)?;
    assert_eq!(trades.traded(1.0).outcome(), FireOutcome::NoSubscribers);
    guard.close_and_wait(Duration::from_secs(60))?;
    assert_eq!(counter.take(), 0);
    Ok(())
}

/// What an administrator's tool does: a class record made anew with fewer interfaces.
trait HaltsOnly {
    fn class_of_halts_only(&self, id: &str) -> loosely::Result<EventClass>;
}

impl HaltsOnly for Broker {
    fn class_of_halts_only(&self, id: &str) -> loosely::Result<EventClass> {
        let halts = <dyn Halts as loosely::EventInterface>::schema().id();
        Ok(EventClass::new(id, id).with_interface(halts))
    }
}

/// A value that counts how often it is looked at.
#[derive(Clone)]
struct Watched(Arc<AtomicU32>);

impl EventValue for Watched {
    fn value_type() -> ValueType {
        ValueType::U32
    }

    fn view(&self) -> ValueRef<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        ValueRef::U64(0)
    }

    fn from_view(_: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(Self(Arc::default()))
    }
}

#[event_interface]
trait Looks {
    fn looked(&self, at: &Watched);
}

#[test]
fn singleton_whose_first_call_fails_is_called_plainly_from_then_on() -> loosely::Result<()> {
    struct Touchy(AtomicU32);
    impl Looks for Touchy {
        fn looked(&self, _at: &Watched) {
            assert!(
                self.0.fetch_add(1, Ordering::Relaxed) > 0,
                "the first call fails"
            );
        }
    }
    let broker = Broker::builder().on_failure(|_, _| {}).open()?;
    let touchy = Component::new("touchy", || Touchy(AtomicU32::new(0)));
    broker.register_component(touchy.implements::<dyn Looks>())?;
    let record = Subscription::builder("t")
        .to::<dyn Looks>()
        .component("touchy");
    broker.ensure(&record.build()?)?;
    let looks = broker.publisher::<dyn Looks>()?;
    let watched = Watched(Arc::default());
    assert_eq!(looks.looked(&watched).failed(), 1);
    watched.0.store(0, Ordering::Relaxed);
    assert_eq!(looks.looked(&watched).delivered(), 1);
    assert_eq!(
        watched.0.load(Ordering::Relaxed),
        0,
        "a plain fire looks at no value"
    );
    Ok(())
}

#[test]
fn component_that_was_not_made_yet_is_made_after_the_broker_is_gone() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_component(
        Component::new("counter", Counter::default)
            .implements::<dyn Trades>()
            .per_call(),
    )?;
    let record = Subscription::builder("t")
        .to::<dyn Trades>()
        .component("counter");
    broker.ensure(&record.build()?)?;
    let trades = broker.publisher::<dyn Trades>()?;
    drop(broker);
    assert_eq!(trades.traded(1.0).delivered(), 1);
    Ok(())
}

#[test]
fn suspended_subscription_is_told_to_the_failure_hook() -> loosely::Result<()> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let broker = Broker::builder()
        .on_failure(move |_, line| log.lock().unwrap().push(line.to_string()))
        .open()?;
    let record = Subscription::builder("misspelt")
        .to::<dyn Trades>()
        .component("counter")
        .filter("prise > 1")
        .build()?;
    broker.ensure(&record)?;
    broker.publisher::<dyn Trades>()?.traded(2.0);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].contains("suspended") && heard[0].contains("prise"),
        "{heard:?}"
    );
    Ok(())
}
