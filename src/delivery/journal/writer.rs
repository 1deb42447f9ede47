//! Writing what the queues have to remember, for all who wait for it at once.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::ledger::Number;
use super::pending::{Appended, Round};
use super::turn::{WritingHere, is_writing_here};
use super::{Journal, Refusal, State};
use crate::delivery::Parcel;
use crate::delivery::journal::receipt::Addressed;
use crate::error::{Error, ErrorKind, Result};
use crate::model::SubscriptionId;
use crate::notices::Notice;
use crate::value::{drop_quietly, panic_message};

/// How long is waited before what could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

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
                let round = state.begin_round();
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
            let round = state.begin_round();
            drop(state);
            self.write(round)?;
        }
    }

    /// Writes what is pending now, or waits until it is written; what comes meanwhile need not be.
    pub(super) fn write_present(&self) -> Result<()> {
        let mut state = self.state.lock();
        let (last, next) = (state.last, state.pending.rounds + 1);
        loop {
            let pending = &state.pending;
            let is_written = pending.last_written >= next && pending.through >= last;
            if is_written || (pending.is_empty() && !pending.is_writing) {
                return Ok(());
            }
            if !pending.is_writing {
                let round = state.begin_round();
                drop(state);
                self.write(round)?;
                state = self.state.lock();
            } else if is_writing_here() {
                return Ok(());
            } else {
                self.changed.wait(&mut state);
            }
        }
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
        state.pending.last_written = state.pending.rounds;
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
    fn fail(&self, mut round: Round, error: &Error) {
        let why = Refusal::Unwritten(error.to_string());
        let mut lost = 0;
        let mut state = self.state.lock();
        let mut parcels = Vec::new();
        for event in std::mem::take(&mut round.appended) {
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
        pending.take_back(round);
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
        if std::mem::replace(&mut self.state.lock().pending.is_put_off, true) {
            return;
        }
        let me = self.me.clone();
        let again = move || {
            if let Some(journal) = me.upgrade() {
                journal.state.lock().pending.is_put_off = false;
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
