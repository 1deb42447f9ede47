//! The same work on several threads at once.

use std::hint;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Does so many iterations on each of some threads at the same time, and returns what a thread took
/// on average.
///
/// `worker` is called once on each thread and returns what does one iteration; its first one is not
/// measured, as it may set up what belongs to the thread.
pub fn on_threads<W: FnMut()>(
    threads: usize,
    iterations: u64,
    worker: impl Fn() -> W + Sync,
) -> Duration {
    let ready = AtomicUsize::new(0);
    let work = || {
        let mut once = worker();
        once();
        // A thread woken by the system would begin when the others are half done.
        ready.fetch_add(1, Ordering::AcqRel);
        while ready.load(Ordering::Acquire) < threads {
            hint::spin_loop();
        }
        let begin = Instant::now();
        for _ in 0..iterations {
            once();
        }
        begin.elapsed()
    };
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let taken = running.into_iter().map(thread::ScopedJoinHandle::join);
        taken
            .map(|taken| taken.unwrap_or_else(|payload| resume_unwind(payload)))
            .sum()
    });
    total / u32::try_from(threads).unwrap_or(u32::MAX)
}
