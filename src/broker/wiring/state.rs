//! The records, by what they are found by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::channels::{ClassEntry, Retired};
use super::entries::Entries;
use super::listing::Listed;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    BindingPool, EventClass, EventClassId, Revision, Role, RoleName, SubscriptionId,
};
use crate::publish::{Added, BagEquality, CompiledFilter, SubscriptionEntry};
use crate::store::Trash;
use crate::store::record::{Record, RecordKey, StoredSubscription};
use crate::value::{InterfaceId, InterfaceSchema, RustType, SchemaHash};

/// Everything under the one lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) classes: HashMap<EventClassId, ClassEntry>,
    pub(crate) interfaces: HashMap<InterfaceId, InterfaceEntry>,
    pub(crate) roles: BTreeMap<RoleName, Role>,
    /// Stored and transient subscriptions.
    pub(crate) subscriptions: Entries,
    /// class -> the subscriptions that are bound to it
    pub(super) by_class: HashMap<EventClassId, Entries>,
    /// interface -> the subscriptions that take it from any class
    pub(super) by_interface: HashMap<Option<InterfaceId>, Entries>,
    /// class that is gone -> the channels that its publishers may still have
    retired: HashMap<EventClassId, Retired>,
    bindings: BindingPool,
    /// The greatest place in store order that was given.
    pub(super) last_order: u64,
    pub(crate) revision: Revision,
}

/// An interface: its schema, the newest that the store has until code says otherwise.
pub(crate) struct InterfaceEntry {
    pub(crate) schema: Arc<InterfaceSchema>,
    /// The newest schema in the store, and the commit that wrote it.
    stored: Option<(SchemaHash, Revision)>,
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
    pub(super) removed: Vec<Arc<SubscriptionEntry>>,
    pub(super) added: Vec<Added>,
    /// Interfaces whose channels are made anew: the schema or a class that offers it has changed.
    pub(super) interfaces: HashSet<InterfaceId>,
}

impl Wired {
    pub(crate) fn new(stored: StoredSubscription, compiled: Option<CompiledFilter>) -> Self {
        Self(Mutex::new(Some(WiredSubscription { stored, compiled })))
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
    /// Takes a record in, in place of the one with its id.
    pub(super) fn put(&mut self, record: Record, revision: Revision, changes: &mut Changes) {
        match record {
            Record::Schema(schema) => self.put_schema(schema, revision, changes),
            Record::Class(class) => self.put_class(class, changes),
            Record::Role(name, role) => drop(self.roles.insert(name, role)),
            Record::Subscription(stored) => self.put_subscription(stored.into(), None, changes),
        }
    }

    /// Takes a subscription in, stored or transient.
    pub(crate) fn put_subscription(
        &mut self,
        entry: SubscriptionEntry,
        compiled: Option<CompiledFilter>,
        changes: &mut Changes,
    ) {
        self.remove_subscription(entry.record.id(), changes);
        let entry = self.list(entry);
        changes.added.push(Added { entry, compiled });
    }

    /// Lists a subscription whose id no other one has.
    fn list(&mut self, mut entry: SubscriptionEntry) -> Arc<SubscriptionEntry> {
        entry.record.share_binding(&mut self.bindings);
        self.last_order = self.last_order.max(entry.order);
        let entry = Arc::new(entry);
        self.bound(&entry).insert(Arc::clone(&entry));
        self.subscriptions.insert(Arc::clone(&entry));
        entry
    }

    /// Returns the live subscription that was given this place in store order, if it is still there.
    pub(crate) fn live(&self, id: SubscriptionId, order: u64) -> Option<&Arc<SubscriptionEntry>> {
        let entry = self.subscriptions.get(id)?;
        (entry.order == order && entry.record.is_object()).then_some(entry)
    }

    /// Returns the entries that are bound as this one is.
    fn bound(&mut self, entry: &SubscriptionEntry) -> &mut Entries {
        let binding = entry.record.binding();
        match (binding.class(), binding.interface()) {
            (Some(class), _) => self.by_class.entry(class).or_default(),
            (None, interface) => self.by_interface.entry(interface).or_default(),
        }
    }

    /// Removes a subscription. The channels that have it let it go with the changes.
    pub(crate) fn remove_subscription(&mut self, id: SubscriptionId, changes: &mut Changes) {
        if let Some(entry) = self.subscriptions.remove(id) {
            self.bound(&entry).remove(id);
            changes.removed.push(entry);
        }
    }

    pub(super) fn delete(&mut self, key: RecordKey, changes: &mut Changes, trash: &mut Trash) {
        match key {
            // A schema stays known while the process runs: publishers may use it.
            RecordKey::Schema(..) => {}
            RecordKey::Class(id) => self.remove_class(id, changes, trash),
            RecordKey::Role(name) => drop(self.roles.remove(&name)),
            RecordKey::Subscription(id) => self.remove_subscription(id, changes),
        }
    }

    fn put_class(&mut self, class: EventClass, changes: &mut Changes) {
        let id = class.id();
        changes.interfaces.extend(class.interfaces());
        let record = Arc::new(class);
        match self.classes.get_mut(&id) {
            Some(entry) => {
                changes.interfaces.extend(entry.record.interfaces());
                entry.record = record;
            }
            None => {
                let retired = self.retired.remove(&id).unwrap_or_default();
                self.classes.insert(id, ClassEntry::new(record, retired));
            }
        }
    }

    /// Says which values of bags are compared with the events of a class.
    pub(crate) fn match_bags(
        &mut self,
        id: EventClassId,
        bags: BagEquality,
        changes: &mut Changes,
    ) -> Result<()> {
        let Some(class) = self.classes.get_mut(&id) else {
            let message = format!("there is no event class {id}");
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let offered = class.record.interfaces();
        let known = offered.iter().filter_map(|id| self.interfaces.get(id));
        bags.check(&class.record, known.map(|known| &*known.schema))?;
        // Subscriptions to the interfaces from any class are compiled for this one too.
        changes.interfaces.extend(offered);
        class.bags = bags;
        Ok(())
    }

    /// Removes a class; publishers that still have it reach nobody until it comes back.
    fn remove_class(&mut self, id: EventClassId, changes: &mut Changes, trash: &mut Trash) {
        let Some(class) = self.classes.remove(&id) else {
            return;
        };
        changes.interfaces.extend(class.record.interfaces());
        self.retired.insert(id, class.retire(trash));
    }

    fn put_schema(&mut self, schema: InterfaceSchema, revision: Revision, changes: &mut Changes) {
        let (id, hash) = (schema.id(), schema.hash());
        let schema = Arc::new(schema);
        let known = self.interfaces.entry(id).or_insert_with(|| InterfaceEntry {
            schema: Arc::clone(&schema),
            stored: None,
            rust_type: None,
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

    /// Makes the schema of a Rust type the interface's, or returns the type that has the id already.
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
            rust_type: None,
        });
        match known.rust_type {
            Some(present) if present != rust_type => return Err(present.name),
            Some(_) => return Ok(()),
            None => known.rust_type = Some(rust_type),
        }
        if known.schema.hash() != schema.hash() {
            known.schema = Arc::new(schema.clone());
            changes.interfaces.insert(id);
        }
        Ok(())
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
        let known = self.classes.keys().copied();
        let gone: Vec<_> = known.filter(|id| !present.contains(id)).collect();
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
    }
}
