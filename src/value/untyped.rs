//! Untyped subscribers in the place of typed ones.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use super::{Event, InterfaceSchema, Subscriber, SubscriberError, ValueRef};
use crate::error::{Error, ErrorKind};

/// An untyped subscriber in the shape of an event interface: the macro implements every trait for
/// it.
///
/// Its methods cannot return the subscriber's error, since their return types are the trait's. They
/// unwind with [`SubscriberFailed`] instead; whoever calls a method through [`call`] and catches
/// panics around it has the error back.
pub struct Untyped(pub Arc<dyn Subscriber>);

/// The payload with which a method of [`Untyped`] unwinds when the subscriber failed.
///
/// The panic hook is not called: nothing panicked.
pub struct SubscriberFailed(pub SubscriberError);

impl Untyped {
    /// Calls the subscriber with the event at index `method` of the schema.
    pub fn deliver(&self, schema: &InterfaceSchema, method: usize, values: &[ValueRef<'_>]) {
        let outcome = match Event::new(schema, method, values) {
            Some(event) => self.0.event(&event),
            None => Err(no_such_method(schema, method)),
        };
        outcome.unwrap_or_else(raise);
    }
}

/// Fails with an error in a method that cannot return it.
pub(crate) fn raise(error: SubscriberError) {
    if cfg!(panic = "abort") {
        // Unwinding would end the process, and it is not the subscriber's error that may.
        return UNRAISED.set(Some(error));
    }
    resume_unwind(Box::new(SubscriberFailed(error)))
}

impl SubscriberFailed {
    /// Returns the subscriber's error out of a panic's payload, or the payload of a real panic.
    ///
    /// # Errors
    ///
    /// The payload, when it is another.
    pub fn from_payload(
        payload: Box<dyn Any + Send>,
    ) -> Result<SubscriberError, Box<dyn Any + Send>> {
        payload.downcast().map(|failed: Box<Self>| failed.0)
    }
}

/// Calls a method of a subscriber that may be [`Untyped`], and returns what it failed with where it
/// could not unwind; where panics unwind this is nothing but the call.
///
/// # Errors
///
/// The subscriber's.
#[inline]
pub fn call(call: impl FnOnce() -> Result<(), SubscriberError>) -> Result<(), SubscriberError> {
    if cfg!(panic = "unwind") {
        return call();
    }
    // What a call that nobody watched left behind is not this call's.
    drop(UNRAISED.take());
    call()?;
    UNRAISED.take().map_or(Ok(()), Err)
}

crate::sync::thread_local! {
    /// The error of the untyped subscriber that returned last, where panics do not unwind.
    static UNRAISED: RefCell<Option<SubscriberError>> = const { RefCell::new(None) };
}

impl fmt::Debug for Untyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Untyped").finish_non_exhaustive()
    }
}

impl fmt::Debug for SubscriberFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubscriberFailed").field(&self.0).finish()
    }
}

/// Returns the error of a call of a method that the interface does not have.
pub fn no_such_method(schema: &InterfaceSchema, method: usize) -> SubscriberError {
    let name = schema.name();
    let message = format!("the interface `{name}` has no method at index {method}");
    Error::new(ErrorKind::NotFound, message).into()
}
