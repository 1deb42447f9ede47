//! What an event interface is to the rest of the crate.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::{EventMethod, InterfaceSchema, RecordView, ValueRef};

/// What a subscriber that failed says about it.
pub type SubscriberError = Box<dyn StdError + Send + Sync>;

/// An event interface: `dyn Trait` of a trait under [`event_interface`](crate::event_interface).
///
/// The macro implements it; there is no reason to do so by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event interface",
    note = "put `#[event_interface]` on the trait and name it as `dyn Trait`"
)]
pub trait EventInterface: Send + Sync + 'static {
    /// An event of the interface with its arguments, owned: an enum with a variant per method.
    type Event: InterfaceEvent<Self>;

    /// Returns the interface's schema.
    fn schema() -> &'static InterfaceSchema;

    /// Calls the method at index `method` of the schema with these arguments, in the order of its
    /// parameters.
    ///
    /// # Errors
    ///
    /// A [`ConversionError`](crate::ConversionError) where an argument is missing or does not fit
    /// its parameter; then nothing was called. Else what the subscriber returned.
    fn invoke(&self, method: usize, arguments: &[ValueRef<'_>]) -> Result<(), SubscriberError>;

    /// Returns the interface as implemented by an untyped subscriber.
    fn from_subscriber(subscriber: Arc<dyn Subscriber>) -> Arc<Self>;
}

/// An event of the interface `I` with its arguments, owned; the macro makes one for each interface,
/// an enum such as `StockEventsEvent`.
///
/// Its [`RecordView`] is that of the arguments.
pub trait InterfaceEvent<I: ?Sized>:
    RecordView + Clone + fmt::Debug + Send + Sync + 'static
{
    /// Calls the event's method on one subscriber.
    ///
    /// # Errors
    ///
    /// What the subscriber returned.
    fn deliver(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the index of the event's method in the schema.
    fn method(&self) -> usize;

    /// Returns the event of the method at index `method` with these arguments, in the order of its
    /// parameters; one that is not there is NULL.
    ///
    /// # Errors
    ///
    /// A [`ConversionError`](crate::ConversionError) where an argument does not fit its parameter,
    /// and an [`Error`](crate::Error) if there is no such method.
    fn from_arguments(method: usize, arguments: &[ValueRef<'_>]) -> Result<Self, SubscriberError>;
}

/// Says that `T` implements the event interface `Self`; the macro makes it true of every `T` that
/// implements the trait.
#[diagnostic::on_unimplemented(
    message = "`{T}` does not implement the event interface `{Self}`",
    label = "this subscriber does not implement `{Self}`"
)]
pub trait ImplementedBy<T>: EventInterface {
    /// Returns the subscriber as its interface.
    fn upcast(subscriber: Arc<T>) -> Arc<Self>;
}

/// A subscriber that takes any event, as a name and values, without the Rust type of its interface.
pub trait Subscriber: Send + Sync + 'static {
    /// Receives one event.
    ///
    /// # Errors
    ///
    /// Whatever the subscriber wants the publisher's report to say.
    fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError>;
}

impl<F> Subscriber for F
where
    F: Fn(&Event<'_>) -> Result<(), SubscriberError> + Send + Sync + 'static,
{
    fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError> {
        self(event)
    }
}

/// An event as name and values, borrowed from the fire.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    interface: &'a InterfaceSchema,
    method: &'a EventMethod,
    values: &'a [ValueRef<'a>],
}

impl<'a> Event<'a> {
    /// Returns the event of `interface`'s method at index `method`, or `None` if there is none.
    pub fn new(
        interface: &'a InterfaceSchema,
        method: usize,
        values: &'a [ValueRef<'a>],
    ) -> Option<Self> {
        Some(Self {
            interface,
            method: interface.methods().get(method)?,
            values,
        })
    }

    /// Returns the interface's schema.
    pub fn interface(&self) -> &'a InterfaceSchema {
        self.interface
    }

    /// Returns the method's schema.
    pub fn method(&self) -> &'a EventMethod {
        self.method
    }

    /// Returns the method's name.
    pub fn name(&self) -> &'a str {
        self.method.name()
    }

    /// Returns the values in the order of the method's parameters.
    pub fn values(&self) -> &'a [ValueRef<'a>] {
        self.values
    }

    /// Returns the value of the parameter of this name or alias.
    pub fn get(&self, parameter: &str) -> Option<ValueRef<'a>> {
        let (index, _) = self.method.parameter(parameter)?;
        self.values.get(index).copied()
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name())?;
        for (index, (parameter, value)) in
            self.method.parameters().iter().zip(self.values).enumerate()
        {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} = {value}", parameter.name())?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A Rust type, to tell two that claim one id apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RustType {
    id: std::any::TypeId,
    pub(crate) name: &'static str,
}

impl RustType {
    pub(crate) fn of<T: ?Sized + 'static>() -> Self {
        Self {
            id: std::any::TypeId::of::<T>(),
            name: std::any::type_name::<T>(),
        }
    }
}

impl PartialEq for RustType {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// A subscriber of the interface `I`, called by name and values.
pub(crate) struct Invoker<I: ?Sized>(pub(crate) Arc<I>);

impl<I: EventInterface + ?Sized> Subscriber for Invoker<I> {
    fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError> {
        match I::schema().method(event.name()) {
            Some((method, _)) => self.0.invoke(method, event.values()),
            None => Ok(()),
        }
    }
}

/// Returns what a panic said, and drops its payload, whose own drop may panic.
pub(crate) fn panic_message(payload: Box<dyn std::any::Any + Send>) -> String {
    let message = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".to_owned(),
    };
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
    // A payload that panics when dropped gives another one; this is where the chain ends.
    dropped.map_or_else(std::mem::forget, |()| ());
    message
}

/// Drops what may be the user's where its panic is nobody's business.
pub(crate) fn drop_quietly<T>(item: T) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(item))) {
        drop(panic_message(payload));
    }
}
