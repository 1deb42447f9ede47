//! Events that wait for somebody who comes for them: a stream, a mailbox or a future.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use smallvec::SmallVec;

use super::live::LiveObject;
use super::reception::Attendant;
use super::surroundings::Surroundings;
use crate::delivery::{
    Bounds, Delivery, DeliveryOutcome, Entry, EventContext, Failure, Lane, LaneCounts, Outlet,
    Parcel, Pass, Pushed, Refused, WorkerPool,
};
use crate::model::{Detached, EventClassId, Subscription};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::value::{InterfaceId, Subscriber, ValueKey, drop_quietly};

/// The lane of a subscription whose subscriber comes for its events itself.
pub(crate) struct Inbox {
    record: Subscription,
    lane: Lane<Arc<dyn Parcel>>,
    collector: Arc<dyn Collector>,
    around: Arc<Surroundings>,
    /// What counts and bounds the deliveries, of each site.
    attendants: Mutex<SmallVec<[Attended; 1]>>,
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

/// One interface of one class.
type SiteKey = (EventClassId, InterfaceId);

/// Who counts and bounds the deliveries of a site.
type Attended = (SiteKey, Weak<dyn Attendant>);

/// After this time it is looked again whether a trial is over that somebody else makes.
const TRIAL: Duration = Duration::from_secs(1);

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
                attendants: Mutex::default(),
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

    /// Returns what was counted of the lane.
    pub(super) fn counts(&self) -> LaneCounts {
        self.lane.counts()
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
    pub(crate) fn is_gone(&self) -> bool {
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
        self.give_up();
    }

    /// Has the failure hook hear of what waits, as nobody will come for it.
    pub(crate) fn give_up(&self) {
        for parcel in self.lane.clear() {
            self.tell(&self.context(&*parcel, 0), Failure::Closed);
            drop_quietly(parcel);
        }
    }

    /// Has the events of a site be received as this has it, from now on.
    pub(super) fn attend(&self, site: SiteKey, attendant: Weak<dyn Attendant>) {
        let mut attendants = self.attendants.lock();
        let old = match attendants.iter_mut().find(|(known, _)| *known == site) {
            Some((_, present)) => Some(std::mem::replace(present, attendant)),
            None => {
                attendants.push((site, attendant));
                None
            }
        };
        drop(attendants);
        drop(old);
    }

    /// Returns what counts and bounds the delivery of an event, while its class is served.
    pub(super) fn attendant(&self, parcel: &dyn Parcel) -> Option<Arc<dyn Attendant>> {
        let site = parcel.site();
        let attendants = self.attendants.lock();
        let found = attendants.iter().find(|(known, _)| *known == site);
        let found = found.map(|(_, attendant)| Weak::clone(attendant));
        drop(attendants);
        found?.upgrade()
    }

    /// Lets the delivery of an event begin, or says why the breaker does not.
    pub(crate) fn admit(&self, parcel: &dyn Parcel) -> Result<Option<Pass>, Refused> {
        let attendant = self.attendant(parcel);
        attendant.map_or(Ok(None), |attendant| attendant.admit())
    }

    /// Has work done by a thread of the broker when deliveries are no longer refused, unless the
    /// broker is closed before.
    pub(crate) fn when_admitted(&self, refused: Refused, work: Box<dyn FnOnce() + Send>) {
        let until = match refused {
            Refused::Until(until) => until,
            Refused::ByTrial => self.around.clock.instant() + TRIAL,
        };
        let pool = Arc::clone(&self.around.pool);
        let begin = move || drop_quietly(pool.submit(work));
        self.around.timers.at(until, Box::new(begin));
    }

    /// Returns whether a delivery may take only so long.
    pub(crate) fn has_deadline(&self) -> bool {
        self.record.deadline().is_some()
    }

    /// Returns the broker's threads.
    pub(crate) fn pool(&self) -> Arc<WorkerPool> {
        Arc::clone(&self.around.pool)
    }

    pub(super) fn around(&self) -> &Arc<Surroundings> {
        &self.around
    }

    /// Has the failure hook hear of an event that was not received.
    pub(super) fn tell(&self, context: &EventContext, failure: Failure) {
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
        Self::going_on(inbox, max, None)
    }

    /// Returns one that goes on where another has [let go](Self::let_go).
    pub(crate) fn going_on(inbox: Arc<Inbox>, max: usize, key: Option<ValueKey>) -> Self {
        Self {
            inbox,
            taken: VecDeque::new(),
            key,
            max,
        }
    }

    /// Puts all that it has taken, and behind so many that are missing this event, back in front of
    /// what waits. The collector does not hear of it: another hand is to go on with what this
    /// returns.
    pub(crate) fn let_go(mut self, parcel: Arc<dyn Parcel>, missed: u64) -> Option<ValueKey> {
        self.put_back(parcel);
        if missed > 0 {
            self.taken.push_front(Entry::Gap(missed));
        }
        if let Some(key) = &self.key {
            self.inbox.lane.put_back(key, &mut self.taken);
        }
        self.key.take()
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
