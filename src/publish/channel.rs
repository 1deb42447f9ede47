//! One interface of one class: the cache of its subscriptions and what surrounds it.

use std::any::Any;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Weak};
use std::thread;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::demand::Demanded;
use super::entry::{Added, SubscriptionEntry};
use super::explain::Explanation;
use super::facet::Facet;
use super::hook::Hook;
use super::lane::Lane;
use super::pipeline;
use super::prepared::{Detail, Prepared};
use super::publisher::Own;
use super::pulse::LivePulse;
use super::report::FireReport;
use super::roster::Roster;
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
    roster: Mutex<Roster<I>>,
    /// Counts changes of what subscriptions ask for.
    pub(super) pulse: LivePulse,
}

/// The class record and what is derived from it.
pub(crate) struct ClassFacts {
    pub(crate) record: Arc<EventClass>,
    pub(crate) defaults: Properties,
}

/// A channel without its type.
pub(crate) trait AnyChannel: Demanded + Send + Sync + 'static {
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
        added: &mut [&mut Added],
        trash: &mut Trash,
    );

    /// Returns whether there is no subscription.
    fn is_empty(&self) -> bool;

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
            cache: SubscriptionCache::new(
                (0..schema.methods().len()).map(|method| Lane::new(method, [].iter())),
            ),
            schema: Arc::clone(schema),
            around,
            class: ArcSwap::from_pointee(ClassFacts::new(Arc::clone(class))),
            roster: Mutex::new(Roster::new(Sites {
                here: site,
                others: Vec::new(),
            })),
            pulse: LivePulse::default(),
        }
    }

    /// Takes singletons that were made into the snapshot.
    pub(crate) fn refresh(&self) {
        let mut trash = Trash::default();
        self.roster.lock().adopt(&self.cache, &mut trash);
        trash.dispose();
    }

    /// Returns whether events that are fired inside a delivery wait for its end.
    #[cold]
    pub(crate) fn queues_nested(&self) -> bool {
        self.class.load().record.nesting() == Nesting::Queued
    }

    /// Returns the class as it is now. A guard: a count that publishers share would slow them.
    pub(crate) fn class_facts(&self) -> Guard<Arc<ClassFacts>> {
        self.class.load()
    }

    /// Returns what is ready of the subscriptions of a method, in order and with their filters.
    pub(crate) fn prepared(&self, method: usize) -> Vec<Prepared<I>> {
        let roster = self.roster.lock();
        let (sites, mut all) = (roster.sites.clone(), roster.all());
        drop(roster);
        all.retain(|prepared| prepared.is_bound_to(method));
        all.iter().map(|prepared| prepared.whole(&sites)).collect()
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
        let facts = ClassFacts::new(Arc::clone(&sites.here.class));
        let details = details(&entries, &sites);
        let mut fresh = Roster::new(sites);
        let prepare = |(entry, detail): (&Arc<SubscriptionEntry>, Detail)| {
            let (sites, components) = (&fresh.sites, &mut fresh.components);
            Prepared::of(entry, detail, sites, &self.around, components)
        };
        let added = entries.iter().zip(details).map(prepare).collect();
        let mut roster = self.roster.lock();
        trash.add(self.class.swap(Arc::new(facts)));
        fresh.change(&[], added, &self.cache, trash);
        trash.add(std::mem::replace(&mut *roster, fresh));
        self.pulse.get().beat();
    }

    fn change(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: &mut [&mut Added],
        trash: &mut Trash,
    ) {
        let mut roster = self.roster.lock();
        let Roster {
            sites, components, ..
        } = &mut *roster;
        let prepare =
            |added: &mut &mut Added| Prepared::new(added, sites, &self.around, components);
        let added = added.iter_mut().map(prepare).collect();
        roster.change(removed, added, &self.cache, trash);
        self.pulse.get().beat();
    }

    fn is_empty(&self) -> bool {
        self.roster.lock().is_empty()
    }

    fn rebind(&self, component: ComponentId, trash: &mut Trash) {
        let mut roster = self.roster.lock();
        roster.rebind(component, &self.around, &self.cache, trash);
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

/// Resolves the names of many subscriptions, on all processors where it takes long.
fn details(entries: &[Arc<SubscriptionEntry>], sites: &Sites) -> Vec<Detail> {
    let each = |part: &[Arc<SubscriptionEntry>]| -> Vec<_> {
        let detail = |entry: &Arc<SubscriptionEntry>| Detail::new(entry, None, sites);
        part.iter().map(detail).collect()
    };
    if entries.len() < SHARED_FROM {
        return each(entries);
    }
    let parts = thread::available_parallelism().map_or(1, NonZero::get);
    let mut parts = entries.chunks(entries.len().div_ceil(parts));
    let first = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let start = |part| {
            let other = thread::Builder::new().spawn_scoped(scope, move || each(part));
            (part, other.ok())
        };
        let others: Vec<_> = parts.map(start).collect();
        let mut details = each(first);
        for (part, other) in others {
            // Without a thread it is done here.
            let made = other.and_then(|other| other.join().ok());
            details.extend(made.unwrap_or_else(|| each(part)));
        }
        details
    })
}

/// A few milliseconds' work; a thread is started in a hundredth of that.
const SHARED_FROM: usize = 4_000;

impl<I: ?Sized> fmt::Debug for Channel<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("key", &self.key)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
