//! Snapshots: arc-swap's own, with a point before each use at which another thread may go on.

use std::sync::Arc;

use arc_swap::{ArcSwapAny, Guard, RefCnt};
use shuttle::sync::atomic::{AtomicBool, Ordering};

/// Holds an `Arc` that is replaced as a whole.
pub(crate) type ArcSwap<T> = Swap<Arc<T>>;

/// Holds an `Arc` or nothing.
pub(crate) type ArcSwapOption<T> = Swap<Option<Arc<T>>>;

/// Holds what is replaced as a whole.
#[derive(Debug)]
pub(crate) struct Swap<T: RefCnt> {
    inner: ArcSwapAny<T>,
    /// Each use of it is such a point.
    point: AtomicBool,
}

impl<T: RefCnt> Swap<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: ArcSwapAny::new(value),
            point: AtomicBool::new(false),
        }
    }

    pub(crate) fn load(&self) -> Guard<T> {
        self.pause();
        self.inner.load()
    }

    pub(crate) fn load_full(&self) -> T {
        self.pause();
        self.inner.load_full()
    }

    pub(crate) fn swap(&self, value: T) -> T {
        self.pause();
        self.inner.swap(value)
    }

    pub(crate) fn store(&self, value: T) {
        drop(self.swap(value));
    }

    fn pause(&self) {
        self.point.load(Ordering::Relaxed);
    }
}

impl<T> Swap<Arc<T>> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self::new(Arc::new(value))
    }
}

impl<T> Swap<Option<Arc<T>>> {
    pub(crate) fn empty() -> Self {
        Self::new(None)
    }
}

impl<T: Default> Default for Swap<Arc<T>> {
    fn default() -> Self {
        Self::from_pointee(T::default())
    }
}
