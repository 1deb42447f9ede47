//! Inline calls that have a deadline: on a thread of their own, while the fire waits.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::calling::Step;
use super::facet::Facet;
use super::guarded::Guarded;
use super::payload;
use super::pipeline::failure_of;
use super::post::Post;
use crate::clock::{Alarm, Clock};
use crate::component::Strand;
use crate::delivery::{Desk, Failure, Held, Parcel, Pass, hold, settle, triggered};
use crate::notices::Notice;
use crate::sync::Mutex;
use crate::value::{drop_quietly, panic_message};

/// A call that goes on on another thread, and for which the fire is to wait.
#[must_use]
pub(super) struct Escorted {
    call: Arc<EscortedCall>,
    pub(super) pass: Option<Pass>,
    after: Duration,
    /// None, where no clock will ever show it.
    until: Option<Instant>,
}

/// What the fire and the thread that calls share.
struct EscortedCall {
    progress: Mutex<Progress>,
    alarm: Arc<Alarm>,
    desk: Arc<Desk>,
}

enum Progress {
    Running,
    Done(Done),
    /// The fire has gone on without it, or has taken what came of it.
    Left,
}

/// What came of a call.
struct Done {
    step: thread::Result<Step>,
    /// Whether a singleton was made.
    made: bool,
    /// The events that the subscriber fired and that wait for the end of the outermost fire.
    held: Held,
}

impl<I: Facet + ?Sized> Post<I> {
    /// Has another thread call the subscriber.
    pub(super) fn escort(
        &self,
        parcel: Arc<dyn Parcel>,
        after: Duration,
        pass: Option<Pass>,
    ) -> Result<Escorted, Failure> {
        let Some(post) = self.me.upgrade() else {
            return Err(Failure::Closed);
        };
        let until = self.around.clock.instant().checked_add(after);
        let call = Arc::new(EscortedCall {
            progress: Mutex::new(Progress::Running),
            alarm: Arc::default(),
            desk: Arc::clone(&self.desk),
        });
        let (strand, shared) = (Strand::current(), Arc::clone(&call));
        let around = Arc::clone(&self.around);
        let task = move || {
            let done = strand.inside(|| post.call_elsewhere(&parcel));
            // Before the fire goes on: who is dropped then is not held by this thread any more.
            drop_quietly((post, parcel));
            // The fire may have another call for this very thread.
            around.escorts.free_here();
            shared.finish(done);
        };
        match self.around.escorts.submit_now(Box::new(task)) {
            Ok(()) => Ok(Escorted {
                call,
                pass,
                after,
                until,
            }),
            Err(task) => {
                drop_quietly(task);
                Err(Failure::NoThread)
            }
        }
    }

    /// Calls the subscriber on this thread, which is not the fire's.
    fn call_elsewhere(&self, parcel: &Arc<dyn Parcel>) -> Done {
        let made = Cell::new(false);
        let (mut step, mut held) = (Ok(Step::Past), Held::default());
        parcel.fire().within(|| {
            held = hold(|| {
                let call = |target: &I| payload::deliver(&**parcel, target, &self.schema);
                let call = || triggered(parcel.triggered(), || self.call(&made, &call));
                step = catch_unwind(AssertUnwindSafe(call));
            });
        });
        Done {
            step,
            made: made.get(),
            held,
        }
    }

    /// Waits for a call until its deadline is over, and returns what came of it.
    pub(super) fn wait(&self, escorted: Escorted, guarded: &Guarded<'_, I>) -> Step {
        let Escorted {
            call,
            pass,
            after,
            until,
        } = escorted;
        let step = match call.wait(&*self.around.clock, until) {
            Ok(done) => {
                if done.made {
                    guarded.note_made();
                }
                done.held.wait();
                done.step
                    .unwrap_or_else(|payload| Step::Failed(failure_of(payload)))
            }
            Err(threads) => {
                self.tell_of_overrun(after, threads);
                Step::Failed(Failure::Deadline(after))
            }
        };
        self.judge(pass, &step);
        step
    }

    /// Says that a call was abandoned, and so many are by now.
    pub(super) fn tell_of_overrun(&self, after: Duration, threads: usize) {
        self.tell_of_deadline(after);
        self.around.notices.push(Notice::CallAbandoned { threads });
    }

    /// Says that a delivery was not in time.
    pub(super) fn tell_of_deadline(&self, after: Duration) {
        let record = &self.entry.record;
        self.around.notices.push(Notice::DeadlineMissed {
            id: record.id().uuid(),
            name: record.name().to_owned(),
            after,
        });
    }
}

impl EscortedCall {
    /// Waits until the call is over, or it is `until` by the clock; then the call is abandoned, and
    /// the number of threads that are held by such is returned.
    fn wait(&self, clock: &dyn Clock, until: Option<Instant>) -> Result<Done, usize> {
        loop {
            let seen = self.alarm.rings();
            let mut progress = self.progress.lock();
            if matches!(*progress, Progress::Done(_))
                && let Progress::Done(done) = std::mem::replace(&mut *progress, Progress::Left)
            {
                return Ok(done);
            }
            if until.is_some_and(|until| clock.instant() >= until) {
                *progress = Progress::Left;
                return Err(self.desk.abandon());
            }
            drop(progress);
            clock.wait(&self.alarm, seen, until);
        }
    }

    /// Hands over what came of the call, or sees to it itself where nobody waits any more.
    fn finish(&self, done: Done) {
        let mut progress = self.progress.lock();
        if matches!(*progress, Progress::Running) {
            *progress = Progress::Done(done);
            drop(progress);
            return self.alarm.ring();
        }
        drop(progress);
        self.desk.recover();
        let Done { step, held, .. } = done;
        // An error or the payload of a panic is the user's.
        drop_quietly(step);
        held.wait();
        if let Err(panic) = catch_unwind(settle) {
            drop(panic_message(panic));
        }
    }
}

impl fmt::Debug for Escorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Escorted")
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
