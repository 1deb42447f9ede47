//! From a component's id to how one is made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::lease::{Activated, Lease};
use super::making::Makers;
use super::recipe::{Instance, Keeping, Recipe};
use super::sweeper::Sweeper;
use super::{Activation, ActivationError};
use crate::clock::Clock;
use crate::error::Error;
use crate::model::ComponentId;
use crate::sync::RwLock;

/// The components of a broker.
#[derive(Debug)]
pub(crate) struct Registry {
    recipes: RwLock<HashMap<ComponentId, Arc<Recipe>>>,
    makers: Makers,
    sweeper: Arc<Sweeper>,
}

impl Registry {
    /// Returns a registry without components, whose pools and idle times go by this clock.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            recipes: RwLock::default(),
            makers: Makers::default(),
            sweeper: Sweeper::new(clock),
        }
    }

    /// Adds a component if `accept` says so; the same one again, by id, type, policy and
    /// interfaces, is a no-op.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if instances cannot be kept as the policy says,
    /// [`ErrorKind::AlreadyExists`] if a component that differs has the id, and what `accept`
    /// returns, which is asked with no lock held.
    pub(crate) fn register(
        &self,
        mut recipe: Recipe,
        accept: impl FnOnce(&Recipe) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        if let Some(present) = self.get(recipe.id()) {
            return recipe.must_be(&present).map(|()| false);
        }
        recipe.settle(&self.sweeper)?;
        accept(&recipe)?;
        let mut recipes = self.recipes.write();
        let present = match recipes.entry(recipe.id()) {
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

    /// Returns whether a component is registered, and holds none: whoever drops the last hold drops
    /// the user's factory.
    pub(crate) fn has(&self, id: ComponentId) -> bool {
        self.recipes.read().contains_key(&id)
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
    ) -> Result<Activated, ActivationError> {
        let make = || recipe.make(activation);
        match recipe.keeping() {
            Keeping::Nothing => make().map(|made| Activated::Once(made, Lease::none())),
            Keeping::Singleton(cell) => {
                let present = || cell.read().clone();
                let keep = |made: Instance| {
                    *cell.write() = Some(Arc::clone(&made));
                    made
                };
                let one = self.makers.one(recipe.id(), present, || make().map(keep));
                one.map(Activated::Kept)
            }
            Keeping::Shared(shared) => {
                let keep = |made| shared.begin_with(made);
                let present = || shared.begin();
                let one = self.makers.one(recipe.id(), present, || make().map(keep));
                one.map(|(instance, held)| Activated::Once(instance, Lease::of_shared(held)))
            }
            Keeping::Pool(shelf) => {
                let lent = shelf.lend(&make);
                lent.map(|(instance, held)| Activated::Once(instance, Lease::of_pooled(held)))
            }
        }
    }
}
