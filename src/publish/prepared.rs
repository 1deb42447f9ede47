//! Subscriptions made ready for one interface.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::channel::Surroundings;
use super::facet::Facet;
use crate::component::{Activation, ActivationError, ComponentPolicy};
use crate::filter::{
    Filter, FilterError, Predicate, Scope, UndeclaredProperties, check, check_all,
};
use crate::model::{ComponentId, EventClass, Subscription};
use crate::value::{EventInterface, InterfaceId, InterfaceSchema, Invoker, Parameter, Subscriber};

/// A subscription as the broker lists it: the record, its parsed filter and its target.
pub(crate) struct SubscriptionEntry {
    pub(crate) record: Arc<Subscription>,
    pub(crate) name: Arc<str>,
    /// The place in store order.
    pub(crate) order: u64,
    pub(crate) filter: Option<Filter>,
    /// Why the record cannot be served, where that does not depend on the interface.
    pub(crate) defect: Option<String>,
    pub(crate) target: TargetSource,
}

/// Where the target of a subscription comes from.
pub(crate) enum TargetSource {
    Component(ComponentId),
    Moniker(String),
    Live(Arc<dyn LiveObject>),
}

/// A [`LiveTarget`] without its type.
pub(crate) trait LiveObject: Send + Sync + 'static {
    /// Returns the interface that the object implements, or `None` if it takes any.
    fn interface(&self) -> Option<InterfaceId>;

    /// Returns the object as an untyped subscriber, unless it is gone.
    fn untyped(&self) -> Option<Arc<dyn Subscriber>>;

    /// Returns whether the object may go away by itself.
    fn is_weak(&self) -> bool;

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

/// A subscription made ready for one interface: names resolved, target bound.
pub(crate) struct Prepared<I: ?Sized> {
    pub(crate) entry: Arc<SubscriptionEntry>,
    scope: Methods,
    /// The predicate of each method of the interface; empty without a filter.
    predicates: Vec<Predicate>,
    /// Why it is not called although it is stored and enabled.
    pub(crate) suspended: Option<String>,
    target: Bound<I>,
}

/// The methods that a subscription is bound to.
enum Methods {
    All,
    One(usize),
    /// The interface has no such method.
    None,
}

/// A target as far as it is known.
enum Bound<I: ?Sized> {
    Live(Arc<I>),
    Weak(Arc<dyn LiveObject>),
    /// A component, and the singleton once it was made.
    Component(ComponentId, OnceLock<Arc<I>>),
    Moniker(String),
    /// The live object implements another interface.
    Mismatch,
}

/// Who is to be called.
pub(crate) enum Resolved<I: ?Sized> {
    /// Ready from the start or from an earlier event.
    Ready(Arc<I>),
    /// A singleton that was first made, or first found, by this very call.
    First(Arc<I>),
    Gone,
    Failed(ActivationError),
}

impl SubscriptionEntry {
    /// Returns the key of the calling order: higher priority first, then store order.
    pub(crate) fn rank(&self) -> (std::cmp::Reverse<i32>, u64, crate::model::SubscriptionId) {
        (
            std::cmp::Reverse(self.record.priority()),
            self.order,
            self.record.id(),
        )
    }
}

impl<I: Facet + ?Sized> Prepared<I> {
    /// Makes a subscription ready; what does not fit suspends it.
    pub(crate) fn new(
        entry: Arc<SubscriptionEntry>,
        schema: &InterfaceSchema,
        class: &EventClass,
    ) -> Self {
        let scope = match entry.record.binding().method() {
            None => Methods::All,
            Some(name) => schema
                .method(name)
                .map_or(Methods::None, |(i, _)| Methods::One(i)),
        };
        let mut suspended = entry.defect.clone();
        let mut predicates = Vec::new();
        if let (Some(filter), None) = (&entry.filter, &suspended) {
            match check_filter(filter, &entry.record, schema, class) {
                Ok(checked) => predicates = checked,
                Err(error) => suspended = Some(error.to_string()),
            }
        }
        let target = Bound::new(&entry.target, schema.id());
        if matches!(target, Bound::Mismatch) && suspended.is_none() {
            suspended = Some("the object implements another interface".to_owned());
        }
        Self {
            entry,
            scope,
            predicates,
            suspended,
            target,
        }
    }

    /// Returns who is to be called, making it if necessary.
    pub(crate) fn resolve(&self, around: &Surroundings, schema: &InterfaceSchema) -> Resolved<I> {
        let failed = Resolved::Failed;
        match &self.target {
            Bound::Live(target) => Resolved::Ready(Arc::clone(target)),
            Bound::Weak(weak) => upgrade(weak.as_ref()).map_or(Resolved::Gone, Resolved::Ready),
            Bound::Component(id, made) => match made.get() {
                Some(target) => Resolved::Ready(Arc::clone(target)),
                None => self.activate(*id, made, around, schema),
            },
            Bound::Moniker(text) => failed(ActivationError::Unresolved(text.clone())),
            Bound::Mismatch => Resolved::Gone,
        }
    }

    fn activate(
        &self,
        id: ComponentId,
        made: &OnceLock<Arc<I>>,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<I> {
        let Some(recipe) = around.registry.get(id) else {
            return Resolved::Failed(ActivationError::NotRegistered(id));
        };
        let record = &self.entry.record;
        let activation = Activation::new(
            id,
            record.id(),
            record.for_subscriber(),
            around.host.as_ref(),
        );
        let target = around
            .registry
            .activate(&recipe, &activation)
            .and_then(|instance| I::cast(&recipe, instance, schema));
        match target {
            Ok(target) if recipe.policy() == ComponentPolicy::PerCall => Resolved::Ready(target),
            Ok(target) => Resolved::First(Arc::clone(made.get_or_init(|| target))),
            Err(error) => Resolved::Failed(error),
        }
    }

    /// Takes over a singleton that was made for another subscription.
    pub(crate) fn adopt(&self, around: &Surroundings, schema: &InterfaceSchema) {
        let Bound::Component(id, made) = &self.target else {
            return;
        };
        if made.get().is_some() {
            return;
        }
        let Some(recipe) = around.registry.get(*id) else {
            return;
        };
        let Some(instance) = recipe.instance() else {
            return;
        };
        if let Ok(target) = I::cast(&recipe, instance, schema) {
            made.get_or_init(|| target);
        }
    }

    /// Returns why the component cannot be had, as far as that is known without making it.
    pub(crate) fn obstacle(
        &self,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Option<String> {
        match &self.target {
            Bound::Component(id, made) if made.get().is_none() => match around.registry.get(*id) {
                None => Some(ActivationError::NotRegistered(*id).to_string()),
                Some(recipe) if !recipe.offers(schema.id()) => Some(
                    ActivationError::NotImplemented {
                        component: *id,
                        interface: schema.name().to_owned(),
                    }
                    .to_string(),
                ),
                Some(_) => None,
            },
            Bound::Moniker(text) => Some(ActivationError::Unresolved(text.clone()).to_string()),
            Bound::Weak(weak) if upgrade::<I>(weak.as_ref()).is_none() => {
                Some("the subscriber is gone".to_owned())
            }
            _ => None,
        }
    }
}

impl<I: ?Sized> Prepared<I> {
    /// Returns whether the subscription is bound to `method`.
    pub(crate) fn is_bound_to(&self, method: usize) -> bool {
        match self.scope {
            Methods::All => true,
            Methods::One(index) => index == method,
            Methods::None => false,
        }
    }

    /// Returns whether the subscription has a part in fires of `method`.
    pub(crate) fn is_called_for(&self, method: usize) -> bool {
        self.entry.record.is_enabled() && self.is_bound_to(method)
    }

    /// Returns the filter on `method`.
    pub(crate) fn predicate(&self, method: usize) -> Option<&Predicate> {
        self.predicates.get(method)
    }

    /// Returns whether delivery depends on the time of day.
    pub(crate) fn is_timed(&self) -> bool {
        self.entry.record.not_before().is_some() || self.entry.record.expires().is_some()
    }

    /// Returns whether the event comes too early.
    pub(crate) fn is_early(&self, now: SystemTime) -> bool {
        self.entry
            .record
            .not_before()
            .is_some_and(|from| now < from)
    }

    /// Returns whether the subscription is over.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.entry
            .record
            .expires()
            .is_some_and(|until| now >= until)
    }

    /// Returns the target, if nothing is left to check before a call of `method`.
    pub(crate) fn ready(&self, method: usize) -> Option<Arc<I>> {
        if self.suspended.is_some() || self.is_timed() || self.predicate(method).is_some() {
            return None;
        }
        match &self.target {
            Bound::Live(target) => Some(Arc::clone(target)),
            Bound::Component(_, made) => made.get().cloned(),
            _ => None,
        }
    }
}

impl<I: Facet + ?Sized> Bound<I> {
    fn new(source: &TargetSource, interface: InterfaceId) -> Self {
        let live = match source {
            TargetSource::Component(id) => return Self::Component(*id, OnceLock::new()),
            TargetSource::Moniker(text) => return Self::Moniker(text.clone()),
            TargetSource::Live(live) => live,
        };
        if live.interface().is_some_and(|other| other != interface) {
            return Self::Mismatch;
        }
        if live.is_weak() {
            return Self::Weak(Arc::clone(live));
        }
        upgrade(live.as_ref()).map_or(Self::Mismatch, Self::Live)
    }
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
fn upgrade<I: Facet + ?Sized>(live: &dyn LiveObject) -> Option<Arc<I>> {
    match live.as_any().downcast_ref::<LiveTarget<I>>() {
        Some(target) => target.upgrade(),
        None => live.untyped().map(I::from_untyped),
    }
}

/// Checks the filter of a subscription against the methods that it is bound to, and returns a
/// predicate for each method of the interface.
pub(crate) fn check_filter(
    filter: &Filter,
    record: &Subscription,
    schema: &InterfaceSchema,
    class: &EventClass,
) -> Result<Vec<Predicate>, FilterError> {
    let properties = class.properties().iter();
    let declared: Vec<_> = properties
        .map(|p| Parameter::new(p.name(), p.value_type().clone()))
        .collect();
    let others = if class.has_open_properties() {
        UndeclaredProperties::Open
    } else {
        UndeclaredProperties::Refused
    };
    let scope = |method| {
        Scope::for_method(method)
            .with_publisher(&declared, others)
            .with_subscription(record.for_publisher())
    };
    let Some(name) = record.binding().method() else {
        let scopes: Vec<_> = schema.methods().iter().map(scope).collect();
        return check_all(filter, &scopes);
    };
    let Some((index, method)) = schema.method(name) else {
        return Ok(Vec::new());
    };
    let predicate = check(filter, &scope(method))?;
    // The vector is indexed by method; those that the subscription is not bound to are never asked.
    Ok(vec![predicate; index + 1])
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

impl fmt::Debug for SubscriptionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionEntry")
            .field("record", &self.record)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
