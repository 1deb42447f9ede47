//! The records, by what they are found by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::channels::{ClassEntry, Retired};
use crate::filter::Filter;
use crate::model::{
    BindingPool, EventClass, EventClassId, Revision, Subscription, SubscriptionId, Target,
};
use crate::publish::{SubscriptionEntry, TargetSource};
use crate::store::Trash;
use crate::store::record::{Record, RecordKey, StoredSubscription};
use crate::value::{InterfaceId, InterfaceSchema, RustType, SchemaHash};

/// Everything under the one lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) classes: HashMap<EventClassId, ClassEntry>,
    pub(crate) interfaces: HashMap<InterfaceId, InterfaceEntry>,
    /// Stored and transient subscriptions.
    pub(crate) subscriptions: HashMap<SubscriptionId, Listed>,
    /// class -> the subscriptions that are bound to it, in order of calling
    pub(super) by_class: HashMap<EventClassId, Ranked>,
    /// interface -> the subscriptions that take it from any class, in order of calling
    pub(super) by_interface: HashMap<Option<InterfaceId>, Ranked>,
    /// class that is gone -> the channels that its publishers may still have
    retired: HashMap<EventClassId, Retired>,
    bindings: BindingPool,
    /// The greatest place in store order that was given.
    pub(super) last_order: u64,
    pub(crate) revision: Revision,
}

type Rank = (std::cmp::Reverse<i32>, u64, SubscriptionId);
pub(super) type Ranked = BTreeMap<Rank, Arc<SubscriptionEntry>>;

/// An interface: its schema, the newest that the store has until code says otherwise.
pub(crate) struct InterfaceEntry {
    pub(crate) schema: Arc<InterfaceSchema>,
    /// The newest schema in the store, and the commit that wrote it.
    stored: Option<(SchemaHash, Revision)>,
    rust_type: Option<RustType>,
}

/// A subscription and what the store keeps beside it.
pub(crate) struct Listed {
    pub(crate) entry: Arc<SubscriptionEntry>,
    pub(crate) ensured: Option<Uuid>,
}
/// The filter of a subscription, parsed before any lock is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parsed {
    filter: Option<Filter>,
    /// Why the stored filter does not parse.
    defect: Option<String>,
}

/// A record as a commit hands it to the wiring: decoded, and parsed where there is something to
/// parse.
#[derive(Debug, Clone)]
pub(crate) struct WiredRecord {
    record: Record,
    parsed: Parsed,
}

/// What changes of the records mean to the channels.
#[derive(Default)]
pub(crate) struct Changes {
    pub(super) removed: Vec<Arc<SubscriptionEntry>>,
    pub(super) added: Vec<Arc<SubscriptionEntry>>,
    /// Interfaces whose channels are made anew: the schema or a class that offers it has changed.
    pub(super) interfaces: HashSet<InterfaceId>,
}

impl Parsed {
    pub(crate) fn new(record: &Subscription) -> Self {
        match record.filter().map(Filter::parse).transpose() {
            Ok(filter) => Self {
                filter,
                defect: None,
            },
            Err(error) => Self {
                filter: None,
                defect: Some(error.to_string()),
            },
        }
    }
}

impl From<&SubscriptionEntry> for Parsed {
    fn from(entry: &SubscriptionEntry) -> Self {
        Self {
            filter: entry.filter.clone(),
            defect: entry.defect.clone(),
        }
    }
}

impl WiredRecord {
    pub(crate) fn new(record: Record) -> Self {
        let parsed = match &record {
            Record::Subscription(stored) => Parsed::new(&stored.record),
            Record::Schema(_) | Record::Class(_) => Parsed::default(),
        };
        Self { record, parsed }
    }

    /// Returns the same record as of the commit that wrote it.
    pub(super) fn at(self, revision: Revision) -> Self {
        Self {
            record: self.record.at(revision),
            parsed: self.parsed,
        }
    }

    /// Returns the id of the class, if it is one.
    fn class(&self) -> Option<EventClassId> {
        match &self.record {
            Record::Class(class) => Some(class.id()),
            _ => None,
        }
    }
}

impl State {
    /// Takes a record in, in place of the one with its id.
    pub(super) fn put(&mut self, wired: WiredRecord, revision: Revision, changes: &mut Changes) {
        match wired.record {
            Record::Schema(schema) => self.put_schema(schema, revision, changes),
            Record::Class(class) => self.put_class(class, changes),
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
                    Target::Object => return,
                };
                self.put_subscription(record, wired.parsed, order, ensured, target, changes);
            }
        }
    }

    /// Takes a subscription in, stored or transient.
    pub(crate) fn put_subscription(
        &mut self,
        mut record: Subscription,
        parsed: Parsed,
        order: u64,
        ensured: Option<Uuid>,
        target: TargetSource,
        changes: &mut Changes,
    ) {
        self.last_order = self.last_order.max(order);
        self.remove_subscription(record.id(), changes);
        record.share_binding(&mut self.bindings);
        let entry = Arc::new(SubscriptionEntry {
            name: Arc::clone(record.shared_name()),
            order,
            filter: parsed.filter,
            defect: parsed.defect,
            target,
            record: Arc::new(record),
        });
        self.ranked(&entry).insert(entry.rank(), Arc::clone(&entry));
        changes.added.push(Arc::clone(&entry));
        self.subscriptions
            .insert(entry.record.id(), Listed { entry, ensured });
    }

    /// Returns the live subscription that was given this place in store order, if it is still there.
    pub(crate) fn live(&self, id: SubscriptionId, order: u64) -> Option<&Listed> {
        let listed = self.subscriptions.get(&id)?;
        let is_it = listed.entry.order == order && listed.entry.record.is_object();
        is_it.then_some(listed)
    }

    /// Returns the ranking that an entry belongs to.
    fn ranked(&mut self, entry: &SubscriptionEntry) -> &mut Ranked {
        let binding = entry.record.binding();
        match (binding.class(), binding.interface()) {
            (Some(class), _) => self.by_class.entry(class).or_default(),
            (None, interface) => self.by_interface.entry(interface).or_default(),
        }
    }

    /// Removes a subscription. The channels that have it let it go with the changes.
    pub(crate) fn remove_subscription(&mut self, id: SubscriptionId, changes: &mut Changes) {
        let Some(listed) = self.subscriptions.remove(&id) else {
            return;
        };
        self.ranked(&listed.entry).remove(&listed.entry.rank());
        changes.removed.push(listed.entry);
    }

    pub(super) fn delete(&mut self, key: RecordKey, changes: &mut Changes, trash: &mut Trash) {
        match key {
            // A schema stays known while the process runs: publishers may use it.
            RecordKey::Schema(..) => {}
            RecordKey::Class(id) => self.remove_class(id, changes, trash),
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

    /// Forgets what came from the store and is not listed any more, before it is listed anew.
    pub(super) fn forget_stored(
        &mut self,
        listed: &[(WiredRecord, Revision)],
        changes: &mut Changes,
        trash: &mut Trash,
    ) {
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
            self.remove_subscription(id, changes);
        }
        let classes: HashSet<_> = listed
            .iter()
            .filter_map(|(wired, _)| wired.class())
            .collect();
        let gone: Vec<_> = self
            .classes
            .keys()
            .filter(|id| !classes.contains(*id))
            .copied()
            .collect();
        for id in gone {
            self.remove_class(id, changes, trash);
        }
    }
}
