//! Calls that are not to take longer than they may.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::idle::Idle;
use super::timers::{TimerKey, Timers};
use crate::clock::Clock;
use crate::sync::Mutex;

/// The calls of a desk that have a deadline.
///
/// One timer is set for all of them, and moved on when it goes off: so a call that is in time costs
/// no timer of its own.
pub(crate) struct Vigil {
    clock: Arc<dyn Clock>,
    timers: Arc<Timers>,
    idle: Arc<Idle>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    next_number: u64,
    /// The timer, and when it goes off, if one is set.
    set: Option<(Instant, TimerKey)>,
}

struct Call {
    number: u64,
    until: Instant,
    /// What is done when it overruns; none once it has.
    overrun: Option<Box<dyn FnOnce() + Send>>,
}

/// A call that is watched.
#[derive(Debug)]
#[must_use]
pub(crate) struct Overseen(u64);

impl Vigil {
    pub(super) fn new(clock: &Arc<dyn Clock>, timers: &Arc<Timers>, idle: &Arc<Idle>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            timers: Arc::clone(timers),
            idle: Arc::clone(idle),
            state: Mutex::default(),
        })
    }

    /// Has `overrun` done, by the thread of the timers, if the call that begins now is not over
    /// `after` this time. It is done with a lock held, so that [`end`](Self::end) comes behind it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        after: Duration,
        overrun: Box<dyn FnOnce() + Send>,
    ) -> Overseen {
        let mut state = self.state.lock();
        state.next_number += 1;
        let number = state.next_number;
        // A time that no clock will ever show is none.
        if let Some(until) = self.clock.instant().checked_add(after) {
            state.calls.push(Call {
                number,
                until,
                overrun: Some(overrun),
            });
            self.set(&mut state, until);
        }
        Overseen(number)
    }

    /// Says that the call is over, and returns whether it was in time.
    pub(crate) fn end(&self, overseen: &Overseen) -> bool {
        let mut state = self.state.lock();
        let found = state
            .calls
            .iter()
            .position(|call| call.number == overseen.0);
        let call = found.map(|place| state.calls.swap_remove(place));
        drop(state);
        call.is_none_or(|call| call.overrun.is_some())
    }

    /// Returns whether no call goes on that is in time.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.calls.iter().all(|call| call.overrun.is_none())
    }

    /// Sets the timer, unless it goes off before.
    fn set(self: &Arc<Self>, state: &mut State, at: Instant) {
        match state.set {
            Some((set, _)) if set <= at => return,
            Some((_, later)) => _ = self.timers.cancel(later),
            None => {}
        }
        let weak = Arc::downgrade(self);
        let look = move || {
            if let Some(vigil) = weak.upgrade() {
                vigil.look();
            }
        };
        state.set = Some((at, self.timers.at(at, Box::new(look))));
    }

    /// Does what is to be done of the calls that overran, and sets the timer for the others.
    fn look(self: &Arc<Self>) {
        let now = self.clock.instant();
        let mut state = self.state.lock();
        state.set = None;
        let late = state.calls.iter_mut().filter(|call| call.until <= now);
        let late = late.filter_map(|call| call.overrun.take());
        late.for_each(|overrun| overrun());
        let others = state.calls.iter().filter(|call| call.overrun.is_some());
        if let Some(next) = others.map(|call| call.until).min() {
            self.set(&mut state, next);
        }
        drop(state);
        self.idle.tell();
    }
}

impl fmt::Debug for Vigil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Vigil")
            .field("calls", &state.calls.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::HandClock;

    const SECOND: Duration = Duration::from_secs(1);

    struct Rig {
        clock: Arc<HandClock>,
        vigil: Arc<Vigil>,
        late: Arc<AtomicUsize>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = HandClock::new();
            let by_clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let timers = Timers::new(Arc::clone(&by_clock));
            Self {
                vigil: Vigil::new(&by_clock, &timers, &Arc::default()),
                clock,
                late: Arc::default(),
            }
        }

        fn begin(&self, after: Duration) -> Overseen {
            let late = Arc::clone(&self.late);
            let overrun = move || _ = late.fetch_add(1, Ordering::SeqCst);
            self.vigil.begin(after, Box::new(overrun))
        }

        fn late(&self) -> usize {
            self.late.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn call_that_is_not_over_in_time_is_told_of_once() {
        let rig = Rig::new();
        let call = rig.begin(SECOND);
        rig.clock.advance(SECOND / 2);
        assert_eq!(rig.late(), 0);
        rig.clock.advance(SECOND);
        rig.clock.advance(SECOND);
        assert_eq!(rig.late(), 1);
        assert!(!rig.vigil.end(&call));
    }

    #[test]
    fn one_timer_serves_call_after_call() {
        let rig = Rig::new();
        for _ in 0..10 {
            let call = rig.begin(SECOND);
            rig.clock.advance(SECOND / 2);
            assert!(rig.vigil.end(&call));
        }
        let call = rig.begin(SECOND);
        rig.clock.advance(SECOND - SECOND / 100);
        assert_eq!(rig.late(), 0);
        rig.clock.advance(SECOND / 100);
        assert_eq!((rig.late(), rig.vigil.end(&call)), (1, false));
    }

    #[test]
    fn shorter_deadline_is_not_kept_waiting_by_a_longer_one() {
        let rig = Rig::new();
        let long = rig.begin(10 * SECOND);
        let short = rig.begin(SECOND);
        rig.clock.advance(SECOND);
        assert_eq!(rig.late(), 1);
        assert!(!rig.vigil.end(&short) && rig.vigil.end(&long));
    }

    #[test]
    fn deadline_that_no_clock_shows_is_none() {
        let rig = Rig::new();
        let call = rig.begin(Duration::MAX);
        rig.clock.advance(1_000 * SECOND);
        assert!(rig.vigil.end(&call));
    }
}
