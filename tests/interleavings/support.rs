//! What the models have in common.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loosely::{
    Broker, BrokerBuilder, Component, DeliveryMode, EventClass, MemoryStore, Store, Subscription,
    SubscriptionBuilder, event_interface,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// The events of the models.
#[event_interface]
pub(crate) trait Ticks {
    fn tick(&self, from: u32, number: u32);
}

/// Runs a model in many orders; as many as `LOOSELY_ORDERS` says, of each kind.
pub(crate) fn explore(model: fn()) {
    let orders = std::env::var("LOOSELY_ORDERS");
    let orders = orders.ok().and_then(|orders| orders.parse().ok());
    let orders = orders.unwrap_or(USUAL_ORDERS);
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(1_000_000);
    config.failure_persistence = FailurePersistence::Print;
    Runner::new(RandomScheduler::new(orders), config.clone()).run(model);
    Runner::new(PctScheduler::new(CHANGES, orders), config).run(model);
}

/// Runs these at the same time, and returns when all have ended.
pub(crate) fn together(parts: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = parts.into_iter().map(shuttle::thread::spawn).collect();
    for thread in threads {
        thread.join().expect("a part of the model");
    }
}

/// Lets others go on at this point, where the crate has nothing in which they could.
pub(crate) fn pause() {
    AtomicBool::new(false).load(Ordering::Relaxed);
}

/// Lets others do something, or much.
pub(crate) fn rest() {
    let steps = thread_rng().gen_range(0..60);
    (0..steps).for_each(|_| pause());
}

/// What subscribers have written down: from whom, and its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    seen: Arc<Mutex<Vec<(u32, u32)>>>,
}

impl Log {
    pub(crate) fn all(&self) -> Vec<(u32, u32)> {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn has(&self, from: u32, number: u32) -> bool {
        self.all().contains(&(from, number))
    }

    /// Returns the numbers of those from one publisher, in the order in which they came.
    pub(crate) fn from(&self, from: u32) -> Vec<u32> {
        let all = self.all().into_iter();
        all.filter(|seen| seen.0 == from)
            .map(|seen| seen.1)
            .collect()
    }

    /// Returns a component that writes into this.
    pub(crate) fn component(&self, id: &str) -> Component<Self> {
        let log = self.clone();
        Component::new(id, move || log.clone()).implements::<dyn Ticks>()
    }
}

impl Ticks for Log {
    fn tick(&self, from: u32, number: u32) {
        pause();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push((from, number));
    }
}

/// A broker that says nothing of failures: what they lead to fails the model.
pub(crate) fn builder() -> BrokerBuilder {
    Broker::builder().on_failure(|_, _| {})
}

/// A broker with one thread that delivers, and the class of the events.
pub(crate) fn open(store: &Arc<dyn Store>) -> Broker {
    open_with(store, 1)
}

/// As [`open`], with so many threads.
pub(crate) fn open_with(store: &Arc<dyn Store>, threads: usize) -> Broker {
    let builder = builder().delivery_threads(threads);
    let broker = builder.store(Arc::clone(store)).open();
    let broker = broker.expect("a broker opens");
    let class = broker.register_class::<dyn Ticks>(EventClass::new("ticks", "Ticks"));
    class.expect("a class is registered");
    broker
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// A subscription of a component to all events.
pub(crate) fn to(component: &str) -> SubscriptionBuilder {
    Subscription::builder(component)
        .class("ticks")
        .component(component)
}

pub(crate) fn ensure(broker: &Broker, component: &str, mode: impl Into<DeliveryMode>) {
    let record = to(component).delivery(mode).build();
    let record = record.expect("a valid record");
    broker.ensure(&record).expect("a subscription is stored");
}

pub(crate) fn publisher(broker: &Broker) -> TicksPublisher {
    broker
        .publisher_of::<dyn Ticks>("ticks")
        .expect("a publisher")
}

pub(crate) fn close(broker: Broker) {
    broker.close(LONG).expect("everything is delivered");
}

/// Time stands still, so it is never over.
pub(crate) const LONG: Duration = Duration::from_secs(60);

const USUAL_ORDERS: usize = 200;

/// How many changes of the order PCT makes in each run.
const CHANGES: usize = 3;

/// Of each thread; touched as far as it is used.
const STACK_BYTES: usize = 1 << 20;
