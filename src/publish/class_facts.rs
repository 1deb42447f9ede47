//! What a channel knows of its class.

use std::sync::Arc;

use super::site::Site;
use super::steering::Conduct;
use crate::model::{EventClass, Firing, PUBLISHER_ID};
use crate::value::{Properties, Value};

/// The class record and what is derived from it.
pub(crate) struct ClassFacts {
    pub(crate) record: Arc<EventClass>,
    pub(crate) defaults: Arc<Properties>,
    /// Method -> who selects its subscriptions.
    conduct: Box<[Conduct]>,
    /// How many subscribers of an event may be called at the same time.
    pub(crate) at_a_time: usize,
}

impl ClassFacts {
    pub(super) fn new(site: &Site) -> Self {
        let Site { schema, class, .. } = site;
        let methods = schema.methods().iter();
        let mut defaults = class.defaults();
        if let Some(id) = class.publisher() {
            defaults.insert(PUBLISHER_ID, Value::Uuid(id.into()));
        }
        Self {
            defaults: Arc::new(defaults),
            record: Arc::clone(class),
            conduct: methods.map(|method| Conduct::new(site, method)).collect(),
            at_a_time: match class.firing() {
                Firing::Serial => 1,
                Firing::Parallel { max } => max,
            },
        }
    }

    /// Returns whether events of a method are retained.
    pub(super) fn retains(&self, method: usize) -> bool {
        let conduct = self.conduct.get(method);
        conduct.is_some_and(|conduct| conduct.retained.is_some())
    }

    /// Returns who selects the subscriptions of a method.
    pub(crate) fn conduct(&self, method: usize) -> Option<&Conduct> {
        self.conduct.get(method)
    }
}
