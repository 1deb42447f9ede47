//! From a component's id to how one is made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex, RwLock};

use super::lease::{Activated, Lease};
use super::making::Making;
use super::recipe::{Instance, Recipe};
use super::{Activation, ActivationError, ComponentPolicy};
use crate::error::Error;
use crate::model::ComponentId;

/// The components of a broker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    recipes: RwLock<HashMap<ComponentId, Arc<Recipe>>>,
    making: Mutex<Making>,
    made: Condvar,
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
    ) -> Result<Activated, ActivationError> {
        if recipe.policy == ComponentPolicy::PerCall {
            let made = recipe.make(activation);
            return made.map(|instance| Activated::Once(instance, Lease::none()));
        }
        self.singleton(recipe, activation).map(Activated::Kept)
    }

    fn singleton(
        &self,
        recipe: &Recipe,
        activation: &Activation<'_>,
    ) -> Result<Instance, ActivationError> {
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
