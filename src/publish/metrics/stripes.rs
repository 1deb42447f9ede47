//! Counters at which threads do not wait for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// `N` counters, each the sum of what every thread has added.
///
/// A thread adds to a stripe that is its own as long as it lives, so it adds by a load and a store,
/// and no cache line goes from one processor to another. Threads for which there is none share the
/// last.
pub(crate) struct Stripes<const N: usize>([Stripe<N>; SHARED + 1]);

/// Counters that fill cache lines of their own.
#[repr(align(64))]
struct Stripe<const N: usize>([AtomicU64; N]);

/// The stripe of the thread that asked.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a, const N: usize> {
    counters: &'a [AtomicU64; N],
    is_own: bool,
}

/// The number of the shared stripe: how many threads have one of their own. With it, counters take
/// a kilobyte.
const SHARED: usize = 15;

impl<const N: usize> Stripes<N> {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Stripe::default()))
    }

    /// Returns the stripe of this thread, to be used before it does anything else.
    #[inline]
    pub(super) fn here(&self) -> Here<'_, N> {
        let number = number().min(SHARED);
        Here {
            counters: &self.0[number].0,
            is_own: number < SHARED,
        }
    }

    /// Returns the sum of one counter over all threads.
    pub(super) fn sum(&self, counter: usize) -> u64 {
        let counters = self.0.iter().filter_map(|stripe| stripe.0.get(counter));
        counters.map(|it| it.load(Ordering::Relaxed)).sum()
    }
}

impl<const N: usize> Here<'_, N> {
    /// Adds to one of the counters.
    #[inline]
    pub(super) fn add(self, counter: usize, count: u64) {
        let Some(counter) = self.counters.get(counter) else {
            return;
        };
        if self.is_own {
            // Nobody else writes it.
            let sum = counter.load(Ordering::Relaxed).wrapping_add(count);
            counter.store(sum, Ordering::Relaxed);
        } else {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Returns what this stripe has of one of the counters.
    #[inline]
    pub(super) fn get(self, counter: usize) -> u64 {
        let counter = self.counters.get(counter);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl<const N: usize> Default for Stripe<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

thread_local! {
    /// The number of this thread's stripe. It has no destructor, so it can be asked to the end.
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };

    static LEASE: Lease = Lease::take();
}

const UNKNOWN: usize = usize::MAX;

/// The numbers that threads have, a bit each.
static TAKEN: Mutex<u32> = Mutex::new(0);

/// The number of a thread; given back when the thread ends.
struct Lease(usize);

#[inline]
fn number() -> usize {
    match NUMBER.get() {
        UNKNOWN => learn(),
        number => number,
    }
}

#[cold]
fn learn() -> usize {
    let number = LEASE.try_with(|lease| lease.0).unwrap_or(SHARED);
    NUMBER.set(number);
    number
}

impl Lease {
    fn take() -> Self {
        let mut taken = TAKEN.lock();
        let number = (taken.trailing_ones() as usize).min(SHARED);
        if number < SHARED {
            *taken |= 1 << number;
        }
        Self(number)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the number is another's, who sees by the lock what this thread has added.
        NUMBER.set(SHARED);
        if self.0 < SHARED {
            *TAKEN.lock() &= !(1 << self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_where_more_threads_add_than_have_a_stripe() {
        let stripes = Stripes::<2>::new();
        let all = Barrier::new(2 * SHARED);
        thread::scope(|scope| {
            for _ in 0..2 * SHARED {
                scope.spawn(|| {
                    // Each has its number while all others have theirs.
                    let here = stripes.here();
                    all.wait();
                    for _ in 0..1_000 {
                        here.add(0, 1);
                        here.add(1, 2);
                    }
                    all.wait();
                });
            }
        });
        let each = 2 * SHARED as u64 * 1_000;
        assert_eq!((stripes.sum(0), stripes.sum(1)), (each, 2 * each));
        assert_eq!(stripes.sum(2), 0);
    }

    #[test]
    fn stripe_of_a_thread_that_ended_goes_on_with_its_count() {
        let stripes = Stripes::<1>::new();
        for _ in 0..100 {
            thread::scope(|scope| {
                scope.spawn(|| stripes.here().add(0, 1));
            });
        }
        assert_eq!(stripes.sum(0), 100);
    }
}
