//! Events that wait for the fire around them to end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::context::{at_depth, depth};

/// An event that was fired inside a delivery, and how deep.
struct Waiting {
    depth: u32,
    fire: Box<dyn FnOnce()>,
}

thread_local! {
    static WAITING: RefCell<VecDeque<Waiting>> = const { RefCell::new(VecDeque::new()) };
    /// Whether anything waits: what every fire looks at, so that it need not look into the queue.
    static PENDING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps an event until the outermost fire of this thread has called its last subscriber.
pub(crate) fn wait(fire: Box<dyn FnOnce()>) {
    let depth = depth();
    WAITING.with_borrow_mut(|waiting| waiting.push_back(Waiting { depth, fire }));
    PENDING.set(true);
}

/// Fires what waits, in the order in which it was fired; for the outermost fire, at its end.
#[inline]
pub(crate) fn settle() {
    if PENDING.get() {
        fire_waiting();
    }
}

/// What is fired goes on from the depth at which it was fired, so that a cycle of events ends at
/// the nesting limit here too.
#[cold]
fn fire_waiting() {
    let mut panic = None;
    while let Some(Waiting { depth, fire }) = WAITING.with_borrow_mut(VecDeque::pop_front) {
        let fired = catch_unwind(AssertUnwindSafe(|| at_depth(depth, fire)));
        panic = panic.or(fired.err());
    }
    PENDING.set(false);
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}
