//! What is done on a thread of its own: flushes at intervals, and the copy.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::copy;
use super::engine::Engine;
use super::health::describe;
use super::local::Shared;
use super::options::{Durability, StoreOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notice;

/// What is to be done, and when.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    due: Mutex<Due>,
    changed: Condvar,
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
        thread::Builder::new()
            .name("loosely-store".into())
            .spawn(move || run(&shared))
            .map(Some)
            .map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start the store's thread").because(error)
            })
    }

    /// Notes that there is something new to flush and to copy.
    pub(crate) fn changed(&self, options: &StoreOptions) {
        let mut due = self.due.lock();
        let mut news = false;
        if let Durability::Interval(interval) = options.durability
            && due.flush.is_none()
        {
            // No such time means never.
            due.flush = Instant::now().checked_add(interval);
            news = due.flush.is_some();
        }
        if let (Some(every), Some(_)) = (options.copy_every, &options.copy_path)
            && !due.uncopied
        {
            let soonest = Instant::now().checked_add(every.min(SETTLE));
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
            self.changed.notify_all();
        }
    }

    /// Returns true if something changed since the last copy.
    pub(crate) fn copy_is_due(&self) -> bool {
        self.due.lock().uncopied
    }

    /// Ends the thread after what it is doing.
    pub(crate) fn stop(&self) {
        self.due.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits for the next duty and takes it.
    fn next(&self) -> Duty {
        let mut due = self.due.lock();
        loop {
            let now = Instant::now();
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
            match due.flush.into_iter().chain(due.copy).min() {
                Some(next) => {
                    self.changed.wait_until(&mut due, next);
                }
                None => self.changed.wait(&mut due),
            }
        }
    }
}

fn run<E: Engine>(shared: &Shared<E>) {
    loop {
        match shared.duties.next() {
            Duty::Stop => return,
            // A failure takes the store out of use and is reported there.
            Duty::Flush => drop(shared.make_durable(shared.flush.ticket())),
            Duty::Copy => {
                if let Err(error) = copy::write(shared) {
                    let reason = describe(&error);
                    shared.options.notices.push(Notice::CopyFailed { reason });
                    shared.duties.changed(&shared.options);
                }
            }
        }
    }
}

/// A program that starts stores its records in a burst; one copy after it is enough.
const SETTLE: Duration = Duration::from_secs(2);
