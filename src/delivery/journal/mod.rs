//! The durable queue: events that are stored until those who wait for them have had them.
//!
//! The [ledger](ledger) knows which events wait for whom, and holds none of them. An event that is
//! accepted is written together with all that others do at the time, and with what was delivered
//! meanwhile; then it goes into the lanes of those who wait for it, as far as there is room, and is
//! read again where there is none. Threads of the pool take it from there like any other, and say
//! by its [receipt](receipt) how that went.

mod dead;
mod feeder;
mod joined;
mod ledger;
mod opening;
mod owner;
mod receipt;
mod verdict;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

pub use self::dead::DeadLetterCause;
pub(crate) use self::dead::Retold;
pub(crate) use self::joined::Joined;
use self::ledger::{Ledger, Number};
use self::owner::Owner;
pub(crate) use self::receipt::Receipt;
pub(crate) use self::verdict::{Next, Verdict as QueueVerdict};
use self::writer::Pending;
use super::context::Carried;
use super::desk::{Desk, Staff};
use super::parcel::Parcel;
use super::pool::WorkerPool;
use super::trigger::Triggered;
use crate::model::{EventClassId, Overflow, Queued, SubscriptionId};
use crate::notices::Notice;
use crate::store::Store;
use crate::store::record::queue::Addressee;
use crate::value::{InterfaceId, InterfaceSchema, Value};

/// The queues of a broker.
pub(crate) struct Journal {
    me: Weak<Self>,
    store: OnceLock<Weak<dyn Store>>,
    staff: Arc<Staff>,
    /// Writes, and waits for the disk while others deliver.
    writers: WorkerPool,
    restore: Restore,
    last_resort: Option<LastResort>,
    open_site: OnceLock<OpenSite>,
    schemas: Mutex<Schemas>,
    state: Mutex<State>,
    /// Where publishers wait until their events are stored, or there is room for them.
    changed: Condvar,
}

/// interface and hash -> schema
type Schemas = HashMap<(Uuid, [u8; 16]), Arc<InterfaceSchema>>;

/// Makes an event of one that was stored.
pub(crate) type Restore =
    fn(Arc<InterfaceSchema>, usize, Vec<Value>, Carried) -> Option<Arc<dyn Parcel>>;

/// Is offered an event before it becomes a dead letter, and returns whether it need not become
/// one. Calls the user's code.
pub(crate) type LastResort = Box<dyn Fn(Retold) -> bool + Send + Sync>;

/// Has somebody receive the events of a class's interface, and returns whether there is such.
type OpenSite = Box<dyn Fn(EventClassId, InterfaceId) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    ledger: Ledger,
    pending: Pending,
    last: Number,
    /// Holds the store's queues, if no other broker of the process does.
    owner: Option<Owner>,
    is_stopped: bool,
}

/// Who is to have an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post {
    pub(crate) subscription: SubscriptionId,
    /// By what its events are told apart that come in order; 0 where all are.
    pub(crate) lane: u64,
    pub(crate) why: Option<Triggered>,
    /// Whether the fire goes on before the event is stored.
    pub(crate) waits: bool,
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Dropped,
    Closed,
    /// It is not stored, or nobody can say whether it is; the text says why.
    Unwritten(String),
}

impl Journal {
    pub(crate) fn new(
        staff: &Arc<Staff>,
        restore: Restore,
        last_resort: Option<LastResort>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            store: OnceLock::new(),
            staff: Arc::clone(staff),
            writers: WorkerPool::named("loosely-queue", 1),
            restore,
            last_resort,
            open_site: OnceLock::new(),
            schemas: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Finds those who receive events of which nobody has fired one since the broker was opened.
    pub(crate) fn opens_sites_by(&self, open: OpenSite) {
        drop(self.open_site.set(open));
    }

    /// Has the subscription's events wait on these terms, and delivers them from a desk, if there
    /// is one. Without terms there is no queue for what is fired, but what waits is delivered.
    pub(crate) fn seat(
        &self,
        (id, name): (SubscriptionId, &Arc<str>),
        terms: Option<&Arc<Queued>>,
        desk: Option<&Weak<Desk>>,
    ) {
        let mut state = self.state.lock();
        let queue = state.ledger.queue_of(id, name);
        let old = std::mem::replace(&mut queue.name, Arc::clone(name));
        let old = (old, std::mem::replace(&mut queue.terms, terms.cloned()));
        let old = (old, std::mem::replace(&mut queue.desk, desk.cloned()));
        queue.unstrand();
        drop(state);
        drop(old);
        self.feed_soon(id);
    }

    /// Returns whether events wait for the subscription.
    pub(crate) fn has_backlog(&self, id: SubscriptionId) -> bool {
        let state = self.state.lock();
        let queue = state.ledger.find(id);
        queue.is_some_and(|queue| queue.waiting() + queue.reserved > 0)
    }

    /// Delivers nothing to the subscription for now; what waits is kept.
    pub(crate) fn unseat(&self, id: SubscriptionId) {
        let mut state = self.state.lock();
        let queue = state.ledger.find_mut(id);
        let desk = queue.and_then(|queue| queue.desk.take());
        drop(state);
        drop(desk);
    }

    /// Gives up what waits for a subscription that is gone, which is told.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        let mut state = self.state.lock();
        let name = state.ledger.find(id).map(|queue| Arc::clone(&queue.name));
        let (Some(name), Some((queue, count, left))) = (name, state.ledger.remove(id)) else {
            return;
        };
        state.pending.forget(queue, left);
        drop(state);
        if count > 0 {
            self.staff.notices.push(Notice::LaneDiscarded {
                id: id.uuid(),
                name: name.to_string(),
                count: count as u64,
            });
        }
        self.write_soon();
        self.changed.notify_all();
    }

    /// Returns how many events wait for a subscription.
    pub(crate) fn waiting(&self, id: SubscriptionId) -> usize {
        let state = self.state.lock();
        state.ledger.find(id).map_or(0, |queue| queue.waiting())
    }

    /// Has an event stored for these, and returns what became of that for each of them.
    pub(crate) fn append(
        &self,
        parcel: &Arc<dyn Parcel>,
        posts: &[Post],
        may_block: bool,
    ) -> Vec<Result<(), Refusal>> {
        let mut outcomes: Vec<_> = posts
            .iter()
            .map(|post| self.reserve(post.subscription, may_block))
            .collect();
        let accepted = posts.iter().zip(&outcomes);
        let accepted: Vec<_> = accepted
            .filter_map(|(post, outcome)| Some((post, outcome.clone().ok()?)))
            .collect();
        if accepted.is_empty() {
            return outcomes.into_iter().map(|it| it.map(drop)).collect();
        }
        let waits = accepted.iter().any(|(post, _)| post.waits);
        let addressees = accepted.iter().map(|(post, queue)| Addressee {
            queue: *queue,
            lane: post.lane,
            why: number_of(post.why),
        });
        let addressees: Vec<_> = addressees.collect();
        if let Err(refusal) = self.accept(parcel, addressees, waits) {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(refusal.clone());
            }
        }
        outcomes.into_iter().map(|it| it.map(drop)).collect()
    }

    /// Keeps a place in a queue, and returns the queue's number.
    fn reserve(&self, id: SubscriptionId, may_block: bool) -> Result<u32, Refusal> {
        let mut state = self.state.lock();
        loop {
            if state.is_stopped {
                return Err(Refusal::Closed);
            }
            if state.owner.is_none() {
                let why = "another broker of this process has the queues of the store";
                return Err(Refusal::Unwritten(why.to_owned()));
            }
            let queue = state.ledger.find_mut(id).ok_or(Refusal::Closed)?;
            if !queue.is_full() {
                queue.reserved += 1;
                return Ok(queue.number);
            }
            match queue.terms.as_ref().map(|terms| terms.overflow()) {
                Some(Overflow::DropNewest) => return Err(Refusal::Dropped),
                Some(Overflow::Block) if may_block => self.changed.wait(&mut state),
                _ => return Err(Refusal::Full),
            }
        }
    }

    /// Has an event written, and waits for that if it is to.
    fn accept(
        &self,
        parcel: &Arc<dyn Parcel>,
        addressees: Vec<Addressee>,
        waits: bool,
    ) -> Result<(), Refusal> {
        let bytes = dead::encode(&**parcel, addressees.clone());
        let mut state = self.state.lock();
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => {
                state.release(&addressees);
                drop(state);
                self.changed.notify_all();
                return Err(Refusal::Unwritten(why));
            }
        };
        state.last += 1;
        let number = state.last;
        state
            .pending
            .append(number, bytes, Some(Arc::clone(parcel)), addressees, waits);
        drop(state);
        match waits {
            true => self.written(number),
            false => {
                self.write_soon();
                Ok(())
            }
        }
    }

    /// Puts back an event that was not delivered.
    pub(super) fn put_back(&self, queue: u32, number: Number) {
        let mut state = self.state.lock();
        let Some(queue) = state.ledger.get_mut(queue) else {
            return;
        };
        queue.put_back(number);
        let id = queue.id;
        drop(state);
        self.feed_soon(id);
    }

    /// Delivers nothing any more; what is delivered by now is still written.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        let queues = state.ledger.all();
        let desks: Vec<_> = queues
            .filter_map(|queue| queue.desk.as_ref()?.upgrade())
            .collect();
        drop(state);
        self.changed.notify_all();
        desks.iter().for_each(|desk| desk.release_queued());
    }

    /// Writes what is left, and lets go of the store's queues.
    pub(crate) fn close(&self) {
        self.writers.stop();
        self.write_all();
        let mut state = self.state.lock();
        state.is_stopped = true;
        let owner = state.owner.take();
        drop(state);
        drop(owner);
        self.changed.notify_all();
    }

    /// Returns whether nothing is to be written, and nothing to be put into lanes.
    pub(crate) fn rests(&self) -> bool {
        let state = self.state.lock();
        let rests = state.pending.is_empty() && !state.pending.is_writing;
        let is_fed = |queue: &ledger::Backlog| {
            let is_seated = queue.desk.as_ref().is_some_and(|it| it.strong_count() > 0);
            !queue.is_feeding && (!is_seated || (queue.tail.is_empty() && queue.fresh.is_empty()))
        };
        (rests && state.ledger.all().all(is_fed)) || state.is_stopped
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        self.store.get()?.upgrade()
    }
}

impl State {
    /// Gives places back that were kept.
    fn release(&mut self, addressees: &[Addressee]) {
        for addressee in addressees {
            if let Some(queue) = self.ledger.get_mut(addressee.queue) {
                queue.reserved = queue.reserved.saturating_sub(1);
            }
        }
    }
}

fn number_of(why: Option<Triggered>) -> u8 {
    match why {
        None => 0,
        Some(Triggered::BecameTrue) => 1,
        Some(Triggered::Resolved) => 2,
        Some(Triggered::Absent) => 3,
    }
}

fn triggered_of(number: u8) -> Option<Triggered> {
    match number {
        1 => Some(Triggered::BecameTrue),
        2 => Some(Triggered::Resolved),
        3 => Some(Triggered::Absent),
        _ => None,
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}
