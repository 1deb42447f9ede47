//! A singleton that is dropped when it was idle for too long.

use std::sync::Arc;
use std::time::Instant;

use super::recipe::Instance;
use super::sweeper::{Expiry, Sweep};
use crate::store::Trash;
use crate::sync::Mutex;

/// One instance for all calls, while there are calls.
pub(super) struct Shared {
    expiry: Expiry,
    state: Mutex<State>,
}

struct State {
    instance: Option<Instance>,
    /// How many calls use it now.
    uses: usize,
    /// When the last use ended.
    since: Instant,
    /// Whether the sweeper will come.
    watched: bool,
}

/// One call's use of a shared instance; over when it is dropped.
pub(super) struct Use(Arc<Shared>);

impl Shared {
    pub(super) fn new(expiry: Expiry) -> Arc<Self> {
        let state = State {
            instance: None,
            uses: 0,
            since: expiry.sweeper.clock().instant(),
            watched: false,
        };
        Arc::new(Self {
            expiry,
            state: Mutex::new(state),
        })
    }

    /// Returns the instance for one use, if it exists.
    pub(super) fn begin(self: &Arc<Self>) -> Option<(Instance, Use)> {
        let mut state = self.state.lock();
        let instance = state.instance.clone()?;
        state.uses += 1;
        Some((instance, Use(Arc::clone(self))))
    }

    /// Keeps an instance that was made, and returns it for its first use.
    pub(super) fn begin_with(self: &Arc<Self>, instance: Instance) -> (Instance, Use) {
        let mut state = self.state.lock();
        state.instance = Some(Arc::clone(&instance));
        state.uses += 1;
        (instance, Use(Arc::clone(self)))
    }

    /// Returns whether there is an instance now.
    pub(super) fn is_made(&self) -> bool {
        self.state.lock().instance.is_some()
    }

    fn end(self: &Arc<Self>) {
        let now = self.expiry.sweeper.clock().instant();
        let mut state = self.state.lock();
        state.uses -= 1;
        state.since = now;
        if state.uses == 0 && !state.watched {
            state.watched = self.expiry.watch(now, self);
        }
    }
}

impl Sweep for Shared {
    fn sweep(&self, now: Instant, trash: &mut Trash) -> Option<Instant> {
        let mut state = self.state.lock();
        if state.uses == 0 {
            match self.expiry.end(state.since) {
                Some(end) if end > now => return Some(end),
                Some(_) => trash.add(state.instance.take()),
                None => {}
            }
        }
        // Whoever ends the last use asks to be watched again.
        state.watched = false;
        None
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut trash = Trash::default();
        trash.add(self.state.get_mut().instance.take());
        trash.dispose();
        self.expiry.forget();
    }
}
