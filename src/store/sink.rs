//! What is told of commits, and what it leaves to be dropped.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::batch::{Entry, Prepared};
use crate::error::Result;
use crate::model::Revision;

/// Everything under a prefix in key order, as [`CommitSink::listed`] gets it.
pub type Listing<'a> = dyn Iterator<Item = Result<(Vec<u8>, Entry)>> + 'a;

/// Is told of every commit, in revision order and before the commit returns: a cache, a watcher.
///
/// Both methods run under the commit lock of the store or, while it is being opened, before anybody
/// else has it. They must not call user code, must not write to the store and do work in proportion
/// to the change; what they replace goes to the [`Trash`]. A sink that panics is detached, and a
/// [`Notice`](crate::Notice) says so.
pub trait CommitSink: Send + Sync {
    /// Takes the whole content at `revision`, when attached and whenever the store was reopened.
    ///
    /// An item that is an error is the last one: the sink then keeps the state that it had, and the
    /// store stays unavailable (or, in an attach, returns the error and does not attach it; or,
    /// while it is being opened, lists what it restored or returns the error).
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, trash: &mut Trash);

    /// Takes one commit; its changes may be none when all of it lies outside the sink's prefix.
    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash);
}

/// One commit, as a sink of some prefix sees it.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    revision: Revision,
    changes: &'a [Change<'a>],
}

/// What a commit did to one key.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    prepared: Option<&'a Prepared>,
}

impl<'a> Commit<'a> {
    /// `changes` are in key order; the commit shows those under `prefix`.
    pub(crate) fn new(revision: Revision, changes: &'a [Change<'a>], prefix: &[u8]) -> Self {
        let start = changes.partition_point(|change| change.key < prefix);
        let rest = changes.get(start..).unwrap_or_default();
        let count = rest.partition_point(|change| change.key.starts_with(prefix));
        Self {
            revision,
            changes: rest.get(..count).unwrap_or_default(),
        }
    }

    /// Returns the revision that the commit made.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the changes in key order.
    pub fn changes(&self) -> &'a [Change<'a>] {
        self.changes
    }
}

impl<'a> Change<'a> {
    pub(crate) fn new(
        key: &'a [u8],
        value: Option<&'a [u8]>,
        prepared: Option<&'a Prepared>,
    ) -> Self {
        Self {
            key,
            value,
            prepared,
        }
    }

    /// Returns the key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Returns the value put, or none for a deletion.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// Returns the decoded form that the batch carried.
    pub fn prepared(&self) -> Option<&'a Prepared> {
        self.prepared
    }
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.value.is_some() {
            "put"
        } else {
            "delete"
        };
        write!(f, "{verb} {}", self.key.escape_ascii())
    }
}

/// Keeps what a sink replaced until the commit lock is released.
///
/// A user's `Drop` may hide in any of it, and may call the store. A sink may leave work here too,
/// which is done when everything is dropped: on the thread that made the change, before its call
/// returns.
#[derive(Default)]
pub struct Trash {
    items: Vec<Box<dyn Any + Send>>,
    afterwards: Vec<Box<dyn FnOnce() + Send>>,
}

impl Trash {
    /// Takes something to be dropped later.
    pub fn add<T: Send + 'static>(&mut self, item: T) {
        self.items.push(Box::new(item));
    }

    /// Takes something to be done when all is dropped.
    pub(crate) fn afterwards(&mut self, work: impl FnOnce() + Send + 'static) {
        self.afterwards.push(Box::new(work));
    }

    /// Drops everything, each by itself: the panic of one `Drop` is nobody else's.
    pub(crate) fn dispose(self) {
        drop(self);
    }
}

/// Here and not where it is disposed of: a store of somebody else's just drops it.
impl Drop for Trash {
    fn drop(&mut self) {
        let items = std::mem::take(&mut self.items);
        items.into_iter().for_each(|item| alone(|| drop(item)));
        let afterwards = std::mem::take(&mut self.afterwards);
        afterwards.into_iter().for_each(alone);
    }
}

fn alone(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        // The payload may panic in its own drop; there is nobody left to tell.
        std::mem::forget(payload);
    }
}

impl fmt::Debug for Trash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trash")
            .field("items", &self.items.len())
            .field("afterwards", &self.afterwards.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("bomb"));
        }
    }

    #[test]
    fn commit_shows_only_changes_under_the_prefix() {
        let changes: Vec<_> = ["a/1", "b/1", "b/2", "c/1"]
            .iter()
            .map(|key| Change::new(key.as_bytes(), None, None))
            .collect();
        let keys = |prefix: &str| -> Vec<&[u8]> {
            let commit = Commit::new(Revision::from(1), &changes, prefix.as_bytes());
            commit.changes().iter().map(Change::key).collect()
        };
        assert_eq!(keys("b/"), [b"b/1", b"b/2"]);
        assert_eq!(keys("").len(), 4);
        assert!(keys("bb").is_empty());
    }

    #[test]
    fn drop_that_panics_stops_no_other() {
        let last = std::sync::Arc::new(());
        let mut trash = Trash::default();
        trash.add(Bomb);
        trash.add(last.clone());
        trash.dispose();
        assert_eq!(std::sync::Arc::strong_count(&last), 1);
    }

    #[test]
    fn work_is_done_when_all_is_dropped_whoever_drops_it() {
        let (item, seen) = (
            std::sync::Arc::new(()),
            std::sync::Arc::new(AtomicUsize::new(0)),
        );
        let (weak, counted) = (std::sync::Arc::downgrade(&item), seen.clone());
        let mut trash = Trash::default();
        trash.afterwards(|| std::panic::resume_unwind(Box::new("work")));
        trash.afterwards(move || {
            counted.fetch_add(1 + weak.strong_count(), Ordering::Relaxed);
        });
        trash.add(item);
        drop(trash);
        assert_eq!(seen.load(Ordering::Relaxed), 1);
    }
}
