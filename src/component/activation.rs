//! What a factory is told, and how making a component can fail.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::model::{ComponentId, SubscriptionId};
use crate::value::{Properties, SubscriberError};

/// What the factory of a component is told about the subscription that needs it.
///
/// A singleton is made once, so its factory sees the subscription whose event came first. So does
/// that of an instance which a pool lends to events of several subscriptions.
#[derive(Clone, Copy)]
pub struct Activation<'a> {
    component: ComponentId,
    subscription: SubscriptionId,
    for_subscriber: &'a Properties,
    host: &'a (dyn Any + Send + Sync),
}

impl<'a> Activation<'a> {
    pub(crate) fn new(
        component: ComponentId,
        subscription: SubscriptionId,
        for_subscriber: &'a Properties,
        host: &'a (dyn Any + Send + Sync),
    ) -> Self {
        Self {
            component,
            subscription,
            for_subscriber,
            host,
        }
    }

    /// Returns the component that is being made.
    pub fn component(&self) -> ComponentId {
        self.component
    }

    /// Returns the subscription that needs it.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Returns that subscription's bag for the subscriber's side.
    #[doc(alias = "SubscriberProperties")]
    pub fn for_subscriber(&self) -> &'a Properties {
        self.for_subscriber
    }

    /// Returns what stands for the broker, which only the broker's floor can name.
    pub(crate) fn host(&self) -> &'a (dyn Any + Send + Sync) {
        self.host
    }
}

impl fmt::Debug for Activation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activation")
            .field("component", &self.component)
            .field("subscription", &self.subscription)
            .field("for_subscriber", self.for_subscriber)
            .finish_non_exhaustive()
    }
}

/// Why a component could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// No component is registered under the id that the subscription names.
    #[error("component {0} is not registered")]
    NotRegistered(ComponentId),
    /// The component is registered, but not for the interface of the event.
    #[error("component {component} does not implement the interface {interface}")]
    NotImplemented {
        /// The component.
        component: ComponentId,
        /// The interface's name.
        interface: String,
    },
    /// The factory needs, directly or through others, the component that it is making.
    #[error("component {0} needs itself while it is being made")]
    Recursion(ComponentId),
    /// The factory returned an error.
    #[error("the factory of component {component} failed: {error}")]
    Failed {
        /// The component.
        component: ComponentId,
        /// What the factory returned.
        #[source]
        error: SubscriberError,
    },
    /// The factory panicked.
    #[error("the factory of component {component} panicked: {message}")]
    Panicked {
        /// The component.
        component: ComponentId,
        /// The panic's message.
        message: String,
    },
    /// Every instance of the component's pool was busy, or being made, for as long as the pool lets
    /// an event wait.
    #[error("all {size} instances of component {component} are busy{}", After(*waited))]
    Exhausted {
        /// The component.
        component: ComponentId,
        /// How many instances its pool may have.
        size: usize,
        /// How long the event waited.
        waited: Duration,
    },
    /// Every instance of the component's pool was held by the thread that would have had to wait
    /// for one: the event was fired from inside their own calls, or while one was being made.
    #[error(
        "all {size} instances of component {component} are held by the thread that fires the \
         event, from inside their own calls, and a wait for one would not end"
    )]
    WouldDeadlock {
        /// The component.
        component: ComponentId,
        /// How many instances its pool may have.
        size: usize,
    },
    /// Nothing resolves monikers of this scheme.
    #[error("nothing resolves the moniker {0}")]
    Unresolved(String),
}

/// The end of a message: how long an event waited, if it did.
struct After(Duration);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return Ok(());
        }
        write!(f, ", after a wait of {:?}", self.0)
    }
}
