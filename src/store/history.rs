//! The bounded log of what commits changed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::form::log_key;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;

/// One commit of the change log: which keys it changed, not to what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedCommit {
    /// The revision that the commit made.
    pub revision: Revision,
    /// The revision before it.
    pub previous: Revision,
    /// The changes in key order.
    pub changes: Arc<[LoggedChange]>,
}

/// One key of a logged commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedChange {
    /// The key.
    pub key: Vec<u8>,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What a commit did to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was inserted or replaced.
    Put,
    /// It was removed.
    Delete,
}

impl LoggedCommit {
    /// Returns the commit that made `revision` of `previous`, for a store of one's own.
    pub fn new(
        revision: Revision,
        previous: Revision,
        changes: impl Into<Arc<[LoggedChange]>>,
    ) -> Self {
        Self {
            revision,
            previous,
            changes: changes.into(),
        }
    }
}

impl LoggedChange {
    /// Returns what happened to a key, for a store of one's own.
    pub fn new(key: impl Into<Vec<u8>>, kind: ChangeKind) -> Self {
        Self {
            key: key.into(),
            kind,
        }
    }
}

/// The latest commits, an unbroken chain that ends at the present revision.
#[derive(Debug)]
pub(crate) struct History {
    commits: VecDeque<LoggedCommit>,
    /// The changes in `commits`, together.
    changes: usize,
    limit: usize,
    /// Stored entries that lead nowhere; the next commit removes them.
    stale: Vec<Vec<u8>>,
}

impl History {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            commits: VecDeque::new(),
            changes: 0,
            limit,
            stale: Vec::new(),
        }
    }

    /// Returns the keys of the stored entries that have to go when `added` more changes come.
    pub(crate) fn outdated(&self, added: usize) -> impl Iterator<Item = Vec<u8>> {
        let outdated = self.commits.range(..self.excess(added));
        let outdated = outdated.map(|commit| log_key(commit.revision));
        self.stale.iter().cloned().chain(outdated)
    }

    /// Returns true if a commit of so many changes is kept at all.
    pub(crate) fn keeps(&self, changes: usize) -> bool {
        changes <= self.limit
    }

    /// Appends a commit; one that does not follow the last begins the log anew.
    pub(crate) fn push(&mut self, commit: LoggedCommit) {
        let follows = |last: &LoggedCommit| last.revision == commit.previous;
        if !self.commits.back().is_some_and(follows) {
            self.clear();
        }
        for gone in self.commits.drain(..self.excess(commit.changes.len())) {
            self.changes -= gone.changes.len();
        }
        if self.keeps(commit.changes.len()) {
            self.changes += commit.changes.len();
            self.commits.push_back(commit);
        }
    }

    /// Empties the log: what it holds does not lead to the present revision.
    pub(crate) fn clear(&mut self) {
        let gone = self.commits.drain(..);
        self.stale
            .extend(gone.map(|commit| log_key(commit.revision)));
        self.changes = 0;
    }

    /// Has the next commit remove a stored entry that cannot be read.
    pub(crate) fn discard(&mut self, key: Vec<u8>) {
        self.stale.push(key);
    }

    /// Says that a commit removed what was [`outdated`](Self::outdated).
    pub(crate) fn trimmed(&mut self) {
        self.stale.clear();
    }

    /// Returns how many of the oldest commits go when `added` more changes come.
    fn excess(&self, added: usize) -> usize {
        let mut excess = (self.changes + added).saturating_sub(self.limit);
        let goes = |commit: &&LoggedCommit| {
            let goes = excess > 0;
            excess = excess.saturating_sub(commit.changes.len());
            goes
        };
        self.commits.iter().take_while(goes).count()
    }

    pub(crate) fn last(&self) -> Option<Revision> {
        self.commits.back().map(|commit| commit.revision)
    }

    /// Returns the commits after `revision`, oldest first.
    ///
    /// A revision that the chain does not contain may be of commits that were lost, so it is
    /// answered like one that is too old.
    pub(crate) fn since(&self, revision: Revision, now: Revision) -> Result<Vec<LoggedCommit>> {
        if revision == now {
            return Ok(Vec::new());
        }
        let commits = self
            .after(revision)
            .ok_or_else(|| compacted(revision, now))?;
        Ok(commits.cloned().collect())
    }

    /// Returns true if it is known that no key under the prefix was changed after `revision`.
    pub(crate) fn is_quiet(&self, prefix: &[u8], revision: Revision, now: Revision) -> bool {
        let mut changes = match self.after(revision) {
            _ if revision == now => return true,
            Some(commits) => commits.flat_map(|commit| commit.changes.iter()),
            None => return false,
        };
        !changes.any(|change| change.key.starts_with(prefix))
    }

    /// Returns the commits after a revision, if the chain leads on from there.
    fn after(&self, revision: Revision) -> Option<impl Iterator<Item = &LoggedCommit>> {
        let start = self
            .commits
            .binary_search_by_key(&revision, |commit| commit.previous);
        Some(self.commits.range(start.ok()?..))
    }
}

fn compacted(revision: Revision, now: Revision) -> Error {
    let message = format!(
        "the changes since revision {revision} are no longer known at revision {now}: list again"
    );
    Error::new(ErrorKind::Compacted, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn commit(previous: u64, revision: u64, changes: usize) -> LoggedCommit {
        let change = LoggedChange {
            key: b"k".to_vec(),
            kind: ChangeKind::Put,
        };
        LoggedCommit {
            revision: revision.into(),
            previous: previous.into(),
            changes: vec![change; changes].into(),
        }
    }

    fn since(history: &History, revision: u64) -> Option<Vec<u64>> {
        let now = history.last().unwrap_or_default();
        let commits = history.since(revision.into(), now).ok()?;
        Some(commits.iter().map(|commit| commit.revision.get()).collect())
    }

    #[test]
    fn oldest_commits_go_once_the_limit_of_changes_is_passed() {
        let mut history = History::new(4);
        history.push(commit(0, 1, 1));
        history.push(commit(1, 2, 2));
        assert_eq!(since(&history, 0), Some(vec![1, 2]));
        history.push(commit(2, 3, 2));
        assert_eq!(since(&history, 0), None);
        assert_eq!(since(&history, 1), Some(vec![2, 3]));
        assert_eq!(since(&history, 3), Some(vec![]));
    }

    #[test]
    fn commit_larger_than_the_limit_leaves_an_empty_log() {
        let mut history = History::new(4);
        history.push(commit(0, 1, 1));
        history.push(commit(1, 2, 5));
        assert_eq!(history.last(), None);
        history.push(commit(2, 3, 1));
        assert_eq!(since(&history, 2), Some(vec![3]));
        assert_eq!(since(&history, 1), None);
    }

    #[test]
    fn revision_inside_a_gap_or_of_the_future_is_compacted() {
        let mut history = History::new(100);
        history.push(commit(0, 1, 1));
        history.push(commit(1, 1000, 1));
        assert_eq!(since(&history, 1), Some(vec![1000]));
        assert_eq!(since(&history, 2), None);
        let error = history.since(2000.into(), 1000.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Compacted);
    }

    #[test]
    fn commit_that_does_not_follow_begins_the_log_anew() {
        let mut history = History::new(100);
        history.push(commit(0, 1, 1));
        history.push(commit(5, 6, 1));
        assert_eq!(since(&history, 0), None);
        assert_eq!(since(&history, 5), Some(vec![6]));
    }
}
