//! Waiting until the broker has nothing to do.

use std::time::{Duration, Instant};

use super::Broker;
use crate::sync::thread;

impl Broker {
    /// Waits until nothing is left to do that was begun or is due by now: what fires handed to
    /// other threads, tasks for which it is time, and changes of the wiring and notices that
    /// subscribers are to be told of. Returns false if that takes longer than `timeout`.
    ///
    /// A call that overran its deadline is waited for, and what waits for a breaker is not. A fire
    /// that goes on on a publisher's thread is not waited for. Called from inside a delivery
    /// that another thread does, it waits for itself, and in vain.
    pub fn idle(&self, timeout: Duration) -> bool {
        // A time that no clock will ever show is none.
        let until = Instant::now().checked_add(timeout);
        loop {
            if self.is_idle() {
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            // So nobody who finishes something has to look for one who waits, and a fire pays
            // nothing for it.
            thread::sleep(PAUSE);
        }
    }

    /// Returns whether nothing was to be done at some instant during the call.
    ///
    /// Work goes from one to the next, so none is idle by itself. The timers and the teller are
    /// asked before and after: if they have not moved, nobody has given work to the others since,
    /// and those were idle when they were asked: the lanes twice, since the pool, which empties
    /// most, may have filled one meanwhile.
    fn is_idle(&self) -> bool {
        let before = self.stillness();
        let around = &self.core.around;
        let lanes_are_empty = || around.desks.is_idle() && around.journal.rests();
        let threads_are_idle = || around.pool.is_idle() && around.escorts.is_idle();
        let delivers_nothing = || lanes_are_empty() && threads_are_idle() && lanes_are_empty();
        before.is_some() && delivers_nothing() && self.stillness() == before
    }

    /// Returns what changes whenever the timers or the teller do anything, if they do nothing now.
    fn stillness(&self) -> Option<(u64, u64)> {
        let timers = self.core.around.timers.stillness()?;
        Some((timers, self.core.wiring.stillness()?))
    }
}

/// Short against what anybody notices, long against what the look takes.
const PAUSE: Duration = Duration::from_micros(200);
