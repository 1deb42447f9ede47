//! When a store may be used: failure, recovery and closing.

use std::time::{Duration, Instant};

use super::commit::State;
use super::engine::Engine;
use super::form::{HEAD_KEY, Head};
use super::load;
use super::local::{CLOSED, OPEN, Shared, TORN, closed};
use super::sink::Trash;
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notice;
use crate::sync::atomic::Ordering;

/// Whether commits are taken; what readers may do is `access`, as they do not wait for the lock.
pub(crate) enum Health {
    Sound,
    Broken {
        /// When the engine may next be asked to open again; none for never.
        retry_at: Option<Instant>,
        /// How long to wait after the next failure.
        delay: Duration,
    },
    Closed,
}

impl<E: Engine> Shared<E> {
    /// Returns Ok when writes may go on, opening a failed engine again once its pause is over.
    pub(crate) fn ready(&self, state: &mut State, trash: &mut Trash) -> Result<()> {
        if matches!(state.health, Health::Sound) && self.flush.has_failed() {
            let error = Error::new(ErrorKind::Io, "a flush failed");
            self.break_down(state, false, &error);
        }
        let (retry_at, delay) = match state.health {
            Health::Sound => return Ok(()),
            Health::Closed => return Err(closed()),
            Health::Broken { retry_at, delay } => (retry_at, delay),
        };
        let Some(retry_at) = retry_at else {
            let message = "the store failed and its pause has no end: open it anew";
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        let pause = retry_at.saturating_duration_since(self.options.clock.instant());
        if !pause.is_zero() {
            let message = format!(
                "the store failed and is opened again in {} ms at the earliest",
                pause.as_millis()
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.recover(state, trash).inspect_err(|_| {
            state.health = Health::Broken {
                retry_at: self.options.clock.instant().checked_add(delay),
                delay: delay.saturating_mul(2).min(self.options.back_off.1),
            };
        })
    }

    /// Returns Ok when readers may read.
    pub(crate) fn readable(&self) -> Result<()> {
        match self.access.load(Ordering::Acquire) {
            OPEN => Ok(()),
            CLOSED => Err(closed()),
            _ => {
                let mut trash = Trash::default();
                // Whoever holds the lock may be at it; a reader does not wait for that.
                let outcome = match self.state.try_lock() {
                    Some(mut state) => self.ready(&mut state, &mut trash),
                    None => Err(Error::new(ErrorKind::Unavailable, "the store failed")),
                };
                trash.dispose();
                outcome
            }
        }
    }

    /// Takes the store out of use; `torn` when a batch may be there in part.
    pub(crate) fn break_down(&self, state: &mut State, torn: bool, error: &Error) {
        if torn {
            self.access.store(TORN, Ordering::Release);
        }
        let (first, last) = self.options.back_off;
        state.health = Health::Broken {
            retry_at: self.options.clock.instant().checked_add(first),
            delay: first.saturating_mul(2).min(last),
        };
        self.options.notices.push(Notice::StoreUnavailable {
            reason: describe(error),
        });
    }

    /// Closes the state for everybody. Returns the outcome of the last write, and whether the
    /// engine is worth flushing.
    pub(crate) fn retire(&self, state: &mut State, trash: &mut Trash) -> (Result<()>, bool) {
        let sound = matches!(state.health, Health::Sound);
        state.health = Health::Closed;
        self.access.store(CLOSED, Ordering::Release);
        for attached in state.sinks.drain(..) {
            trash.add(attached);
        }
        if !sound || state.head.clean {
            return (Ok(()), sound);
        }
        let head = Head {
            clean: true,
            ..state.head
        };
        let outcome = self.engine.apply(&[(HEAD_KEY.to_vec(), Some(head.seal()))]);
        self.flush.applied();
        (outcome, sound)
    }

    /// Opens the engine again and lists what it holds to every sink.
    fn recover(&self, state: &mut State, trash: &mut Trash) -> Result<()> {
        self.engine.reopen().map_err(unread)?;
        let limit = self.options.history_limit;
        let loaded = load::load(&self.engine, limit, &self.quarantine).map_err(unread)?;
        let revision = loaded.head.revision;
        state.reload(loaded);
        self.flush.reset();
        self.latest.store(revision.get(), Ordering::Release);
        self.access.store(OPEN, Ordering::Release);
        let mut failure = None;
        self.each_sink(state, trash, |attached, trash| {
            if let Err(error) = self.list(attached, revision, trash) {
                failure = Some(error);
            }
        });
        if let Some(error) = failure {
            return Err(unread(error));
        }
        state.health = Health::Sound;
        let notices = &self.options.notices;
        notices.push(Notice::StoreReopened { revision });
        Ok(())
    }
}

/// Says of an error met before anything was written that nothing was.
pub(crate) fn unread(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::Closed | ErrorKind::Unavailable => error,
        _ => Error::new(ErrorKind::Unavailable, "the store cannot be read now").because(error),
    }
}

/// Returns an error for a second to have: of the same kind, its causes in the message.
pub(crate) fn repeated(error: &Error) -> Error {
    Error::new(error.kind(), describe(error))
}

/// Returns the message with its causes.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
