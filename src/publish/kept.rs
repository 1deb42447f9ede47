//! An event that outlives its fire, and the events that a method retains.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::class_facts::ClassFacts;
use super::event_row::EventRow;
use super::gate::Clearance;
use super::steering::Steering;
use super::versions::event_in;
use crate::delivery::Drawn;
use crate::model::{EventClass, Retained};
use crate::value::{EventMethod, InterfaceSchema, Properties, Value, ValueKey, ValueRef};

/// An event with all that a later delivery reads of it: as it was when it was fired.
pub(super) struct KeptEvent {
    pub(super) method: usize,
    /// In the order of the method's parameters.
    pub(super) values: Box<[Value]>,
    /// The publisher object's properties, and in their place those that were lent to the event.
    pub(super) own: Arc<Properties>,
    pub(super) facts: Arc<ClassFacts>,
    pub(super) clearance: Option<Arc<Clearance>>,
    pub(super) steering: Option<Arc<Steering>>,
    pub(super) drawn: Drawn,
}

/// Which events of a method are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Last,
    /// The last for each value of the parameter at this index.
    Per(usize),
}

/// The events that one method retains.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) rule: Option<Rule>,
    /// key -> the place of its event
    places: HashMap<ValueKey, u64>,
    /// place in the order of firing -> the event
    events: BTreeMap<u64, (ValueKey, Arc<KeptEvent>)>,
    /// Whether it was told that an event was not retained.
    told: bool,
}

impl KeptEvent {
    /// Returns the event of a row. Reads the values, which may be the user's code.
    pub(super) fn new(method: usize, row: &EventRow<'_>, drawn: Drawn) -> Self {
        let mut own = Arc::clone(row.own);
        if !row.lent.is_empty() {
            let lent = row.lent.iter();
            let lent = lent.map(|(name, value)| (*name, value.to_value()));
            Arc::make_mut(&mut own).extend(lent);
        }
        Self {
            method,
            values: row.values.iter().map(ValueRef::to_value).collect(),
            own,
            facts: Arc::clone(row.facts),
            clearance: row.clearance.cloned(),
            steering: row.steering.cloned(),
            drawn,
        }
    }

    /// Returns the same event for another version of the interface, or nothing, if it has none that
    /// fits.
    pub(super) fn for_version(&self, from: &InterfaceSchema, to: &InterfaceSchema) -> Option<Self> {
        let views: Vec<_> = self.values.iter().map(Value::view).collect();
        let (method, values) = event_in(from, self.method, &views, to)?;
        Some(Self {
            method,
            values: values.iter().map(ValueRef::to_value).collect(),
            own: Arc::clone(&self.own),
            facts: Arc::clone(&self.facts),
            clearance: self.clearance.clone(),
            steering: self.steering.clone(),
            drawn: self.drawn,
        })
    }
}

impl Rule {
    /// Returns what a class says of a method. Per a parameter that the method does not have,
    /// nothing is kept.
    pub(super) fn of(class: &EventClass, method: &EventMethod) -> Option<Self> {
        match class.settings_of(method).retained()? {
            Retained::Last => Some(Self::Last),
            Retained::LastPer(name) => {
                let (index, _) = method.parameter(name)?;
                Some(Self::Per(index))
            }
        }
    }

    /// Returns what the event shares with those whose place it takes.
    pub(super) fn key(self, event: &KeptEvent) -> ValueKey {
        match self {
            Self::Last => ValueKey::ONLY,
            Self::Per(index) => {
                ValueKey::of(event.values.get(index).map_or(ValueRef::Null, Value::view))
            }
        }
    }
}

impl Shelf {
    pub(super) fn new(rule: Option<Rule>) -> Self {
        Self {
            rule,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Keeps an event in the place of the one with its key, and returns that.
    pub(super) fn put(
        &mut self,
        place: u64,
        key: ValueKey,
        event: Arc<KeptEvent>,
    ) -> Option<Arc<KeptEvent>> {
        let before = self.places.insert(key.clone(), place);
        self.events.insert(place, (key, event));
        let (_, displaced) = self.events.remove(&before?)?;
        Some(displaced)
    }

    /// Takes out the event that was fired longest ago.
    pub(super) fn pop_oldest(&mut self) -> Option<Arc<KeptEvent>> {
        let (_, (key, event)) = self.events.pop_first()?;
        self.places.remove(&key);
        Some(event)
    }

    /// Takes out the event of a key.
    pub(super) fn take(&mut self, key: &ValueKey) -> Option<Arc<KeptEvent>> {
        let place = self.places.remove(key)?;
        let (_, event) = self.events.remove(&place)?;
        Some(event)
    }

    /// Returns the events with their places, in the order of firing.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<KeptEvent>)> {
        self.events
            .iter()
            .map(|(place, (_, event))| (*place, event))
    }

    /// Returns whether nobody was told before that an event was not retained.
    pub(super) fn tell_once(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}
