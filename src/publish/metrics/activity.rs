//! What was measured of the deliveries of a subscription.

use std::sync::Arc;
use std::time::SystemTime;

use super::histogram::Latencies;

/// What was measured of one subscription, or of several together.
///
/// Counts are exact. Of a subscription that has nothing but its target (no filter, time, role or
/// predicate, a live object or a singleton that was made), *fires that are plain*, one of 64 fires
/// on each thread is looked at closer: the times of its last match and delivery are then those of
/// such a fire, or, if events came since this was asked last, the time at which it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) accepted: u64,
    pub(super) calls: Latencies,
    pub(super) last_match: Option<SystemTime>,
    pub(super) last_delivery: Option<SystemTime>,
    pub(super) last_error: Option<(SystemTime, Arc<str>)>,
}

impl Activity {
    /// Returns how many calls returned without an error, those of futures that ended so too, and
    /// how many events were taken out of a stream.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Returns how many deliveries failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns how often it was passed over: suspended, without its object, or closed to the
    /// publisher.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns how many events it accepted for later.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns how long calls took that were timed: one of 64 fires on each thread, of a plain fire
    /// with many subscribers four of them, and every call that does not run inside a fire; of a
    /// future from its beginning to its end.
    pub fn calls(&self) -> &Latencies {
        &self.calls
    }

    /// Returns when the fire began whose event passed its filter and whatever else is asked, last.
    pub fn last_match(&self) -> Option<SystemTime> {
        self.last_match
    }

    /// Returns when the fire began whose event was delivered to it last.
    pub fn last_delivery(&self) -> Option<SystemTime> {
        self.last_delivery
    }

    /// Returns when a delivery failed last.
    pub fn last_error_at(&self) -> Option<SystemTime> {
        self.last_error.as_ref().map(|(at, _)| *at)
    }

    /// Returns what the delivery failed with that failed last, its first 1,024 bytes.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_ref().map(|(_, text)| &**text)
    }
}
