//! What lives as long as a subscription, whatever of it is edited: the events that wait for it,
//! and how its subscriber does.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use smallvec::SmallVec;

use super::breaker::Fuse;
use super::clerk::Clerk;
use super::idle::Idle;
use super::lane::{Bounds, Lane, Outlet, Pushed};
use super::parcel::Parcel;
use super::pausing::{Parked, SiteTerms};
use super::pool::WorkerPool;
use super::timers::Timers;
use super::trigger::{Terms, TriggerState};
use super::vigil::Vigil;
use crate::clock::Clock;
use crate::model::{EventClassId, SubscriptionId};
use crate::notices::{Notice, Notices};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::value::{InterfaceId, ValueKey, drop_quietly};

/// Where the events of one subscription wait that are delivered apart from their fires.
///
/// It is found by whoever makes the subscription ready anew, so that an edit, a component that
/// comes or a class that changes loses nothing: what waits goes to whom the subscription names when
/// its turn comes.
pub(crate) struct Desk {
    pub(super) me: Weak<Self>,
    id: SubscriptionId,
    name: Mutex<Arc<str>>,
    pub(super) staff: Arc<Staff>,
    pub(super) lane: OnceLock<Lane<Arc<dyn Parcel>>>,
    seats: Mutex<SmallVec<[Seat; 1]>>,
    /// Rises with every change of the seats.
    pub(super) turn: AtomicU64,
    /// How many events a thread has taken and has not called the subscriber for.
    pub(super) in_hand: InHand,
    pub(super) fuse: Fuse,
    pub(super) parked: Mutex<Parked>,
    vigil: Arc<Vigil>,
    /// Whether calls have a deadline: then events wait in the lane, and not in the hand of a thread
    /// that does not come back.
    pub(super) has_deadline: AtomicBool,
    pub(super) terms: Mutex<SmallVec<[SiteTerms; 1]>>,
    /// How many calls were abandoned and have not returned.
    abandoned: AtomicUsize,
    ended: AtomicBool,
    /// Whether what came from a queue goes back to it.
    released: AtomicBool,
    trigger: Mutex<Option<Arc<TriggerState>>>,
    /// How many events triggers have suppressed that are not the present one.
    suppressed: AtomicU64,
}

/// What the desks of a broker have in common.
#[derive(Debug)]
pub(crate) struct Staff {
    pub(crate) pool: Arc<WorkerPool>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) idle: Arc<Idle>,
    pub(crate) notices: Notices,
    /// How many threads are held by calls that were abandoned.
    abandoned: AtomicUsize,
}

/// What became of an event that a thread has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Handed {
    Over,
    /// The breaker is open: it is to wait.
    Back,
    /// It is to wait until then.
    Later(Instant),
    /// Nobody is there who could be called: it is to wait until somebody is.
    Nobody,
}

/// Who receives the events of one interface of one class.
struct Seat {
    site: Site,
    recipient: Weak<dyn Recipient>,
}

pub(super) type Site = (EventClassId, InterfaceId);

/// A subscriber as events come to it that have left their fire.
pub(crate) trait Recipient: Send + Sync {
    /// Delivers an event; `missed` are missing right before it. Panics of the subscriber do not get
    /// out.
    fn deliver(&self, parcel: &Arc<dyn Parcel>, missed: u64) -> Handed;

    /// Returns in which of the subscription's lanes an event stands that does not name it.
    fn lane_of_past(&self, parcel: &dyn Parcel) -> u64;
}

/// A number that changes with every event, apart from what publishers look at.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct InHand(pub(super) AtomicUsize);

/// Has threads of the pool come to a desk.
struct ByPool(Weak<Desk>);

impl Desk {
    pub(crate) fn new(id: SubscriptionId, name: &Arc<str>, staff: &Arc<Staff>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            id,
            name: Mutex::new(Arc::clone(name)),
            fuse: Fuse::default(),
            parked: Mutex::default(),
            vigil: Vigil::new(&staff.clock, &staff.timers, &staff.idle),
            has_deadline: AtomicBool::new(false),
            terms: Mutex::default(),
            abandoned: AtomicUsize::new(0),
            staff: Arc::clone(staff),
            lane: OnceLock::new(),
            seats: Mutex::default(),
            turn: AtomicU64::new(0),
            in_hand: InHand::default(),
            ended: AtomicBool::new(false),
            released: AtomicBool::new(false),
            trigger: Mutex::default(),
            suppressed: AtomicU64::new(0),
        })
    }

    /// Lets `recipient` have the events of a site from now on, those too that wait.
    pub(crate) fn seat(&self, site: Site, recipient: Weak<dyn Recipient>) {
        let mut seats = self.seats.lock();
        let seat = Seat { site, recipient };
        let old = match seats.iter_mut().find(|seat| seat.site == site) {
            Some(present) => Some(std::mem::replace(present, seat)),
            None => {
                seats.push(seat);
                None
            }
        };
        self.turn.fetch_add(1, Ordering::Release);
        drop(seats);
        drop(old);
        self.resume_absent();
    }

    /// Has what waits until somebody can be called be tried again: whoever is there can do more
    /// now.
    pub(crate) fn call_again(&self) {
        self.turn.fetch_add(1, Ordering::Release);
        self.resume_absent();
    }

    /// Lets nobody have the events of a site any more, and returns what waits of them: it is for
    /// nobody, which is told.
    pub(crate) fn vacate(&self, site: Site) -> Vec<Arc<dyn Parcel>> {
        let mut seats = self.seats.lock();
        let left = seats.iter().position(|seat| seat.site == site);
        let left = left.map(|place| seats.swap_remove(place));
        self.turn.fetch_add(1, Ordering::Release);
        drop(seats);
        drop(left);
        self.unfit(site);
        let is_out = |parcel: &Arc<dyn Parcel>| parcel.site() == site;
        let out = self.lane.get().map(|lane| lane.take_out(is_out));
        let out = out.unwrap_or_default();
        self.tell_of_discarded(count_lost(&out));
        out
    }

    /// Tells that so many events are for nobody; of those that are left when the broker is closed
    /// whoever closes it is told.
    pub(super) fn tell_of_discarded(&self, count: usize) {
        if count > 0 && !self.ended.load(Ordering::Acquire) {
            self.staff.notices.push(Notice::LaneDiscarded {
                id: self.id.uuid(),
                name: self.name.lock().to_string(),
                count: count as u64,
            });
        }
    }

    /// Returns whether somebody may receive the events of a site.
    pub(crate) fn has_seat(&self, site: Site) -> bool {
        self.seats.lock().iter().any(|seat| seat.site == site)
    }

    /// Returns the subscription.
    pub(crate) fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Goes by the subscription's present name where somebody is told of it.
    pub(crate) fn rename(&self, name: &Arc<str>) {
        let old = std::mem::replace(&mut *self.name.lock(), Arc::clone(name));
        drop(old);
    }

    /// Has an event wait for a thread of the pool.
    pub(crate) fn accept(
        &self,
        bounds: Bounds,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) -> Pushed<Arc<dyn Parcel>> {
        match self.open_lane(bounds) {
            Some(lane) => lane.push(parcel, key),
            None => Pushed::Ended(parcel),
        }
    }

    /// Has an event wait, or gives it back where more is to be asked than whether there is room.
    #[inline]
    pub(crate) fn accept_plainly(&self, parcel: Arc<dyn Parcel>) -> Result<(), Arc<dyn Parcel>> {
        match self.lane.get() {
            Some(lane) if !self.ended.load(Ordering::Acquire) => lane.push_plainly(parcel),
            _ => Err(parcel),
        }
    }

    /// Has an event wait, though it be one more than may.
    pub(crate) fn accept_beyond(
        &self,
        bounds: Bounds,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) -> Pushed<Arc<dyn Parcel>> {
        match self.open_lane(bounds) {
            Some(lane) => lane.push_beyond(parcel, key),
            None => Pushed::Ended(parcel),
        }
    }

    /// Returns the lane, made now if none is there, unless the desk was shut: of which one that was
    /// made since does not know.
    fn open_lane(&self, bounds: Bounds) -> Option<&Lane<Arc<dyn Parcel>>> {
        let outlet = || Box::new(ByPool(Weak::clone(&self.me)));
        let lane = self.lane.get_or_init(|| Lane::new(bounds, outlet()));
        (!self.ended.load(Ordering::Acquire)).then_some(lane)
    }

    /// Returns the state of the subscription's trigger, one that `make` makes where there is none
    /// for these terms; beside it the one whose place it takes, if it does. It is not to be dropped
    /// under a lock.
    pub(crate) fn trigger(
        &self,
        terms: &Terms,
        make: impl FnOnce(Weak<Self>) -> Arc<TriggerState>,
    ) -> (Arc<TriggerState>, Option<Arc<TriggerState>>) {
        let mut trigger = self.trigger.lock();
        if let Some(present) = trigger.as_ref().filter(|present| present.is_for(terms)) {
            return (Arc::clone(present), None);
        }
        let made = make(Weak::clone(&self.me));
        let displaced = trigger.replace(Arc::clone(&made));
        if let Some(displaced) = &displaced {
            displaced.end();
        }
        (made, displaced)
    }

    /// Forgets what the subscription's trigger knew; what this returns is not to be dropped under a
    /// lock.
    pub(crate) fn without_trigger(&self) -> Option<Arc<TriggerState>> {
        let mut present = self.trigger.lock();
        let trigger = present.take()?;
        trigger.end();
        Some(trigger)
    }

    /// Adds events that a trigger has suppressed which has ended.
    pub(super) fn add_suppressed(&self, count: u64) {
        self.suppressed.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many events were suppressed.
    pub(crate) fn suppressed(&self) -> u64 {
        let trigger = self.trigger.lock();
        let present = trigger.as_ref().map_or(0, |trigger| trigger.suppressed());
        self.suppressed.load(Ordering::Relaxed) + present
    }

    /// Returns whether nobody receives.
    pub(crate) fn is_vacant(&self) -> bool {
        self.seats.lock().is_empty()
    }

    /// Has other bounds from now on.
    pub(crate) fn rebound(&self, bounds: Bounds) {
        if let Some(lane) = self.lane.get() {
            lane.rebound(bounds);
        }
    }

    /// Accepts nothing any more; what waits is still delivered, but for what came from a queue,
    /// which has it again.
    pub(crate) fn shut(&self) {
        self.ended.store(true, Ordering::Release);
        let trigger = self.trigger.lock().clone();
        if let Some(trigger) = trigger {
            trigger.freeze();
        }
        if let Some(lane) = self.lane.get() {
            lane.shut();
        }
        // What was parked for somebody to come may have been taken out since: whoever waits for the
        // lane would wait for nothing.
        self.turn.fetch_add(1, Ordering::Release);
        self.released.store(true, Ordering::SeqCst);
        let queued = self.take_out_queued();
        self.resume_all();
        drop_quietly(queued);
    }

    /// Takes out what waits and came from a queue, which has it again when it is dropped.
    pub(super) fn take_out_queued(&self) -> Vec<Arc<dyn Parcel>> {
        let is_out = |parcel: &Arc<dyn Parcel>| parcel.receipt().is_some();
        let out = self.lane.get().map(|lane| lane.take_out(is_out));
        out.unwrap_or_default()
    }

    /// Returns whether what came from a queue goes back to it.
    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::SeqCst)
    }

    /// Returns what waits, of which nobody gets anything, and how many events are lost with it:
    /// those in hand that no subscriber has been called for among them, and none of a queue.
    pub(crate) fn clear(&self) -> (Vec<Arc<dyn Parcel>>, usize) {
        self.seats.lock().clear();
        self.turn.fetch_add(1, Ordering::Release);
        let left = self.lane.get().map(Lane::clear).unwrap_or_default();
        let lost = count_lost(&left) + self.in_hand.0.load(Ordering::Acquire);
        (left, lost)
    }

    /// Returns whether nothing waits and nothing is being delivered.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.get().is_none_or(Lane::is_idle)
    }

    /// Returns whether nothing more will be delivered but by calls that were abandoned.
    pub(crate) fn is_drained(&self) -> bool {
        let is_left = |lane: &Lane<_>| lane.len() == 0 && self.is_busy() && self.vigil.is_quiet();
        self.lane
            .get()
            .is_none_or(|lane| lane.is_idle() || is_left(lane))
    }

    /// Returns how many events a thread may have in hand.
    pub(super) fn batch(&self) -> usize {
        match self.has_deadline.load(Ordering::Acquire) {
            true => 1,
            false => BATCH,
        }
    }

    /// Returns who watches calls that begin on threads of the pool.
    pub(crate) fn vigil(&self) -> &Arc<Vigil> {
        &self.vigil
    }

    /// Notes that a call was abandoned, and returns how many threads are held by such.
    pub(crate) fn abandon(&self) -> usize {
        self.abandoned.fetch_add(1, Ordering::AcqRel);
        self.staff.abandoned.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Notes that one that was abandoned has returned.
    pub(crate) fn recover(&self) {
        self.staff.abandoned.fetch_sub(1, Ordering::AcqRel);
        self.abandoned.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns whether a call was abandoned and has not returned.
    pub(crate) fn is_busy(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) > 0
    }

    /// Returns the lane, if an event ever came here.
    pub(crate) fn lane(&self) -> Option<&Lane<Arc<dyn Parcel>>> {
        self.lane.get()
    }

    pub(super) fn recipient(&self, site: Site) -> Option<Arc<dyn Recipient>> {
        let seats = self.seats.lock();
        let seat = seats.iter().find(|seat| seat.site == site)?;
        seat.recipient.upgrade()
    }
}

/// Returns how many events are lost with these: those of a queue are not.
fn count_lost(parcels: &[Arc<dyn Parcel>]) -> usize {
    let parcels = parcels.iter();
    parcels.filter(|parcel| parcel.receipt().is_none()).count()
}

impl Outlet for ByPool {
    fn ready(&self) -> bool {
        let Some(desk) = self.0.upgrade() else {
            return false;
        };
        Clerk::send(&desk, None)
    }
}

/// How many events a thread takes at once.
const BATCH: usize = 64;

impl Staff {
    pub(crate) fn new(
        pool: &Arc<WorkerPool>,
        clock: &Arc<dyn Clock>,
        timers: &Arc<Timers>,
        notices: Notices,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool: Arc::clone(pool),
            clock: Arc::clone(clock),
            timers: Arc::clone(timers),
            idle: Arc::default(),
            notices,
            abandoned: AtomicUsize::new(0),
        })
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("lane", &self.lane.get())
            .finish_non_exhaustive()
    }
}
