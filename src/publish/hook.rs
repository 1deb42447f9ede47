//! Who hears of failures that nobody reads in a report.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::{Delivery, Telling};
use crate::model::EventClassId;
use crate::sync::Mutex;
use crate::value::panic_message;

/// Hears of every delivery that failed, or was skipped although the subscription asked for the
/// event: it is suspended, its breaker is open, or a call that was abandoned holds it up. After the
/// fire in which it happened.
///
/// It is called on the publisher's thread with no lock held; what it does adds to the fire's time.
/// Of failures in fires that it makes itself it does not hear, since that need not end: their
/// reports tell it.
pub(crate) type FailureHook = Arc<dyn Fn(EventClassId, &Delivery) + Send + Sync>;

/// The failure hook of a broker.
#[derive(Clone)]
pub(crate) struct Hook {
    call: FailureHook,
}

impl Hook {
    pub(crate) fn new(call: FailureHook) -> Self {
        Self { call }
    }

    /// Tells the hook; a hook that panics is no reason to lose the report.
    pub(crate) fn tell(&self, class: EventClassId, delivery: &Delivery) {
        let hook = Arc::as_ptr(&self.call).cast::<()>().addr();
        let Some(_telling) = Telling::begin(hook) else {
            return;
        };
        let told = catch_unwind(AssertUnwindSafe(|| (self.call)(class, delivery)));
        if let Err(payload) = told {
            drop(panic_message(payload));
        }
    }
}

/// One line on standard error, at most one a second, with the number of those left out.
impl Default for Hook {
    fn default() -> Self {
        let limit = Mutex::new(LogLimit::default());
        Self::new(Arc::new(move |class, delivery| {
            let line = limit.lock().admit(Instant::now());
            if let Some(left_out) = line {
                #[cfg(feature = "tracing")]
                super::spans::tell_of_failure(class, delivery, left_out);
                eprintln!(
                    "loosely: class {class}: subscription {delivery}{}",
                    Note(left_out)
                );
            }
        }))
    }
}

/// The least time between two lines: slow enough that a subscriber failing in a loop does not fill
/// a disk, quick enough that a person who watches sees it.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

#[derive(Default)]
struct LogLimit {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Returns how many lines were left out before this one, or `None` if this one is left out.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < BETWEEN_LINES)
        {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

struct Note(u64);

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} failures before it were not logged)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_line_within_a_second_is_left_out_and_counted() {
        let start = Instant::now();
        let mut limit = LogLimit::default();
        assert_eq!(limit.admit(start), Some(0));
        assert_eq!(limit.admit(start + BETWEEN_LINES / 2), None);
        assert_eq!(limit.admit(start + BETWEEN_LINES), Some(1));
    }
}
