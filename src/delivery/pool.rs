//! Threads that deliver beside the publishers' own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::thread;
use crate::value::panic_message;

/// What a thread of the pool is to do.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// The threads of a broker that deliver.
///
/// Each is started when a task would have to wait for another, up to a limit, and lives until the
/// pool is stopped. A pool that was given nothing to do has none. Those that are held up by calls
/// that do not return do not count, up to [`MOST_HELD`] of them: others are started in their place,
/// and end when there are enough again.
///
/// The tasks that wait are in one queue, and no thread takes up a second one before it is through
/// with the first: a work-stealing pool may do so while the first waits for something of its own,
/// and a subscriber would find another one's call on its stack, inside its locks.
pub(crate) struct WorkerPool {
    name: &'static str,
    limit: usize,
    shared: Arc<Shared>,
    /// Who is told that a task has to wait.
    sentry: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What the threads know.
#[derive(Default)]
struct Shared {
    /// How many tasks were submitted and are not done.
    pending: AtomicUsize,
    /// Whether a thread ever was held up.
    was_held: AtomicBool,
    state: Mutex<State>,
}

/// The queue and who takes from it.
#[derive(Default)]
struct State {
    queue: Option<(Sender<Task>, Receiver<Task>)>,
    workers: Vec<Arc<Worker>>,
    /// How many of them are held up.
    held: usize,
    /// How many were started in all.
    started: u64,
    stopped: bool,
}

/// A thread of the pool.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// Whether it is held up by a call, and another one may be there in its place. Changed with the
    /// pool's state locked.
    held: AtomicBool,
    /// Rises with everything that it is through with.
    beats: AtomicU64,
}

/// How many threads may be held up by calls that do not return, and have others in their place: a
/// sign of something badly wrong long before, and some hundreds of megabytes of stacks at most.
pub(crate) const MOST_HELD: usize = 64;

crate::sync::thread_local! {
    /// The worker that this thread is.
    static WORKER: RefCell<Option<Arc<Worker>>> = const { RefCell::new(None) };

    /// Whether the task that it is at does not count any more.
    static FREED: Cell<bool> = const { Cell::new(false) };
}

impl WorkerPool {
    /// Returns a pool of at most `limit` threads.
    pub(crate) fn new(limit: usize) -> Self {
        Self::named("loosely-pool", limit)
    }

    /// As [`new`](Self::new), with threads of another name.
    pub(crate) fn named(name: &'static str, limit: usize) -> Self {
        Self {
            name,
            limit,
            shared: Arc::default(),
            sentry: OnceLock::new(),
        }
    }

    /// Returns how many threads there are as a rule: as many as the processors that the process may
    /// use.
    pub(crate) fn usual_limit() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// Has somebody told, with no lock held, when a task has to wait since all threads are busy.
    pub(super) fn watch(&self, sentry: Box<dyn Fn() + Send + Sync>) {
        drop(self.sentry.set(sentry));
    }

    /// Has a thread do this when one is free, in the order of submission, or gives it back: where
    /// there is none, or the pool was stopped.
    pub(crate) fn submit(&self, task: Task) -> Result<(), Task> {
        let mut state = self.shared.state.lock();
        let pending = self.pending();
        if pending >= state.workers.len() {
            self.start(&mut state);
        }
        let waits = pending >= state.workers.len();
        let submitted = self.send(&state, task);
        drop(state);
        if waits && let Some(sentry) = self.sentry.get() {
            sentry();
        }
        submitted
    }

    /// Has a thread do this at once, or gives it back where none is free.
    pub(crate) fn submit_now(&self, task: Task) -> Result<(), Task> {
        let mut state = self.shared.state.lock();
        let pending = self.pending();
        if pending >= state.workers.len() {
            self.start(&mut state);
        }
        if pending >= state.workers.len() {
            drop(state);
            return Err(task);
        }
        self.send(&state, task)
    }

    /// Puts a task into the queue. Whoever made the task drops it if it comes back: with no lock
    /// held.
    fn send(&self, state: &State, task: Task) -> Result<(), Task> {
        let Some((queue, _)) = state.queue.as_ref().filter(|_| !state.workers.is_empty()) else {
            return Err(task);
        };
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        // The pool has a receiver too, so the queue is never closed.
        queue.send(task).map_err(|unsent| unsent.0)
    }

    fn pending(&self) -> usize {
        self.shared.pending.load(Ordering::Acquire)
    }

    /// Returns how many tasks wait for a thread, more or less.
    pub(crate) fn backlog(&self) -> usize {
        let was_held = self.shared.was_held.load(Ordering::Acquire);
        let held = was_held.then(|| self.shared.state.lock().held);
        let held = held.unwrap_or_default();
        self.pending().saturating_sub(self.limit + held)
    }

    /// Has the thread, which is one of this pool's and almost through with its task, count as free:
    /// before it tells somebody who may have another for it.
    pub(crate) fn free_here(&self) {
        if !FREED.replace(true) {
            self.shared.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Returns whether all that was submitted is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending() == 0
    }

    /// Returns a number that rises with everything that a thread is through with.
    pub(super) fn beats(&self) -> u64 {
        let state = self.shared.state.lock();
        let beats = state.workers.iter();
        let beats = beats.map(|worker| worker.beats.load(Ordering::Relaxed));
        // Those that have ended do not count, but the number of those that came.
        beats.fold(state.started, u64::wrapping_add)
    }

    /// Has the thread count as held up, and others do what it would; until it is
    /// [released](Self::release), or through with its task.
    pub(crate) fn hold(&self, worker: &Worker) {
        self.shared.was_held.store(true, Ordering::Release);
        let mut state = self.shared.state.lock();
        state.hold(worker);
        self.fill_up(&mut state);
    }

    /// Has all threads that there are count as held up, and returns how many did not before.
    pub(super) fn hold_all(&self) -> usize {
        self.shared.was_held.store(true, Ordering::Release);
        let mut state = self.shared.state.lock();
        let before = state.held;
        for worker in state.workers.clone() {
            state.hold(&worker);
        }
        self.fill_up(&mut state);
        state.held - before
    }

    /// Has the thread count as one that delivers, as it goes on.
    pub(crate) fn release(&self, worker: &Worker) {
        self.shared.state.lock().release(worker);
    }

    /// Ends the threads when they have done what was submitted, and waits for none of them.
    pub(crate) fn stop(&self) {
        let mut state = self.shared.state.lock();
        state.stopped = true;
        let left = (state.queue.take(), std::mem::take(&mut state.workers));
        drop(state);
        drop(left);
    }

    /// Starts as many threads as tasks wait for, if there can be so many.
    fn fill_up(&self, state: &mut State) {
        let mut count = usize::MAX;
        while self.pending() > state.workers.len() && state.workers.len() != count {
            count = state.workers.len();
            self.start(state);
        }
    }

    /// Starts one thread more, if there can be one.
    fn start(&self, state: &mut State) {
        let most = self.limit + state.held.min(MOST_HELD);
        if state.stopped || state.workers.len() >= most {
            return;
        }
        let (_, tasks) = state.queue.get_or_insert_with(unbounded);
        let tasks = tasks.clone();
        let worker = Arc::new(Worker::default());
        let name = format!("{}-{}", self.name, state.started + 1);
        let (shared, limit) = (Arc::clone(&self.shared), self.limit);
        let itself = Arc::clone(&worker);
        let run = move || shared.work(&tasks, &itself, limit);
        if thread::Builder::new().name(name).spawn(run).is_ok() {
            state.started += 1;
            state.workers.push(worker);
        }
    }
}

impl Shared {
    /// Does task after task.
    fn work(&self, tasks: &Receiver<Task>, worker: &Arc<Worker>, limit: usize) {
        WORKER.set(Some(Arc::clone(worker)));
        while let Ok(task) = tasks.recv() {
            if worker.held.load(Ordering::Acquire) {
                // It was taken for one that is in a call.
                self.state.lock().release(worker);
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(task)) {
                drop(panic_message(payload));
            }
            worker.beat();
            let ends = self.ends(worker, limit);
            if !FREED.replace(false) {
                self.pending.fetch_sub(1, Ordering::AcqRel);
            }
            if ends {
                return;
            }
        }
    }

    /// Returns whether the thread is one too many behind a task.
    fn ends(&self, worker: &Arc<Worker>, limit: usize) -> bool {
        // There is none too many before one was held up.
        if !self.was_held.load(Ordering::Acquire) {
            return false;
        }
        let mut state = self.state.lock();
        state.release(worker);
        let is_surplus = state.workers.len() > limit + state.held.min(MOST_HELD);
        if is_surplus {
            state.workers.retain(|other| !Arc::ptr_eq(other, worker));
        }
        is_surplus
    }
}

impl State {
    fn hold(&mut self, worker: &Worker) {
        if !worker.held.swap(true, Ordering::AcqRel) {
            self.held += 1;
        }
    }

    fn release(&mut self, worker: &Worker) {
        if worker.held.swap(false, Ordering::AcqRel) {
            self.held -= 1;
        }
    }
}

impl Worker {
    /// Returns the worker that this thread is.
    pub(crate) fn current() -> Option<Arc<Self>> {
        WORKER.with_borrow(Clone::clone)
    }

    /// Says that something is done; on the thread itself, so that nobody else writes it.
    #[inline]
    pub(super) fn beat(&self) {
        let beats = self.beats.load(Ordering::Relaxed);
        self.beats.store(beats.wrapping_add(1), Ordering::Relaxed);
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
            .field("pending", &self.shared.pending)
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
        assert_eq!(pool.threads(), 0);
        let both = Arc::new(Barrier::new(3));
        for started in 1..=2 {
            let both = Arc::clone(&both);
            assert!(
                pool.submit(Box::new(move || {
                    both.wait();
                }))
                .is_ok()
            );
            assert_eq!(pool.threads(), started);
        }
        let (done, names) = mpsc::channel();
        let name = move || done.send(thread::current().name().unwrap().to_owned());
        assert!(pool.submit(Box::new(move || name().unwrap())).is_ok());
        assert_eq!((pool.backlog(), pool.threads()), (1, 2));
        both.wait();
        assert!(names.recv().unwrap().starts_with("loosely-pool-"));
    }

    impl WorkerPool {
        fn threads(&self) -> usize {
            self.shared.state.lock().workers.len()
        }
    }

    #[test]
    fn another_thread_takes_the_place_of_one_that_is_held_up_and_goes_with_it() {
        let pool = WorkerPool::new(1);
        let (tell, told) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let hung = move || {
            tell.send(Worker::current().unwrap()).unwrap();
            gone.recv().unwrap_err();
        };
        assert!(pool.submit(Box::new(hung)).is_ok());
        let worker = told.recv().unwrap();
        let (done, behind) = mpsc::channel();
        let task = |done: mpsc::Sender<()>| Box::new(move || done.send(()).unwrap());
        assert!(pool.submit(task(done.clone())).is_ok());
        assert_eq!(pool.threads(), 1);
        pool.hold(&worker);
        behind.recv().unwrap();
        assert_eq!(pool.threads(), 2);
        drop(go);
        while !pool.is_idle() {
            thread::yield_now();
        }
        assert!(pool.submit(task(done)).is_ok());
        behind.recv().unwrap();
        assert_eq!((pool.threads(), pool.shared.state.lock().held), (1, 0));
    }

    #[test]
    fn task_that_cannot_begin_at_once_is_given_back_where_that_was_asked_for() {
        let pool = WorkerPool::new(1);
        let (go, gone) = mpsc::channel::<()>();
        let hung = move || gone.recv().unwrap_err();
        assert!(pool.submit_now(Box::new(move || _ = hung())).is_ok());
        assert!(pool.submit_now(Box::new(|| ())).is_err());
        drop(go);
        while !pool.is_idle() {
            thread::yield_now();
        }
        assert!(pool.submit_now(Box::new(|| ())).is_ok());
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
        let task = Box::new(move || done.send(()).unwrap());
        assert!(pool.submit(task).is_ok());
        told.recv().unwrap();
    }

    #[test]
    fn stopped_pool_does_what_it_had_and_takes_no_more() {
        let pool = WorkerPool::new(1);
        let (go, gone) = mpsc::channel::<()>();
        let (done, told) = mpsc::channel();
        let hung = move || _ = gone.recv().unwrap_err();
        assert!(pool.submit(Box::new(hung)).is_ok());
        let task = Box::new(move || done.send(()).unwrap());
        assert!(pool.submit(task).is_ok());
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
