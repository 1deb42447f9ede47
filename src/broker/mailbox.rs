//! Mailboxes: subscribers that are called on the thread that dispatches events to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak as RcWeak};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Broker;
use super::core::Core;
use super::pile::{Flag, Pile, SlotId};
use super::stream::{all_of, refuse_limits};
use super::transient::SubscriptionGuard;
use crate::delivery::{Entry, Parcel};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Principal, Subscription, SubscriptionId};
use crate::publish::{Body, DynamicEvent, Hand, Inbox, InboxTarget, Reception, dynamic, typed};
use crate::value::{
    EventInterface, InterfaceId, IntoOutcome, LocalSubscriber, SubscriberError, drop_quietly,
};

/// Subscribers of one thread: they need not be `Send`, and are called when that thread
/// [dispatches](Self::dispatch) what waits for them.
///
/// For the thread of a GUI or an event loop, which is told by [`on_ready`](Self::on_ready) that
/// there is something to dispatch. A clone is the same mailbox; with the last one its subscriptions
/// are gone. It does not keep the broker open.
///
/// Each subscription has a [lane](crate::Detached) of its own, by default of 1,024 events: those of
/// one subscription come in the order in which they were accepted, and subscriptions take turns. A
/// publisher on another thread waits where a lane is full, unless its
/// [`Overflow`](crate::Overflow) says otherwise; one on the mailbox's own thread does not, as
/// nobody else would make room: its event is a failure.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// use loosely::{Broker, Mailbox, event_interface};
///
/// #[event_interface]
/// trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
///
/// let broker = Broker::in_memory()?;
/// let mailbox = Mailbox::new(&broker);
/// let (label, last) = (Rc::new(Cell::new(0.0)), Rc::new(Cell::new(0.0)));
/// let shown = Rc::clone(&label);
/// let handlers = StockEventsLocalHandlers::new().on_price_changed(move |_, price| {
///     last.set(price); // what is no other thread's business
///     shown.set(price);
/// });
/// let _guard = mailbox.subscribe::<dyn StockEvents>(handlers)?;
///
/// let stocks = broker.publisher::<dyn StockEvents>()?;
/// assert_eq!(stocks.price_changed("MSFT", 185.5).accepted(), 1);
/// assert_eq!((label.get(), mailbox.waiting()), (0.0, 1));
/// assert_eq!((mailbox.dispatch(), label.get()), (1, 185.5));
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Clone)]
pub struct Mailbox(Rc<Inner>);

struct Inner {
    core: Weak<Core>,
    principal: Option<Principal>,
    pile: Arc<Pile>,
    slots: RefCell<BTreeMap<SlotId, Slot>>,
}

/// A subscription of a mailbox.
struct Slot {
    /// First, so that nothing comes any more when the rest goes.
    _guard: SubscriptionGuard,
    inbox: Arc<Inbox>,
    /// Not there while it is being called.
    reader: Option<Reader>,
}

/// Who receives what waits for a subscription.
struct Reader {
    hand: Hand,
    receive: Receive,
    /// How many events were missed since the last one.
    missed: u64,
}

type Receive = Box<dyn FnMut(&Arc<dyn Parcel>) -> std::result::Result<(), SubscriberError>>;

/// Holds a subscription of a [`Mailbox`]; dropping it unsubscribes, drops the subscriber, and gives
/// up what waits for it.
#[must_use = "dropping the subscription unsubscribes"]
pub struct MailboxSubscription {
    id: SubscriptionId,
    slot: SlotId,
    mailbox: RcWeak<Inner>,
}

impl Mailbox {
    /// Returns a mailbox of this thread without subscribers, on the broker's behalf of whom this
    /// handle of it is.
    pub fn new(broker: &Broker) -> Self {
        Self(Rc::new(Inner {
            core: Arc::downgrade(&broker.core),
            principal: broker.principal.clone(),
            pile: Arc::default(),
            slots: RefCell::default(),
        }))
    }

    /// Subscribes closures of this thread to all events of the interface `I`, from any class: a
    /// `StockEventsLocalHandlers`, or a closure that takes a `&StockEventsEvent`. Nothing is
    /// stored.
    ///
    /// What they return as an error, or a panic, is for the broker's
    /// [failure hook](crate::BrokerBuilder::on_failure).
    ///
    /// # Errors
    ///
    /// As [`Broker::subscribe`]; [`Closed`](ErrorKind::Closed) if the broker is gone, too.
    pub fn subscribe<I: EventInterface + ?Sized>(
        &self,
        subscriber: impl LocalSubscriber<I> + 'static,
    ) -> Result<MailboxSubscription> {
        self.subscribe_with::<I>(&all_of::<I>("a subscriber in a mailbox")?, subscriber)
    }

    /// Subscribes closures of this thread as the record says, whose target is `object`: its
    /// [delivery](crate::SubscriptionBuilder::delivery) says how many events may wait, and what
    /// becomes of more.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the record has a deadline or a breaker: the subscriber is
    /// called on the thread that dispatches, and when that does. [`Closed`](ErrorKind::Closed) if
    /// the broker is gone; else as [`Broker::subscribe_with`].
    pub fn subscribe_with<I: EventInterface + ?Sized>(
        &self,
        record: &Subscription,
        mut subscriber: impl LocalSubscriber<I> + 'static,
    ) -> Result<MailboxSubscription> {
        let broker = self.broker()?;
        broker.claim::<I>()?;
        let receive = move |parcel: &Arc<dyn Parcel>| match &typed::<I>(parcel)? {
            Body::Shared(shared) => subscriber.event(shared.event()),
            Body::Own(event) => subscriber.event(event),
        };
        self.add(&broker, record, Some(I::schema().id()), Box::new(receive))
    }

    /// Subscribes a closure of this thread to events of any interface, by names and values, as the
    /// record says.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with`](Self::subscribe_with); any interface fits.
    pub fn subscribe_dynamic<R: IntoOutcome>(
        &self,
        record: &Subscription,
        mut subscriber: impl FnMut(&DynamicEvent) -> R + 'static,
    ) -> Result<MailboxSubscription> {
        let receive = move |parcel: &Arc<dyn Parcel>| match &dynamic(parcel)? {
            Body::Shared(shared) => subscriber(shared.event()).into_outcome(),
            Body::Own(event) => subscriber(event).into_outcome(),
        };
        self.add(&self.broker()?, record, None, Box::new(receive))
    }

    /// Calls `hook` whenever something waits where nothing did, and now if something does: to wake
    /// the loop that is to dispatch it. It is called on the publisher's thread, with no lock held
    /// and inside of the fire; a panic of it is ignored. It takes the place of the one before.
    pub fn on_ready(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.0.pile.set_hook(Arc::new(hook));
    }

    /// Calls the subscribers for the events that wait, those not that come meanwhile, and returns
    /// how many it were. Of those that come meanwhile the hook is told.
    ///
    /// It may be called from inside of a delivery, too, and of a subscriber of the mailbox itself,
    /// which then gets nothing before it has returned.
    pub fn dispatch(&self) -> usize {
        self.0.dispatch(self.waiting())
    }

    /// Calls a subscriber for one event that waits, and returns whether one did. Of those that are
    /// left the hook is told.
    pub fn dispatch_one(&self) -> bool {
        self.0.dispatch(1) == 1
    }

    /// Waits up to `timeout` until something waits, and then [dispatches](Self::dispatch) it. It
    /// does not wait where nothing can come, as the broker was closed.
    pub fn dispatch_timeout(&self, timeout: Duration) -> usize {
        let until = Instant::now().checked_add(timeout);
        loop {
            let came = self.0.pile.wait(until, || self.0.is_ended());
            // One at least: what is left of a subscription that is gone is nothing to wait beside.
            let count = self.0.dispatch(self.waiting().max(1));
            if count > 0 || !came {
                return count;
            }
        }
    }

    /// Returns how many events wait.
    pub fn waiting(&self) -> usize {
        let slots = self.0.slots.borrow();
        slots.values().map(Slot::waiting).sum()
    }

    fn broker(&self) -> Result<Broker> {
        let core = self.0.core.upgrade();
        Ok(Broker {
            core: core.ok_or_else(|| Error::new(ErrorKind::Closed, "the broker is gone"))?,
            principal: self.0.principal.clone(),
        })
    }

    fn add(
        &self,
        broker: &Broker,
        record: &Subscription,
        interface: Option<InterfaceId>,
        receive: Receive,
    ) -> Result<MailboxSubscription> {
        refuse_limits(record, "is called where its mailbox is dispatched")?;
        let id = self.0.pile.next_id();
        let flag = |_: &_| Arc::new(Flag::new(id, &self.0.pile));
        let inbox = Inbox::new(record, &broker.core.around, flag);
        let reader = Reader {
            // One at a time, as subscriptions take turns.
            hand: Hand::new(Arc::clone(&inbox), 1),
            receive,
            missed: 0,
        };
        let target = InboxTarget::new(Arc::clone(&inbox), interface);
        let slot = Slot {
            _guard: broker.add_live(record, target, None)?,
            inbox,
            reader: Some(reader),
        };
        self.0.slots.borrow_mut().insert(id, slot);
        Ok(MailboxSubscription {
            id: record.id(),
            slot: id,
            mailbox: Rc::downgrade(&self.0),
        })
    }
}

impl Slot {
    fn waiting(&self) -> usize {
        let reader = self.reader.as_ref();
        reader.map_or(self.inbox.len(), |reader| reader.hand.len())
    }
}

impl Reader {
    /// Returns the next event, and counts those that are missing before it.
    fn next(&mut self) -> Option<Arc<dyn Parcel>> {
        loop {
            match self.hand.next()? {
                Entry::Gap(count) => self.missed += count,
                Entry::Item(parcel) => return Some(parcel),
            }
        }
    }

    /// Returns whether nothing is left; then the pile hears of the next event.
    fn is_through(&mut self) -> bool {
        if self.hand.len() > 0 {
            return false;
        }
        match self.next() {
            Some(parcel) => {
                // It has come just now.
                self.hand.put_back(parcel);
                false
            }
            None => true,
        }
    }
}

impl Inner {
    /// Calls subscribers for up to `max` events, and returns for how many it did.
    fn dispatch(&self, max: usize) -> usize {
        self.pile.begin();
        let mut count = 0;
        while count < max
            && let Some(id) = self.pile.pop()
        {
            // Otherwise it is gone since, or being called around this.
            if let Some((inbox, reader)) = self.take(id)
                && self.read(id, &inbox, reader)
            {
                count += 1;
            }
        }
        self.pile.remind();
        count
    }

    /// Takes the reader of a slot, to be called with no borrow held.
    fn take(&self, id: SlotId) -> Option<(Arc<Inbox>, Reader)> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(&id)?;
        Some((Arc::clone(&slot.inbox), slot.reader.take()?))
    }

    /// Has a reader receive what waits first, and returns whether anything did.
    fn read(&self, id: SlotId, inbox: &Arc<Inbox>, mut reader: Reader) -> bool {
        let Some(parcel) = reader.next() else {
            self.put_back(id, reader);
            return false;
        };
        let missed = std::mem::take(&mut reader.missed);
        let mut reception = Reception::begin(inbox, Arc::clone(&parcel), missed);
        let outcome = reception.run(|| (reader.receive)(&parcel));
        reception.end(outcome);
        drop_quietly(parcel);
        let is_through = reader.is_through();
        if self.put_back(id, reader) && !is_through {
            self.pile.again(id);
        }
        true
    }

    /// Puts a reader back into its slot, unless the subscription was dropped meanwhile, and returns
    /// whether it is there.
    fn put_back(&self, id: SlotId, reader: Reader) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(&id) else {
            drop(slots);
            drop_quietly(reader);
            return false;
        };
        slot.reader = Some(reader);
        true
    }

    /// Returns whether there are subscriptions, and none of them gets anything any more.
    fn is_ended(&self) -> bool {
        let slots = self.slots.borrow();
        !slots.is_empty() && slots.values().all(|slot| slot.inbox.is_ended())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pile.close();
        // The subscribers are the user's.
        drop_quietly(std::mem::take(self.slots.get_mut()));
    }
}

impl MailboxSubscription {
    /// Returns the subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Unsubscribes, as dropping it does.
    pub fn close(self) {}

    /// Lets the subscription live without this, as long as its mailbox.
    pub fn detach(mut self) {
        self.mailbox = RcWeak::new();
    }
}

impl Drop for MailboxSubscription {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            let slot = mailbox.slots.borrow_mut().remove(&self.slot);
            drop_quietly(slot);
            // Behind the end of the subscription: nothing of it comes any more.
            mailbox.pile.forget(self.slot);
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("subscriptions", &self.0.slots.borrow().len())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MailboxSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxSubscription")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
