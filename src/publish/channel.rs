//! One interface of one class: the cache of its subscriptions and what surrounds it.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use super::catch_up::Seating;
use super::class_facts::ClassFacts;
use super::demand::Demanded;
use super::entry::{Added, SubscriptionEntry, SubscriptionKey};
use super::explain::Explanation;
use super::facet::Facet;
use super::gate::Clearance;
use super::keep::Keep;
use super::lane::Lane;
use super::members::{MembersCache, Roll};
use super::metrics::ChannelMeter;
use super::payload::UntypedPayload;
use super::pipeline;
use super::plan::Plan;
use super::prepared::{Detail, Prepared, compile_all};
use super::privates::Privates;
use super::publisher::Own;
use super::pulse::Pulse;
use super::report::FireReport;
use super::roster::Roster;
use super::site::{Site, Sites};
use super::surroundings::{ChannelKey, Surroundings};
use super::with::Origin;
use crate::cache::SubscriptionCache;
use crate::delivery::depth;
use crate::model::{ComponentId, EventClass, Nesting};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{ArcSwap, Guard};
use crate::value::{InterfaceSchema, Value, ValueRef};

/// One interface of one class.
pub(crate) struct Channel<I: ?Sized> {
    pub(crate) key: ChannelKey,
    pub(crate) schema: Arc<InterfaceSchema>,
    pub(crate) cache: SubscriptionCache<Lane<I>>,
    pub(crate) around: Arc<Surroundings>,
    class: ArcSwap<ClassFacts>,
    /// Whether fires show more than their publisher has.
    shows_more: AtomicBool,
    pub(super) roster: Mutex<Roster<I>>,
    /// What single publisher objects have beside that.
    pub(super) privates: Privates<I>,
    /// The events that it retains.
    pub(super) keep: Arc<Keep>,
    /// What has taken its place, if its type became known or its schema has changed.
    pub(super) successor: OnceLock<Arc<dyn AnyChannel>>,
    pub(super) me: Weak<Self>,
    /// Whether singletons were made that the snapshot does not know.
    outdated: AtomicBool,
    pub(super) members: MembersCache<I>,
    /// Counts changes of what subscriptions ask for.
    pub(super) pulse: Pulse,
    /// Counts fires, if anybody does.
    pub(super) meter: Option<Arc<ChannelMeter>>,
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

    /// Takes over the class record and all subscriptions. What must be dropped without a lock goes
    /// to `trash`, here and below.
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
    fn fire_values(&self, method: usize, values: &[ValueRef<'_>], origin: Origin<'_>)
    -> FireReport;

    /// Says what a fire would do, and does not do it.
    fn explain(&self, method: usize, values: &[ValueRef<'_>], origin: Origin<'_>) -> Explanation;

    /// Returns the subscriptions of a method that are switched on and that a publisher object
    /// reaches, in the order of calling.
    fn roll(&self, method: usize, own: &Own) -> Option<Arc<Roll>>;

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
            let facts = ClassFacts::new(&site, &around.clock);
            let meters = around.meters.as_ref();
            let meter = meters.map(|meters| meters.channel(class.id(), schema));
            Self {
                key: ChannelKey {
                    class: class.id(),
                    interface: schema.id(),
                },
                cache: SubscriptionCache::new(
                    (0..schema.methods().len())
                        .map(|method| Lane::new(method, [].iter(), false, None)),
                ),
                schema: Arc::clone(schema),
                around,
                shows_more: AtomicBool::new(facts.shows_more()),
                class: ArcSwap::from_pointee(facts),
                members: MembersCache::new(schema.methods().len()),
                privates: Privates::default(),
                roster: Mutex::new(Roster::new(
                    Sites {
                        here: site,
                        others: Vec::new(),
                    },
                    meter.clone(),
                )),
                keep,
                successor: OnceLock::new(),
                me: Weak::clone(me),
                outdated: AtomicBool::new(false),
                pulse: Pulse::default(),
                meter,
            }
        })
    }

    /// Takes singletons that were made into the snapshot, now or at the end of another fire: this
    /// one does not wait for a change that is being made.
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

    fn know(&self, facts: ClassFacts, trash: &mut Trash) {
        let shows_more = facts.shows_more();
        trash.add(self.class.swap(Arc::new(facts)));
        self.shows_more.store(shows_more, Ordering::Release);
    }

    /// Returns whether a fire shows its subscribers more than its publisher has.
    #[inline]
    pub(super) fn shows_more(&self) -> bool {
        self.shows_more.load(Ordering::Acquire)
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

    /// Has those give their desks up who are gone, and of whom nobody takes the place.
    fn leave_desks(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        served: &HashSet<SubscriptionKey>,
        trash: &mut Trash,
    ) {
        let gone = removed.iter().filter(|gone| !served.contains(&gone.key()));
        let Surroundings { desks, keeper, .. } = &*self.around;
        desks.leave(gone, self.key, keeper, trash);
    }

    /// Has all give their desks up who are not among the entries that take the place of all.
    fn leave_all_desks(&self, entries: &[Arc<SubscriptionEntry>], trash: &mut Trash) {
        let Surroundings { desks, keeper, .. } = &*self.around;
        if !desks.is_empty() {
            let served = entries.iter().filter(|entry| entry.is_called());
            let served = served.map(|entry| entry.key()).collect();
            desks.leave_but(&served, self.key, keeper, trash);
        }
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

    /// Returns what is ready of the subscriptions that are to be kept, in the order of calling and
    /// with their filters.
    pub(crate) fn prepared(&self, keep: impl Fn(&Plan) -> bool) -> Vec<Prepared<I>> {
        Roster::whole(&self.roster, keep)
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
        let facts = ClassFacts::new(&sites.here, &self.around.clock);
        let mut fresh = Roster::new(sites, self.meter.clone());
        let sites = fresh.sites.clone();
        let mut privates = HashMap::new();
        self.keep_history(&sites.here.class);
        let seats = self.keep.follow(&self.schema, &sites.here.class, trash);
        let mut seating = Seating::new(self, Some(seats));
        compile_all(&entries, &sites, |part, details| {
            let prepare = |(entry, detail): (&Arc<SubscriptionEntry>, Detail)| {
                let components = &mut fresh.components;
                Prepared::of(entry, detail, &sites, &self.around, components, trash)
            };
            let mut added: Vec<_> = part.iter().zip(details).map(prepare).collect();
            for private in added.extract_if(.., |it| it.entry.object().is_some()) {
                if let Some(object) = private.entry.object() {
                    let roster = privates.entry(object);
                    let roster = roster.or_insert_with(|| Roster::new(sites.clone(), None));
                    roster.fill(vec![private], trash);
                }
            }
            let each = added.iter_mut();
            each.for_each(|added| seating.sit(added, &self.schema, trash));
            fresh.fill(added, trash);
        });
        let mut roster = self.roster.lock();
        self.know(facts, trash);
        fresh.publish(&self.cache, trash);
        trash.add(std::mem::replace(&mut *roster, fresh));
        self.privates.replace(privates, &sites, trash);
        seating.finish(trash);
        self.leave_all_desks(&entries, trash);
        self.members.clear(trash);
        self.pulse.beat();
    }

    fn adopt(&self, class: &Arc<EventClass>, trash: &mut Trash) {
        let mut roster = self.roster.lock();
        roster.adopt_class(class, trash);
        self.privates.adopt(class, trash);
        if self.key.class == class.id() {
            self.keep_history(class);
            let facts = ClassFacts::new(&roster.sites.here, &self.around.clock);
            self.know(facts, trash);
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
            |added: &mut &mut Added| Prepared::new(added, sites, &self.around, components, trash);
        let mut added: Vec<_> = added.iter_mut().map(prepare).collect();
        let served = added.iter().filter(|added| added.entry.is_called());
        let served: HashSet<_> = served.map(|added| added.entry.key()).collect();
        let private = |prepared: &mut Prepared<I>| prepared.entry.object().is_some();
        let privates = added.extract_if(.., private).collect();
        self.privates.change(removed, privates, sites, trash);
        let mut seating = Seating::new(self, None);
        let each = added.iter_mut();
        each.for_each(|added| seating.sit(added, &self.schema, trash));
        seating.leave(removed, &added, trash);
        self.leave_desks(removed, &served, trash);
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

    fn fire_values(
        &self,
        method: usize,
        values: &[ValueRef<'_>],
        origin: Origin<'_>,
    ) -> FireReport {
        let call = |target: &I| target.invoke(&self.schema, method, values);
        let parcel = |fire| UntypedPayload::shared(&self.schema, method, values, fire);
        pipeline::fire(self, method, origin, || values, &call, parcel, false)
    }

    fn must_wait(&self) -> bool {
        depth() > 0 && self.queues_nested()
    }

    fn explain(&self, method: usize, values: &[ValueRef<'_>], origin: Origin<'_>) -> Explanation {
        Explanation::new(self, method, values, origin)
    }

    fn roll(&self, method: usize, own: &Own) -> Option<Arc<Roll>> {
        if let Some(private) = self.private(own) {
            return Some(Arc::clone(&self.members_with(&private, method).roll));
        }
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
