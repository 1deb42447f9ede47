//! What is known of keys, as it goes to another broker and comes back.

use std::time::Instant;

use super::{HeldEvent, Machine, Output, Rule, State};

/// A state as it is kept, without its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delivery::trigger) enum Memory {
    True,
    Waits { due: Instant },
    Counted { since: Instant, count: u32 },
}

impl Machine {
    /// Returns what is known, of the keys that were used least recently first.
    pub(in crate::delivery::trigger) fn memories(
        &self,
    ) -> impl Iterator<Item = (&[u8], Memory, Option<&HeldEvent>)> {
        self.keys.iter().map(|(key, state)| match state {
            State::True => (key, Memory::True, None),
            State::Waits { due, held } => (key, Memory::Waits { due: *due }, held.as_ref()),
            State::Counted { since, count } => {
                let (since, count) = (*since, *count);
                (key, Memory::Counted { since, count }, None)
            }
        })
    }

    /// Takes note of what was known, of the keys that were used least recently first.
    pub(in crate::delivery::trigger) fn remember(
        &mut self,
        key: &[u8],
        memory: Memory,
        held: Option<HeldEvent>,
        out: &mut Output,
    ) {
        let state = match (self.rule, memory) {
            (Rule::Edge { .. }, Memory::True) => State::True,
            (
                Rule::Edge {
                    lasting: Some(_), ..
                }
                | Rule::Absence(_),
                Memory::Waits { due },
            ) => State::Waits { due, held },
            (Rule::Limit { .. }, Memory::Counted { since, count }) => {
                State::Counted { since, count }
            }
            _ => return,
        };
        if self.keys.find(key).is_none() {
            let due = match &state {
                State::Waits { due, .. } => Some(*due),
                _ => None,
            };
            self.insert_due(key, state, due, out);
        }
    }
}
