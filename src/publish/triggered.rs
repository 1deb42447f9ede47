//! The trigger of a subscription, asked about the events of a fire.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::calling::Step;
use super::class_facts::ClassFacts;
use super::entry::SubscriptionEntry;
use super::event_key::KeyPaths;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::Guarded;
use super::payload::{Call, UntypedPayload};
use super::plan::Plan;
use super::site::Site;
use super::surroundings::Surroundings;
use super::watch::Watch;
use super::with::FirePart;
use crate::clock::Clock;
use crate::delivery::{
    Bounds, Desk, HeldEvent, Keep, Sight, Terms, TriggerState, Triggered, Verdict, carried,
};
use crate::filter::Row;
use crate::model::{Detached, PUBLISHER_ID, PublisherId, Subscription, TriggerKind};
use crate::store::Trash;
use crate::store::record::trigger::EventMemory;
use crate::value::{Properties, Value, ValueRef, drop_quietly};

/// The trigger of a subscription at one site.
#[derive(Debug, Clone)]
pub(super) struct SiteTrigger {
    state: Arc<TriggerState>,
    /// By what the events are told apart.
    keys: Arc<KeyPaths>,
    is_edge: bool,
}

/// Returns whether what does not match is part of what the subscription asks for, so that its
/// trigger is asked of every event, and its filter by the trigger alone.
pub(super) fn sees_all(record: &Subscription) -> bool {
    let kind = record.trigger().map(|trigger| trigger.kind());
    kind == Some(&TriggerKind::BecomingTrue)
}

/// How much may wait for a subscriber that is called by its fires, where what is due without one is
/// in its way.
pub(super) fn usual_bounds() -> Bounds {
    let usual = Detached::new();
    Bounds {
        capacity: usual.capacity(),
        overflow: usual.overflow(),
        keyed: false,
    }
}

impl SiteTrigger {
    /// Returns the trigger of a subscription, if it has one, with the state that it has so far;
    /// once the subscriber has its seat, it is to [recall](Self::recall) what was kept.
    pub(super) fn bind(
        entry: &SubscriptionEntry,
        site: &Site,
        desk: &Desk,
        bounds: Option<Bounds>,
        around: &Surroundings,
        trash: &mut Trash,
    ) -> Option<Self> {
        let terms = Terms::of(&entry.record);
        let is_kept = terms.as_ref().is_some_and(Terms::are_kept) && entry.object().is_none();
        if !is_kept {
            around.keeper.forget_stored(entry);
        }
        let Some(terms) = terms else {
            discard(desk.without_trigger(), trash);
            return None;
        };
        let bounds = bounds.unwrap_or_else(usual_bounds);
        let (state, displaced) = desk.trigger(&terms, |desk| {
            let by = (&around.timers, &around.clock);
            let keeper = is_kept.then(|| Arc::clone(&around.keeper));
            let keep = keeper.map(|keeper| -> Keep { Box::new(move || keeper.changed()) });
            let state = TriggerState::new(terms.clone(), bounds, desk, by, keep);
            if is_kept {
                around.keeper.keep(entry.record.id(), &state);
            }
            state
        });
        discard(displaced, trash);
        state.rebound(bounds);
        let trigger = entry.record.trigger()?;
        let names: Vec<_> = trigger.keys().iter().map(|name| &**name).collect();
        Some(Self {
            state,
            keys: Arc::new(KeyPaths::new(&names, site, entry.record.binding())),
            is_edge: sees_all(&entry.record),
        })
    }

    /// Has it take note of what was kept of it, as far as that is of the site; `lane` is by what
    /// the events of the subscription's lane are told apart.
    pub(super) fn recall(&self, site: &Site, lane: &KeyPaths, clock: &Arc<dyn Clock>) {
        let own = Arc::default();
        let facts = OnceCell::new();
        let facts = || facts.get_or_init(|| Arc::new(ClassFacts::new(site, clock)));
        let held = |event: &EventMemory| held(event, site, lane, &own, facts());
        self.state
            .remember((site.class.id(), site.schema.id()), held);
    }

    /// Returns whether it is asked of events that do not match too.
    #[inline]
    pub(super) fn sees_all(&self) -> bool {
        self.is_edge
    }

    /// Asks whether an event is delivered, and why; or says what becomes of it.
    pub(super) fn ask<I: Facet + ?Sized>(
        &self,
        guarded: &Guarded<'_, I>,
        plan: &Plan,
        lane: &KeyPaths,
        call: &impl Call<I>,
    ) -> Result<Option<Triggered>, Step> {
        let sight = match self.is_edge {
            true => guarded.look(plan)?,
            false => Sight::Match,
        };
        let verdict = guarded.with_key(&self.keys, |key| {
            let mut held = None;
            let verdict = self.state.see(key, sight, &mut held);
            if verdict != Verdict::Wanted {
                return verdict;
            }
            // The arguments' own code makes the copy: with no lock held.
            held = Some(HeldEvent {
                parcel: guarded.parcel(call),
                key: guarded.key(lane),
            });
            let verdict = self.state.see(key, sight, &mut held);
            drop_quietly(held);
            verdict
        });
        match verdict {
            Verdict::Deliver(why) => Ok(why),
            Verdict::Unmatched => Err(Step::FilteredOut),
            Verdict::Suppressed | Verdict::Wanted => Err(Step::Suppressed),
        }
    }

    /// Takes back what it said of an event, as nobody got it.
    #[cold]
    pub(super) fn take_back<I: Facet + ?Sized>(
        &self,
        guarded: &Guarded<'_, I>,
        why: Option<Triggered>,
    ) {
        guarded.with_key(&self.keys, |key| self.state.take_back(key, why));
    }

    /// Returns what [takes back](Self::take_back) what it said of an event.
    pub(super) fn undoing<I: Facet + ?Sized>(
        &self,
        guarded: &Guarded<'_, I>,
        why: Option<Triggered>,
    ) -> Option<Box<dyn FnOnce() + Send>> {
        let key = guarded.with_key(&self.keys, <[u8]>::to_vec);
        let state = Arc::clone(&self.state);
        Some(Box::new(move || state.take_back(&key, why)))
    }

    /// Returns what the trigger would make of an event, and changes nothing.
    pub(super) fn foresee(&self, method: usize, row: &EventRow<'_>, sight: Sight) -> Verdict {
        with_key(&self.keys, method, row, |key| {
            self.state.foresee(key, sight)
        })
    }
}

/// Returns an event of the site that was kept, unless the interface has no such event by now. Of
/// the properties of its publisher the class's own are known.
fn held(
    event: &EventMemory,
    site: &Site,
    lane: &KeyPaths,
    own: &Arc<Properties>,
    facts: &Arc<ClassFacts>,
) -> Option<HeldEvent> {
    let (method, found) = site.schema.method(&event.method)?;
    if found.parameters().len() != event.values.len() {
        return None;
    }
    let values: Vec<_> = event.values.iter().map(Value::view).collect();
    let row = EventRow {
        values: &values,
        lent: &[],
        own,
        facts,
        clearance: None,
        steering: None,
        kept: None,
        keeping: None,
        watch: Watch::default(),
        part: FirePart::Whole,
    };
    let _entered = row.enter(site.class.id())?;
    Some(HeldEvent {
        parcel: UntypedPayload::shared(&site.schema, method, &values, carried()),
        key: lane.key(method, &row),
    })
}

/// Drops a state that no subscription has any more, where no lock is held: with it may go events,
/// whose arguments are the user's.
fn discard(state: Option<Arc<TriggerState>>, trash: &mut Trash) {
    if let Some(state) = state {
        trash.add(state);
    }
}

/// Says what an event of a method is to a trigger that waits for its filter to become true, or
/// `None` if nothing: it is of another publisher, or neither matches nor re-arms.
pub(super) fn sight(
    plan: &Plan,
    method: usize,
    row: &EventRow<'_>,
    matches: bool,
) -> Option<Sight> {
    if matches {
        return Some(Sight::Match);
    }
    let record = &plan.entry.record;
    if let Some(publisher) = record.binding().publisher()
        && !is(row.publisher(PUBLISHER_ID), publisher)
    {
        return None;
    }
    let rearm = record
        .trigger()
        .and_then(|trigger| trigger.rearm_criteria());
    let ends = rearm.is_none()
        || plan
            .rearm(method)
            .is_some_and(|rearm| rearm.evaluate(row) == Some(true));
    ends.then_some(Sight::End)
}

fn is(id: ValueRef<'_>, publisher: PublisherId) -> bool {
    matches!(id, ValueRef::Uuid(id) if PublisherId::from(id) == publisher)
}

/// Calls `with` with the key of an event, written where the thread wrote the last one.
pub(super) fn with_key<R>(
    keys: &KeyPaths,
    method: usize,
    row: &EventRow<'_>,
    with: impl FnOnce(&[u8]) -> R,
) -> R {
    // What is read may be the user's own code, and a fire inside of it makes another.
    let mut key = KEY.try_with(Cell::take).unwrap_or_default();
    key.clear();
    keys.write(method, row, &mut key);
    let done = with(&key);
    if key.capacity() <= KEPT {
        // Dropped where the thread is ending.
        let _ = KEY.try_with(|kept| kept.set(key));
    }
    done
}

crate::sync::thread_local! {
    static KEY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Far longer than a key is that somebody chose on purpose.
const KEPT: usize = 1 << 16;
