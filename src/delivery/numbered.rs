//! Subscriptions that a fire knows by number until somebody asks for them.

use std::cell::RefCell;
use std::sync::Arc;

use crate::model::SubscriptionId;

/// Knows which subscription a number stands for.
pub(crate) trait Numbered {
    /// Returns the subscription.
    fn subscription(&self, number: u32) -> Option<SubscriptionId>;
}

/// While it is kept, the fire that this thread is inside of may name subscriptions by number.
pub(crate) struct Numbers(());

crate::sync::thread_local! {
    /// Of each fire that this thread is inside of and that goes by numbers, the innermost last.
    static NUMBERED: RefCell<Vec<Arc<dyn Numbered>>> = const { RefCell::new(Vec::new()) };
}

impl Numbers {
    /// Lets the fire that this thread is inside of go by the numbers of `numbered`; a thread that
    /// is ending cannot.
    ///
    /// Whoever begins keeps `numbered` too, so that it is not dropped from here.
    pub(crate) fn of(numbered: Arc<dyn Numbered>) -> Option<Self> {
        let push = |all: &RefCell<Vec<_>>| all.borrow_mut().push(numbered);
        NUMBERED.try_with(push).ok().map(Self)
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        // Gone already where the thread is ending.
        let _ = NUMBERED.try_with(|all| all.borrow_mut().pop());
    }
}

/// Returns the subscription of a number of the innermost fire that goes by numbers.
pub(super) fn numbered(number: u32) -> Option<SubscriptionId> {
    let find = |all: &RefCell<Vec<Arc<dyn Numbered>>>| all.borrow().last()?.subscription(number);
    NUMBERED.try_with(find).ok().flatten()
}
