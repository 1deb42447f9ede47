//! Events that wait for somebody who comes for them: a stream, a mailbox or a future.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::live::LiveObject;
use super::pipeline::failure_of;
use super::surroundings::Surroundings;
use crate::delivery::{
    Bounds, Delivery, DeliveryOutcome, Entry, EventContext, Failure, Lane, Outlet, Parcel, Pushed,
    hold, settle,
};
use crate::model::{Detached, Subscription};
use crate::value::{
    InterfaceId, Subscriber, SubscriberError, ValueKey, drop_quietly, panic_message, untyped,
};

/// The lane of a subscription whose subscriber comes for its events itself.
pub(crate) struct Inbox {
    record: Subscription,
    lane: Lane<Arc<dyn Parcel>>,
    collector: Arc<dyn Collector>,
    around: Arc<Surroundings>,
    /// Whether nobody has the subscription any more.
    gone: AtomicBool,
}

/// Whoever comes for what waits in an [`Inbox`].
pub(crate) trait Collector: Any + Send + Sync {
    /// Hears that something waits where nothing did; called with no lock held, on the thread that
    /// has brought it. Returns whether somebody will come.
    fn ready(&self) -> bool;

    /// Hears that nothing more comes.
    fn ended(&self);

    /// Returns whether this is the thread that comes, and no other: it cannot wait for room.
    fn is_here(&self) -> bool {
        false
    }
}

/// Has a collector hear of a lane.
struct OfCollector(Arc<dyn Collector>);

/// The live object of a subscription with an inbox. The inbox ends with it.
pub(crate) struct InboxTarget {
    inbox: Arc<Inbox>,
    interface: Option<InterfaceId>,
}

/// What somebody holds who takes what waits.
pub(crate) struct Hand {
    inbox: Arc<Inbox>,
    taken: VecDeque<Entry<Arc<dyn Parcel>>>,
    /// The key of what was taken last.
    key: Option<ValueKey>,
    max: usize,
}

/// The inboxes of a broker, which end when it is closed.
#[derive(Default)]
pub(crate) struct Inboxes(Mutex<Open>);

#[derive(Default)]
struct Open {
    inboxes: Vec<Weak<Inbox>>,
    ended: bool,
}

impl Inbox {
    /// Returns the inbox of a subscription; `collector` is made with a way to it.
    pub(crate) fn new<C: Collector>(
        record: &Subscription,
        around: &Arc<Surroundings>,
        collector: impl FnOnce(&Weak<Self>) -> Arc<C>,
    ) -> Arc<Self> {
        let inbox = Arc::new_cyclic(|me| {
            let collector: Arc<dyn Collector> = collector(me);
            let outlet = Box::new(OfCollector(Arc::clone(&collector)));
            Self {
                record: record.clone(),
                lane: Lane::new(bounds(record), outlet),
                collector,
                around: Arc::clone(around),
                gone: AtomicBool::new(false),
            }
        });
        around.inboxes.add(&inbox);
        inbox
    }

    /// Returns whoever comes for what waits, if that is a `C`.
    pub(crate) fn collector<C: Collector>(&self) -> Option<Arc<C>> {
        let collector: Arc<dyn Any + Send + Sync> = Arc::clone(&self.collector) as _;
        collector.downcast().ok()
    }

    /// Has an event wait, or gives back what does not.
    pub(super) fn put(&self, parcel: Arc<dyn Parcel>, key: &ValueKey) -> Pushed<Arc<dyn Parcel>> {
        if self.collector.is_here() {
            return self.lane.push_now(parcel, key);
        }
        self.lane.push(parcel, key)
    }

    /// Has an event wait, though it be one more than may.
    pub(super) fn put_beyond(
        &self,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) -> Pushed<Arc<dyn Parcel>> {
        self.lane.push_beyond(parcel, key)
    }

    /// Takes over how much may wait.
    pub(super) fn rebound(&self, record: &Subscription) {
        self.lane.rebound(bounds(record));
    }

    /// Says before the next event that so many are missing, of which nobody was told.
    pub(crate) fn owe(&self, missed: u64) {
        if missed > 0 {
            self.lane.owe(missed);
        }
    }

    /// Returns how many events were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lane.lost()
    }

    /// Returns how many events wait.
    pub(crate) fn len(&self) -> usize {
        self.lane.len()
    }

    /// Returns whether nothing more comes; what waits is still there.
    pub(crate) fn is_ended(&self) -> bool {
        self.lane.is_ended()
    }

    /// Has nothing more come; what waits can still be taken.
    pub(crate) fn shut(&self) {
        self.lane.shut();
        self.collector.ended();
    }

    /// Returns whether the subscription is gone, and not only the broker.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Has nothing more come, as the subscription is gone, and gives up what waits.
    pub(crate) fn end(&self) {
        self.gone.store(true, Ordering::Release);
        self.shut();
        // The arguments are the user's.
        drop_quietly(self.lane.clear());
    }

    /// Has nothing more come, as nobody will come for it, and has the failure hook hear of what
    /// waits.
    pub(crate) fn abandon(&self) {
        self.shut();
        for parcel in self.lane.clear() {
            self.tell(&self.context(&*parcel, 0), Failure::Closed);
            drop_quietly(parcel);
        }
    }

    /// Does what receives an event on this thread, within the fire that it was taken out of, and
    /// returns how that ended.
    pub(crate) fn receive(
        &self,
        parcel: &dyn Parcel,
        missed: u64,
        work: impl FnOnce() -> Result<(), SubscriberError>,
    ) -> Result<(), Failure> {
        let mut outcome = Err(Failure::TooDeep);
        let context = self.context(parcel, missed);
        parcel.fire().within_any(&context, || {
            let held = hold(|| {
                let run = AssertUnwindSafe(|| untyped::call(work));
                outcome = match catch_unwind(run) {
                    Ok(result) => result.map_err(Failure::Subscriber),
                    Err(panic) => Err(failure_of(panic)),
                };
            });
            held.wait();
        });
        if !crate::delivery::is_delivering()
            && let Err(panic) = catch_unwind(settle)
        {
            drop(panic_message(panic));
        }
        outcome
    }

    /// Has the failure hook hear of an event that was not received.
    pub(crate) fn tell(&self, context: &EventContext, failure: Failure) {
        let outcome = DeliveryOutcome::Failed(failure);
        let name = Arc::clone(self.record.shared_name());
        let delivery = Delivery::new(self.record.id(), name, outcome);
        self.around.hook.tell(context.class(), &delivery);
    }

    /// Returns what a subscriber may know about an event.
    pub(crate) fn context(&self, parcel: &dyn Parcel, missed: u64) -> EventContext {
        let context = parcel.fire().context(self.record.id(), missed);
        context.triggered(parcel.triggered())
    }
}

/// Returns how much may wait for a subscription whose subscriber comes for it: as its record says,
/// not its class, whose subscriptions are called.
fn bounds(record: &Subscription) -> Bounds {
    let detached = record.delivery().and_then(|mode| mode.as_detached());
    let default = Detached::new();
    let detached = detached.unwrap_or(&default);
    Bounds {
        capacity: detached.capacity(),
        overflow: detached.overflow(),
        keyed: detached.key().is_some(),
    }
}

impl Outlet for OfCollector {
    fn ready(&self) -> bool {
        self.0.ready()
    }
}

impl InboxTarget {
    /// Returns the object that is subscribed, to the events of one interface or of any.
    pub(crate) fn new(inbox: Arc<Inbox>, interface: Option<InterfaceId>) -> Self {
        Self { inbox, interface }
    }
}

impl LiveObject for InboxTarget {
    fn interface(&self) -> Option<InterfaceId> {
        self.interface
    }

    fn untyped(&self) -> Option<Arc<dyn Subscriber>> {
        None
    }

    fn inbox(&self) -> Option<&Arc<Inbox>> {
        Some(&self.inbox)
    }

    fn is_weak(&self) -> bool {
        false
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

impl Drop for InboxTarget {
    /// The subscription is gone, whoever removed it.
    fn drop(&mut self) {
        self.inbox.end();
    }
}

impl Hand {
    /// Returns a hand that takes up to `max` events at once.
    pub(crate) fn new(inbox: Arc<Inbox>, max: usize) -> Self {
        Self {
            inbox,
            taken: VecDeque::new(),
            key: None,
            max,
        }
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Takes what waits first. None if nothing does, and then the collector hears of the next.
    pub(crate) fn next(&mut self) -> Option<Entry<Arc<dyn Parcel>>> {
        while self.taken.is_empty() {
            let done = self.key.take();
            self.key = Some(self.inbox.lane.take(
                done,
                self.max,
                &mut self.taken,
                &mut Vec::new(),
            )?);
        }
        self.taken.pop_front()
    }

    /// Takes back what was taken last.
    pub(crate) fn put_back(&mut self, parcel: Arc<dyn Parcel>) {
        self.taken.push_front(Entry::Item(parcel));
    }

    /// Returns how many events are in the hand or wait.
    pub(crate) fn len(&self) -> usize {
        self.taken.len() + self.inbox.len()
    }

    /// Gives up what is in the hand.
    pub(crate) fn clear(&mut self) {
        drop_quietly(std::mem::take(&mut self.taken));
    }
}

impl Inboxes {
    fn add(&self, inbox: &Arc<Inbox>) {
        let mut open = self.0.lock();
        let Open { inboxes, ended } = &mut *open;
        if inboxes.len() == inboxes.capacity() {
            inboxes.retain(|inbox| inbox.strong_count() > 0);
            // Looked through again only when it has doubled.
            inboxes.reserve(inboxes.len() + 1);
        }
        inboxes.push(Arc::downgrade(inbox));
        let ended = *ended;
        drop(open);
        if ended {
            inbox.shut();
        }
    }

    /// Has nothing come any more into any of them.
    pub(crate) fn shut(&self) {
        let mut open = self.0.lock();
        open.ended = true;
        let inboxes = std::mem::take(&mut open.inboxes);
        drop(open);
        let inboxes = inboxes.iter().filter_map(Weak::upgrade);
        inboxes.for_each(|inbox| inbox.shut());
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("subscription", &self.record.name())
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}
