//! Streams: subscribers that ask for the next event when they are ready for it.

use std::fmt;
#[cfg(feature = "futures")]
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "futures")]
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Broker;
use super::transient::SubscriptionGuard;
use crate::delivery::{Entry, Failure, Parcel};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Subscription, SubscriptionId};
use crate::publish::{
    Body, Collector, DynamicEvent, Hand, Inbox, InboxTarget, Reception, Streamed, StreamedEvent,
    dynamic, typed,
};
use crate::sync::{Condvar, Mutex};
use crate::value::{EventInterface, InterfaceId, SubscriberError};

/// The events of a subscription, to be taken one by one: an iterator that waits for the next one,
/// and with the feature `futures` a `futures_core::Stream`. Dropping it unsubscribes.
///
/// Made by [`Broker::stream`], of events such as `StockEventsEvent`, or by
/// [`Broker::stream_dynamic`], of [`DynamicEvent`]s. It ends when the broker is closed, and still
/// yields what waits then. Nobody else can end it: [`Broker::remove`] and its like leave live
/// subscriptions alone.
///
/// What has to be asked of an event, such as the filter, was asked when it was fired. Events wait
/// in the stream's own [lane](crate::Detached): by default 1,024, and then publishers wait for
/// whoever reads. A thread that fires and reads itself therefore asks for another
/// [`Overflow`](crate::Overflow), or reads often enough.
#[must_use = "dropping the stream unsubscribes"]
pub struct EventStream<E> {
    guard: SubscriptionGuard,
    hand: Hand,
    bell: Arc<Bell>,
    open: Open<E>,
    /// How many events were missing since the last one.
    missed: u64,
}

/// Makes the event of a parcel.
type Open<E> = fn(&Arc<dyn Parcel>) -> std::result::Result<Body<E>, SubscriberError>;

/// Wakes whoever waits for the next event.
#[derive(Default)]
struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Default)]
struct BellState {
    /// Whether it was rung since somebody looked.
    rung: bool,
    #[cfg(feature = "futures")]
    waker: Option<Waker>,
}

/// How many events are taken at once: enough to make little of the lane's lock, and few enough that
/// what is in hand is soon read.
const BATCH: usize = 64;

impl Broker {
    /// Returns a stream of all events of the interface `I`, from any class. Nothing is stored.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Examples
    ///
    /// ```
    /// use loosely::{Broker, Streamed, event_interface};
    ///
    /// #[event_interface]
    /// trait StockEvents {
    ///     fn price_changed(&self, symbol: &str, price: f64);
    /// }
    ///
    /// let broker = Broker::in_memory()?;
    /// let mut stream = broker.stream::<dyn StockEvents>()?;
    /// broker.publisher::<dyn StockEvents>()?.price_changed("MSFT", 185.5);
    /// let Some(Streamed::Event(event)) = stream.next() else {
    ///     unreachable!("one event was fired, and the broker is open");
    /// };
    /// match &*event {
    ///     StockEventsEvent::PriceChanged(change) => assert_eq!(change.symbol, "MSFT"),
    /// }
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn stream<I: EventInterface + ?Sized>(&self) -> Result<EventStream<I::Event>> {
        self.stream_with::<I>(&all_of::<I>("a stream")?)
    }

    /// Returns a stream of the events that the record asks for, whose target is `object`. Its
    /// [delivery](crate::SubscriptionBuilder::delivery) says how many may wait, and what becomes of
    /// more: a gap is told as [`Streamed::Gap`], in its place. Nothing is stored; the record is
    /// found by queries like any other.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the record has a deadline or a breaker: a stream makes no
    /// call that could overrun or fail. Else as [`subscribe_with`](Self::subscribe_with).
    pub fn stream_with<I: EventInterface + ?Sized>(
        &self,
        record: &Subscription,
    ) -> Result<EventStream<I::Event>> {
        self.claim::<I>()?;
        self.add_stream(record, Some(I::schema().id()), typed::<I>)
    }

    /// Returns a stream of the events that the record asks for, by names and values: of any
    /// interface, none of which need be known as a Rust type.
    ///
    /// # Errors
    ///
    /// As [`stream_with`](Self::stream_with); any interface fits.
    pub fn stream_dynamic(&self, record: &Subscription) -> Result<EventStream<DynamicEvent>> {
        self.add_stream(record, None, dynamic)
    }

    fn add_stream<E>(
        &self,
        record: &Subscription,
        interface: Option<InterfaceId>,
        open: Open<E>,
    ) -> Result<EventStream<E>> {
        refuse_limits(record, "is read as a stream, which makes no call")?;
        let bell = Arc::new(Bell::default());
        let inbox = Inbox::new(record, &self.core.around, |_| Arc::clone(&bell));
        let target = InboxTarget::new(Arc::clone(&inbox), interface);
        Ok(EventStream {
            guard: self.add_live(record, target, None)?,
            hand: Hand::new(inbox, BATCH),
            bell,
            open,
            missed: 0,
        })
    }
}

/// Returns the record of a subscription to all events of an interface.
pub(super) fn all_of<I: EventInterface + ?Sized>(what: &str) -> Result<Subscription> {
    Subscription::builder(format!("{what} of {}", I::schema().name()))
        .to::<I>()
        .object()
        .id(SubscriptionId::random())
        .build()
}

/// Refuses a deadline and a breaker, for `why`, which would mean nothing.
pub(super) fn refuse_limits(record: &Subscription, why: &str) -> Result<()> {
    let what = match (record.deadline(), record.breaker()) {
        (Some(deadline), _) => format!("a deadline of {deadline:?}"),
        (None, Some(breaker)) => format!("a breaker after {} failures", breaker.failures()),
        (None, None) => return Ok(()),
    };
    let message = format!("the subscription {:?} has {what}, and {why}", record.name());
    Err(Error::new(ErrorKind::Invalid, message))
}

impl<E> EventStream<E> {
    /// Returns the subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.guard.id()
    }

    /// Returns the next event or gap that waits, or `None` if nothing does by now.
    pub fn try_next(&mut self) -> Option<Streamed<E>> {
        loop {
            match self.hand.next()? {
                Entry::Gap(count) => {
                    self.missed += count;
                    return Some(Streamed::Gap(count));
                }
                Entry::Item(parcel) => {
                    let missed = std::mem::take(&mut self.missed);
                    if let Some(event) = self.open(parcel, missed) {
                        return Some(Streamed::Event(event));
                    }
                }
            }
        }
    }

    /// Returns the next event or gap, for which it waits up to `timeout`: `None` if none came, or
    /// the stream has [ended](Self::is_ended).
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Streamed<E>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns whether nothing more comes, as the broker was closed. What waits may still be there.
    pub fn is_ended(&self) -> bool {
        self.hand.inbox().is_ended()
    }

    /// Returns how many events wait, those that gaps stand for not counted.
    pub fn waiting(&self) -> usize {
        self.hand.len()
    }

    /// Unsubscribes, as dropping the stream does.
    pub fn close(self) {}

    /// Waits until there is something or the stream has ended; without a time for as long as it
    /// takes.
    fn next_until(&mut self, until: Option<Instant>) -> Option<Streamed<E>> {
        loop {
            // Asked first: what came before the end is still to be taken.
            let ended = self.is_ended();
            if let Some(next) = self.try_next() {
                return Some(next);
            }
            if ended || !self.bell.wait(until) {
                return None;
            }
        }
    }

    /// Makes the event of a parcel, or has the failure hook hear why not.
    fn open(&self, parcel: Arc<dyn Parcel>, missed: u64) -> Option<StreamedEvent<E>> {
        let inbox = self.hand.inbox();
        match (self.open)(&parcel) {
            Ok(body) => {
                Reception::taken(inbox, &parcel, missed, Ok(()));
                let context = inbox.context(&*parcel, missed);
                Some(StreamedEvent::new(body, context, parcel))
            }
            Err(error) => {
                let outcome = Err(Failure::Subscriber(error));
                Reception::taken(inbox, &parcel, missed, outcome);
                None
            }
        }
    }
}

impl<E> Iterator for EventStream<E> {
    type Item = Streamed<E>;

    /// Returns the next event or gap, for which it waits until the stream has ended.
    fn next(&mut self) -> Option<Streamed<E>> {
        self.next_until(None)
    }
}

#[cfg(feature = "futures")]
impl<E> futures_core::Stream for EventStream<E> {
    type Item = Streamed<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Streamed<E>>> {
        let this = self.get_mut();
        loop {
            let ended = this.is_ended();
            if let Some(next) = this.try_next() {
                return Poll::Ready(Some(next));
            }
            if ended {
                return Poll::Ready(None);
            }
            if !this.bell.wake(context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<E> Drop for EventStream<E> {
    fn drop(&mut self) {
        self.hand.inbox().end();
        self.hand.clear();
    }
}

impl Bell {
    fn ring(&self) {
        let mut state = self.state.lock();
        state.rung = true;
        #[cfg(feature = "futures")]
        let waker = state.waker.take();
        drop(state);
        self.rung.notify_all();
        #[cfg(feature = "futures")]
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until it rings, and returns whether it did by `until`.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while !state.rung {
            match until {
                Some(until) => {
                    if self.rung.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
                None => self.rung.wait(&mut state),
            }
        }
        std::mem::take(&mut state.rung)
    }

    /// Returns whether it rang; if not, it wakes the waker when it does.
    #[cfg(feature = "futures")]
    fn wake(&self, waker: &Waker) -> bool {
        // Cloned, and the old one dropped, with no lock held: both are the executor's code.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if std::mem::take(&mut state.rung) {
            drop(state);
            return true;
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        false
    }
}

impl Collector for Bell {
    fn ready(&self) -> bool {
        self.ring();
        true
    }

    fn ended(&self) {
        self.ring();
    }
}

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("id", &self.id())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
