//! What was measured, as it is handed out.

use super::activity::Activity;
use super::histogram::Latencies;
use super::meters::MethodKey;
use super::method_meter::{
    ACCEPTED, DEFERRED, DELIVERED, FAILED, FILTERED, FIRES, MethodReading, SKIPPED, WITHHELD,
};
use super::standing::Standing;
use crate::delivery::BreakerState;
use crate::model::{EventClassId, SubscriptionId};

/// What a broker has measured since it was opened: [`Broker::metrics`](crate::Broker::metrics).
///
/// Counts never fall. What is counted of a class or a subscription that is gone goes with it.
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::{Broker, MetricsOptions, event_interface};
///
/// #[event_interface]
/// trait JobEvents {
///     fn job_done(&self, name: &str);
/// }
///
/// let broker = Broker::builder().metrics(MetricsOptions::new()).open()?;
/// let seen = JobEventsHandlers::new().on_job_done(|_| ());
/// let guard = broker.subscribe::<dyn JobEvents>(Arc::new(seen))?;
/// let jobs = broker.publisher::<dyn JobEvents>()?;
/// jobs.job_done("backup");
///
/// let metrics = broker.metrics();
/// let done = metrics.method(jobs.class_id(), "job_done").expect("it was fired");
/// assert_eq!((done.fires(), done.delivered()), (1, 1));
/// let subscription = metrics.subscription(guard.id()).expect("it has room");
/// assert_eq!(subscription.activity().delivered(), 1);
/// assert!(metrics.to_prometheus().contains("loosely_fires_total"));
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    methods: Vec<MethodMetrics>,
    subscriptions: Vec<SubscriptionMetrics>,
    others: Option<Activity>,
}

/// What was measured of one method of a class.
#[derive(Debug, Clone)]
pub struct MethodMetrics {
    key: MethodKey,
    class_name: String,
    reading: MethodReading,
}

/// What was measured of one subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionMetrics {
    id: SubscriptionId,
    name: String,
    activity: Activity,
    standing: Option<Standing>,
}

impl Metrics {
    pub(crate) fn new(
        methods: Vec<MethodMetrics>,
        subscriptions: Vec<SubscriptionMetrics>,
        others: Activity,
    ) -> Self {
        Self {
            methods,
            subscriptions,
            others: Some(others),
        }
    }

    /// Returns what was measured of each method of the classes that publishers were made of.
    pub fn methods(&self) -> &[MethodMetrics] {
        &self.methods
    }

    /// Returns what was measured of a method of a class.
    pub fn method(&self, class: impl Into<EventClassId>, method: &str) -> Option<&MethodMetrics> {
        let class = class.into();
        let mut methods = self.methods.iter();
        methods.find(|it| it.key.class == class && it.key.method == method)
    }

    /// Returns what was measured of each subscription that is measured by itself.
    pub fn subscriptions(&self) -> &[SubscriptionMetrics] {
        &self.subscriptions
    }

    /// Returns what was measured of a subscription, if it is measured by itself.
    pub fn subscription(&self, id: impl Into<SubscriptionId>) -> Option<&SubscriptionMetrics> {
        let id = id.into();
        self.subscriptions.iter().find(|it| it.id == id)
    }

    /// Returns what was measured of all other subscriptions together: those beyond
    /// [`max_subscriptions`](crate::MetricsOptions::max_subscriptions), and the private ones of
    /// publishers. `None` if nothing is measured.
    pub fn others(&self) -> Option<&Activity> {
        self.others.as_ref()
    }
}

impl MethodMetrics {
    pub(crate) fn new(key: MethodKey, class_name: String, reading: MethodReading) -> Self {
        Self {
            key,
            class_name,
            reading,
        }
    }

    /// Returns the id of the class.
    pub fn class(&self) -> EventClassId {
        self.key.class
    }

    /// Returns the name of the class.
    pub fn class_name(&self) -> &str {
        &self.class_name
    }

    /// Returns the name of the interface.
    pub fn interface(&self) -> &str {
        &self.key.interface
    }

    /// Returns the name of the method.
    pub fn method(&self) -> &str {
        &self.key.method
    }

    /// Returns how many events were fired that their publisher may fire. One that waits for the
    /// fire around it counts when it is its turn.
    pub fn fires(&self) -> u64 {
        self.reading.counts[FIRES]
    }

    /// Returns how many calls of subscribers returned without an error.
    pub fn delivered(&self) -> u64 {
        self.reading.counts[DELIVERED]
    }

    /// Returns how often a filter or a time kept an event from a subscription.
    pub fn filtered(&self) -> u64 {
        self.reading.counts[FILTERED]
    }

    /// Returns how often the publisher's side did not select a subscription.
    pub fn withheld(&self) -> u64 {
        self.reading.counts[WITHHELD]
    }

    /// Returns how many deliveries failed.
    pub fn failed(&self) -> u64 {
        self.reading.counts[FAILED]
    }

    /// Returns how often a subscription was passed over.
    pub fn skipped(&self) -> u64 {
        self.reading.counts[SKIPPED]
    }

    /// Returns how often an event had to wait behind those that were retained.
    pub fn deferred(&self) -> u64 {
        self.reading.counts[DEFERRED]
    }

    /// Returns how often an event was accepted for later.
    pub fn accepted(&self) -> u64 {
        self.reading.counts[ACCEPTED]
    }

    /// Returns how long fires took, subscribers included, one of 64 on each thread.
    pub fn latencies(&self) -> &Latencies {
        &self.reading.fires
    }
}

impl SubscriptionMetrics {
    pub(crate) fn new(
        id: SubscriptionId,
        name: String,
        activity: Activity,
        standing: Option<Standing>,
    ) -> Self {
        Self {
            id,
            name,
            activity,
            standing,
        }
    }

    /// Returns the id.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what was measured.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Returns how many events wait in its lane now.
    pub fn waiting(&self) -> usize {
        self.standing.map_or(0, |it| it.waiting)
    }

    /// Returns how many events were lost, as its lane had no room for them. This count and those
    /// below begin anew where the subscription is switched off and on.
    pub fn lost(&self) -> u64 {
        self.standing.map_or(0, |it| it.lost)
    }

    /// Returns how many events gave way in its lane to a newer one of their key.
    pub fn coalesced(&self) -> u64 {
        self.standing.map_or(0, |it| it.coalesced)
    }

    /// Returns how many events its trigger has suppressed.
    pub fn suppressed(&self) -> u64 {
        self.standing.map_or(0, |it| it.suppressed)
    }

    /// Returns how its breaker stands now.
    pub fn breaker(&self) -> BreakerState {
        self.standing.map(|it| it.breaker).unwrap_or_default()
    }

    /// Returns how often its breaker has opened, trials that failed included.
    pub fn openings(&self) -> u64 {
        self.standing.map_or(0, |it| it.openings)
    }

    /// Returns how it stands, if it is not simply called.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }
}
