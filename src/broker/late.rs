//! That a future has had its time.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::delivery::Failure;
use crate::publish::{Inbox, Reception};
use crate::sync::Mutex;
use crate::value::drop_quietly;

/// Wakes whoever awaits the future of a reception once its deadline is over, to drop it.
pub(super) struct Late {
    after: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_over: bool,
    waker: Option<Waker>,
}

impl Late {
    /// Begins the deadline of a reception, if there is one.
    pub(super) fn over(reception: &mut Reception, inbox: &Arc<Inbox>) -> Option<Self> {
        if !inbox.has_deadline() {
            return None;
        }
        let state = Arc::<Mutex<State>>::default();
        let (late, on_pool) = (Arc::clone(&state), inbox.pool());
        let overrun = move || {
            let mut state = late.lock();
            state.is_over = true;
            if let Some(waker) = state.waker.take() {
                // The executor's code, which this thread has no time for.
                drop_quietly(on_pool.submit(Box::new(move || waker.wake())));
            }
        };
        let after = reception.oversee(Box::new(overrun))?;
        Some(Self { after, state })
    }

    /// Returns what it is once the time is over; if it is not, it wakes the waker when it is.
    pub(super) fn failure(&self, waker: &Waker) -> Option<Failure> {
        // Cloned, and the old one dropped, with no lock held: both are the executor's code.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.is_over {
            drop(state);
            return Some(Failure::Deadline(self.after));
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        None
    }
}
