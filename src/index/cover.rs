//! What ranges hold together.

use smallvec::SmallVec;

use super::key::Domain;

/// Spans of keys in their order, with a key between each two; a few at most, so that where there
/// are more, those next to each other are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    spans: Vec<Span>,
}

/// The keys between two, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// What the ranges of one attribute hold together, and maybe more: it grows as ranges come, and
/// what those held that went is found by looking at all again.
#[derive(Debug, Default)]
pub(super) struct Cover {
    /// Nothing is known before all ranges were looked at once.
    state: State,
    /// How many ranges went since they were looked at.
    gone: u32,
    /// Where all are being looked at: what came since that began, and how many went.
    since: Option<(Spans, u32)>,
}

#[derive(Debug)]
enum State {
    Unknown,
    Known(Spans),
}

/// Ranges that were found while all are looked at, by their domain.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    domains: SmallVec<[(Domain, Spans); 1]>,
}

impl Spans {
    /// Adds the keys of one more span.
    pub(super) fn add(&mut self, Span { low, high }: Span) {
        // Those that it meets, or comes next to.
        let from = self
            .spans
            .partition_point(|span| span.high.saturating_add(1) < low);
        let to = self
            .spans
            .partition_point(|span| span.low <= high.saturating_add(1));
        let Some(met) = self.spans.get_mut(from..to).filter(|met| !met.is_empty()) else {
            self.spans.insert(from, Span { low, high });
            if self.spans.len() > MOST {
                self.coarsen();
            }
            return;
        };
        let last = met[met.len() - 1].high;
        met[0].low = met[0].low.min(low);
        met[0].high = last.max(high);
        self.spans.drain(from + 1..to);
    }

    /// Returns whether the key is in one of the spans.
    pub(super) fn hold(&self, key: u64) -> bool {
        let at = self.spans.partition_point(|span| span.high < key);
        self.spans.get(at).is_some_and(|span| span.low <= key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> {
        self.spans.iter().copied()
    }

    /// Joins half of the spans with those that they are closest to.
    fn coarsen(&mut self) {
        let gap = |two: &[Span]| two[1].low - two[0].high;
        let mut gaps: Vec<_> = self.spans.windows(2).map(gap).collect();
        let closed = gaps.len() / 2;
        let (lesser, limit, _) = gaps.select_nth_unstable(closed);
        let limit = *limit;
        let mut equal = closed - lesser.iter().filter(|gap| **gap < limit).count();
        self.spans.dedup_by(|next, span| {
            let gap = next.low - span.high;
            let joined = gap < limit || (gap == limit && equal > 0);
            if joined {
                equal -= usize::from(gap == limit);
                span.high = next.high;
            }
            joined
        });
    }
}

impl Cover {
    /// Returns what no range is known of before all are looked at.
    pub(super) fn unknown() -> Self {
        Self {
            state: State::Unknown,
            ..Self::default()
        }
    }

    /// Returns spans that hold every key of a range, and those of ranges that went since all were
    /// looked at; `None` if these are more than `gone`, so that all should be looked at again.
    pub(super) fn spans(&self, gone: u32) -> Option<&Spans> {
        self.known().filter(|_| self.gone <= gone)
    }

    fn known(&self) -> Option<&Spans> {
        match &self.state {
            State::Unknown => None,
            State::Known(spans) => Some(spans),
        }
    }

    /// Takes in a range that came.
    pub(super) fn enter(&mut self, span: Span) {
        if let State::Known(spans) = &mut self.state {
            spans.add(span);
        }
        if let Some((spans, _)) = &mut self.since {
            spans.add(span);
        }
    }

    /// Notes that a range went.
    pub(super) fn leave(&mut self) {
        self.gone = self.gone.saturating_add(1);
        if let Some((_, gone)) = &mut self.since {
            *gone = gone.saturating_add(1);
        }
    }

    /// Notes what comes from now on, as all are being looked at.
    pub(super) fn begin(&mut self) {
        self.since = Some((Spans::default(), 0));
    }

    /// Takes over what was found; if it did not see the beginning, nothing.
    pub(super) fn end(&mut self, mut found: Spans) {
        let Some((since, gone)) = self.since.take() else {
            return;
        };
        since.iter().for_each(|span| found.add(span));
        found.spans.shrink_to_fit();
        self.state = State::Known(found);
        self.gone = gone;
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let since = self.since.as_ref().map(|(spans, _)| spans);
        let spans = self.known().into_iter().chain(since);
        spans
            .map(|of| of.spans.capacity() * size_of::<Span>())
            .sum()
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Known(Spans::default())
    }
}

impl Collected {
    pub(super) fn add(&mut self, domain: Domain, span: Span) {
        self.of(domain).add(span);
    }

    pub(super) fn take(&mut self, domain: Domain) -> Spans {
        std::mem::take(self.of(domain))
    }

    fn of(&mut self, domain: Domain) -> &mut Spans {
        let known = self.domains.iter().position(|(of, _)| *of == domain);
        let at = known.unwrap_or_else(|| {
            self.domains.push((domain, Spans::default()));
            self.domains.len() - 1
        });
        &mut self.domains[at].1
    }
}

/// The most spans of an attribute: 16 KiB, and more than anybody wants to read.
/// Small under test, so that few reach what many do.
const MOST: usize = if cfg!(test) { 8 } else { 1_000 };

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(all: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        all.iter().for_each(|(low, high)| {
            spans.add(Span {
                low: *low,
                high: *high,
            })
        });
        spans
    }

    fn pairs(of: &Spans) -> Vec<(u64, u64)> {
        of.iter().map(|span| (span.low, span.high)).collect()
    }

    #[test]
    fn spans_that_meet_or_are_next_to_each_other_are_one() {
        let all = spans(&[(10, 20), (30, 40), (50, 60), (21, 29), (45, 55), (0, 3)]);
        assert_eq!(pairs(&all), [(0, 3), (10, 40), (45, 60)]);
        for (key, held) in [(0, true), (4, false), (10, true), (41, false), (61, false)] {
            assert_eq!(all.hold(key), held, "{key}");
        }
        assert_eq!(
            pairs(&spans(&[(5, 5), (0, u64::MAX), (7, 9)])),
            [(0, u64::MAX)]
        );
    }

    #[test]
    fn many_spans_become_few_that_hold_all_of_them() {
        let all: Vec<_> = (0..500_u64)
            .map(|at| (at * 7_919 % 500 * 10, at * 7_919 % 500 * 10 + 3))
            .collect();
        let few = spans(&all);
        assert!(few.iter().count() <= MOST);
        assert!(
            all.iter()
                .all(|(low, high)| few.hold(*low) && few.hold(*high))
        );
    }

    #[test]
    fn closest_spans_are_joined_first() {
        let near: Vec<_> = (0..MOST as u64).map(|at| (at * 10, at * 10 + 8)).collect();
        let mut all = spans(&near);
        all.add(Span {
            low: 1_000_000,
            high: 1_000_001,
        });
        assert!(!all.hold(500_000) && all.hold(1_000_000));
    }

    #[test]
    fn range_that_comes_while_all_are_looked_at_is_not_lost() {
        let mut cover = Cover::unknown();
        assert!(cover.spans(9).is_none());
        cover.begin();
        cover.enter(Span { low: 5, high: 6 });
        cover.leave();
        cover.end(spans(&[(1, 2)]));
        assert_eq!(cover.spans(1).map(pairs), Some(vec![(1, 2), (5, 6)]));
        assert!(cover.spans(0).is_none());
        cover.begin();
        cover.end(spans(&[(5, 6)]));
        assert_eq!(cover.spans(0).map(pairs), Some(vec![(5, 6)]));
    }
}
