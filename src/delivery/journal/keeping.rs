//! Keeping past events, and queues that begin with them.

use std::time::SystemTime;

use super::chronicle::{Join, Kept, Past};
use super::ledger::Number;
use super::{Journal, Refusal, State, dead};
use crate::delivery::Parcel;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClassId, History, Start, SubscriptionId};
use crate::store::record::queue::{self, QueuedEvent};
use crate::sync::atomic::Ordering;
use crate::value::InterfaceId;

/// What a fire of a class with a history says of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepPast {
    pub(crate) class: EventClassId,
    /// How far the journal was before the fire looked who is to have the event.
    pub(crate) mark: u64,
    /// Whether the fire goes on when the event is stored.
    pub(crate) waits: bool,
}

/// A past event as the store has it.
pub(crate) struct Recalled {
    pub(crate) number: Number,
    pub(crate) event: QueuedEvent,
    pub(crate) method: Option<String>,
    pub(crate) parameters: Vec<String>,
}

impl Journal {
    /// Keeps as many past events of a class as it says, or none.
    pub(crate) fn keep(&self, class: EventClassId, terms: Option<&History>) {
        let now = self.staff.clock.now();
        let mut state = self.state.lock();
        if state.owner.is_none() {
            return;
        }
        match (state.ledger.chronicle_of(class), terms) {
            (None, None) => return,
            (_, Some(terms)) => {
                let number = state.ledger.open_chronicle(class);
                let gone = state.ledger.limit(number, terms, now);
                state.pending.remove_all(gone);
            }
            (Some(number), None) => {
                let gone = state.ledger.close_chronicle(number);
                state.pending.forget(number, gone);
            }
        }
        drop(state);
        self.write_soon();
        self.trim_when_due();
    }

    /// Returns whether past events of a class are kept.
    pub(crate) fn keeps(&self, class: EventClassId) -> bool {
        self.state.lock().ledger.chronicle_of(class).is_some()
    }

    /// Returns how far the journal is, for a fire that begins.
    pub(crate) fn mark(&self) -> u64 {
        self.mark.load(Ordering::Acquire)
    }

    /// Has a subscription begin with a past event of a site, unless it has begun. Returns whether
    /// it joins, and is to be told when every snapshot has it.
    pub(crate) fn join_at(
        &self,
        id: SubscriptionId,
        site: (EventClassId, InterfaceId),
        start: Start,
    ) -> bool {
        let mut state = self.state.lock();
        let next = state.last + 1;
        let joined = state.ledger.join(id, site, start, next);
        let queue = state.ledger.find(id).map(|queue| queue.number);
        if let (Join::Begun { .. }, Some(queue)) = (&joined, queue) {
            state.pending.change(queue);
        }
        drop(state);
        match joined {
            Join::Before { is_joining } => is_joining,
            Join::Begun { is_joining } => {
                self.write_soon();
                self.feed_soon(id);
                is_joining
            }
        }
    }

    /// Says that every fire of the site from now on has the subscription in its snapshot.
    pub(crate) fn go_live(&self, id: SubscriptionId, site: (EventClassId, InterfaceId)) {
        let mut state = self.state.lock();
        let mark = self.mark.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(queue) = state.ledger.find(id).map(|queue| queue.number) {
            state.ledger.go_live(queue, site, mark);
        }
    }

    /// Returns what a chronicle is to know of an event that is to be kept.
    pub(super) fn kept(
        &self,
        keep: Option<&KeepPast>,
        parcel: &dyn Parcel,
    ) -> std::result::Result<Option<Kept>, Refusal> {
        let Some(keep) = keep else {
            return Ok(None);
        };
        let state = self.state.lock();
        if state.is_stopped {
            return Err(Refusal::Closed);
        }
        if state.owner.is_none() {
            return Err(Refusal::elsewhere());
        }
        // Its class does not keep any, by now.
        let chronicle = state.ledger.chronicle_of(keep.class);
        drop(state);
        Ok(chronicle.map(|chronicle| Kept {
            chronicle,
            past: Past {
                number: 0,
                interface: parcel.schema().id(),
                time: parcel.fire().time(),
                size: 0,
            },
            mark: keep.mark,
        }))
    }

    /// Returns the past events of a class from this number on, so many at most.
    pub(crate) fn past_events(
        &self,
        class: EventClassId,
        from: Number,
        limit: usize,
    ) -> Result<Vec<Recalled>> {
        let store = self.store().ok_or_else(dead::closed)?;
        // What was accepted a moment ago is among them.
        self.write_present()?;
        let state = self.state.lock();
        if state.owner.is_none() {
            let why = Refusal::elsewhere().to_string();
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        let number = state.ledger.chronicle_of(class);
        let chronicle = number.and_then(|number| state.ledger.chronicles.get(&number));
        let numbers: Vec<_> = chronicle
            .map(|chronicle| chronicle.from(from).take(limit).map(|it| it.number))
            .into_iter()
            .flatten()
            .collect();
        drop(state);
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            // Let go meanwhile, or nobody can read it.
            let Some(entry) = store.get(&queue::event_key(number))? else {
                continue;
            };
            let Ok(event) = queue::decode_event(&entry.value) else {
                continue;
            };
            let (method, parameters) = self.names(&*store, &event);
            found.push(Recalled {
                number,
                event,
                method,
                parameters,
            });
        }
        Ok(found)
    }

    /// Takes out of the chronicles what is beyond their limits, now and whenever something is.
    pub(super) fn trim_when_due(&self) {
        let (now, instant) = (self.staff.clock.now(), self.staff.clock.instant());
        let mut state = self.state.lock();
        state.trim(now);
        let due = state.ledger.chronicles.values().filter_map(|it| it.due());
        let wait = due
            .min()
            .map(|due| due.duration_since(now).unwrap_or_default());
        let at = wait.and_then(|wait| instant.checked_add(wait));
        let Some(at) = at.filter(|at| state.trims_at.is_none_or(|set| *at < set)) else {
            return;
        };
        state.trims_at = Some(at);
        drop(state);
        let me = self.me.clone();
        let trim = move || {
            let Some(journal) = me.upgrade() else { return };
            let mut state = journal.state.lock();
            // Another one was set for an earlier instant.
            if state.trims_at != Some(at) {
                return;
            }
            state.trims_at = None;
            drop(state);
            journal.trim_when_due();
            journal.write_soon();
        };
        self.staff.timers.at(at, Box::new(trim));
    }
}

impl State {
    /// Takes out of the chronicles what is beyond their limits.
    pub(super) fn trim(&mut self, now: SystemTime) {
        let all: Vec<_> = self.ledger.chronicles.keys().copied().collect();
        for number in all {
            let gone = self.ledger.trim(number, now);
            self.pending.remove_all(gone);
        }
        for number in self.ledger.emptied() {
            // With which number it goes on is not to be forgotten.
            self.pending.change(number);
        }
    }
}
