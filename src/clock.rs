//! The broker's clock.

#[cfg(test)]
mod hand;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

#[cfg(test)]
pub(crate) use self::hand::HandClock;

/// Where the broker reads the time, and waits for it.
pub(crate) trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time of day.
    fn now(&self) -> SystemTime;

    /// Returns the time that never goes back.
    fn instant(&self) -> Instant;

    /// Waits until the alarm was rung more often than `seen`, or it is `until`; without that, for
    /// as long as it takes.
    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>);
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

/// What wakes a thread that waits by a clock.
///
/// Whoever waits reads [`rings`](Self::rings) first and then looks whether there is something to
/// wait for, so that a ring in between is not missed.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rings: Mutex<u64>,
    rung: Condvar,
}

/// How often an alarm was rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rings(u64);

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>) {
        alarm.wait(seen, until);
    }
}

impl Alarm {
    /// Returns how often it was rung.
    pub(crate) fn rings(&self) -> Rings {
        Rings(*self.rings.lock())
    }

    /// Wakes everyone who waits.
    pub(crate) fn ring(&self) {
        *self.rings.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits by the operating system's clock.
    fn wait(&self, seen: Rings, until: Option<Instant>) {
        let mut rings = self.rings.lock();
        while Rings(*rings) == seen {
            match until {
                None => self.rung.wait(&mut rings),
                Some(until) if self.rung.wait_until(&mut rings, until).timed_out() => return,
                Some(_) => {}
            }
        }
    }
}
