//! The wiring as this process holds it: every record, and the channels that follow from them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::filter::Filter;
use crate::model::{EventClass, EventClassId, Revision, Subscription, SubscriptionId, Target};
use crate::notices::{Notice, Notices};
use crate::publish::{
    AnyChannel, Channel, ChannelCell, ChannelKey, SubscriptionEntry, Surroundings, TargetSource,
    Upkeep,
};
use crate::store::record::{self, Record, RecordKey, StoredSubscription};
use crate::store::{Change, Commit, CommitSink, Listing, Trash};
use crate::value::{
    EventInterface, InterfaceId, InterfaceSchema, RustType, SchemaHash, Subscriber,
};

/// The records and channels of a broker. Guards hold it strongly, so that they still unsubscribe
/// when the broker is gone; it holds no store.
pub(crate) struct Wiring {
    state: Mutex<State>,
    notices: Notices,
}

/// Everything under the one lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) classes: HashMap<EventClassId, ClassEntry>,
    pub(super) interfaces: HashMap<InterfaceId, InterfaceEntry>,
    /// Stored and transient subscriptions.
    pub(super) subscriptions: HashMap<SubscriptionId, Listed>,
    /// class -> the subscriptions that are bound to it, in order of calling
    by_class: HashMap<EventClassId, Ranked>,
    /// interface -> the subscriptions that take it from any class, in order of calling
    by_interface: HashMap<InterfaceId, Ranked>,
    /// The greatest place in store order that was given.
    last_order: u64,
    pub(super) revision: Revision,
}

type Rank = (std::cmp::Reverse<i32>, u64, SubscriptionId);
type Ranked = BTreeMap<Rank, Arc<SubscriptionEntry>>;

/// A class and the channels that publishers of it use.
pub(super) struct ClassEntry {
    pub(super) record: Arc<EventClass>,
    typed: HashMap<InterfaceId, Arc<dyn AnyChannel>>,
    untyped: HashMap<InterfaceId, Arc<ChannelCell>>,
}

/// An interface: its schema, the newest that the store has until code says otherwise.
pub(super) struct InterfaceEntry {
    pub(super) schema: Arc<InterfaceSchema>,
    /// The newest schema in the store, and the commit that wrote it.
    stored: Option<(SchemaHash, Revision)>,
    rust_type: Option<RustType>,
}

/// A subscription and what the store keeps beside it.
pub(super) struct Listed {
    pub(super) entry: Arc<SubscriptionEntry>,
    pub(super) ensured: Option<Uuid>,
}

impl Wiring {
    pub(crate) fn new(notices: Notices) -> Self {
        Self {
            state: Mutex::new(State::default()),
            notices,
        }
    }

    /// Reads or changes the state. `work` must not call user code; what it replaces goes to the
    /// trash, which is dropped when the lock is released.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut State, &mut Trash) -> R) -> R {
        let mut trash = Trash::default();
        let result = work(&mut self.state.lock(), &mut trash);
        trash.dispose();
        result
    }

    /// Returns the next place in store order.
    pub(super) fn next_order(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_order += 1;
        state.last_order
    }

    fn apply(
        &self,
        state: &mut State,
        change: &Change<'_>,
        revision: Revision,
        trash: &mut Trash,
    ) -> Option<Touched> {
        let key = RecordKey::parse(change.key())?;
        let Some(value) = change.value() else {
            return Some(state.delete(key, trash));
        };
        let prepared = change
            .prepared()
            .and_then(|prepared| prepared.downcast_ref::<Record>());
        let record = match prepared {
            Some(record) => Ok(record.clone().at(revision)),
            None => record::decode(key, value, revision),
        };
        match record {
            Ok(record) => Some(state.put(record, revision, trash)),
            Err(error) => {
                let reason = error.to_string();
                self.notices.push(Notice::Quarantined {
                    key: change.key().to_vec(),
                    reason,
                });
                Some(state.delete(key, trash))
            }
        }
    }
}

impl CommitSink for Wiring {
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, trash: &mut Trash) {
        let mut records = Vec::new();
        for item in listing {
            // An error is the last item: the present state is kept, and the store says the rest.
            let Ok((key, entry)) = item else { return };
            let Some(parsed) = RecordKey::parse(&key) else {
                continue;
            };
            match record::decode(parsed, &entry.value, entry.revision) {
                Ok(record) => records.push((record, entry.revision)),
                Err(error) => {
                    let reason = error.to_string();
                    self.notices.push(Notice::Quarantined { key, reason });
                }
            }
        }
        let mut state = self.state.lock();
        state.forget_stored(&records, trash);
        for (record, revision) in records {
            state.put(record, revision, trash);
        }
        state.revision = revision;
        state.rebuild_all(trash);
    }

    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash) {
        let mut state = self.state.lock();
        let mut touched = HashSet::new();
        for change in commit.changes() {
            if let Some(place) = self.apply(&mut state, change, commit.revision(), trash) {
                touched.extend(place);
            }
        }
        state.revision = commit.revision();
        state.rebuild(&touched, trash);
    }
}

impl Upkeep for Wiring {
    fn refresh(&self, key: ChannelKey) {
        self.with(|state, trash| state.rebuild(&HashSet::from([Place::Class(key.class)]), trash));
    }

    fn prune(&self, gone: &[Arc<SubscriptionEntry>]) {
        self.with(|state, trash| {
            let mut touched = HashSet::new();
            for entry in gone {
                let id = entry.record.id();
                let present = state.subscriptions.get(&id);
                if present.is_some_and(|listed| Arc::ptr_eq(&listed.entry, entry)) {
                    touched.extend(state.remove_subscription(id, trash));
                }
            }
            state.rebuild(&touched, trash);
        });
    }
}

/// Which channels a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Class(EventClassId),
    Interface(InterfaceId),
}

/// The places that a change reaches: none, one, or the old and the new one.
pub(super) type Touched = smallvec::SmallVec<[Place; 2]>;

impl State {
    /// Takes a record in, in place of the one with its id.
    fn put(&mut self, record: Record, revision: Revision, trash: &mut Trash) -> Touched {
        match record {
            Record::Schema(schema) => self.put_schema(schema, revision),
            Record::Class(class) => {
                let id = class.id();
                let record = Arc::new(class);
                match self.classes.get_mut(&id) {
                    Some(entry) => entry.record = record,
                    None => {
                        self.classes.insert(id, ClassEntry::new(record));
                    }
                }
                Touched::from_iter([Place::Class(id)])
            }
            Record::Subscription(stored) => {
                let StoredSubscription {
                    record,
                    order,
                    ensured,
                } = stored;
                let target = match record.target() {
                    Target::Component(id) => TargetSource::Component(*id),
                    Target::Moniker(moniker) => TargetSource::Moniker(moniker.to_string()),
                    // Nothing that was stored has this target.
                    Target::Object => return Touched::new(),
                };
                self.put_subscription(record, order, ensured, target, trash)
            }
        }
    }

    /// Takes a subscription in, stored or transient.
    pub(super) fn put_subscription(
        &mut self,
        record: Subscription,
        order: u64,
        ensured: Option<Uuid>,
        target: TargetSource,
        trash: &mut Trash,
    ) -> Touched {
        self.last_order = self.last_order.max(order);
        let mut touched = self.unlist(record.id());
        let filter = record.filter().map(Filter::parse).transpose();
        let defect = filter.as_ref().err().map(ToString::to_string);
        let entry = Arc::new(SubscriptionEntry {
            name: record.name().into(),
            order,
            filter: filter.ok().flatten(),
            defect,
            target,
            record: Arc::new(record),
        });
        touched.push(self.list(&entry));
        let replaced = self
            .subscriptions
            .insert(entry.record.id(), Listed { entry, ensured });
        trash.add(replaced.map(|listed| listed.entry));
        touched
    }

    /// Returns the live subscription that was given this place in store order, if it is still there.
    pub(super) fn live(&self, id: SubscriptionId, order: u64) -> Option<&Listed> {
        let listed = self.subscriptions.get(&id)?;
        let is_it = listed.entry.order == order && listed.entry.record.is_object();
        is_it.then_some(listed)
    }

    fn list(&mut self, entry: &Arc<SubscriptionEntry>) -> Place {
        let binding = entry.record.binding();
        let (ranked, place) = match (binding.class(), binding.interface()) {
            (Some(class), _) => (self.by_class.entry(class).or_default(), Place::Class(class)),
            (None, interface) => {
                let id = interface.unwrap_or_else(|| InterfaceId::from_u128(0));
                (
                    self.by_interface.entry(id).or_default(),
                    Place::Interface(id),
                )
            }
        };
        ranked.insert(entry.rank(), Arc::clone(entry));
        place
    }

    /// Takes a subscription out of the rankings. Its entry stays in `subscriptions` until replaced,
    /// and channels still hold it, so nothing of the user's is dropped here.
    fn unlist(&mut self, id: SubscriptionId) -> Touched {
        let Some(listed) = self.subscriptions.get(&id) else {
            return Touched::new();
        };
        let entry = &listed.entry;
        let binding = entry.record.binding();
        let place = match (binding.class(), binding.interface()) {
            (Some(class), _) => {
                remove_ranked(&mut self.by_class, class, entry);
                Place::Class(class)
            }
            (None, interface) => {
                let id = interface.unwrap_or_else(|| InterfaceId::from_u128(0));
                remove_ranked(&mut self.by_interface, id, entry);
                Place::Interface(id)
            }
        };
        Touched::from_iter([place])
    }

    /// Removes a subscription; the caller rebuilds what it touches.
    pub(super) fn remove_subscription(&mut self, id: SubscriptionId, trash: &mut Trash) -> Touched {
        let touched = self.unlist(id);
        if let Some(listed) = self.subscriptions.remove(&id) {
            trash.add(listed.entry);
        }
        touched
    }

    fn delete(&mut self, key: RecordKey, trash: &mut Trash) -> Touched {
        match key {
            // A schema stays known while the process runs: publishers may use it.
            RecordKey::Schema(..) => Touched::new(),
            RecordKey::Class(id) => {
                self.remove_class(id, trash);
                Touched::new()
            }
            RecordKey::Subscription(id) => self.remove_subscription(id, trash),
        }
    }

    /// Removes a class; publishers that still have it reach nobody from now on.
    fn remove_class(&mut self, id: EventClassId, trash: &mut Trash) {
        let Some(class) = self.classes.remove(&id) else {
            return;
        };
        class
            .typed
            .values()
            .for_each(|channel| channel.rebuild(&class.record, &[], trash));
        for cell in class.untyped.values() {
            cell.read().rebuild(&class.record, &[], trash);
        }
        trash.add((class.typed, class.untyped));
    }

    fn put_schema(&mut self, schema: InterfaceSchema, revision: Revision) -> Touched {
        let (id, hash) = (schema.id(), schema.hash());
        let schema = Arc::new(schema);
        let known = self.interfaces.entry(id).or_insert_with(|| InterfaceEntry {
            schema: Arc::clone(&schema),
            stored: None,
            rust_type: None,
        });
        // Of several in the store the newest counts.
        if known.stored.is_some_and(|(_, newest)| newest > revision) {
            return Touched::new();
        }
        known.stored = Some((hash, revision));
        // Code owns the schema.
        if known.rust_type.is_some() {
            return Touched::new();
        }
        known.schema = schema;
        Touched::from_iter([Place::Interface(id)])
    }

    /// Returns whether the store has this schema as the newest of its interface.
    pub(super) fn has_stored(&self, schema: &InterfaceSchema) -> bool {
        let known = self.interfaces.get(&schema.id());
        let newest = known.and_then(|known| known.stored);
        newest.is_some_and(|(hash, _)| hash == schema.hash())
    }

    /// Makes the schema of a Rust type the interface's, or returns the type that has the id already.
    pub(super) fn claim(
        &mut self,
        schema: &InterfaceSchema,
        rust_type: RustType,
        trash: &mut Trash,
    ) -> Result<(), &'static str> {
        let id = schema.id();
        let known = self.interfaces.entry(id).or_insert_with(|| InterfaceEntry {
            schema: Arc::new(schema.clone()),
            stored: None,
            rust_type: None,
        });
        match known.rust_type {
            Some(present) if present != rust_type => return Err(present.name),
            Some(_) => return Ok(()),
            None => known.rust_type = Some(rust_type),
        }
        if known.schema.hash() != schema.hash() {
            trash.add(std::mem::replace(
                &mut known.schema,
                Arc::new(schema.clone()),
            ));
            self.rebuild(&HashSet::from([Place::Interface(id)]), trash);
        }
        Ok(())
    }

    /// Returns the classes that offer `interface`, by id.
    pub(super) fn classes_of(&self, interface: InterfaceId) -> Vec<Arc<EventClass>> {
        let offering = self.classes.values().map(|entry| &entry.record);
        let mut offering: Vec<_> = offering
            .filter(|class| class.interfaces().contains(&interface))
            .cloned()
            .collect();
        offering.sort_by_key(|class| class.id());
        offering
    }

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
    pub(super) fn rebuild(&self, touched: &HashSet<Place>, trash: &mut Trash) {
        let classes = self.classes.iter().filter(|(id, entry)| {
            touched.contains(&Place::Class(**id))
                || entry
                    .interfaces()
                    .any(|i| touched.contains(&Place::Interface(i)))
        });
        classes.for_each(|(_, entry)| self.rebuild_class(entry, trash));
    }

    fn rebuild_all(&self, trash: &mut Trash) {
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
    pub(super) fn reactivate(&self, trash: &mut Trash) {
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
    pub(super) fn channel<I: EventInterface + ?Sized>(
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
    pub(super) fn untyped(
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

    /// Forgets what came from the store and is not listed any more, before it is listed anew.
    fn forget_stored(&mut self, listed: &[(Record, Revision)], trash: &mut Trash) {
        for known in self.interfaces.values_mut() {
            known.stored = None;
        }
        let subscriptions: Vec<_> = self
            .subscriptions
            .values()
            .filter(|known| !matches!(known.entry.target, TargetSource::Live(_)))
            .map(|known| known.entry.record.id())
            .collect();
        for id in subscriptions {
            self.remove_subscription(id, trash);
        }
        let classes: HashSet<_> = listed
            .iter()
            .filter_map(|(record, _)| match record {
                Record::Class(class) => Some(class.id()),
                _ => None,
            })
            .collect();
        let gone: Vec<_> = self
            .classes
            .keys()
            .filter(|id| !classes.contains(*id))
            .copied()
            .collect();
        for id in gone {
            self.remove_class(id, trash);
        }
    }
}

impl ClassEntry {
    fn new(record: Arc<EventClass>) -> Self {
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

fn remove_ranked<K: std::hash::Hash + Eq>(
    all: &mut HashMap<K, Ranked>,
    key: K,
    entry: &SubscriptionEntry,
) {
    if let Some(ranked) = all.get_mut(&key) {
        ranked.remove(&entry.rank());
        if ranked.is_empty() {
            all.remove(&key);
        }
    }
}
