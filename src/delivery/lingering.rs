//! Waiting for what will be there in a moment.

use crate::sync::thread;

/// Waits a moment for `is_ready`, which is sooner true than a thread has gone to sleep and is woken
/// where publisher and subscriber are at it at the same time.
pub(super) fn linger(is_ready: impl Fn() -> bool) {
    for _ in 0..LINGER {
        if is_ready() {
            return;
        }
        thread::yield_now();
    }
}

/// Waits a moment while `count` rises, unless somebody else waits: a thread that comes for each
/// event alone has the publisher wait for the lane at each.
pub(super) fn gather(count: impl Fn() -> usize, others_wait: impl Fn() -> bool) {
    let mut before = count();
    for _ in 0..LINGER / 2 {
        if before == 0 || before >= GATHERED || others_wait() {
            return;
        }
        thread::yield_now();
        let now = count();
        if now == before {
            return;
        }
        before = now;
    }
}

/// How many events are worth it to come for them.
const GATHERED: usize = 16;

/// Some microseconds, about what it takes to wake a thread.
const LINGER: usize = 16;
