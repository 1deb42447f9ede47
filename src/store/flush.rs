//! Waiting for durability together: one flush serves all who wait for what it covers.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex};

/// Counts what was applied and what is durable.
///
/// A failed flush stays failed until the engine was opened again: a device that lost a write may
/// well report success the next time it is asked.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    /// How many batches were applied.
    applied: AtomicU64,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    applied: u64,
    epoch: u64,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many of the applied batches are durable.
    durable: u64,
    /// Somebody is flushing, and will wake the others.
    running: bool,
    failed: bool,
    /// How often the engine was opened again; tickets of earlier epochs are void.
    epoch: u64,
}

impl Flush {
    /// Counts a batch just applied. Called with the commit lock held.
    pub(crate) fn applied(&self) -> Ticket {
        let applied = self.applied.fetch_add(1, Ordering::AcqRel) + 1;
        let epoch = self.progress.lock().epoch;
        Ticket { applied, epoch }
    }

    /// Returns a ticket for everything applied until now.
    pub(crate) fn ticket(&self) -> Ticket {
        let epoch = self.progress.lock().epoch;
        let applied = self.applied.load(Ordering::Acquire);
        Ticket { applied, epoch }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.progress.lock().failed
    }

    /// Begins anew after the engine was opened again: what it holds now is the truth.
    pub(crate) fn reset(&self) {
        let mut progress = self.progress.lock();
        progress.durable = self.applied.load(Ordering::Acquire);
        progress.failed = false;
        progress.epoch += 1;
        drop(progress);
        self.changed.notify_all();
    }

    /// Returns once the ticket's batches are durable, flushing if nobody else does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Uncertain`] when the flush that covers the ticket failed.
    pub(crate) fn wait(&self, ticket: Ticket, sync: impl Fn() -> Result<()>) -> Result<()> {
        let mut progress = self.progress.lock();
        loop {
            if progress.epoch != ticket.epoch {
                return Err(uncertain());
            }
            if progress.durable >= ticket.applied {
                return Ok(());
            }
            if progress.failed {
                return Err(uncertain());
            }
            if progress.running {
                self.changed.wait(&mut progress);
                continue;
            }
            progress.running = true;
            drop(progress);
            let outcome = self.run(ticket.epoch, &sync);
            progress = self.progress.lock();
            if let Err(error) = outcome {
                return Err(uncertain().because(error));
            }
        }
    }

    fn run(&self, epoch: u64, sync: &impl Fn() -> Result<()>) -> Result<()> {
        let covered = self.applied.load(Ordering::Acquire);
        let mut running = Running {
            flush: self,
            epoch,
            durable: None,
        };
        sync()?;
        running.durable = Some(covered);
        Ok(())
    }
}

/// Ends a flush on every way out, an engine's panic included: others wait for it.
struct Running<'a> {
    flush: &'a Flush,
    epoch: u64,
    /// What the flush covered, once it succeeded.
    durable: Option<u64>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut progress = self.flush.progress.lock();
        progress.running = false;
        if progress.epoch == self.epoch {
            match self.durable {
                Some(durable) => progress.durable = progress.durable.max(durable),
                None => progress.failed = true,
            }
        }
        drop(progress);
        self.flush.changed.notify_all();
    }
}

fn uncertain() -> Error {
    Error::new(
        ErrorKind::Uncertain,
        "the commit was applied but could not be made durable",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn broken() -> Result<()> {
        Err(Error::new(ErrorKind::Io, "no space"))
    }

    #[test]
    fn one_flush_covers_everything_applied_before_it() {
        let flush = Flush::default();
        let first = flush.applied();
        let second = flush.applied();
        let count = AtomicU64::new(0);
        let sync = || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        flush.wait(second, sync).unwrap();
        flush.wait(first, sync).unwrap();
        assert_eq!(count.into_inner(), 1);
    }

    #[test]
    fn failure_stays_until_reset_even_if_the_device_would_succeed() {
        let flush = Flush::default();
        let first = flush.applied();
        assert_eq!(
            flush.wait(first, broken).unwrap_err().kind(),
            ErrorKind::Uncertain
        );
        let second = flush.applied();
        assert!(flush.wait(second, || Ok(())).is_err());
        flush.reset();
        assert!(flush.wait(second, || Ok(())).is_err(), "an old ticket");
        let third = flush.applied();
        flush.wait(third, || Ok(())).unwrap();
    }

    #[test]
    fn panic_in_the_flush_leaves_nobody_waiting() {
        let flush = Flush::default();
        let ticket = flush.applied();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            flush.wait(ticket, || std::panic::resume_unwind(Box::new("engine")))
        }));
        assert!(outcome.is_err());
        assert_eq!(
            flush.wait(ticket, || Ok(())).unwrap_err().kind(),
            ErrorKind::Uncertain
        );
    }
}
