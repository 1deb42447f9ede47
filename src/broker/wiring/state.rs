//! The records, by what they are found by.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::channels::{ClassEntry, Retired};
use super::entries::Entries;
use super::listing::Listed;
use super::schedules::Schedules;
use crate::broker::wiring_changes::{BUILT_IN, Listeners, PutSchema, Telling};
use crate::clock::Clock;
use crate::component::{Roles, Sessions};
use crate::model::{
    BindingPool, EventClass, EventClassId, Principal, Revision, Role, Subscription, SubscriptionId,
};
use crate::publish::{
    Added, BagEquality, CompiledFilter, ObjectId, SubscriptionEntry, SubscriptionKey,
};
use crate::store::Trash;
use crate::store::record::{Record, RecordKey, StoredSubscription};
use crate::sync::Mutex;
use crate::value::{InterfaceId, InterfaceSchema, RustType, SchemaHash};

/// Everything under the one lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) classes: HashMap<EventClassId, ClassEntry>,
    pub(crate) interfaces: HashMap<InterfaceId, InterfaceEntry>,
    pub(crate) roles: Roles,
    /// Publisher filters that compare bags, by the name under which they are registered.
    pub(super) bags: BTreeMap<Box<str>, BagEquality>,
    /// Stored and transient subscriptions.
    pub(crate) subscriptions: Entries,
    /// publisher object -> its private subscriptions
    privates: HashMap<ObjectId, Entries>,
    /// class -> the subscriptions that are bound to it
    pub(super) by_class: HashMap<EventClassId, Entries>,
    /// interface -> the subscriptions that take it from any class
    pub(super) by_interface: HashMap<Option<InterfaceId>, Entries>,
    /// Who is logged on.
    pub(crate) sessions: Sessions,
    /// owner -> the per-user subscriptions that follow the owner's sessions
    per_user: HashMap<Principal, Entries>,
    /// When subscriptions begin and cease to be delivered by their schedules.
    pub(super) schedules: Schedules,
    /// class that is gone -> the channels that its publishers may still have
    pub(super) retired: HashMap<EventClassId, Retired>,
    bindings: BindingPool,
    /// The greatest place in store order that was given.
    pub(super) last_order: u64,
    pub(crate) revision: Revision,
    /// The newest commit that changed a record, or at which all were listed.
    pub(in crate::broker) changed: Revision,
    /// What is told of all this.
    pub(in crate::broker) telling: Telling,
}

/// An interface: its schema, the newest that the store has until code says otherwise.
pub(crate) struct InterfaceEntry {
    pub(crate) schema: Arc<InterfaceSchema>,
    /// The newest schema in the store, and the commit that wrote it.
    stored: Option<(SchemaHash, Revision)>,
    /// All that are in the store.
    hashes: Vec<SchemaHash>,
    rust_type: Option<RustType>,
}

/// A subscription as a commit hands it to the wiring: decoded, and its filter compiled.
///
/// The first sink takes it; others, of other brokers, decode the bytes.
pub(crate) struct Wired(Mutex<Option<WiredSubscription>>);

struct WiredSubscription {
    stored: StoredSubscription,
    compiled: Option<CompiledFilter>,
}

/// What changes of the records mean to the channels.
#[derive(Default)]
pub(crate) struct Changes {
    pub(in crate::broker) removed: Vec<Arc<SubscriptionEntry>>,
    pub(super) added: Vec<Added>,
    /// Nothing to the channels; to be dropped without a lock.
    pub(super) dropped: Vec<Arc<SubscriptionEntry>>,
    /// Interfaces whose channels are made anew: the schema or a class that offers it has changed.
    pub(super) interfaces: HashSet<InterfaceId>,
    /// Classes whose channels take their new records and stay as they are.
    pub(super) adopted: Vec<Arc<EventClass>>,
    /// The stored classes that were replaced or removed.
    pub(in crate::broker) classes: Vec<Arc<EventClass>>,
    /// Roles that were replaced or removed.
    pub(in crate::broker) roles: Vec<Role>,
    /// The schemas that were stored.
    pub(in crate::broker) schemas: Vec<PutSchema>,
    /// Whether a subscription to a built-in class came or went.
    pub(in crate::broker) listeners: bool,
    /// Whether roles or classes have changed, and so who may do what.
    pub(super) access: bool,
}

impl Changes {
    /// Returns those of the removed subscriptions that may have a queue.
    pub(super) fn queued(&self) -> impl Iterator<Item = SubscriptionId> {
        let queued = self.removed.iter().filter(|gone| gone.may_be_queued());
        queued.map(|gone| gone.record.id())
    }

    /// Keeps an entry until no lock is held: it may be the last to hold the user's object.
    pub(super) fn drop_later(&mut self, entry: Arc<SubscriptionEntry>) {
        self.dropped.push(entry);
    }
}

impl Wired {
    pub(crate) fn new(stored: StoredSubscription, compiled: Option<CompiledFilter>) -> Self {
        Self(Mutex::new(Some(WiredSubscription { stored, compiled })))
    }

    /// Reads or changes the record before its commit, unless a sink took it.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut StoredSubscription) -> R) -> Option<R> {
        self.0.lock().as_mut().map(|wired| work(&mut wired.stored))
    }

    /// Puts it into the state as of the commit that wrote it, or says that it was taken before.
    pub(super) fn put(&self, state: &mut State, revision: Revision, changes: &mut Changes) -> bool {
        let Some(WiredSubscription { stored, compiled }) = self.0.lock().take() else {
            return false;
        };
        let record = stored.record.at(Some(revision));
        let stored = StoredSubscription { record, ..stored };
        state.put_subscription(SubscriptionEntry::from(stored), compiled, changes);
        true
    }
}

impl State {
    /// Returns the state of a store that holds nothing: the built-in classes.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let mut state = Self {
            schedules: Schedules::new(clock),
            ..Self::default()
        };
        let mut changes = Changes::default();
        for class in &BUILT_IN {
            // Nothing else is there yet whose type could have the id.
            let _ = state.claim((class.schema)(), (class.rust_type)(), &mut changes);
            state.put_class(class.record(), &mut changes);
        }
        state
    }

    /// Takes a record in, in place of the one with its id.
    pub(super) fn put(&mut self, record: Record, revision: Revision, changes: &mut Changes) {
        match record {
            Record::Schema(schema) => self.put_schema(schema, revision, changes),
            Record::Class(class) => self.put_class(*class, changes),
            Record::Role(name, role) => {
                changes.access = true;
                let replaced = self.roles.insert(name, role);
                changes.roles.extend(replaced);
            }
            Record::Subscription(stored) => self.put_subscription(stored.into(), None, changes),
        }
    }

    /// Takes a subscription in: stored, transient or private.
    pub(crate) fn put_subscription(
        &mut self,
        entry: SubscriptionEntry,
        compiled: Option<CompiledFilter>,
        changes: &mut Changes,
    ) {
        self.remove_subscription(entry.key(), changes);
        let entry = self.list(entry);
        changes.listeners |= Listeners::may_be(&entry);
        changes.added.push(Added { entry, compiled });
    }

    /// Lists a subscription whose key no other one has.
    fn list(&mut self, mut entry: SubscriptionEntry) -> Arc<SubscriptionEntry> {
        entry.record.share_binding(&mut self.bindings);
        self.last_order = self.last_order.max(entry.order);
        let follows = followed(&entry.record).cloned();
        entry.absent = follows
            .as_ref()
            .is_some_and(|owner| !self.sessions.has(owner));
        let off_hours = self.schedules.list(entry.key(), entry.record.schedule());
        entry.off_hours = off_hours.map(Box::new);
        let entry = Arc::new(entry);
        if let Some(owner) = follows {
            let of_owner = self.per_user.entry(owner).or_default();
            of_owner.insert(Arc::clone(&entry));
        }
        let binding = entry.record.binding();
        let bound = match (binding.class(), binding.interface()) {
            (Some(class), _) => self.by_class.entry(class).or_default(),
            (None, interface) => self.by_interface.entry(interface).or_default(),
        };
        bound.insert(Arc::clone(&entry));
        let listed = match entry.object() {
            None => &mut self.subscriptions,
            Some(object) => self.privates.entry(object).or_default(),
        };
        listed.insert(Arc::clone(&entry));
        entry
    }

    /// Returns the subscription of a key, of whichever kind.
    pub(crate) fn find(&self, key: SubscriptionKey) -> Option<&Arc<SubscriptionEntry>> {
        match key.object {
            None => self.subscriptions.get(key),
            Some(object) => self.privates.get(&object)?.get(key),
        }
    }

    /// Returns the live subscription that was given this place in store order, if it is still
    /// there.
    pub(crate) fn live(&self, key: SubscriptionKey, order: u64) -> Option<&Arc<SubscriptionEntry>> {
        let entry = self.find(key)?;
        (entry.order == order && entry.record.is_object()).then_some(entry)
    }

    /// Returns the subscriptions that are bound to a class, or to an interface that it offers; not
    /// the private ones of publisher objects.
    pub(in crate::broker) fn bound_to(
        &self,
        class: EventClassId,
    ) -> impl Iterator<Item = &Arc<SubscriptionEntry>> {
        let record = self.classes.get(&class).map(|entry| &entry.record);
        let interfaces = record.into_iter().flat_map(|class| class.interfaces());
        let of_any = interfaces.filter_map(|id| self.by_interface.get(&Some(*id)));
        let of_class = self.by_class.get(&class).into_iter();
        let bound = of_class.chain(of_any).flat_map(Entries::iter);
        bound.filter(|entry| entry.object().is_none())
    }

    /// Removes a subscription. The channels that have it let it go with the changes.
    pub(crate) fn remove_subscription(
        &mut self,
        key: impl Into<SubscriptionKey>,
        changes: &mut Changes,
    ) {
        let key = key.into();
        let removed = match key.object {
            None => self.subscriptions.remove(key),
            Some(object) => take_out(&mut self.privates, object, key),
        };
        if let Some(entry) = removed {
            let binding = entry.record.binding();
            match (binding.class(), binding.interface()) {
                (Some(class), _) => take_out(&mut self.by_class, class, key),
                (None, interface) => take_out(&mut self.by_interface, interface, key),
            };
            changes.listeners |= Listeners::may_be(&entry);
            self.schedules.remove(key);
            if let Some(owner) = followed(&entry.record) {
                take_out(&mut self.per_user, owner.clone(), key);
            }
            changes.removed.push(entry);
        }
    }

    /// Removes the private subscriptions of a publisher object, which is gone.
    pub(super) fn release(&mut self, object: ObjectId, changes: &mut Changes) {
        let own = self.privates.get(&object).into_iter();
        let keys: Vec<_> = own.flat_map(Entries::iter).map(|it| it.key()).collect();
        for key in keys {
            self.remove_subscription(key, changes);
        }
    }

    /// Returns the subscriptions that follow this owner's sessions.
    pub(crate) fn followers(&self, owner: &Principal) -> Vec<Arc<SubscriptionEntry>> {
        let of_owner = self.per_user.get(owner).into_iter();
        of_owner.flat_map(Entries::iter).cloned().collect()
    }

    pub(super) fn delete(&mut self, key: RecordKey, changes: &mut Changes, trash: &mut Trash) {
        match key {
            // A schema stays known while the process runs: publishers may use it.
            RecordKey::Schema(id, hash) => {
                if let Some(known) = self.interfaces.get_mut(&id) {
                    known.hashes.retain(|known| *known.as_bytes() != hash);
                }
            }
            RecordKey::Class(id) => self.remove_class(id, changes, trash),
            RecordKey::Role(name) => {
                changes.access = true;
                changes.roles.extend(self.roles.remove(&name));
            }
            RecordKey::Subscription(id) => self.remove_subscription(id, changes),
        }
    }

    fn put_schema(&mut self, schema: InterfaceSchema, revision: Revision, changes: &mut Changes) {
        let (id, hash) = (schema.id(), schema.hash());
        let schema = Arc::new(schema);
        let known = self.interfaces.entry(id).or_insert_with(|| InterfaceEntry {
            schema: Arc::clone(&schema),
            stored: None,
            hashes: Vec::new(),
            rust_type: None,
        });
        let is_new = !known.hashes.contains(&hash);
        if is_new {
            known.hashes.push(hash);
        }
        let put = Arc::clone(&schema);
        changes.schemas.push(PutSchema {
            schema: put,
            is_new,
        });
        // Of several in the store the newest counts.
        if known.stored.is_some_and(|(_, newest)| newest > revision) {
            return;
        }
        known.stored = Some((hash, revision));
        // Code owns the schema.
        if known.rust_type.is_none() {
            known.schema = schema;
            changes.interfaces.insert(id);
        }
    }

    /// Returns whether the store has this schema as the newest of its interface.
    pub(crate) fn has_stored(&self, schema: &InterfaceSchema) -> bool {
        let known = self.interfaces.get(&schema.id());
        let newest = known.and_then(|known| known.stored);
        newest.is_some_and(|(hash, _)| hash == schema.hash())
    }

    /// Makes the schema of a Rust type the interface's, or returns the type that has the id
    /// already.
    pub(crate) fn claim(
        &mut self,
        schema: &InterfaceSchema,
        rust_type: RustType,
        changes: &mut Changes,
    ) -> Result<(), &'static str> {
        let id = schema.id();
        let known = self.interfaces.entry(id).or_insert_with(|| InterfaceEntry {
            schema: Arc::new(schema.clone()),
            stored: None,
            hashes: Vec::new(),
            rust_type: None,
        });
        match known.rust_type {
            Some(present) if present != rust_type => return Err(present.name),
            Some(_) => return Ok(()),
            None => known.rust_type = Some(rust_type),
        }
        // What the store has knows no defaults.
        if known.schema.hash() != schema.hash() || schema.has_defaults() {
            known.schema = Arc::new(schema.clone());
            changes.interfaces.insert(id);
        }
        Ok(())
    }

    /// Takes over everything that the store listed, in place of all that came from it before.
    pub(super) fn list_anew(
        &mut self,
        listed: Listed,
        revision: Revision,
        changes: &mut Changes,
        trash: &mut Trash,
    ) {
        for known in self.interfaces.values_mut() {
            known.stored = None;
            known.hashes.clear();
        }
        let stored = self.subscriptions.iter();
        let stored: Vec<_> = stored
            .filter(|entry| !entry.record.is_object())
            .map(|entry| entry.record.id())
            .collect();
        for id in stored {
            self.remove_subscription(id, changes);
        }
        let present: HashSet<_> = listed.classes.iter().map(EventClass::id).collect();
        let stored = self.classes.values().map(|entry| &entry.record);
        let stored = stored.filter(|class| class.revision().is_some());
        let gone: Vec<_> = stored
            .map(|class| class.id())
            .filter(|id| !present.contains(id))
            .collect();
        for id in gone {
            self.remove_class(id, changes, trash);
        }
        for (schema, revision) in listed.schemas {
            self.put_schema(schema, revision, changes);
        }
        for class in listed.classes {
            self.put_class(class, changes);
        }
        self.roles = listed.roles.into_iter().collect();
        // A transient one may have the id of one that another process stored.
        let is_alone = self.subscriptions.iter().next().is_none();
        self.subscriptions
            .reserve(listed.subscriptions.iter().map(Vec::len).sum());
        for entry in listed.subscriptions.into_iter().flatten() {
            if !is_alone {
                self.remove_subscription(entry.record.id(), changes);
            }
            self.list(entry);
        }
        self.revision = revision;
        self.changed = revision;
    }
}

/// Returns whose sessions a subscription follows.
fn followed(record: &Subscription) -> Option<&Principal> {
    record.owner().filter(|_| record.is_per_user())
}

/// Takes a subscription out of those that share a binding, an owner or a publisher object, and the
/// last one with their place.
fn take_out<K: Eq + Hash>(
    bound: &mut HashMap<K, Entries>,
    place: K,
    key: SubscriptionKey,
) -> Option<Arc<SubscriptionEntry>> {
    let Entry::Occupied(mut entries) = bound.entry(place) else {
        return None;
    };
    let removed = entries.get_mut().remove(key);
    if entries.get().is_empty() {
        entries.remove();
    }
    removed
}
