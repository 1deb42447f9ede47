//! The index as a whole.

use std::sync::Arc;

use super::asked::{enter, leave};
use super::columns::ColumnTable;
use super::hash::Seed;
use super::normal::{Atom, AtomTest, Conjunction, conjunctions};
use super::pool::{FilterId, Pool};
use super::scratch::Scratch;
use super::sections::Columns;
use super::statistics::Statistics;
use super::symbols::Symbols;
use super::term::{Term, for_each_column, on_columns};
use super::tree::Tree;
use super::waiting::Search;
use crate::filter::{Condition, Predicate};

/// Filters of one event method, each with the slots of those who want what it selects.
///
/// Changed in place; a match needs it unchanged, so it stands behind a read-write lock. The event
/// is read into a [`Scratch`] before that lock is taken:
///
/// 1. [`columns`](Self::columns), under the lock or kept from the last time;
/// 2. [`Scratch::read`], without it;
/// 3. [`matches`](Self::matches), under it; [`Outdated`] says to begin again.
#[derive(Debug)]
pub(crate) struct PredicateIndex<S> {
    pub(super) columns: ColumnTable,
    pub(super) symbols: Symbols,
    pub(super) pool: Pool<S>,
    tree: Tree,
    entries: usize,
}

/// A slot in an index; valid until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId {
    filter: FilterId,
    number: u32,
}

/// The event was read for other columns than the index has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated;

impl<S> PredicateIndex<S> {
    pub(crate) fn new() -> Self {
        let seed = Seed::random();
        Self {
            columns: ColumnTable::new(seed),
            symbols: Symbols::new(seed),
            pool: Pool::new(seed),
            tree: Tree::new(),
            entries: 0,
        }
    }

    /// Adds a slot under a filter.
    pub(crate) fn insert(&mut self, predicate: &Predicate, slot: S) -> EntryId {
        let all = conjunctions(predicate.condition());
        let mut parts: Vec<_> = all.into_iter().map(|one| self.acquire(one)).collect();
        let filter = match self.pool.find(&parts) {
            Some(filter) => {
                parts.iter().for_each(|terms| self.release(terms));
                filter
            }
            None => {
                parts.iter_mut().for_each(|terms| self.sort(terms));
                let filter = self.pool.add(parts);
                for id in self.pool.parts(&filter) {
                    let terms = self.pool.terms();
                    enter(&mut self.columns, &self.symbols, &terms[*id as usize]);
                    self.tree.insert(*id, terms);
                }
                filter
            }
        };
        self.entries += 1;
        let number = self.pool.hold(filter, slot);
        EntryId { filter, number }
    }

    /// Removes a slot and returns it; `None` if it is not there any more.
    pub(crate) fn remove(&mut self, id: EntryId) -> Option<S> {
        let slot = self.pool.release(id.filter, id.number)?;
        self.entries -= 1;
        if self.pool.is_unused(id.filter) {
            for (id, terms) in self.pool.remove(id.filter) {
                self.tree.remove(id, &terms);
                leave(&mut self.columns, &self.symbols, &terms);
                self.release(&terms);
            }
        }
        if self.entries == 0 {
            // Gives back what tables and vectors keep for the next million.
            *self = Self::new();
        }
        Some(slot)
    }

    /// Returns how many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Returns what an event must be read by for the next match.
    pub(crate) fn columns(&self) -> &Arc<Columns> {
        self.columns.current()
    }

    /// Calls `visit` with the slots of all filters that select the event, each slot once, in no
    /// order.
    ///
    /// # Errors
    ///
    /// [`Outdated`] if the event was read for other columns; then nothing was visited.
    pub(crate) fn matches<'a>(
        &'a self,
        scratch: &mut Scratch,
        visit: &mut dyn FnMut(&'a [S]),
    ) -> Result<(), Outdated> {
        if !scratch.is_of(self.columns()) {
            return Err(Outdated);
        }
        scratch.resolve(&self.columns, &self.symbols);
        let Scratch {
            readings,
            live,
            found,
            wholes,
            ..
        } = &mut *scratch;
        found.clear();
        wholes.clear();
        let mut search = Search {
            terms: self.pool.terms(),
            live,
            readings,
            checks: 0,
        };
        // Found first and visited afterwards: what is behind the numbers lies all over the memory,
        // and many of these reads can be under way at once.
        self.tree
            .search(&mut search, &mut |ids| found.extend_from_slice(ids));
        let checks = search.checks;
        if live.has_lists {
            found.sort_unstable();
            found.dedup();
        }
        self.pool.visit(found, wholes, visit);
        wholes.sort_unstable();
        wholes.dedup();
        self.pool.visit_wholes(wholes, visit);
        scratch.checks = checks;
        Ok(())
    }

    /// Returns what the index holds; looks at all of it.
    pub(crate) fn statistics(&self) -> Statistics {
        let filters = self.pool.len();
        let bytes = self.columns.heap_bytes()
            + self.symbols.heap_bytes()
            + self.pool.heap_bytes()
            + self.tree.heap_bytes();
        Statistics {
            entries: self.entries,
            filters,
            shared: self.entries - filters,
            always_checked: self.tree.always_checked(self.pool.terms()),
            columns: self.columns.len(),
            symbols: self.symbols.len(),
            nodes: self.tree.node_count(),
            bytes,
        }
    }

    /// Returns the terms of a conjunction and counts the use of what they are made of.
    fn acquire(&mut self, conjunction: Conjunction<'_>) -> Box<[Term]> {
        let Conjunction { atoms, rest, .. } = conjunction;
        let mut terms = Vec::with_capacity(atoms.len() + usize::from(!rest.is_empty()));
        terms.extend(atoms.iter().map(|atom| self.acquire_atom(atom)));
        let mut column = |path: &_| self.columns.acquire(path);
        let mut rest: Vec<_> = rest.iter().map(|of| on_columns(of, &mut column)).collect();
        match rest.pop() {
            Some(one) if rest.is_empty() => terms.push(Term::Rest(Box::new(one))),
            Some(last) => {
                rest.push(last);
                terms.push(Term::Rest(Box::new(Condition::And(rest.into()))));
            }
            None => {}
        }
        terms.into()
    }

    fn acquire_atom(&mut self, atom: &Atom<'_>) -> Term {
        let attribute = self.columns.acquire_attribute(atom.path, atom.domain);
        let constants = match &atom.test {
            AtomTest::Among(constants) => constants,
            AtomTest::Within { low, high } => {
                self.columns.attribute_mut(attribute).ranges += 1;
                return Term::Within {
                    attribute,
                    low: *low,
                    high: *high,
                };
            }
        };
        let is_prefix = atom.domain.is_prefix();
        let mut symbol = |constant: &super::key::OwnedConstant| {
            let (symbols, columns) = (&mut self.symbols, &mut self.columns);
            symbols.acquire(attribute, constant.view(), columns, is_prefix)
        };
        if let [constant] = constants.as_slice() {
            let symbol = symbol(constant);
            return Term::Is { attribute, symbol };
        }
        let mut symbols: Box<[_]> = constants.iter().map(symbol).collect();
        symbols.sort_unstable();
        Term::Among { attribute, symbols }
    }

    /// Counts the use of what the terms are made of less.
    fn release(&mut self, terms: &[Term]) {
        for term in terms {
            for symbol in term.symbols() {
                self.symbols.release(*symbol, &mut self.columns);
            }
            match term {
                Term::Is { attribute, .. } | Term::Among { attribute, .. } => {
                    self.columns.release_attribute(*attribute);
                }
                Term::Within { attribute, .. } => {
                    self.columns.attribute_mut(*attribute).discount_range();
                    self.columns.release_attribute(*attribute);
                }
                Term::Rest(condition) => {
                    for_each_column(condition, &mut |column| self.columns.release(column));
                }
            }
        }
    }

    /// Brings the terms into the order in which the tree asks: what fewest filters share first,
    /// then ranges from the narrowest, then the rest.
    fn sort(&self, terms: &mut [Term]) {
        terms.sort_by_cached_key(|term| self.rank(term));
    }

    fn rank(&self, term: &Term) -> (u8, u64) {
        match term {
            Term::Is { attribute, symbol } => (0, self.share(*attribute, *symbol)),
            Term::Among { attribute, symbols } => {
                let shares = symbols.iter().map(|symbol| self.share(*attribute, *symbol));
                // It is held under each of its symbols.
                (0, 2 * shares.sum::<u64>())
            }
            Term::Within { low, high, .. } => (1, high - low),
            Term::Rest(_) => (2, 0),
        }
    }

    /// Returns which share of the attribute's filters have the symbol, in millionths; of an
    /// attribute with few filters nothing is known.
    fn share(&self, attribute: u32, symbol: u32) -> u64 {
        let uses = u64::from(self.symbols.uses(symbol)) + 1;
        uses * 1_000_000 / (u64::from(self.columns.attribute(attribute).terms) + 10)
    }
}
