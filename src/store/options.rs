//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::notices::Notices;
use crate::store::{Compaction, Profile};

/// When an acknowledged commit survives a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Before the commit returns. Commits made at the same time share one flush.
    #[default]
    Immediate,
    /// After the stated time at the latest; a crash loses up to that much.
    Interval(Duration),
}

/// How a store is opened; the defaults suit a broker.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub(crate) durability: Durability,
    pub(crate) history_limit: usize,
    pub(crate) copy_every: Option<Duration>,
    pub(crate) copy_path: Option<PathBuf>,
    pub(crate) witness_path: Option<PathBuf>,
    pub(crate) back_off: (Duration, Duration),
    pub(crate) compaction: Compaction,
    pub(crate) cache_bytes: u64,
    pub(crate) notices: Notices,
    pub(crate) clock: Arc<dyn Clock>,
}

impl StoreOptions {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self {
            durability: Durability::Immediate,
            history_limit: Profile::Standard.history_limit(),
            copy_every: Some(COPY_EVERY),
            copy_path: None,
            witness_path: None,
            back_off: (BACK_OFF_FIRST, BACK_OFF_LAST),
            compaction: Profile::Standard.compaction(),
            cache_bytes: Profile::Standard.cache_bytes(),
            notices: Notices::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Says when commits become durable; by default before they return.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bounds the change log to so many changed keys, over all commits in it.
    ///
    /// A single commit that changes more empties the log.
    #[must_use]
    pub fn history_limit(mut self, changes: usize) -> Self {
        self.history_limit = changes;
        self
    }

    /// Writes the copy beside the database at most this often, and when the store is closed.
    #[must_use]
    pub fn copy_every(mut self, interval: Duration) -> Self {
        self.copy_every = Some(interval);
        self
    }

    /// Writes no copy: a damaged database is then lost.
    #[must_use]
    pub fn without_copy(mut self) -> Self {
        self.copy_every = None;
        self
    }

    /// Bounds the wait before a failed store is opened again: `first` after the first failure,
    /// twice as long after each further one, never more than `last`.
    #[must_use]
    pub fn back_off(mut self, first: Duration, last: Duration) -> Self {
        self.back_off = (first, last.max(first));
        self
    }

    /// Chooses cache, change log and compaction for so much memory; what is chosen by itself
    /// afterwards goes before.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.cache_bytes = profile.cache_bytes();
        self.history_limit = profile.history_limit();
        self.compaction = profile.compaction();
        self
    }

    /// Says when the database is written anew, to give back space; by default as
    /// [`Compaction::new`] does.
    #[must_use]
    pub fn compaction(mut self, compaction: Compaction) -> Self {
        self.compaction = compaction;
        self
    }

    /// Lets the database keep so many bytes of itself in memory, at least 64 KiB; 128 MiB unless
    /// told otherwise.
    ///
    /// Publishers and queues read little of it; it matters for whoever scans many records.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes.max(64 << 10);
        self
    }

    /// Sends what the store has to report to this collection.
    #[must_use]
    pub fn notices(mut self, notices: Notices) -> Self {
        self.notices = notices;
        self
    }

    /// Goes by this clock in place of the system's.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn clock(self, clock: &crate::clock::VirtualClock) -> Self {
        self.by_clock(clock.as_clock())
    }

    pub(crate) fn by_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Writes the copy to this file, whatever the engine; by default a store in a directory writes
    /// it there and others write none. A store in a directory is restored from its own only.
    #[must_use]
    pub fn copy_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.copy_path = Some(path.into());
        self
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What a restored store may lack, against rewriting all the wiring over and over.
const COPY_EVERY: Duration = Duration::from_secs(180);

/// Long enough that a passing fault has passed, short enough for a person who retries.
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_LAST: Duration = Duration::from_secs(30);
