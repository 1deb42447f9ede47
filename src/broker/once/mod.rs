//! Effects that are not repeated when an event is delivered again.

mod deduplicated;
mod keys;
mod mark;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use self::deduplicated::Deduplicated;
#[doc(hidden)]
pub use self::deduplicated::{deduplicated, deduplicated_fallible};
pub(super) use self::keys::Windows;
use self::keys::{Keys, Running};
use self::mark::Mark;
use super::tree::OWN_NAMES;
use super::{Broker, Core, Transaction};
use crate::delivery::EventContext;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Principal, SubscriptionId, tree_name};
use crate::value::SubscriberError;

/// The keys of the events that a subscriber has handled last, kept in the broker's store.
///
/// A [queue](crate::Queued) delivers at least once: an event whose end was not stored before a
/// crash comes again, and so does one whose subscriber failed after it had done its work. A
/// subscriber that holds a window does that work inside of [`once`](Self::once), which knows the
/// event by its [idempotency key](EventContext::idempotency_key) and leaves out what was done
/// before.
///
/// The window holds so many keys of each subscription, the newest: 10,000 unless told otherwise
/// ([`with_keys`](Self::with_keys)). All windows of one name at a broker are one, so the instances
/// of a [pool](crate::Component::pooled) share theirs. Different work on the same event takes
/// windows of different names: a second `once` in one event finds the key of the first.
///
/// A handle is cheap and does not keep the broker open. The factory of a component has the broker
/// from its [`Activation`](crate::Activation::broker).
///
/// # Consistency
///
/// [`once`](Self::once) is *effectively once*: the work of an event is done exactly once, however
/// often it is delivered, if
///
/// - all of it goes into the transaction, which is committed together with the key. What a
///   subscriber does elsewhere, such as a call over the network, is none of it; and
/// - no more keys of the subscription came between two deliveries of the event than the window
///   holds. In a strict queue none comes between two attempts; in a relaxed or keyed one, those
///   that pass meanwhile; before a dead letter that is replayed, all that came since; and
/// - it is delivered by brokers of this store, under the same subscription.
///
/// A dead letter that is [replayed](Broker::replay) has the key that it had: if its work was
/// committed before it was given up, nothing happens, and else it is done now.
///
/// [`nearly_once`](Self::nearly_once), and [`Deduplicated`] with it, is for work outside of the
/// store: it notes the key behind the work. A crash in between has the work done again, so that is
/// *at least once*; what it leaves out is the repetition after a call that overran its deadline and
/// ended well, after a failure behind the work, and after a crash that lost the end of the delivery
/// alone.
///
/// # Examples
///
/// ```
/// use loosely::{
///     Activation, Broker, Component, KeyWindow, Subscription, SubscriberError, event_interface,
/// };
///
/// #[event_interface]
/// trait Payments {
///     fn paid(&self, account: &str, cents: u64) -> Result<(), SubscriberError>;
/// }
///
/// /// Keeps balances: an event that came twice would count twice.
/// struct Ledger {
///     balances: loosely::Tree,
///     window: KeyWindow,
/// }
///
/// impl Payments for Ledger {
///     fn paid(&self, account: &str, cents: u64) -> Result<(), SubscriberError> {
///         self.window.once(|transaction| {
///             let before = self.balances.get(account)?;
///             let balance = before.as_deref().map_or(Ok(0), parse)? + cents;
///             let mut balances = transaction.tree("balances")?;
///             // Whoever else writes the balance meanwhile makes this attempt fail.
///             match before {
///                 Some(before) => balances.expect(account, before)?,
///                 None => balances.expect_absent(account)?,
///             };
///             balances.insert(account, balance.to_string())?;
///             Ok(())
///         })?;
///         Ok(())
///     }
/// }
///
/// fn parse(bytes: &[u8]) -> Result<u64, SubscriberError> {
///     Ok(std::str::from_utf8(bytes)?.parse()?)
/// }
///
/// fn ledger(activation: &Activation<'_>) -> Result<Ledger, SubscriberError> {
///     let broker = activation.broker().ok_or("the broker is being closed")?;
///     Ok(Ledger {
///         balances: broker.tree("balances")?,
///         window: KeyWindow::new(&broker, "ledger")?,
///     })
/// }
///
/// let broker = Broker::in_memory()?;
/// broker.register_component(Component::activated("ledger", ledger).implements::<dyn Payments>())?;
/// let queue = Subscription::builder("ledger").to::<dyn Payments>().component("ledger").queued();
/// let queue = queue.build()?;
/// broker.ensure(&queue)?;
/// broker.publisher::<dyn Payments>()?.paid("ann", 500);
/// # while broker.subscription_health(queue.id()).is_some_and(|it| it.waiting() > 0) {
/// #     std::thread::yield_now();
/// # }
/// assert_eq!(broker.tree("balances")?.get("ann")?.as_deref(), Some(&b"500"[..]));
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias("idempotency", "exactly once", "inbox"))]
pub struct KeyWindow {
    core: Weak<Core>,
    principal: Option<Principal>,
    keys: Arc<Keys>,
    most: usize,
    age: Option<Duration>,
}

/// Whether something was done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Once {
    /// By this call.
    Done,
    /// For an earlier delivery of the event.
    Before,
}

/// An event that is being handled.
struct Handling<'a> {
    window: &'a KeyWindow,
    broker: Broker,
    running: Running<'a>,
}

impl KeyWindow {
    /// Returns the window of this name, which is there as soon as something is in it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if this is no name for a window: 1 to 242 characters, none a
    /// control character, no space at either end.
    pub fn new(broker: &Broker, name: impl AsRef<str>) -> Result<Self> {
        let tree = checked_tree(name.as_ref())?;
        Ok(Self {
            core: Arc::downgrade(&broker.core),
            principal: broker.principal.clone(),
            keys: broker.core.windows.of(&tree),
            most: MOST_KEYS,
            age: None,
        })
    }

    /// Keeps no more than so many keys of each subscription, at least one. Each takes some hundred
    /// bytes on the disk, and thirty in memory once the subscription has an event.
    #[must_use]
    pub fn with_keys(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// Keeps no key longer than this; it goes with one that comes later.
    #[must_use]
    pub fn forget_after(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Does something in a transaction for the event that this thread delivers, unless that was
    /// done before, and commits it together with the event's key.
    ///
    /// The work sees what is committed, and not what it has put into the transaction. If it fails,
    /// or panics, nothing is committed, and the next attempt does it; so it is if the commit meets
    /// a [conflict](ErrorKind::Conflict).
    ///
    /// # Errors
    ///
    /// What the work returns and what the [commit](Transaction::commit) reports;
    /// [`Invalid`](ErrorKind::Invalid) outside of a delivery, [`InUse`](ErrorKind::InUse) while
    /// another call does the work, which overran its deadline, [`Closed`](ErrorKind::Closed) after
    /// the broker was closed, and what reading the store meets.
    pub fn once<F>(&self, work: F) -> Result<Once, SubscriberError>
    where
        F: FnOnce(&mut Transaction) -> Result<(), SubscriberError>,
    {
        let handling = self.begin()?;
        if handling.is_done()? {
            return Ok(Once::Before);
        }
        let mut transaction = handling.broker.transaction();
        work(&mut transaction)?;
        Ok(handling.commit(transaction)?)
    }

    /// Does something outside of the store for the event that this thread delivers, unless that was
    /// done before, and notes the event's key behind it.
    ///
    /// What was done and cannot be noted is done: the next attempt, if there is one, does it again.
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once), without the commit's.
    pub fn nearly_once<F>(&self, work: F) -> Result<Once, SubscriberError>
    where
        F: FnOnce() -> Result<(), SubscriberError>,
    {
        self.around(work)?
    }

    /// Returns how many keys it holds of a subscription; it counts them.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) after the broker was closed, and what the store reports.
    pub fn count(&self, subscription: impl Into<SubscriptionId>) -> Result<usize> {
        let broker = self.broker()?;
        Ok(self.keys.read(&broker, subscription.into())?.len())
    }

    /// Forgets the keys of a subscription, such as one that is gone, and returns how many there
    /// were. What is delivered to it again is done again.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right to administer;
    /// else as [`count`](Self::count).
    pub fn forget(&self, subscription: impl Into<SubscriptionId>) -> Result<usize> {
        let broker = self.broker()?;
        self.keys.forget(&broker, subscription.into())
    }

    /// Does what [`nearly_once`](Self::nearly_once) does, with errors of the work apart.
    fn around<E>(&self, work: impl FnOnce() -> Result<(), E>) -> Result<Result<Once, E>> {
        let handling = self.begin()?;
        if handling.is_done()? {
            return Ok(Ok(Once::Before));
        }
        if let Err(error) = work() {
            return Ok(Err(error));
        }
        // Whoever took an error for it would have the work done again for certain.
        drop(handling.commit(handling.broker.transaction()));
        Ok(Ok(Once::Done))
    }

    fn begin(&self) -> Result<Handling<'_>> {
        let Some(context) = EventContext::current() else {
            let message = "a window of keys is asked inside of a delivery alone";
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let broker = self.broker()?;
        let (subscription, key) = (context.subscription(), context.idempotency_key());
        self.keys.load(&broker, subscription)?;
        Ok(Handling {
            window: self,
            broker,
            running: self.keys.run(subscription, key)?,
        })
    }

    fn broker(&self) -> Result<Broker> {
        let Some(core) = self.core.upgrade() else {
            return Err(Error::new(ErrorKind::Closed, "the broker is gone"));
        };
        core.check_open()?;
        Ok(Broker {
            core,
            principal: self.principal.clone(),
        })
    }
}

impl Handling<'_> {
    fn is_done(&self) -> Result<bool> {
        let store = &self.broker.core.store;
        Ok(store.get(self.running.stored_key())?.is_some())
    }

    /// Commits a transaction with the key, unless somebody else did.
    fn commit(&self, mut transaction: Transaction) -> Result<Once> {
        let now = self.broker.core.around.clock.now();
        let making = self
            .running
            .make_room(self.window.most, self.window.age, now);
        let mark = Mark::new(self.running.stored_key(), &making.stored_keys(), now);
        let (keys, bytes) = mark.size();
        transaction.add(mark, keys, bytes)?;
        match transaction.commit() {
            Ok(_) => {
                making.done(now);
                Ok(Once::Done)
            }
            Err(error) if error.kind() == ErrorKind::Conflict && self.is_done()? => {
                Ok(Once::Before)
            }
            Err(error) => {
                drop(making);
                if error.kind() == ErrorKind::Uncertain {
                    // What is stored is known when it is read again.
                    self.running.unload();
                }
                Err(error)
            }
        }
    }
}

fn checked_tree(name: &str) -> Result<Arc<str>> {
    let valid = tree_name(name).and_then(|name| tree_name(&format!("{OWN_NAMES}once:{name}")));
    valid.map_err(|error| {
        let message = format!("{name:?} is no name for a window of keys");
        Error::new(ErrorKind::Invalid, message).because(error)
    })
}

/// How many keys are kept of a subscription, unless told otherwise: more events than pass one that
/// is tried again in all but the busiest queues, in a megabyte.
const MOST_KEYS: usize = 10_000;

impl fmt::Debug for KeyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyWindow")
            .field("tree", &self.keys.tree())
            .field("most", &self.most)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}
