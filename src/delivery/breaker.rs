//! Whether a subscriber that fails is left alone.

use std::time::{Duration, Instant};

use crate::model::Breaker;
use crate::sync::Mutex;

/// How a subscription's breaker stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Events are delivered, or the subscription has no breaker.
    #[default]
    Closed,
    /// None is delivered until the back-off is over.
    Open,
    /// The back-off is over: the next event is the trial, or it is being delivered.
    HalfOpen,
}

/// Counts the failures of a subscription in a row. It knows no numbers of its own: those of each
/// class count for its events.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    phase: Phase,
    /// How often it has opened.
    openings: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
        back_off: Duration,
    },
    Trial {
        back_off: Duration,
    },
}

/// The right to one delivery, which ends in [`Fuse::judge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Usual,
    Trial,
}

/// Why there is to be no delivery now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Until(Instant),
    /// Until the delivery is over that is the trial.
    ByTrial,
}

/// How a delivery went, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Well,
    Failed,
    /// Nobody was called, or the subscriber is not to blame.
    Neither,
}

/// What a judgement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened {
        failures: u32,
        back_off: Duration,
    },
    Closed,
    /// The trial came to nothing: another may be made at once.
    Untried,
}

impl Fuse {
    /// Closes it, and returns whether it was not before.
    pub(crate) fn reset(&self) -> bool {
        let mut state = self.state.lock();
        state.failures = 0;
        std::mem::take(&mut state.phase) != Phase::Closed
    }

    /// Returns how often it has opened, trials that failed included.
    pub(crate) fn openings(&self) -> u64 {
        self.state.lock().openings
    }

    /// Lets a delivery begin, or says why not.
    pub(crate) fn admit(&self, now: Instant) -> Result<Pass, Refused> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closed => Ok(Pass::Usual),
            Phase::Open { until, .. } if now < until => Err(Refused::Until(until)),
            Phase::Open { back_off, .. } => {
                state.phase = Phase::Trial { back_off };
                Ok(Pass::Trial)
            }
            Phase::Trial { .. } => Err(Refused::ByTrial),
        }
    }

    /// Returns why no delivery could begin now, and begins none.
    pub(crate) fn refusal(&self, now: Instant) -> Option<Refused> {
        match self.state.lock().phase {
            Phase::Open { until, .. } if now < until => Some(Refused::Until(until)),
            Phase::Trial { .. } => Some(Refused::ByTrial),
            _ => None,
        }
    }

    /// Takes in how a delivery went. One that began before the breaker opened says nothing of how
    /// the subscriber is now.
    pub(crate) fn judge(
        &self,
        numbers: &Breaker,
        pass: Pass,
        judgement: Judgement,
        now: Instant,
    ) -> Change {
        let mut state = self.state.lock();
        match (state.phase, pass, judgement) {
            (Phase::Closed, _, Judgement::Well) => {
                state.failures = 0;
                Change::None
            }
            (Phase::Closed, Pass::Usual, Judgement::Failed) => {
                state.failures = state.failures.saturating_add(1);
                match state.failures >= numbers.failures() {
                    true => state.open(numbers.back_off(), now),
                    false => Change::None,
                }
            }
            (Phase::Trial { .. }, Pass::Trial, Judgement::Well) => {
                state.phase = Phase::Closed;
                state.failures = 0;
                Change::Closed
            }
            (Phase::Trial { back_off }, Pass::Trial, Judgement::Failed) => {
                state.failures = state.failures.saturating_add(1);
                let doubled = back_off.saturating_mul(2);
                state.open(doubled.min(numbers.max_back_off()), now)
            }
            (Phase::Trial { back_off }, Pass::Trial, Judgement::Neither) => {
                state.phase = Phase::Open {
                    until: now,
                    back_off,
                };
                Change::Untried
            }
            _ => Change::None,
        }
    }

    /// Returns how it stands.
    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.state.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until, .. } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Trial { .. } => BreakerState::HalfOpen,
        }
    }
}

impl State {
    fn open(&mut self, back_off: Duration, now: Instant) -> Change {
        self.openings += 1;
        self.phase = Phase::Open {
            until: now.checked_add(back_off).unwrap_or(now + FOREVER),
            back_off,
        };
        Change::Opened {
            failures: self.failures,
            back_off,
        }
    }
}

/// What no clock reaches, and every clock can tell.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Rig {
        fuse: Fuse,
        numbers: Breaker,
        now: Instant,
    }

    impl Rig {
        fn after(failures: u32) -> Self {
            Self {
                fuse: Fuse::default(),
                numbers: Breaker::after(failures).with_max_back_off(3 * SECOND),
                now: Instant::now(),
            }
        }

        /// Delivers once, and returns nothing if that was refused.
        fn deliver(&self, judgement: Judgement) -> Option<Change> {
            let pass = self.fuse.admit(self.now).ok()?;
            Some(self.judge(pass, judgement))
        }

        fn judge(&self, pass: Pass, judgement: Judgement) -> Change {
            self.fuse.judge(&self.numbers, pass, judgement, self.now)
        }

        fn opened(failures: u32, back_off: Duration) -> Option<Change> {
            Some(Change::Opened { failures, back_off })
        }
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let rig = Rig::after(2);
        for judgement in [Judgement::Failed, Judgement::Well, Judgement::Failed] {
            assert_eq!(rig.deliver(judgement), Some(Change::None));
        }
        assert_eq!(rig.deliver(Judgement::Neither), Some(Change::None));
        assert_eq!(rig.deliver(Judgement::Failed), Rig::opened(2, SECOND));
        assert_eq!(rig.fuse.state(rig.now), BreakerState::Open);
        assert_eq!(rig.deliver(Judgement::Well), None);
    }

    #[test]
    fn back_off_doubles_with_each_trial_that_fails_up_to_the_longest() {
        let mut rig = Rig::after(1);
        rig.deliver(Judgement::Failed);
        for (failures, back_off) in [(2, 2), (3, 3), (4, 3)] {
            rig.now += 3 * SECOND;
            assert_eq!(rig.fuse.state(rig.now), BreakerState::HalfOpen);
            let opened = Rig::opened(failures, back_off * SECOND);
            assert_eq!(rig.deliver(Judgement::Failed), opened);
        }
        rig.now += 3 * SECOND;
        assert_eq!(rig.deliver(Judgement::Well), Some(Change::Closed));
        assert_eq!(rig.fuse.state(rig.now), BreakerState::Closed);
    }

    #[test]
    fn one_trial_is_made_at_a_time_and_one_that_came_to_nothing_again() {
        let mut rig = Rig::after(1);
        rig.deliver(Judgement::Failed);
        rig.now += SECOND;
        assert_eq!(rig.fuse.admit(rig.now), Ok(Pass::Trial));
        assert_eq!(rig.fuse.admit(rig.now), Err(Refused::ByTrial));
        assert_eq!(rig.judge(Pass::Trial, Judgement::Neither), Change::Untried);
        assert_eq!(rig.deliver(Judgement::Well), Some(Change::Closed));
    }

    #[test]
    fn delivery_that_began_before_it_opened_changes_nothing() {
        let mut rig = Rig::after(1);
        let early = rig.fuse.admit(rig.now);
        rig.deliver(Judgement::Failed);
        assert_eq!(
            early.map(|it| rig.judge(it, Judgement::Well)),
            Ok(Change::None)
        );
        assert_eq!(rig.fuse.state(rig.now), BreakerState::Open);
        rig.now += SECOND;
        assert_eq!(rig.fuse.admit(rig.now), Ok(Pass::Trial));
        assert_eq!(rig.judge(Pass::Usual, Judgement::Failed), Change::None);
    }

    #[test]
    fn one_that_is_reset_begins_its_count_anew() {
        let rig = Rig::after(2);
        assert!(rig.deliver(Judgement::Failed).is_some() && !rig.fuse.reset());
        assert_eq!(rig.deliver(Judgement::Failed), Some(Change::None));
        assert_eq!(rig.deliver(Judgement::Failed), Rig::opened(2, SECOND));
        assert!(rig.fuse.reset());
        assert_eq!(rig.fuse.state(rig.now), BreakerState::Closed);
        assert_eq!(rig.fuse.openings(), 1);
    }
}
