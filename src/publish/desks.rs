//! The desks of a broker's subscriptions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::entry::SubscriptionKey;
use crate::delivery::{Desk, WorkerPool};

/// Finds the desk of a subscription that is made ready again.
pub(crate) struct Desks {
    pool: Arc<WorkerPool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    desks: HashMap<SubscriptionKey, Weak<Desk>>,
    ended: bool,
}

impl Desks {
    pub(crate) fn new(pool: &Arc<WorkerPool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            state: Mutex::default(),
        }
    }

    /// Returns the desk of a subscription, a new one if it has none.
    pub(super) fn of(&self, key: SubscriptionKey) -> Arc<Desk> {
        let mut state = self.state.lock();
        let State { desks, ended } = &mut *state;
        if let Some(desk) = desks.get(&key).and_then(Weak::upgrade) {
            return desk;
        }
        if desks.len() == desks.capacity() {
            desks.retain(|_, desk| desk.strong_count() > 0);
            // Looked through again only when it has doubled.
            desks.reserve(desks.len() + 1);
        }
        let desk = Desk::new(Arc::clone(&self.pool));
        desks.insert(key, Arc::downgrade(&desk));
        if *ended {
            desk.end();
        }
        desk
    }

    /// Returns the desk of a subscription, if it has one.
    pub(crate) fn find(&self, key: SubscriptionKey) -> Option<Arc<Desk>> {
        self.state.lock().desks.get(&key)?.upgrade()
    }

    /// Returns all desks.
    pub(crate) fn all(&self) -> Vec<Arc<Desk>> {
        let state = self.state.lock();
        state.desks.values().filter_map(Weak::upgrade).collect()
    }

    /// Has no desk accept anything any more.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.all().iter().for_each(|desk| desk.end());
    }
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let desks = self.state.lock().desks.len();
        f.debug_struct("Desks").field("desks", &desks).finish()
    }
}
