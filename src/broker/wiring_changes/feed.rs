//! Following changes from a revision on.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::vec;

use crate::broker::wiring::Wiring;
use crate::broker::{Broker, Core, WiringChange};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::store::LoggedCommit;

/// The changes of the stored wiring after a revision: first those of the store's log, then each as
/// it is committed, all of them once and in the order of revisions.
///
/// The iterator waits for the next change, and ends when the broker is closed or gone, which it
/// does not keep open. It reads the log when it is asked and holds nothing of what comes meanwhile.
/// So it can fall behind the bounded log: then it returns one error of kind
/// [`Compacted`](ErrorKind::Compacted) and ends. A change may be returned shortly before it has
/// reached the device.
pub struct WiringFeed {
    core: Weak<Core>,
    wiring: Arc<Wiring>,
    /// All up to this revision was returned.
    after: Revision,
    commits: vec::IntoIter<LoggedCommit>,
    /// What is left of the commit after that revision, if some of it was returned.
    current: vec::IntoIter<WiringChange>,
    current_revision: Revision,
    has_ended: bool,
}

impl Broker {
    /// Returns the changes of the stored wiring after `revision`, past and to come, without a gap
    /// or a repetition: ids and kinds of change.
    ///
    /// Whoever was told of a revision, by [`WiringChanges`](crate::WiringChanges) or by a record
    /// that was read, goes on from there.
    ///
    /// # Errors
    ///
    /// [`Compacted`](ErrorKind::Compacted) if the bounded log does not reach back that far: query,
    /// and follow from the [`revision`](Self::revision) that was taken before the query;
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use loosely::{Broker, Subscription};
    ///
    /// let broker = Broker::in_memory()?;
    /// let mut feed = broker.follow_changes(broker.revision())?;
    /// let audit = Subscription::builder("audit").class("Orders").component("auditor").build()?;
    /// broker.ensure(&audit)?;
    ///
    /// let change = feed.next().transpose()?.map(|change| change.object().uuid());
    /// assert_eq!(change, Some(audit.id().uuid()));
    /// assert!(feed.next_within(Duration::ZERO).is_none());
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn follow_changes(&self, revision: Revision) -> Result<WiringFeed> {
        self.core.check_open()?;
        let commits = self.core.store.changes_since(revision)?;
        Ok(WiringFeed {
            core: Arc::downgrade(&self.core),
            wiring: Arc::clone(&self.core.wiring),
            after: revision,
            commits: commits.into_iter(),
            current: Vec::new().into_iter(),
            current_revision: revision,
            has_ended: false,
        })
    }
}

impl WiringFeed {
    /// Returns the revision up to which everything was returned: what to go on from later.
    pub fn revision(&self) -> Revision {
        if self.current.len() == 0 {
            self.current_revision
        } else {
            self.after
        }
    }

    /// Returns the next change, or `None` if there is none within `timeout` or the feed has ended.
    ///
    /// # Errors
    ///
    /// [`Compacted`](ErrorKind::Compacted) if the feed fell behind the log; it ends with that.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Result<WiringChange>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, until: Option<Instant>) -> Option<Result<WiringChange>> {
        while !self.has_ended {
            if let Some(change) = self.current.next() {
                return Some(Ok(change));
            }
            self.after = self.current_revision;
            if let Some(commit) = self.commits.next() {
                self.current_revision = commit.revision;
                let changes: Vec<_> = WiringChange::of(&commit).collect();
                self.current = changes.into_iter();
                continue;
            }
            let seen = self.wiring.teller.alarm.rings();
            match self.fetch() {
                Err(error) => {
                    self.has_ended = true;
                    return (error.kind() != ErrorKind::Closed).then_some(Err(error));
                }
                Ok(true) => {}
                Ok(false) if until.is_some_and(|until| until <= Instant::now()) => return None,
                Ok(false) => self.wiring.wait(seen, until),
            }
        }
        None
    }

    /// Reads the log, and returns whether there is something new in it.
    fn fetch(&mut self) -> Result<bool> {
        let Some(core) = self.core.upgrade() else {
            return Err(Error::new(ErrorKind::Closed, "the broker is gone"));
        };
        core.check_open()?;
        let commits = core.store.changes_since(self.after)?;
        self.commits = commits.into_iter();
        Ok(self.commits.len() > 0)
    }
}

impl Iterator for WiringFeed {
    type Item = Result<WiringChange>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

impl fmt::Debug for WiringFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WiringFeed")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
