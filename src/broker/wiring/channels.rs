//! The channels of each class, made and made anew from the records.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::state::{Place, State};
use crate::model::{EventClass, EventClassId};
use crate::publish::{
    AnyChannel, Channel, ChannelCell, ChannelKey, SubscriptionEntry, Surroundings,
};
use crate::store::Trash;
use crate::value::{EventInterface, InterfaceId, Subscriber};

/// A class and the channels that publishers of it use.
pub(crate) struct ClassEntry {
    pub(crate) record: Arc<EventClass>,
    pub(super) typed: HashMap<InterfaceId, Arc<dyn AnyChannel>>,
    pub(super) untyped: HashMap<InterfaceId, Arc<ChannelCell>>,
}

impl State {
    /// Returns the subscriptions that a channel has, in order of calling.
    fn entries(&self, key: ChannelKey) -> Vec<Arc<SubscriptionEntry>> {
        let fits = |entry: &&Arc<SubscriptionEntry>| {
            entry
                .record
                .binding()
                .interface()
                .is_none_or(|id| id == key.interface)
        };
        let of_class = self
            .by_class
            .get(&key.class)
            .into_iter()
            .flat_map(BTreeMap::values);
        let of_interface = self.by_interface.get(&key.interface);
        let mut entries: Vec<_> = of_class.filter(fits).cloned().collect();
        if let Some(ranked) = of_interface {
            entries.extend(ranked.values().cloned());
            entries.sort_by_key(|entry| entry.rank());
        }
        entries
    }

    /// Makes new snapshots of the channels at the places touched.
    pub(crate) fn rebuild(&self, touched: &HashSet<Place>, trash: &mut Trash) {
        let classes = self.classes.iter().filter(|(id, entry)| {
            touched.contains(&Place::Class(**id))
                || entry
                    .interfaces()
                    .any(|i| touched.contains(&Place::Interface(i)))
        });
        classes.for_each(|(_, entry)| self.rebuild_class(entry, trash));
    }

    pub(super) fn rebuild_all(&self, trash: &mut Trash) {
        self.classes
            .values()
            .for_each(|entry| self.rebuild_class(entry, trash));
    }

    fn rebuild_class(&self, class: &ClassEntry, trash: &mut Trash) {
        let id = class.record.id();
        for (interface, channel) in &class.typed {
            let entries = self.entries(ChannelKey {
                class: id,
                interface: *interface,
            });
            channel.rebuild(&class.record, &entries, trash);
        }
        for (interface, cell) in &class.untyped {
            let entries = self.entries(ChannelKey {
                class: id,
                interface: *interface,
            });
            let present = Arc::clone(&cell.read());
            let Some(made) = self.renewed(class, *interface, &present) else {
                present.rebuild(&class.record, &entries, trash);
                continue;
            };
            // Filled before it is put in place, where a fire may find it at once.
            made.rebuild(&class.record, &entries, trash);
            trash.add(std::mem::replace(&mut *cell.write(), made));
        }
    }

    /// Returns a new channel in place of an untyped one whose schema has changed.
    fn renewed(
        &self,
        class: &ClassEntry,
        interface: InterfaceId,
        present: &Arc<dyn AnyChannel>,
    ) -> Option<Arc<dyn AnyChannel>> {
        let known = self.interfaces.get(&interface)?;
        if known.schema.hash() == present.schema().hash() {
            return None;
        }
        let record = Arc::clone(&class.record);
        let around = Arc::clone(present.around());
        let schema = Arc::clone(&known.schema);
        Some(Arc::new(Channel::<dyn Subscriber>::new(
            record, schema, around,
        )))
    }

    /// Forgets what was made ready of a component, and makes it ready again.
    pub(crate) fn reactivate(&self, trash: &mut Trash) {
        for class in self.classes.values() {
            class
                .typed
                .values()
                .for_each(|channel| channel.forget(trash));
            class
                .untyped
                .values()
                .for_each(|cell| cell.read().forget(trash));
        }
        self.rebuild_all(trash);
    }

    /// Returns the typed channel of a class, made now if nobody has asked before.
    pub(crate) fn channel<I: EventInterface + ?Sized>(
        &mut self,
        class: EventClassId,
        around: &Arc<Surroundings>,
        trash: &mut Trash,
    ) -> Option<Arc<Channel<I>>> {
        let schema = Arc::clone(&self.interfaces.get(&I::schema().id())?.schema);
        let key = ChannelKey {
            class,
            interface: schema.id(),
        };
        let entry = self.classes.get_mut(&class)?;
        if let Some(channel) = entry.typed.get(&key.interface) {
            return Arc::clone(channel).as_any().downcast().ok();
        }
        let record = Arc::clone(&entry.record);
        let channel = Arc::new(Channel::<I>::new(
            Arc::clone(&record),
            schema,
            Arc::clone(around),
        ));
        entry.typed.insert(key.interface, Arc::clone(&channel) as _);
        channel.rebuild(&record, &self.entries(key), trash);
        Some(channel)
    }

    /// Returns where the channel for fires by name is found: the typed one, if there is one.
    pub(crate) fn untyped(
        &mut self,
        class: EventClassId,
        interface: InterfaceId,
        around: &Arc<Surroundings>,
        trash: &mut Trash,
    ) -> Option<Arc<ChannelCell>> {
        let schema = Arc::clone(&self.interfaces.get(&interface)?.schema);
        let entry = self.classes.get_mut(&class)?;
        if let Some(typed) = entry.typed.get(&interface) {
            return Some(Arc::new(ChannelCell::new(Arc::clone(typed))));
        }
        if let Some(cell) = entry.untyped.get(&interface) {
            return Some(Arc::clone(cell));
        }
        let record = Arc::clone(&entry.record);
        let channel: Arc<dyn AnyChannel> = Arc::new(Channel::<dyn Subscriber>::new(
            Arc::clone(&record),
            schema,
            Arc::clone(around),
        ));
        let cell = Arc::new(ChannelCell::new(Arc::clone(&channel)));
        entry.untyped.insert(interface, Arc::clone(&cell));
        channel.rebuild(
            &record,
            &self.entries(ChannelKey { class, interface }),
            trash,
        );
        Some(cell)
    }
}

impl ClassEntry {
    pub(super) fn new(record: Arc<EventClass>) -> Self {
        Self {
            record,
            typed: HashMap::new(),
            untyped: HashMap::new(),
        }
    }

    fn interfaces(&self) -> impl Iterator<Item = InterfaceId> {
        self.record.interfaces().iter().copied()
    }
}
