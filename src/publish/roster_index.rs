//! The filtered subscriptions of a roster, where they are found by index.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bound_methods::BoundMethods;
use super::catch_up::Seating;
use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::hit::{Goal, Hit};
use super::indexed::{FilterIndex, IndexState, Slot};
use super::prepared::{Detail, Prepared};
use super::registered::{Places, Registered};
use super::site::Site;
use super::surroundings::Surroundings;
use super::target::{Bound, Components};
use crate::model::ComponentId;
use crate::store::Trash;
use crate::value::InterfaceSchema;

/// The index, and what is known of each subscription in it.
pub(super) struct RosterIndex<I: ?Sized> {
    pub(super) index: Arc<FilterIndex<I>>,
    registered: Registered,
    /// Scope -> what subscriptions of that scope have in common once their filters are in the
    /// index.
    details: BTreeMap<BoundMethods, Arc<Detail>>,
    pub(super) generation: u64,
    /// Whether the class retains events, for which subscriptions take seats.
    retains: bool,
}

/// What the subscriptions of a component that came or went are bound anew with.
pub(super) struct Rebinding<'a, 's, I: ?Sized> {
    pub(super) schema: &'a InterfaceSchema,
    pub(super) around: &'a Surroundings,
    pub(super) components: &'a mut Components<I>,
    pub(super) seating: &'a mut Seating<'s, I>,
}

impl<I: Facet + ?Sized> Rebinding<'_, '_, I> {
    /// Returns a subscription with its target bound anew, and its seat taken or left.
    pub(super) fn renew(&mut self, prepared: &Prepared<I>, trash: &mut Trash) -> Prepared<I> {
        let mut new = prepared.rebound(self.schema, self.around, self.components);
        self.seating.sit(&mut new, self.schema, trash);
        new
    }

    fn target(&mut self, component: ComponentId) -> Bound<I> {
        Bound::of_component(component, self.schema, self.around, self.components)
    }
}

impl<I: Facet + ?Sized> RosterIndex<I> {
    pub(super) fn new(site: &Site) -> Self {
        let mut methods = site.schema.methods().iter();
        let retained = |method| site.class.settings_of(method).retained().is_some();
        Self {
            index: Arc::new(FilterIndex::new(site.schema.methods().len())),
            retains: methods.any(retained),
            registered: Registered::default(),
            details: BTreeMap::new(),
            generation: 0,
        }
    }

    /// Returns how many subscriptions it has.
    pub(super) fn len(&self) -> usize {
        self.registered.len()
    }

    /// Puts a subscription into the index.
    pub(super) fn insert(&mut self, state: &mut IndexState<I>, prepared: Prepared<I>) {
        let detail = Arc::clone(&prepared.detail);
        let (id, order) = (prepared.id, prepared.entry.order);
        state.prioritized += usize::from(prepared.is_prioritized());
        let bare = match (&detail.seat, &detail.meter) {
            (None, None) => self.bare(&detail),
            _ => Arc::new(detail.bare()),
        };
        let (plan, conditional, target) = prepared.with_detail(bare).into_parts();
        // A seat may come when the component does, and then the hit stays as it is.
        let conditional = conditional || self.retains;
        let goal = Goal::new(state.targets.enter(target), conditional);
        let slot = state.slots.insert(Slot { plan, goal });
        let hit = Hit::new(order, slot, goal);
        let places: Places = detail
            .predicates
            .iter()
            .filter_map(|(method, predicate)| {
                let index = state.methods.get_mut(*method)?;
                Some((*method, index.insert(predicate, hit)))
            })
            .collect();
        let id_of = |slot| Some(state.slots.get(slot)?.plan.id);
        self.registered.insert(id, slot, places, id_of);
    }

    /// Takes a subscription out, unless another one has its place by now; the target too, if no
    /// other has it.
    pub(super) fn remove(
        &mut self,
        state: &mut IndexState<I>,
        entry: &Arc<SubscriptionEntry>,
    ) -> Option<(Option<Bound<I>>, Slot)> {
        let id = entry.record.id();
        let id_of = |slot| Some(state.slots.get(slot)?.plan.id);
        let slot = self.registered.slot(id, id_of)?;
        if !Arc::ptr_eq(&state.slots.get(slot)?.plan.entry, entry) {
            return None;
        }
        for (method, place) in self.registered.remove(id, slot)?.iter() {
            state.methods.get_mut(method)?.remove(place);
        }
        let removed = state.slots.remove(slot)?;
        state.prioritized -= usize::from(removed.plan.is_prioritized());
        let left = state.targets.leave(removed.goal.target());
        Some((left, removed))
    }

    /// Binds the subscriptions of a component anew: all of them by their one target, and, where
    /// they take seats, each by itself.
    pub(super) fn rebind(
        &self,
        component: ComponentId,
        with: &mut Rebinding<'_, '_, I>,
        trash: &mut Trash,
    ) {
        let state = self.index.read();
        let numbers = state.targets.of_component(component);
        let mut seated = Vec::new();
        if self.retains {
            let slots = state.slots.iter();
            let slots = slots.filter(|(_, slot)| numbers.contains(&slot.goal.target()));
            for (number, slot) in slots {
                if let Some(prepared) = state.prepared(slot) {
                    seated.push((number, slot.goal, with.renew(&prepared, trash)));
                }
            }
        }
        let present = numbers.into_iter();
        let present = present.filter_map(|it| Some((it, state.targets.get(it)?.clone())));
        let present: Vec<_> = present.collect();
        drop(state);
        let new = present
            .into_iter()
            .map(|(number, present)| (number, present.over(with.target(component))));
        let new: Vec<_> = new.collect();
        // All at once: a fire that saw a seat without its target would have its event wait for one
        // that is not there, and one that saw the target first would deliver what is retained.
        let mut state = self.index.write();
        let slots = seated.iter().filter_map(|(number, goal, prepared)| {
            let (plan, goal) = (prepared.plan.clone(), *goal);
            state.slots.replace(*number, Slot { plan, goal })
        });
        let slots: Vec<_> = slots.collect();
        let targets = new.into_iter();
        let targets = targets.filter_map(|(number, new)| state.targets.replace(number, new));
        let targets: Vec<_> = targets.collect();
        drop(state);
        trash.add((targets, slots, seated));
    }

    /// Returns the detail without the predicates, which the index has: for all of one scope the
    /// same.
    fn bare(&mut self, detail: &Detail) -> Arc<Detail> {
        let scope = detail.scope.clone();
        let bare = || Arc::new(detail.bare());
        Arc::clone(self.details.entry(scope).or_insert_with(bare))
    }
}
