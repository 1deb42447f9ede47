//! What a commit tells those who watch a tree.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::watch::{TreeEvent, TreeWatch};
use crate::model::Revision;
use crate::store::{Change, Commit, CommitSink, Listing, Store, Trash};
use crate::sync::{Condvar, Mutex};

/// Between the commits of a store and one who watches: changes that wait to be taken. Bounded, and
/// a commit never waits for it.
#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    changes: VecDeque<TreeEvent>,
    /// Of their keys and values.
    bytes: usize,
    /// The newest commit that it was told of.
    revision: Revision,
    /// Some changes are missing: all has to be listed anew.
    is_broken: bool,
    is_listed: bool,
    has_ended: bool,
}

/// What is taken out of a pipe.
pub(super) enum Taken {
    Change(TreeEvent),
    /// Changes are missing; from this revision on they are told again.
    Broken(Revision),
    Nothing,
    Ended,
}

/// The end that the store holds: when it lets go, nothing more comes.
struct Inlet {
    pipe: Arc<Pipe>,
    /// How many bytes of a key of the store are not the user's.
    own: usize,
}

/// The pipes of a broker, which end when it is closed.
#[derive(Default)]
pub(in crate::broker) struct Pipes(Mutex<Open>);

#[derive(Default)]
struct Open {
    inlets: Vec<Weak<dyn CommitSink>>,
    has_ended: bool,
}

impl Pipe {
    /// Returns the sink that fills the pipe.
    pub(super) fn inlet(self: &Arc<Self>, own: usize) -> Arc<dyn CommitSink> {
        let pipe = Arc::clone(self);
        Arc::new(Inlet { pipe, own })
    }

    /// Returns the newest commit that it was told of.
    pub(super) fn revision(&self) -> Revision {
        self.state.lock().revision
    }

    /// Returns whether changes are missing, and nothing of what waits is worth being taken.
    pub(super) fn is_broken(&self) -> bool {
        self.state.lock().is_broken
    }

    /// Takes the oldest change out, or mends the pipe.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_broken) {
            return Taken::Broken(state.revision);
        }
        match state.changes.pop_front() {
            Some(change) => {
                state.bytes -= change.bytes();
                Taken::Change(change)
            }
            None if state.has_ended => Taken::Ended,
            None => Taken::Nothing,
        }
    }

    /// Waits until there is something to take, and returns whether there is by `until`.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.changes.is_empty() && !state.is_broken && !state.has_ended {
            match until {
                Some(until) => {
                    if self.came.wait_until(&mut state, until).timed_out() {
                        return false;
                    }
                }
                None => self.came.wait(&mut state),
            }
        }
        true
    }

    pub(super) fn has_ended(&self) -> bool {
        let state = self.state.lock();
        state.has_ended && state.changes.is_empty()
    }
}

impl State {
    /// Gives up what waits.
    fn break_off(&mut self, trash: &mut Trash) {
        self.is_broken = true;
        self.bytes = 0;
        trash.add(std::mem::take(&mut self.changes));
    }

    fn push(&mut self, change: TreeEvent, trash: &mut Trash) {
        self.bytes += change.bytes();
        self.changes.push_back(change);
        if self.changes.len() > TreeWatch::CHANGES || self.bytes > TreeWatch::BYTES {
            self.break_off(trash);
        }
    }
}

impl CommitSink for Inlet {
    /// Reads nothing of the listing: whoever watches does that, with no lock held.
    fn listed(&self, _: &mut Listing<'_>, revision: Revision, trash: &mut Trash) {
        let mut state = self.pipe.state.lock();
        state.revision = revision;
        if std::mem::replace(&mut state.is_listed, true) {
            state.break_off(trash);
            self.pipe.came.notify_all();
        }
    }

    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash) {
        let mut state = self.pipe.state.lock();
        state.revision = commit.revision();
        for change in commit.changes() {
            if state.is_broken {
                break;
            }
            let event = self.event(change, commit.revision());
            state.push(event, trash);
        }
        if !commit.changes().is_empty() {
            self.pipe.came.notify_all();
        }
    }
}

impl Inlet {
    fn event(&self, change: &Change<'_>, revision: Revision) -> TreeEvent {
        let key = change.key().get(self.own..).unwrap_or_default().to_vec();
        match change.value() {
            Some(value) => TreeEvent::Put {
                key,
                value: value.to_vec(),
                revision,
            },
            None => TreeEvent::Removed { key, revision },
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.pipe.state.lock().has_ended = true;
        self.pipe.came.notify_all();
    }
}

impl Pipes {
    /// Takes an inlet that is attached, or says that it is too late for that.
    pub(super) fn add(&self, inlet: &Arc<dyn CommitSink>) -> bool {
        let mut open = self.0.lock();
        let inlets = &mut open.inlets;
        if inlets.len() == inlets.capacity() {
            inlets.retain(|inlet| inlet.strong_count() > 0);
            // Looked through again only when it has doubled.
            inlets.reserve(inlets.len() + 1);
        }
        inlets.push(Arc::downgrade(inlet));
        !open.has_ended
    }

    /// Has nothing come any more out of any of them but what waits.
    pub(in crate::broker) fn shut(&self, store: &dyn Store) {
        let mut open = self.0.lock();
        open.has_ended = true;
        let inlets = std::mem::take(&mut open.inlets);
        drop(open);
        for inlet in inlets.iter().filter_map(Weak::upgrade) {
            store.detach(&inlet);
        }
    }
}
