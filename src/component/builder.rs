//! A component as a program describes it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::policy::Pool;
use super::recipe::{Cast, Caster, Keeping, Recipe};
use super::{Activation, ComponentPolicy};
use crate::model::ComponentId;
use crate::value::{ImplementedBy, Invoker, RustType, Subscriber, SubscriberError};

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
/// component that holds a publisher of a class whose events reach it, directly or through others,
/// is a circle that nobody breaks: publishers hold their class, and the class holds its
/// subscribers. It is dropped when it is unregistered, or subscribed no more.
#[doc(alias = "CLSID")]
pub struct Component<T> {
    recipe: Recipe,
    marker: std::marker::PhantomData<fn() -> T>,
}

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
            idle: None,
            keeping: Keeping::default(),
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

    /// Lends one of several instances to each event, as COM+ pools objects; [`Pool`] says how many
    /// there are and what happens when all are busy.
    ///
    /// What an instance remembers is there at its next event, which may be of another subscription
    /// than the one that its factory was told of.
    #[must_use]
    #[doc(alias("object pooling", "ObjectPoolingEnabled"))]
    pub fn pooled(mut self, pool: Pool) -> Self {
        self.recipe.policy = ComponentPolicy::Pooled(pool);
        self
    }

    /// Drops an instance that no event has used for this long: the singleton, or what a pool has
    /// above its minimum. The next event that needs one has it made anew.
    ///
    /// An instance in a call is in use, however long that takes. The time is that of a clock which
    /// does not go back, and begins when a call ends. Instances are dropped on a thread of the
    /// broker's, which is there only while one is idle; a `Drop` that blocks keeps the others
    /// waiting. The time also goes on when the broker is closed and publishers still fire.
    ///
    /// A singleton with a time-out is looked up for each event, where one without is remembered and
    /// called directly. A component that is made for each call has nothing that could be idle, and
    /// cannot be registered with a time-out.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.recipe.idle = Some(timeout);
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
