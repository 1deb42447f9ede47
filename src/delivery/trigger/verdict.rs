//! What a trigger is told of an event, and what it says.

use std::sync::Arc;

use super::Triggered;
use crate::delivery::Parcel;
use crate::value::ValueKey;

/// An event that may be delivered later.
pub(crate) struct HeldEvent {
    pub(crate) parcel: Arc<dyn Parcel>,
    /// Its key in the subscription's lane.
    pub(crate) key: ValueKey,
}

/// What an event says about the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is true.
    Match,
    /// It is not true any more.
    End,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is delivered.
    Deliver(Option<Triggered>),
    /// It matches, and is not delivered.
    Suppressed,
    /// It does not match, and is not delivered.
    Unmatched,
    /// It may have to be delivered later: ask again with one that can be.
    Wanted,
}

/// What is to be delivered without an event, in order, and what nobody needs any more, which is to
/// be dropped where no lock is held.
#[derive(Default)]
pub(super) struct Output {
    pub(super) due: Vec<(HeldEvent, Triggered)>,
    pub(super) unused: Vec<HeldEvent>,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.unused.is_empty()
    }

    pub(super) fn deliver(&mut self, held: Option<HeldEvent>, as_what: Triggered) {
        self.due.extend(held.map(|held| (held, as_what)));
    }
}
