//! What happens with the commit lock held: commits and listings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::{Batch, Entry, Write, conflict, is_bulk, not_quiet};
use super::engine::{Engine, RawChange};
use super::flush::Ticket;
use super::form::{self, BEGUN_KEY, HEAD_KEY, Head};
use super::health::{Health, repeated, unread};
use super::history::{ChangeKind, History, LoggedChange, LoggedCommit};
use super::load::{self, Loaded};
use super::local::Shared;
use super::sink::{Change, Commit, CommitSink, Trash};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::notices::Notice;
use crate::sync::atomic::Ordering;

/// Everything under the commit lock.
pub(crate) struct State {
    pub(crate) head: Head,
    pub(crate) history: History,
    pub(crate) sinks: Vec<Attached>,
    pub(crate) health: Health,
    /// Nothing was committed since the engine was read.
    fresh: bool,
    /// The greatest revision known to have been given, by whatever the engine has lost.
    given: Revision,
}

pub(crate) struct Attached {
    prefix: Vec<u8>,
    sink: Arc<dyn CommitSink>,
}

/// A batch made ready for the engine and the sinks.
struct Plan<'a> {
    head: Head,
    raw: Vec<RawChange>,
    changes: Vec<Change<'a>>,
    /// Whether it makes a revision: more is changed than bulk keys.
    is_numbered: bool,
}

/// What a commit has made.
pub(crate) struct Committed {
    pub(crate) revision: Revision,
    /// What to wait for until it is durable; none if nothing changed.
    pub(crate) ticket: Option<Ticket>,
    /// Whether the revision is of this commit.
    pub(crate) is_numbered: bool,
}

impl State {
    /// The state over an engine that holds nothing.
    pub(crate) fn empty(history_limit: usize) -> Self {
        Self::new(Loaded {
            head: Head::EMPTY,
            history: History::new(history_limit),
            begun: Revision::ZERO,
        })
    }

    pub(crate) fn new(loaded: Loaded) -> Self {
        Self {
            head: loaded.head,
            history: loaded.history,
            sinks: Vec::new(),
            health: Health::Sound,
            fresh: true,
            given: loaded.begun,
        }
    }

    /// Takes what the engine was found to hold when it was opened again.
    pub(crate) fn reload(&mut self, loaded: Loaded) {
        let batches = self.head.batches;
        self.head = loaded.head;
        self.counted(batches);
        self.history = loaded.history;
        self.given(loaded.begun);
        self.fresh = true;
    }

    /// Says that a revision was given once, though the engine may not know of it.
    pub(crate) fn given(&mut self, revision: Revision) {
        self.given = self.given.max(revision);
    }

    /// Says that so many batches were written once, though the engine may not know of it.
    pub(crate) fn counted(&mut self, batches: u64) {
        self.head.batches = self.head.batches.max(batches);
    }

    /// Returns the revision after which this opening's numbers begin.
    fn base(&self) -> Revision {
        let last = self.head.revision.max(self.given);
        if self.head.clean && last == self.head.revision {
            return last;
        }
        // Commits that a crash took away may have been seen: their numbers stay theirs.
        Revision::from(last.get().saturating_add(REVISION_GAP))
    }

    fn next_revision(&self) -> Revision {
        let last = self.head.revision.max(self.given);
        Revision::from(last.get().saturating_add(1))
    }
}

impl Attached {
    pub(crate) fn new(prefix: &[u8], sink: &Arc<dyn CommitSink>) -> Self {
        Self {
            prefix: prefix.to_vec(),
            sink: Arc::clone(sink),
        }
    }

    pub(crate) fn is(&self, sink: &Arc<dyn CommitSink>) -> bool {
        Arc::ptr_eq(&self.sink, sink)
    }
}

impl<E: Engine> Shared<E> {
    /// Commits a batch.
    pub(crate) fn commit(
        &self,
        state: &mut State,
        batch: &Batch,
        trash: &mut Trash,
    ) -> Result<Committed> {
        self.ready(state, trash)?;
        batch.check_latest(state.head.revision)?;
        for (prefix, since) in batch.quiet() {
            let now = state.head.revision;
            if !state.history.is_quiet(prefix, *since, now) {
                return Err(not_quiet(prefix, *since));
            }
        }
        self.check(batch).map_err(unread)?;
        if !batch.is_empty() {
            self.begin(state)?;
        }
        let mut plan = self.plan(state, batch).map_err(unread)?;
        let is_numbered = plan.is_numbered;
        if plan.changes.is_empty() {
            return Ok(Committed {
                revision: state.head.revision,
                ticket: None,
                is_numbered,
            });
        }
        let ticket = self.write(state, &mut plan)?;
        let revision = plan.head.revision;
        if is_numbered {
            self.each_sink(state, trash, |attached, trash| {
                let commit = Commit::new(revision, &plan.changes, &attached.prefix);
                attached.sink.committed(&commit, trash);
            });
        }
        Ok(Committed {
            revision,
            ticket: Some(ticket),
            is_numbered,
        })
    }

    /// Attaches a sink after listing everything to it.
    pub(crate) fn attach(
        &self,
        state: &mut State,
        prefix: &[u8],
        sink: Arc<dyn CommitSink>,
        trash: &mut Trash,
    ) -> Result<Revision> {
        self.ready(state, trash)?;
        let attached = Attached::new(prefix, &sink);
        let revision = state.head.revision;
        self.list(&attached, revision, trash)?;
        state.sinks.push(attached);
        Ok(revision)
    }

    /// Makes it durable, before the first commit, from where on numbers are given.
    ///
    /// Without that, a crash that takes the first commits away would leave nothing that tells.
    fn begin(&self, state: &mut State) -> Result<()> {
        if !state.fresh {
            return Ok(());
        }
        let base = state.base();
        let head = Head {
            clean: false,
            ..state.head
        };
        let raw = [
            (BEGUN_KEY.to_vec(), Some(form::seal(BEGUN_KEY, base, b""))),
            (HEAD_KEY.to_vec(), Some(head.seal())),
        ];
        self.apply(state, &raw)?;
        let ticket = self.flush.applied();
        if let Err(error) = self.flush.wait(ticket, || self.sync_engine()) {
            self.break_down(state, false, &error);
            return Err(unread(error));
        }
        state.head = head;
        state.given(base);
        state.fresh = false;
        Ok(())
    }

    fn check(&self, batch: &Batch) -> Result<()> {
        for (key, expected) in batch.expectations() {
            let raw = self.engine.get(key)?;
            let entry = raw.and_then(|raw| self.quarantine.read(key, raw));
            if !expected.holds(entry.as_ref()) {
                return Err(conflict(key, expected, entry.as_ref()));
            }
        }
        Ok(())
    }

    fn plan<'a>(&self, state: &State, batch: &'a Batch) -> Result<Plan<'a>> {
        // A store's first commit has a number in any case: zero is that of an empty one.
        let is_numbered =
            !batch.writes().keys().all(|key| is_bulk(key)) || state.head.revision == Revision::ZERO;
        let revision = match is_numbered {
            true => state.next_revision(),
            false => state.head.revision,
        };
        let mut plan = Plan {
            head: Head {
                revision,
                clean: false,
                batches: state.head.batches.saturating_add(1),
                ..state.head
            },
            raw: Vec::with_capacity(batch.len() + 3),
            changes: Vec::with_capacity(batch.len()),
            is_numbered,
        };
        for (key, write) in batch.writes() {
            let old = self.engine.get(key)?;
            if let Some(old) = old.as_deref()
                && let Ok(sealed) = form::unseal(key, old)
            {
                plan.head.remove(&sealed);
            }
            match write {
                Write::Put { value, prepared } => {
                    let raw = form::seal(key, revision, value);
                    plan.head.add(&form::unseal(key, &raw)?);
                    plan.raw.push((key.clone(), Some(raw)));
                    let change = Change::new(key, Some(value), prepared.as_ref());
                    plan.changes.push(change);
                }
                Write::Delete if old.is_none() => {}
                Write::Delete => {
                    plan.raw.push((key.clone(), None));
                    plan.changes.push(Change::new(key, None, None));
                }
            }
        }
        Ok(plan)
    }

    /// Writes a plan with head and log in one engine batch, and makes it the state.
    fn write(&self, state: &mut State, plan: &mut Plan<'_>) -> Result<Ticket> {
        let logged = plan.is_numbered.then(|| Self::log(state, plan));
        plan.raw.push((HEAD_KEY.to_vec(), Some(plan.head.seal())));
        self.apply(state, &plan.raw)?;
        if let Some(logged) = logged {
            match logged {
                Some(logged) => state.history.push(logged),
                // Removed from the engine already, as outdated.
                None => state.history.clear(),
            }
            state.history.trimmed();
        }
        state.head = plan.head;
        self.batches.store(plan.head.batches, Ordering::Release);
        self.latest
            .store(plan.head.revision.get(), Ordering::Release);
        Ok(self.flush.applied())
    }

    /// Adds to a plan what becomes of the log, and returns what is logged of it: nothing of one
    /// that is too large.
    fn log(state: &State, plan: &mut Plan<'_>) -> Option<LoggedCommit> {
        let changes = plan.changes.iter().filter(|change| !is_bulk(change.key()));
        let changes: Arc<[LoggedChange]> = changes.map(logged).collect();
        let outdated = state.history.outdated(changes.len());
        plan.raw.extend(outdated.map(|key| (key, None)));
        let logged = state.history.keeps(changes.len()).then_some(LoggedCommit {
            revision: plan.head.revision,
            previous: state.head.revision,
            changes,
        })?;
        let key = form::log_key(logged.revision);
        let raw = form::seal_log(&key, &logged);
        plan.raw.push((key, Some(raw)));
        Some(logged)
    }

    fn apply(&self, state: &mut State, raw: &[RawChange]) -> Result<()> {
        self.engine.apply(raw).map_err(|error| {
            let nothing_written =
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Closed);
            self.break_down(state, !nothing_written, &error);
            let (kind, message) = if nothing_written {
                (ErrorKind::Unavailable, "the store cannot be written to now")
            } else {
                (ErrorKind::Uncertain, "the write failed half-way")
            };
            Error::new(kind, message).because(error)
        })
    }

    /// Lists everything to one sink; its panic is the caller's to catch or to pass on.
    pub(crate) fn list(
        &self,
        attached: &Attached,
        revision: Revision,
        trash: &mut Trash,
    ) -> Result<()> {
        let mut failure = None;
        let pairs = load::pairs(&self.engine, &attached.prefix);
        let mut listing = pairs.filter_map(|pair| match pair {
            Ok((key, raw)) => {
                let entry: Entry = self.quarantine.read(&key, raw)?;
                Some(Ok((key, entry)))
            }
            Err(error) => Some(Err(repeated(failure.insert(error)))),
        });
        attached.sink.listed(&mut listing, revision, trash);
        drop(listing);
        failure.map_or(Ok(()), Err)
    }

    /// Calls every sink, and detaches one that panics: what it feeds cannot be trusted any more.
    pub(crate) fn each_sink(
        &self,
        state: &mut State,
        trash: &mut Trash,
        mut call: impl FnMut(&Attached, &mut Trash),
    ) {
        let revision = state.head.revision;
        state.sinks.retain_mut(|attached| {
            let called = catch_unwind(AssertUnwindSafe(|| call(attached, trash)));
            let Err(payload) = called else {
                return true;
            };
            trash.add(payload);
            trash.add(Arc::clone(&attached.sink));
            let notices = &self.options.notices;
            notices.push(Notice::SinkDetached { revision });
            false
        });
    }
}

fn logged(change: &Change<'_>) -> LoggedChange {
    LoggedChange {
        key: change.key().to_vec(),
        kind: match change.value() {
            Some(_) => ChangeKind::Put,
            None => ChangeKind::Delete,
        },
    }
}

/// More commits than anybody makes between a crash and the flush before it.
const REVISION_GAP: u64 = 1 << 20;
