//! Who waits for whom, where one fire goes on on several threads.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Work that goes on one step after another: what a thread does, or a part of what it does at the
/// same time on several threads, which it waits for.
///
/// What is held is held by a strand. One that waits for something that a strand around it holds
/// waits for ever, on whichever threads the two run.
#[derive(Clone)]
pub(crate) struct Strand(Arc<Outer>);

/// The strand that waits for this one, if one does.
struct Outer(Option<Strand>);

crate::sync::thread_local! {
    /// Made when it is first asked for, as few threads ever wait for one another.
    static CURRENT: RefCell<Option<Strand>> = const { RefCell::new(None) };
}

impl Strand {
    /// Returns the strand that this thread works on.
    pub(crate) fn current() -> Self {
        let current = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            current.get_or_insert_with(Self::alone).clone()
        });
        // A thread that is ending has nothing any more that it could wait for.
        current.unwrap_or_else(|_| Self::alone())
    }

    /// Does `work` on a strand that this one waits for.
    pub(crate) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let inner = Self(Arc::new(Outer(Some(self.clone()))));
        let _back = Back(switch(Some(inner)));
        work()
    }

    /// Returns whether it is `other`, or one that `other` waits for.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let mut at = Some(self);
        while let Some(strand) = at {
            if strand == other {
                return true;
            }
            at = strand.0.0.as_ref();
        }
        false
    }

    fn alone() -> Self {
        Self(Arc::new(Outer(None)))
    }
}

/// Puts a thread back on its strand when it is dropped.
struct Back(Option<Strand>);

impl Drop for Back {
    fn drop(&mut self) {
        switch(self.0.take());
    }
}

fn switch(to: Option<Strand>) -> Option<Strand> {
    CURRENT
        .try_with(|current| current.replace(to))
        .unwrap_or(None)
}

impl PartialEq for Strand {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Strand {}

impl Hash for Strand {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strand({:p})", Arc::as_ptr(&self.0))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn strand_is_within_those_that_wait_for_it_and_no_other() {
        let outer = Strand::current();
        assert_eq!(outer, Strand::current());
        let (one, other) = (
            outer.inside(Strand::current),
            outer.inside(|| Strand::current().inside(Strand::current)),
        );
        assert!(one.is_within(&outer) && other.is_within(&outer));
        assert!(!outer.is_within(&one) && !one.is_within(&other) && !other.is_within(&one));
        assert_eq!(outer, Strand::current());
    }

    #[test]
    fn strand_goes_on_on_another_thread() {
        let outer = Strand::current();
        let carried = outer.clone();
        let elsewhere = move || (Strand::current(), carried.inside(Strand::current));
        let (own, inner) = thread::spawn(elsewhere).join().unwrap();
        assert!(inner.is_within(&outer) && !own.is_within(&outer));
    }
}
