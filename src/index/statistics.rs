//! What an index holds, and how it helps.

use super::key::{Constant, Domain, OwnedConstant};
use super::normal::{AtomTest, Conjunction, conjunctions};
use crate::filter::Predicate;

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// How many slots there are.
    pub(crate) entries: usize,
    /// How many distinct filters they have.
    pub(crate) filters: usize,
    /// How many slots share the filter of another.
    pub(crate) shared: usize,
    /// How many conjunctions every event is checked against, as nothing in them can be looked up.
    pub(crate) always_checked: usize,
    /// How many distinct places of values the filters are about.
    pub(crate) columns: usize,
    /// How many distinct constants are looked up.
    pub(crate) symbols: usize,
    /// How many nodes the tree has, the root included.
    pub(crate) nodes: usize,
    /// About how much memory all of it takes, without what slots own.
    pub(crate) bytes: usize,
}

/// How an index helps a filter; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Help {
    /// It is found where it holds, or nearly so.
    Found,
    /// A part of it is looked up, and the rest checked where that part holds.
    Narrowed,
    /// Every event, or every one that has a value there at all, is checked against it.
    Scanned,
}

/// What a filter costs in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// In how many conjunctions it is held.
    pub(crate) conjunctions: usize,
    /// How the index helps the worst of them.
    pub(crate) help: Help,
}

/// Returns what the filter costs in an index, without an index.
pub(crate) fn cost(predicate: &Predicate) -> Cost {
    let all = conjunctions(predicate.condition());
    let help = all.iter().map(help).max().unwrap_or(Help::Found);
    Cost {
        conjunctions: all.len(),
        help,
    }
}

fn help(of: &Conjunction<'_>) -> Help {
    let tells_apart = |atom: &_| !is_presence(atom);
    match (of.rest.is_empty(), of.atoms.iter().any(tells_apart)) {
        (true, _) => Help::Found,
        (false, true) => Help::Narrowed,
        (false, false) => Help::Scanned,
    }
}

fn is_presence(atom: &super::normal::Atom<'_>) -> bool {
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
