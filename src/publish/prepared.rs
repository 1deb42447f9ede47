//! Subscriptions made ready for one interface.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::SystemTime;

use super::bound_methods::BoundMethods;
use super::channel::Surroundings;
use super::entry::{Added, SubscriptionEntry};
use super::facet::Facet;
use super::seat::Seat;
use super::site::{CompiledFilter, Predicates, Sites, filter_of};
use super::target::{Bound, Components, Resolved};
use crate::filter::Predicate;
use crate::model::{ComponentId, SubscriptionId};
use crate::value::InterfaceSchema;

/// A subscription made ready for one interface: names resolved, target bound.
///
/// What a fire reads of it lies here, not behind the entry, and fills one line of the processor's
/// caches, where few of a million are.
#[repr(align(64))]
pub(crate) struct Prepared<I: ?Sized> {
    pub(crate) id: SubscriptionId,
    /// Whether a fire has anything to ask before the call but the filter.
    conditional: bool,
    /// Whether an event must pass a filter to reach it.
    filtered: bool,
    /// Whether a fire has to ask whether it is its turn.
    seated: bool,
    target: Bound<I>,
    pub(crate) entry: Arc<SubscriptionEntry>,
    detail: Arc<Detail>,
}

/// What of a subscription depends on the interface and not on who receives.
#[derive(Debug, Clone)]
pub(super) struct Detail {
    pub(super) scope: BoundMethods,
    /// The filter on each method; empty without one, and where an index has them.
    pub(super) predicates: Predicates,
    /// Why it is not called although it is stored and enabled.
    pub(super) suspended: Option<String>,
    /// Where events are retained: whether it was given them yet.
    pub(super) seat: Option<Arc<Seat>>,
}

impl Detail {
    /// Returns the same without the predicates, where an index has them.
    pub(super) fn bare(&self) -> Self {
        Self {
            scope: self.scope.clone(),
            predicates: Predicates::new(),
            suspended: None,
            seat: self.seat.clone(),
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
            // Nobody asks its filter before it is switched on, or its owner logs on: as another entry.
            return Self {
                scope,
                predicates: Predicates::new(),
                suspended: None,
                seat: None,
            };
        }
        let compiled = compiled.and_then(|compiled| compiled.take(sites, &entry.record));
        let (predicates, suspended) = match compiled.map_or_else(|| compile(entry, sites), Ok) {
            Ok(predicates) => (predicates, None),
            Err(why) => (Predicates::new(), Some(why)),
        };
        Self {
            scope,
            predicates,
            suspended,
            seat: None,
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
        around: &Surroundings,
        components: &mut Components<I>,
    ) -> Self {
        let detail = Detail::new(&added.entry, added.compiled.as_mut(), sites);
        Self::of(&added.entry, detail, sites, around, components)
    }

    /// Binds the target of a subscription whose names are resolved.
    pub(super) fn of(
        entry: &Arc<SubscriptionEntry>,
        mut detail: Detail,
        sites: &Sites,
        around: &Surroundings,
        components: &mut Components<I>,
    ) -> Self {
        let target = Bound::new(entry, &sites.here.schema, around, components);
        if matches!(target, Bound::Mismatch) && detail.suspended.is_none() {
            // No filter of what is suspended is asked, here or by an index.
            detail.predicates = Predicates::new();
            detail.suspended = Some("the object implements another interface".to_owned());
        }
        Self {
            id: entry.record.id(),
            conditional: detail.suspended.is_some() || entry.has_conditions(),
            filtered: !detail.predicates.is_empty(),
            seated: false,
            target,
            entry: Arc::clone(entry),
            detail: Arc::new(detail),
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
            target: Bound::new(&self.entry, schema, around, components),
            ..self.clone()
        }
    }

    /// Returns the target, if there is nothing to ask but the filter and nobody to make.
    #[inline]
    pub(super) fn at_hand(&self) -> Option<&I> {
        if self.conditional || self.seated {
            return None;
        }
        self.target.ready().map(|target| &**target)
    }

    /// Returns who is to be called, making it if necessary.
    pub(crate) fn resolve(
        &self,
        around: &Surroundings,
        schema: &InterfaceSchema,
    ) -> Resolved<'_, I> {
        self.target.resolve(&self.entry.record, around, schema)
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
}

impl<I: ?Sized> Prepared<I> {
    /// Returns whether the subscription is bound to `method`.
    pub(crate) fn is_bound_to(&self, method: usize) -> bool {
        self.detail.scope.contains(method)
    }

    /// Returns whether the subscription has a part in fires of `method`.
    pub(crate) fn is_called_for(&self, method: usize) -> bool {
        self.entry.is_served() && self.is_bound_to(method)
    }

    /// Returns whether its owner has to log on before it is called.
    pub(crate) fn is_absent(&self) -> bool {
        self.entry.absent
    }

    /// Returns why it is not called although it is stored and enabled.
    pub(crate) fn suspended(&self) -> Option<&str> {
        self.detail.suspended.as_deref()
    }

    /// Returns whether an event must pass a filter to reach it.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Returns whether it has another priority than most.
    pub(super) fn is_prioritized(&self) -> bool {
        self.entry.record.priority() != 0
    }

    /// Returns the seat, if a fire has to ask whether it is its turn.
    pub(super) fn seat(&self) -> Option<&Arc<Seat>> {
        self.detail.seat.as_ref().filter(|_| self.seated)
    }

    /// Takes a seat.
    pub(super) fn sit(&mut self, seat: Arc<Seat>) {
        self.seated = true;
        if self
            .detail
            .seat
            .as_ref()
            .is_some_and(|present| Arc::ptr_eq(present, &seat))
        {
            return;
        }
        self.detail = Arc::new(Detail {
            seat: Some(seat),
            ..Detail::clone(&self.detail)
        });
    }

    /// Has no fire ask whether it is its turn.
    pub(super) fn stand_up(&mut self) {
        self.seated = false;
    }

    /// Has nothing asked any more: for an event of which all was asked.
    pub(super) fn settle(&mut self) {
        (self.seated, self.conditional) = (false, false);
    }

    /// Returns what does not depend on who receives.
    pub(super) fn detail(&self) -> &Arc<Detail> {
        &self.detail
    }

    /// Returns the same subscription with this in place of what it has.
    pub(super) fn with_detail(&self, detail: Arc<Detail>) -> Self {
        Self {
            detail,
            ..self.clone()
        }
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
        self.with_detail(Arc::new(detail))
    }

    /// Returns whether the target is this component.
    pub(crate) fn is_component(&self, id: ComponentId) -> bool
    where
        I: Facet,
    {
        self.target.is_component(id)
    }

    /// Returns the filter on `method`.
    pub(crate) fn predicate(&self, method: usize) -> Option<&Predicate> {
        let mut predicates = self.detail.predicates.iter();
        predicates
            .find(|(of, _)| *of == method)
            .map(|(_, predicate)| predicate)
    }

    /// Returns whether it may be suspended, out of its time or closed to a publisher, or has a
    /// predicate, so that a fire has to ask.
    #[inline]
    pub(crate) fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// Returns whether delivery depends on the time of day.
    pub(crate) fn is_timed(&self) -> bool {
        self.entry.is_timed()
    }

    /// Returns whether the event comes too early.
    pub(crate) fn is_early(&self, now: SystemTime) -> bool {
        self.entry
            .record
            .not_before()
            .is_some_and(|from| now < from)
    }

    /// Returns whether the subscription is over.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.entry
            .record
            .expires()
            .is_some_and(|until| now >= until)
    }

    /// Returns the target, if nothing is left to check before a call of `method`.
    pub(crate) fn ready(&self, method: usize) -> Option<Arc<I>>
    where
        I: Facet,
    {
        if self.conditional || self.predicate(method).is_some() {
            return None;
        }
        if self.seat().is_some_and(|seat| seat.is_behind()) {
            return None;
        }
        self.target.ready().cloned()
    }
}

impl<I: ?Sized> Clone for Prepared<I> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            conditional: self.conditional,
            filtered: self.filtered,
            seated: self.seated,
            target: self.target.clone(),
            entry: Arc::clone(&self.entry),
            detail: Arc::clone(&self.detail),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Subscriber;

    #[test]
    fn subscription_in_an_index_fills_one_line_of_the_cache() {
        assert_eq!(size_of::<Option<Prepared<dyn Subscriber>>>(), 64);
    }
}
