//! Events whose arguments are their own, and the calls that they are made of.

use std::any::Any;
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::sync::Arc;

use super::facet::Facet;
use super::versions::{event_in, is_same};
use crate::delivery::{Carried, Parcel, carried};
use crate::value::view::fields;
use crate::value::{
    EventInterface, InterfaceEvent, InterfaceSchema, RecordView, SubscriberError, Value, ValueRef,
    drop_quietly,
};

/// How the method that is fired is called on one subscriber.
pub(crate) trait Call<I: ?Sized> {
    /// Calls the method on this thread.
    fn on(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the event with arguments of its own, the same for all who ask: it outlives the
    /// publisher's call and goes to other threads. A plain fire calls with what the publisher lends
    /// and never asks.
    fn parcel(&self) -> Arc<dyn Parcel>;
}

/// A call with arguments that the publisher lends.
pub(super) struct LentCall<'a, I: ?Sized, C, P> {
    call: &'a C,
    make: P,
    made: OnceCell<Arc<dyn Parcel>>,
    interface: PhantomData<fn(&I)>,
}

/// An event of a Rust trait.
///
/// In one piece: taking memory on one thread and freeing it on another is what most of the way of
/// an event to a thread consists of.
pub(crate) struct TypedPayload<E> {
    event: E,
    fire: Carried,
    schema: &'static InterfaceSchema,
    method: usize,
}

/// The values of a method that is known by its schema.
pub(super) struct UntypedPayload {
    schema: Arc<InterfaceSchema>,
    method: usize,
    values: Vec<Value>,
    fire: Carried,
}

impl<E> TypedPayload<E> {
    /// Returns an event of the interface `I` that was fired so.
    pub(super) fn shared<I>(event: E, fire: Carried) -> Arc<dyn Parcel>
    where
        I: EventInterface<Event = E> + ?Sized,
        E: InterfaceEvent<I>,
    {
        Arc::new(Self {
            method: event.method(),
            schema: I::schema(),
            event,
            fire,
        })
    }

    pub(crate) fn event(&self) -> &E {
        &self.event
    }

    pub(crate) fn into_event(self) -> E {
        self.event
    }
}

impl<E: RecordView + Send + Sync + 'static> Parcel for TypedPayload<E> {
    fn schema(&self) -> &InterfaceSchema {
        self.schema
    }

    fn method(&self) -> usize {
        self.method
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        fields(&self.event).map(|(_, value)| value).collect()
    }

    fn fire(&self) -> &Carried {
        &self.fire
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl UntypedPayload {
    /// Returns the event with copies of the values.
    pub(super) fn shared(
        schema: &Arc<InterfaceSchema>,
        method: usize,
        values: &[ValueRef<'_>],
        fire: Carried,
    ) -> Arc<dyn Parcel> {
        let values = values.iter().map(ValueRef::to_value).collect();
        Self::owned(schema, method, values, fire)
    }

    /// Returns the event with these values.
    pub(super) fn owned(
        schema: &Arc<InterfaceSchema>,
        method: usize,
        values: Vec<Value>,
        fire: Carried,
    ) -> Arc<dyn Parcel> {
        Arc::new(Self {
            schema: Arc::clone(schema),
            method,
            values,
            fire,
        })
    }
}

/// Returns an event of values that were stored, if the schema has such a method.
pub(crate) fn restored(
    schema: Arc<InterfaceSchema>,
    method: usize,
    values: Vec<Value>,
    fire: Carried,
) -> Option<Arc<dyn Parcel>> {
    let parameters = schema.methods().get(method)?.parameters();
    (parameters.len() == values.len()).then(|| -> Arc<dyn Parcel> {
        Arc::new(UntypedPayload {
            schema,
            method,
            values,
            fire,
        })
    })
}

impl Parcel for UntypedPayload {
    fn schema(&self) -> &InterfaceSchema {
        &self.schema
    }

    fn method(&self) -> usize {
        self.method
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        self.values.iter().map(Value::view).collect()
    }

    fn fire(&self) -> &Carried {
        &self.fire
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Says that an interface has no event that is this one.
pub(super) fn no_method(parcel: &dyn Parcel) -> String {
    let method = parcel.schema().methods().get(parcel.method());
    let method = method.map_or("?", |method| method.name());
    format!("the interface has no method {method:?} that takes the event")
}

/// Delivers an event to a subscriber of an interface that has this schema.
pub(super) fn deliver<I: Facet + ?Sized>(
    parcel: &dyn Parcel,
    target: &I,
    schema: &InterfaceSchema,
) -> Result<(), SubscriberError> {
    if let Some(delivered) = target.deliver(parcel) {
        return delivered;
    }
    let values = parcel.values();
    if is_same(parcel.schema(), schema) {
        return target.invoke(schema, parcel.method(), &values);
    }
    // It was fired before the interface's type was known, or with another version of it.
    match event_in(parcel.schema(), parcel.method(), &values, schema) {
        Some((method, values)) => target.invoke(schema, method, &values),
        None => Err(no_method(parcel).into()),
    }
}

impl<'a, I: ?Sized, C, P> LentCall<'a, I, C, P> {
    pub(super) fn new(call: &'a C, make: P) -> Self {
        Self {
            call,
            make,
            made: OnceCell::new(),
            interface: PhantomData,
        }
    }
}

/// The arguments are the user's, and what they panic with when they are dropped is nobody's
/// business.
impl<I: ?Sized, C, P> Drop for LentCall<'_, I, C, P> {
    fn drop(&mut self) {
        drop_quietly(self.made.take());
    }
}

impl<I, C, P> Call<I> for LentCall<'_, I, C, P>
where
    I: ?Sized,
    C: Fn(&I) -> Result<(), SubscriberError>,
    P: Fn(Carried) -> Arc<dyn Parcel>,
{
    #[inline]
    fn on(&self, target: &I) -> Result<(), SubscriberError> {
        (self.call)(target)
    }

    fn parcel(&self) -> Arc<dyn Parcel> {
        Arc::clone(self.made.get_or_init(|| (self.make)(carried())))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{Event, EventInterface, Subscriber, event_interface};

    #[event_interface]
    pub(crate) trait Notes {
        fn noted(&self, text: &str, pages: &[u32]);
    }

    /// Keeps the text of the events that it gets, as they print.
    #[derive(Default)]
    struct Clerk(Mutex<Vec<String>>);

    impl Notes for Clerk {
        fn noted(&self, text: &str, pages: &[u32]) {
            self.0.lock().push(format!("{text} {pages:?}"));
        }
    }

    impl Subscriber for Clerk {
        fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError> {
            self.0.lock().push(event.to_string());
            Ok(())
        }
    }

    #[test]
    fn arguments_outlive_what_the_publisher_lent_and_are_made_once() {
        let kept = {
            let (text, pages) = ("minutes".to_owned(), vec![1_u32, 2]);
            let call = |target: &dyn Notes| {
                target.noted(&text, &pages);
                Ok(())
            };
            let event = || NotesEvent::Noted(NotesNoted::new(&text, &pages));
            let make = |fire| TypedPayload::shared::<dyn Notes>(event(), fire);
            let call = LentCall::new(&call, make);
            let kept = [call.parcel(), call.parcel()];
            assert!(Arc::ptr_eq(&kept[0], &kept[1]));
            kept
        };
        let (clerk, schema) = (Clerk::default(), <dyn Notes as EventInterface>::schema());
        deliver::<dyn Notes>(&*kept[0], &clerk, schema).unwrap();
        assert_eq!(*clerk.0.lock(), ["minutes [1, 2]"]);
        let values = kept[0].values();
        assert_eq!((values.len(), values[0].as_str()), (2, Some("minutes")));
    }

    #[test]
    fn values_reach_typed_and_untyped_subscribers_alike() {
        let schema = Arc::new(<dyn Notes as EventInterface>::schema().clone());
        let page = Value::List(vec![Value::from(7)]);
        let values = [ValueRef::Str("draft"), page.view()];
        let payload = UntypedPayload::shared(&schema, 0, &values, carried());
        let clerk = Clerk::default();
        deliver::<dyn Notes>(&*payload, &clerk, &schema).unwrap();
        deliver::<dyn Subscriber>(&*payload, &clerk, &schema).unwrap();
        let texts = ["draft [7]", "noted(text = 'draft', pages = (7))"];
        assert_eq!(*clerk.0.lock(), texts);
    }
}
