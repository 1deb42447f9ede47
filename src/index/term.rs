//! The terms of a conjunction, with names and constants as numbers.

use std::fmt::Write;

use super::hash::Mixer;
use super::live::Live;
use super::reading::Reading;
use crate::filter::{Comparison, Condition, Path, Root};

/// A part of a conjunction.
#[derive(Debug, PartialEq)]
pub(super) enum Term {
    /// The attribute has the symbol.
    Is { attribute: u32, symbol: u32 },
    /// The attribute has one of the symbols.
    Among { attribute: u32, symbols: Box<[u32]> },
    /// The key of the attribute lies between these, both included.
    Within { attribute: u32, low: u64, high: u64 },
    /// What no attribute stands for; its paths are columns.
    Rest(Box<Condition>),
}

impl Term {
    /// Returns whether it holds for an event.
    pub(super) fn holds(&self, live: &Live, readings: &Vec<Reading>) -> bool {
        match self {
            Self::Is { attribute, symbol } => live.has(*attribute, *symbol),
            Self::Among { attribute, symbols } => {
                let live = live.symbols(*attribute);
                live.iter().any(|symbol| symbols.contains(symbol))
            }
            Self::Within {
                attribute,
                low,
                high,
            } => live
                .key(*attribute)
                .is_some_and(|key| (*low..=*high).contains(&key)),
            Self::Rest(condition) => condition.evaluate(readings) == Some(true),
        }
    }

    /// Returns the symbols.
    pub(super) fn symbols(&self) -> &[u32] {
        match self {
            Self::Is { symbol, .. } => std::slice::from_ref(symbol),
            Self::Among { symbols, .. } => symbols,
            Self::Within { .. } | Self::Rest(_) => &[],
        }
    }

    /// Returns the attribute, which a rest does not have.
    pub(super) fn attribute(&self) -> Option<u32> {
        match self {
            Self::Is { attribute, .. }
            | Self::Among { attribute, .. }
            | Self::Within { attribute, .. } => Some(*attribute),
            Self::Rest(_) => None,
        }
    }

    pub(super) fn hash(&self, mixer: Mixer) -> u64 {
        let mixer = match self {
            Self::Is { attribute, symbol } => mixer.word(*attribute).word(*symbol),
            Self::Among { attribute, symbols } => {
                let start = mixer.word(*attribute);
                symbols
                    .iter()
                    .fold(start, |mixer, symbol| mixer.word(*symbol))
            }
            Self::Within {
                attribute,
                low,
                high,
            } => mixer.word(*attribute).word(*low).word(*high),
            Self::Rest(condition) => {
                let mut mixer = mixer;
                // A condition has no hash, as floats have none; its text has. Writing cannot fail.
                let _ = write!(mixer, "{condition:?}");
                mixer
            }
        };
        mixer.finish()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Is { .. } | Self::Within { .. } => 0,
            Self::Among { symbols, .. } => size_of_val(&**symbols),
            Self::Rest(condition) => condition_bytes(condition),
        }
    }
}

/// Returns whether both are the same conjunction, in whatever order.
pub(super) fn same_terms(a: &[Term], b: &[Term]) -> bool {
    a.len() == b.len() && a.iter().all(|term| b.contains(term))
}

/// Returns the condition with each path replaced by the column that `column` returns for it.
pub(super) fn on_columns(of: &Condition, column: &mut impl FnMut(&Path) -> u32) -> Condition {
    let mut place = |path: &Path| Path {
        root: Root::Index(column(path) as usize),
        steps: Box::default(),
    };
    match of {
        Condition::Constant(value) => Condition::Constant(*value),
        Condition::Not(inner) => Condition::Not(Box::new(on_columns(inner, column))),
        Condition::And(all) => Condition::And(each_on_columns(all, column)),
        Condition::Or(all) => Condition::Or(each_on_columns(all, column)),
        Condition::Test { path, test } => Condition::Test {
            path: place(path),
            test: test.clone(),
        },
        Condition::Compare(of) => Condition::Compare(Box::new(Comparison {
            left: place(&of.left),
            op: of.op,
            right: place(&of.right),
            collation: of.collation,
        })),
    }
}

fn each_on_columns(all: &[Condition], column: &mut impl FnMut(&Path) -> u32) -> Box<[Condition]> {
    all.iter().map(|one| on_columns(one, column)).collect()
}

/// Calls `visit` with each column of a condition on columns, as often as it occurs.
pub(super) fn for_each_column(of: &Condition, visit: &mut impl FnMut(u32)) {
    let mut of_path = |path: &Path| {
        if let Root::Index(index) = path.root {
            // It was made of such a number.
            visit(u32::try_from(index).unwrap_or(u32::MAX));
        }
    };
    match of {
        Condition::Constant(_) => {}
        Condition::Test { path, .. } => of_path(path),
        Condition::Compare(of) => {
            of_path(&of.left);
            of_path(&of.right);
        }
        Condition::Not(inner) => for_each_column(inner, visit),
        Condition::And(all) | Condition::Or(all) => {
            all.iter().for_each(|one| for_each_column(one, visit));
        }
    }
}

/// Returns about how much memory the condition takes; constants of tests are left out.
fn condition_bytes(of: &Condition) -> usize {
    let inner = match of {
        Condition::Constant(_) | Condition::Test { .. } | Condition::Compare(_) => 0,
        Condition::Not(inner) => condition_bytes(inner),
        Condition::And(all) | Condition::Or(all) => all.iter().map(condition_bytes).sum(),
    };
    size_of::<Condition>() + inner
}
