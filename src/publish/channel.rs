//! One interface of one class: the cache of its subscriptions and what surrounds it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::explain::Explanation;
use super::facet::Facet;
use super::hook::Hook;
use super::lane::Lane;
use super::pipeline;
use super::prepared::{Prepared, SubscriptionEntry};
use super::publisher::Own;
use super::report::FireReport;
use super::site::{Site, Sites};
use crate::cache::SubscriptionCache;
use crate::clock::Clock;
use crate::component::Registry;
use crate::delivery::depth;
use crate::model::{ComponentId, EventClass, EventClassId, Nesting};
use crate::store::Trash;
use crate::value::{InterfaceId, InterfaceSchema, Properties, ValueRef};

/// What names a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChannelKey {
    pub(crate) class: EventClassId,
    pub(crate) interface: InterfaceId,
}

/// What a fire may need besides the subscriptions. Nothing in it is the broker itself: firing goes
/// on when the broker is closed.
pub(crate) struct Surroundings {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hook: Hook,
    /// A weak broker, for factories.
    pub(crate) host: Arc<dyn Any + Send + Sync>,
    pub(crate) upkeep: Weak<dyn Upkeep>,
}

/// What a fire asks of the broker afterwards, if there still is one.
pub(crate) trait Upkeep: Any + Send + Sync {
    /// Removes transient subscriptions whose object is gone, unless they have another by now.
    fn prune(&self, gone: &[Arc<SubscriptionEntry>]);
}

/// One interface of one class.
pub(crate) struct Channel<I: ?Sized> {
    pub(crate) key: ChannelKey,
    pub(crate) schema: Arc<InterfaceSchema>,
    pub(crate) cache: SubscriptionCache<Lane<I>>,
    pub(crate) around: Arc<Surroundings>,
    class: ArcSwap<ClassFacts>,
    prepared: Mutex<PreparedSet<I>>,
}

/// The class record and what is derived from it.
pub(crate) struct ClassFacts {
    pub(crate) record: Arc<EventClass>,
    pub(crate) defaults: Properties,
}

/// The subscriptions of a channel, made ready; disabled ones too, which `explain` shows.
struct PreparedSet<I: ?Sized> {
    sites: Sites,
    /// By rank, which is the order of calling.
    in_order: Vec<Arc<Prepared<I>>>,
}

/// A channel without its type.
pub(crate) trait AnyChannel: Send + Sync + 'static {
    /// Returns the interface's schema.
    fn schema(&self) -> &Arc<InterfaceSchema>;

    /// Returns what surrounds the channel.
    fn around(&self) -> &Arc<Surroundings>;

    /// Takes over the class record and all subscriptions, which are in order of calling. What must be
    /// dropped without a lock goes to `trash`, here and below.
    fn reset(&self, sites: Sites, entries: Vec<Arc<SubscriptionEntry>>, trash: &mut Trash);

    /// Takes some subscriptions out and others in.
    fn change(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: &[Arc<SubscriptionEntry>],
        trash: &mut Trash,
    );

    /// Binds the subscriptions anew whose target is this component, since it came or went.
    fn rebind(&self, component: ComponentId, trash: &mut Trash);

    /// Returns whether an event fired now has to wait for the fire around it.
    fn must_wait(&self) -> bool;

    /// Fires with values that were checked against the schema.
    fn fire_values(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> FireReport;

    /// Says what a fire would do, and does not do it.
    fn explain(&self, method: usize, values: &[ValueRef<'_>], own: &Properties) -> Explanation;

    /// Returns the class record.
    fn class(&self) -> Arc<EventClass>;

    /// Returns the typed channel as `dyn Any`, to be downcast.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<I: Facet + ?Sized> Channel<I> {
    /// Returns a channel without subscriptions.
    pub(crate) fn new(site: Site, around: Arc<Surroundings>) -> Self {
        let Site { schema, class } = &site;
        Self {
            key: ChannelKey {
                class: class.id(),
                interface: schema.id(),
            },
            cache: SubscriptionCache::new((0..schema.methods().len()).map(|m| Lane::new(m, &[]))),
            schema: Arc::clone(schema),
            around,
            class: ArcSwap::from_pointee(ClassFacts::new(Arc::clone(class))),
            prepared: Mutex::new(PreparedSet {
                sites: Sites {
                    here: site,
                    others: Vec::new(),
                },
                in_order: Vec::new(),
            }),
        }
    }

    /// Takes singletons that were made into the snapshot.
    pub(crate) fn refresh(&self) {
        let mut trash = Trash::default();
        let set = self.prepared.lock();
        set.in_order
            .iter()
            .for_each(|prepared| prepared.adopt(&self.schema));
        self.publish(&set, &mut trash);
        drop(set);
        trash.dispose();
    }

    /// Puts a new snapshot in place.
    fn publish(&self, set: &PreparedSet<I>, trash: &mut Trash) {
        let methods = 0..self.schema.methods().len();
        trash.add(
            self.cache
                .swap(methods.map(|method| Lane::new(method, &set.in_order))),
        );
    }

    fn prepare(&self, entry: &Arc<SubscriptionEntry>, sites: &Sites) -> Arc<Prepared<I>> {
        Arc::new(Prepared::new(Arc::clone(entry), sites, &self.around))
    }

    /// Returns whether events that are fired inside a delivery wait for its end.
    #[cold]
    pub(crate) fn queues_nested(&self) -> bool {
        self.class.load().record.nesting_mode() == Nesting::Queued
    }

    pub(crate) fn class_facts(&self) -> Arc<ClassFacts> {
        self.class.load_full()
    }

    /// Returns what is ready of the subscriptions, in order.
    pub(crate) fn prepared(&self) -> Vec<Arc<Prepared<I>>> {
        self.prepared.lock().in_order.clone()
    }
}

impl<I: Facet + ?Sized> PreparedSet<I> {
    /// Returns where an entry is, or belongs.
    fn position(&self, entry: &SubscriptionEntry) -> Result<usize, usize> {
        let rank = entry.rank();
        self.in_order
            .binary_search_by_key(&rank, |prepared| prepared.entry.rank())
    }

    fn remove(&mut self, entry: &Arc<SubscriptionEntry>, trash: &mut Trash) {
        let found = self.position(entry).ok();
        let same = |at: &usize| Arc::ptr_eq(&self.in_order[*at].entry, entry);
        if let Some(at) = found.filter(same) {
            trash.add(self.in_order.remove(at));
        }
    }

    fn insert(&mut self, prepared: Arc<Prepared<I>>) {
        let at = self.position(&prepared.entry).unwrap_or_else(|at| at);
        self.in_order.insert(at, prepared);
    }
}

impl ClassFacts {
    fn new(record: Arc<EventClass>) -> Self {
        Self {
            defaults: record.defaults(),
            record,
        }
    }
}

impl<I: Facet + ?Sized> AnyChannel for Channel<I> {
    fn schema(&self) -> &Arc<InterfaceSchema> {
        &self.schema
    }

    fn around(&self) -> &Arc<Surroundings> {
        &self.around
    }

    fn reset(&self, sites: Sites, entries: Vec<Arc<SubscriptionEntry>>, trash: &mut Trash) {
        let mut set = self.prepared.lock();
        let facts = ClassFacts::new(Arc::clone(&sites.here.class));
        trash.add(self.class.swap(Arc::new(facts)));
        let in_order = entries
            .iter()
            .map(|entry| self.prepare(entry, &sites))
            .collect();
        trash.add(std::mem::replace(&mut set.in_order, in_order));
        set.sites = sites;
        self.publish(&set, trash);
    }

    fn change(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: &[Arc<SubscriptionEntry>],
        trash: &mut Trash,
    ) {
        let mut set = self.prepared.lock();
        removed.iter().for_each(|entry| set.remove(entry, trash));
        for entry in added {
            let prepared = self.prepare(entry, &set.sites);
            set.insert(prepared);
        }
        self.publish(&set, trash);
    }

    fn rebind(&self, component: ComponentId, trash: &mut Trash) {
        let mut set = self.prepared.lock();
        let mut any = false;
        let named = set
            .in_order
            .iter_mut()
            .filter(|prepared| prepared.is_component(component));
        for prepared in named {
            let rebound = prepared.rebound(&self.schema, &self.around);
            trash.add(std::mem::replace(prepared, Arc::new(rebound)));
            any = true;
        }
        if any {
            self.publish(&set, trash);
        }
    }

    fn fire_values(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> FireReport {
        let call = |target: &I| target.invoke(&self.schema, method, values);
        pipeline::fire(self, method, own, || values, &call)
    }

    fn must_wait(&self) -> bool {
        depth() > 0 && self.queues_nested()
    }

    fn explain(&self, method: usize, values: &[ValueRef<'_>], own: &Properties) -> Explanation {
        Explanation::new(self, method, values, own)
    }

    fn class(&self) -> Arc<EventClass> {
        Arc::clone(&self.class.load().record)
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<I: ?Sized> fmt::Debug for Channel<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("key", &self.key)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
