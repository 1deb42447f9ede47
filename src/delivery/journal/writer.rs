//! Writing what the queues have to remember, for all who wait for it at once.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::chronicle::Kept;
use super::ledger::{Ledger, Number};
use super::{Journal, Refusal, State};
use crate::delivery::Parcel;
use crate::delivery::journal::receipt::Addressed;
use crate::error::{Error, ErrorKind, Result};
use crate::model::SubscriptionId;
use crate::notices::Notice;
use crate::store::Batch;
use crate::store::record::queue::{self, Addressee};
use crate::value::{drop_quietly, panic_message};

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
    is_called: bool,
    /// All up to here were written, or were not and are below.
    through: Number,
    /// Events that could not be written, for those who wait for that.
    failed: BTreeMap<Number, Refusal>,
    /// Whether nobody knows what of the last batch is stored.
    pub(super) is_uncertain: bool,
}

pub(super) struct Appended {
    number: Number,
    bytes: Vec<u8>,
    parcel: Option<Arc<dyn Parcel>>,
    addressees: Vec<Addressee>,
    waits: bool,
    /// The key of the dead letter that it was, which goes with it.
    letter: Option<Vec<u8>>,
    kept: Option<Kept>,
}

/// What is being written.
#[derive(Default)]
pub(super) struct Round {
    appended: Vec<Appended>,
    removed: Vec<Number>,
    changed: BTreeSet<u32>,
    forgotten: BTreeSet<u32>,
    pairs: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    batch: Batch,
}

/// How much is written at once, so that nobody waits for much more than the disk takes.
const MOST_AT_ONCE: usize = 1_000;

/// How long is waited before what could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

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

crate::sync::thread_local! {
    /// Whether this thread is in the midst of a write, which it cannot wait for.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread is in the midst of a write.
pub(super) fn is_writing_here() -> bool {
    WRITING.try_with(Cell::get).unwrap_or_default()
}

/// A write of this thread, until it is dropped.
pub(super) struct WritingHere(());

impl WritingHere {
    pub(super) fn begin() -> Self {
        let _ = WRITING.try_with(|writing| writing.set(true));
        Self(())
    }
}

impl Drop for WritingHere {
    fn drop(&mut self) {
        let _ = WRITING.try_with(|writing| writing.set(false));
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

    pub(super) fn is_removed(&self, event: Number) -> bool {
        self.removed.contains(&event)
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

    pub(super) fn is_empty(&self) -> bool {
        self.appended.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.forgotten.is_empty()
            && self.pairs.is_empty()
            && !self.is_uncertain
    }
}

impl Journal {
    /// Waits until an event is written, which this thread does itself if nobody is at it.
    pub(super) fn written(&self, number: Number) -> std::result::Result<(), Refusal> {
        let mut state = self.state.lock();
        loop {
            if let Some(refusal) = state.pending.failed.remove(&number) {
                return Err(refusal);
            }
            if state.pending.through >= number {
                return Ok(());
            }
            if state.pending.is_writing {
                if is_writing_here() {
                    // It is stored right behind that.
                    return Ok(());
                }
                self.changed.wait(&mut state);
            } else {
                let round = Self::begin(&mut state);
                drop(state);
                drop(self.write(round));
                state = self.state.lock();
            }
        }
    }

    /// Has somebody write what is pending, unless somebody will.
    pub(super) fn write_soon(&self) {
        let mut state = self.state.lock();
        let pending = &mut state.pending;
        if pending.is_empty() || pending.is_writing || pending.is_called {
            return;
        }
        pending.is_called = true;
        drop(state);
        let Some(me) = self.me.upgrade() else { return };
        let write = move || {
            me.state.lock().pending.is_called = false;
            drop(me.write_all());
        };
        // Stopped, where the broker is being closed, who writes what is left.
        if self.writers.submit(Box::new(write)).is_err() {
            self.state.lock().pending.is_called = false;
            self.write_later();
        }
    }

    /// Writes until nothing is pending, or returns why it cannot be written.
    pub(super) fn write_all(&self) -> Result<()> {
        loop {
            let mut state = self.state.lock();
            while state.pending.is_writing {
                if is_writing_here() {
                    return Ok(());
                }
                self.changed.wait(&mut state);
            }
            if state.pending.is_empty() {
                return Ok(());
            }
            let round = Self::begin(&mut state);
            drop(state);
            self.write(round)?;
        }
    }

    /// Takes out what is written next.
    pub(super) fn begin(state: &mut State) -> Round {
        let State {
            ledger, pending, ..
        } = state;
        pending.is_writing = true;
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

    /// Writes a round and tells those who wait.
    pub(super) fn write(&self, mut round: Round) -> Result<()> {
        let here = WritingHere::begin();
        let batch = std::mem::take(&mut round.batch);
        let write = || match self.store() {
            Some(store) => {
                let known = self.reconciled(&*store, &round.removed);
                known.and_then(|()| store.commit(batch)).map(drop)
            }
            None => Err(Error::new(ErrorKind::Closed, "the broker is closed")),
        };
        // A store may be the user's own.
        let written = catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|panic| {
            let message = format!("the store panicked: {}", panic_message(panic));
            Err(Error::new(ErrorKind::Uncertain, message))
        });
        drop(here);
        match &written {
            Ok(()) => self.end(round),
            Err(error) => self.fail(round, error),
        }
        written
    }

    /// Has those who wait for what was written get it.
    fn end(&self, round: Round) {
        let mut state = self.state.lock();
        let (mut feed, mut parcels) = (BTreeSet::new(), Vec::new());
        for number in &round.changed {
            state.ledger.set_stored(*number);
        }
        for event in round.appended {
            state.pending.through = event.number;
            state.release(&event.addressees);
            parcels.push(state.enter(event, &mut feed));
        }
        state.pending.is_writing = false;
        let keeps = !state.ledger.chronicles.is_empty();
        drop(state);
        self.changed.notify_all();
        drop_quietly(parcels);
        if keeps {
            self.trim_when_due();
        }
        for id in feed {
            self.feed_fresh(id);
        }
        self.write_soon();
    }

    /// Says that nothing of a round was written, or that nobody knows.
    fn fail(&self, round: Round, error: &Error) {
        let why = Refusal::Unwritten(error.to_string());
        let mut lost = 0;
        let mut state = self.state.lock();
        let mut parcels = Vec::new();
        for event in round.appended {
            state.release(&event.addressees);
            let pending = &mut state.pending;
            pending.through = event.number;
            match event.waits {
                true => _ = pending.failed.insert(event.number, why.clone()),
                false => lost += 1,
            }
            parcels.push(event.parcel);
        }
        let pending = &mut state.pending;
        pending.is_uncertain |= error.kind() == ErrorKind::Uncertain;
        pending.removed.extend(round.removed);
        pending.changed.extend(round.changed);
        pending.forgotten.extend(round.forgotten);
        for (key, value) in round.pairs {
            pending.pairs.entry(key).or_insert(value);
        }
        pending.is_writing = false;
        drop(state);
        drop_quietly(parcels);
        if lost > 0 {
            let reason = error.to_string();
            let notices = &self.staff.notices;
            notices.push(Notice::QueueFailed { lost, reason });
        }
        self.changed.notify_all();
        self.write_later();
    }

    /// Tries again after a pause.
    pub(super) fn write_later(&self) {
        let me = self.me.clone();
        let again = move || {
            if let Some(journal) = me.upgrade() {
                journal.write_soon();
            }
        };
        let at = self.staff.clock.instant() + PAUSE;
        self.staff.timers.at(at, Box::new(again));
    }
}

impl State {
    /// Takes in an event that is stored, and returns what of it is to be dropped without a lock.
    #[must_use]
    pub(super) fn enter(
        &mut self,
        event: Appended,
        feed: &mut BTreeSet<SubscriptionId>,
    ) -> Option<Arc<dyn Parcel>> {
        let mut count = 0;
        for to in &event.addressees {
            let Some(queue) = self.ledger.get_mut(to.queue) else {
                continue;
            };
            count += 1;
            let parcel = event.parcel.as_ref().filter(|_| queue.has_room());
            match parcel {
                Some(parcel) => {
                    queue.fed.insert(event.number);
                    queue.fresh.push_back(Addressed {
                        number: event.number,
                        parcel: Arc::clone(parcel),
                        lane: to.lane,
                        why: super::triggered_of(to.why),
                        is_past: false,
                    });
                }
                None => queue.wait_for(event.number),
            }
            feed.insert(queue.id);
        }
        let joining = event.kept.as_ref().and_then(|kept| {
            let joining = self.ledger.enter(kept, &event.addressees)?;
            count += 1;
            Some(joining)
        });
        for queue in joining.into_iter().flatten() {
            self.pending.change(queue);
            if let Some(queue) = self.ledger.get_mut(queue) {
                feed.insert(queue.id);
                count += 1;
            }
        }
        if self.ledger.wait_for(event.number, count) {
            self.pending.remove(event.number);
        }
        event.parcel
    }
}
