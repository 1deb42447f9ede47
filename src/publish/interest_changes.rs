//! When to ask again what is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::interest::Interest;
use crate::clock::{Alarm, Rings};

/// Tells when the answers of an [`Interest`] may have become others.
#[derive(Clone)]
pub struct InterestChanges {
    interest: Interest,
    alarm: Arc<Alarm>,
    seen: Rings,
}

impl InterestChanges {
    pub(super) fn new(interest: &Interest) -> Self {
        let alarm = Arc::clone(interest.channel().pulse());
        Self {
            interest: interest.clone(),
            seen: alarm.rings(),
            alarm,
        }
    }

    /// Returns whether answers may have become others since the last time that this said so, or
    /// since it was made. Takes some tens of nanoseconds.
    ///
    /// # Consistency
    ///
    /// Questions that are asked after it said so are answered from the changed wiring.
    pub fn changed(&mut self) -> bool {
        let channel = self.interest.channel();
        let (alarm, seen) = (channel.pulse(), channel.pulse().rings());
        let changed = !Arc::ptr_eq(alarm, &self.alarm) || seen != self.seen;
        if changed {
            (self.alarm, self.seen) = (Arc::clone(alarm), seen);
        }
        changed
    }

    /// Waits until [`changed`](Self::changed) would say so, at most this long; returns whether it
    /// does.
    ///
    /// Whoever waits inside a delivery keeps the fire around it waiting.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let clock = Arc::clone(&self.interest.channel().around().clock);
        // A time that no clock will ever show is none.
        let until = clock.instant().checked_add(timeout);
        loop {
            if self.changed() {
                return true;
            }
            if until.is_some_and(|until| clock.instant() >= until) {
                return false;
            }
            clock.wait(&self.alarm, self.seen, until);
        }
    }
}

impl fmt::Debug for InterestChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterestChanges")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
