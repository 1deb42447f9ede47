//! Who writes: one at a time.

use std::cell::Cell;
use std::sync::Arc;

use super::Journal;
use super::dead::closed;
use crate::error::{Error, ErrorKind, Result};

/// The journal's turn to write, taken by somebody who writes something else: until this is dropped
/// the journal writes nothing.
pub(crate) struct Turn {
    journal: Arc<Journal>,
    _here: WritingHere,
}

crate::sync::thread_local! {
    /// Whether this thread is in the midst of a write, which it cannot wait for.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread is in the midst of a write.
pub(super) fn is_writing_here() -> bool {
    WRITING.try_with(Cell::get).unwrap_or_default()
}

/// A write of this thread, until it is dropped.
pub(super) struct WritingHere(());

impl WritingHere {
    pub(super) fn begin() -> Self {
        let _ = WRITING.try_with(|writing| writing.set(true));
        Self(())
    }
}

impl Drop for WritingHere {
    fn drop(&mut self) {
        let _ = WRITING.try_with(|writing| writing.set(false));
    }
}

impl Journal {
    /// Waits for the turn, unless this thread has it or is in the midst of a write.
    pub(crate) fn turn(self: &Arc<Self>) -> Option<Turn> {
        if is_writing_here() {
            return None;
        }
        let mut state = self.state.lock();
        while state.pending.is_writing {
            self.changed.wait(&mut state);
        }
        state.pending.is_writing = true;
        Some(Turn::begin(self))
    }

    /// Waits for the turn that comes when every event is written that was accepted before.
    pub(super) fn turn_behind_events(self: &Arc<Self>) -> Result<Turn> {
        if is_writing_here() {
            let message = "another commit of this thread has not ended";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let mut state = self.state.lock();
        loop {
            if state.pending.is_writing {
                self.changed.wait(&mut state);
            } else if state.pending.has_events() {
                // They have lower numbers, and come first.
                let round = state.begin_round();
                drop(state);
                self.write(round)?;
                state = self.state.lock();
            } else {
                break;
            }
        }
        if state.is_stopped {
            return Err(closed());
        }
        state.pending.is_writing = true;
        Ok(Turn::begin(self))
    }
}

impl Turn {
    fn begin(journal: &Arc<Journal>) -> Self {
        Self {
            journal: Arc::clone(journal),
            _here: WritingHere::begin(),
        }
    }

    pub(super) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.journal.state.lock().pending.is_writing = false;
        self.journal.changed.notify_all();
        self.journal.write_soon();
    }
}
