//! One interface of one class: the cache of its subscriptions and what surrounds it.

use std::any::Any;
use std::collections::HashMap;
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
use crate::cache::SubscriptionCache;
use crate::clock::Clock;
use crate::component::Registry;
use crate::delivery::depth;
use crate::model::{EventClass, EventClassId, Nesting};
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
    /// Makes new snapshots of a channel, since singletons were made.
    fn refresh(&self, key: ChannelKey);

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
    in_order: Vec<Arc<Prepared<I>>>,
}

/// A channel without its type.
pub(crate) trait AnyChannel: Send + Sync + 'static {
    /// Returns the interface's schema.
    fn schema(&self) -> &Arc<InterfaceSchema>;

    /// Returns what surrounds the channel.
    fn around(&self) -> &Arc<Surroundings>;

    /// Takes over the class record and the subscriptions, which are in order of calling, and leaves
    /// in `trash` what must be dropped without a lock.
    fn rebuild(
        &self,
        class: &Arc<EventClass>,
        entries: &[Arc<SubscriptionEntry>],
        trash: &mut Trash,
    );

    /// Forgets everything made ready so far, since schema or components changed.
    fn forget(&self, trash: &mut Trash);

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
    pub(crate) fn new(
        class: Arc<EventClass>,
        schema: Arc<InterfaceSchema>,
        around: Arc<Surroundings>,
    ) -> Self {
        Self {
            key: ChannelKey {
                class: class.id(),
                interface: schema.id(),
            },
            cache: SubscriptionCache::new((0..schema.methods().len()).map(|m| Lane::new(m, &[]))),
            schema,
            around,
            class: ArcSwap::from_pointee(ClassFacts::new(class)),
            prepared: Mutex::new(PreparedSet {
                in_order: Vec::new(),
            }),
        }
    }

    /// Returns whether events that are fired inside a delivery wait for its end.
    #[cold]
    pub(crate) fn queues_nested(&self) -> bool {
        self.class.load().record.nesting() == Nesting::Queued
    }

    pub(crate) fn class_facts(&self) -> Arc<ClassFacts> {
        self.class.load_full()
    }

    /// Returns what is ready of the subscriptions, in order.
    pub(crate) fn prepared(&self) -> Vec<Arc<Prepared<I>>> {
        self.prepared.lock().in_order.clone()
    }

    fn replace_class(&self, class: &Arc<EventClass>, trash: &mut Trash) -> bool {
        let known = self.class.load();
        if Arc::ptr_eq(&known.record, class) {
            return false;
        }
        let same_scope = known.record.properties() == class.properties()
            && known.record.has_open_properties() == class.has_open_properties();
        trash.add(
            self.class
                .swap(Arc::new(ClassFacts::new(Arc::clone(class)))),
        );
        !same_scope
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

    fn rebuild(
        &self,
        class: &Arc<EventClass>,
        entries: &[Arc<SubscriptionEntry>],
        trash: &mut Trash,
    ) {
        let mut set = self.prepared.lock();
        if self.replace_class(class, trash) {
            trash.add(std::mem::take(&mut set.in_order));
        }
        // What was made ready stays so while the entry is the same one.
        let known: HashMap<_, _> = set
            .in_order
            .iter()
            .map(|prepared| (Arc::as_ptr(&prepared.entry), Arc::clone(prepared)))
            .collect();
        let in_order: Vec<_> = entries
            .iter()
            .map(|entry| {
                known.get(&Arc::as_ptr(entry)).map_or_else(
                    || Arc::new(Prepared::new(Arc::clone(entry), &self.schema, class)),
                    Arc::clone,
                )
            })
            .collect();
        in_order
            .iter()
            .for_each(|prepared| prepared.adopt(&self.around, &self.schema));
        let lanes = (0..self.schema.methods().len()).map(|method| Lane::new(method, &in_order));
        trash.add(self.cache.swap(lanes));
        trash.add(std::mem::replace(&mut set.in_order, in_order));
        trash.add(known.into_values().collect::<Vec<_>>());
    }

    fn forget(&self, trash: &mut Trash) {
        trash.add(std::mem::take(&mut self.prepared.lock().in_order));
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
