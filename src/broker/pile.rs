//! Which subscriptions of a mailbox have something that waits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::publish::Collector;
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Condvar, Mutex};
use crate::value::panic_message;

/// What tells the subscriptions of a mailbox apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotId(u64);

/// The subscriptions of a mailbox for which something waits, in the order of their turns.
pub(super) struct Pile {
    state: Mutex<State>,
    came: Condvar,
    /// The thread that dispatches.
    owner: ThreadId,
}

#[derive(Default)]
struct State {
    ready: VecDeque<SlotId>,
    hook: Option<ReadyHook>,
    /// Whether the hook was told since nothing waited.
    told: bool,
    closed: bool,
    next: u64,
}

pub(super) type ReadyHook = Arc<dyn Fn() + Send + Sync>;

/// Raised by the lane of a subscription when something waits in it.
pub(super) struct Flag {
    slot: SlotId,
    pile: Arc<Pile>,
}

impl Pile {
    pub(super) fn next_id(&self) -> SlotId {
        let mut state = self.state.lock();
        state.next += 1;
        SlotId(state.next)
    }

    /// Has a subscription take its turn, and the hook hear of it if nothing waited. Returns whether
    /// somebody will come.
    pub(super) fn ready(&self, slot: SlotId) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.ready.push_back(slot);
        let hook = state.tell();
        drop(state);
        self.came.notify_all();
        call(hook);
        true
    }

    /// Has a subscription take another turn; whoever dispatches knows.
    pub(super) fn again(&self, slot: SlotId) {
        self.state.lock().ready.push_back(slot);
    }

    /// Returns the subscription whose turn it is.
    pub(super) fn pop(&self) -> Option<SlotId> {
        let mut state = self.state.lock();
        state.ready.pop_front()
    }

    /// Takes a subscription out that is gone.
    pub(super) fn forget(&self, slot: SlotId) {
        self.state.lock().ready.retain(|ready| *ready != slot);
    }

    /// Takes what the hook was told for seen to: it hears again of what comes from now on.
    pub(super) fn begin(&self) {
        self.state.lock().told = false;
    }

    /// Has the hook hear of what still waits, if it has not since [`begin`](Self::begin).
    pub(super) fn remind(&self) {
        let mut state = self.state.lock();
        let hook = state.tell();
        drop(state);
        call(hook);
    }

    pub(super) fn set_hook(&self, hook: ReadyHook) {
        let mut state = self.state.lock();
        let old = state.hook.replace(hook);
        state.told = false;
        let hook = state.tell();
        drop(state);
        drop(old);
        call(hook);
    }

    /// Waits until something waits, and returns whether it does by `until`; or until nothing can
    /// come.
    pub(super) fn wait(&self, until: Option<Instant>, is_ended: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        while state.ready.is_empty() && !is_ended() {
            match until {
                Some(until) => {
                    if self.came.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
                None => self.came.wait(&mut state),
            }
        }
        !state.ready.is_empty()
    }

    /// Takes nothing any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let left = (state.hook.take(), std::mem::take(&mut state.ready));
        drop(state);
        drop(left);
    }
}

impl State {
    /// Returns the hook, if something waits of which it was not told.
    fn tell(&mut self) -> Option<ReadyHook> {
        if self.ready.is_empty() || std::mem::replace(&mut self.told, true) {
            return None;
        }
        self.hook.clone()
    }
}

impl Default for Pile {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            came: Condvar::new(),
            owner: thread::current().id(),
        }
    }
}

/// The hook is the user's, and a panic of it is not the event's failure.
fn call(hook: Option<ReadyHook>) {
    if let Some(hook) = hook
        && let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook()))
    {
        drop(panic_message(panic));
    }
}

impl Flag {
    pub(super) fn new(slot: SlotId, pile: &Arc<Pile>) -> Self {
        Self {
            slot,
            pile: Arc::clone(pile),
        }
    }
}

impl Collector for Flag {
    fn ready(&self) -> bool {
        self.pile.ready(self.slot)
    }

    fn ended(&self) {
        // Behind the look of whoever is about to wait.
        drop(self.pile.state.lock());
        self.pile.came.notify_all();
    }

    fn is_here(&self) -> bool {
        thread::current().id() == self.pile.owner
    }
}
