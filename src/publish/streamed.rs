//! Events as those have them who come for them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::payload::TypedPayload;
use super::post::Posted;
use super::versions::event_in;
use crate::delivery::{EventContext, Parcel};
use crate::value::{
    Event, EventInterface, EventMethod, InterfaceEvent, InterfaceSchema, SubscriberError, Value,
    ValueRef,
};

/// What an [`EventStream`](crate::EventStream) yields.
#[derive(Debug)]
pub enum Streamed<E> {
    /// The next event.
    Event(StreamedEvent<E>),
    /// So many events are missing here: the stream was not read fast enough, and was asked to lose
    /// something rather than to hold up publishers. See [`Overflow`](crate::Overflow).
    Gap(u64),
}

/// An event out of a stream; it dereferences to the event itself, such as a `StockEventsEvent`, or
/// a [`DynamicEvent`].
///
/// The arguments are those that all have who get the event apart from its fire: they are copied
/// once, however many streams there are.
pub struct StreamedEvent<E> {
    body: Body<E>,
    context: EventContext,
    parcel: Arc<dyn Parcel>,
}

/// An event known by names and values, without the Rust type of its interface.
#[derive(Clone)]
pub struct DynamicEvent(Arc<dyn Parcel>);

/// An event that is shared with others, or was made of one that does not fit as it is.
pub(crate) enum Body<E> {
    Shared(Arc<TypedPayload<E>>),
    Own(E),
}

impl<E> StreamedEvent<E> {
    pub(crate) fn new(body: Body<E>, context: EventContext, parcel: Arc<dyn Parcel>) -> Self {
        Self {
            body,
            context,
            parcel,
        }
    }

    /// Returns the event's id, time, sequence, class and subscription, and what else a subscriber
    /// may know about it. Its [`property`](EventContext::property) is there in a delivery alone:
    /// ask [this event's](Self::property).
    pub fn context(&self) -> &EventContext {
        &self.context
    }

    /// Returns a publisher property as filters saw it when the event was fired: see
    /// [`EventContext::property`].
    pub fn property(&self, name: &str) -> Option<Value> {
        self.parcel.fire().property(name)
    }

    /// Does `work` as a delivery of the event on this thread: it has an
    /// [`EventContext`](EventContext::current), and what it fires counts as caused by the event,
    /// which is what ends a cycle of events at the [`NESTING_LIMIT`](crate::NESTING_LIMIT). None
    /// if there is no room for it below that limit.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let mut done = None;
        let work = || done = Some(work());
        self.parcel.fire().within_any(&self.context, work);
        done
    }

    /// Returns the event by value, copied if others have it too.
    pub fn into_event(self) -> E
    where
        E: Clone,
    {
        // What holds the shared event too, perhaps as the last but this.
        drop(self.parcel);
        match self.body {
            Body::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(TypedPayload(event)) => event,
                Err(shared) => shared.0.clone(),
            },
            Body::Own(event) => event,
        }
    }
}

impl<E> Deref for StreamedEvent<E> {
    type Target = E;

    fn deref(&self) -> &E {
        match &self.body {
            Body::Shared(shared) => &shared.0,
            Body::Own(event) => event,
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for StreamedEvent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedEvent")
            .field("event", &**self)
            .field("context", &self.context)
            .finish()
    }
}

impl<E> Streamed<E> {
    /// Returns the event, unless it is a gap.
    pub fn into_event(self) -> Option<StreamedEvent<E>> {
        match self {
            Self::Event(event) => Some(event),
            Self::Gap(_) => None,
        }
    }
}

impl DynamicEvent {
    /// Returns the schema of the interface, as it was when the event was fired.
    pub fn interface(&self) -> &InterfaceSchema {
        self.0.schema()
    }

    /// Returns the schema of the method.
    pub fn method(&self) -> Option<&EventMethod> {
        self.0.schema().methods().get(self.0.method())
    }

    /// Returns the method's name.
    pub fn name(&self) -> &str {
        self.method().map_or("", EventMethod::name)
    }

    /// Returns the values in the order of the method's parameters.
    pub fn values(&self) -> Vec<ValueRef<'_>> {
        self.0.values()
    }

    /// Returns the value of the parameter of this name or alias.
    pub fn get(&self, parameter: &str) -> Option<ValueRef<'_>> {
        let (index, _) = self.method()?.parameter(parameter)?;
        self.values().get(index).copied()
    }
}

impl fmt::Display for DynamicEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values();
        match Event::new(self.interface(), self.0.method(), &values) {
            Some(event) => event.fmt(f),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DynamicEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the event that is in a parcel, as the interface `I` has it.
///
/// # Errors
///
/// When it was fired with another version of the interface, and does not fit this one.
pub(crate) fn typed<I: EventInterface + ?Sized>(
    parcel: &Arc<dyn Parcel>,
) -> Result<Body<I::Event>, SubscriberError> {
    if let Some(posted) = parcel.as_any().downcast_ref::<Posted<I>>()
        && let Ok(shared) = Arc::clone(&posted.payload).into_any().downcast()
    {
        return Ok(Body::Shared(shared));
    }
    let values = parcel.values();
    match event_in(parcel.schema(), parcel.method(), &values, I::schema()) {
        Some((method, values)) => I::Event::from_arguments(method, &values).map(Body::Own),
        None => Err(format!("{} has no such event", I::schema().name()).into()),
    }
}

/// Returns the event that is in a parcel, by names and values.
pub(crate) fn dynamic(parcel: &Arc<dyn Parcel>) -> Result<Body<DynamicEvent>, SubscriberError> {
    Ok(Body::Own(DynamicEvent(Arc::clone(parcel))))
}
