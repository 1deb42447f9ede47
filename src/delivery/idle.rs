//! Waiting until nothing waits any more.

use std::time::Instant;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// Tells those who wait for lanes to be empty that one is.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    waiting: AtomicUsize,
    lock: Mutex<()>,
    told: Condvar,
}

impl Idle {
    /// Says that something may be idle by now.
    pub(crate) fn tell(&self) {
        // Whoever waits has counted itself before it looked; and what it looked at has a lock that
        // orders its look and the change.
        if self.waiting.load(Ordering::Acquire) > 0 {
            drop(self.lock.lock());
            self.told.notify_all();
        }
    }

    /// Waits until `is_idle`, and returns whether it is; without a time for as long as it takes.
    pub(crate) fn wait(&self, until: Option<Instant>, is_idle: impl Fn() -> bool) -> bool {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut guard = self.lock.lock();
        let mut idle = is_idle();
        while !idle {
            let too_late = match until {
                Some(until) => self.told.wait_until(&mut guard, until).timed_out(),
                None => {
                    self.told.wait(&mut guard);
                    false
                }
            };
            idle = is_idle();
            if too_late {
                break;
            }
        }
        drop(guard);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        idle
    }
}
