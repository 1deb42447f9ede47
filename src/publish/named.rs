//! What records call by name: publisher filters and predicates.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::publisher_filter::{FilteredEvent, PublisherFilter};
use crate::error::{Error, ErrorKind, Result};
use crate::model::PredicateName;
use crate::sync::ArcSwap;
use crate::sync::Mutex;
use crate::value::{drop_quietly, panic_message};

/// The code of a predicate.
pub(crate) type PredicateCode = Arc<dyn Fn(&FilteredEvent<'_>) -> bool + Send + Sync>;

/// The publisher filters and predicates of a broker, by name.
#[derive(Default)]
pub(crate) struct Named {
    filters: Registry<Arc<dyn PublisherFilter>>,
    predicates: Registry<PredicateCode>,
}

/// Objects by name, looked up without a lock.
struct Registry<V> {
    present: ArcSwap<HashMap<Box<str>, V>>,
    /// Held while a changed copy is made, so that no change is lost.
    changing: Mutex<()>,
}

impl Named {
    /// Adds a filter and returns whether it was not there.
    pub(crate) fn add_filter(&self, name: &str, filter: Arc<dyn PublisherFilter>) -> Result<bool> {
        self.filters.add(name, filter, same, "publisher filter")
    }

    pub(crate) fn remove_filter(&self, name: &str) -> bool {
        self.filters.remove(name)
    }

    pub(crate) fn add_predicate(&self, name: &str, code: PredicateCode) -> Result<()> {
        self.predicates.add(name, code, same, "predicate").map(drop)
    }

    pub(crate) fn remove_predicate(&self, name: &str) -> bool {
        self.predicates.remove(name)
    }

    /// Returns the filter of this name, to be dropped as what may be the last of it.
    pub(super) fn filter(&self, name: &str) -> Option<Arc<dyn PublisherFilter>> {
        self.filters.present.load().get(name).cloned()
    }

    /// Asks a predicate whether an event may pass, or says why it could not be asked.
    pub(super) fn ask(
        &self,
        name: &PredicateName,
        event: &FilteredEvent<'_>,
    ) -> Result<bool, String> {
        let found = self.predicates.present.load().get(name.as_ref()).cloned();
        let Some(code) = found else {
            return Err(format!(
                "the predicate {:?} is not registered",
                name.as_ref()
            ));
        };
        let asked = catch_unwind(AssertUnwindSafe(|| code(event)));
        drop_quietly(code);
        asked.map_err(|payload| {
            let message = panic_message(payload);
            format!("the predicate {:?} panicked: {message}", name.as_ref())
        })
    }
}

impl<V: Clone> Registry<V> {
    /// Adds an object and returns whether it was not there; the same one again changes nothing.
    fn add(
        &self,
        name: &str,
        object: V,
        same: impl Fn(&V, &V) -> bool,
        noun: &str,
    ) -> Result<bool> {
        let changing = self.changing.lock();
        let present = self.present.load_full();
        if let Some(known) = present.get(name) {
            let is_same = same(known, &object);
            drop(changing);
            drop_quietly((present, object));
            if is_same {
                return Ok(false);
            }
            let message = format!("another {noun} is registered as {name:?}");
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let mut changed = HashMap::clone(&present);
        changed.insert(name.into(), object);
        let old = self.present.swap(Arc::new(changed));
        drop(changing);
        drop_quietly((old, present));
        Ok(true)
    }

    /// Removes an object, and returns whether there was one.
    fn remove(&self, name: &str) -> bool {
        let changing = self.changing.lock();
        let present = self.present.load_full();
        let mut changed = HashMap::clone(&present);
        let removed = changed.remove(name);
        let found = removed.is_some();
        let old = self.present.swap(Arc::new(changed));
        drop(changing);
        drop_quietly((old, present, removed));
        found
    }
}

impl<V> Default for Registry<V> {
    fn default() -> Self {
        Self {
            present: ArcSwap::from_pointee(HashMap::new()),
            changing: Mutex::new(()),
        }
    }
}

fn same<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}
