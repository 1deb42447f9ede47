//! The thread that drops what was idle for too long.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::clock::{Alarm, Clock, Waiter};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::thread;

/// Who keeps instances that may be idle for too long.
pub(super) trait Sweep: Send + Sync {
    /// Puts what is to be dropped into the trash and returns when to come again. Without that the
    /// sweeper forgets the keeper, until it asks to be watched again.
    fn sweep(&self, now: Instant, trash: &mut Trash) -> Option<Instant>;
}

/// Drops idle instances on a thread of its own, which exists only while there is one that will have
/// been idle for too long. A broker without such components never has it.
pub(super) struct Sweeper {
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    rounds: Mutex<Rounds>,
}

#[derive(Default)]
struct Rounds {
    /// One for each keeper that is watched.
    due: Vec<Due>,
    running: bool,
}

struct Due {
    at: Instant,
    keeper: Weak<dyn Sweep>,
}

/// After which time without a use an instance is dropped, and by whom.
#[derive(Clone)]
pub(super) struct Expiry {
    pub(super) after: Duration,
    pub(super) sweeper: Arc<Sweeper>,
}

impl Sweeper {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            alarm: Arc::default(),
            rounds: Mutex::default(),
        })
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sweeps `keeper` at that time. Returns false if there can be no thread for it now.
    fn watch(self: &Arc<Self>, at: Instant, keeper: Weak<dyn Sweep>) -> bool {
        let mut rounds = self.rounds.lock();
        if !rounds.running {
            let sweeper = Arc::clone(self);
            let waiter = Arc::clone(&self.clock).waiter(&self.alarm);
            let thread = thread::Builder::new().name("loosely-idle".to_owned());
            if thread.spawn(move || sweeper.run(waiter)).is_err() {
                return false;
            }
            rounds.running = true;
        }
        let first = rounds.due.iter().all(|due| at < due.at);
        rounds.due.push(Due { at, keeper });
        drop(rounds);
        if first {
            self.alarm.ring();
        }
        true
    }

    fn run(&self, mut waiter: Box<dyn Waiter>) {
        loop {
            let seen = self.alarm.rings();
            let Some(next) = self.round() else { return };
            waiter.wait(seen, Some(next));
        }
    }

    /// Sweeps whoever is due and returns when the next is, or none when the thread has nothing more
    /// to do.
    fn round(&self) -> Option<Instant> {
        let now = self.clock.instant();
        let mut rounds = self.rounds.lock();
        let due: Vec<Due> = rounds.due.extract_if(.., |due| due.at <= now).collect();
        drop(rounds);
        for mut due in due {
            if let Some(next) = sweep(&due.keeper, now) {
                due.at = next;
                self.rounds.lock().due.push(due);
            }
        }
        let mut rounds = self.rounds.lock();
        rounds.due.retain(|due| due.keeper.strong_count() > 0);
        let next = rounds.due.iter().map(|due| due.at).min();
        rounds.running = next.is_some();
        next
    }
}

impl Expiry {
    /// Returns until when an instance is kept that was used last at `since`; none is for ever.
    pub(super) fn end(&self, since: Instant) -> Option<Instant> {
        since.checked_add(self.after)
    }

    /// Has the keeper of an instance that is idle since then swept when its time is over. Returns
    /// whether it is watched now.
    pub(super) fn watch<K: Sweep + 'static>(&self, since: Instant, keeper: &Arc<K>) -> bool {
        let keeper: Weak<K> = Arc::downgrade(keeper);
        self.end(since)
            .is_some_and(|at| self.sweeper.watch(at, keeper))
    }

    /// Lets the sweeper's thread find that a keeper is gone.
    pub(super) fn forget(&self) {
        self.sweeper.alarm.ring();
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// Sweeps a keeper that is still there. It may be the last to hold it, so it lets it go before
/// anything is dropped.
fn sweep(keeper: &Weak<dyn Sweep>, now: Instant) -> Option<Instant> {
    let mut trash = Trash::default();
    let next = keeper.upgrade()?.sweep(now, &mut trash);
    trash.dispose();
    next
}
