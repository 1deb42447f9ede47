//! Singletons while they are made.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{ActivationError, Strand};
use crate::model::ComponentId;
use crate::sync::{Condvar, Mutex};

/// Sees to it that of each singleton there is one, however many threads need it first.
#[derive(Debug, Default)]
pub(super) struct Makers {
    making: Mutex<Making>,
    made: Condvar,
}

/// Which singletons are being made, and who waits for one: together the graph in which a cycle is a
/// deadlock.
#[derive(Debug, Default)]
struct Making {
    /// component -> the strand that runs its factory
    makers: HashMap<ComponentId, Strand>,
    /// strand -> the component that it waits for
    waiting: HashMap<Strand, ComponentId>,
}

impl Makers {
    /// Returns what `present` finds, and otherwise what one thread makes while others wait for it.
    /// `make` has `present` find it before it returns.
    pub(super) fn one<T>(
        &self,
        component: ComponentId,
        present: impl Fn() -> Option<T>,
        make: impl FnOnce() -> Result<T, ActivationError>,
    ) -> Result<T, ActivationError> {
        if let Some(instance) = present() {
            return Ok(instance);
        }
        if let Some(instance) = self.enter(component, present)? {
            return Ok(instance);
        }
        let made = make();
        self.making.lock().makers.remove(&component);
        self.made.notify_all();
        made
    }

    /// Becomes the maker of a singleton, or waits for another thread that is and returns its work.
    fn enter<T>(
        &self,
        component: ComponentId,
        present: impl Fn() -> Option<T>,
    ) -> Result<Option<T>, ActivationError> {
        let me = Strand::current();
        let mut making = self.making.lock();
        loop {
            if let Some(instance) = present() {
                return Ok(Some(instance));
            }
            if let Entry::Vacant(vacant) = making.makers.entry(component) {
                vacant.insert(me);
                return Ok(None);
            }
            if making.leads_to(component, &me) {
                return Err(ActivationError::Recursion(component));
            }
            making.waiting.insert(me.clone(), component);
            self.made.wait(&mut making);
            making.waiting.remove(&me);
        }
    }
}

impl Making {
    /// Returns whether the making of `component` waits, directly or through others, for `strand`.
    fn leads_to(&self, component: ComponentId, strand: &Strand) -> bool {
        let (mut ahead, mut seen) = (vec![component], HashSet::new());
        while let Some(component) = ahead.pop() {
            let maker = self.makers.get(&component);
            let Some(maker) = maker.filter(|_| seen.insert(component)) else {
                continue;
            };
            if strand.is_within(maker) {
                return true;
            }
            // A maker waits for what waits, and for all that it has at the same time.
            let waiting = self.waiting.iter();
            let inside = waiting.filter(|(waiting, _)| waiting.is_within(maker));
            ahead.extend(inside.map(|(_, component)| *component));
        }
        false
    }
}
