//! From a component's id to how one is made.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex, RwLock};

use super::{Activation, ActivationError};
use crate::error::{Error, ErrorKind};
use crate::model::ComponentId;
use crate::value::{
    ImplementedBy, InterfaceId, InterfaceSchema, Invoker, RustType, Subscriber, SubscriberError,
    panic_message,
};

/// An instance of a component, before anyone asks for one of its interfaces.
pub(crate) type Instance = Arc<dyn Any + Send + Sync>;

/// Returns an instance as an untyped subscriber, if it is of the right type.
type CastUntyped = fn(Instance) -> Option<Arc<dyn Subscriber>>;

type Factory = dyn Fn(&Activation<'_>) -> Result<Instance, SubscriberError> + Send + Sync;

/// A subscriber that the broker makes when an event needs it, known by its id.
///
/// ```
/// # use loosely::{Component, event_interface};
/// # #[event_interface]
/// # pub trait StockEvents { fn price_changed(&self, symbol: &str, price: f64); }
/// # #[derive(Default)]
/// # struct Alarm;
/// # impl StockEvents for Alarm { fn price_changed(&self, _: &str, _: f64) {} }
/// let alarm = Component::new("alarm", Alarm::default).implements::<dyn StockEvents>();
/// ```
///
/// A component that holds a strong [`Broker`](crate::Broker) keeps that broker open for ever: the
/// broker holds the component. [`Activation::broker`] gives a handle to use and let go. Likewise a
/// component that holds a publisher of a class whose events reach it, directly or through others, is
/// a circle that nobody breaks: publishers hold their class, and the class holds its subscribers. It
/// is dropped when it is unregistered, or subscribed no more.
#[doc(alias = "CLSID")]
pub struct Component<T> {
    recipe: Recipe,
    marker: std::marker::PhantomData<fn() -> T>,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentPolicy {
    /// One instance, made at the first event and kept while the component is registered.
    #[default]
    Singleton,
    /// A new instance for each event, dropped after the call, as COM+ does.
    PerCall,
}

/// A component without its type: its factory and its interfaces.
pub(crate) struct Recipe {
    id: ComponentId,
    name: Option<String>,
    policy: ComponentPolicy,
    makes: RustType,
    factory: Box<Factory>,
    casts: Vec<Cast>,
    /// Casts to the untyped subscriber, for components that take events of any interface.
    any_interface: Option<CastUntyped>,
    /// The instance of a singleton, once made.
    instance: RwLock<Option<Instance>>,
}

/// One interface of a component: a [`Caster`] of that interface behind `dyn Any`.
struct Cast {
    schema: &'static InterfaceSchema,
    rust_type: RustType,
    caster: Box<dyn Any + Send + Sync>,
    untyped: CastUntyped,
}

struct Caster<I: ?Sized>(fn(Instance) -> Option<Arc<I>>);

impl<T: Send + Sync + 'static> Component<T> {
    /// Returns a component that `make` makes.
    pub fn new<F>(id: impl AsRef<str>, make: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
    {
        Self::activated(id, move |_| Ok(make()))
    }

    /// Returns a component whose factory is told about the subscription and may fail.
    ///
    /// A failure is the outcome of that one delivery; the next event tries again.
    pub fn activated<F>(id: impl AsRef<str>, make: F) -> Self
    where
        F: Fn(&Activation<'_>) -> Result<T, SubscriberError> + Send + Sync + 'static,
    {
        let name = id.as_ref();
        let recipe = Recipe {
            id: name.into(),
            name: uuid::Uuid::try_parse(name)
                .is_err()
                .then(|| name.to_owned()),
            policy: ComponentPolicy::Singleton,
            makes: RustType::of::<T>(),
            factory: Box::new(move |activation| make(activation).map(|made| Arc::new(made) as _)),
            casts: Vec::new(),
            any_interface: None,
            instance: RwLock::new(None),
        };
        Self {
            recipe,
            marker: std::marker::PhantomData,
        }
    }

    /// Gives the component this id in place of the one that its name stands for.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<ComponentId>) -> Self {
        self.recipe.id = id.into();
        self
    }

    /// Says that the component implements the event interface `I`.
    #[must_use]
    pub fn implements<I: ImplementedBy<T> + ?Sized>(mut self) -> Self {
        let caster: Caster<I> = Caster(|instance| instance.downcast::<T>().ok().map(I::upcast));
        let schema = I::schema();
        self.recipe
            .casts
            .retain(|cast| cast.schema.id() != schema.id());
        self.recipe.casts.push(Cast {
            schema,
            rust_type: RustType::of::<I>(),
            caster: Box::new(caster),
            untyped: |instance| {
                let subscriber = instance.downcast::<T>().ok().map(I::upcast)?;
                Some(Arc::new(Invoker(subscriber)))
            },
        });
        self
    }

    /// Says that the component takes the events of any interface, as names and values.
    #[must_use]
    pub fn implements_any(mut self) -> Self
    where
        T: Subscriber,
    {
        self.recipe.any_interface = Some(|instance| {
            instance
                .downcast::<T>()
                .ok()
                .map(|subscriber| subscriber as _)
        });
        self
    }

    /// Makes a new instance for each event, as COM+ does.
    #[must_use]
    pub fn per_call(mut self) -> Self {
        self.recipe.policy = ComponentPolicy::PerCall;
        self
    }

    /// Returns the id.
    pub fn id(&self) -> ComponentId {
        self.recipe.id
    }

    pub(crate) fn into_recipe(self) -> Recipe {
        self.recipe
    }
}

impl<T> fmt::Debug for Component<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recipe.fmt(f)
    }
}

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
    fn must_be(&self, present: &Self) -> Result<(), Error> {
        let difference = if self.makes != present.makes {
            format!("makes {}, not {}", present.makes.name, self.makes.name)
        } else if self.policy != present.policy {
            format!("is {:?}, not {:?}", present.policy, self.policy)
        } else if self.offer() != present.offer() {
            "implements other interfaces".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("component {} is registered and {difference}", self.id);
        Err(Error::new(ErrorKind::AlreadyExists, message))
    }

    /// Returns the singleton, if it was made.
    pub(crate) fn instance(&self) -> Option<Instance> {
        self.instance.read().clone()
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

    fn make(&self, activation: &Activation<'_>) -> Result<Instance, ActivationError> {
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

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("type", &self.makes.name)
            .finish_non_exhaustive()
    }
}

/// The components of a broker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    recipes: RwLock<HashMap<ComponentId, Arc<Recipe>>>,
    making: Mutex<Making>,
    made: Condvar,
}

/// Which singletons are being made, and who waits for one: together the graph in which a cycle is a
/// deadlock.
#[derive(Debug, Default)]
struct Making {
    /// component -> the thread that runs its factory
    makers: HashMap<ComponentId, ThreadId>,
    /// thread -> the component that it waits for
    waiting: HashMap<ThreadId, ComponentId>,
}

impl Registry {
    /// Adds a component if `accept` says so; the same one again, by id, type, policy and interfaces,
    /// is a no-op.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if a component that differs has the id, and what `accept`
    /// returns, which is asked with no lock held.
    pub(crate) fn register(
        &self,
        recipe: Recipe,
        accept: impl FnOnce(&Recipe) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        if let Some(present) = self.get(recipe.id) {
            return recipe.must_be(&present).map(|()| false);
        }
        accept(&recipe)?;
        let mut recipes = self.recipes.write();
        let present = match recipes.entry(recipe.id) {
            Entry::Occupied(present) => Arc::clone(present.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(recipe));
                return Ok(true);
            }
        };
        drop(recipes);
        recipe.must_be(&present).map(|()| false)
    }

    /// Removes a component and returns it, for the caller to drop without a lock.
    pub(crate) fn unregister(&self, id: ComponentId) -> Option<Arc<Recipe>> {
        self.recipes.write().remove(&id)
    }

    pub(crate) fn get(&self, id: ComponentId) -> Option<Arc<Recipe>> {
        self.recipes.read().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Recipe>> {
        self.recipes.read().values().cloned().collect()
    }

    /// Takes all components out, for the caller to drop without a lock.
    pub(crate) fn clear(&self) -> HashMap<ComponentId, Arc<Recipe>> {
        std::mem::take(&mut *self.recipes.write())
    }

    /// Returns an instance by the component's policy, made now if it must be.
    pub(crate) fn activate(
        &self,
        recipe: &Recipe,
        activation: &Activation<'_>,
    ) -> Result<Instance, ActivationError> {
        if recipe.policy == ComponentPolicy::PerCall {
            return recipe.make(activation);
        }
        if let Some(instance) = recipe.instance() {
            return Ok(instance);
        }
        if let Some(instance) = self.enter(recipe)? {
            return Ok(instance);
        }
        let made = recipe.make(activation);
        if let Ok(instance) = &made {
            *recipe.instance.write() = Some(Arc::clone(instance));
        }
        self.making.lock().makers.remove(&recipe.id);
        self.made.notify_all();
        made
    }

    /// Becomes the maker of a singleton, or waits for another thread that is and returns its work.
    fn enter(&self, recipe: &Recipe) -> Result<Option<Instance>, ActivationError> {
        let me = thread::current().id();
        let mut making = self.making.lock();
        loop {
            if let Some(instance) = recipe.instance() {
                return Ok(Some(instance));
            }
            if let Entry::Vacant(vacant) = making.makers.entry(recipe.id) {
                vacant.insert(me);
                return Ok(None);
            }
            if making.leads_to(recipe.id, me) {
                return Err(ActivationError::Recursion(recipe.id));
            }
            making.waiting.insert(me, recipe.id);
            self.made.wait(&mut making);
            making.waiting.remove(&me);
        }
    }
}

impl Making {
    /// Returns whether the making of `component` waits, directly or through others, for `thread`.
    fn leads_to(&self, component: ComponentId, thread: ThreadId) -> bool {
        let mut next = Some(component);
        // Each step follows one waiting thread, so there are no more steps than those and one.
        for _ in 0..=self.waiting.len() {
            let Some(maker) = next.and_then(|component| self.makers.get(&component)) else {
                return false;
            };
            if *maker == thread {
                return true;
            }
            next = self.waiting.get(maker).copied();
        }
        false
    }
}
