//! What a channel knows of its class.

use std::sync::Arc;

use super::site::Site;
use super::steering::Conduct;
use crate::clock::Clock;
use crate::delivery::{Drawn, Shown, draw, show};
use crate::model::{EventClass, Firing, PUBLISHER_ID};
use crate::value::{Properties, Value, ValueRef};

/// The class record and what is derived from it.
pub(crate) struct ClassFacts {
    pub(crate) record: Arc<EventClass>,
    pub(crate) defaults: Arc<Properties>,
    /// Method -> who selects its subscriptions.
    conduct: Box<[Conduct]>,
    /// How many subscribers of an event may be called at the same time.
    pub(crate) at_a_time: usize,
    /// The broker's clock, if that is not the system's, which events are drawn by.
    clock: Option<Arc<dyn Clock>>,
}

impl ClassFacts {
    pub(super) fn new(site: &Site, clock: &Arc<dyn Clock>) -> Self {
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
            clock: (!clock.is_systems()).then(|| Arc::clone(clock)),
        }
    }

    /// Returns whether a fire shows its subscribers more than what the system and the publisher
    /// object have: properties of the class, or the time of another clock; or whether it is kept.
    pub(super) fn shows_more(&self) -> bool {
        !self.defaults.is_empty() || self.clock.is_some() || self.record.history().is_some()
    }

    /// Shows what the fire that this thread is inside of has, until what this returns is dropped.
    pub(super) fn show(
        &self,
        lent: &[(&str, ValueRef<'_>)],
        own: &Arc<Properties>,
    ) -> Option<Shown> {
        self.draw_early().into_iter().for_each(draw);
        show(lent, own, &self.defaults)
    }

    /// Returns the identity of an event that begins now, by the broker's clock.
    pub(super) fn draw(&self) -> Drawn {
        self.draw_early().unwrap_or_else(Drawn::new)
    }

    /// Returns the identity of an event that begins now, unless it can be drawn when somebody asks:
    /// a thread knows no clock but the system's.
    pub(super) fn draw_early(&self) -> Option<Drawn> {
        let clock = self.clock.as_ref();
        clock.map(|clock| Drawn::at(clock.now()))
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
