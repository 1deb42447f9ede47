//! Events whose arguments are their own, and the calls that they are made of.

use std::fmt;
use std::sync::Arc;

use super::facet::Facet;
use crate::value::view::fields;
use crate::value::{InterfaceSchema, OwnedArguments, SubscriberError, Value, ValueRef};

/// An event of the interface `I` whose arguments are its own, so that it outlives the publisher's
/// call and goes to other threads.
///
/// Made once for a fire, and only if somebody needs it: a plain fire calls with what the publisher
/// lends.
pub(crate) trait Payload<I: ?Sized>: Send + Sync + 'static {
    /// Calls the method on one subscriber.
    fn deliver(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the event's values in the order of the method's parameters.
    fn values(&self) -> Vec<ValueRef<'_>>;
}

/// How the method that is fired is called on one subscriber.
pub(crate) trait Call<I: ?Sized> {
    /// Calls the method on this thread.
    fn on(&self, target: &I) -> Result<(), SubscriberError>;

    /// Returns the event with arguments of its own.
    fn payload(&self) -> Arc<dyn Payload<I>>;
}

/// The call of a method of a Rust trait, with the publisher's own arguments.
pub(super) struct TypedCall<C, O> {
    /// Calls the method.
    pub(super) call: C,
    /// Makes the arguments that the macro has a struct for.
    pub(super) owned: O,
}

/// The call of a method by its place in the schema, with values that fit it.
pub(super) struct UntypedCall<'a> {
    pub(super) schema: &'a Arc<InterfaceSchema>,
    pub(super) method: usize,
    pub(super) values: &'a [ValueRef<'a>],
}

/// The arguments of a method of a Rust trait.
struct TypedPayload<A>(A);

/// The values of a method that is known by its schema.
struct UntypedPayload {
    schema: Arc<InterfaceSchema>,
    method: usize,
    values: Vec<Value>,
}

impl<I, A> Payload<I> for TypedPayload<A>
where
    I: ?Sized,
    A: OwnedArguments<I>,
{
    fn deliver(&self, target: &I) -> Result<(), SubscriberError> {
        self.0.deliver(target)
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        fields(&self.0).map(|(_, value)| value).collect()
    }
}

impl<I: Facet + ?Sized> Payload<I> for UntypedPayload {
    fn deliver(&self, target: &I) -> Result<(), SubscriberError> {
        target.invoke(&self.schema, self.method, &Payload::<I>::values(self))
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        self.values.iter().map(Value::view).collect()
    }
}

impl<I, C, O, A> Call<I> for TypedCall<C, O>
where
    I: ?Sized,
    C: Fn(&I) -> Result<(), SubscriberError>,
    O: Fn() -> A,
    A: OwnedArguments<I>,
{
    #[inline]
    fn on(&self, target: &I) -> Result<(), SubscriberError> {
        (self.call)(target)
    }

    fn payload(&self) -> Arc<dyn Payload<I>> {
        Arc::new(TypedPayload((self.owned)()))
    }
}

impl<I: Facet + ?Sized> Call<I> for UntypedCall<'_> {
    fn on(&self, target: &I) -> Result<(), SubscriberError> {
        target.invoke(self.schema, self.method, self.values)
    }

    fn payload(&self) -> Arc<dyn Payload<I>> {
        Arc::new(UntypedPayload {
            schema: Arc::clone(self.schema),
            method: self.method,
            values: self.values.iter().map(ValueRef::to_value).collect(),
        })
    }
}

/// An event that was kept is fired like any other.
impl<I: ?Sized + 'static> Call<I> for Arc<dyn Payload<I>> {
    fn on(&self, target: &I) -> Result<(), SubscriberError> {
        self.deliver(target)
    }

    fn payload(&self) -> Arc<dyn Payload<I>> {
        Arc::clone(self)
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
    fn owned_arguments_outlive_what_the_publisher_lent() {
        let payload: Arc<dyn Payload<dyn Notes>> = {
            let (text, pages) = ("minutes".to_owned(), vec![1_u32, 2]);
            let call = TypedCall {
                call: |target: &dyn Notes| {
                    target.noted(&text, &pages);
                    Ok(())
                },
                owned: || NotesNoted::new(&text, &pages),
            };
            call.payload()
        };
        let clerk = Clerk::default();
        payload.deliver(&clerk).unwrap();
        assert_eq!(*clerk.0.lock(), ["minutes [1, 2]"]);
        assert_eq!(payload.values()[0].as_str(), Some("minutes"));
        assert_eq!(payload.values().len(), 2);
    }

    #[test]
    fn values_reach_typed_and_untyped_subscribers_alike() {
        let schema = Arc::new(<dyn Notes as EventInterface>::schema().clone());
        let pages = [7_u32];
        let owned = TypedPayload(NotesNoted::new("draft", &pages));
        let values = Payload::<dyn Notes>::values(&owned);
        let call = UntypedCall {
            schema: &schema,
            method: 0,
            values: &values,
        };
        let clerk = Clerk::default();
        let typed: Arc<dyn Payload<dyn Notes>> = call.payload();
        let untyped: Arc<dyn Payload<dyn Subscriber>> = call.payload();
        typed.deliver(&clerk).unwrap();
        untyped.deliver(&clerk).unwrap();
        let texts = ["draft [7]", "noted(text = 'draft', pages = (7))"];
        assert_eq!(*clerk.0.lock(), texts);
    }
}
