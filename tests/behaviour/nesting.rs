//! Events fired inside a delivery, and the other interfaces of a publisher object.

use std::sync::{Arc, Mutex, OnceLock};

use loosely::{
    Broker, Event, EventClass, FireOutcome, MemoryStore, Nesting, Result, Store, Subscriber,
    SubscriberError, Subscription, ValueRef, event_interface,
};

#[event_interface]
trait Steps {
    fn step(&self, number: u32, label: &str);
}

#[event_interface]
trait Notes {
    fn note(&self, text: &str);
}

/// Fires the next step while it handles one, up to the third.
struct Chain {
    log: Arc<Mutex<Vec<String>>>,
    steps: OnceLock<StepsPublisher>,
    outcomes: Mutex<Vec<FireOutcome>>,
}

impl Steps for Chain {
    fn step(&self, number: u32, label: &str) {
        self.log
            .lock()
            .unwrap()
            .push(format!("begin {label}{number}"));
        if number < 3 {
            let report = self.steps.get().unwrap().step(number + 1, label);
            self.outcomes.lock().unwrap().push(report.outcome());
        }
        self.log
            .lock()
            .unwrap()
            .push(format!("end {label}{number}"));
    }
}

fn chain(nesting: Nesting) -> Result<(Broker, Arc<Chain>, loosely::SubscriptionGuard)> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Steps>(EventClass::new("steps", "steps").with_nesting(nesting))?;
    let chain = Arc::new(Chain {
        log: Arc::default(),
        steps: OnceLock::new(),
        outcomes: Mutex::default(),
    });
    let guard = broker.subscribe::<dyn Steps>(Arc::downgrade(&chain))?;
    let _ = chain.steps.set(broker.publisher::<dyn Steps>()?);
    Ok((broker, chain, guard))
}

#[test]
fn inline_nesting_is_depth_first() -> Result<()> {
    let (_broker, chain, _guard) = chain(Nesting::Inline)?;
    chain.steps.get().unwrap().step(1, "a");
    let log = chain.log.lock().unwrap().join(", ");
    assert_eq!(log, "begin a1, begin a2, begin a3, end a3, end a2, end a1");
    Ok(())
}

#[test]
fn queued_nesting_runs_after_the_outermost_fire_in_the_order_of_firing() -> Result<()> {
    let (_broker, chain, _guard) = chain(Nesting::Queued)?;
    chain.steps.get().unwrap().step(1, "a");
    let log = chain.log.lock().unwrap().join(", ");
    assert_eq!(log, "begin a1, end a1, begin a2, end a2, begin a3, end a3");
    assert_eq!(
        *chain.outcomes.lock().unwrap(),
        [FireOutcome::Queued, FireOutcome::Queued]
    );
    Ok(())
}

#[test]
fn queued_nesting_of_a_dynamic_fire_keeps_its_values() -> Result<()> {
    let (broker, chain, _guard) = chain(Nesting::Queued)?;
    let steps = broker.dynamic_publisher("steps")?;
    let report = steps.fire("step", &[ValueRef::U64(2), ValueRef::Str("b")])?;
    assert_eq!(report.delivered(), 1);
    let log = chain.log.lock().unwrap().join(", ");
    assert_eq!(log, "begin b2, end b2, begin b3, end b3");
    Ok(())
}

/// While it waits, the Rust type becomes known, and the fires by name go another way.
#[test]
fn event_that_waited_calls_nobody_whose_guard_was_dropped_meanwhile() -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let on_store = || Broker::builder().store(Arc::clone(&store)).open();
    let class = EventClass::new("steps", "steps").with_nesting(Nesting::Queued);
    on_store()?.register_class::<dyn Steps>(class)?;

    let broker = on_store()?;
    let steps = broker.dynamic_publisher("steps")?;
    let record = |name| Subscription::builder(name).class("steps").object().build();
    let called = Arc::new(Mutex::new(0));
    let count = Arc::clone(&called);
    let counting = move |_: &Event<'_>| -> std::result::Result<(), SubscriberError> {
        *count.lock().unwrap() += 1;
        Ok(())
    };
    let counting: Arc<dyn Subscriber> = Arc::new(counting);
    let guard = broker.subscribe_untyped(&record("counting")?, counting)?;
    let guard = Mutex::new(Some(guard));
    let (inner, host) = (steps.clone(), broker.clone());
    let outer = move |_: &Event<'_>| -> std::result::Result<(), SubscriberError> {
        if let Some(guard) = guard.lock().unwrap().take() {
            inner.fire("step", &[2_u32.into(), "b".into()])?;
            host.publisher_of::<dyn Steps>("steps")?;
            drop(guard);
        }
        Ok(())
    };
    let outer: Arc<dyn Subscriber> = Arc::new(outer);
    let _outer = broker.subscribe_untyped(&record("outer")?, outer)?;
    assert_eq!(
        steps.fire("step", &[1_u32.into(), "a".into()])?.delivered(),
        2
    );
    assert_eq!(*called.lock().unwrap(), 1, "only for the first event");
    Ok(())
}

#[test]
fn queued_events_that_cause_each_other_for_ever_end_at_the_nesting_limit() -> Result<()> {
    struct Echo(OnceLock<StepsPublisher>, Mutex<u32>);
    impl Steps for Echo {
        fn step(&self, number: u32, label: &str) {
            *self.1.lock().unwrap() = number;
            self.0.get().unwrap().step(number + 1, label);
        }
    }
    let failures = Arc::new(Mutex::new(0));
    let count = Arc::clone(&failures);
    let broker = Broker::builder()
        .on_failure(move |_, _| *count.lock().unwrap() += 1)
        .open()?;
    broker.register_class::<dyn Steps>(
        EventClass::new("steps", "steps").with_nesting(Nesting::Queued),
    )?;
    let echo = Arc::new(Echo(OnceLock::new(), Mutex::new(0)));
    let _guard = broker.subscribe::<dyn Steps>(Arc::downgrade(&echo))?;
    let _ = echo.0.set(broker.publisher::<dyn Steps>()?);
    echo.0.get().unwrap().step(1, "x");
    assert_eq!(*echo.1.lock().unwrap(), loosely::NESTING_LIMIT);
    assert_eq!(*failures.lock().unwrap(), 1);
    Ok(())
}

#[test]
fn publisher_object_keeps_its_properties_through_its_other_interface() -> Result<()> {
    struct Log(Mutex<Vec<String>>);
    impl Notes for Log {
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
    let broker = Broker::in_memory()?;
    let class = EventClass::new("both", "both").with_open_properties();
    broker.register_class::<dyn Steps>(class.clone())?;
    broker.register_class::<dyn Notes>(class)?;
    let log = Arc::new(Log(Mutex::default()));
    let record = Subscription::builder("from oslo")
        .to::<dyn Notes>()
        .class("both")
        .object()
        .filter("publisher.site = 'oslo'")
        .build()?;
    let _guard = broker.subscribe_with::<dyn Notes>(&record, Arc::clone(&log))?;
    let steps = broker.publisher_of::<dyn Steps>("both")?;
    let notes = steps.interface::<dyn Notes>()?;
    notes.note("before");
    steps.set("site", "oslo")?;
    notes.note("after");
    assert_eq!(*log.0.lock().unwrap(), ["after"]);
    Ok(())
}

#[test]
fn interface_that_the_class_does_not_offer_is_an_error() -> Result<()> {
    let broker = Broker::in_memory()?;
    let steps = broker.publisher::<dyn Steps>()?;
    let error = steps.interface::<dyn Notes>().unwrap_err();
    assert_eq!(error.kind(), loosely::ErrorKind::NotFound);
    Ok(())
}
