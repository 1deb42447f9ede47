//! Events whose arguments are their own, and the calls that they are made of.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use super::facet::Facet;
use crate::value::view::fields;
use crate::value::{
    EventInterface, InterfaceEvent, InterfaceSchema, SubscriberError, Value, ValueRef, drop_quietly,
};

/// An event of the interface `I` whose arguments are its own, so that it outlives the publisher's
/// call and goes to other threads.
///
/// Made once for a fire, and only if somebody needs it: a plain fire calls with what the publisher
/// lends.
pub(crate) trait Payload<I: ?Sized>: Send + Sync + 'static {
    /// Calls the method on one subscriber.
    fn deliver(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the schema of the interface.
    fn schema(&self) -> &InterfaceSchema;

    /// Returns the index of the method.
    fn method(&self) -> usize;

    /// Returns the event's values in the order of the method's parameters.
    fn values(&self) -> Vec<ValueRef<'_>>;

    /// Returns the payload as `dyn Any`, to be downcast.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// How the method that is fired is called on one subscriber.
pub(crate) trait Call<I: ?Sized> {
    /// Calls the method on this thread.
    fn on(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the event with arguments of its own, the same for all who ask.
    fn payload(&self) -> Arc<dyn Payload<I>>;
}

/// A call with arguments that the publisher lends.
pub(super) struct LentCall<'a, I: ?Sized, C, P> {
    call: &'a C,
    make: P,
    made: OnceCell<Arc<dyn Payload<I>>>,
}

/// An event of a Rust trait.
pub(crate) struct TypedPayload<E>(pub(crate) E);

/// The values of a method that is known by its schema.
pub(super) struct UntypedPayload {
    pub(super) schema: Arc<InterfaceSchema>,
    pub(super) method: usize,
    pub(super) values: Vec<Value>,
}

impl<I, E> Payload<I> for TypedPayload<E>
where
    I: EventInterface + ?Sized,
    E: InterfaceEvent<I>,
{
    fn schema(&self) -> &InterfaceSchema {
        I::schema()
    }

    fn method(&self) -> usize {
        self.0.method()
    }

    fn deliver(&self, target: &I) -> Result<(), SubscriberError> {
        self.0.deliver(target)
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        fields(&self.0).map(|(_, value)| value).collect()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl UntypedPayload {
    /// Returns the event with copies of the values.
    pub(super) fn shared<I: Facet + ?Sized>(
        schema: &Arc<InterfaceSchema>,
        method: usize,
        values: &[ValueRef<'_>],
    ) -> Arc<dyn Payload<I>> {
        Arc::new(Self {
            schema: Arc::clone(schema),
            method,
            values: values.iter().map(ValueRef::to_value).collect(),
        })
    }
}

impl<I: Facet + ?Sized> Payload<I> for UntypedPayload {
    fn schema(&self) -> &InterfaceSchema {
        &self.schema
    }

    fn method(&self) -> usize {
        self.method
    }

    fn deliver(&self, target: &I) -> Result<(), SubscriberError> {
        target.invoke(&self.schema, self.method, &Payload::<I>::values(self))
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        self.values.iter().map(Value::view).collect()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<'a, I: ?Sized, C, P> LentCall<'a, I, C, P> {
    pub(super) fn new(call: &'a C, make: P) -> Self {
        Self {
            call,
            make,
            made: OnceCell::new(),
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
    P: Fn() -> Arc<dyn Payload<I>>,
{
    #[inline]
    fn on(&self, target: &I) -> Result<(), SubscriberError> {
        (self.call)(target)
    }

    fn payload(&self) -> Arc<dyn Payload<I>> {
        Arc::clone(self.made.get_or_init(&self.make))
    }
}

impl<I: ?Sized + 'static> fmt::Debug for dyn Payload<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
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
            let make = || {
                Arc::new(TypedPayload(NotesEvent::from(NotesNoted::new(
                    &text, &pages,
                )))) as _
            };
            let call = LentCall::new(&call, make);
            let kept = [call.payload(), call.payload()];
            assert!(Arc::ptr_eq(&kept[0], &kept[1]));
            kept
        };
        let clerk = Clerk::default();
        kept[0].deliver(&clerk).unwrap();
        assert_eq!(*clerk.0.lock(), ["minutes [1, 2]"]);
        let values = kept[0].values();
        assert_eq!((values.len(), values[0].as_str()), (2, Some("minutes")));
    }

    #[test]
    fn values_reach_typed_and_untyped_subscribers_alike() {
        let page = Value::from(7);
        let payload = UntypedPayload {
            schema: Arc::new(<dyn Notes as EventInterface>::schema().clone()),
            method: 0,
            values: vec![Value::from("draft"), Value::List(vec![page])],
        };
        let clerk = Clerk::default();
        Payload::<dyn Notes>::deliver(&payload, &clerk).unwrap();
        Payload::<dyn Subscriber>::deliver(&payload, &clerk).unwrap();
        let texts = ["draft [7]", "noted(text = 'draft', pages = (7))"];
        assert_eq!(*clerk.0.lock(), texts);
    }
}
