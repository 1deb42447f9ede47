//! What is done on a thread of its own: flushes at intervals, and the copy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::copy;
use super::engine::Engine;
use super::health::describe;
use super::local::Shared;
use super::options::{Durability, StoreOptions};
use crate::clock::{Alarm, Waiter};
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notice;
use crate::sync::Mutex;
use crate::sync::thread::{self, JoinHandle};

/// What is to be done, and when.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    due: Mutex<Due>,
    /// Rung when something is due sooner than before.
    alarm: Arc<Alarm>,
}

#[derive(Debug, Default)]
struct Due {
    flush: Option<Instant>,
    copy: Option<Instant>,
    copied: Option<Instant>,
    /// Something changed since the last copy, also where the next one is never due.
    uncopied: bool,
    stop: bool,
}

enum Duty {
    Flush,
    Copy,
    Wait(Option<Instant>),
    Stop,
}

impl Duties {
    /// Starts the thread, if the options ask for anything that needs one.
    pub(crate) fn start<E: Engine>(shared: &Arc<Shared<E>>) -> Result<Option<JoinHandle<()>>> {
        let options = &shared.options;
        let copies = options.copy_path.is_some() && options.copy_every.is_some();
        if !copies && options.durability == Durability::Immediate {
            return Ok(None);
        }
        let shared = Arc::clone(shared);
        let waiter = Arc::clone(&shared.options.clock).waiter(&shared.duties.alarm);
        thread::Builder::new()
            .name("loosely-store".into())
            .spawn(move || run(&shared, waiter))
            .map(Some)
            .map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start the store's thread").because(error)
            })
    }

    /// Notes that there is something new to flush and, if `is_copied`, to copy.
    pub(crate) fn changed(&self, options: &StoreOptions, is_copied: bool) {
        let now = options.clock.instant();
        let mut due = self.due.lock();
        let mut news = false;
        if let Durability::Interval(interval) = options.durability
            && due.flush.is_none()
        {
            // No such time means never.
            due.flush = now.checked_add(interval);
            news = due.flush.is_some();
        }
        if let (Some(every), Some(_)) = (options.copy_every, &options.copy_path)
            && is_copied
            && !due.uncopied
        {
            let soonest = now.checked_add(every.min(SETTLE));
            let next = match due.copied {
                Some(copied) => copied.checked_add(every),
                None => soonest,
            };
            due.uncopied = true;
            due.copy = next.max(next.and(soonest));
            news |= due.copy.is_some();
        }
        drop(due);
        if news {
            self.alarm.ring();
        }
    }

    /// Returns true if something changed since the last copy.
    pub(crate) fn copy_is_due(&self) -> bool {
        self.due.lock().uncopied
    }

    /// Ends the thread after what it is doing.
    pub(crate) fn stop(&self) {
        self.due.lock().stop = true;
        self.alarm.ring();
    }

    /// Takes the next duty.
    fn next(&self, now: Instant) -> Duty {
        let mut due = self.due.lock();
        let is_over = |at: &mut Instant| *at <= now;
        if due.stop {
            return Duty::Stop;
        }
        if due.flush.take_if(is_over).is_some() {
            return Duty::Flush;
        }
        if due.copy.take_if(is_over).is_some() {
            due.copied = Some(now);
            due.uncopied = false;
            return Duty::Copy;
        }
        Duty::Wait(due.flush.into_iter().chain(due.copy).min())
    }
}

fn run<E: Engine>(shared: &Shared<E>, mut waiter: Box<dyn Waiter>) {
    loop {
        let seen = shared.duties.alarm.rings();
        match shared.duties.next(shared.options.clock.instant()) {
            Duty::Wait(until) => waiter.wait(seen, until),
            Duty::Stop => return,
            // A failure takes the store out of use and is reported there.
            Duty::Flush => drop(shared.make_durable(shared.flush.ticket())),
            Duty::Copy => {
                if let Err(error) = copy::write(shared) {
                    let reason = describe(&error);
                    shared.options.notices.push(Notice::CopyFailed { reason });
                    shared.duties.changed(&shared.options, true);
                }
            }
        }
    }
}

/// A program that starts stores its records in a burst; one copy after it is enough.
const SETTLE: Duration = Duration::from_secs(2);
