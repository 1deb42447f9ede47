//! A view of a method's subscriptions that stays up to date.

use std::fmt;
use std::sync::Arc;

use super::dynamic::ChannelCell;
use super::publisher::Own;
use super::steering::DefaultQuery;
use crate::model::Subscription;

/// The subscriptions of an event method that are switched on and of which criteria are true.
///
/// It updates itself: each call looks at the subscriptions as they are then. Subscriptions that are
/// for live objects are among them, the publisher object's private ones too. A publisher of a
/// principal who lacks the right to read sees those that the principal owns. It holds the class as
/// a publisher does, and the broker weakly.
///
/// ```
/// use loosely::{Broker, Subscription, event_interface};
///
/// #[event_interface]
/// trait JobEvents {
///     fn job_done(&self, name: &str);
/// }
///
/// let broker = Broker::in_memory()?;
/// let jobs = broker.publisher::<dyn JobEvents>()?;
/// let urgent = jobs.subscriptions("job_done", "priority > 0")?;
/// let (before, generation) = (urgent.now().len(), urgent.generation());
/// let record = Subscription::builder("a").to::<dyn JobEvents>().component("x").priority(1);
/// broker.ensure(&record.build()?)?;
/// assert_eq!((before, urgent.now().len()), (0, 1));
/// assert_ne!(urgent.generation(), generation);
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias("GetSubscriptions", "IEventObjectCollection"))]
pub struct SubscriptionsView {
    cell: Arc<ChannelCell>,
    own: Arc<Own>,
    method: Box<str>,
    query: Arc<DefaultQuery>,
}

impl SubscriptionsView {
    pub(super) fn new(
        cell: Arc<ChannelCell>,
        own: Arc<Own>,
        method: &str,
        query: DefaultQuery,
    ) -> Self {
        Self {
            cell,
            own,
            method: method.into(),
            query: Arc::new(query),
        }
    }

    /// Returns the subscriptions as they are now, in the order of calling.
    ///
    /// The criteria are evaluated when subscriptions of the interface have changed, and not else,
    /// or if the publisher object has private ones, each time. The records are copies: what holds
    /// them keeps no live object alive.
    pub fn now(&self) -> Vec<Subscription> {
        let channel = Arc::clone(&self.cell.read());
        let method = channel.schema().method(&self.method);
        let Some(roll) = method.and_then(|(method, _)| channel.roll(method, &self.own)) else {
            return Vec::new();
        };
        let places = self.query.selected(&roll);
        let entry = |place: &u32| roll.entries.get(*place as usize);
        // Whoever may not read sees what it owns.
        let gate = self.own.gate().filter(|_| !channel.may_read(&self.own));
        let only = gate.map(|gate| gate.principal());
        let selected = places.iter().filter_map(entry);
        let seen = selected.filter(|it| only.is_none_or(|only| it.record.owner() == Some(only)));
        seen.map(|entry| entry.record.clone()).collect()
    }

    /// Returns a number that rises with each change of a subscription of the interface, one in view
    /// or not: while it is the same, so is what is in view, unless a principal gained or lost the
    /// right to read.
    pub fn generation(&self) -> u64 {
        let channel = Arc::clone(&self.cell.read());
        channel.generation()
    }
}

impl fmt::Debug for SubscriptionsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionsView")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
