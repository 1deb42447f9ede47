//! What triggers know, kept in the store.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::entry::SubscriptionEntry;
use crate::clock::Clock;
use crate::delivery::{Timers, TriggerState, WorkerPool};
use crate::error::Result;
use crate::model::SubscriptionId;
use crate::store::record::trigger::{self, TriggerMemory};
use crate::store::{Batch, Store};
use crate::sync::Mutex;
use crate::value::{drop_quietly, panic_message};

/// Writes what kept triggers know, [`PAUSE`] after it has changed and when the broker is closed.
pub(crate) struct Keeper {
    me: Weak<Self>,
    store: OnceLock<Weak<dyn Store>>,
    timers: Arc<Timers>,
    pool: Arc<WorkerPool>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while one writes, so that an older state does not overwrite a newer one.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// What was known when the broker was opened, until somebody takes it.
    loaded: HashMap<SubscriptionId, TriggerMemory>,
    live: HashMap<SubscriptionId, Weak<TriggerState>>,
    /// Those whose subscription is gone.
    gone: HashSet<SubscriptionId>,
    /// Whether a task of the timers will write.
    armed: bool,
}

/// How long changes are gathered: an alarm that is given again after a crash is one of the last few
/// seconds, and a state that changes with each event is not written with each.
const PAUSE: Duration = Duration::from_secs(5);

impl Keeper {
    pub(crate) fn new(
        timers: &Arc<Timers>,
        pool: &Arc<WorkerPool>,
        clock: &Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            store: OnceLock::new(),
            timers: Arc::clone(timers),
            pool: Arc::clone(pool),
            clock: Arc::clone(clock),
            state: Mutex::default(),
            writing: Mutex::new(()),
        })
    }

    /// Reads what was kept, of the subscriptions that are there; the rest is given up. What cannot
    /// be read is as if it had not been kept.
    pub(crate) fn open(&self, store: &Arc<dyn Store>, is_there: impl Fn(SubscriptionId) -> bool) {
        let mut loaded = HashMap::new();
        let mut gone = HashSet::new();
        let mut visit = |key: &[u8], entry: crate::store::Entry| {
            if let Some(id) = trigger::parse_key(key) {
                match trigger::decode(&entry.value) {
                    Ok(memory) if is_there(id) => _ = loaded.insert(id, memory),
                    _ => _ = gone.insert(id),
                }
            }
            ControlFlow::Continue(())
        };
        // A store that has failed already says so to everybody else.
        let _ = store.scan(trigger::PREFIX, &mut visit);
        let mut state = self.state.lock();
        (state.loaded, state.gone) = (loaded, gone);
        drop(state);
        let _ = self.store.set(Arc::downgrade(store));
    }

    /// Keeps what a trigger knows from now on, and has it know what was kept.
    pub(super) fn keep(&self, id: SubscriptionId, trigger: &Arc<TriggerState>) {
        let mut state = self.state.lock();
        state.gone.remove(&id);
        let old = state.live.insert(id, Arc::downgrade(trigger));
        let memory = state.loaded.remove(&id);
        drop(state);
        drop(old);
        match memory {
            Some(memory) => trigger.expect(memory),
            // Another one may have been kept.
            None => trigger.change(),
        }
    }

    /// Gives up what is kept of a subscription that is gone, or has no trigger to keep any more.
    pub(super) fn forget(&self, id: SubscriptionId) {
        let mut state = self.state.lock();
        let live = state.live.remove(&id);
        let loaded = state.loaded.remove(&id);
        if live.is_some() || loaded.is_some() {
            state.gone.insert(id);
            self.arm(&mut state);
        }
        drop(state);
        drop((live, loaded));
    }

    /// As [`forget`](Self::forget), of what may be a private subscription, of which nothing is
    /// kept.
    pub(super) fn forget_stored(&self, entry: &SubscriptionEntry) {
        if entry.object().is_none() {
            self.forget(entry.record.id());
        }
    }

    /// Hears that there is something to write.
    pub(super) fn changed(&self) {
        self.arm(&mut self.state.lock());
    }

    fn arm(&self, state: &mut State) {
        if std::mem::replace(&mut state.armed, true) {
            return;
        }
        let me = Weak::clone(&self.me);
        let write = move || {
            let Some(keeper) = me.upgrade() else { return };
            let pool = Arc::clone(&keeper.pool);
            // What waits for the disk is no task for the timers.
            if let Err(left) = pool.submit(Box::new(move || keeper.write())) {
                drop(left);
            }
        };
        self.timers
            .at(self.clock.instant() + PAUSE, Box::new(write));
    }

    /// Writes what has changed. Where that fails it is tried again after a pause.
    pub(crate) fn write(&self) {
        let _alone = self.writing.lock();
        let mut state = self.state.lock();
        state.armed = false;
        let live = state.live.iter();
        let live: Vec<_> = live
            .filter_map(|(id, state)| Some((*id, state.upgrade()?)))
            .collect();
        let gone = std::mem::take(&mut state.gone);
        drop(state);
        let written = self.write_all(&live, &gone);
        if written.is_err() {
            live.iter().for_each(|(_, state)| state.change());
            let mut state = self.state.lock();
            let State {
                gone: again, live, ..
            } = &mut *state;
            again.extend(gone.into_iter().filter(|id| !live.contains_key(id)));
            self.arm(&mut state);
        }
        drop_quietly(live);
    }

    fn write_all(
        &self,
        live: &[(SubscriptionId, Arc<TriggerState>)],
        gone: &HashSet<SubscriptionId>,
    ) -> Result<()> {
        let mut batch = Batch::new();
        for id in gone {
            batch.delete(trigger::key(*id));
        }
        for (id, state) in live {
            // To read the values of events is the user's code.
            match catch_unwind(AssertUnwindSafe(|| state.memory())) {
                Ok(Some(memory)) => {
                    // One that is too large keeps what it has, and no other from being written.
                    if let Ok(bytes) = trigger::encode(&memory) {
                        batch.put(trigger::key(*id), bytes);
                    }
                }
                Ok(None) => {}
                Err(panic) => drop(panic_message(panic)),
            }
        }
        match self.store.get().and_then(Weak::upgrade) {
            Some(store) if !batch.is_empty() => store.commit(batch).map(drop),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Keeper")
            .field("live", &state.live.len())
            .finish_non_exhaustive()
    }
}
