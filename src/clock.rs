//! The broker's clock.

#[cfg(any(test, feature = "testing"))]
mod hand;
#[cfg(any(test, feature = "testing"))]
mod virtual_clock;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::hand::HandClock;
#[cfg(any(test, feature = "testing"))]
pub use self::virtual_clock::VirtualClock;
use crate::sync::{Condvar, Mutex};

/// Where the broker reads the time, and waits for it.
pub(crate) trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time of day.
    fn now(&self) -> SystemTime;

    /// Returns the time that never goes back.
    fn instant(&self) -> Instant;

    /// Returns whether it is the operating system's.
    fn is_systems(&self) -> bool {
        false
    }

    /// Waits until the alarm was rung more often than `seen`, or it is `until`; without that, for
    /// as long as it takes.
    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>);

    /// Says that a thread of the broker is about to run that does what is due by this clock, and
    /// waits for no alarm but this one. Whoever starts the thread asks for it beforehand, so that a
    /// clock that a test moves misses nobody.
    fn waiter(self: Arc<Self>, alarm: &Arc<Alarm>) -> Box<dyn Waiter>;
}

/// How a thread of the broker waits by a clock; dropped when the thread ends.
pub(crate) trait Waiter: Send {
    /// Waits as [`Clock::wait`] does. What was due by now is done.
    fn wait(&mut self, seen: Rings, until: Option<Instant>);
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

impl Rings {
    pub(crate) fn count(self) -> u64 {
        self.0
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn is_systems(&self) -> bool {
        true
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>) {
        alarm.wait(seen, until);
    }

    fn waiter(self: Arc<Self>, alarm: &Arc<Alarm>) -> Box<dyn Waiter> {
        Box::new(SystemWaiter(Arc::clone(alarm)))
    }
}

struct SystemWaiter(Arc<Alarm>);

impl Waiter for SystemWaiter {
    fn wait(&mut self, seen: Rings, until: Option<Instant>) {
        self.0.wait(seen, until);
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
