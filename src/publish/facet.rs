//! What the pipeline needs of an interface, typed or not.

use std::sync::Arc;

use super::payload::TypedPayload;
use crate::component::{ActivationError, Instance, Recipe};
use crate::delivery::Parcel;
use crate::value::{
    Event, EventInterface, InterfaceEvent, InterfaceSchema, Subscriber, SubscriberError, ValueRef,
};

/// An event interface as the pipeline sees it: of a Rust trait, or known by its schema alone, when
/// every subscriber is a [`Subscriber`].
pub(crate) trait Facet: Send + Sync + 'static {
    /// Calls the method at `method` with arguments that fit the schema.
    fn invoke(
        &self,
        schema: &InterfaceSchema,
        method: usize,
        arguments: &[ValueRef<'_>],
    ) -> Result<(), SubscriberError>;

    /// Delivers an event, if it is in this interface's own form.
    fn deliver(&self, parcel: &dyn Parcel) -> Option<Result<(), SubscriberError>>;

    /// Returns a component's instance as this interface.
    fn cast(
        recipe: &Recipe,
        instance: Instance,
        schema: &InterfaceSchema,
    ) -> Result<Arc<Self>, ActivationError>;

    /// Returns an untyped subscriber as this interface.
    fn from_untyped(subscriber: Arc<dyn Subscriber>) -> Arc<Self>;
}

impl<I: EventInterface + ?Sized> Facet for I {
    fn invoke(
        &self,
        _schema: &InterfaceSchema,
        method: usize,
        arguments: &[ValueRef<'_>],
    ) -> Result<(), SubscriberError> {
        EventInterface::invoke(self, method, arguments)
    }

    fn deliver(&self, parcel: &dyn Parcel) -> Option<Result<(), SubscriberError>> {
        let typed = parcel.as_any().downcast_ref::<TypedPayload<I::Event>>()?;
        Some(typed.event().deliver(self))
    }

    fn cast(
        recipe: &Recipe,
        instance: Instance,
        _schema: &InterfaceSchema,
    ) -> Result<Arc<Self>, ActivationError> {
        recipe.cast::<I>(instance)
    }

    fn from_untyped(subscriber: Arc<dyn Subscriber>) -> Arc<Self> {
        I::from_subscriber(subscriber)
    }
}

impl Facet for dyn Subscriber {
    fn invoke(
        &self,
        schema: &InterfaceSchema,
        method: usize,
        arguments: &[ValueRef<'_>],
    ) -> Result<(), SubscriberError> {
        match Event::new(schema, method, arguments) {
            Some(event) => self.event(&event),
            None => Ok(()),
        }
    }

    fn deliver(&self, _parcel: &dyn Parcel) -> Option<Result<(), SubscriberError>> {
        None
    }

    fn cast(
        recipe: &Recipe,
        instance: Instance,
        schema: &InterfaceSchema,
    ) -> Result<Arc<Self>, ActivationError> {
        recipe.cast_untyped(instance, schema)
    }

    fn from_untyped(subscriber: Arc<dyn Subscriber>) -> Arc<Self> {
        subscriber
    }
}
