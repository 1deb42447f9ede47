//! Watching a tree.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::pages::Pages;
use super::pipe::{Pipe, Taken};
use crate::broker::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::store::{CommitSink, tree_key};

/// The keys of a [`Tree`](crate::Tree) that begin with some prefix: first those that are there,
/// then each change as it is committed, without a gap.
///
/// The iterator waits for the next event, and ends when the broker is closed or gone, which it does
/// not keep open, once all that waited was taken. The events of a key come in the order of
/// revisions. While the list is read, a key that was changed meanwhile is not listed, or listed as
/// it was: its change follows. A change may be told shortly before it has reached the device.
///
/// No commit waits for whoever watches. [`CHANGES`](Self::CHANGES) that were not taken, of
/// [`BYTES`](Self::BYTES), are kept; when there are more, the watch says
/// [`TreeEvent::Restarted`] and begins again with the list. It does so too when the store failed
/// and was opened again. An error of the store while the list is read is returned, and the next
/// call tries again.
///
/// # Examples
///
/// ```
/// use loosely::{Broker, TreeEvent};
///
/// let broker = Broker::in_memory()?;
/// let prices = broker.tree("prices")?;
/// prices.insert("MSFT", "185")?;
///
/// let mut watch = prices.watch("")?;
/// prices.insert("MSFT", "186")?;
/// let mut values = Vec::new();
/// while let Some(event) = watch.try_next().transpose()? {
///     if let TreeEvent::Put { value, .. } = event {
///         values.push(value);
///     }
/// }
/// assert_eq!(values, [b"186"]);
/// # Ok::<(), loosely::Error>(())
/// ```
pub struct TreeWatch {
    core: Weak<Core>,
    pipe: Arc<Pipe>,
    inlet: Weak<dyn CommitSink>,
    prefix: Vec<u8>,
    /// How many bytes of a key of the store are not the user's.
    own: usize,
    /// None once all is listed.
    listing: Option<Entries>,
}

/// What is there, as of a revision: what came later is told as a change.
struct Entries {
    pages: Pages,
    revision: Revision,
}

/// What a [`TreeWatch`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeEvent {
    /// The key has this value: since before the watch began, or by a change.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
        /// The commit that put it.
        revision: Revision,
    },
    /// The key is not there any more. It may be one that was not told of: it was there when the
    /// list began and gone before its turn.
    Removed {
        /// The key.
        key: Vec<u8>,
        /// The commit that removed it.
        revision: Revision,
    },
    /// All that was there was told; from here on there are changes, of commits after this one.
    Listed(Revision),
    /// Too many changes were not taken, or the store was opened again after a failure: forget what
    /// was told. All is told anew from here on, and what was removed meanwhile is not in it.
    Restarted,
}

impl TreeWatch {
    /// So many changes may wait to be taken, inclusive: as many as a
    /// [transaction](crate::Transaction::KEYS) may have, so that the greatest one fits.
    pub const CHANGES: usize = 4_096;

    /// So many bytes of keys and values may wait in them, inclusive: as many as a
    /// [transaction](crate::Transaction::BYTES) may have.
    pub const BYTES: usize = 16 * 1_024 * 1_024;

    pub(super) fn begin(core: &Arc<Core>, tree: &str, prefix: &[u8]) -> Result<Self> {
        let own = tree_key::key(tree, b"").len();
        let prefix = tree_key::key(tree, prefix);
        let pipe = Arc::new(Pipe::default());
        let inlet = pipe.inlet(own);
        let revision = core.store.attach(&prefix, Arc::clone(&inlet))?;
        let mut watch = Self {
            core: Arc::downgrade(core),
            inlet: Arc::downgrade(&inlet),
            listing: None,
            pipe,
            prefix,
            own,
        };
        watch.list(revision);
        if !core.pipes.add(&inlet) {
            return Err(Error::new(ErrorKind::Closed, "the broker is closed"));
        }
        Ok(watch)
    }

    /// Returns the next event, for which it waits up to `timeout`: `None` if none came, or the
    /// watch has [ended](Self::is_ended).
    ///
    /// # Errors
    ///
    /// What the store reports while the list is read.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<TreeEvent>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns the next event of those that are there by now, or `None`.
    ///
    /// # Errors
    ///
    /// As [`next_timeout`](Self::next_timeout).
    pub fn try_next(&mut self) -> Option<Result<TreeEvent>> {
        if self.pipe.is_broken() {
            self.listing = None;
        }
        match self.listed() {
            Ok(None) => {}
            // What waits was committed before, and is not lost.
            Err(error) if error.kind() == ErrorKind::Closed => self.listing = None,
            outcome => return outcome.transpose(),
        }
        match self.pipe.take() {
            Taken::Change(change) => Some(Ok(change)),
            Taken::Broken(revision) => {
                self.list(revision);
                Some(Ok(TreeEvent::Restarted))
            }
            Taken::Nothing | Taken::Ended => None,
        }
    }

    /// Returns whether nothing more comes: the broker was closed.
    pub fn is_ended(&self) -> bool {
        self.listing.is_none() && self.pipe.has_ended()
    }

    fn next_until(&mut self, until: Option<Instant>) -> Option<Result<TreeEvent>> {
        loop {
            // Asked first: what came before the end is still to be taken.
            let ended = self.is_ended();
            if let Some(next) = self.try_next() {
                return Some(next);
            }
            if ended || !self.pipe.wait(until) {
                return None;
            }
        }
    }

    fn list(&mut self, revision: Revision) {
        let pages = Pages::new(Weak::clone(&self.core), self.prefix.clone(), None);
        self.listing = Some(Entries { pages, revision });
    }

    /// Returns what is listed next, if anything still is.
    fn listed(&mut self) -> Result<Option<TreeEvent>> {
        let Some(listing) = &mut self.listing else {
            return Ok(None);
        };
        while let Some((mut key, entry)) = listing.pages.next()? {
            // Told as a change, now or soon: listed as well, it could come before an older one.
            if entry.revision > listing.revision {
                continue;
            }
            drop(key.drain(..self.own.min(key.len())));
            return Ok(Some(TreeEvent::Put {
                key,
                value: entry.value,
                revision: entry.revision,
            }));
        }
        let revision = listing.revision;
        self.listing = None;
        Ok(Some(TreeEvent::Listed(revision)))
    }
}

impl TreeEvent {
    /// Returns how many bytes its key and value have.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Removed { key, .. } => key.len(),
            Self::Listed(_) | Self::Restarted => 0,
        }
    }
}

impl Iterator for TreeWatch {
    type Item = Result<TreeEvent>;

    /// Returns the next event, for which it waits until the watch has ended.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

impl Drop for TreeWatch {
    fn drop(&mut self) {
        if let (Some(core), Some(inlet)) = (self.core.upgrade(), self.inlet.upgrade()) {
            core.store.detach(&inlet);
        }
    }
}

impl fmt::Debug for TreeWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeWatch")
            .field("prefix", &self.prefix.escape_ascii().to_string())
            .field("revision", &self.pipe.revision())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;
    use crate::Broker;

    #[test]
    fn store_lets_go_of_a_watch_that_is_dropped_or_came_too_late() {
        let broker = Broker::in_memory().unwrap();
        let watch = broker.tree("t").unwrap().watch("").unwrap();
        let inlet = Weak::clone(&watch.inlet);
        assert_eq!(inlet.strong_count(), 1);
        drop(watch);
        assert_eq!(inlet.strong_count(), 0);
        // Begun before the broker was closed, and attached behind.
        let store = Arc::new(crate::MemoryStore::new());
        let broker = Broker::builder().store(store).open().unwrap();
        broker.core.pipes.shut(&*broker.core.store);
        let late = TreeWatch::begin(&broker.core, "t", b"").map(drop);
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Closed);
    }
}
