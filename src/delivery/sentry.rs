//! Whether the threads of a pool get on.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::pool::WorkerPool;
use super::timers::Timers;
use crate::clock::Clock;
use crate::notices::{Notice, Notices};
use crate::sync::Mutex;

/// Looks after a pool in which tasks wait: where all threads are held up by calls that do not
/// return, it has others started in their place, and says so.
pub(crate) struct Sentry {
    me: Weak<Self>,
    pool: Weak<WorkerPool>,
    clock: Arc<dyn Clock>,
    timers: Arc<Timers>,
    notices: Notices,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether it is to look again.
    looks: bool,
    /// Where the pool was when it looked last.
    beats: u64,
}

/// How long all threads of a pool are in the same calls before it counts as stuck: longer than a
/// call is that does some work, and short enough that what waits is not given up on.
const STUCK_AFTER: Duration = Duration::from_secs(10);

impl Sentry {
    /// Looks after the pool from now on.
    pub(crate) fn post(
        pool: &Arc<WorkerPool>,
        clock: Arc<dyn Clock>,
        timers: Arc<Timers>,
        notices: Notices,
    ) {
        let sentry = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            pool: Arc::downgrade(pool),
            clock,
            timers,
            notices,
            state: Mutex::default(),
        });
        pool.watch(Box::new(move || sentry.look_later()));
    }

    /// Looks in a while whether the pool has got on.
    fn look_later(&self) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        let mut state = self.state.lock();
        if !state.looks {
            state.looks = true;
            state.beats = pool.beats();
            drop(state);
            self.set();
        }
    }

    fn set(&self) {
        let me = Weak::clone(&self.me);
        let look = move || {
            if let Some(sentry) = me.upgrade() {
                sentry.look();
            }
        };
        let at = self.clock.instant() + STUCK_AFTER;
        self.timers.at(at, Box::new(look));
    }

    fn look(&self) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        let mut state = self.state.lock();
        let (beats, waiting) = (pool.beats(), pool.backlog());
        let gets_on = std::mem::replace(&mut state.beats, beats) != beats;
        // The next task that has to wait has it look again.
        state.looks = waiting > 0;
        drop(state);
        if waiting == 0 {
            return;
        }
        if !gets_on {
            self.relieve(&pool, waiting);
        }
        self.set();
    }

    fn relieve(&self, pool: &WorkerPool, waiting: usize) {
        let threads = pool.hold_all();
        // Those that were held up before were told of.
        if threads > 0 {
            self.notices.push(Notice::PoolStuck { threads, waiting });
        }
    }
}

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock::HandClock;

    fn rig() -> (Arc<HandClock>, Arc<WorkerPool>, Notices) {
        let (clock, pool) = (HandClock::new(), Arc::new(WorkerPool::new(1)));
        let notices = Notices::default();
        let timers = Timers::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Sentry::post(&pool, by_clock, timers, notices.clone());
        (clock, pool, notices)
    }

    #[test]
    fn thread_is_started_in_place_of_those_that_do_not_get_on() {
        let (clock, pool, notices) = rig();
        let (go, gone) = mpsc::channel::<()>();
        assert!(pool.submit(Box::new(move || _ = gone.recv())).is_ok());
        let (done, told) = mpsc::channel();
        for _ in 0..2 {
            let done = done.clone();
            assert!(pool.submit(Box::new(move || _ = done.send(()))).is_ok());
        }
        clock.advance(STUCK_AFTER / 2);
        assert!(told.try_recv().is_err() && notices.drain().is_empty());
        clock.advance(STUCK_AFTER);
        assert_eq!((told.recv(), told.recv()), (Ok(()), Ok(())));
        let stuck = Notice::PoolStuck {
            threads: 1,
            waiting: 2,
        };
        assert_eq!(notices.drain(), [stuck]);
        drop(go);
    }

    #[test]
    fn pool_that_gets_on_is_left_alone() {
        let (clock, pool, notices) = rig();
        let (step, steps) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let steps = Arc::new(Mutex::new(steps));
        for _ in 0..5 {
            let (steps, tell) = (Arc::clone(&steps), tell.clone());
            let task = move || {
                let _ = steps.lock().recv();
                let _ = tell.send(());
            };
            assert!(pool.submit(Box::new(task)).is_ok());
        }
        for _ in 0..4 {
            clock.advance(STUCK_AFTER / 2);
            let before = pool.beats();
            let _ = step.send(());
            assert_eq!(told.recv(), Ok(()));
            while pool.beats() == before {
                std::thread::yield_now();
            }
            clock.advance(STUCK_AFTER / 2);
        }
        assert_eq!(notices.drain(), []);
    }
}
