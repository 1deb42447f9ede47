//! What a filter costs where it is one of many.

use std::fmt;

use super::key::{Constant, Domain, OwnedConstant};
use super::normal::{Atom, AtomTest, Conjunction, conjunctions};
use crate::filter::Predicate;

/// What a filter costs where it is one of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterCost {
    conjunctions: usize,
    help: IndexHelp,
}

/// How the index helps a filter; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IndexHelp {
    /// It is found where it is true, or nearly so: it costs nothing where it is not.
    Found,
    /// A part of it is looked up, and the rest checked where that part is true.
    Narrowed,
    /// Every event, or every one that has a value there at all, is checked against it.
    Scanned,
}

impl FilterCost {
    /// Returns what a filter costs in an index, without an index.
    pub(crate) fn of(predicate: &Predicate) -> Self {
        let all = conjunctions(predicate.condition());
        let help = all.iter().map(help).max();
        Self {
            conjunctions: all.len(),
            help: help.unwrap_or(IndexHelp::Found),
        }
    }

    /// Returns the cost of what costs most.
    pub(crate) fn of_worst<'a>(predicates: impl Iterator<Item = &'a Predicate>) -> Option<Self> {
        let costs = predicates.map(Self::of);
        costs.max_by_key(|cost| (cost.help, cost.conjunctions))
    }

    /// Returns in how many parts, joined by OR, the index keeps the filter.
    pub fn conjunctions(&self) -> usize {
        self.conjunctions
    }

    /// Returns how the index helps the worst of them.
    pub fn help(&self) -> IndexHelp {
        self.help
    }
}

impl fmt::Display for FilterCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.help {
            IndexHelp::Found => "it is looked up where it is true",
            IndexHelp::Narrowed => "a part of it is looked up, the rest is checked",
            IndexHelp::Scanned => "it names no value to look up, and every event is checked",
        })
    }
}

fn help(of: &Conjunction<'_>) -> IndexHelp {
    let tells_apart = |atom: &_| !is_presence(atom);
    match (of.rest.is_empty(), of.atoms.iter().any(tells_apart)) {
        (true, _) => IndexHelp::Found,
        (false, true) => IndexHelp::Narrowed,
        (false, false) => IndexHelp::Scanned,
    }
}

fn is_presence(atom: &Atom<'_>) -> bool {
    let AtomTest::Among(constants) = &atom.test else {
        return false;
    };
    match atom.domain {
        Domain::Presence => constants.contains(&Constant::Present),
        // Every text begins with the empty one.
        Domain::Prefix | Domain::FoldedPrefix => {
            let empty = |constant: &OwnedConstant| constant.view() == Constant::Text(b"");
            constants.iter().any(empty)
        }
        _ => false,
    }
}
