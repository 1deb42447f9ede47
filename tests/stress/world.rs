//! What a round plays in: two brokers on one store, and the subscribers.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use loosely::{
    Broker, Commit, CommitSink, Component, EventClass, Listing, Nesting, Result, Revision, Store,
    Subscription, SubscriptionId, Trash, WiringChange, WiringObject, event_interface,
};

use crate::desk;
use crate::log::Logged;
use crate::plan::{COMPONENTS, METHODS, State};
use crate::sections::{self, SWEPT};

/// In the order of [`METHODS`], and behind them the one that a large import asks for.
#[event_interface]
pub(crate) trait Quotes {
    fn quoted(&self, event: u64, symbol: &str, price: i64);
    fn traded(&self, event: u64, symbol: &str, price: i64);
    fn swept(&self, event: u64);
}

/// Has every call written down by the thread on which it is called.
#[derive(Debug)]
pub(crate) struct Recorder {
    object: u64,
}

impl Recorder {
    pub(crate) fn new(object: u64) -> Self {
        Self { object }
    }
}

impl Quotes for Recorder {
    fn quoted(&self, event: u64, symbol: &str, price: i64) {
        desk::heard(self.object, 0, event, symbol, price);
    }

    fn traded(&self, event: u64, symbol: &str, price: i64) {
        desk::heard(self.object, 1, event, symbol, price);
    }

    fn swept(&self, _event: u64) {
        sections::heard(self.object);
    }
}

/// Two brokers on one store, with the same components.
pub(crate) struct World {
    pub(crate) brokers: [Broker; 2],
    /// The revision at which the round begins: there is a class, and no subscription.
    pub(crate) base: Revision,
    /// What the failure hooks heard.
    failures: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn open(store: Arc<dyn Store>, nesting: Nesting) -> Result<Self> {
        store.attach(b"", Arc::new(Telling))?;
        let failures = Arc::default();
        let brokers = [open(&store, &failures)?, open(&store, &failures)?];
        let class = EventClass::new(CLASS, CLASS)
            .with_open_properties()
            .with_nesting(nesting);
        for broker in &brokers {
            broker.register_class::<dyn Quotes>(class.clone())?;
            // Makes the channel, so that the round begins with one that has no index.
            broker.publisher_of::<dyn Quotes>(CLASS)?;
        }
        Ok(Self {
            base: brokers[0].revision(),
            brokers,
            failures,
        })
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    /// Returns the stored subscriptions that a broker knows, in store order, but for those of a
    /// large import.
    pub(crate) fn listed(&self, broker: usize) -> Result<Vec<Subscription>> {
        let mut listed = self.brokers[broker].subscriptions("transient = FALSE")?;
        listed.retain(|one| number(one.id()) < SWEPT);
        Ok(listed)
    }
}

fn open(store: &Arc<dyn Store>, failures: &Arc<Mutex<Vec<String>>>) -> Result<Broker> {
    let failures = Arc::clone(failures);
    let broker = Broker::builder()
        .store(Arc::clone(store))
        .on_failure(move |_, line| failures.lock().unwrap().push(line.to_string()))
        .open()?;
    for (object, id) in COMPONENTS.into_iter().enumerate() {
        let component = Component::new(id, move || Recorder::new(object as u64));
        let component = component.implements::<dyn Quotes>();
        broker.register_component(if id == "each" {
            component.per_call()
        } else {
            component
        })?;
    }
    Ok(broker)
}

/// Returns the record of a subscription in some state; that of a live object where the state names
/// no component.
pub(crate) fn record(number: u64, state: &State) -> Result<Subscription> {
    let mut record = Subscription::builder(format!("number {number}"))
        .id(id(number))
        .interface("Quotes")
        .class(CLASS)
        .priority(state.priority)
        .description(group(number));
    record = match COMPONENTS.get(state.object as usize) {
        Some(component) => record.component(*component),
        None => record.object(),
    };
    if let Some(method) = state.method {
        record = record.method(METHODS[method]);
    }
    if let Some(criteria) = state.criteria.text() {
        record = record.filter(criteria);
    }
    if !state.enabled {
        record = record.disabled();
    }
    record.build()
}

/// Returns the description that a few subscriptions share.
pub(crate) fn group(number: u64) -> String {
    format!("group {}", number % GROUPS)
}

pub(crate) fn id(number: u64) -> SubscriptionId {
    SubscriptionId::from_u128(u128::from(number) + 1)
}

/// Returns the number of an id that is of this round.
pub(crate) fn number(id: SubscriptionId) -> u64 {
    u64::try_from(id.uuid().as_u128() - 1).unwrap()
}

/// Returns what a broker's change log says of subscriptions, which is all that a round changes, but
/// for those of a large import.
pub(crate) fn logged(changes: &[WiringChange]) -> Vec<Logged> {
    let line = |change: &WiringChange| match change.object() {
        WiringObject::Subscription(id) => Logged {
            revision: change.revision().get(),
            subscription: number(*id),
            kind: change.kind(),
        },
        other => panic!("{other:?} is none of the round's"),
    };
    let lines = changes.iter().map(line);
    lines.filter(|line| line.subscription < SWEPT).collect()
}

pub(crate) const CLASS: &str = "quotes";
/// So that what goes at once with a group is a few of several hundred.
pub(crate) const GROUPS: u64 = 48;

thread_local! {
    static GIVEN: Cell<Option<Revision>> = const { Cell::new(None) };
}

/// Returns the revision that the store gave to the last commit of this thread, and forgets it.
pub(crate) fn given() -> Option<Revision> {
    GIVEN.take()
}

/// Tells each thread what revision its commit was given: not every call of a broker returns it.
/// Sinks are called on the thread that commits.
struct Telling;

impl CommitSink for Telling {
    fn listed(&self, _listing: &mut Listing<'_>, _revision: Revision, _trash: &mut Trash) {}

    fn committed(&self, commit: &Commit<'_>, _trash: &mut Trash) {
        GIVEN.set(Some(commit.revision()));
    }
}
