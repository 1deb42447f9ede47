//! Live objects: the targets of transient subscriptions.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::facet::Facet;
use super::inbox::Inbox;
use super::privates::ObjectId;
use crate::value::{EventInterface, InterfaceId, Invoker, Subscriber};

/// A [`LiveTarget`] without its type.
pub(crate) trait LiveObject: Send + Sync + 'static {
    /// Returns the interface that the object implements, or `None` if it takes any.
    fn interface(&self) -> Option<InterfaceId>;

    /// Returns the object as an untyped subscriber, unless it is gone.
    fn untyped(&self) -> Option<Arc<dyn Subscriber>>;

    /// Returns where its events wait for it, if it comes for them itself.
    fn inbox(&self) -> Option<&Arc<Inbox>> {
        None
    }

    /// Returns whether the object may go away by itself.
    fn is_weak(&self) -> bool;

    /// Returns the publisher object that alone knows the subscription, if one does.
    fn object(&self) -> Option<ObjectId> {
        None
    }

    /// Returns the [`LiveTarget`] as `dyn Any`, to be downcast.
    fn as_any(&self) -> &(dyn Any + Send + Sync);
}

/// A live object, or the way to one that may be gone.
#[doc(hidden)]
pub enum LiveTarget<I: ?Sized> {
    /// Kept as long as the subscription.
    Strong(Arc<I>),
    /// Asked for at every event.
    Weak(Box<dyn Fn() -> Option<Arc<I>> + Send + Sync>),
}

impl<I: ?Sized> LiveTarget<I> {
    fn upgrade(&self) -> Option<Arc<I>> {
        match self {
            Self::Strong(target) => Some(Arc::clone(target)),
            Self::Weak(upgrade) => upgrade(),
        }
    }
}

impl<I: EventInterface + ?Sized> LiveObject for LiveTarget<I> {
    fn interface(&self) -> Option<InterfaceId> {
        Some(I::schema().id())
    }

    fn untyped(&self) -> Option<Arc<dyn Subscriber>> {
        self.upgrade().map(|target| Arc::new(Invoker(target)) as _)
    }

    fn is_weak(&self) -> bool {
        matches!(self, Self::Weak(_))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

impl LiveObject for LiveTarget<dyn Subscriber> {
    fn interface(&self) -> Option<InterfaceId> {
        None
    }

    fn untyped(&self) -> Option<Arc<dyn Subscriber>> {
        self.upgrade()
    }

    fn is_weak(&self) -> bool {
        matches!(self, Self::Weak(_))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// Returns the live object as the interface `I`, unless it is gone.
pub(super) fn upgrade<I: Facet + ?Sized>(live: &dyn LiveObject) -> Option<Arc<I>> {
    match live.as_any().downcast_ref::<LiveTarget<I>>() {
        Some(target) => target.upgrade(),
        None => live.untyped().map(I::from_untyped),
    }
}

impl<I: ?Sized> fmt::Debug for LiveTarget<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Strong(_) => "Strong",
            Self::Weak(_) => "Weak",
        };
        f.debug_tuple(kind).finish()
    }
}
