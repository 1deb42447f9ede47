//! What a trigger knows, and what it has delivered without an event.

mod kept;
mod machine;
mod pending;
mod table;
mod verdict;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use self::machine::Machine;
use self::pending::Pending;
use self::verdict::Output;
pub(crate) use self::verdict::{HeldEvent, Sight, Verdict};
use super::desk::Desk;
use super::lane::{Bounds, Pushed};
use super::letter::Letter;
use super::timers::Timers;
use crate::clock::Clock;
use crate::model::{Binding, PredicateName, Subscription, Trigger};
use crate::sync::{Mutex, MutexGuard};
use crate::value::drop_quietly;

/// Why a subscription's [`Trigger`](crate::Trigger) has an event delivered.
///
/// The subscriber learns it from [`EventContext::trigger`](crate::EventContext::trigger).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Triggered {
    /// The filter has become true, and has been for as long as it had to last.
    BecameTrue,
    /// The filter was true and is not any more.
    Resolved,
    /// No event came after this one for too long.
    Absent,
}

/// The state of a subscription's trigger, for all who serve the subscription.
///
/// What is due is put into the subscription's lane under the same lock under which that is decided:
/// so what another event decides behind it comes behind it.
pub(crate) struct TriggerState {
    me: Weak<Self>,
    terms: Terms,
    desk: Weak<Desk>,
    timers: Arc<Timers>,
    clock: Arc<dyn Clock>,
    /// Hears that there is something to keep, if it is kept.
    keep: Option<Keep>,
    state: Mutex<State>,
}

/// Calls nothing of the user's.
pub(crate) type Keep = Box<dyn Fn() + Send + Sync>;

struct State {
    machine: Machine,
    /// What was known before and is still to be taken up.
    pending: Pending,
    /// How much may wait in the lane.
    bounds: Bounds,
    /// Whether a task of the timers will look for what is due.
    armed: bool,
    /// Whether it was said that there is something to keep.
    told: bool,
    /// How many events it has suppressed that are not in the desk's sum.
    suppressed: u64,
    /// Whether the broker is being closed.
    frozen: bool,
    ended: bool,
}

/// What the state is about: with other terms it begins anew.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    trigger: Trigger,
    filter: Option<Arc<str>>,
    predicate: Option<PredicateName>,
    binding: Binding,
}

impl Terms {
    /// Returns the terms of a subscription, if it has a trigger.
    pub(crate) fn of(record: &Subscription) -> Option<Self> {
        Some(Self {
            trigger: record.trigger()?.clone(),
            filter: record.shared_filter().map(Arc::clone),
            predicate: record.predicate().cloned(),
            binding: record.binding().clone(),
        })
    }

    /// Returns whether the state is kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.trigger.is_kept()
    }
}

impl TriggerState {
    pub(crate) fn new(
        terms: Terms,
        bounds: Bounds,
        desk: Weak<Desk>,
        (timers, clock): (&Arc<Timers>, &Arc<dyn Clock>),
        keep: Option<Keep>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            state: Mutex::new(State {
                machine: Machine::new(&terms.trigger),
                pending: Pending::default(),
                bounds,
                armed: false,
                told: false,
                suppressed: 0,
                frozen: false,
                ended: false,
            }),
            keep,
            terms,
            desk,
            timers: Arc::clone(timers),
            clock: Arc::clone(clock),
        })
    }

    /// Returns whether this is the state for those terms.
    pub(crate) fn is_for(&self, terms: &Terms) -> bool {
        self.terms == *terms
    }

    /// Has a lane with other bounds from now on.
    pub(crate) fn rebound(&self, bounds: Bounds) {
        self.state.lock().bounds = bounds;
    }

    /// Takes note of an event of a key, and returns what becomes of it. What may have to be
    /// delivered later is taken out of `held`.
    #[inline]
    pub(crate) fn see(&self, key: &[u8], sight: Sight, held: &mut Option<HeldEvent>) -> Verdict {
        let mut out = Output::default();
        let mut state = self.state.lock();
        if !state.pending.is_empty() {
            self.recall_key(&mut state, key, &mut out);
        }
        let now = || self.clock.instant();
        let verdict = state.machine.see(key, sight, &now, held, &mut out);
        if verdict == Verdict::Suppressed {
            state.suppressed += 1;
            if state.ended {
                self.settle_count(&mut state);
            }
        }
        let is_settled = state.is_armed() && !self.has_news(&state);
        if verdict == Verdict::Suppressed && out.is_empty() && is_settled {
            return verdict;
        }
        self.settle(state, out);
        verdict
    }

    /// Takes back that an event of a key was delivered for a reason, as nobody got it.
    #[cold]
    pub(crate) fn take_back(&self, key: &[u8], why: Option<Triggered>) {
        let mut out = Output::default();
        let mut state = self.state.lock();
        state.machine.take_back(key, why, &mut out);
        self.settle(state, out);
    }

    /// Returns what would become of an event.
    pub(crate) fn foresee(&self, key: &[u8], sight: Sight) -> Verdict {
        let now = self.clock.instant();
        self.state.lock().machine.foresee(key, sight, now)
    }

    /// Has nothing delivered any more.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        self.settle_count(&mut state);
    }

    /// Returns how many events it has suppressed that are not in the desk's sum.
    pub(super) fn suppressed(&self) -> u64 {
        self.state.lock().suppressed
    }

    /// Gives what it has counted away, as nobody will ask it.
    #[cold]
    fn settle_count(&self, state: &mut State) {
        let count = std::mem::take(&mut state.suppressed);
        if let Some(desk) = self.desk.upgrade() {
            desk.add_suppressed(count);
            drop_quietly(desk);
        }
    }

    /// Has nothing more fall due, and keeps what is to for another broker.
    pub(crate) fn freeze(&self) {
        self.state.lock().frozen = true;
    }

    /// Has what is due delivered.
    fn look(&self) {
        let mut out = Output::default();
        let mut state = self.state.lock();
        if state.frozen {
            return;
        }
        state.armed = false;
        state.machine.look(self.clock.instant(), &mut out);
        self.settle(state, out);
    }

    /// Puts what is due into the lane, and sees to what will be.
    #[inline(never)]
    fn settle(&self, mut state: MutexGuard<'_, State>, out: Output) {
        let Output { due, mut unused } = out;
        let desk = self.desk.upgrade();
        for (held, triggered) in due {
            match desk.as_ref().filter(|_| !state.ended) {
                Some(desk) => {
                    let letter = Letter::sealed(held.parcel, Some(triggered));
                    let letter = Letter::keyed(letter, &held.key);
                    // The lane has one more for each key at most, and no thread waits for room
                    // that others wait for.
                    let pushed = desk.accept_beyond(state.bounds, letter, &held.key);
                    if let Pushed::Ended(parcel) = pushed {
                        let key = held.key;
                        unused.push(HeldEvent { parcel, key });
                    }
                }
                None => unused.push(held),
            }
        }
        if !state.is_armed()
            && let Some(at) = state.machine.next_due()
        {
            state.armed = true;
            self.arm(at);
        }
        if let (true, Some(keep)) = (self.has_news(&state), &self.keep) {
            state.told = true;
            keep();
        }
        drop(state);
        // The arguments are the user's.
        drop_quietly((unused, desk));
    }

    /// Returns whether there is something to keep that nobody was told of.
    #[inline]
    fn has_news(&self, state: &State) -> bool {
        self.keep.is_some() && state.machine.changed && !state.told
    }

    fn arm(&self, at: Instant) {
        let me = Weak::clone(&self.me);
        let look = move || {
            if let Some(state) = me.upgrade() {
                state.look();
                drop_quietly(state);
            }
        };
        self.timers.at(at, Box::new(look));
    }
}

impl State {
    fn is_armed(&self) -> bool {
        self.armed || self.machine.next_due().is_none()
    }
}

impl Drop for TriggerState {
    fn drop(&mut self) {
        drop_quietly(self.state.get_mut().machine.forget());
    }
}

impl fmt::Debug for TriggerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerState")
            .field("terms", &self.terms)
            .field("machine", &self.state.lock().machine)
            .finish_non_exhaustive()
    }
}
