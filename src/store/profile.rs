//! How much memory there is for a broker.

use super::Compaction;

/// For how much memory a broker is set up; each of its settings can still be chosen by itself.
///
/// | | `Standard` | `Small` |
/// | --- | --- | --- |
/// | what the database keeps of itself in memory | 128 MiB | 1 MiB |
/// | files of it that are left alone by [`Compaction`] | up to 32 MiB | up to 4 MiB |
/// | changes of the log for those who were away | 16,384 | 1,024 |
/// | threads that deliver | one for each processor | 1 |
/// | calls with deadlines at a time | 64 | 4 |
/// | retained events of a method | 65,536 | 1,024 |
///
/// What the wiring itself takes comes on top and is the same: some kilobytes for a subscription.
/// Queues keep numbers of 8 bytes in memory of what waits in them, and at most 256 events each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// For a server or a desktop.
    #[default]
    Standard,
    /// For a device: a broker over a directory with some thousand subscriptions, queues among them,
    /// stays below 32 MiB with its program.
    Small,
}

impl Profile {
    /// Returns how much of the database is kept in memory.
    pub(crate) fn cache_bytes(self) -> u64 {
        match self {
            // Wiring of a hundred thousand records stays in memory whole; sled's own default is a
            // gigabyte. What more would bring stands in `docs::internals`.
            Self::Standard => 128 << 20,
            // The least in which sled still finds most of what a queue has just written.
            Self::Small => 1 << 20,
        }
    }

    /// Returns how many changed keys the log has.
    pub(crate) fn history_limit(self) -> usize {
        match self {
            // A watcher that was away for a few thousand changes resumes; one away longer lists
            // again, which by then costs about as much. At 40 bytes a key the log stays below a
            // megabyte.
            Self::Standard => 16_384,
            Self::Small => 1_024,
        }
    }

    /// Returns when the database is written anew.
    pub(crate) fn compaction(self) -> Compaction {
        match self {
            Self::Standard => Compaction::new(),
            Self::Small => Compaction::new().above(4 << 20),
        }
    }

    /// Returns how many threads deliver; none where the machine decides.
    pub(crate) fn threads(self) -> Option<usize> {
        match self {
            Self::Standard => None,
            Self::Small => Some(1),
        }
    }

    /// Returns how many calls with deadlines there may be at a time.
    pub(crate) fn deadline_threads(self) -> usize {
        match self {
            // Their threads do little but wait, and so many that do not return are a sign of
            // something badly wrong.
            Self::Standard => 64,
            Self::Small => 4,
        }
    }

    /// Returns how many events of one method are retained.
    pub(crate) fn retained_keys(self) -> usize {
        match self {
            Self::Standard => 65_536,
            Self::Small => 1_024,
        }
    }
}
