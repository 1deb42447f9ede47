//! That something has changed, for those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Counts changes, and wakes those who wait for one.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    count: AtomicU64,
    /// Held by who counts, and by who begins to wait, so that no change falls between a look at the
    /// count and the wait.
    beating: Mutex<()>,
    changed: Condvar,
}

/// The pulse of something that lives: its end is a change too.
#[derive(Debug, Default)]
pub(crate) struct LivePulse(Arc<Pulse>);

impl Pulse {
    /// Returns how many changes there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Counts a change, which everybody sees by now.
    pub(crate) fn beat(&self) {
        let beating = self.beating.lock();
        self.count.fetch_add(1, Ordering::Release);
        drop(beating);
        self.changed.notify_all();
    }

    /// Waits until there were other than `seen` changes, or the time is over.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>) {
        let mut beating = self.beating.lock();
        while self.count() == seen {
            let Some(deadline) = deadline else {
                self.changed.wait(&mut beating);
                continue;
            };
            if self.changed.wait_until(&mut beating, deadline).timed_out() {
                return;
            }
        }
    }
}

impl LivePulse {
    pub(crate) fn get(&self) -> &Arc<Pulse> {
        &self.0
    }
}

impl Drop for LivePulse {
    fn drop(&mut self) {
        self.0.beat();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_is_woken_by_a_change_and_by_the_end() {
        let live = LivePulse::default();
        let pulse = Arc::clone(live.get());
        let waiting = Arc::clone(&pulse);
        let first = thread::spawn(move || waiting.wait(0, None));
        pulse.beat();
        assert!(first.join().is_ok());
        let waiting = Arc::clone(&pulse);
        let second = thread::spawn(move || waiting.wait(1, None));
        drop(live);
        assert!(second.join().is_ok());
        assert_eq!(pulse.count(), 2);
    }

    #[test]
    fn wait_ends_when_its_time_is_over() {
        let pulse = Pulse::default();
        pulse.wait(0, Some(Instant::now() + Duration::from_millis(1)));
        assert_eq!(pulse.count(), 0);
    }
}
