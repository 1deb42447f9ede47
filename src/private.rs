//! What generated code needs; not part of the public interface.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

pub use crate::value::event_value::{ReferencedValue, argument_from, field_from, record_type};
use crate::value::{Event, InterfaceSchema, Subscriber, SubscriberError, ValueRef};
use crate::{Error, ErrorKind};

/// An untyped subscriber in the shape of an event interface: the macro implements every trait for
/// it.
///
/// Its methods cannot return the subscriber's error, since their return types are the trait's. They
/// unwind with [`SubscriberFailed`] instead, which whoever called the method turns back.
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
        if let Err(error) = outcome {
            resume_unwind(Box::new(SubscriberFailed(error)));
        }
    }
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

/// Returns the view of an optional reference.
pub fn view_of_option<'a, T: ReferencedValue + ?Sized>(value: &'a Option<&'a T>) -> ValueRef<'a> {
    value.as_ref().map_or(ValueRef::Null, T::view_of)
}

/// Returns the error of a call of a method that the interface does not have.
pub fn no_such_method(schema: &InterfaceSchema, method: usize) -> SubscriberError {
    let name = schema.name();
    let message = format!("the interface `{name}` has no method at index {method}");
    Error::new(ErrorKind::NotFound, message).into()
}
