//! Subscriptions made ready for one interface.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::bound_methods::BoundMethods;
use super::calling::Callee;
use super::entry::{Added, SubscriptionEntry};
use super::facet::Facet;
use super::handled::Rearm;
use super::metrics::SubscriptionMeter;
use super::plan::Plan;
use super::post::Post;
use super::seat::Seat;
use super::site::{CompiledFilter, Predicates, Sites, filter_of};
use super::surroundings::Surroundings;
use super::target::{Bound, Components};
use super::triggered::{SiteTrigger, sees_all};
use crate::delivery::Bounds;
use crate::model::ComponentId;
use crate::store::Trash;
use crate::value::InterfaceSchema;

/// A subscription made ready for one interface: names resolved, target bound.
pub(crate) struct Prepared<I: ?Sized> {
    /// First, so that nobody has it any more when the entry goes: that is what is waited for where
    /// a guard is closed.
    target: Bound<I>,
    pub(super) plan: Plan,
    /// Whether a fire has anything to ask before the call but the filter.
    conditional: bool,
    /// Whether an event must pass a filter to reach it.
    filtered: bool,
}

/// A subscription as a fire comes to it, wherever it is kept.
pub(super) struct Reached<'a, I: ?Sized> {
    plan: &'a Plan,
    conditional: bool,
    target: &'a Bound<I>,
}

/// What of a subscription depends on the interface and not on who receives.
#[derive(Debug, Clone)]
pub(super) struct Detail {
    pub(super) scope: BoundMethods,
    /// The filter on each method; empty without one, and where an index has them.
    pub(super) predicates: Predicates,
    /// The re-arm filter of its trigger, which no index has.
    pub(super) rearm: Option<Rearm>,
    /// Why it is not called although it is stored and enabled.
    pub(super) suspended: Option<String>,
    /// Where events are retained: whether it was given them yet.
    pub(super) seat: Option<Arc<Seat>>,
    /// What is counted of it, if that is counted by itself.
    pub(super) meter: Option<Arc<SubscriptionMeter>>,
}

impl Detail {
    /// Returns the same without the predicates, where an index has them.
    pub(super) fn bare(&self) -> Self {
        Self {
            scope: self.scope.clone(),
            predicates: Predicates::new(),
            rearm: None,
            suspended: None,
            seat: self.seat.clone(),
            meter: self.meter.clone(),
        }
    }

    /// Resolves the names of a subscription; what does not fit suspends it.
    pub(super) fn new(
        entry: &SubscriptionEntry,
        compiled: Option<&mut CompiledFilter>,
        sites: &Sites,
    ) -> Self {
        let scope = sites.here.bound(entry.record.binding());
        if !entry.is_served() {
            // Nobody asks its filter before it is switched on, its owner logs on or its time
            // begins: as another entry.
            return Self {
                scope,
                predicates: Predicates::new(),
                rearm: None,
                suspended: None,
                seat: None,
                meter: None,
            };
        }
        let compiled = compiled.and_then(|compiled| compiled.take(sites, &entry.record));
        let compiled = compiled.map_or_else(|| compile(entry, sites), Ok);
        let both = compiled.and_then(|it| Ok((it, sites.rearm(&entry.record)?)));
        let ((predicates, rearm), suspended) = match both {
            Ok(both) => (both, None),
            Err(why) => ((Predicates::new(), None), Some(why)),
        };
        Self {
            scope,
            predicates,
            rearm,
            suspended,
            seat: None,
            meter: None,
        }
    }
}

fn compile(entry: &SubscriptionEntry, sites: &Sites) -> Result<Predicates, String> {
    let filter = filter_of(&entry.record).map_err(|error| error.to_string())?;
    let compiled = sites.compile(filter.as_ref(), &entry.record);
    compiled.map_err(|error| error.to_string())
}

impl<I: Facet + ?Sized> Prepared<I> {
    /// Makes a subscription ready for the site.
    pub(super) fn new(
        added: &mut Added,
        sites: &Sites,
        around: &Arc<Surroundings>,
        components: &mut Components<I>,
        trash: &mut Trash,
    ) -> Self {
        let detail = Detail::new(&added.entry, added.compiled.as_mut(), sites);
        Self::of(&added.entry, detail, sites, around, components, trash)
    }

    /// Binds the target of a subscription whose names are resolved.
    pub(super) fn of(
        entry: &Arc<SubscriptionEntry>,
        mut detail: Detail,
        sites: &Sites,
        around: &Arc<Surroundings>,
        components: &mut Components<I>,
        trash: &mut Trash,
    ) -> Self {
        let target = Bound::new(entry, &sites.here.schema, around, components);
        let target = Post::bind(target, entry, &sites.here, around, trash);
        if matches!(target, Bound::Mismatch) && detail.suspended.is_none() {
            // No filter of what is suspended is asked, here or by an index.
            detail.predicates = Predicates::new();
            detail.suspended = Some("the object implements another interface".to_owned());
        }
        // One that sees what does not match too is in no index.
        let filtered = !detail.predicates.is_empty() && !sees_all(&entry.record);
        let meters = around.meters.as_ref();
        detail.meter = meters.and_then(|meters| meters.subscription(entry));
        let plan = Plan {
            id: entry.record.id(),
            entry: Arc::clone(entry),
            detail: Arc::new(detail),
        };
        if let Bound::Post(post) = &target {
            post.take_up_work(&plan, &sites.here, trash);
        }
        Self {
            conditional: plan.has_conditions(),
            filtered,
            target,
            plan,
        }
    }

    /// Returns the same subscription with its target bound anew.
    pub(super) fn rebound(
        &self,
        schema: &InterfaceSchema,
        around: &Surroundings,
        components: &mut Components<I>,
    ) -> Self {
        Self {
            target: self
                .target
                .over(Bound::new(&self.entry, schema, around, components)),
            ..self.clone()
        }
    }

    /// Returns the target, if there is nothing to ask but the filter and nobody to make.
    #[inline]
    pub(super) fn at_hand(&self) -> Option<&I> {
        if self.conditional {
            return None;
        }
        self.target.ready().map(|target| &**target)
    }

    /// Takes over a singleton that was made by another channel.
    pub(crate) fn adopt(&self, schema: &InterfaceSchema) {
        self.target.adopt(schema);
    }

    /// Returns whether there is somebody to call, now or once made.
    pub(super) fn is_reachable(&self, schema: &InterfaceSchema) -> bool {
        self.entry.is_served() && self.suspended().is_none() && self.target.is_there(schema)
    }

    /// Returns why nobody could be called, as far as that is known without making a component.
    pub(crate) fn obstacle(&self, schema: &InterfaceSchema) -> Option<String> {
        self.target.obstacle(&self.entry.record, schema)
    }

    /// Returns its trigger, if it has one.
    pub(super) fn trigger(&self) -> Option<&SiteTrigger> {
        self.reached().post()?.trigger()
    }

    /// Returns whether the target is this component.
    pub(crate) fn is_component(&self, id: ComponentId) -> bool {
        self.target.is_component(id)
    }

    /// Returns whether every event of `method` waits for it, with nothing to check before.
    pub(super) fn is_posted(&self, method: usize) -> bool {
        let is_simple = self.post_and_bounds().is_some();
        is_simple && !self.conditional && self.predicate(method).is_none()
    }

    /// Returns the target that has events wait, and how many may, if it does nothing else.
    #[inline]
    pub(super) fn post_and_bounds(&self) -> Option<(&Post<I>, Bounds)> {
        let Bound::Post(post) = &self.target else {
            return None;
        };
        Some((post, post.simple_bounds()?))
    }

    /// Returns the target, if nothing is left to check before a call of `method`.
    pub(crate) fn ready(&self, method: usize) -> Option<Arc<I>> {
        if self.has_conditions() || self.predicate(method).is_some() {
            return None;
        }
        if self.seat().is_some_and(|seat| seat.is_behind()) {
            return None;
        }
        self.target.ready().cloned()
    }
}

impl<I: ?Sized> Prepared<I> {
    /// Returns a subscription that an index had.
    pub(super) fn of_index(plan: &Plan, target: &Bound<I>) -> Self {
        Self {
            conditional: plan.is_conditional(),
            filtered: true,
            target: target.clone(),
            plan: plan.clone(),
        }
    }

    /// Returns what an index keeps apart: the plan, whether a fire has anything to ask, the target.
    pub(super) fn into_parts(self) -> (Plan, bool, Bound<I>) {
        (self.plan, self.conditional, self.target)
    }

    /// Returns whether an event must pass a filter to reach it.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Takes a seat: a fire has to ask whether it is its turn.
    pub(super) fn sit(&mut self, seat: Arc<Seat>) {
        self.conditional = true;
        let present = self.plan.detail.seat.as_ref();
        if present.is_some_and(|present| Arc::ptr_eq(present, &seat)) {
            return;
        }
        self.plan.detail = Arc::new(Detail {
            seat: Some(seat),
            ..Detail::clone(&self.plan.detail)
        });
    }

    /// Has no fire ask whether it is its turn.
    pub(super) fn stand_up(&mut self) {
        if self.plan.detail.seat.is_some() {
            self.plan.detail = Arc::new(Detail {
                seat: None,
                ..Detail::clone(&self.plan.detail)
            });
        }
        self.conditional = self.plan.has_conditions();
    }

    /// Has nothing asked any more: for an event of which all was asked.
    pub(super) fn settle(&mut self) {
        self.conditional = false;
    }

    /// Returns the same subscription with this in place of what it has.
    pub(super) fn with_detail(&self, detail: Arc<Detail>) -> Self {
        let mut with = self.clone();
        with.plan.detail = detail;
        with
    }

    /// Returns whether the filter is in an index alone.
    pub(super) fn is_stripped(&self) -> bool {
        self.filtered && self.detail.predicates.is_empty()
    }

    /// Returns the same subscription with its filter compiled again, if an index had it.
    pub(super) fn whole(&self, sites: &Sites) -> Self {
        if !self.is_stripped() {
            return self.clone();
        }
        let mut detail = Detail::new(&self.entry, None, sites);
        detail.seat.clone_from(&self.detail.seat);
        detail.meter.clone_from(&self.detail.meter);
        self.with_detail(Arc::new(detail))
    }

    pub(super) fn reached(&self) -> Reached<'_, I> {
        Reached {
            plan: &self.plan,
            conditional: self.conditional,
            target: &self.target,
        }
    }
}

impl<I: ?Sized> Deref for Prepared<I> {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

impl<I: ?Sized> Clone for Prepared<I> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            conditional: self.conditional,
            filtered: self.filtered,
            target: self.target.clone(),
        }
    }
}

impl<I: ?Sized> Clone for Reached<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: ?Sized> Copy for Reached<'_, I> {}

impl<'a, I: ?Sized> Reached<'a, I> {
    pub(super) fn new(plan: &'a Plan, conditional: bool, target: &'a Bound<I>) -> Self {
        Self {
            plan,
            conditional,
            target,
        }
    }

    /// Returns what is done for it.
    pub(super) fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// Returns the subscription, to be kept.
    pub(super) fn to_prepared(self) -> Prepared<I> {
        Prepared::of_index(self.plan, self.target)
    }

    /// Returns whether it may be suspended or closed to a publisher, or has to wait for its turn,
    /// so that a fire has to ask.
    #[inline]
    pub(super) fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// Returns who is to be called.
    pub(super) fn callee(&self) -> Callee<'a, I> {
        Callee {
            id: self.plan.id,
            record: &self.plan.entry.record,
            target: self.target,
        }
    }

    /// Returns whether its trigger sees events that do not match too, and asks the filter itself.
    #[inline]
    pub(super) fn sees_all(&self) -> bool {
        self.post()
            .is_some_and(|post| post.trigger().is_some_and(SiteTrigger::sees_all))
    }

    /// Returns the target, if events are handed over to it.
    pub(super) fn post(&self) -> Option<&'a Post<I>> {
        match self.target {
            Bound::Post(post) => Some(post),
            _ => None,
        }
    }
}

/// Resolves the names of subscriptions part by part and gives each part to `take`; of more than one
/// part, on another thread meanwhile.
pub(super) fn compile_all(
    entries: &[Arc<SubscriptionEntry>],
    sites: &Sites,
    mut take: impl FnMut(&[Arc<SubscriptionEntry>], Vec<Detail>),
) {
    let compile = |part: &[Arc<SubscriptionEntry>]| -> Vec<_> {
        let detail = |entry: &Arc<SubscriptionEntry>| Detail::new(entry, None, sites);
        part.iter().map(detail).collect()
    };
    let parts = || entries.chunks(PART);
    if parts().len() < 2 {
        return parts().for_each(|part| take(part, compile(part)));
    }
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let ahead = move || _ = parts().try_for_each(|part| sender.send(compile(part)));
        let started = thread::Builder::new().spawn_scoped(scope, ahead).is_ok();
        for part in parts() {
            // Without the thread nothing comes.
            let compiled = started.then(|| receiver.recv().ok()).flatten();
            take(part, compiled.unwrap_or_else(|| compile(part)));
        }
    });
}

/// How many subscriptions are made ready at once, some milliseconds' work: compiled filters are
/// larger than what an index keeps of them.
const PART: usize = 4_000;

/// How many parts may wait: enough that neither thread waits for the other.
const WAITING: usize = 4;
