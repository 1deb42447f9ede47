//! One interface of one class: the cache of its subscriptions and what surrounds it.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::catch_up::Seating;
use super::demand::Demanded;
use super::entry::{Added, SubscriptionEntry};
use super::explain::Explanation;
use super::facet::Facet;
use super::gate::Clearance;
use super::hook::Hook;
use super::keep::Keep;
use super::lane::Lane;
use super::members::{Members, MembersCache, Roll};
use super::named::Named;
use super::payload::UntypedCall;
use super::pipeline;
use super::prepared::{Detail, Prepared, compile_all};
use super::publisher::Own;
use super::pulse::Pulse;
use super::report::FireReport;
use super::roster::Roster;
use super::site::{Site, Sites};
use super::steering::Conduct;
use crate::cache::SubscriptionCache;
use crate::clock::Clock;
use crate::component::Registry;
use crate::delivery::depth;
use crate::model::{ComponentId, EventClass, EventClassId, Nesting, PUBLISHER_ID};
use crate::notices::Notices;
use crate::store::Trash;
use crate::value::{InterfaceId, InterfaceSchema, Properties, Value, ValueRef};

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
    pub(crate) notices: Notices,
    /// How many events one method may retain.
    pub(crate) retained_keys: usize,
    pub(crate) named: Named,
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
    /// The events that it retains.
    pub(super) keep: Arc<Keep>,
    /// What has taken its place, if its type became known or its schema has changed.
    pub(super) successor: OnceLock<Arc<dyn AnyChannel>>,
    pub(super) me: Weak<Self>,
    /// Whether singletons were made that the snapshot does not know.
    outdated: AtomicBool,
    members: MembersCache<I>,
    /// Counts changes of what subscriptions ask for.
    pub(super) pulse: Pulse,
}

/// The class record and what is derived from it.
pub(crate) struct ClassFacts {
    pub(crate) record: Arc<EventClass>,
    pub(crate) defaults: Properties,
    /// Method -> who selects its subscriptions.
    conduct: Box<[Conduct]>,
}

/// A channel without its type.
pub(crate) trait AnyChannel: Demanded + Send + Sync + 'static {
    /// Returns the interface's schema.
    fn schema(&self) -> &Arc<InterfaceSchema>;

    /// Returns what surrounds the channel.
    fn around(&self) -> &Arc<Surroundings>;

    /// Returns what is retained.
    fn keep(&self) -> &Arc<Keep>;

    /// Has another channel, which shares what is retained, fire all that this one would retain.
    fn give_way(&self, successor: Arc<dyn AnyChannel>);

    /// Takes over the class record and all subscriptions. What must be dropped without a lock goes to
    /// `trash`, here and below.
    fn reset(&self, sites: Sites, entries: Vec<Arc<SubscriptionEntry>>, trash: &mut Trash);

    /// Takes over a class record, its own or one of the sites beside it, that says the same of the
    /// subscriptions: they stay as they are.
    fn adopt(&self, class: &Arc<EventClass>, trash: &mut Trash);

    /// Takes some subscriptions out and others in.
    fn change(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: &mut [&mut Added],
        trash: &mut Trash,
    );

    /// Returns whether no fire has a subscription to look at.
    fn is_empty(&self) -> bool;

    /// Binds the subscriptions anew whose target is this component, since it came or went.
    fn rebind(&self, component: ComponentId, trash: &mut Trash);

    /// Returns whether an event fired now has to wait for the fire around it.
    fn must_wait(&self) -> bool;

    /// Fires with values that were checked against the schema.
    fn fire_values(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> FireReport;

    /// Says what a fire would do, and does not do it.
    fn explain(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> Explanation;

    /// Returns the subscriptions of a method that are switched on, in the order of calling.
    fn roll(&self, method: usize) -> Option<Arc<Roll>>;

    /// Returns a number that rises when the subscriptions change.
    fn generation(&self) -> u64;

    /// Returns the class record.
    fn class(&self) -> Arc<EventClass>;

    /// Returns the value of a publisher property: the object's own, or the class's default.
    fn property(&self, own: &Own, name: &str) -> Option<Value>;

    /// Returns whether the principal may know who subscribed for whom a publisher object was made;
    /// the broker's own may.
    fn may_read(&self, own: &Own) -> bool;

    /// Returns whether events of a method are retained.
    fn retains(&self, method: usize) -> bool;

    /// Returns whether the class lets through what the object fires.
    fn may_publish(&self, own: &Own) -> bool;

    /// Returns the typed channel as `dyn Any`, to be downcast.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<I: Facet + ?Sized> Channel<I> {
    /// Returns a channel without subscriptions, which shares what is retained with the one whose
    /// place it takes.
    pub(crate) fn new(site: Site, around: Arc<Surroundings>, keep: Arc<Keep>) -> Arc<Self> {
        Arc::new_cyclic(move |me| {
            let Site { schema, class, .. } = &site;
            Self {
                key: ChannelKey {
                    class: class.id(),
                    interface: schema.id(),
                },
                cache: SubscriptionCache::new(
                    (0..schema.methods().len()).map(|method| Lane::new(method, [].iter(), false)),
                ),
                schema: Arc::clone(schema),
                around,
                class: ArcSwap::from_pointee(ClassFacts::new(&site)),
                members: MembersCache::new(schema.methods().len()),
                roster: Mutex::new(Roster::new(Sites {
                    here: site,
                    others: Vec::new(),
                })),
                keep,
                successor: OnceLock::new(),
                me: Weak::clone(me),
                outdated: AtomicBool::new(false),
                pulse: Pulse::default(),
            }
        })
    }

    /// Takes singletons that were made into the snapshot, now or at the end of another fire: this one
    /// does not wait for a change that is being made.
    pub(crate) fn refresh(&self, made: bool) {
        if !made && !self.outdated.load(Ordering::Relaxed) {
            return;
        }
        self.outdated.store(true, Ordering::Relaxed);
        let Some(mut roster) = self.roster.try_lock() else {
            return;
        };
        self.outdated.store(false, Ordering::Relaxed);
        let mut trash = Trash::default();
        roster.adopt(&self.cache, &mut trash);
        drop(roster);
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

    /// Returns what the principal may do for whom a publisher object was made, if it was for one.
    pub(super) fn clearance(&self, own: &Own) -> Option<Guard<Arc<Clearance>>> {
        let gate = own.gate()?;
        Some(gate.clearance(|| Arc::clone(&self.class.load().record)))
    }

    /// Returns whether the class lets nothing through of what this object fires.
    #[cold]
    pub(super) fn is_shut_to(&self, own: &Own) -> bool {
        let clearance = self.clearance(own);
        clearance.is_some_and(|clearance| !clearance.publishes())
    }

    /// Returns a subscription with its filter.
    pub(super) fn whole(&self, prepared: &Prepared<I>) -> Prepared<I> {
        if !prepared.is_stripped() {
            return prepared.clone();
        }
        prepared.whole(&self.sites())
    }

    /// Returns the channel's site and those beside it.
    pub(super) fn sites(&self) -> Sites {
        self.roster.lock().sites.clone()
    }

    /// Returns the subscriptions of a method that are served, for who selects among them.
    pub(crate) fn members(&self, method: usize) -> Guard<Option<Arc<Members<I>>>> {
        let present = self.members.present(method);
        if present.is_some() {
            return present;
        }
        let roster = self.roster.lock();
        let generation = self.members.generation();
        let called = |prepared: &Prepared<I>| prepared.is_called_for(method);
        let (sites, mut called) = (roster.sites.clone(), roster.select(called));
        drop(roster);
        called.sort_by_cached_key(|prepared| prepared.entry.rank());
        let made = Arc::new(Members::new(called, sites, generation));
        let roster = self.roster.lock();
        let displaced = self.members.keep(method, &made);
        drop(roster);
        drop(displaced);
        Guard::from_inner(Some(made))
    }

    /// Returns what is ready of the subscriptions that are to be kept, in the order of calling and
    /// with their filters.
    pub(crate) fn prepared(&self, keep: impl Fn(&Prepared<I>) -> bool) -> Vec<Prepared<I>> {
        let roster = self.roster.lock();
        let (sites, mut kept) = (roster.sites.clone(), roster.select(keep));
        drop(roster);
        kept.sort_by_cached_key(|prepared| prepared.entry.rank());
        kept.iter().map(|prepared| prepared.whole(&sites)).collect()
    }
}

impl ClassFacts {
    fn new(site: &Site) -> Self {
        let Site { schema, class, .. } = site;
        let methods = schema.methods().iter();
        let mut defaults = class.defaults();
        if let Some(id) = class.publisher() {
            defaults.insert(PUBLISHER_ID, Value::Uuid(id.into()));
        }
        Self {
            defaults,
            record: Arc::clone(class),
            conduct: methods.map(|method| Conduct::new(site, method)).collect(),
        }
    }

    /// Returns whether events of a method are retained.
    pub(super) fn retains(&self, method: usize) -> bool {
        let conduct = self.conduct.get(method);
        conduct.is_some_and(|conduct| conduct.retained.is_some())
    }

    /// Returns who selects the subscriptions of a method.
    pub(crate) fn conduct(&self, method: usize) -> Option<&Conduct> {
        self.conduct.get(method)
    }
}

impl<I: Facet + ?Sized> AnyChannel for Channel<I> {
    fn schema(&self) -> &Arc<InterfaceSchema> {
        &self.schema
    }

    fn around(&self) -> &Arc<Surroundings> {
        &self.around
    }

    fn keep(&self) -> &Arc<Keep> {
        &self.keep
    }

    fn give_way(&self, successor: Arc<dyn AnyChannel>) {
        self.keep
            .between_events(|| drop(self.successor.set(successor)));
    }

    fn reset(&self, sites: Sites, entries: Vec<Arc<SubscriptionEntry>>, trash: &mut Trash) {
        let facts = ClassFacts::new(&sites.here);
        let mut fresh = Roster::new(sites);
        let sites = fresh.sites.clone();
        let seats = self.keep.follow(&self.schema, &sites.here.class, trash);
        let mut seating = Seating::new(self, Some(seats));
        compile_all(&entries, &sites, |part, details| {
            let prepare = |(entry, detail): (&Arc<SubscriptionEntry>, Detail)| {
                Prepared::of(entry, detail, &sites, &self.around, &mut fresh.components)
            };
            let mut added: Vec<_> = part.iter().zip(details).map(prepare).collect();
            let each = added.iter_mut();
            each.for_each(|added| seating.sit(added, &self.schema, trash));
            fresh.fill(added, trash);
        });
        let mut roster = self.roster.lock();
        trash.add(self.class.swap(Arc::new(facts)));
        fresh.publish(&self.cache, trash);
        trash.add(std::mem::replace(&mut *roster, fresh));
        seating.finish(trash);
        self.members.clear(trash);
        self.pulse.beat();
    }

    fn adopt(&self, class: &Arc<EventClass>, trash: &mut Trash) {
        let mut roster = self.roster.lock();
        let Sites { here, others } = &mut roster.sites;
        let sites = std::iter::once(here).chain(others);
        for site in sites.filter(|site| site.class.id() == class.id()) {
            trash.add(std::mem::replace(&mut site.class, Arc::clone(class)));
        }
        if self.key.class == class.id() {
            let facts = ClassFacts::new(&roster.sites.here);
            trash.add(self.class.swap(Arc::new(facts)));
        }
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
        let mut added: Vec<_> = added.iter_mut().map(prepare).collect();
        let mut seating = Seating::new(self, None);
        let each = added.iter_mut();
        each.for_each(|added| seating.sit(added, &self.schema, trash));
        seating.leave(removed, &added, trash);
        roster.change(removed, added, &self.cache, trash);
        seating.finish(trash);
        self.members.clear(trash);
        self.pulse.beat();
    }

    fn is_empty(&self) -> bool {
        self.roster.lock().is_empty()
    }

    fn rebind(&self, component: ComponentId, trash: &mut Trash) {
        let mut roster = self.roster.lock();
        let mut seating = Seating::new(self, None);
        roster.rebind(component, &self.around, &self.cache, &mut seating, trash);
        seating.finish(trash);
        self.members.clear(trash);
    }

    fn fire_values(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> FireReport {
        let schema = &self.schema;
        let call = UntypedCall {
            schema,
            method,
            values,
        };
        pipeline::fire(self, method, own, || values, &call)
    }

    fn must_wait(&self) -> bool {
        depth() > 0 && self.queues_nested()
    }

    fn explain(&self, method: usize, values: &[ValueRef<'_>], own: &Own) -> Explanation {
        Explanation::new(self, method, values, own)
    }

    fn roll(&self, method: usize) -> Option<Arc<Roll>> {
        let members = self.members(method);
        Some(Arc::clone(&members.as_ref()?.roll))
    }

    fn generation(&self) -> u64 {
        self.members.generation()
    }

    fn class(&self) -> Arc<EventClass> {
        Arc::clone(&self.class.load().record)
    }

    fn property(&self, own: &Own, name: &str) -> Option<Value> {
        let properties = own.properties();
        let value = properties.get(name).cloned();
        value.or_else(|| self.class_facts().defaults.get(name).cloned())
    }

    fn may_read(&self, own: &Own) -> bool {
        let clearance = self.clearance(own);
        clearance.is_none_or(|clearance| clearance.reads())
    }

    fn retains(&self, method: usize) -> bool {
        self.class_facts().retains(method)
    }

    fn may_publish(&self, own: &Own) -> bool {
        !self.is_shut_to(own)
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
