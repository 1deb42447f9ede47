//! Who receives, as far as it is known before an event.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::inbox::Inbox;
use super::live::{LiveObject, upgrade};
use super::post::Post;
use super::surroundings::Surroundings;
use crate::component::{Activated, Activation, ActivationError, Lease, Recipe};
use crate::model::{ComponentId, Subscription, Target};
use crate::value::InterfaceSchema;

/// A target as far as it is known.
pub(super) enum Bound<I: ?Sized> {
    Live(Arc<I>),
    Weak(Arc<dyn LiveObject>),
    Component(Arc<BoundComponent<I>>),
    /// Another one, which is called when its subscription's policy says so.
    Post(Arc<Post<I>>),
    /// A live object that comes for its events; behind a post.
    Inbox(Arc<Inbox>),
    Moniker,
    /// The live object implements another interface.
    Mismatch,
}

/// A component as it was registered when the first subscription of it was made ready: it is made
/// from that, and needs no broker.
pub(super) struct BoundComponent<I: ?Sized> {
    id: ComponentId,
    recipe: Option<Arc<Recipe>>,
    /// The singleton, once made.
    made: OnceLock<Arc<I>>,
}

/// The components of a channel's subscriptions, each bound once for all of them.
pub(super) struct Components<I: ?Sized>(HashMap<ComponentId, Weak<BoundComponent<I>>>);

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

impl<I: Facet + ?Sized> Bound<I> {
    pub(super) fn new(
        entry: &SubscriptionEntry,
        schema: &InterfaceSchema,
        around: &Surroundings,
        components: &mut Components<I>,
    ) -> Self {
        let live = match (entry.record.target(), &entry.live) {
            (Target::Component(id), _) => {
                return Self::of_component(*id, schema, around, components);
            }
            (Target::Moniker(_), _) | (Target::Object, None) => return Self::Moniker,
            (Target::Object, Some(live)) => live,
        };
        if live.interface().is_some_and(|other| other != schema.id()) {
            return Self::Mismatch;
        }
        if let Some(inbox) = live.inbox() {
            return Self::Inbox(Arc::clone(inbox));
        }
        if live.is_weak() {
            return Self::Weak(Arc::clone(live));
        }
        upgrade(live.as_ref()).map_or(Self::Mismatch, Self::Live)
    }

    /// Returns a component as it is registered now.
    pub(super) fn of_component(
        id: ComponentId,
        schema: &InterfaceSchema,
        around: &Surroundings,
        components: &mut Components<I>,
    ) -> Self {
        Self::Component(components.bound(id, schema, around))
    }

    /// Returns who is to be called, making it if necessary.
    pub(super) fn resolve(
        &self,
        record: &Subscription,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<'_, I> {
        match self {
            Self::Live(target) => Resolved::Ready(target),
            Self::Component(component) => match component.made.get() {
                Some(target) => Resolved::Ready(target),
                None => component.activate(record, around, schema),
            },
            Self::Weak(weak) => match upgrade(weak.as_ref()) {
                Some(target) => Resolved::Once(target, Lease::none()),
                None => Resolved::Gone,
            },
            Self::Post(post) => post.target().resolve(record, around, schema),
            Self::Moniker => Resolved::Failed(unresolved(record)),
            Self::Inbox(_) | Self::Mismatch => Resolved::Gone,
        }
    }

    /// Returns the target, if it is ready to be called.
    pub(super) fn ready(&self) -> Option<&Arc<I>> {
        match self {
            Self::Live(target) => Some(target),
            Self::Component(component) => component.made.get(),
            _ => None,
        }
    }

    /// Takes over a singleton that was made by another channel.
    pub(super) fn adopt(&self, schema: &InterfaceSchema) {
        match self {
            Self::Component(component) => component.adopt(schema),
            Self::Post(post) => post.target().adopt(schema),
            _ => {}
        }
    }

    /// Returns `target` behind what this one is behind of.
    pub(super) fn over(&self, target: Self) -> Self {
        match self {
            Self::Post(post) => Self::Post(post.rebound(target)),
            _ => target,
        }
    }

    /// Returns why nobody could be called, as far as that is known without making a component.
    pub(super) fn obstacle(
        &self,
        record: &Subscription,
        schema: &InterfaceSchema,
    ) -> Option<String> {
        match self {
            Self::Component(component) => component.obstacle(schema).map(|e| e.to_string()),
            Self::Post(post) => post.target().obstacle(record, schema),
            Self::Moniker => Some(unresolved(record).to_string()),
            Self::Weak(weak) if upgrade::<I>(weak.as_ref()).is_none() => {
                Some("the subscriber is gone".to_owned())
            }
            _ => None,
        }
    }

    /// Returns whether there is somebody to call, now or once made.
    pub(super) fn is_there(&self, schema: &InterfaceSchema) -> bool {
        match self {
            Self::Live(_) | Self::Weak(_) | Self::Inbox(_) => true,
            Self::Component(component) => component.obstacle(schema).is_none(),
            Self::Post(post) => post.target().is_there(schema),
            Self::Moniker | Self::Mismatch => false,
        }
    }
}

impl<I: ?Sized> Bound<I> {
    /// Returns where the target lies: of the same the same, as long as somebody has it.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::Live(target) => Arc::as_ptr(target).addr(),
            Self::Weak(weak) => Arc::as_ptr(weak).addr(),
            Self::Component(component) => Arc::as_ptr(component).addr(),
            Self::Post(post) => Arc::as_ptr(post).addr(),
            Self::Inbox(inbox) => Arc::as_ptr(inbox).addr(),
            Self::Moniker | Self::Mismatch => 0,
        }
    }

    /// Returns whether it is this component.
    pub(super) fn is_component(&self, id: ComponentId) -> bool {
        match self {
            Self::Component(component) => component.id == id,
            Self::Post(post) => post.target().is_component(id),
            _ => false,
        }
    }

    /// Returns whether both are one target.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Live(one), Self::Live(other)) => Arc::ptr_eq(one, other),
            (Self::Weak(one), Self::Weak(other)) => Arc::ptr_eq(one, other),
            (Self::Component(one), Self::Component(other)) => Arc::ptr_eq(one, other),
            (Self::Post(one), Self::Post(other)) => Arc::ptr_eq(one, other),
            (Self::Inbox(one), Self::Inbox(other)) => Arc::ptr_eq(one, other),
            (Self::Moniker, Self::Moniker) | (Self::Mismatch, Self::Mismatch) => true,
            _ => false,
        }
    }
}

impl<I: ?Sized> Clone for Bound<I> {
    fn clone(&self) -> Self {
        match self {
            Self::Live(target) => Self::Live(Arc::clone(target)),
            Self::Weak(weak) => Self::Weak(Arc::clone(weak)),
            Self::Component(component) => Self::Component(Arc::clone(component)),
            Self::Post(post) => Self::Post(Arc::clone(post)),
            Self::Inbox(inbox) => Self::Inbox(Arc::clone(inbox)),
            Self::Moniker => Self::Moniker,
            Self::Mismatch => Self::Mismatch,
        }
    }
}

impl<I: Facet + ?Sized> Components<I> {
    /// Returns the component, bound now if no subscription of it is left.
    fn bound(
        &mut self,
        id: ComponentId,
        schema: &InterfaceSchema,
        around: &Surroundings,
    ) -> Arc<BoundComponent<I>> {
        if let Some(bound) = self.0.get(&id).and_then(Weak::upgrade) {
            return bound;
        }
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, bound| bound.strong_count() > 0);
            // Looked through again only when it has doubled.
            self.0.reserve(self.0.len() + 1);
        }
        let bound = Arc::new(BoundComponent {
            id,
            recipe: around.registry.get(id),
            made: OnceLock::new(),
        });
        bound.adopt(schema);
        self.0.insert(id, Arc::downgrade(&bound));
        bound
    }

    /// Forgets the component, since it came or went: who asks next gets it as it is then. Returns
    /// whether a subscription has it.
    pub(super) fn forget(&mut self, id: ComponentId) -> bool {
        let bound = self.0.remove(&id);
        bound.is_some_and(|bound| bound.strong_count() > 0)
    }
}

impl<I: ?Sized> Default for Components<I> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Facet + ?Sized> BoundComponent<I> {
    fn activate(
        &self,
        record: &Subscription,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<'_, I> {
        let Some(recipe) = &self.recipe else {
            return Resolved::Failed(ActivationError::NotRegistered(self.id));
        };
        let activation = Activation::new(
            self.id,
            record.id(),
            record.for_subscriber(),
            around.host.as_ref(),
        );
        let cast = |instance| I::cast(recipe, instance, schema);
        let activated = match around.registry.activate(recipe, &activation) {
            Ok(Activated::Kept(instance)) => {
                cast(instance).map(|it| Resolved::First(&**self.made.get_or_init(|| it)))
            }
            Ok(Activated::Once(instance, lease)) => {
                cast(instance).map(|it| Resolved::Once(it, lease))
            }
            Err(error) => Err(error),
        };
        activated.unwrap_or_else(Resolved::Failed)
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

fn unresolved(record: &Subscription) -> ActivationError {
    let text = match record.target() {
        Target::Moniker(moniker) => moniker.to_string(),
        _ => String::new(),
    };
    ActivationError::Unresolved(text)
}
