//! Lanes that wait for a breaker.

use std::sync::Weak;
use std::time::Instant;

use super::breaker::{BreakerState, Change, Judgement, Pass, Refused};
use super::clerk::Clerk;
use super::desk::Desk;
use crate::model::Breaker;
use crate::value::ValueKey;

/// The keys whose events wait since the breaker is open, each in the hand of nobody but this.
#[derive(Debug, Default)]
pub(super) struct Parked {
    keys: Vec<ValueKey>,
    /// When they are taken up again, if that is known.
    until: Option<Instant>,
}

impl Desk {
    /// Has the breaker go by these numbers, or be none.
    pub(crate) fn fit(&self, numbers: Option<&Breaker>) {
        if self.fuse.fit(numbers) {
            self.resume();
        }
    }

    /// Lets a delivery begin, or says why not; one that begins is [judged](Self::judge).
    pub(crate) fn admit(&self) -> Result<Pass, Refused> {
        self.fuse.admit(self.staff.clock.instant())
    }

    /// Takes in how a delivery went.
    pub(crate) fn judge(&self, numbers: &Breaker, pass: Pass, judgement: Judgement) -> Change {
        let now = self.staff.clock.instant();
        let change = self.fuse.judge(numbers, pass, judgement, now);
        match change {
            Change::None => {}
            Change::Closed | Change::Untried => self.resume(),
            Change::Opened { .. } => self.resume_when_due(),
        }
        change
    }

    /// Returns whether no delivery could begin now.
    pub(crate) fn is_refused(&self) -> bool {
        self.fuse.refusal(self.staff.clock.instant()).is_some()
    }

    /// Returns how the breaker stands.
    pub(crate) fn breaker(&self) -> BreakerState {
        self.fuse.state(self.staff.clock.instant())
    }

    /// Returns whether nothing is to be delivered by now.
    pub(crate) fn rests(&self) -> bool {
        self.is_idle() || !self.parked.lock().keys.is_empty()
    }

    /// Has the events of a key wait until the breaker lets one pass.
    pub(super) fn park(&self, key: ValueKey) {
        self.parked.lock().keys.push(key);
        self.resume_when_due();
    }

    /// Has the keys that wait taken up again when the breaker lets a trial be made.
    fn resume_when_due(&self) {
        let mut parked = self.parked.lock();
        if parked.keys.is_empty() {
            return;
        }
        // Asked with the keys locked: whoever changes it takes them up afterwards.
        match self.fuse.refusal(self.staff.clock.instant()) {
            Some(Refused::Until(until)) => self.resume_at(&mut parked, until),
            // Whoever makes the trial takes them up behind it.
            Some(Refused::ByTrial) => {}
            None => {
                drop(parked);
                self.resume();
            }
        }
    }

    fn resume_at(&self, parked: &mut Parked, until: Instant) {
        if parked.until.replace(until) == Some(until) {
            return;
        }
        let me = Weak::clone(&self.me);
        let resume = move || {
            if let Some(desk) = me.upgrade() {
                desk.resume();
            }
        };
        self.staff.timers.at(until, Box::new(resume));
    }

    /// Has threads take up the keys that wait: one makes the trial, the others wait again.
    fn resume(&self) {
        let Some(desk) = self.me.upgrade() else {
            return;
        };
        let mut parked = self.parked.lock();
        parked.until = None;
        let keys = std::mem::take(&mut parked.keys);
        drop(parked);
        for key in keys {
            Clerk::send(&desk, Some(key));
        }
    }
}
