//! Subscribers that are closures, on one thread or in futures, and what they return.

use std::pin::Pin;

use super::{EventInterface, SubscriberError};

/// What a closure may return that receives events: nothing, or a `Result` of nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a handler of events returns",
    label = "a handler returns this",
    note = "return nothing, or `Result<(), E>` where `E` converts into `SubscriberError`"
)]
pub trait IntoOutcome {
    /// Returns how the event was received.
    ///
    /// # Errors
    ///
    /// What the closure returned, if that is an error.
    fn into_outcome(self) -> Result<(), SubscriberError>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<(), SubscriberError> {
        Ok(())
    }
}

impl<E: Into<SubscriberError>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), SubscriberError> {
        self.map_err(Into::into)
    }
}

/// A subscriber to the events of the interface `I` that stays on one thread, in a
/// [`Mailbox`](crate::Mailbox): it need not be `Send`, and may change while it is called.
///
/// The macro makes one of closures for each interface, such as `StockEventsLocalHandlers`; a
/// closure that takes a reference to the interface's event is one too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not receive the events of `{I}` on one thread",
    note = "hand over its `...LocalHandlers`, or a closure that takes `&...Event`"
)]
pub trait LocalSubscriber<I: EventInterface + ?Sized> {
    /// Receives one event.
    ///
    /// # Errors
    ///
    /// Whatever the subscriber wants the broker's failure hook to hear.
    fn event(&mut self, event: &I::Event) -> Result<(), SubscriberError>;
}

impl<I, F, R> LocalSubscriber<I> for F
where
    I: EventInterface + ?Sized,
    F: FnMut(&I::Event) -> R,
    R: IntoOutcome,
{
    fn event(&mut self, event: &I::Event) -> Result<(), SubscriberError> {
        self(event).into_outcome()
    }
}

/// What an asynchronous subscriber does with one event.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), SubscriberError>> + Send>>;

/// A subscriber to the events of the interface `I` that receives each in a future.
///
/// The macro makes one of closures for each interface, such as `StockEventsAsyncHandlers`; a
/// closure that takes the interface's event and returns a future is one too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not receive the events of `{I}` in futures",
    note = "hand over its `...AsyncHandlers`, or a closure that takes `...Event` and returns a \
            future that is `Send`"
)]
pub trait AsyncSubscriber<I: EventInterface + ?Sized>: Send + 'static {
    /// Returns the future that receives the event, or nothing if the event is ignored.
    fn event(&mut self, event: I::Event) -> Option<HandlerFuture>;
}

impl<I, F, T> AsyncSubscriber<I> for F
where
    I: EventInterface + ?Sized,
    F: FnMut(I::Event) -> T + Send + 'static,
    T: Future<Output: IntoOutcome> + Send + 'static,
{
    fn event(&mut self, event: I::Event) -> Option<HandlerFuture> {
        Some(outcome_of(self(event)))
    }
}

/// A closure of generated code that makes a future of arguments.
#[doc(hidden)]
pub type AsyncHandler<A> = Box<dyn FnMut(A) -> HandlerFuture + Send>;

/// Returns the closure as generated code keeps it.
#[doc(hidden)]
pub fn async_handler<A, T>(mut handler: impl FnMut(A) -> T + Send + 'static) -> AsyncHandler<A>
where
    T: Future<Output: IntoOutcome> + Send + 'static,
{
    Box::new(move |arguments| outcome_of(handler(arguments)))
}

fn outcome_of<T>(future: T) -> HandlerFuture
where
    T: Future<Output: IntoOutcome> + Send + 'static,
{
    Box::pin(async { future.await.into_outcome() })
}
