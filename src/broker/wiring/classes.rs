//! The classes among the records: how they come, change and go.

use std::sync::Arc;

use super::channels::ClassEntry;
use super::state::{Changes, State};
use crate::broker::wiring_changes::BuiltIn;
use crate::error::Result;
use crate::model::{Binding, EventClass, EventClassId, Firing};
use crate::publish::{BagEquality, Compared, bears};
use crate::store::Trash;
use crate::value::{InterfaceId, InterfaceSchema};

impl State {
    /// Takes a class in. Its channels are made anew if it says something else of its subscriptions,
    /// and so are those of its interfaces, whose filters it has a say in; else they take the
    /// record.
    pub(super) fn put_class(&mut self, class: EventClass, changes: &mut Changes) {
        let id = class.id();
        changes.access = true;
        let bags = Compared::of(&class, &self.bags);
        let record = Arc::new(class);
        let Some(entry) = self.classes.get_mut(&id) else {
            changes.interfaces.extend(record.interfaces());
            let retired = self.retired.remove(&id).unwrap_or_default();
            self.classes
                .insert(id, ClassEntry::new(record, bags, retired));
            return;
        };
        let replaced = std::mem::replace(&mut entry.record, Arc::clone(&record));
        entry.bags = bags;
        if serves_alike(&replaced, &record) {
            changes.adopted.push(record);
        } else {
            changes.interfaces.extend(record.interfaces());
            changes.interfaces.extend(replaced.interfaces());
        }
        // One without a revision is built in, and was never stored.
        if replaced.revision().is_some() {
            changes.classes.push(replaced);
        }
    }

    /// Returns Ok unless a class bears a publisher filter that compares bags by a name that none of
    /// its events has, be they of known interfaces or of one beside them.
    pub(in crate::broker) fn check_bags(
        &self,
        class: &EventClass,
        beside: Option<&InterfaceSchema>,
    ) -> Result<()> {
        let offered = class.interfaces().iter();
        let known = offered.filter_map(|id| self.interfaces.get(id));
        let schemas = known.map(|known| &*known.schema).chain(beside);
        let mut borne = self.bags.iter().filter(|(name, _)| bears(class, name));
        borne.try_for_each(|(_, bags)| bags.check(class, schemas.clone()))
    }

    /// Compares bags for the classes that bear a publisher filter of this name, or no longer.
    pub(in crate::broker) fn compare_bags(
        &mut self,
        name: &str,
        bags: Option<BagEquality>,
        changes: &mut Changes,
    ) -> Result<()> {
        match bags {
            Some(bags) => _ = self.bags.insert(name.into(), bags),
            None => _ = self.bags.remove(name),
        }
        let mut checked = Ok(());
        for class in self.classes.values() {
            if bears(&class.record, name) {
                checked = checked.and(self.check_bags(&class.record, None));
                // Subscriptions to its interfaces from any class are compiled for it too.
                changes.interfaces.extend(class.record.interfaces());
            }
        }
        if checked.is_err() {
            self.bags.remove(name);
        }
        for class in self.classes.values_mut() {
            class.bags = Compared::of(&class.record, &self.bags);
        }
        checked
    }

    /// Removes a class; publishers that still have it reach nobody until it comes back. One that is
    /// built in is again as it is without a record.
    pub(super) fn remove_class(
        &mut self,
        id: EventClassId,
        changes: &mut Changes,
        trash: &mut Trash,
    ) {
        if let Some(built_in) = BuiltIn::find(id) {
            return self.put_class(built_in.record(), changes);
        }
        let Some(class) = self.classes.remove(&id) else {
            return;
        };
        changes.interfaces.extend(class.record.interfaces());
        changes.classes.push(Arc::clone(&class.record));
        // Those whose publishers have gone since.
        self.retired.retain(|_, retired| retired.is_held());
        let mut retired = class.retire(trash);
        if retired.is_held() {
            self.retired.insert(id, retired);
        }
    }

    /// Returns the classes that offer `interface`, by id.
    pub(crate) fn classes_of(&self, interface: InterfaceId) -> Vec<Arc<EventClass>> {
        let offering = self.classes.values().map(|entry| &entry.record);
        let mut offering: Vec<_> = offering
            .filter(|class| class.interfaces().contains(&interface))
            .cloned()
            .collect();
        offering.sort_by_key(|class| class.id());
        offering
    }

    /// Returns the known classes that a binding means, by id.
    pub(in crate::broker) fn classes_bound(&self, binding: &Binding) -> Vec<Arc<EventClass>> {
        match (binding.class(), binding.interface()) {
            (Some(class), _) => {
                let class = self.classes.get(&class);
                class
                    .map(|entry| Arc::clone(&entry.record))
                    .into_iter()
                    .collect()
            }
            (None, Some(interface)) => self.classes_of(interface),
            (None, None) => Vec::new(),
        }
    }
}

/// Returns whether what a channel has made of its subscriptions is the same for both records.
fn serves_alike(one: &EventClass, other: &EventClass) -> bool {
    one.interfaces() == other.interfaces()
        && one.properties() == other.properties()
        && one.has_open_properties() == other.has_open_properties()
        && one.is_unordered() == other.is_unordered()
        && (one.firing() == Firing::Serial) == (other.firing() == Firing::Serial)
        && one.delivery() == other.delivery()
        && one.deadline() == other.deadline()
        && one.breaker() == other.breaker()
        && one.settings() == other.settings()
        && one.method_settings().eq(other.method_settings())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use crate::{
        Broker, Cascade, EventClass, EventClassId, EventMethod, FireOutcome, HealthEvents,
        InterfaceSchema, Right, RoleAuthorizer, Subscription, ValueType,
    };

    /// A program may make a class and its subscriptions for every document that it opens.
    #[test]
    fn classes_and_bindings_that_are_gone_leave_nothing_behind() {
        let broker = Broker::in_memory().unwrap();
        let opened = EventMethod::new("opened", []);
        let schema = InterfaceSchema::new("Documents", "Documents", [opened]);
        for number in 0..20 {
            let class = EventClassId::from_u128(number);
            let record = EventClass::new(class, "a document");
            broker.register_dynamic_class(record, &schema).unwrap();
            let bound = Subscription::builder("a reader")
                .class(class)
                .component("x");
            let bound = bound.build().unwrap();
            broker.store(&bound).unwrap();
            let publisher = broker.dynamic_publisher(class).unwrap();
            broker.remove(bound.id()).unwrap();
            drop(publisher);
            let removed = broker.unregister_class(class, Cascade::Refuse);
            assert!(removed.unwrap());
        }
        broker.core.wiring.with(|state, _| {
            assert!(state.by_class.is_empty() && state.by_interface.is_empty());
            assert!(state.retired.len() <= 1, "the last one goes with the next");
        });
    }

    /// Returns how often the snapshots of two classes on one interface were made.
    fn generations(broker: &Broker) -> [u64; 2] {
        let around = &broker.core.around;
        ["first", "second"].map(|class| {
            let made = |state: &mut super::State, trash: &mut _| {
                let channel = state.channel::<dyn HealthEvents>(class.into(), around, trash);
                channel.unwrap().cache.generation()
            };
            broker.core.wiring.with(made)
        })
    }

    #[test]
    fn snapshots_stay_when_a_class_says_the_same_of_its_subscriptions() {
        let broker = Broker::in_memory().unwrap();
        for class in ["first", "second"] {
            let class = EventClass::new(class, class);
            broker.register_class::<dyn HealthEvents>(class).unwrap();
        }
        let before = generations(&broker);
        let class = broker
            .class("first")
            .unwrap()
            .with_description("of the desk");
        broker.update_class(&class).unwrap();
        assert_eq!(generations(&broker), before);
        let stored = broker.class("first");
        let events = broker.publisher_of::<dyn HealthEvents>("first").unwrap();
        assert_eq!(Some(events.class()), stored);

        let before = generations(&broker);
        let class = broker.class("first").unwrap();
        let class = class.with_property("desk", ValueType::Str, "fx");
        broker.update_class(&class).unwrap();
        let after = generations(&broker);
        assert!(after[0] > before[0] && after[1] > before[1]);
    }

    #[test]
    fn right_that_a_class_gives_or_takes_counts_without_a_new_snapshot() {
        let broker = Broker::builder().authorizer(RoleAuthorizer::new());
        let broker = broker.open().unwrap();
        for class in ["first", "second"] {
            let class = EventClass::new(class, class);
            broker.register_class::<dyn HealthEvents>(class).unwrap();
        }
        let view = broker.as_principal("eve").unwrap();
        let events = view.publisher_of::<dyn HealthEvents>("first").unwrap();
        let before = generations(&broker);
        let fire = || events.health_changed(1, "lost", None, "").outcome();
        assert_ne!(fire(), FireOutcome::Denied);
        let class = broker.class("first").unwrap();
        let class = class.with_access(Right::Publish, "staff");
        broker.update_class(&class).unwrap();
        assert_eq!(fire(), FireOutcome::Denied);
        let class = broker.class("first").unwrap();
        broker
            .update_class(&class.without_access(Right::Publish))
            .unwrap();
        assert_ne!(fire(), FireOutcome::Denied);
        assert_eq!(generations(&broker), before);
    }
}
