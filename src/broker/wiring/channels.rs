//! The channels of each class, made and made anew from the records.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::entries::Entries;
use super::groups::Groups;
use super::state::{Changes, State};
use crate::model::{ComponentId, EventClass, EventClassId};
use crate::publish::{
    AnyChannel, Channel, ChannelCell, Compared, Keep, SECTION, Site, Sites, SubscriptionEntry,
    Surroundings,
};
use crate::store::Trash;
use crate::value::{EventInterface, InterfaceId, InterfaceSchema, Subscriber};

/// A class and the channels that publishers of it use.
pub(crate) struct ClassEntry {
    pub(crate) record: Arc<EventClass>,
    /// What of its subscriptions' bags is compared with its events.
    pub(super) bags: Compared,
    typed: HashMap<InterfaceId, Arc<dyn AnyChannel>>,
    untyped: HashMap<InterfaceId, Arc<ChannelCell>>,
}

/// The channels of a class that is gone, as long as a publisher has them: they are the class's
/// again when it comes back.
#[derive(Default)]
pub(super) struct Retired {
    typed: HashMap<InterfaceId, Weak<dyn AnyChannel>>,
    untyped: HashMap<InterfaceId, Weak<ChannelCell>>,
}

impl State {
    /// Makes the channels follow from the records again.
    pub(super) fn publish(&self, changes: &mut Changes, trash: &mut Trash) {
        for record in &changes.adopted {
            self.adopt(record, trash);
        }
        let mut groups = Groups::new(changes);
        if groups.are_of_any_class() || !changes.interfaces.is_empty() {
            for class in self.classes.values() {
                self.publish_class(class, changes, &mut groups, trash);
            }
        } else {
            let affected: Vec<_> = groups.classes().collect();
            for class in affected.iter().filter_map(|id| self.classes.get(id)) {
                class.change(&mut groups, trash);
            }
        }
        trash.add(groups);
    }

    fn publish_class(
        &self,
        class: &ClassEntry,
        changes: &Changes,
        groups: &mut Groups,
        trash: &mut Trash,
    ) {
        if changes.renew(class) {
            self.reset_class(class, trash);
        } else {
            class.change(groups, trash);
        }
    }

    /// Has the channels take a class record that know the class, as their own or as one beside it.
    fn adopt(&self, record: &Arc<EventClass>, trash: &mut Trash) {
        for class in self.classes.values() {
            let is_own = class.record.id() == record.id();
            for (interface, channel) in class.channels() {
                if is_own || record.interfaces().contains(&interface) {
                    channel.adopt(record, trash);
                }
            }
        }
    }

    /// Makes every channel anew.
    pub(super) fn reset_all(&self, trash: &mut Trash) {
        self.classes
            .values()
            .for_each(|class| self.reset_class(class, trash));
    }

    fn reset_class(&self, class: &ClassEntry, trash: &mut Trash) {
        for (interface, channel) in &class.typed {
            self.reset_channel(class, *interface, channel.as_ref(), trash);
        }
        for (interface, cell) in &class.untyped {
            let present = Arc::clone(&cell.read());
            let Some(made) = self.renewed(class, *interface, &present) else {
                self.reset_channel(class, *interface, present.as_ref(), trash);
                continue;
            };
            // Filled before it is put in place, where a fire may find it at once.
            self.reset_channel(class, *interface, made.as_ref(), trash);
            present.give_way(Arc::clone(&made));
            trash.add(std::mem::replace(&mut *cell.write(), made));
        }
    }

    fn reset_channel(
        &self,
        class: &ClassEntry,
        interface: InterfaceId,
        channel: &dyn AnyChannel,
        trash: &mut Trash,
    ) {
        let here = class.site(channel.schema());
        let offered = class.record.interfaces().contains(&interface);
        let entries = if offered {
            self.entries(&here)
        } else {
            Vec::new()
        };
        let others = self.neighbours(&here);
        channel.reset(Sites { here, others }, entries, trash);
    }

    /// Returns the subscriptions that a site has, in no order.
    fn entries(&self, site: &Site) -> Vec<Arc<SubscriptionEntry>> {
        let of_class = self.by_class.get(&site.class.id());
        let of_class = of_class.into_iter().flat_map(Entries::iter);
        let mut entries: Vec<_> = of_class
            .filter(|entry| site.takes(entry.record.binding()))
            .cloned()
            .collect();
        if let Some(of_any) = self.by_interface.get(&Some(site.schema.id())) {
            entries.extend(of_any.iter().cloned());
        }
        // As they lie in memory, which of a million is several times faster to go through.
        entries.sort_unstable_by_key(|entry| Arc::as_ptr(entry).addr());
        entries
    }

    /// Returns the sites that share the class or the interface of a site.
    fn neighbours(&self, here: &Site) -> Vec<Site> {
        let (class, interface) = (here.class.id(), here.schema.id());
        let mut sites = Vec::new();
        for entry in self.classes.values() {
            let same_class = entry.record.id() == class;
            for other in entry.record.interfaces() {
                if (same_class != (*other == interface))
                    && let Some(known) = self.interfaces.get(other)
                {
                    sites.push(entry.site(&known.schema));
                }
            }
        }
        sites
    }

    /// Returns a new channel in place of an untyped one whose schema has changed.
    fn renewed(
        &self,
        class: &ClassEntry,
        interface: InterfaceId,
        present: &Arc<dyn AnyChannel>,
    ) -> Option<Arc<dyn AnyChannel>> {
        let known = self.interfaces.get(&interface)?;
        let (ours, theirs) = (&known.schema, present.schema());
        let is_same = Arc::ptr_eq(ours, theirs) || ours.hash() == theirs.hash();
        if is_same && ours.has_defaults() == theirs.has_defaults() {
            return None;
        }
        let site = class.site(&known.schema);
        let (around, keep) = (Arc::clone(present.around()), Arc::clone(present.keep()));
        Some(Channel::<dyn Subscriber>::new(site, around, keep))
    }

    /// Binds the subscriptions of a component anew, since it came or went.
    pub(crate) fn rebind(&self, component: ComponentId, trash: &mut Trash) {
        let classes = self.classes.values();
        let channels = classes.flat_map(|class| class.channels().collect::<Vec<_>>());
        channels.for_each(|(_, channel)| channel.rebind(component, trash));
    }

    /// Returns the typed channel of a class, made now if nobody has asked before.
    pub(crate) fn channel<I: EventInterface + ?Sized>(
        &mut self,
        class: EventClassId,
        around: &Arc<Surroundings>,
        trash: &mut Trash,
    ) -> Option<Arc<Channel<I>>> {
        let schema = Arc::clone(&self.interfaces.get(&I::schema().id())?.schema);
        let interface = schema.id();
        let entry = self.classes.get(&class)?;
        if let Some(channel) = entry.typed.get(&interface) {
            return Arc::clone(channel).as_any().downcast().ok();
        }
        let site = entry.site(&schema);
        let by_name = entry.untyped.get(&interface);
        let by_name = by_name.map(|cell| Arc::clone(&cell.read()));
        let keep = by_name.as_ref().map(|channel| Arc::clone(channel.keep()));
        let keep = keep.unwrap_or_else(Keep::new);
        let channel = Channel::<I>::new(site, Arc::clone(around), keep);
        // Filled before it is put in place, where a fire by name may find it at once.
        self.reset_channel(entry, interface, channel.as_ref(), trash);
        let untyped: Arc<dyn AnyChannel> = Arc::clone(&channel) as _;
        let entry = self.classes.get_mut(&class)?;
        entry.typed.insert(interface, Arc::clone(&untyped));
        if let Some(by_name) = by_name {
            by_name.give_way(Arc::clone(&untyped));
        }
        if let Some(cell) = entry.untyped.remove(&interface) {
            trash.add(std::mem::replace(&mut *cell.write(), untyped));
        }
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
        let site = entry.site(&schema);
        let channel: Arc<dyn AnyChannel> =
            Channel::<dyn Subscriber>::new(site, Arc::clone(around), Keep::new());
        let cell = Arc::new(ChannelCell::new(Arc::clone(&channel)));
        entry.untyped.insert(interface, Arc::clone(&cell));
        let entry = self.classes.get(&class)?;
        self.reset_channel(entry, interface, channel.as_ref(), trash);
        Some(cell)
    }
}

impl Retired {
    /// Forgets the channels that nobody has any more, and returns whether there are others.
    pub(super) fn is_held(&mut self) -> bool {
        self.typed.retain(|_, channel| channel.strong_count() > 0);
        self.untyped.retain(|_, cell| cell.strong_count() > 0);
        !self.typed.is_empty() || !self.untyped.is_empty()
    }
}

impl Changes {
    /// Returns whether channels of the class are to be made anew.
    fn renew(&self, class: &ClassEntry) -> bool {
        let mut interfaces = self.interfaces.iter();
        interfaces.any(|id| class.typed.contains_key(id) || class.untyped.contains_key(id))
    }
}

impl ClassEntry {
    pub(super) fn new(record: Arc<EventClass>, bags: Compared, retired: Retired) -> Self {
        let typed = retired
            .typed
            .into_iter()
            .filter_map(|(id, weak)| Some((id, weak.upgrade()?)));
        let untyped = retired
            .untyped
            .into_iter()
            .filter_map(|(id, weak)| Some((id, weak.upgrade()?)));
        Self {
            record,
            bags,
            typed: typed.collect(),
            untyped: untyped.collect(),
        }
    }

    /// Returns an interface of the class as a site.
    pub(crate) fn site(&self, schema: &Arc<InterfaceSchema>) -> Site {
        Site {
            schema: Arc::clone(schema),
            class: Arc::clone(&self.record),
            bags: self.bags.clone(),
        }
    }

    /// Takes every subscription out of the channels and lets go of them.
    pub(super) fn retire(self, trash: &mut Trash) -> Retired {
        for (_, channel) in self.channels() {
            let here = self.site(channel.schema());
            channel.reset(
                Sites {
                    here,
                    others: Vec::new(),
                },
                Vec::new(),
                trash,
            );
            channel.keep().clear(trash);
        }
        let retired = Retired {
            typed: self
                .typed
                .iter()
                .map(|(id, it)| (*id, Arc::downgrade(it)))
                .collect(),
            untyped: self
                .untyped
                .iter()
                .map(|(id, it)| (*id, Arc::downgrade(it)))
                .collect(),
        };
        trash.add((self.typed, self.untyped));
        retired
    }

    /// Returns the channels and their interfaces.
    pub(super) fn channels(&self) -> impl Iterator<Item = (InterfaceId, Arc<dyn AnyChannel>)> {
        let typed = self
            .typed
            .iter()
            .map(|(id, channel)| (*id, Arc::clone(channel)));
        let untyped = self
            .untyped
            .iter()
            .map(|(id, cell)| (*id, Arc::clone(&cell.read())));
        typed.chain(untyped)
    }

    fn change(&self, groups: &mut Groups, trash: &mut Trash) {
        for (interface, channel) in self.channels() {
            if !self.record.interfaces().contains(&interface) {
                continue;
            }
            // What no fire can look at yet is built in one piece.
            let limit = if channel.is_empty() {
                usize::MAX
            } else {
                SECTION
            };
            for mut section in groups.sections(self.record.id(), interface, limit) {
                channel.change(&section.removed, &mut section.added, trash);
            }
        }
    }
}
