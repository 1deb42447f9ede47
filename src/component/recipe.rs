//! A component without its type: how one is made, and as which interfaces it is seen.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::shared::Shared;
use super::shelf::Shelf;
use super::sweeper::{Expiry, Sweeper};
use super::{Activation, ActivationError, ComponentPolicy};
use crate::error::{Error, ErrorKind};
use crate::model::ComponentId;
use crate::value::{
    InterfaceId, InterfaceSchema, RustType, Subscriber, SubscriberError, panic_message,
};

/// An instance of a component, before anyone asks for one of its interfaces.
pub(crate) type Instance = Arc<dyn Any + Send + Sync>;

/// Returns an instance as an untyped subscriber, if it is of the right type.
type CastUntyped = fn(Instance) -> Option<Arc<dyn Subscriber>>;

type Factory = dyn Fn(&Activation<'_>) -> Result<Instance, SubscriberError> + Send + Sync;

/// A component without its type: its factory and its interfaces.
pub(crate) struct Recipe {
    pub(super) id: ComponentId,
    pub(super) name: Option<String>,
    pub(super) policy: ComponentPolicy,
    pub(super) makes: RustType,
    pub(super) factory: Box<Factory>,
    pub(super) casts: Vec<Cast>,
    /// Casts to the untyped subscriber, for components that take events of any interface.
    pub(super) any_interface: Option<CastUntyped>,
    /// After which time without a use an instance is dropped.
    pub(super) idle: Option<Duration>,
    pub(super) keeping: Keeping,
}

/// Where instances are between calls.
pub(super) enum Keeping {
    /// Nowhere: each is for one call.
    Nothing,
    /// The singleton, once made, for good.
    Singleton(RwLock<Option<Instance>>),
    /// The singleton, until it was idle for too long.
    Shared(Arc<Shared>),
    Pool(Arc<Shelf>),
}

/// One interface of a component: a [`Caster`] of that interface behind `dyn Any`.
pub(super) struct Cast {
    pub(super) schema: &'static InterfaceSchema,
    pub(super) rust_type: RustType,
    pub(super) caster: Box<dyn Any + Send + Sync>,
    pub(super) untyped: CastUntyped,
}

pub(super) struct Caster<I: ?Sized>(pub(super) fn(Instance) -> Option<Arc<I>>);

impl Recipe {
    pub(crate) fn id(&self) -> ComponentId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn policy(&self) -> ComponentPolicy {
        self.policy
    }

    /// Returns the interfaces, unless it takes any.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = (&'static InterfaceSchema, RustType)> {
        self.casts.iter().map(|cast| (cast.schema, cast.rust_type))
    }

    /// Returns whether events of this interface can be delivered to the component.
    pub(crate) fn offers(&self, interface: InterfaceId) -> bool {
        self.any_interface.is_some() || self.casts.iter().any(|cast| cast.schema.id() == interface)
    }

    /// Returns the interfaces by id, and whether it takes any.
    fn offer(&self) -> (BTreeMap<InterfaceId, RustType>, bool) {
        let casts = self.casts.iter();
        let interfaces = casts.map(|cast| (cast.schema.id(), cast.rust_type));
        (interfaces.collect(), self.any_interface.is_some())
    }

    /// Returns Ok if it is the component that is registered.
    pub(super) fn must_be(&self, present: &Self) -> Result<(), Error> {
        let difference = if self.makes != present.makes {
            format!("makes {}, not {}", present.makes.name, self.makes.name)
        } else if self.policy != present.policy {
            format!("is {}, not {}", present.policy, self.policy)
        } else if self.idle != present.idle {
            "has another idle time-out".to_owned()
        } else if self.offer() != present.offer() {
            "implements other interfaces".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("component {} is registered and {difference}", self.id);
        Err(Error::new(ErrorKind::AlreadyExists, message))
    }

    /// Decides where instances are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if they cannot be kept as the policy says.
    pub(super) fn settle(&mut self, sweeper: &Arc<Sweeper>) -> Result<(), Error> {
        self.policy.check(self.id, self.idle)?;
        let expiry = self.idle.map(|after| Expiry {
            after,
            sweeper: Arc::clone(sweeper),
        });
        self.keeping = match (self.policy, expiry) {
            (ComponentPolicy::PerCall, _) => Keeping::Nothing,
            (ComponentPolicy::Singleton, None) => Keeping::default(),
            (ComponentPolicy::Singleton, Some(expiry)) => Keeping::Shared(Shared::new(expiry)),
            (ComponentPolicy::Pooled(pool), expiry) => {
                let clock = Arc::clone(sweeper.clock());
                Keeping::Pool(Shelf::new(self.id, pool, clock, expiry))
            }
        };
        Ok(())
    }

    pub(super) fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// Returns the singleton, if it was made and stays.
    pub(crate) fn instance(&self) -> Option<Instance> {
        match &self.keeping {
            Keeping::Singleton(instance) => instance.read().clone(),
            _ => None,
        }
    }

    /// Returns whether there are instances now, those that are being made for a pool included.
    pub(crate) fn is_active(&self) -> bool {
        match &self.keeping {
            Keeping::Nothing => false,
            Keeping::Singleton(instance) => instance.read().is_some(),
            Keeping::Shared(shared) => shared.is_made(),
            Keeping::Pool(shelf) => shelf.count() > 0,
        }
    }

    /// Returns `instance` as the interface `I`, or the reason why it is none.
    pub(crate) fn cast<I>(&self, instance: Instance) -> Result<Arc<I>, ActivationError>
    where
        I: crate::value::EventInterface + ?Sized,
    {
        let schema = I::schema();
        let typed = self
            .casts
            .iter()
            .find(|cast| cast.schema.id() == schema.id());
        let caster = typed.and_then(|cast| cast.caster.downcast_ref::<Caster<I>>());
        let cast = match (caster, self.any_interface) {
            (Some(caster), _) => caster.0(instance),
            (None, Some(untyped)) => untyped(instance).map(I::from_subscriber),
            (None, None) => None,
        };
        cast.ok_or_else(|| ActivationError::NotImplemented {
            component: self.id,
            interface: schema.name().to_owned(),
        })
    }

    /// Returns `instance` as an untyped subscriber to events of the interface `schema`.
    pub(crate) fn cast_untyped(
        &self,
        instance: Instance,
        schema: &InterfaceSchema,
    ) -> Result<Arc<dyn Subscriber>, ActivationError> {
        let typed = self
            .casts
            .iter()
            .find(|cast| cast.schema.id() == schema.id());
        let cast = typed.map(|cast| cast.untyped).or(self.any_interface);
        cast.and_then(|cast| cast(instance))
            .ok_or_else(|| ActivationError::NotImplemented {
                component: self.id,
                interface: schema.name().to_owned(),
            })
    }

    pub(super) fn make(&self, activation: &Activation<'_>) -> Result<Instance, ActivationError> {
        match catch_unwind(AssertUnwindSafe(|| (self.factory)(activation))) {
            Ok(Ok(instance)) => Ok(instance),
            Ok(Err(error)) => Err(ActivationError::Failed {
                component: self.id,
                error,
            }),
            Err(payload) => Err(ActivationError::Panicked {
                component: self.id,
                message: panic_message(payload),
            }),
        }
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Self::Singleton(RwLock::new(None))
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("idle", &self.idle)
            .field("type", &self.makes.name)
            .finish_non_exhaustive()
    }
}
