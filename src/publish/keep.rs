//! What a channel retains, and for whom it was looked up.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::channel::AnyChannel;
use super::kept::{KeptEvent, Rule, Shelf};
use super::seat::Seat;
use super::versions::method_in;
use crate::model::{EventClass, SubscriptionId};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::value::{InterfaceSchema, ValueKey};

/// The retained events of one interface of one class, whichever channel stands for it now: the one
/// by name and the typed one that takes its place share it.
///
/// # Exactly once
///
/// A fire takes its place and keeps its event under the lock, and loads its snapshot behind. A new
/// subscription is [behind](Seat) before a snapshot shows it; then what is retained is looked up
/// under the same lock, and with it the floor: the last place that was given. So an event above the
/// floor was kept later, its fire sees the subscription, and delivers it or has it wait. One up to
/// the floor is among what was looked up, or has given way to what is; should its fire see the
/// subscription, it passes it over.
///
/// Under the lock library code alone runs. What is displaced is dropped without it.
pub(crate) struct Keep {
    /// Whether a method retains events: what a change of the subscriptions looks at.
    retaining: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// In which the methods are counted; none before there are rules.
    schema: Option<Arc<InterfaceSchema>>,
    /// By method.
    shelves: Vec<Shelf>,
    /// The place of the event that was fired last.
    last: u64,
    /// subscription -> its seat, of those that can be called
    seats: HashMap<SubscriptionId, Arc<Seat>>,
}

/// The seats of all who can be called, while they are made ready anew.
pub(super) struct Seats {
    pub(super) known: HashMap<SubscriptionId, Arc<Seat>>,
    /// Whether events are retained from now on: who is there has missed nothing.
    pub(super) begins: bool,
}

/// What is retained for a subscription.
pub(super) struct LookedUp {
    pub(super) floor: u64,
    /// In the order of firing.
    pub(super) events: Vec<Arc<KeptEvent>>,
}

/// What became of an event that was to be kept.
pub(super) struct Put {
    pub(super) place: u64,
    /// Why an event was lost that nobody was told of before.
    pub(super) lost: Option<Lost>,
}

/// Why an event is not retained although it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// So many keys are, and the one fired longest ago has given way.
    TooMany(usize),
    Unreadable,
    /// The interface has another version by now that has no such event.
    Unfit,
}

impl Keep {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            retaining: AtomicBool::new(false),
            state: Mutex::new(State {
                schema: None,
                shelves: Vec::new(),
                last: 0,
                seats: HashMap::new(),
            }),
        })
    }

    /// Returns whether a method retains events.
    pub(super) fn is_retaining(&self) -> bool {
        self.retaining.load(Ordering::Acquire)
    }

    /// Returns whether there is a method that retains none.
    pub(super) fn is_partial(&self) -> bool {
        let state = self.state.lock();
        state.shelves.iter().any(|shelf| shelf.rule.is_none())
    }

    /// Takes over what a class says, and hands out the seats, to be given back by
    /// [`sit`](Self::sit) one by one. What rules of before kept is forgotten.
    pub(super) fn follow(
        &self,
        schema: &Arc<InterfaceSchema>,
        class: &EventClass,
        trash: &mut Trash,
    ) -> Seats {
        let rules = schema
            .methods()
            .iter()
            .map(|method| Rule::of(class, method));
        let rules: Vec<_> = rules.collect();
        let retaining = rules.iter().any(Option::is_some);
        let mut state = self.state.lock();
        let begins = retaining && !self.retaining.swap(retaining, Ordering::AcqRel);
        self.retaining.store(retaining, Ordering::Release);
        state.follow(schema, &rules, trash);
        Seats {
            known: std::mem::take(&mut state.seats),
            begins,
        }
    }

    /// Puts a subscription on its seat.
    pub(super) fn sit(&self, id: SubscriptionId, seat: Arc<Seat>) {
        self.state.lock().seats.insert(id, seat);
    }

    /// Returns the seat of a subscription.
    pub(super) fn seat(&self, id: SubscriptionId) -> Option<Arc<Seat>> {
        self.state.lock().seats.get(&id).cloned()
    }

    /// Takes a subscription's seat away.
    pub(super) fn stand_up(&self, id: SubscriptionId) -> Option<Arc<Seat>> {
        self.state.lock().seats.remove(&id)
    }

    /// Gives an event its place, and keeps it if its method does; without one, its values could not
    /// be read. Returns the channel that has taken the place of this one, if one has.
    pub(super) fn put(
        &self,
        event: Result<&Arc<KeptEvent>, usize>,
        schema: &Arc<InterfaceSchema>,
        successor: &OnceLock<Arc<dyn AnyChannel>>,
        limit: usize,
    ) -> Result<Put, Arc<dyn AnyChannel>> {
        let mut displaced = None;
        let put = {
            let mut state = self.state.lock();
            if let Some(successor) = successor.get() {
                return Err(Arc::clone(successor));
            }
            state.last += 1;
            let place = state.last;
            let lost = match event {
                Ok(event) => state.keep(place, event, schema, limit, &mut displaced),
                Err(method) => state.shelves.get_mut(method).and_then(|shelf| {
                    let told = shelf.rule.is_some() && shelf.tell_once();
                    told.then_some(Lost::Unreadable)
                }),
            };
            Put { place, lost }
        };
        drop(displaced);
        Ok(put)
    }

    /// Looks up what is retained of the methods that are wanted, for this version of the interface:
    /// that of a channel whose place another takes just now may be an older one.
    pub(super) fn look_up(
        &self,
        schema: &Arc<InterfaceSchema>,
        wanted: impl Fn(usize) -> bool,
    ) -> LookedUp {
        let state = self.state.lock();
        let older = state.version_beside(schema);
        let shelves = state.shelves.iter().enumerate();
        let shelves = shelves.filter(|(method, _)| older.is_some() || wanted(*method));
        let mut events: Vec<_> = shelves
            .flat_map(|(_, shelf)| shelf.iter())
            .filter_map(|(place, event)| match older {
                None => Some((place, Arc::clone(event))),
                Some(present) => {
                    let event = event.for_version(present, schema)?;
                    wanted(event.method).then(|| (place, Arc::new(event)))
                }
            })
            .collect();
        let floor = state.last;
        drop(state);
        events.sort_unstable_by_key(|(place, _)| *place);
        let events = events.into_iter().map(|(_, event)| event).collect();
        LookedUp { floor, events }
    }

    /// Returns how many events of a method of this version are retained.
    pub(super) fn count(&self, schema: &Arc<InterfaceSchema>, method: usize) -> usize {
        let mut state = self.state.lock();
        state.shelf(schema, method).map_or(0, |shelf| shelf.len())
    }

    /// Forgets what is retained of a method, and returns how many events that were.
    pub(super) fn forget(&self, schema: &Arc<InterfaceSchema>, method: usize) -> usize {
        let forgotten = self.state.lock().shelf(schema, method).map(|shelf| {
            let rule = shelf.rule;
            std::mem::replace(shelf, Shelf::new(rule))
        });
        forgotten.map_or(0, |shelf| shelf.len())
    }

    /// Forgets the event of a key, and returns whether there was one.
    pub(super) fn forget_key(
        &self,
        schema: &Arc<InterfaceSchema>,
        method: usize,
        key: &ValueKey,
    ) -> bool {
        let mut state = self.state.lock();
        let forgotten = state
            .shelf(schema, method)
            .and_then(|shelf| shelf.take(key));
        drop(state);
        forgotten.is_some()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self, trash: &mut Trash) {
        let mut state = self.state.lock();
        for shelf in &mut state.shelves {
            let rule = shelf.rule;
            trash.add(std::mem::replace(shelf, Shelf::new(rule)));
        }
    }

    /// Does what has to be seen by every event that is kept from now on.
    pub(super) fn between_events(&self, work: impl FnOnce()) {
        let state = self.state.lock();
        work();
        drop(state);
    }
}

impl State {
    /// Returns the version in which the methods are counted, if it is not this one.
    fn version_beside(&self, schema: &Arc<InterfaceSchema>) -> Option<&Arc<InterfaceSchema>> {
        let present = self.schema.as_ref();
        present.filter(|present| !Arc::ptr_eq(present, schema))
    }

    /// Returns what is kept of a method of this version.
    fn shelf(&mut self, schema: &Arc<InterfaceSchema>, method: usize) -> Option<&mut Shelf> {
        let method = match self.version_beside(schema) {
            None => method,
            Some(present) => method_in(schema, method, present)?.0,
        };
        self.shelves.get_mut(method)
    }

    fn follow(&mut self, schema: &Arc<InterfaceSchema>, rules: &[Option<Rule>], trash: &mut Trash) {
        let present = self.schema.replace(Arc::clone(schema));
        if let Some(present) = present.filter(|present| present.hash() != schema.hash()) {
            let fresh = rules.iter().map(|rule| Shelf::new(*rule)).collect();
            let shelves = std::mem::replace(&mut self.shelves, fresh);
            for shelf in &shelves {
                self.bring_over(&present, shelf, schema);
            }
            trash.add(shelves);
            return;
        }
        self.shelves.resize_with(rules.len(), Shelf::default);
        for (shelf, rule) in self.shelves.iter_mut().zip(rules) {
            if shelf.rule != *rule {
                trash.add(std::mem::replace(shelf, Shelf::new(*rule)));
            }
        }
    }

    /// Keeps what still fits of a method of another version of the schema.
    fn bring_over(&mut self, from: &InterfaceSchema, shelf: &Shelf, schema: &InterfaceSchema) {
        for (place, event) in shelf.iter() {
            let Some(event) = event.for_version(from, schema) else {
                continue;
            };
            if let Some(shelf) = self.shelves.get_mut(event.method)
                && let Some(rule) = shelf.rule
            {
                shelf.put(place, rule.key(&event), Arc::new(event));
            }
        }
    }

    fn keep(
        &mut self,
        place: u64,
        event: &Arc<KeptEvent>,
        schema: &Arc<InterfaceSchema>,
        limit: usize,
        displaced: &mut Option<Arc<KeptEvent>>,
    ) -> Option<Lost> {
        let mut event = Arc::clone(event);
        // A channel whose place another takes just now, of another version.
        if let Some(present) = self.version_beside(schema) {
            event = Arc::new(event.for_version(schema, present)?);
        }
        let shelf = self.shelves.get_mut(event.method)?;
        let key = shelf.rule?.key(&event);
        *displaced = shelf.put(place, key, event);
        if shelf.len() <= limit {
            return None;
        }
        *displaced = shelf.pop_oldest();
        shelf.tell_once().then_some(Lost::TooMany(limit))
    }
}
