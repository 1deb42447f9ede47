//! A component without its type: how one is made, and as which interfaces it is seen.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::shelf::Shelf;
use super::sweeper::{Expiry, Sweeper};
use super::{Activation, ActivationError, ComponentPolicy};
use crate::error::{Error, ErrorKind};
use crate::model::ComponentId;
use crate::sync::RwLock;
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

/// What a component implements.
#[derive(PartialEq)]
struct Offer {
    interfaces: BTreeMap<InterfaceId, RustType>,
    /// Whether it takes events of any interface.
    any: bool,
}

/// After which time an instance is dropped, in words.
struct Idle(Option<Duration>);

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

    /// Returns what it implements.
    fn offer(&self) -> Offer {
        let casts = self.casts.iter();
        let interfaces = casts.map(|cast| (cast.schema.id(), cast.rust_type));
        Offer {
            interfaces: interfaces.collect(),
            any: self.any_interface.is_some(),
        }
    }

    /// Returns the component as messages call it: by its name, or by its id if it has none.
    fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("the component {name:?}"),
            None => format!("the component {}", self.id),
        }
    }

    /// Returns Ok if it is the component that is registered.
    pub(super) fn must_be(&self, present: &Self) -> Result<(), Error> {
        let (here, there) = (self.offer(), present.offer());
        let difference = if self.makes != present.makes {
            let (given, made) = (self.makes.name, present.makes.name);
            format!("makes {made}, not {}", apart(made, given))
        } else if self.policy != present.policy {
            format!("is {}, not {}", present.policy, self.policy)
        } else if self.idle != present.idle {
            let (given, kept) = (Idle(self.idle), Idle(present.idle));
            format!("drops an instance {kept}, not {given}")
        } else if here != there {
            let (given, implemented) = (here.to_string(), there.to_string());
            format!(
                "implements {implemented}, not {}",
                apart(&implemented, &given)
            )
        } else {
            return Ok(());
        };
        let message = format!("{} is registered and {difference}", self.called());
        Err(Error::new(ErrorKind::AlreadyExists, message))
    }

    /// Decides where instances are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if they cannot be kept as the policy says.
    pub(super) fn settle(&mut self, sweeper: &Arc<Sweeper>) -> Result<(), Error> {
        self.policy.check(self.idle).map_err(|problem| {
            let message = format!("{} {problem}", self.called());
            Error::new(ErrorKind::Invalid, message)
        })?;
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

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.interfaces.values().map(|interface| interface.name);
        let mut all: Vec<_> = named.collect();
        all.sort_unstable();
        all.extend(self.any.then_some("any interface"));
        match all.as_slice() {
            [] => f.write_str("no interface"),
            all => f.write_str(&all.join(" and ")),
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(after) => write!(f, "after {after:?} without a use"),
            None => f.write_str("at no time"),
        }
    }
}

/// Returns the name of what was given beside that of what is there: two types may have one name.
fn apart<'a>(there: &str, given: &'a str) -> &'a str {
    if there == given {
        "another of this name"
    } else {
        given
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
