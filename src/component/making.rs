//! Singletons while they are made.

use std::collections::HashMap;
use std::thread::ThreadId;

use crate::model::ComponentId;

/// Which singletons are being made, and who waits for one: together the graph in which a cycle is a
/// deadlock.
#[derive(Debug, Default)]
pub(super) struct Making {
    /// component -> the thread that runs its factory
    pub(super) makers: HashMap<ComponentId, ThreadId>,
    /// thread -> the component that it waits for
    pub(super) waiting: HashMap<ThreadId, ComponentId>,
}

impl Making {
    /// Returns whether the making of `component` waits, directly or through others, for `thread`.
    pub(super) fn leads_to(&self, component: ComponentId, thread: ThreadId) -> bool {
        let mut next = Some(component);
        // Each step follows one waiting thread, so there are no more steps than those and one.
        for _ in 0..=self.waiting.len() {
            let Some(maker) = next.and_then(|component| self.makers.get(&component)) else {
                return false;
            };
            if *maker == thread {
                return true;
            }
            next = self.waiting.get(maker).copied();
        }
        false
    }
}
