//! When an event is tried again that failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Problems, span};

/// When a queued event is tried again that its subscriber failed at, and how often.
///
/// It is tried so many times [in a row](Self::with_attempts_each); then the first wait of the
/// schedule passes, it is tried so many times again, and so on. When the schedule is through, the
/// event is a [dead letter](crate::DeadLetter). Waits go by the broker's clock, and each is made
/// longer or shorter by up to a tenth, so that what failed together is not tried together.
///
/// Of an event that nobody can ever take, the rest of the schedule is not waited for: one whose
/// values do not fit the interface any more is a dead letter at once, and so is one that its
/// subscriber fails at with a [`Hopeless`](crate::Hopeless) error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    #[serde(with = "span::list")]
    schedule: Vec<Duration>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    attempts_each: u32,
}

impl Retry {
    /// Returns one attempt, and one after each of these waits, none of which can be zero.
    pub fn after(waits: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            schedule: waits.into_iter().collect(),
            attempts_each: 1,
        }
    }

    /// Returns one attempt, and no other.
    pub fn never() -> Self {
        Self::after([])
    }

    /// Returns the ladder of COM+ queued components: three attempts, and three more after 1, 2, 4,
    /// 8 and 16 minutes.
    ///
    /// Source: "Queued Components, Errors" in the COM+ documentation of Microsoft.
    #[doc(alias("QC", "FinalServerRetry"))]
    pub fn com_plus() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self::after([1, 2, 4, 8, 16].map(minutes)).with_attempts_each(3)
    }

    /// Sets how many attempts are made in a row, 1 to 100, before the next wait.
    #[must_use]
    pub fn with_attempts_each(mut self, attempts: u32) -> Self {
        self.attempts_each = attempts;
        self
    }

    /// Returns the waits.
    pub fn schedule(&self) -> &[Duration] {
        &self.schedule
    }

    /// Returns how many attempts are made in a row.
    pub fn attempts_each(&self) -> u32 {
        self.attempts_each
    }

    /// Returns how long to wait after so many attempts that failed: `None` if there is no other.
    pub(crate) fn wait_after(&self, attempts: u32) -> Option<Duration> {
        let each = self.attempts_each.max(1);
        if !attempts.is_multiple_of(each) {
            return Some(Duration::ZERO);
        }
        let step = (attempts / each).checked_sub(1)?;
        self.schedule.get(usize::try_from(step).ok()?).copied()
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        for wait in &self.schedule {
            span::check("delivery", "the wait before an attempt", *wait, problems);
        }
        if self.schedule.len() > MOST_WAITS {
            let count = self.schedule.len();
            let rule = format!("a schedule has at most {MOST_WAITS} waits, not {count}");
            problems.add("delivery", rule);
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.attempts_each) {
            let count = self.attempts_each;
            let rule = format!("1 to {MOST_ATTEMPTS} attempts can be made in a row, not {count}");
            problems.add("delivery", rule);
        }
    }
}

/// One attempt, and others after 1 s, 5 s, 30 s, 2 min and 10 min: past a restart of whatever the
/// subscriber needs, and soon enough that somebody still remembers the cause.
impl Default for Retry {
    fn default() -> Self {
        Self::after([1, 5, 30, 120, 600].map(Duration::from_secs))
    }
}

fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// Every attempt is kept with its error.
const MOST_WAITS: usize = 100;

/// In a row, without a pause: more is a loop that somebody forgot.
const MOST_ATTEMPTS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(retry: &Retry) -> Vec<u64> {
        let waits = (1..).map_while(|attempts| retry.wait_after(attempts));
        waits.map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn ladder_of_com_plus_has_eighteen_attempts() {
        let minutes = [0, 0, 60, 0, 0, 120, 0, 0, 240, 0, 0, 480, 0, 0, 960, 0, 0];
        assert_eq!(waits(&Retry::com_plus()), minutes);
        assert_eq!(waits(&Retry::never()), [0; 0]);
        assert_eq!(waits(&Retry::default()), [1, 5, 30, 120, 600]);
    }

    #[test]
    fn numbers_that_cannot_be_are_problems() {
        let problems = |retry: Retry| {
            let mut problems = Problems::default();
            retry.check(&mut problems);
            problems.to_string()
        };
        let found = problems(Retry::after([Duration::ZERO]));
        assert_eq!(found, "delivery: the wait before an attempt is zero");
        let found = problems(Retry::never().with_attempts_each(0));
        assert_eq!(
            found,
            "delivery: 1 to 100 attempts can be made in a row, not 0"
        );
        assert_eq!(problems(Retry::com_plus()), "");
    }
}
