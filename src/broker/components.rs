//! Components as the broker sees them.

use super::Broker;
use super::classes::claim;
use crate::component::{Component, ComponentPolicy, Recipe};
use crate::error::Result;
use crate::model::{ComponentId, Target};
use crate::publish::Upcaster;

/// One component: registered here, named by subscriptions, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentStatus {
    id: ComponentId,
    name: Option<String>,
    availability: Availability,
    subscriptions: usize,
}

/// Whether events can be delivered to a component now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Availability {
    /// Subscriptions name it, but this program has not registered it.
    Missing,
    /// It is registered, and made when an event needs it.
    Registered(ComponentPolicy),
    /// There are instances now: the singleton, or some of a pool.
    Active,
}

impl Broker {
    /// Registers a component. The same one again, by id, type, policy, idle time-out and
    /// interfaces, is a no-op; a subscription that named it before is served from now on.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if its pool can have no instances or has a minimum
    /// above its maximum, or if it is made for each call and has an idle time-out;
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a component of another type, policy or
    /// idle time-out, or with other interfaces, has the id, or another Rust type has claimed the id
    /// of one of its interfaces, and then nothing was registered;
    /// [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    pub fn register_component<T>(&self, component: Component<T>) -> Result<()>
    where
        T: Send + Sync + 'static,
    {
        self.core.check_open()?;
        let recipe = component.into_recipe();
        let id = recipe.id();
        let claim_all = |recipe: &Recipe| {
            recipe
                .interfaces()
                .try_for_each(|(schema, rust_type)| claim(&self.core.wiring, schema, rust_type))
        };
        if self.core.registry.register(recipe, claim_all)? {
            self.core.wiring.rebind(id);
        }
        Ok(())
    }

    /// Has an upcaster asked about stored events that the subscriber's interface, as it is now,
    /// does not have.
    ///
    /// Register upcasters before the components that receive the events, and each is there before
    /// it is needed: what is for a component that is not registered waits. An event that became a
    /// dead letter before is not asked about again by itself; [`replay`](Self::replay) it. There
    /// may be several for one interface, asked in the order in which they were registered.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    pub fn register_upcaster(&self, upcaster: Upcaster) -> Result<()> {
        self.core.check_open()?;
        self.core.around.upcasters.add(upcaster);
        Ok(())
    }

    /// Removes a component and returns whether there was one. Its instances are dropped when the
    /// last fire that may use them is over; subscriptions that name it stay, and fail until it is
    /// back.
    pub fn unregister_component(&self, id: impl Into<ComponentId>) -> bool {
        let id = id.into();
        let removed = self.core.registry.unregister(id);
        if removed.is_some() {
            self.core.wiring.rebind(id);
        }
        removed.is_some()
    }

    /// Returns every component that is registered or that a subscription names, by id.
    pub fn components(&self) -> Vec<ComponentStatus> {
        let mut named = std::collections::BTreeMap::new();
        self.core.wiring.with(|state, _| {
            for entry in state.subscriptions.iter() {
                if let Target::Component(id) = entry.record.target() {
                    *named.entry(*id).or_insert(0) += 1;
                }
            }
        });
        let registered = self.core.registry.all();
        for recipe in &registered {
            named.entry(recipe.id()).or_insert(0);
        }
        let status = |(id, subscriptions)| {
            let recipe = registered.iter().find(|recipe| recipe.id() == id);
            let availability = match recipe {
                None => Availability::Missing,
                Some(recipe) if recipe.is_active() => Availability::Active,
                Some(recipe) => Availability::Registered(recipe.policy()),
            };
            let name = recipe.and_then(|recipe| recipe.name()).map(str::to_owned);
            ComponentStatus {
                id,
                name,
                availability,
                subscriptions,
            }
        };
        named.into_iter().map(status).collect()
    }
}

impl ComponentStatus {
    /// Returns the id.
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Returns the name under which it was registered, if it was registered by a name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether events can be delivered to it now.
    pub fn availability(&self) -> Availability {
        self.availability
    }

    /// Returns how many subscriptions name it.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions
    }
}
