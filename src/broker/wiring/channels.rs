//! The channels of each class, made and made anew from the records.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use super::entries::Entries;
use super::state::{Changes, State};
use crate::model::{ComponentId, EventClass, EventClassId};
use crate::publish::{
    Added, AnyChannel, BagEquality, Channel, ChannelCell, SECTION, Site, Sites, SubscriptionEntry,
    Surroundings,
};
use crate::store::Trash;
use crate::value::{EventInterface, InterfaceId, InterfaceSchema, Subscriber};

/// A class and the channels that publishers of it use.
pub(crate) struct ClassEntry {
    pub(crate) record: Arc<EventClass>,
    /// Which values of its subscriptions' bags are compared with its events.
    pub(crate) bags: BagEquality,
    typed: HashMap<InterfaceId, Arc<dyn AnyChannel>>,
    untyped: HashMap<InterfaceId, Arc<ChannelCell>>,
}

/// The channels of a class that is gone, as long as a publisher has them: they are the class's again
/// when it comes back.
#[derive(Default)]
pub(super) struct Retired {
    typed: HashMap<InterfaceId, Weak<dyn AnyChannel>>,
    untyped: HashMap<InterfaceId, Weak<ChannelCell>>,
}

impl State {
    /// Makes the channels follow from the records again.
    pub(super) fn publish(&self, mut changes: Changes, trash: &mut Trash) {
        let mut affected = BTreeSet::new();
        for (id, class) in &self.classes {
            if changes.renew(class) {
                self.reset_class(class, trash);
            } else if changes.concern(class) {
                affected.insert(*id);
            }
        }
        for class in affected.iter().filter_map(|id| self.classes.get(id)) {
            class.change(&mut changes, trash);
        }
        trash.add(changes);
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
        if known.schema.hash() == present.schema().hash() {
            return None;
        }
        let site = class.site(&known.schema);
        let around = Arc::clone(present.around());
        Some(Arc::new(Channel::<dyn Subscriber>::new(site, around)))
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
        let entry = self.classes.get_mut(&class)?;
        if let Some(channel) = entry.typed.get(&interface) {
            return Arc::clone(channel).as_any().downcast().ok();
        }
        let site = entry.site(&schema);
        let channel = Arc::new(Channel::<I>::new(site, Arc::clone(around)));
        let untyped: Arc<dyn AnyChannel> = Arc::clone(&channel) as _;
        entry.typed.insert(interface, Arc::clone(&untyped));
        if let Some(cell) = entry.untyped.remove(&interface) {
            trash.add(std::mem::replace(&mut *cell.write(), untyped));
        }
        let entry = self.classes.get(&class)?;
        self.reset_channel(entry, interface, channel.as_ref(), trash);
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
            Arc::new(Channel::<dyn Subscriber>::new(site, Arc::clone(around)));
        let cell = Arc::new(ChannelCell::new(Arc::clone(&channel)));
        entry.untyped.insert(interface, Arc::clone(&cell));
        let entry = self.classes.get(&class)?;
        self.reset_channel(entry, interface, channel.as_ref(), trash);
        Some(cell)
    }
}

/// Subscriptions that come and go together.
struct Section<'a> {
    removed: Vec<Arc<SubscriptionEntry>>,
    added: Vec<&'a mut Added>,
}

impl Changes {
    /// Returns the changes that concern a channel in sections of at most this many. What replaces an
    /// entry comes in the same section as that goes, so that no fire misses both.
    fn sections(
        &mut self,
        takes: impl Fn(&SubscriptionEntry) -> bool,
        limit: usize,
    ) -> Vec<Section<'_>> {
        let mut removed: HashMap<_, Vec<_>> = HashMap::new();
        for entry in self.removed.iter().filter(|entry| takes(entry)) {
            removed
                .entry(entry.record.id())
                .or_default()
                .push(Arc::clone(entry));
        }
        let mut sections = Vec::new();
        let mut added = self.added.iter_mut().filter(|added| takes(&added.entry));
        loop {
            let added: Vec<_> = added.by_ref().take(limit).collect();
            if added.is_empty() {
                break;
            }
            let replaced = added
                .iter()
                .filter_map(|added| removed.remove(&added.entry.record.id()));
            let removed = replaced.flatten().collect();
            sections.push(Section { removed, added });
        }
        let rest: Vec<_> = removed.into_values().flatten().collect();
        sections.extend(rest.chunks(SECTION).map(|part| Section {
            removed: part.to_vec(),
            added: Vec::new(),
        }));
        sections
    }

    /// Returns whether channels of the class are to be made anew.
    fn renew(&self, class: &ClassEntry) -> bool {
        let mut interfaces = self.interfaces.iter();
        interfaces.any(|id| class.typed.contains_key(id) || class.untyped.contains_key(id))
    }

    /// Returns whether a subscription that came or went may be one of the class's.
    fn concern(&self, class: &ClassEntry) -> bool {
        let added = self.added.iter().map(|added| &added.entry);
        self.removed.iter().chain(added).any(|entry| {
            let binding = entry.record.binding();
            binding.class().is_none_or(|id| id == class.record.id())
        })
    }
}

impl ClassEntry {
    pub(super) fn new(record: Arc<EventClass>, retired: Retired) -> Self {
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
            bags: BagEquality::default(),
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
    fn channels(&self) -> impl Iterator<Item = (InterfaceId, Arc<dyn AnyChannel>)> {
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

    fn change(&self, changes: &mut Changes, trash: &mut Trash) {
        for (interface, channel) in self.channels() {
            let site = self.site(channel.schema());
            let offered = self.record.interfaces().contains(&interface);
            let takes = |entry: &SubscriptionEntry| offered && site.takes(entry.record.binding());
            // What no fire can look at yet is built in one piece.
            let limit = if channel.is_empty() {
                usize::MAX
            } else {
                SECTION
            };
            for mut section in changes.sections(takes, limit) {
                channel.change(&section.removed, &mut section.added, trash);
            }
        }
    }
}
