//! Transactions: changes of the wiring and of trees that happen together or not at all.

mod fires;
mod part;
mod trees;

use std::collections::HashSet;
use std::fmt;

use self::fires::Fires;
pub(super) use self::part::Part;
use self::part::{EnsurePart, RemovePart, StorePart};
pub use self::trees::TransactionTree;
use self::trees::TreeWrites;
use super::access::Access;
use super::classes::unreadable;
use super::subscriptions::Ensured;
use super::tree::checked_name;
use super::{Broker, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, Subscription, SubscriptionId};
use crate::publish::{DynamicPublisher, Publisher, Transacted};
use crate::store::Batch;
use crate::store::record::{self, StoredSubscription, queue};
use crate::value::{EventInterface, ValueRef};

/// Changes that are made together, or not at all: a buffer, from [`Broker::transaction`].
///
/// Nothing reaches the store before [`commit`](Self::commit), and nothing happens if it is dropped
/// without one. What the transaction has gathered is seen by nobody meanwhile, not by itself
/// either: [`Tree::get`](crate::Tree::get) reads what is committed. What must still be so when it
/// is committed is said with [`expect`](TransactionTree::expect).
///
/// It takes stored subscriptions, [trees](crate::Tree), and events. Other records, transient
/// subscriptions and what has to do with components cannot take part. It has [`KEYS`](Self::KEYS)
/// and [`BYTES`](Self::BYTES) at most; [`Broker::import`] takes more subscriptions at once.
///
/// # Examples
///
/// A job leaves the list of what is to be done, enters that of what was done, and is listened to no
/// more: all of it, or nothing.
///
/// ```
/// use loosely::{Broker, Subscription};
///
/// let broker = Broker::in_memory()?;
/// let alarm = Subscription::builder("17 is late").class("Jobs").component("alarm").build()?;
/// broker.ensure(&alarm)?;
/// broker.tree("open")?.insert("17", "ann")?;
///
/// let mut done = broker.transaction();
/// done.tree("open")?.expect("17", "ann")?.remove("17")?;
/// done.tree("done")?.insert("17", "ann")?;
/// done.remove(alarm.id())?;
/// let committed = done.commit()?;
/// assert_eq!(committed.removed(), [alarm.id()]);
/// assert_eq!(broker.tree("open")?.get("17")?, None);
/// # Ok::<(), loosely::Error>(())
/// ```
#[must_use = "nothing happens before it is committed"]
pub struct Transaction {
    broker: Broker,
    trees: TreeWrites,
    parts: Vec<Box<dyn Part>>,
    fires: Fires,
    /// The subscriptions that it changes.
    ids: HashSet<SubscriptionId>,
    /// Of the parts; the trees count their own.
    size: Size,
}

/// What a [`Transaction`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    revision: Revision,
    ensured: Vec<(SubscriptionId, Ensured)>,
    removed: Vec<SubscriptionId>,
    queued: usize,
}

/// How much there is to write.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    keys: usize,
    bytes: usize,
}

impl Broker {
    /// Returns a transaction without anything in it, in the name of this handle.
    pub fn transaction(&self) -> Transaction {
        Transaction {
            broker: self.clone(),
            trees: TreeWrites::default(),
            parts: Vec::new(),
            fires: Fires::default(),
            ids: HashSet::new(),
            size: Size::default(),
        }
    }
}

impl Transaction {
    /// So many keys may be written and expected, inclusive; a subscription is one. A sled store
    /// writes what is so small in one step, for which nobody who reads has to wait.
    pub const KEYS: usize = 4_096;

    /// So many bytes of keys and values may be written and expected, inclusive: what a commit holds
    /// in memory several times over.
    pub const BYTES: usize = 16 * 1_024 * 1_024;

    /// Has the commit do what [`Broker::ensure`] does; what it found is in
    /// [`Committed::ensured`].
    ///
    /// # Errors
    ///
    /// As [`Broker::ensure`], as far as that can be known now: the rest comes of
    /// [`commit`](Self::commit). [`Invalid`](ErrorKind::Invalid) also if the transaction changes
    /// this subscription already, or becomes larger than it may.
    pub fn ensure(&mut self, subscription: &Subscription) -> Result<&mut Self> {
        let wanted = self.wanted(subscription)?;
        self.add_record(wanted, EnsurePart::new)
    }

    /// Has the commit do what [`Broker::store`] does.
    ///
    /// # Errors
    ///
    /// As [`ensure`](Self::ensure).
    pub fn store(&mut self, subscription: &Subscription) -> Result<&mut Self> {
        let wanted = self.wanted(subscription)?;
        self.add_record(wanted, StorePart::new)
    }

    /// Has the commit remove a stored subscription, also one that cannot be read. That there is
    /// none is no error: [`Committed::removed`] has those that there were.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the id is that of a transient subscription,
    /// which goes with its guard; [`Invalid`](ErrorKind::Invalid) as [`ensure`](Self::ensure).
    pub fn remove(&mut self, id: impl Into<SubscriptionId>) -> Result<&mut Self> {
        let id = id.into();
        self.broker.core.check_open()?;
        self.broker.present_stored(id)?;
        self.add_change(id, RemovePart::new(id), 0)
    }

    /// Returns a tree, to which what follows is done by the commit.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) as [`Broker::tree`].
    pub fn tree(&mut self, name: impl AsRef<str>) -> Result<TransactionTree<'_>> {
        let name = checked_name(name.as_ref())?;
        Ok(TransactionTree::new(self, name))
    }

    /// Has the commit fire an event of this publisher object, with the properties that it has now:
    /// the transactional outbox.
    ///
    /// For the subscriptions that have a [queue](crate::Queued) the event is stored in the commit,
    /// so it leaves only if that is made. All others are called when it has returned, on this
    /// thread or from their lanes, as by an ordinary fire: what they do is no part of the
    /// transaction, and a crash right behind the commit leaves them without the event. Who wants
    /// the event is asked in the commit, of its publisher filters and predicates twice: once for
    /// each kind.
    ///
    /// ```
    /// use loosely::{Broker, Subscription, event_interface};
    ///
    /// #[event_interface]
    /// trait Orders {
    ///     fn placed(&self, number: u64);
    /// }
    ///
    /// let broker = Broker::in_memory()?;
    /// let mail = Subscription::builder("mail").to::<dyn Orders>().component("mail").queued();
    /// broker.ensure(&mail.build()?)?;
    /// let orders = broker.publisher::<dyn Orders>()?;
    ///
    /// let mut order = broker.transaction();
    /// order.tree("orders")?.insert("17", "two pens")?;
    /// order.fire(&orders, OrdersPlaced::new(17))?;
    /// assert_eq!(order.commit()?.queued(), 1);
    /// # Ok::<(), loosely::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the publisher object is of another broker, or the
    /// transaction becomes larger than it may. The commit fails with
    /// [`Unavailable`](ErrorKind::Unavailable) if a queue is full that does not lose what is new:
    /// it waits for no room.
    pub fn fire<I: EventInterface + ?Sized>(
        &mut self,
        publisher: &Publisher<I>,
        event: impl Into<I::Event>,
    ) -> Result<&mut Self> {
        self.add_fire(Transacted::typed(publisher, &event.into()))
    }

    /// As [`fire`](Self::fire), by name.
    ///
    /// # Errors
    ///
    /// As [`fire`](Self::fire) and [`DynamicPublisher::fire`].
    pub fn fire_dynamic(
        &mut self,
        publisher: &DynamicPublisher,
        method: &str,
        arguments: &[ValueRef<'_>],
    ) -> Result<&mut Self> {
        self.add_fire(Transacted::named(publisher, method, arguments)?)
    }

    /// Makes all changes in one commit, or none.
    ///
    /// If somebody else has changed the same records meanwhile, it is tried again with those; a
    /// transaction without anything in it returns the present revision.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) if a key of a tree has not the value that was expected,
    /// and the error names both; or if a subscription carries a revision that is not the stored
    /// one's. [`Denied`](ErrorKind::Denied) if a right is lacking now. For each part, what its own
    /// call would report, and what the store reports. Nothing was written then, except where it
    /// says [`Uncertain`](ErrorKind::Uncertain): then all of it, or nothing.
    ///
    /// # Consistency
    ///
    /// As of a single change: when it returned, all of it is seen by whoever looks, and by every
    /// fire that begins.
    pub fn commit(mut self) -> Result<Committed> {
        let broker = self.broker.clone();
        let access = broker.access();
        let (revision, queued) = loop {
            let (told, before) = (broker.revision(), broker.core.store.revision());
            let mut batch = self.batch(&access)?;
            let events = self.fires.join(&broker, &mut batch)?;
            match broker.core.commit(batch) {
                Ok(revision) => break (revision, events.committed()),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    events.left_out();
                    broker.core.check_open()?;
                    let conflict = self.settle(error, told)?;
                    // Whoever causes one has committed.
                    if broker.core.store.revision() == before {
                        return Err(conflict);
                    }
                }
                Err(error) => {
                    events.failed(&error);
                    return Err(error);
                }
            }
        };
        let mut committed = Committed {
            revision,
            ensured: Vec::new(),
            removed: Vec::new(),
            queued,
        };
        for part in self.parts {
            part.committed(&broker, &mut committed);
        }
        self.fires.fire_others();
        Ok(committed)
    }

    /// Adds a part of so many keys and bytes: whatever has something to write with the rest, and
    /// something to do when all is written.
    pub(super) fn add(
        &mut self,
        part: impl Part + 'static,
        keys: usize,
        bytes: usize,
    ) -> Result<()> {
        let size = Size {
            keys: self.size.keys + keys,
            bytes: self.size.bytes + bytes,
        };
        self.trees.size().and(size).check()?;
        self.size = size;
        self.parts.push(Box::new(part));
        Ok(())
    }

    fn add_fire(&mut self, event: Transacted) -> Result<&mut Self> {
        self.broker.core.check_open()?;
        if !event.is_at(&self.broker.core.around) {
            let message = "the publisher object is of another broker than the transaction";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let size = Size {
            keys: self.size.keys + 1,
            bytes: self.size.bytes + queue::size_of(event.values())?,
        };
        self.trees.size().and(size).check()?;
        self.size = size;
        self.fires.add(event);
        Ok(self)
    }

    fn wanted(&self, subscription: &Subscription) -> Result<Wanted> {
        self.broker.core.check_open()?;
        let wanted = self.broker.wanted(&self.broker.access(), subscription)?;
        self.broker.present_stored(wanted.record.id())?;
        Ok(wanted)
    }

    fn add_record<P: Part + 'static>(
        &mut self,
        wanted: Wanted,
        part: impl FnOnce(Wanted) -> P,
    ) -> Result<&mut Self> {
        let stored = StoredSubscription {
            record: wanted.record.clone(),
            order: 0,
            ensured: None,
        };
        let bytes = record::encode_subscription(&stored)?.len();
        self.add_change(wanted.record.id(), part(wanted), bytes)
    }

    /// Adds a change of a subscription; only one of each, as a second would not know of the first.
    fn add_change(
        &mut self,
        id: SubscriptionId,
        part: impl Part + 'static,
        bytes: usize,
    ) -> Result<&mut Self> {
        if self.ids.contains(&id) {
            let message = format!("the transaction changes the subscription {id} already");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.add(part, 1, bytes)?;
        self.ids.insert(id);
        Ok(self)
    }

    fn batch(&mut self, access: &Access<'_>) -> Result<Batch> {
        let mut batch = Batch::new();
        self.trees.require(access)?;
        self.trees.put(&mut batch);
        for part in &mut self.parts {
            part.prepare(&self.broker, access, &mut batch)?;
        }
        Ok(batch)
    }

    /// Returns the conflict if trying again may help, and else why it does not; the broker was told
    /// of all commits up to `told` before.
    fn settle(&self, conflict: Error, told: Revision) -> Result<Error> {
        let broker = &self.broker;
        self.trees.check(&*broker.core.store)?;
        for part in &self.parts {
            if part.is_stale(broker) {
                return Err(conflict);
            }
            if part.is_blocked(broker, told)? {
                return Err(unreadable(conflict));
            }
        }
        Ok(conflict)
    }
}

impl Committed {
    /// Returns the revision of the commit, or the present one if there was nothing to write but
    /// events.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns what became of each subscription that was to be ensured, in the order of the calls.
    pub fn ensured(&self) -> &[(SubscriptionId, Ensured)] {
        &self.ensured
    }

    /// Returns the subscriptions that were removed, in the order of the calls.
    pub fn removed(&self) -> &[SubscriptionId] {
        &self.removed
    }

    /// Returns how many queues have taken an event that was fired, those of all events together.
    pub fn queued(&self) -> usize {
        self.queued
    }
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Returns Ok if a transaction may be as large as this.
    fn check(self) -> Result<()> {
        let (found, most, what) = if self.keys > Transaction::KEYS {
            (self.keys, Transaction::KEYS, "keys")
        } else if self.bytes > Transaction::BYTES {
            (self.bytes, Transaction::BYTES, "bytes")
        } else {
            return Ok(());
        };
        let message = format!("a transaction of {found} {what}: {most} are the most");
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("parts", &self.parts.len())
            .field("size", &self.trees.size().and(self.size))
            .finish_non_exhaustive()
    }
}
