//! What is to be written of queues, and what of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::chronicle::Kept;
use super::ledger::{Ledger, Number};
use super::{Refusal, State};
use crate::delivery::Parcel;
use crate::store::Batch;
use crate::store::record::queue::{self, Addressee};

/// What is to be written.
#[derive(Default)]
pub(super) struct Pending {
    /// In the order of their numbers.
    appended: Vec<Appended>,
    /// Events for which nobody waits any more.
    removed: Vec<Number>,
    /// Queues that have something else to remember.
    changed: BTreeSet<u32>,
    /// Queues that are gone.
    forgotten: BTreeSet<u32>,
    /// Whole pairs that come and go beside: dead letters.
    pairs: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Whether somebody is writing.
    pub(super) is_writing: bool,
    /// Whether somebody was asked to.
    pub(super) is_called: bool,
    /// Whether somebody will be, when a pause is over.
    pub(super) is_put_off: bool,
    /// How many rounds have begun, and which was the last that was written.
    pub(super) rounds: u64,
    pub(super) last_written: u64,
    /// All up to here were written, or were not and are below.
    pub(super) through: Number,
    /// Events that could not be written, for those who wait for that.
    pub(super) failed: BTreeMap<Number, Refusal>,
    /// Whether nobody knows what of the last batch is stored.
    pub(super) is_uncertain: bool,
}

pub(super) struct Appended {
    pub(super) number: Number,
    bytes: Vec<u8>,
    pub(super) parcel: Option<Arc<dyn Parcel>>,
    pub(super) addressees: Vec<Addressee>,
    pub(super) waits: bool,
    /// The key of the dead letter that it was, which goes with it.
    letter: Option<Vec<u8>>,
    pub(super) kept: Option<Kept>,
}

/// What is being written.
#[derive(Default)]
pub(super) struct Round {
    pub(super) appended: Vec<Appended>,
    pub(super) removed: Vec<Number>,
    pub(super) changed: BTreeSet<u32>,
    pub(super) forgotten: BTreeSet<u32>,
    pub(super) pairs: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub(super) batch: Batch,
}

/// How much is written at once, so that nobody waits for much more than the disk takes.
const MOST_AT_ONCE: usize = 1_000;

impl Appended {
    pub(super) fn new(
        number: Number,
        bytes: Vec<u8>,
        parcel: &Arc<dyn Parcel>,
        addressees: Vec<Addressee>,
        waits: bool,
    ) -> Self {
        Self {
            number,
            bytes,
            parcel: Some(Arc::clone(parcel)),
            addressees,
            waits,
            letter: None,
            kept: None,
        }
    }

    /// Returns the event with what the chronicle of its class is to know of it.
    pub(super) fn kept(self, kept: Option<Kept>) -> Self {
        let size = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let kept = kept.map(|kept| kept.numbered(self.number, size));
        Self { kept, ..self }
    }

    /// Returns an event that was a dead letter.
    pub(super) fn replayed(
        number: Number,
        bytes: Vec<u8>,
        addressee: Addressee,
        letter: Vec<u8>,
    ) -> Self {
        Self {
            number,
            bytes,
            parcel: None,
            addressees: vec![addressee],
            waits: true,
            letter: Some(letter),
            kept: None,
        }
    }

    /// Adds it to a batch. Returns the numbers of what is to be stored with it.
    pub(super) fn put_in(&mut self, batch: &mut Batch, ledger: &mut Ledger) -> Vec<u32> {
        // One who waits for its first event is not stored yet.
        let queues = self.addressees.iter().map(|to| to.queue);
        let new = queues.filter(|queue| ledger.get_mut(*queue).is_some_and(|it| !it.is_stored));
        let mut changed: Vec<_> = new.collect();
        changed.extend(ledger.announce(self.kept.as_ref(), &self.addressees));
        let bytes = std::mem::take(&mut self.bytes);
        batch.put(queue::event_key(self.number), bytes);
        if let Some(letter) = &self.letter {
            batch.delete(letter.as_slice());
        }
        changed
    }

    /// Returns how many are to have it.
    pub(super) fn count(&self) -> usize {
        self.addressees.len()
    }

    /// Gives the places back that were kept for it.
    pub(super) fn release(&self, state: &mut State) {
        state.release(&self.addressees);
    }
}

impl Pending {
    /// Returns whether events are to be written.
    pub(super) fn has_events(&self) -> bool {
        !self.appended.is_empty()
    }

    pub(super) fn append(&mut self, event: Appended) {
        self.appended.push(event);
    }

    /// Returns whether so much is to be written that nothing more is taken for now.
    pub(super) fn is_long(&self) -> bool {
        self.appended.len() >= 4 * MOST_AT_ONCE
    }

    pub(super) fn remove(&mut self, event: Number) {
        self.removed.push(event);
    }

    pub(super) fn remove_all(&mut self, events: Vec<Number>) {
        self.removed.extend(events);
    }

    /// Returns the events that are to go.
    pub(super) fn removed(&self) -> &[Number] {
        &self.removed
    }

    pub(super) fn change(&mut self, queue: u32) {
        self.changed.insert(queue);
    }

    pub(super) fn forget(&mut self, queue: u32, left: Vec<Number>) {
        self.changed.remove(&queue);
        self.forgotten.insert(queue);
        self.removed.extend(left);
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.pairs.insert(key, value);
    }

    /// Has what was not written be written again, but for its events.
    pub(super) fn take_back(&mut self, round: Round) {
        self.removed.extend(round.removed);
        self.changed.extend(round.changed);
        self.forgotten.extend(round.forgotten);
        for (key, value) in round.pairs {
            self.pairs.entry(key).or_insert(value);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.appended.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.forgotten.is_empty()
            && self.pairs.is_empty()
            && !self.is_uncertain
    }
}

impl State {
    /// Takes out what is written next, by whoever does that now.
    pub(super) fn begin_round(&mut self) -> Round {
        let Self {
            ledger, pending, ..
        } = self;
        pending.is_writing = true;
        pending.rounds += 1;
        let rest = match pending.appended.len() > MOST_AT_ONCE {
            true => pending.appended.split_off(MOST_AT_ONCE),
            false => Vec::new(),
        };
        let kept = pending.removed.len().saturating_sub(8 * MOST_AT_ONCE);
        let mut round = Round {
            appended: std::mem::replace(&mut pending.appended, rest),
            removed: pending.removed.split_off(kept),
            changed: std::mem::take(&mut pending.changed),
            // What such a queue had goes first: of one whose number nobody knows all is left.
            forgotten: match kept {
                0 => std::mem::take(&mut pending.forgotten),
                _ => BTreeSet::new(),
            },
            pairs: std::mem::take(&mut pending.pairs),
            batch: Batch::new(),
        };
        for event in &mut round.appended {
            let changed = event.put_in(&mut round.batch, ledger);
            round.changed.extend(changed);
        }
        for number in &round.removed {
            round.batch.delete(queue::event_key(*number));
        }
        for number in &round.changed {
            let record = ledger.record(*number);
            if let Some(Ok(bytes)) = record.as_ref().map(queue::encode_queue) {
                round.batch.put(queue::queue_key(*number), bytes);
            }
        }
        for number in &round.forgotten {
            round.batch.delete(queue::queue_key(*number));
        }
        for (key, value) in &round.pairs {
            match value {
                Some(value) => round.batch.put(key.as_slice(), value.as_slice()),
                None => round.batch.delete(key.as_slice()),
            };
        }
        round
    }
}
