//! Conjunctions that are checked one by one.

use super::live::Live;
use super::reading::Reading;
use super::term::Term;

/// A conjunction that is checked, and what tells at once that most do not hold: the terms are
/// elsewhere in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) id: u32,
    guard: Guard,
}

/// What must hold if a conjunction does.
#[derive(Debug, Clone, Copy)]
enum Guard {
    /// The symbol; `last` says that nothing else must hold.
    Is {
        last: bool,
        attribute: u32,
        symbol: u32,
    },
    /// The upper half of the key lies between these, both included.
    Within { attribute: u32, low: u32, high: u32 },
    /// What takes a look at the terms.
    Unknown,
}

/// What an event is searched with.
pub(super) struct Search<'a> {
    pub(super) terms: &'a [Box<[Term]>],
    pub(super) live: &'a Live,
    pub(super) readings: &'a Vec<Reading>,
    /// How many conjunctions were checked term by term.
    pub(super) checks: u64,
}

impl Waiting {
    /// Returns the conjunction with these terms as it waits where the first `depth` hold.
    pub(super) fn new(id: u32, terms: &[Term], depth: usize) -> Self {
        let guard = terms.get(depth).map_or(Guard::Unknown, |term| {
            Guard::of(term, depth + 1 == terms.len())
        });
        Self { id, guard }
    }
}

impl Guard {
    fn of(term: &Term, last: bool) -> Self {
        let half = |key: u64| (key >> 32) as u32;
        match term {
            Term::Is { attribute, symbol } => Self::Is {
                last,
                attribute: *attribute,
                symbol: *symbol,
            },
            Term::Within {
                attribute,
                low,
                high,
            } => Self::Within {
                attribute: *attribute,
                low: half(*low),
                high: half(*high),
            },
            Term::Among { .. } | Term::Rest(_) => Self::Unknown,
        }
    }
}

impl Search<'_> {
    /// Returns whether the conjunction holds, of which `depth` terms are known to.
    pub(super) fn admits(&mut self, waiting: &Waiting, depth: usize) -> bool {
        match waiting.guard {
            Guard::Is {
                last,
                attribute,
                symbol,
            } => {
                let depth = depth + 1;
                self.live.has(attribute, symbol) && (last || self.holds(waiting.id, depth))
            }
            Guard::Within {
                attribute,
                low,
                high,
            } => {
                let key = self.live.key(attribute);
                let half = key.map(|key| (key >> 32) as u32);
                half.is_some_and(|half| (low..=high).contains(&half))
                    && self.holds(waiting.id, depth)
            }
            Guard::Unknown => self.holds(waiting.id, depth),
        }
    }

    /// As [`admits`](Self::admits), by the terms alone.
    pub(super) fn holds(&mut self, id: u32, depth: usize) -> bool {
        self.checks += 1;
        let mut rest = self.terms[id as usize][depth..].iter();
        rest.all(|term| term.holds(self.live, self.readings))
    }
}
