//! What the tests share: interfaces, subscribers that write down their calls, and a store that
//! counts and fails on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) use loosely::testing::Watchdog;
use loosely::testing::{Fault, Faults, FaultyEngine};
use loosely::{
    Broker, Component, ErrorKind, Event, Failure, FireReport, LocalStore, Revision, Store,
    StoreOptions, Subscriber, SubscriberError, Subscription, SubscriptionBuilder, event_interface,
};

#[event_interface]
pub(crate) trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);
    fn traded(&self, symbol: &str, volume: u64) -> Result<(), String>;
}

#[event_interface]
pub(crate) trait Alerts {
    fn raised(&self, text: &str);
}

/// The calls that subscribers received, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape {
    lines: Arc<Mutex<Vec<String>>>,
}

/// Writes every call to its tape, after its name.
#[derive(Debug)]
pub(crate) struct Listener {
    name: String,
    tape: Tape,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn write(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    /// Takes what was written since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    pub(crate) fn listener(&self, name: &str) -> Arc<Listener> {
        Arc::new(self.named(name))
    }

    /// Returns a singleton component that writes its id and its calls.
    pub(crate) fn component(&self, id: &str) -> Component<Listener> {
        let (tape, name) = (self.clone(), id.to_owned());
        Component::new(id, move || tape.named(&name)).implements::<dyn StockEvents>()
    }

    /// Returns a component that writes every event of any interface, as an [`Event`] prints itself;
    /// what it implements is the caller's to say.
    pub(crate) fn untyped(&self, id: &str) -> Component<impl Subscriber> {
        let tape = self.clone();
        Component::new(id, move || {
            let tape = tape.clone();
            move |event: &Event<'_>| -> Result<(), SubscriberError> {
                tape.write(event.to_string());
                Ok(())
            }
        })
    }

    pub(crate) fn named(&self, name: &str) -> Listener {
        Listener {
            name: name.to_owned(),
            tape: self.clone(),
        }
    }
}

impl StockEvents for Listener {
    fn price_changed(&self, symbol: &str, price: f64) {
        self.tape.write(format!("{} {symbol} {price}", self.name));
    }

    fn traded(&self, symbol: &str, volume: u64) -> Result<(), String> {
        self.tape
            .write(format!("{} traded {symbol} {volume}", self.name));
        Ok(())
    }
}

impl Alerts for Listener {
    fn raised(&self, text: &str) {
        self.tape.write(format!("{} raised {text}", self.name));
    }
}

/// Does what it was made with for every price.
pub(crate) struct OnPrice<F>(pub(crate) F);

impl<F: Fn(&str, f64) + Send + Sync + 'static> StockEvents for OnPrice<F> {
    fn price_changed(&self, symbol: &str, price: f64) {
        (self.0)(symbol, price);
    }

    fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
        Ok(())
    }
}

/// Does what it was made with when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<F: FnMut() + Send + Sync + 'static> StockEvents for OnDrop<F> {
    fn price_changed(&self, _symbol: &str, _price: f64) {}

    fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
        Ok(())
    }
}

/// Returns a broker in memory that logs no failures.
pub(crate) fn quiet() -> Broker {
    Broker::builder().on_failure(|_, _| {}).open().unwrap()
}

/// Returns a broker on a store, which logs no failures.
pub(crate) fn on_store(store: Arc<dyn Store>) -> Broker {
    Broker::builder()
        .store(store)
        .on_failure(|_, _| {})
        .open()
        .unwrap()
}

/// Begins a subscription of the component to all stock events.
pub(crate) fn subscription(name: &str, component: &str) -> SubscriptionBuilder {
    Subscription::builder(name)
        .to::<dyn StockEvents>()
        .component(component)
}

/// Stores a subscription of a component to all stock events and returns the revision.
pub(crate) fn store(broker: &Broker, name: &str) -> Revision {
    let record = subscription(name, "nobody").build().unwrap();
    broker.store(&record).unwrap()
}

/// Begins a subscription of a live object to all stock events.
pub(crate) fn live(name: &str) -> SubscriptionBuilder {
    Subscription::builder(name).to::<dyn StockEvents>().object()
}

/// Returns the one failure of a report.
pub(crate) fn only_failure(report: &FireReport) -> &Failure {
    let mut failures = report.failures();
    let failure = failures.next().unwrap().failure().unwrap();
    assert!(failures.next().is_none(), "more than one failure");
    failure
}

/// Returns what the display of an error and of its causes says.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Keeps everything in memory, counts what is asked of it, and fails on request. A clone is the
/// same engine.
#[derive(Clone, Default)]
pub(crate) struct TestEngine {
    engine: FaultyEngine,
}

impl TestEngine {
    /// Returns a store over this engine that opens it again without a pause.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        let options = StoreOptions::new()
            .without_copy()
            .back_off(Duration::ZERO, Duration::ZERO);
        Arc::new(LocalStore::with_engine(self.engine.clone(), options).unwrap())
    }

    pub(crate) fn reads(&self) -> usize {
        self.engine.reads().count()
    }

    pub(crate) fn writes(&self) -> usize {
        self.engine.writes().count()
    }

    /// Makes every operation fail from now on, or none.
    pub(crate) fn break_down(&self, broken: bool) {
        let fault = Fault::fail_as(ErrorKind::Unavailable, "the disk is out");
        switch(self.engine.all(), broken, fault);
    }

    /// Makes every flush fail from now on, or none.
    pub(crate) fn fail_syncs(&self, failing: bool) {
        switch(
            self.engine.syncs(),
            failing,
            Fault::fail("the flush failed"),
        );
    }
}

fn switch(faults: &Faults, on: bool, fault: Fault) {
    faults.clear();
    if on {
        faults.from(1, fault);
    }
}
