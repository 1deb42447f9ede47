//! Asynchronous subscribers: an event at a time, in futures that a spawner of the user's runs.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::Broker;
use super::late::Late;
use super::stream::all_of;
use super::transient::SubscriptionGuard;
use crate::delivery::{Entry, Failure, Parcel, Pass, Refused};
use crate::error::Result;
use crate::model::Subscription;
use crate::publish::{Body, Collector, Hand, Inbox, InboxTarget, Reception, typed};
use crate::sync::Mutex;
use crate::value::{
    AsyncSubscriber, EventInterface, HandlerFuture, SubscriberError, ValueKey, drop_quietly,
    panic_message,
};

/// What a [`Spawner`] is given to run.
pub type SpawnedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs futures: an async runtime, as far as this crate needs one.
///
/// A closure is one, such as `move |future| drop(handle.spawn(future))` for a handle of tokio.
/// Where a runtime cancels the task whose handle is dropped, it is detached instead.
pub trait Spawner: Send + Sync + 'static {
    /// Has the future run to its end, on any thread.
    ///
    /// It is called by whoever fires an event for a subscriber that is at rest, and had better
    /// return soon. It need not be called inside the runtime, so that `tokio::spawn` itself will
    /// not do.
    fn spawn(&self, future: SpawnedFuture);
}

impl<F: Fn(SpawnedFuture) + Send + Sync + 'static> Spawner for F {
    fn spawn(&self, future: SpawnedFuture) {
        self(future);
    }
}

/// Makes the future that receives an event, if it is not ignored.
type Receive = Box<dyn FnMut(&Arc<dyn Parcel>) -> Received + Send>;

type Received = std::result::Result<Option<HandlerFuture>, SubscriberError>;

/// Has futures spawned that take what waits, one at a time.
struct Courier {
    inbox: Weak<Inbox>,
    spawner: Box<dyn Spawner>,
    state: Mutex<State>,
}

enum State {
    /// Whoever comes next takes it.
    Resting(Receive),
    /// The breaker is open: whoever goes on takes it, and the key that is in no hand meanwhile.
    Paused(Receive, Option<ValueKey>),
    /// A future is at it; more may have come since it looked.
    Running { again: bool },
}

/// What one future does.
struct Round {
    courier: Arc<Courier>,
    inbox: Arc<Inbox>,
    /// Gone when it is over.
    receive: Option<Receive>,
    /// The key with which it goes on.
    key: Option<ValueKey>,
    /// How many events were missed since the last one.
    missed: u64,
}

/// How many events a future receives without letting others have the thread.
const BATCH: usize = 16;

impl Broker {
    /// Subscribes closures that return futures, such as a `StockEventsAsyncHandlers`, to all events
    /// of the interface `I`, from any class, until the guard is dropped. Nothing is stored.
    ///
    /// Events wait in a [lane](crate::Detached) of their own, from which one future takes one after
    /// another: the next event is received when the future of the one before is through. Whenever
    /// the first of some waits, `spawner` is given such a future; the crate itself knows no
    /// runtime. Inside of it, and of what it awaits, [`EventContext`](crate::EventContext) is that
    /// of the event. What it returns as an error, or a panic, is for the broker's [failure
    /// hook](crate::BrokerBuilder::on_failure).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancellation
    ///
    /// A future that the spawner drops before its end, as a runtime does that is shut down, ends
    /// the subscription: the event that it was at is a failure of kind [`Failure::Cancelled`], and
    /// is not received again; those that wait, and all later ones, are of kind [`Failure::Closed`].
    /// To drop the guard cancels nothing: an event that is being received is received to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use loosely::{Broker, SpawnedFuture, event_interface};
    ///
    /// #[event_interface]
    /// trait StockEvents {
    ///     fn price_changed(&self, symbol: &str, price: f64);
    /// }
    ///
    /// let broker = Broker::in_memory()?;
    /// // A thread for each is a poor runtime, but one; `pollster` and others are better.
    /// # fn block_on(mut future: SpawnedFuture) {
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     while future.as_mut().poll(&mut context).is_pending() {}
    /// # }
    /// let spawner = |future: SpawnedFuture| drop(std::thread::spawn(move || block_on(future)));
    /// let handlers = StockEventsAsyncHandlers::new()
    ///     .on_price_changed(async |change| println!("{} is at {}", change.symbol, change.price));
    /// let _guard = broker.subscribe_async::<dyn StockEvents>(spawner, handlers)?;
    /// let report = broker.publisher::<dyn StockEvents>()?.price_changed("MSFT", 185.5);
    /// assert_eq!(report.accepted(), 1);
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn subscribe_async<I: EventInterface + ?Sized>(
        &self,
        spawner: impl Spawner,
        subscriber: impl AsyncSubscriber<I>,
    ) -> Result<SubscriptionGuard> {
        let record = all_of::<I>("an asynchronous subscriber")?;
        self.subscribe_async_with::<I>(&record, spawner, subscriber)
    }

    /// Subscribes closures that return futures as the record says, whose target is `object`: its
    /// [delivery](crate::SubscriptionBuilder::delivery) says how many events may wait, and what
    /// becomes of more. While its [breaker](crate::SubscriptionBuilder::breaker) is open, events
    /// wait.
    ///
    /// With a [deadline](crate::SubscriptionBuilder::deadline), the closure's future is dropped at
    /// the next of its awaits when the time is over, which is a failure of kind
    /// [`Failure::Deadline`], and the next event is received. It counts from when the closure is
    /// called. A future that does not await cannot be stopped.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with`](Self::subscribe_with).
    ///
    /// # Cancellation
    ///
    /// As [`subscribe_async`](Self::subscribe_async).
    pub fn subscribe_async_with<I: EventInterface + ?Sized>(
        &self,
        record: &Subscription,
        spawner: impl Spawner,
        mut subscriber: impl AsyncSubscriber<I>,
    ) -> Result<SubscriptionGuard> {
        self.claim::<I>()?;
        let receive = move |parcel: &Arc<dyn Parcel>| {
            let event = match typed::<I>(parcel)? {
                Body::Shared(shared) => shared.event().clone(),
                Body::Own(event) => event,
            };
            Ok(subscriber.event(event))
        };
        let courier = |inbox: &Weak<Inbox>| {
            Arc::new(Courier {
                inbox: Weak::clone(inbox),
                spawner: Box::new(spawner),
                state: Mutex::new(State::Resting(Box::new(receive))),
            })
        };
        let inbox = Inbox::new(record, &self.core.around, courier);
        self.add_live(
            record,
            InboxTarget::new(inbox, Some(I::schema().id())),
            None,
        )
    }
}

impl Collector for Courier {
    fn ready(&self) -> bool {
        let Some(inbox) = self.inbox.upgrade() else {
            return false;
        };
        let Some(courier) = inbox.collector::<Self>() else {
            return false;
        };
        let mut state = self.state.lock();
        let running = State::Running { again: true };
        match std::mem::replace(&mut *state, running) {
            State::Running { .. } => return true,
            // Whoever goes on takes this too.
            paused @ State::Paused(..) => *state = paused,
            State::Resting(receive) => {
                *state = State::Running { again: false };
                drop(state);
                courier.spawn(inbox, receive, None);
            }
        }
        true
    }

    /// What waits for the breaker waits in vain when the broker is closed.
    fn ended(&self) {
        let is_paused = matches!(*self.state.lock(), State::Paused(..));
        if let (true, Some(inbox)) = (is_paused, self.inbox.upgrade())
            && !inbox.is_gone()
        {
            inbox.give_up();
        }
    }
}

impl Courier {
    /// Has a future spawned that takes what waits, after what was taken of the key.
    fn spawn(self: Arc<Self>, inbox: Arc<Inbox>, receive: Receive, key: Option<ValueKey>) {
        let round = Round {
            courier: Arc::clone(&self),
            inbox,
            receive: Some(receive),
            key,
            missed: 0,
        };
        let spawn = AssertUnwindSafe(|| self.spawner.spawn(Box::pin(round.run())));
        if let Err(panic) = catch_unwind(spawn) {
            // What it was given is dropped, which ends the subscription.
            drop(panic_message(panic));
        }
    }

    /// Waits until the breaker lets an event pass.
    fn pause(&self, inbox: &Arc<Inbox>, refused: Refused, paused: State) {
        *self.state.lock() = paused;
        let weak = Arc::downgrade(inbox);
        let resume = move || {
            if let Some(inbox) = weak.upgrade()
                && let Some(courier) = inbox.collector::<Self>()
            {
                courier.resume(inbox);
            }
        };
        inbox.when_admitted(refused, Box::new(resume));
        // Behind the state, which whoever closes the broker reads.
        if inbox.is_ended() {
            self.ended();
        }
    }

    /// Goes on with what waits for the breaker.
    fn resume(self: Arc<Self>, inbox: Arc<Inbox>) {
        let mut state = self.state.lock();
        let running = State::Running { again: false };
        match std::mem::replace(&mut *state, running) {
            State::Paused(receive, key) => {
                drop(state);
                self.spawn(inbox, receive, key);
            }
            other => *state = other,
        }
    }
}

impl Round {
    /// Receives what waits, to the last, or until the breaker is open.
    async fn run(mut self) {
        // One at a time: what a future has in hand that is dropped is gone.
        let mut hand = Hand::going_on(Arc::clone(&self.inbox), 1, self.key.take());
        let mut received = 0;
        loop {
            match hand.next() {
                Some(Entry::Gap(count)) => self.missed += count,
                Some(Entry::Item(parcel)) => {
                    match self.inbox.admit(&*parcel) {
                        Ok(pass) => self.receive(parcel, pass).await,
                        Err(refused) => return self.pause(hand, parcel, refused),
                    }
                    received += 1;
                    if received % BATCH == 0 {
                        give_way().await;
                    }
                }
                None => {
                    self.inbox.owe(std::mem::take(&mut self.missed));
                    if self.rest() {
                        return;
                    }
                }
            }
        }
    }

    async fn receive(&mut self, parcel: Arc<dyn Parcel>, pass: Option<Pass>) {
        let missed = std::mem::take(&mut self.missed);
        let mut reception = Reception::begin(&self.inbox, parcel, missed).with_pass(pass);
        let late = Late::over(&mut reception, &self.inbox);
        let (mut future, parcel) = (None, Arc::clone(reception.parcel()));
        let make = || {
            if let Some(receive) = &mut self.receive {
                future = receive(&parcel)?;
            }
            Ok(())
        };
        let mut outcome = reception.run(make);
        if let (Ok(()), Some(future)) = (&outcome, &mut future) {
            let poll = |context: &mut Context<'_>| {
                let late = late.as_ref();
                match late.and_then(|late| late.failure(context.waker())) {
                    Some(failure) => Poll::Ready(Err(failure)),
                    None => poll(&mut reception, future, context),
                }
            };
            outcome = poll_fn(poll).await;
        }
        // The futures and the arguments are the user's.
        drop_quietly(future);
        reception.end(outcome);
        drop_quietly(parcel);
    }

    /// Puts an event back that the breaker does not let pass, and has another future go on when it
    /// does.
    fn pause(mut self, hand: Hand, parcel: Arc<dyn Parcel>, refused: Refused) {
        let key = hand.let_go(parcel, std::mem::take(&mut self.missed));
        if let Some(receive) = self.receive.take() {
            let paused = State::Paused(receive, key);
            self.courier.pause(&self.inbox, refused, paused);
        }
    }

    /// Returns whether nothing more has come; then the next event has another future spawned.
    fn rest(&mut self) -> bool {
        let mut state = self.courier.state.lock();
        if let State::Running { again: true } = *state {
            *state = State::Running { again: false };
            return false;
        }
        if let Some(receive) = self.receive.take() {
            *state = State::Resting(receive);
        }
        true
    }
}

impl Drop for Round {
    /// Before its end nobody is left who would come for what waits.
    fn drop(&mut self) {
        if let Some(receive) = self.receive.take() {
            self.inbox.abandon();
            drop_quietly(receive);
        }
    }
}

/// Goes on with a future inside of the delivery of its event.
fn poll(
    reception: &mut Reception,
    future: &mut HandlerFuture,
    context: &mut Context<'_>,
) -> Poll<std::result::Result<(), Failure>> {
    let mut is_ready = false;
    let polled = reception.run(|| match future.as_mut().poll(context) {
        Poll::Ready(result) => {
            is_ready = true;
            result
        }
        Poll::Pending => Ok(()),
    });
    match polled {
        Ok(()) if !is_ready => Poll::Pending,
        outcome => Poll::Ready(outcome),
    }
}

/// Lets other futures have the thread once.
async fn give_way() {
    let mut is_later = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_later, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
