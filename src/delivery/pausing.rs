//! Lanes that wait: for a breaker, for their time, or for somebody who could be called.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Instant;

use super::breaker::{BreakerState, Change, Judgement, Pass, Refused};
use super::clerk::Clerk;
use super::desk::{Desk, Handed, Site};
use crate::model::Breaker;
use crate::sync::atomic::Ordering;
use crate::value::{ValueKey, drop_quietly};

/// The keys whose events wait for something else than a thread, each in the hand of nobody but
/// this.
#[derive(Debug, Default)]
pub(super) struct Parked {
    /// Since the breaker is open.
    keys: Vec<ValueKey>,
    /// When they are taken up again, if that is known.
    until: Option<Instant>,
    /// Until somebody is there to be called.
    absent: Vec<ValueKey>,
    /// Until an instant of their own; by that, and by a number.
    put_off: BTreeMap<u64, ValueKey>,
    last_put_off: u64,
}

/// What is asked for the events of one site: a subscription to several classes has the defaults of
/// each for its events.
pub(super) struct SiteTerms {
    site: Site,
    breaker: Option<Breaker>,
    has_deadline: bool,
}

impl Desk {
    /// Takes note of what is asked for the events of a site: with other numbers than before its
    /// breaker begins anew. That of a subscription to several classes is one, and what another of
    /// them asks for changes nothing of how it stands.
    pub(crate) fn fit(&self, site: Site, breaker: Option<&Breaker>, has_deadline: bool) {
        let mut terms = self.terms.lock();
        let now = SiteTerms {
            site,
            breaker: breaker.cloned(),
            has_deadline,
        };
        let is_other = match terms.iter_mut().find(|known| known.site == site) {
            Some(known) => std::mem::replace(known, now).breaker.as_ref() != breaker,
            None => {
                terms.push(now);
                false
            }
        };
        self.note_deadlines(&terms);
        drop(terms);
        if is_other && self.fuse.reset() {
            self.resume();
        }
    }

    /// Forgets what was asked for the events of a site.
    pub(super) fn unfit(&self, site: Site) {
        let mut terms = self.terms.lock();
        terms.retain(|known| known.site != site);
        self.note_deadlines(&terms);
    }

    fn note_deadlines(&self, terms: &[SiteTerms]) {
        let has_deadline = terms.iter().any(|known| known.has_deadline);
        self.has_deadline.store(has_deadline, Ordering::Release);
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

    /// Returns how often the breaker has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.fuse.openings()
    }

    /// Returns how the breaker stands.
    pub(crate) fn breaker(&self) -> BreakerState {
        self.fuse.state(self.staff.clock.instant())
    }

    /// Returns whether nothing is to be delivered by now.
    pub(crate) fn rests(&self) -> bool {
        self.is_idle() || !self.parked.lock().is_empty()
    }

    /// Has the events of a key wait as it was said when they were handed over, in that turn.
    pub(super) fn hold(&self, key: ValueKey, handed: Handed, turn: u64) {
        match handed {
            // Its events are over, and the next ones may come.
            Handed::Over => self.take_up([key]),
            Handed::Back => self.park(key),
            Handed::Later(until) => self.put_off(key, until),
            Handed::Nobody => {
                let mut parked = self.parked.lock();
                parked.absent.push(key);
                drop(parked);
                // Somebody has come since.
                if self.turn.load(Ordering::Acquire) != turn {
                    self.resume_absent();
                }
            }
        }
        // The broker is being closed, and nobody is to wait for a lane that waits.
        if self.is_released() {
            let queued = self.take_out_queued();
            if !queued.is_empty() {
                self.resume_all();
            }
            drop_quietly(queued);
        }
    }

    fn put_off(&self, key: ValueKey, until: Instant) {
        let mut parked = self.parked.lock();
        parked.last_put_off += 1;
        let number = parked.last_put_off;
        parked.put_off.insert(number, key);
        drop(parked);
        let me = Weak::clone(&self.me);
        let resume = move || {
            if let Some(desk) = me.upgrade() {
                let key = desk.parked.lock().put_off.remove(&number);
                desk.take_up(key);
            }
        };
        self.staff.timers.at(until, Box::new(resume));
    }

    /// Has threads take up the keys that wait for somebody to be called.
    pub(super) fn resume_absent(&self) {
        let keys = std::mem::take(&mut self.parked.lock().absent);
        self.take_up(keys);
    }

    /// Has threads take up all keys that wait.
    pub(super) fn resume_all(&self) {
        let mut parked = self.parked.lock();
        parked.until = None;
        let mut keys = std::mem::take(&mut parked.keys);
        keys.append(&mut parked.absent);
        keys.extend(std::mem::take(&mut parked.put_off).into_values());
        drop(parked);
        self.take_up(keys);
    }

    fn take_up(&self, keys: impl IntoIterator<Item = ValueKey>) {
        let Some(desk) = self.me.upgrade() else {
            return;
        };
        for key in keys {
            Clerk::send(&desk, Some(key));
        }
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
        let mut parked = self.parked.lock();
        parked.until = None;
        let keys = std::mem::take(&mut parked.keys);
        drop(parked);
        self.take_up(keys);
    }
}

impl Parked {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.absent.is_empty() && self.put_off.is_empty()
    }
}
