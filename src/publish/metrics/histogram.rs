//! How long calls take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations by their size.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

/// How long calls took, as counts by size: each size is twice the one before, the smallest 64 ns,
/// the largest about 69 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latencies {
    buckets: [u64; BUCKETS],
    nanoseconds: u64,
}

/// From 2^6 ns, which no call through a subscription is much quicker than, to 2^36 ns, and one for
/// all that took longer.
const BUCKETS: usize = 32;
const SMALLEST: u32 = 6;

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            nanoseconds: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket(nanoseconds)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Latencies {
        Latencies {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            nanoseconds: self.nanoseconds.load(Ordering::Relaxed),
        }
    }
}

impl Latencies {
    /// Returns how many calls were timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns what they took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }

    /// Returns what they took on average, or `None` if none was timed.
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.nanoseconds.checked_div(self.count())?;
        Some(Duration::from_nanos(mean))
    }

    /// Returns a time within which this share of them returned, `0.99` for all but one in a
    /// hundred: the limit of their bucket, so up to twice what they took. `None` if none was timed,
    /// [`Duration::MAX`] beyond the largest limit.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let mut limits = self.buckets().skip_while(|(_, count)| {
            seen += count;
            seen < wanted
        });
        limits.next().map(|(limit, _)| limit)
    }

    /// Returns each bucket: the longest time that it counts, [`Duration::MAX`] for the last, and
    /// how many calls took no longer, but longer than the limit of the bucket before.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let limit = |bucket: usize| match bucket + 1 < BUCKETS {
            true => Duration::from_nanos(1 << (SMALLEST as usize + bucket)),
            false => Duration::MAX,
        };
        let buckets = self.buckets.iter().enumerate();
        buckets.map(move |(bucket, count)| (limit(bucket), *count))
    }
}

/// Returns the first bucket whose limit is no less.
fn bucket(nanoseconds: u64) -> usize {
    let exponent = u64::BITS - nanoseconds.saturating_sub(1).leading_zeros();
    (exponent.saturating_sub(SMALLEST) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(nanoseconds: &[u64]) -> Latencies {
        let histogram = Histogram::new();
        let all = nanoseconds.iter().copied().map(Duration::from_nanos);
        all.for_each(|took| histogram.add(took));
        histogram.read()
    }

    #[test]
    fn limit_of_a_bucket_belongs_to_it() {
        let counted = latencies(&[0, 64, 65, 128, 129, 1 << 36, (1 << 36) + 1, u64::MAX]);
        let full = counted.buckets().filter(|(_, count)| *count > 0);
        let full: Vec<_> = full.collect();
        let nanos = Duration::from_nanos;
        assert_eq!(
            full,
            [
                (nanos(64), 2),
                (nanos(128), 2),
                (nanos(256), 1),
                (nanos(1 << 36), 1),
                (Duration::MAX, 2),
            ]
        );
    }

    #[test]
    fn quantile_is_the_limit_of_the_bucket_in_which_it_lies() {
        let mut all = vec![100; 99];
        all.push(1_000_000);
        let counted = latencies(&all);
        let nanos = |n| Some(Duration::from_nanos(n));
        assert_eq!(counted.quantile(0.0), nanos(128));
        assert_eq!(counted.quantile(0.99), nanos(128));
        assert_eq!(counted.quantile(1.0), nanos(1 << 20));
        assert_eq!(counted.mean(), nanos((99 * 100 + 1_000_000) / 100));
        assert_eq!(counted.count(), 100);
    }

    #[test]
    fn of_nothing_there_is_neither_quantile_nor_mean() {
        let nothing = latencies(&[]);
        assert_eq!((nothing.quantile(0.5), nothing.mean()), (None, None));
        assert_eq!((nothing.count(), nothing.sum()), (0, Duration::ZERO));
    }
}
