//! What lives as long as a subscription, whatever of it is edited: the events that wait for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::idle::Idle;
use super::lane::{Bounds, Lane, Outlet, Pushed, linger};
use super::line::Entry;
use super::parcel::Parcel;
use super::pool::WorkerPool;
use super::trigger::{Terms, TriggerState};
use crate::model::EventClassId;
use crate::value::{InterfaceId, ValueKey, drop_quietly};

/// Where the events of one subscription wait that are delivered apart from their fires.
///
/// It is found by whoever makes the subscription ready anew, so that an edit, a component that
/// comes or a class that changes loses nothing: what waits goes to whom the subscription names when
/// its turn comes.
pub(crate) struct Desk {
    me: Weak<Self>,
    pool: Arc<WorkerPool>,
    idle: Arc<Idle>,
    lane: OnceLock<Lane<Arc<dyn Parcel>>>,
    seats: Mutex<SmallVec<[Seat; 1]>>,
    /// Rises with every change of the seats.
    turn: AtomicU64,
    /// How many events a thread has taken and has not called the subscriber for.
    in_hand: AtomicUsize,
    ended: AtomicBool,
    trigger: Mutex<Option<Arc<TriggerState>>>,
}

/// Who receives the events of one interface of one class.
struct Seat {
    site: Site,
    recipient: Weak<dyn Recipient>,
}

type Site = (EventClassId, InterfaceId);

/// A subscriber as events come to it that have left their fire.
pub(crate) trait Recipient: Send + Sync {
    /// Delivers an event; `missed` are missing right before it. Panics of the subscriber do not get
    /// out.
    fn deliver(&self, parcel: &Arc<dyn Parcel>, missed: u64);
}

/// Who was found to receive at a site, in which turn.
type Known = (u64, Site, Option<Arc<dyn Recipient>>);

/// Events in hand.
type Taken = VecDeque<Entry<Arc<dyn Parcel>>>;

/// Has threads of the pool come to a desk.
struct ByPool(Weak<Desk>);

/// A thread that takes what waits.
struct Clerk {
    desk: Arc<Desk>,
    /// The key that it is through with.
    done: Option<ValueKey>,
    /// How many events are missing before the next one.
    missed: u64,
}

impl Desk {
    pub(crate) fn new(pool: Arc<WorkerPool>, idle: Arc<Idle>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            pool,
            idle,
            lane: OnceLock::new(),
            seats: Mutex::default(),
            turn: AtomicU64::new(0),
            in_hand: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            trigger: Mutex::default(),
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
    }

    /// Lets nobody have the events of a site any more: what waits of them is for nobody.
    pub(crate) fn vacate(&self, site: Site) -> Vec<Arc<dyn Parcel>> {
        let mut seats = self.seats.lock();
        let left = seats.iter().position(|seat| seat.site == site);
        let left = left.map(|place| seats.swap_remove(place));
        self.turn.fetch_add(1, Ordering::Release);
        let is_last = seats.is_empty();
        drop(seats);
        drop(left);
        match self.lane.get() {
            Some(lane) if is_last => lane.clear(),
            _ => Vec::new(),
        }
    }

    /// Has an event wait for a thread of the pool.
    pub(crate) fn accept(
        &self,
        bounds: Bounds,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) -> Pushed<Arc<dyn Parcel>> {
        let lane = self.lane_of(bounds);
        // One that was made since the desk was shut does not know.
        match self.ended.load(Ordering::Acquire) {
            true => Pushed::Ended(parcel),
            false => lane.push(parcel, key),
        }
    }

    /// Has an event wait, though it be one more than may.
    pub(crate) fn accept_beyond(
        &self,
        bounds: Bounds,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) -> Pushed<Arc<dyn Parcel>> {
        let lane = self.lane_of(bounds);
        match self.ended.load(Ordering::Acquire) {
            true => Pushed::Ended(parcel),
            false => lane.push_beyond(parcel, key),
        }
    }

    fn lane_of(&self, bounds: Bounds) -> &Lane<Arc<dyn Parcel>> {
        let outlet = || Box::new(ByPool(Weak::clone(&self.me)));
        self.lane.get_or_init(|| Lane::new(bounds, outlet()))
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
        (made, displaced)
    }

    /// Forgets what the subscription's trigger knew; what this returns is not to be dropped under a
    /// lock.
    pub(crate) fn without_trigger(&self) -> Option<Arc<TriggerState>> {
        let trigger = self.trigger.lock().take()?;
        trigger.end();
        Some(trigger)
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

    /// Accepts nothing any more; what waits is still delivered.
    pub(crate) fn shut(&self) {
        self.ended.store(true, Ordering::Release);
        if let Some(lane) = self.lane.get() {
            lane.shut();
        }
    }

    /// Returns what waits, and how many events are in hand that no subscriber has been called for;
    /// nobody gets them.
    pub(crate) fn clear(&self) -> (Vec<Arc<dyn Parcel>>, usize) {
        self.seats.lock().clear();
        self.turn.fetch_add(1, Ordering::Release);
        let left = self.lane.get().map(Lane::clear).unwrap_or_default();
        (left, self.in_hand.load(Ordering::Acquire))
    }

    /// Returns whether nothing waits and nothing is being delivered.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.get().is_none_or(Lane::is_idle)
    }

    /// Returns the lane, if an event ever came here.
    pub(crate) fn lane(&self) -> Option<&Lane<Arc<dyn Parcel>>> {
        self.lane.get()
    }

    fn recipient(&self, site: Site) -> Option<Arc<dyn Recipient>> {
        let seats = self.seats.lock();
        let seat = seats.iter().find(|seat| seat.site == site)?;
        seat.recipient.upgrade()
    }
}

impl Outlet for ByPool {
    fn ready(&self) -> bool {
        let Some(desk) = self.0.upgrade() else {
            return false;
        };
        let pool = Arc::clone(&desk.pool);
        let clerk = Clerk {
            desk,
            done: None,
            missed: 0,
        };
        pool.submit(Box::new(move || clerk.work())).is_ok()
    }
}

/// How many events a thread takes at once.
const BATCH: usize = 64;

/// How often a thread takes some before others have their turn.
const ROUNDS: usize = 16;

impl Clerk {
    /// Delivers what waits, to the last, or until others have waited long enough for the thread.
    fn work(mut self) {
        let desk = Arc::clone(&self.desk);
        let Some(lane) = desk.lane.get() else {
            return;
        };
        let (mut taken, mut spent) = (VecDeque::new(), Vec::new());
        loop {
            for _ in 0..ROUNDS {
                linger(|| lane.has_more());
                let key = lane.take(self.done.take(), BATCH, &mut taken, &mut spent);
                drop_quietly(std::mem::take(&mut spent));
                let Some(key) = key else {
                    return desk.idle.tell();
                };
                self.deliver(&desk, &mut taken, &mut spent);
                self.done = Some(key);
            }
            if desk.pool.backlog() > 0 {
                return self.give_way();
            }
        }
    }

    /// Goes on after those who wait for the thread, if somebody does.
    fn give_way(self) {
        let pool = Arc::clone(&self.desk.pool);
        if let Err(task) = pool.submit(Box::new(move || self.work())) {
            // The pool was stopped, and does what it was given before.
            task();
        }
    }

    fn deliver(&mut self, desk: &Desk, taken: &mut Taken, spent: &mut Vec<Arc<dyn Parcel>>) {
        // Looked up once for many events, and again when it may be another.
        let mut last: Option<Known> = None;
        let items = |entry: &&Entry<_>| matches!(entry, Entry::Item(_));
        let items = taken.iter().filter(items).count();
        desk.in_hand.fetch_add(items, Ordering::AcqRel);
        for entry in taken.drain(..) {
            let parcel = match entry {
                Entry::Gap(missed) => {
                    self.missed += missed;
                    continue;
                }
                Entry::Item(parcel) => parcel,
            };
            desk.in_hand.fetch_sub(1, Ordering::AcqRel);
            let (turn, site) = (desk.turn.load(Ordering::Acquire), parcel.site());
            let known = last.take_if(|known| (known.0, known.1) == (turn, site));
            let known = known.unwrap_or_else(|| (turn, site, desk.recipient(site)));
            if let Some(recipient) = &known.2 {
                recipient.deliver(&parcel, std::mem::take(&mut self.missed));
            }
            last = Some(known);
            spent.push(parcel);
        }
        drop_quietly(last);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("lane", &self.lane.get())
            .finish_non_exhaustive()
    }
}
