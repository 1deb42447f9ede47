//! An event as a fire sees it, whoever it goes to.

use std::sync::Arc;

use super::class_facts::ClassFacts;
use super::entry::SubscriptionEntry;
use super::gate::Clearance;
use super::kept::KeptEvent;
use super::recalling::Keeping;
use super::steering::{Course, Steering};
use super::watch::Watch;
use super::with::FirePart;
use crate::delivery::{Drawn, Entered, Shown, enter, enter_as, show};
use crate::filter::Row;
use crate::model::EventClassId;
use crate::value::{InterfaceSchema, Properties, ValueRef};

/// An event with its publisher's properties, as filters see it.
#[derive(Clone, Copy)]
pub(super) struct EventRow<'a> {
    pub(super) values: &'a [ValueRef<'a>],
    /// What is lent to this one event.
    pub(super) lent: &'a [(&'a str, ValueRef<'a>)],
    pub(super) own: &'a Arc<Properties>,
    pub(super) facts: &'a Arc<ClassFacts>,
    /// What the principal may do that fires it, if one does.
    pub(super) clearance: Option<&'a Arc<Clearance>>,
    /// The publisher filters and default queries of the object that fires it, if it has any.
    pub(super) steering: Option<&'a Arc<Steering>>,
    /// What its method retains of it.
    pub(super) kept: Option<Kept<'a>>,
    /// What its class keeps of it.
    pub(super) keeping: Option<Keeping<'a>>,
    pub(super) watch: Watch,
    pub(super) part: FirePart,
}

/// A live event of a method that retains events.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) place: u64,
    /// None, if its values could not be read.
    pub(super) event: Option<&'a Arc<KeptEvent>>,
    pub(super) drawn: Drawn,
}

/// A fire that shows its properties, until it is dropped.
pub(super) struct Inside {
    _shown: Option<Shown>,
    _entered: Entered,
}

impl<'a> EventRow<'a> {
    /// Returns who selects the subscriptions of its method, if anybody does: as these facts have
    /// it, which of an event that was retained are not its own.
    pub(super) fn course(
        &self,
        facts: &'a ClassFacts,
        schema: &'a InterfaceSchema,
        method: usize,
    ) -> Option<Course<'a>> {
        let steering = self.steering.map(|steering| &**steering);
        let may_read = self.clearance.is_none_or(|clearance| clearance.reads());
        Course::of(steering, facts.conduct(method), schema, method, may_read)
    }

    /// Begins the fire of the event, which shows its properties.
    pub(super) fn enter(&self, class: EventClassId) -> Option<Inside> {
        let drawn = match (&self.kept, self.part) {
            (Some(kept), _) => Some(kept.drawn),
            (None, FirePart::Others(Some(drawn))) => Some(drawn),
            (None, _) => self.facts.draw_early(),
        };
        let entered = match drawn {
            Some(drawn) => enter_as(class, drawn),
            None => enter(class),
        };
        let entered = entered?;
        Some(Inside {
            _shown: show(self.lent, self.own, &self.facts.defaults),
            _entered: entered,
        })
    }

    /// Returns whether whoever fires it has the role that the subscription demands, if it does.
    pub(super) fn has_role_for(&self, entry: &SubscriptionEntry) -> bool {
        let role = entry.record.publisher_role();
        match (self.clearance, role) {
            (Some(clearance), Some(role)) => clearance.has_role(role.as_str()),
            _ => true,
        }
    }
}

impl Row for EventRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        self.values.get(index).copied().unwrap_or(ValueRef::Null)
    }

    fn publisher(&self, name: &str) -> ValueRef<'_> {
        let mut lent = self.lent.iter();
        if let Some((_, value)) = lent.find(|(lent, _)| *lent == name) {
            return *value;
        }
        let value = self.own.get(name).or_else(|| self.facts.defaults.get(name));
        value.map_or(ValueRef::Null, |value| value.view())
    }
}
