//! Threads that deliver beside the publishers' own.

use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use crate::value::panic_message;

/// What a thread of the pool is to do.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// The threads of a broker that deliver.
///
/// Each is started when a task would have to wait for another, up to a limit, and lives until the
/// pool is stopped. A pool that was given nothing to do has none.
///
/// The tasks that wait are in one queue, and no thread takes up a second one before it is through
/// with the first: a work-stealing pool may do so while the first waits for something of its own,
/// and a subscriber would find another one's call on its stack, inside its locks.
pub(crate) struct WorkerPool {
    limit: usize,
    /// How many tasks were submitted and are not done.
    pending: Arc<AtomicUsize>,
    state: Mutex<State>,
}

/// The queue and who takes from it.
#[derive(Default)]
struct State {
    queue: Option<(Sender<Task>, Receiver<Task>)>,
    started: usize,
    stopped: bool,
}

impl WorkerPool {
    /// Returns a pool of at most `limit` threads.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            pending: Arc::default(),
            state: Mutex::default(),
        }
    }

    /// Returns how many threads there are as a rule: as many as the processors that the process may
    /// use.
    pub(crate) fn usual_limit() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// Has a thread do this when one is free, in the order of submission, or gives it back: where
    /// there is none, or the pool was stopped.
    pub(crate) fn submit(&self, task: Task) -> Result<(), Task> {
        let mut state = self.state.lock();
        let pending = self.pending.load(Ordering::Acquire);
        if pending >= state.started && state.started < self.limit && !state.stopped {
            self.start(&mut state);
        }
        let Some((queue, _)) = state.queue.as_ref().filter(|_| state.started > 0) else {
            // Whoever made the task drops it: with no lock held.
            drop(state);
            return Err(task);
        };
        self.pending.fetch_add(1, Ordering::AcqRel);
        // The pool has a receiver too, so the queue is never closed.
        queue.send(task).map_err(|unsent| unsent.0)
    }

    /// Returns how many tasks wait for a thread, more or less.
    pub(crate) fn backlog(&self) -> usize {
        let pending = self.pending.load(Ordering::Acquire);
        pending.saturating_sub(self.limit)
    }

    /// Returns whether all that was submitted is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Returns how many threads there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Ends the threads when they have done what was submitted, and waits for none of them.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.started = 0;
        let queue = state.queue.take();
        drop(state);
        drop(queue);
    }

    /// Starts one thread more, if there can be one.
    fn start(&self, state: &mut State) {
        let (_, tasks) = state.queue.get_or_insert_with(unbounded);
        let (tasks, pending) = (tasks.clone(), Arc::clone(&self.pending));
        let name = format!("loosely-pool-{}", state.started + 1);
        let run = move || work(&tasks, &pending);
        if thread::Builder::new().name(name).spawn(run).is_ok() {
            state.started += 1;
        }
    }
}

/// Does task after task.
fn work(tasks: &Receiver<Task>, pending: &AtomicUsize) {
    while let Ok(task) = tasks.recv() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(task)) {
            drop(panic_message(payload));
        }
        pending.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("limit", &self.limit)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn threads_start_one_by_one_as_tasks_would_have_to_wait() {
        let pool = WorkerPool::new(2);
        assert_eq!(pool.state.lock().started, 0);
        let both = Arc::new(Barrier::new(3));
        for started in 1..=2 {
            let both = Arc::clone(&both);
            assert!(
                pool.submit(Box::new(move || {
                    both.wait();
                }))
                .is_ok()
            );
            assert_eq!(pool.state.lock().started, started);
        }
        let (done, names) = mpsc::channel();
        let name = move || done.send(thread::current().name().unwrap().to_owned());
        assert!(pool.submit(Box::new(move || name().unwrap())).is_ok());
        assert_eq!((pool.backlog(), pool.state.lock().started), (1, 2));
        both.wait();
        assert!(names.recv().unwrap().starts_with("loosely-pool-"));
    }

    #[test]
    fn thread_goes_on_after_a_task_that_panicked() {
        let pool = WorkerPool::new(1);
        assert!(
            pool.submit(Box::new(|| std::panic::resume_unwind(Box::new(
                "on purpose"
            ))))
            .is_ok()
        );
        let (done, told) = mpsc::channel();
        assert!(
            pool.submit(Box::new(move || done.send(()).unwrap()))
                .is_ok()
        );
        told.recv().unwrap();
    }

    #[test]
    fn stopped_pool_does_what_it_had_and_takes_no_more() {
        let pool = WorkerPool::new(1);
        let (go, gone) = mpsc::channel::<()>();
        let (done, told) = mpsc::channel();
        assert!(
            pool.submit(Box::new(move || {
                gone.recv().unwrap_err();
            }))
            .is_ok()
        );
        assert!(
            pool.submit(Box::new(move || done.send(()).unwrap()))
                .is_ok()
        );
        pool.stop();
        assert!(pool.submit(Box::new(|| ())).is_err());
        drop(go);
        told.recv().unwrap();
        assert!(told.recv().is_err(), "the thread and its tasks are gone");
    }

    #[test]
    fn pool_of_no_threads_takes_nothing() {
        assert!(WorkerPool::new(0).submit(Box::new(|| ())).is_err());
    }
}
