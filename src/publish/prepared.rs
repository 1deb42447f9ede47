//! Subscriptions made ready for one interface.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::channel::Surroundings;
use super::facet::Facet;
use super::live::{LiveObject, upgrade};
use super::site::{Predicates, Sites};
use crate::component::{Activated, Activation, ActivationError, Lease, Recipe};
use crate::filter::{Filter, Predicate};
use crate::model::{ComponentId, Subscription, SubscriptionId};
use crate::value::InterfaceSchema;

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

/// A subscription made ready for one interface: names resolved, target bound.
pub(crate) struct Prepared<I: ?Sized> {
    /// The id in the entry's record, where a fire reads it without another pointer.
    pub(crate) id: SubscriptionId,
    /// Whether a fire has anything to ask before the call but the filter, read where the id is.
    conditional: bool,
    target: Bound<I>,
    pub(crate) entry: Arc<SubscriptionEntry>,
    compiled: Arc<Compiled>,
}

/// What of a subscription depends on the interface and not on who receives.
struct Compiled {
    scope: Methods,
    /// The filter on each method; empty without one.
    predicates: Predicates,
    /// Why it is not called although it is stored and enabled.
    suspended: Option<String>,
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
    Component(BoundComponent<I>),
    Moniker(String),
    /// The live object implements another interface.
    Mismatch,
}

/// A component as it was registered when the subscription was made ready: it is made from that, and
/// needs no broker.
struct BoundComponent<I: ?Sized> {
    id: ComponentId,
    recipe: Option<Arc<Recipe>>,
    /// The singleton, once made.
    made: OnceLock<Arc<I>>,
}

/// Who is to be called.
pub(crate) enum Resolved<'a, I: ?Sized> {
    /// Ready from the start or from an earlier event.
    Ready(&'a I),
    /// A singleton that was first made, or first found, by this very call.
    First(&'a I),
    /// For this call alone; the lease ends when it is dropped, after the target.
    Once(Arc<I>, Lease),
    Gone,
    Failed(ActivationError),
}

/// The key of the calling order.
pub(crate) type Rank = (Reverse<i32>, u64, SubscriptionId);

impl SubscriptionEntry {
    /// Returns the key of the calling order: higher priority first, then store order.
    pub(crate) fn rank(&self) -> Rank {
        (
            Reverse(self.record.priority()),
            self.order,
            self.record.id(),
        )
    }

    fn is_timed(&self) -> bool {
        self.record.not_before().is_some() || self.record.expires().is_some()
    }
}

impl<I: Facet + ?Sized> Prepared<I> {
    /// Makes a subscription ready for the site; what does not fit suspends it.
    pub(crate) fn new(entry: Arc<SubscriptionEntry>, sites: &Sites, around: &Surroundings) -> Self {
        let schema = &sites.here.schema;
        let target = Bound::new(&entry.target, schema, around);
        let mut compiled = Compiled::new(&entry, sites);
        if matches!(target, Bound::Mismatch) && compiled.suspended.is_none() {
            compiled.suspended = Some("the object implements another interface".to_owned());
        }
        Self {
            id: entry.record.id(),
            conditional: compiled.suspended.is_some() || entry.is_timed(),
            target,
            entry,
            compiled: Arc::new(compiled),
        }
    }

    /// Returns the same subscription with its target bound anew.
    pub(crate) fn rebound(&self, schema: &InterfaceSchema, around: &Surroundings) -> Self {
        Self {
            id: self.id,
            conditional: self.conditional,
            target: Bound::new(&self.entry.target, schema, around),
            entry: Arc::clone(&self.entry),
            compiled: Arc::clone(&self.compiled),
        }
    }

    /// Returns who is to be called, making it if necessary.
    pub(crate) fn resolve(
        &self,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<'_, I> {
        match &self.target {
            Bound::Live(target) => Resolved::Ready(target),
            Bound::Weak(weak) => upgrade(weak.as_ref()).map_or(Resolved::Gone, |target| {
                Resolved::Once(target, Lease::none())
            }),
            Bound::Component(component) => match component.made.get() {
                Some(target) => Resolved::Ready(target),
                None => component.activate(&self.entry.record, around, schema),
            },
            Bound::Moniker(text) => Resolved::Failed(ActivationError::Unresolved(text.clone())),
            Bound::Mismatch => Resolved::Gone,
        }
    }

    /// Takes over a singleton that was made for another subscription.
    pub(crate) fn adopt(&self, schema: &InterfaceSchema) {
        if let Bound::Component(component) = &self.target {
            component.adopt(schema);
        }
    }

    /// Returns why nobody could be called, as far as that is known without making a component.
    pub(crate) fn obstacle(&self, schema: &InterfaceSchema) -> Option<String> {
        match &self.target {
            Bound::Component(component) => component.obstacle(schema).map(|e| e.to_string()),
            Bound::Moniker(text) => Some(ActivationError::Unresolved(text.clone()).to_string()),
            Bound::Weak(weak) if upgrade::<I>(weak.as_ref()).is_none() => {
                Some("the subscriber is gone".to_owned())
            }
            _ => None,
        }
    }
}

impl Compiled {
    fn new(entry: &SubscriptionEntry, sites: &Sites) -> Self {
        let schema = &sites.here.schema;
        let scope = match entry.record.binding().method() {
            None => Methods::All,
            Some(name) => schema
                .method(name)
                .map_or(Methods::None, |(i, _)| Methods::One(i)),
        };
        let mut suspended = entry.defect.clone();
        let mut predicates = Predicates::new();
        if let (Some(filter), None) = (&entry.filter, &suspended) {
            match sites.compile(filter, &entry.record) {
                Ok(compiled) => predicates = compiled,
                Err(error) => suspended = Some(error.to_string()),
            }
        }
        Self {
            scope,
            predicates,
            suspended,
        }
    }
}

impl<I: Facet + ?Sized> BoundComponent<I> {
    fn activate(
        &self,
        record: &Subscription,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<'_, I> {
        self.try_activate(record, around, schema)
            .unwrap_or_else(Resolved::Failed)
    }

    fn try_activate(
        &self,
        record: &Subscription,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Result<Resolved<'_, I>, ActivationError> {
        let recipe = self.recipe.as_ref();
        let recipe = recipe.ok_or(ActivationError::NotRegistered(self.id))?;
        let activation = Activation::new(
            self.id,
            record.id(),
            record.for_subscriber(),
            around.host.as_ref(),
        );
        Ok(match around.registry.activate(recipe, &activation)? {
            Activated::Kept(instance) => {
                let target = I::cast(recipe, instance, schema)?;
                Resolved::First(self.made.get_or_init(|| target))
            }
            Activated::Once(instance, lease) => {
                Resolved::Once(I::cast(recipe, instance, schema)?, lease)
            }
        })
    }

    fn adopt(&self, schema: &InterfaceSchema) {
        let made = self.recipe.as_ref().filter(|_| self.made.get().is_none());
        let Some((recipe, instance)) = made.and_then(|recipe| Some((recipe, recipe.instance()?)))
        else {
            return;
        };
        if let Ok(target) = I::cast(recipe, instance, schema) {
            self.made.get_or_init(|| target);
        }
    }

    fn obstacle(&self, schema: &InterfaceSchema) -> Option<ActivationError> {
        match &self.recipe {
            None => Some(ActivationError::NotRegistered(self.id)),
            Some(recipe) if !recipe.offers(schema.id()) => Some(ActivationError::NotImplemented {
                component: self.id,
                interface: schema.name().to_owned(),
            }),
            Some(_) => None,
        }
    }
}

impl<I: ?Sized> Prepared<I> {
    /// Returns whether the subscription is bound to `method`.
    pub(crate) fn is_bound_to(&self, method: usize) -> bool {
        match self.compiled.scope {
            Methods::All => true,
            Methods::One(index) => index == method,
            Methods::None => false,
        }
    }

    /// Returns whether the subscription has a part in fires of `method`.
    pub(crate) fn is_called_for(&self, method: usize) -> bool {
        self.entry.record.is_enabled() && self.is_bound_to(method)
    }

    /// Returns why it is not called although it is stored and enabled.
    pub(crate) fn suspended(&self) -> Option<&str> {
        self.compiled.suspended.as_deref()
    }

    /// Returns whether an event must pass a filter to reach it.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.compiled.predicates.is_empty() && self.entry.record.is_enabled()
    }

    /// Returns the filters and their methods.
    pub(crate) fn predicates(&self) -> &[(usize, Predicate)] {
        &self.compiled.predicates
    }

    /// Returns whether the target is this component.
    pub(crate) fn is_component(&self, id: ComponentId) -> bool {
        matches!(&self.target, Bound::Component(component) if component.id == id)
    }

    /// Returns the filter on `method`.
    pub(crate) fn predicate(&self, method: usize) -> Option<&Predicate> {
        let mut predicates = self.compiled.predicates.iter();
        predicates
            .find(|(of, _)| *of == method)
            .map(|(_, predicate)| predicate)
    }

    /// Returns whether it may be suspended or out of its time, so that a fire has to ask.
    #[inline]
    pub(crate) fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// Returns whether delivery depends on the time of day.
    pub(crate) fn is_timed(&self) -> bool {
        self.entry.is_timed()
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
        if self.suspended().is_some() || self.is_timed() || self.predicate(method).is_some() {
            return None;
        }
        match &self.target {
            Bound::Live(target) => Some(Arc::clone(target)),
            Bound::Component(component) => component.made.get().cloned(),
            _ => None,
        }
    }
}

impl<I: Facet + ?Sized> Bound<I> {
    fn new(source: &TargetSource, schema: &InterfaceSchema, around: &Surroundings) -> Self {
        let live = match source {
            TargetSource::Component(id) => {
                let component = BoundComponent {
                    id: *id,
                    recipe: around.registry.get(*id),
                    made: OnceLock::new(),
                };
                component.adopt(schema);
                return Self::Component(component);
            }
            TargetSource::Moniker(text) => return Self::Moniker(text.clone()),
            TargetSource::Live(live) => live,
        };
        if live.interface().is_some_and(|other| other != schema.id()) {
            return Self::Mismatch;
        }
        if live.is_weak() {
            return Self::Weak(Arc::clone(live));
        }
        upgrade(live.as_ref()).map_or(Self::Mismatch, Self::Live)
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
