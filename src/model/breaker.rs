//! When a subscriber that fails is left alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Problems, span};

/// How many failures in a row open the breaker of a subscription, and for how long.
///
/// Each subscription has a breaker of its own, and none unless it or its class asks for one. While
/// it is closed, every event is delivered. A subscriber that errs, panics, cannot be made or misses
/// its deadline has failed; one delivery that goes well begins the count anew. When as many as
/// stated failed in a row, the breaker opens: events are
/// [skipped](crate::SkipReason::BreakerOpen) and lost to the subscription; those of a
/// [detached](crate::Detached) one wait in its lane, as many as may. After the back-off one
/// event is delivered as a trial. If it goes well, the breaker closes; if it fails, the breaker
/// stays open for twice as long as before, up to the longest back-off. Health events tell of both.
///
/// Back-offs go by the broker's clock. A breaker is not kept: it is closed when the broker is
/// opened, and when the subscription is given another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    failures: u32,
    #[serde(default = "default_back_off", with = "span")]
    back_off: Duration,
    #[serde(
        default,
        with = "span::option",
        skip_serializing_if = "Option::is_none"
    )]
    max_back_off: Option<Duration>,
}

impl Breaker {
    /// Returns a breaker that opens after so many failures in a row, 1 or more: for one second at
    /// first, and for five minutes at most.
    pub fn after(failures: u32) -> Self {
        Self {
            failures,
            back_off: default_back_off(),
            max_back_off: None,
        }
    }

    /// Sets how long it stays open at first, which cannot be zero.
    #[must_use]
    pub fn with_back_off(mut self, back_off: Duration) -> Self {
        self.back_off = back_off;
        self
    }

    /// Sets how long it stays open at most between two trials, not less than at first.
    #[must_use]
    pub fn with_max_back_off(mut self, longest: Duration) -> Self {
        self.max_back_off = Some(longest);
        self
    }

    /// Returns how many failures in a row open it.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns how long it stays open at first.
    pub fn back_off(&self) -> Duration {
        self.back_off
    }

    /// Returns how long it stays open at most between two trials: five minutes unless set, or the
    /// first back-off where that is longer.
    pub fn max_back_off(&self) -> Duration {
        let unset = LONGEST.max(self.back_off);
        self.max_back_off.unwrap_or(unset)
    }

    /// Returns the longest back-off, if it was set.
    pub(crate) fn set_max_back_off(&self) -> Option<Duration> {
        self.max_back_off
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.failures == 0 {
            problems.add("breaker", "it would be open before anything failed");
        }
        span::check("breaker", "the back-off", self.back_off, problems);
        if let Some(longest) = self.max_back_off {
            span::check("breaker", "the longest back-off", longest, problems);
            if longest < self.back_off {
                let rule = format!("the longest back-off, {longest:?}, is less than the first");
                problems.add("breaker", rule);
            }
        }
    }
}

fn default_back_off() -> Duration {
    // Past a hiccup, and soon enough that few events are lost to it.
    Duration::from_secs(1)
}

/// A subscriber that was down for hours is back after minutes.
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(breaker: &Breaker) -> String {
        let mut problems = Problems::default();
        breaker.check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn long_back_off_is_its_own_limit_unless_one_is_set() {
        let hour = Duration::from_secs(3_600);
        let breaker = Breaker::after(3);
        assert_eq!(breaker.max_back_off(), LONGEST);
        let breaker = breaker.with_back_off(hour);
        assert_eq!(
            (breaker.max_back_off(), problems(&breaker)),
            (hour, String::new())
        );
        let found = problems(&breaker.with_max_back_off(LONGEST));
        assert_eq!(
            found,
            "breaker: the longest back-off, 300s, is less than the first"
        );
    }

    #[test]
    fn numbers_that_cannot_be_are_problems() {
        let open = "breaker: it would be open before anything failed";
        assert_eq!(problems(&Breaker::after(0)), open);
        let at_once = Breaker::after(1).with_back_off(Duration::ZERO);
        assert_eq!(problems(&at_once), "breaker: the back-off is zero");
        let never = Breaker::after(1).with_back_off(Duration::MAX);
        assert!(problems(&never).starts_with("breaker: the back-off: "));
    }
}
