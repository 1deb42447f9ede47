//! The index for the benches, which are another package; not part of the public interface.

use std::sync::Arc;

use super::{Columns, EntryId, FilterCost, IndexHelp, PredicateIndex, Scratch};
use crate::filter::{EventRow, Filter, FilterError, Predicate, Scope, check};
use crate::value::{EventMethod, Properties, ValueRef};

/// An index with numbers as slots.
#[derive(Debug)]
pub struct Index(PredicateIndex<u32>);

/// Filter criteria, checked against a method.
#[derive(Debug)]
pub struct Criteria(Predicate);

/// A number in an index.
#[derive(Debug, Clone, Copy)]
pub struct Entry(EntryId);

/// What an event is read by.
#[derive(Debug, Clone)]
pub struct Places(Arc<Columns>);

/// An event that was read, and room for a match.
#[derive(Debug, Default)]
pub struct Reader(Scratch);

/// The sizes of an index.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Numbers.
    pub entries: usize,
    /// Distinct filters.
    pub filters: usize,
    /// Numbers that share the filter of another.
    pub shared: usize,
    /// Conjunctions that every event is checked against.
    pub always_checked: usize,
    /// Places of values.
    pub columns: usize,
    /// Constants.
    pub symbols: usize,
    /// Nodes of the tree.
    pub nodes: usize,
    /// About how much memory it takes, as the index counts it.
    pub bytes: usize,
}

impl Criteria {
    /// Returns the criteria, checked.
    ///
    /// # Errors
    ///
    /// Those of [`Filter::matches`].
    pub fn check(filter: &Filter, method: &EventMethod) -> Result<Self, FilterError> {
        check(filter, &Scope::for_method(method)).map(Self)
    }

    /// Returns whether they select an event with these values, as a scan would ask.
    pub fn select(&self, values: &[ValueRef<'_>]) -> bool {
        let publisher = &Properties::new();
        self.0.evaluate(&EventRow { values, publisher }) == Some(true)
    }

    /// Returns how many conjunctions they are, and whether an index helps at all.
    pub fn cost(&self) -> (usize, bool) {
        let cost = FilterCost::of(&self.0);
        (cost.conjunctions(), cost.help() < IndexHelp::Scanned)
    }
}

impl Index {
    /// Returns an index without entries.
    pub fn new() -> Self {
        Self(PredicateIndex::new())
    }

    /// Adds a number.
    pub fn insert(&mut self, criteria: &Criteria, number: u32) -> Entry {
        Entry(self.0.insert(&criteria.0, number))
    }

    /// Removes a number.
    pub fn remove(&mut self, entry: Entry) -> Option<u32> {
        self.0.remove(entry.0)
    }

    /// Returns what an event must be read by.
    pub fn places(&self) -> Places {
        Places(Arc::clone(self.0.columns()))
    }

    /// Calls `visit` with the numbers of all criteria that select the event; returns whether the
    /// event was read for this index as it is now, without which nothing is visited.
    #[must_use]
    pub fn matches(&self, reader: &mut Reader, visit: &mut dyn FnMut(&[u32])) -> bool {
        self.0.matches(&mut reader.0, visit).is_ok()
    }

    /// Returns what the index holds.
    pub fn sizes(&self) -> Sizes {
        let of = self.0.statistics();
        Sizes {
            entries: of.entries,
            filters: of.filters,
            shared: of.shared,
            always_checked: of.always_checked,
            columns: of.columns,
            symbols: of.symbols,
            nodes: of.nodes,
            bytes: of.bytes,
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Copies the values of an event.
    pub fn read(&mut self, places: &Places, values: &[ValueRef<'_>]) {
        let publisher = &Properties::new();
        self.0.read(&places.0, &EventRow { values, publisher });
    }

    /// Returns how many conjunctions the last match checked term by term.
    pub fn checks(&self) -> u64 {
        self.0.checks()
    }
}
