//! The names of `sync` over shuttle, with the signatures of what they stand for.
//!
//! Time stands still: a wait with a time ends when somebody ends it, and never by the time. So a
//! model in which nobody does is a deadlock, which shuttle reports.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Instant;

use ::shuttle::sync as inner;
pub(crate) use ::shuttle::sync::{atomic, mpsc};
pub(crate) use arc_swap::Guard;

pub(crate) use self::local::{LocalKey, thread_local};
pub(crate) use self::swap::{ArcSwap, ArcSwapOption};

mod local;
mod swap;

pub(crate) mod channel;

/// Threads.
pub(crate) mod thread {
    use ::shuttle::sync::atomic::{AtomicBool, Ordering};
    use ::shuttle::thread::yield_now as give_way;
    pub(crate) use ::shuttle::thread::{Builder, JoinHandle, ThreadId, current, panicking};

    /// Lets the others go on.
    pub(crate) fn sleep(_span: std::time::Duration) {
        give_way();
    }

    /// A point like any other. shuttle's own has a thread that lingers give way to all others, so
    /// that it never leaves while they go on: and that is what goes wrong.
    pub(crate) fn yield_now() {
        AtomicBool::new(false).load(Ordering::Relaxed);
    }

    /// As many as make a difference.
    pub(crate) fn available_parallelism() -> std::io::Result<std::num::NonZero<usize>> {
        Ok(std::num::NonZero::<usize>::MIN.saturating_add(1))
    }
}

/// A mutex that a panic does not poison.
#[derive(Default)]
pub(crate) struct Mutex<T: ?Sized> {
    inner: inner::Mutex<T>,
}

/// The lock of a [`Mutex`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a inner::Mutex<T>,
    /// Absent while a condition is waited for.
    inner: Option<inner::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            inner: inner::Mutex::new(value),
        }
    }
}

impl<T: ?Sized> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let inner = self.inner.lock();
        MutexGuard {
            mutex: &self.inner,
            inner: Some(inner.unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(inner::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(inner::TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard {
            mutex: &self.inner,
            inner: Some(inner),
        })
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        let inner = self.inner.get_mut();
        inner.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Does something with the lock released.
    pub(crate) fn unlocked<R>(guard: &mut Self, work: impl FnOnce() -> R) -> R {
        guard.inner = None;
        let done = work();
        let inner = guard.mutex.lock();
        guard.inner = Some(inner.unwrap_or_else(PoisonError::into_inner));
        done
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect(HELD)
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect(HELD)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// What threads wait for.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    inner: inner::Condvar,
}

/// Whether a wait ended by the time, which none does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitTimeoutResult;

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self {
            inner: inner::Condvar::new(),
        }
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.inner.take() {
            let held = self.inner.wait(held);
            guard.inner = Some(held.unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _until: Instant,
    ) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }

    pub(crate) fn notify_one(&self) {
        self.inner.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }
}

impl WaitTimeoutResult {
    pub(crate) fn timed_out(self) -> bool {
        false
    }
}

/// A lock that many readers share.
#[derive(Default)]
pub(crate) struct RwLock<T: ?Sized> {
    inner: inner::RwLock<T>,
}

pub(crate) use inner::{RwLockReadGuard, RwLockWriteGuard};

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            inner: inner::RwLock::new(value),
        }
    }
}

impl<T: ?Sized> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        let inner = self.inner.read();
        inner.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let inner = self.inner.write();
        inner.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

const HELD: &str = "the lock is held wherever its guard is used";
