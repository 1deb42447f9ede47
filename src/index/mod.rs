//! The predicate index: which of a million filters select an event, at a cost that follows how many
//! do.
//!
//! - [`normal`]: a filter becomes conjunctions of atoms, at most a few; what no atom stands for is
//!   a rest that is checked where the atoms hold.
//! - [`columns`], [`sections`], [`symbols`], [`key`]: places of values and constants become
//!   numbers. A constant that no filter mentions has none, which ends most searches; a value that
//!   has an order has a key.
//! - [`pool`], [`sharers`]: identical filters are one, with all their slots in one slice.
//! - [`tree`], [`ranges`], [`ordered`], [`waiting`]: conjunctions are found by the symbols of an
//!   event, the rarest first, and by the ranges that hold its keys; the last few are checked one by
//!   one.
//! - [`asked`], [`cover`], [`bounds`]: what all filters together ask for at one place of an event.
//! - [`scratch`], [`reading`], [`live`]: the event, copied out of the user's own types before a
//!   lock is taken.
//!
//! It stands on values and filters alone, and gives the answers that evaluating each filter would.

mod asked;
mod bounds;
mod columns;
mod cost;
mod cover;
pub mod door;
mod hash;
mod key;
mod live;
mod normal;
mod ordered;
mod pool;
mod predicate_index;
mod ranges;
mod reading;
mod scratch;
mod sections;
mod sharers;
mod statistics;
mod symbols;
mod term;
#[cfg(test)]
mod tests;
mod tree;
mod waiting;

pub(crate) use self::asked::{AskedConstant, Uncovered};
pub(crate) use self::bounds::KeyRange;
pub use self::cost::{FilterCost, IndexHelp};
pub(crate) use self::cover::Collected;
pub(crate) use self::predicate_index::{EntryId, PredicateIndex};
pub(crate) use self::scratch::Scratch;
pub(crate) use self::sections::Columns;
