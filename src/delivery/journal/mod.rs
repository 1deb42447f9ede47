//! The durable queue: events that are stored until those who wait for them have had them.
//!
//! The [ledger](ledger) knows which events wait for whom, and holds none of them. An event that is
//! accepted is written together with all that others do at the time, and with what was delivered
//! meanwhile; then it goes into the lanes of those who wait for it, as far as there is room, and is
//! read again where there is none. Threads of the pool take it from there like any other, and say
//! by its [receipt](receipt) how that went.

mod backlog;
mod chronicle;
mod dead;
mod feeder;
mod joined;
mod keeping;
mod ledger;
mod opening;
mod owner;
mod pending;
mod places;
mod receipt;
mod turn;
mod verdict;
mod writer;

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use uuid::Uuid;

use self::chronicle::Kept;
pub use self::dead::DeadLetterCause;
pub(crate) use self::dead::{LetterName, Retold};
pub(crate) use self::joined::Joined;
pub(crate) use self::keeping::{KeepPast, Recalled};
use self::ledger::{Ledger, Number};
use self::owner::Owner;
use self::pending::{Appended, Pending};
pub(crate) use self::receipt::Receipt;
pub(crate) use self::verdict::{Next, Verdict as QueueVerdict};
use super::context::Carried;
use super::desk::{Desk, Staff};
use super::parcel::Parcel;
use super::pool::WorkerPool;
use super::trigger::Triggered;
use crate::model::{EventClassId, Queued, SubscriptionId};
use crate::notices::Notice;
use crate::store::Store;
use crate::store::record::queue::{Addressee, queue_key};
use crate::sync::atomic::AtomicU64;
use crate::sync::{Condvar, Mutex};
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
    /// Rises whenever a queue that began with past events goes live; what its fires begin by.
    mark: AtomicU64,
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
    /// The keys of dead letters that somebody replays or purges.
    held: HashSet<Vec<u8>>,
    /// Holds the store's queues, if no other broker of the process does.
    owner: Option<Owner>,
    is_stopped: bool,
    /// When the chronicles are looked at for events that are too old.
    trims_at: Option<Instant>,
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
    /// The subscription is gone.
    Gone,
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
            mark: AtomicU64::new(1),
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
        if state.owner.is_none() {
            return;
        }
        let queue = state.ledger.queue_of(id, name);
        let old = std::mem::replace(&mut queue.name, Arc::clone(name));
        let old = (old, std::mem::replace(&mut queue.terms, terms.cloned()));
        let old = (old, std::mem::replace(&mut queue.desk, desk.cloned()));
        queue.unstrand();
        drop(state);
        drop(old);
        // There may be room by the new terms for one who waits.
        self.changed.notify_all();
        self.feed_soon(id);
    }

    /// Makes the queue of a subscription, if it has none: of one that is switched off nobody has.
    pub(crate) fn make_queue(&self, id: SubscriptionId, name: &Arc<str>) {
        let mut state = self.state.lock();
        // Its number would be that of another queue, at the broker that has the queues.
        if state.owner.is_some() {
            state.ledger.queue_of(id, name);
        }
    }

    /// Returns whether events wait for the subscription.
    pub(crate) fn has_backlog(&self, id: SubscriptionId) -> bool {
        let state = self.state.lock();
        let queue = state.ledger.find(id);
        queue.is_some_and(|queue| queue.waiting() + queue.reserved > 0)
    }

    /// Delivers nothing to the subscription for now; what waits is kept. What this returns is not
    /// to be dropped under a lock.
    #[must_use]
    pub(crate) fn unseat(&self, id: SubscriptionId) -> Option<Box<dyn Any + Send>> {
        let mut state = self.state.lock();
        let queue = state.ledger.find_mut(id)?;
        let left = (queue.desk.take(), queue.take_back());
        drop(state);
        self.changed.notify_all();
        Some(Box::new(left))
    }

    /// Gives up what waits for a subscription that is gone, which is told. What this returns is not
    /// to be dropped under a lock.
    #[must_use]
    pub(crate) fn forget(&self, id: SubscriptionId) -> Option<Box<dyn Any + Send>> {
        let mut state = self.state.lock();
        let (queue, left) = state.ledger.remove(id)?;
        state.pending.forget(queue.number, left);
        drop(state);
        let count = queue.waiting();
        if count > 0 {
            self.staff.notices.push(Notice::LaneDiscarded {
                id: id.uuid(),
                name: queue.name.to_string(),
                count: count as u64,
            });
        }
        self.write_soon();
        self.changed.notify_all();
        Some(Box::new(queue))
    }

    /// Returns the key of what the queue of a subscription remembers, if it has one: without that
    /// what is stored for the queue is for nobody.
    pub(crate) fn memory_key(&self, id: SubscriptionId) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let queue = state.ledger.find(id)?;
        Some(queue_key(queue.number))
    }

    /// Returns how many events wait for a subscription.
    pub(crate) fn waiting(&self, id: SubscriptionId) -> usize {
        let state = self.state.lock();
        state.ledger.find(id).map_or(0, |queue| queue.waiting())
    }

    /// Has an event stored for these, and for the history of its class if it is to be. Returns what
    /// became of that for each of them, and why the history lacks it if it does.
    pub(crate) fn append(
        &self,
        parcel: &Arc<dyn Parcel>,
        posts: &[Post],
        keep: Option<&KeepPast>,
        may_block: bool,
    ) -> (Vec<Result<(), Refusal>>, Option<Refusal>) {
        let mut outcomes = self.reserve_all(posts, may_block);
        let (kept, mut unkept) = match self.kept(keep, &**parcel) {
            Ok(kept) => (kept, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let accepted = posts.iter().zip(&outcomes);
        let accepted: Vec<_> = accepted
            .filter_map(|(post, outcome)| Some((post, outcome.clone().ok()?)))
            .collect();
        if accepted.is_empty() && kept.is_none() {
            return (
                outcomes.into_iter().map(|it| it.map(drop)).collect(),
                unkept,
            );
        }
        let waits = kept.is_some() && keep.is_some_and(|keep| keep.waits);
        let waits = waits || accepted.iter().any(|(post, _)| post.waits);
        let addressees = accepted.iter().map(|(post, queue)| Addressee {
            queue: *queue,
            lane: post.lane,
            why: number_of(post.why),
        });
        let addressees = addressees.chain(kept.as_ref().map(Kept::addressee));
        let addressees: Vec<_> = addressees.collect();
        if let Err(refusal) = self.accept(parcel, addressees, kept, waits) {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(refusal.clone());
            }
            unkept = kept.map(|_| refusal).or(unkept);
        }
        (
            outcomes.into_iter().map(|it| it.map(drop)).collect(),
            unkept,
        )
    }

    /// Has an event written, and waits for that if it is to.
    fn accept(
        &self,
        parcel: &Arc<dyn Parcel>,
        addressees: Vec<Addressee>,
        kept: Option<Kept>,
        waits: bool,
    ) -> Result<(), Refusal> {
        // Inside of a write of this thread it is stored right behind it.
        let waits = waits && !turn::is_writing_here();
        let bytes = dead::encode(&**parcel, addressees.clone());
        let mut state = self.state.lock();
        while state.pending.is_long() && !state.is_stopped && !turn::is_writing_here() {
            // Those who do not wait for the disk wait where it falls behind.
            self.changed.wait(&mut state);
        }
        if state.is_stopped {
            state.release(&addressees);
            drop(state);
            self.changed.notify_all();
            return Err(Refusal::Closed);
        }
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
            .append(Appended::new(number, bytes, parcel, addressees, waits).kept(kept));
        drop(state);
        match waits {
            true => self.written(number),
            false => {
                self.write_soon();
                Ok(())
            }
        }
    }

    /// Puts back an event that was not delivered, unless all were since it was fed.
    pub(super) fn put_back_in(&self, queue: u32, number: Number, epoch: u64) {
        let mut state = self.state.lock();
        let queue = state.ledger.get_mut(queue);
        let Some(queue) = queue.filter(|queue| queue.epoch == epoch) else {
            return;
        };
        queue.put_back(number);
        let id = queue.id;
        drop(state);
        self.feed_soon(id);
    }

    /// Delivers nothing any more, and takes back what [desks are shut](Desk::shut) with; what is
    /// delivered by now is still written. Returns false if it was stopped before.
    pub(crate) fn stop(&self) -> bool {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.is_stopped, true) {
            return false;
        }
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Writes what is left, and lets go of the store's queues.
    pub(crate) fn close(&self) {
        self.writers.stop();
        drop(self.write_all());
        let owner = self.state.lock().owner.take();
        drop(owner);
        self.changed.notify_all();
    }

    /// Returns whether nothing is to be written, and nothing to be put into lanes.
    pub(crate) fn rests(&self) -> bool {
        let state = self.state.lock();
        let rests = state.pending.is_empty() && !state.pending.is_writing;
        let is_fed = |queue: &backlog::Backlog| {
            let is_seated = queue.desk.as_ref().is_some_and(|it| it.strong_count() > 0);
            let is_fed = queue.fresh.is_empty() && (queue.tail.is_empty() || !queue.is_hungry());
            !queue.is_feeding && (!is_seated || is_fed)
        };
        (rests && state.ledger.all().all(is_fed)) || state.is_stopped
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        self.store.get()?.upgrade()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::Dropped => "the queue is full, and drops what is new",
            Self::Closed => "the broker is closed",
            Self::Gone => "the subscription is gone",
            Self::Unwritten(why) => why,
        })
    }
}

impl Refusal {
    fn elsewhere() -> Self {
        Self::Unwritten("another broker of this process has the queues of the store".to_owned())
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
