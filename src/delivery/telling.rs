//! The failure hooks that are running, which are told of nothing that they cause.

use std::cell::RefCell;

crate::sync::thread_local! {
    /// Those that run on this thread, by address.
    static RUNNING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// A hook that is running, until it is dropped.
pub(crate) struct Telling(());

/// The hooks that are running where a fire began, for threads that call some of its subscribers.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks(Vec<usize>);

impl Telling {
    /// Begins to run a hook, unless it runs already. A thread that is ending has no list any more,
    /// and nothing to keep the hook from itself by.
    pub(crate) fn begin(hook: usize) -> Option<Self> {
        let begun = RUNNING.try_with(|running| {
            let mut running = running.borrow_mut();
            let begins = !running.contains(&hook);
            running.extend(begins.then_some(hook));
            begins
        });
        (begun == Ok(true)).then_some(Self(()))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

impl Hooks {
    /// Returns whether any run on this thread.
    #[inline]
    pub(super) fn are_here() -> bool {
        RUNNING.try_with(|running| !running.borrow().is_empty()) == Ok(true)
    }

    /// Returns those that run on this thread.
    pub(super) fn here() -> Self {
        let here = RUNNING.try_with(|running| running.borrow().clone());
        Self(here.unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does `work`, which does not unwind, as if they, and no others, were running on this thread.
    pub(super) fn within(&self, work: impl FnOnce()) {
        let others = RUNNING.replace(self.0.clone());
        work();
        RUNNING.set(others);
    }
}
