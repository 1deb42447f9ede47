//! Subscribers that are not called again for an event.

use std::convert::Infallible;
use std::ops::Deref;

use super::KeyWindow;
use crate::value::{Event, Subscriber, SubscriberError, untyped};

/// A subscriber that is not called for an event which it has handled before, as far as its
/// [`KeyWindow`] goes back: for subscribers whose work is outside of the broker's store.
///
/// It implements every event interface that the subscriber does, and [`Subscriber`] if that is one,
/// so it is registered in its place; it derefs to it. The event's key is noted when the subscriber
/// has returned without an error, so a crash in between has it called again:
/// [`KeyWindow`] has what that means, and [`KeyWindow::once`] for work in the store, which is
/// effectively done once. An event that it has handled before counts as delivered.
///
/// # Examples
///
/// ```
/// use loosely::{
///     Activation, Component, Deduplicated, KeyWindow, SubscriberError, event_interface,
/// };
///
/// #[event_interface]
/// trait Orders {
///     fn placed(&self, number: u64);
/// }
///
/// /// Sends mails, which nobody wants twice.
/// struct Mailer;
///
/// impl Orders for Mailer {
///     fn placed(&self, number: u64) {
///         println!("order {number} was placed");
///     }
/// }
///
/// fn mailer(activation: &Activation<'_>) -> Result<Deduplicated<Mailer>, SubscriberError> {
///     let broker = activation.broker().ok_or("the broker is being closed")?;
///     Ok(Deduplicated::new(KeyWindow::new(&broker, "mailer")?, Mailer))
/// }
///
/// let mailer = Component::activated("mailer", mailer).implements::<dyn Orders>();
/// # let _ = mailer;
/// ```
#[derive(Debug, Clone)]
pub struct Deduplicated<T> {
    window: KeyWindow,
    subscriber: T,
}

impl<T> Deduplicated<T> {
    /// Returns a subscriber that goes by this window, which no other one should.
    pub fn new(window: KeyWindow, subscriber: T) -> Self {
        Self { window, subscriber }
    }
}

impl<T> Deref for Deduplicated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.subscriber
    }
}

impl<T: Subscriber> Subscriber for Deduplicated<T> {
    fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError> {
        let work = || self.subscriber.event(event);
        self.window.nearly_once(work).map(drop)
    }
}

/// Calls a method that returns nothing; generated code does.
pub fn deduplicated<T>(subscriber: &Deduplicated<T>, call: impl FnOnce(&T)) {
    let work = || {
        call(&subscriber.subscriber);
        Ok::<_, Infallible>(())
    };
    if let Err(error) = subscriber.window.around(work) {
        untyped::raise(error.into());
    }
}

/// Calls a method that may fail; generated code does.
///
/// # Errors
///
/// The subscriber's.
pub fn deduplicated_fallible<T, E>(
    subscriber: &Deduplicated<T>,
    call: impl FnOnce(&T) -> Result<(), E>,
) -> Result<(), E> {
    match subscriber.window.around(|| call(&subscriber.subscriber)) {
        Ok(outcome) => outcome.map(drop),
        Err(error) => {
            untyped::raise(error.into());
            Ok(())
        }
    }
}
