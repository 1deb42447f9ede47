//! Subscriptions that one publisher object alone knows.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::lane::Lane;
use super::members::Members;
use super::plan::Plan;
use super::prepared::Prepared;
use super::publisher::Own;
use super::roster::Roster;
use super::site::Sites;
use super::surroundings::Upkeep;
use crate::cache::SubscriptionCache;
use crate::model::EventClass;
use crate::store::Trash;
use crate::sync::{Mutex, RwLock};

/// A publisher object, whichever id it was given: no other one of the process has the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId(NonZeroU64);

/// What a publisher object with private subscriptions is known by; they go when it is dropped.
pub(crate) struct Identity {
    object: ObjectId,
    upkeep: Weak<dyn Upkeep>,
}

/// The private subscriptions of a channel's publisher objects. Each object has lanes of its own, so
/// that a fire looks at those of its own object and at no others, however many there are.
pub(super) struct Privates<I: ?Sized> {
    objects: RwLock<HashMap<ObjectId, Arc<PrivateLanes<I>>>>,
}

/// The private subscriptions of one publisher object.
pub(super) struct PrivateLanes<I: ?Sized> {
    pub(super) cache: SubscriptionCache<Lane<I>>,
    pub(super) roster: Mutex<Roster<I>>,
}

impl ObjectId {
    fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let last = LAST.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::MIN.saturating_add(last))
    }
}

impl Identity {
    pub(super) fn new(upkeep: &Weak<dyn Upkeep>) -> Self {
        Self {
            object: ObjectId::next(),
            upkeep: Weak::clone(upkeep),
        }
    }

    pub(super) fn object(&self) -> ObjectId {
        self.object
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if let Some(upkeep) = self.upkeep.upgrade() {
            upkeep.release(self.object);
        }
    }
}

impl<I: Facet + ?Sized> Channel<I> {
    /// Returns the private subscriptions of a publisher object, if it has any.
    pub(super) fn private(&self, own: &Own) -> Option<Arc<PrivateLanes<I>>> {
        self.private_of(own.object()?)
    }

    pub(super) fn private_of(&self, object: ObjectId) -> Option<Arc<PrivateLanes<I>>> {
        self.privates.of(object)
    }

    /// Returns the subscriptions of a method that are served, and those of a publisher object among
    /// them. They are put together anew for each fire: kept, they would keep what everybody else
    /// has removed.
    pub(super) fn members_with(&self, private: &PrivateLanes<I>, method: usize) -> Members<I> {
        let common = self.members(method);
        let mut all = common
            .as_ref()
            .map_or_else(Vec::new, |it| it.slots().to_vec());
        let roster = private.roster.lock();
        let sites = roster.sites.clone();
        all.extend(roster.select(|prepared| prepared.is_called_for(method)));
        drop(roster);
        all.sort_by_cached_key(|prepared| prepared.entry.rank());
        Members::new(all, sites, self.members.generation())
    }

    /// Returns what is ready of what a publisher object reaches and is to be kept, in the order of
    /// calling and with filters.
    pub(super) fn prepared_for(&self, own: &Own, keep: impl Fn(&Plan) -> bool) -> Vec<Prepared<I>> {
        let mut all = Roster::whole(&self.roster, &keep);
        if let Some(private) = self.private(own) {
            all.extend(Roster::whole(&private.roster, &keep));
            all.sort_by_cached_key(|prepared| prepared.entry.rank());
        }
        all
    }
}

impl<I: Facet + ?Sized> Privates<I> {
    /// Returns what a publisher object has, if it has anything.
    pub(super) fn of(&self, object: ObjectId) -> Option<Arc<PrivateLanes<I>>> {
        self.objects.read().get(&object).cloned()
    }

    /// Takes some out and others in, of whichever objects; what belongs to none is passed over.
    pub(super) fn change(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: Vec<Prepared<I>>,
        sites: &Sites,
        trash: &mut Trash,
    ) {
        let mut changes: HashMap<ObjectId, (Vec<_>, Vec<_>)> = HashMap::new();
        for entry in removed {
            if let Some(object) = entry.object() {
                changes.entry(object).or_default().0.push(Arc::clone(entry));
            }
        }
        for prepared in added {
            if let Some(object) = prepared.entry.object() {
                changes.entry(object).or_default().1.push(prepared);
            }
        }
        for (object, (removed, added)) in changes {
            let lanes = self.of(object).unwrap_or_else(|| {
                let lanes = Arc::new(PrivateLanes::new(Roster::new(sites.clone(), None), trash));
                self.objects.write().insert(object, Arc::clone(&lanes));
                lanes
            });
            let mut roster = lanes.roster.lock();
            roster.change(&removed, added, &lanes.cache, trash);
            let is_empty = roster.has_none();
            drop(roster);
            if is_empty {
                trash.add(self.objects.write().remove(&object));
            }
            trash.add((removed, lanes));
        }
    }

    /// Puts these in the place of all. What is replaced goes to the trash and not with the lanes,
    /// which a fire may be the last to hold.
    pub(super) fn replace(
        &self,
        mut fresh: HashMap<ObjectId, Roster<I>>,
        sites: &Sites,
        trash: &mut Trash,
    ) {
        self.objects.write().retain(|object, lanes| {
            let roster = fresh.remove(object);
            let stays = roster.is_some();
            let mut roster = roster.unwrap_or_else(|| Roster::new(sites.clone(), None));
            let mut present = lanes.roster.lock();
            roster.publish(&lanes.cache, trash);
            trash.add(std::mem::replace(&mut *present, roster));
            stays
        });
        for (object, roster) in fresh {
            let lanes = Arc::new(PrivateLanes::new(roster, trash));
            self.objects.write().insert(object, lanes);
        }
    }

    /// Takes over the record of a class, which says the same of the subscriptions.
    pub(super) fn adopt(&self, class: &Arc<EventClass>, trash: &mut Trash) {
        for lanes in self.objects.read().values() {
            lanes.roster.lock().adopt_class(class, trash);
        }
    }
}

impl<I: ?Sized> Default for Privates<I> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
        }
    }
}

impl<I: Facet + ?Sized> PrivateLanes<I> {
    fn new(mut roster: Roster<I>, trash: &mut Trash) -> Self {
        let methods = roster.sites.here.schema.methods().len();
        let nobody = (0..methods).map(|method| Lane::new(method, [].iter(), false, None));
        let cache = SubscriptionCache::new(nobody);
        roster.publish(&cache, trash);
        Self {
            cache,
            roster: Mutex::new(roster),
        }
    }
}
