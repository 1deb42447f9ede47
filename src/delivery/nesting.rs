//! Events that wait for the fire around them to end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::context::{at_depth, depth};

/// An event that was fired inside a delivery, and how deep.
struct Waiting {
    depth: u32,
    fire: Box<dyn FnOnce() + Send>,
}

/// Events that wait for the end of a part of a fire, and then with others for the fire's.
#[derive(Default)]
pub(crate) struct Held(VecDeque<Waiting>);

crate::sync::thread_local! {
    static WAITING: RefCell<VecDeque<Waiting>> = const { RefCell::new(VecDeque::new()) };
    /// Whether anything waits: what every fire looks at, so that it need not look into the queue.
    static PENDING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps an event until the outermost fire of this thread has called its last subscriber.
pub(crate) fn wait(fire: Box<dyn FnOnce() + Send>) {
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

/// Does `work`, which does not unwind, and returns the events that it left to wait.
pub(crate) fn hold(work: impl FnOnce()) -> Held {
    if !PENDING.get() {
        // Nothing waits, so there are no others to be told apart.
        work();
        return match PENDING.replace(false) {
            true => Held(WAITING.take()),
            false => Held::default(),
        };
    }
    // A thread that is ending keeps nothing.
    let Ok(others) = WAITING.try_with(RefCell::take) else {
        work();
        return Held::default();
    };
    work();
    PENDING.set(!others.is_empty());
    Held(WAITING.replace(others))
}

impl Held {
    /// Lets the events wait on this thread, behind those that do already.
    pub(crate) fn wait(self) {
        if !self.0.is_empty() {
            WAITING.with_borrow_mut(|waiting| waiting.extend(self.0));
            PENDING.set(true);
        }
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
