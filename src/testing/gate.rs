//! Where calls stand still until a test lets them go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// A gate at which calls stand still while it is closed, as it is at first: see
/// [`Fault::block`](super::Fault::block).
///
/// Dropping it opens it for good, so that a test that ends early leaves no thread behind.
#[derive(Debug, Default)]
pub struct Gate {
    passage: Arc<Passage>,
}

/// What the gate and those who stand at it share.
#[derive(Debug, Default)]
pub(super) struct Passage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    /// How often it was opened: whoever stands at it goes on at the next time, though it be closed
    /// again at once.
    opened: u64,
    waiting: usize,
}

impl Gate {
    /// Returns a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone go on who stands at it, and those who come later.
    pub fn open(&self) {
        self.passage.set_open(true);
    }

    /// Has those who come from now on stand still.
    pub fn close(&self) {
        self.passage.set_open(false);
    }

    /// Returns how many stand at it.
    pub fn waiting(&self) -> usize {
        self.passage.state.lock().waiting
    }

    /// Waits until this many stand at it.
    ///
    /// # Panics
    ///
    /// If there are fewer when `timeout` is over, which is real time.
    #[track_caller]
    pub fn wait_for(&self, count: usize, timeout: Duration) {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.passage.state.lock();
        while state.waiting < count {
            let late = match until {
                Some(until) => self
                    .passage
                    .changed
                    .wait_until(&mut state, until)
                    .timed_out(),
                None => {
                    self.passage.changed.wait(&mut state);
                    false
                }
            };
            let waiting = state.waiting;
            assert!(
                !late || waiting >= count,
                "after {timeout:?}, {waiting} of {count} stand at the gate"
            );
        }
    }

    pub(super) fn passage(&self) -> Arc<Passage> {
        Arc::clone(&self.passage)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Passage {
    /// Stands still while the gate is closed.
    pub(super) fn pass(&self) {
        let mut state = self.state.lock();
        state.waiting += 1;
        self.changed.notify_all();
        let opened = state.opened;
        while !state.is_open && state.opened == opened {
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
    }

    fn set_open(&self, is_open: bool) {
        let mut state = self.state.lock();
        state.is_open = is_open;
        state.opened += u64::from(is_open);
        drop(state);
        self.changed.notify_all();
    }
}
