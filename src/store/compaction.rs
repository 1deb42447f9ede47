//! Giving back the space that a store takes and does not need.

use std::fmt;

/// When the database of a store is written anew by itself, so that it does not grow without bound.
///
/// A database keeps the space that it once took: a queue that was long and is empty again leaves a
/// file of its greatest length. Where such a file is longer than [`above`](Self::above) and so many
/// [`times`](Self::times) what is live in it, what is live is written to a new database beside it,
/// synced, compared, and put in its place by a rename; a crash leaves the one or the other, whole.
///
/// It is looked at when a store is opened and closed, and after every so many changes. Readers and
/// writers wait meanwhile, so what has more than 16 MiB live is written anew only when it is
/// opened, or [asked for](crate::Broker::compact). A store that is idle does nothing. Where the
/// disk has no room for both, the old one stays, and a
/// [notice](crate::Notice::NotCompacted) says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    above_bytes: u64,
    /// None for never.
    times: Option<u32>,
}

impl Compaction {
    /// Returns the usual terms: files above 32 MiB that are longer than 4 times what is live.
    pub fn new() -> Self {
        Self {
            above_bytes: ABOVE_BYTES,
            times: Some(TIMES),
        }
    }

    /// Returns terms by which it is done only when it is asked for.
    pub fn never() -> Self {
        Self {
            times: None,
            ..Self::new()
        }
    }

    /// Leaves files alone that have no more bytes than this.
    #[must_use]
    pub fn above(mut self, bytes: u64) -> Self {
        self.above_bytes = bytes;
        self
    }

    /// Leaves files alone that have no more than so many times the bytes of the live keys and
    /// values, at least twice; a file just written has up to three times as many.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times.max(2));
        self
    }

    /// Returns the most bytes that may be live in a file of so many for it to be written anew; none
    /// if it is left alone in any case.
    #[cfg(feature = "sled")]
    pub(crate) fn most_live_in(&self, file_bytes: u64) -> Option<u64> {
        let times = self.times?;
        (file_bytes > self.above_bytes).then_some(file_bytes / u64::from(times))
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Self::new()
    }
}

/// What a compaction came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    before_bytes: u64,
    after_bytes: u64,
}

impl Compacted {
    /// Returns what a store or engine of one's own reports.
    pub fn new(before_bytes: u64, after_bytes: u64) -> Self {
        Self {
            before_bytes,
            after_bytes,
        }
    }

    /// Returns the bytes that the database took before; 0 where it is not on a disk.
    pub fn before_bytes(&self) -> u64 {
        self.before_bytes
    }

    /// Returns the bytes that it takes now.
    pub fn after_bytes(&self) -> u64 {
        self.after_bytes
    }
}

impl fmt::Display for Compacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (self.before_bytes, self.after_bytes);
        write!(f, "{before} bytes before, {after} after")
    }
}

/// A database below this is not worth the pause, and is what many programs never reach.
const ABOVE_BYTES: u64 = 32 << 20;

/// A file just written has up to three times what is live: less than four would not pay.
const TIMES: u32 = 4;

#[cfg(all(test, feature = "sled"))]
mod tests {
    use super::*;

    #[test]
    fn file_is_left_alone_that_is_small_or_mostly_live_or_not_to_be_touched() {
        let terms = Compaction::new().above(1_000).times(4);
        assert_eq!(terms.most_live_in(1_000), None);
        assert_eq!(terms.most_live_in(4_000), Some(1_000));
        assert_eq!(terms.times(0).most_live_in(4_000), Some(2_000));
        assert_eq!(Compaction::never().above(0).most_live_in(u64::MAX), None);
    }

    #[test]
    fn report_says_both_sizes() {
        let report = Compacted::new(42_000_000, 524_288);
        assert_eq!(report.to_string(), "42000000 bytes before, 524288 after");
    }
}
