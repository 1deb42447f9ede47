//! The use of an instance for one call.

use std::fmt;

use super::recipe::Instance;
use super::shared::Use;
use super::shelf::Lent;

/// An instance of a component, by the component's policy.
#[derive(Debug)]
pub(crate) enum Activated {
    /// The singleton, which stays: it may be remembered and called again.
    Kept(Instance),
    /// For one call.
    Once(Instance, Lease),
}

/// The right to one call of an instance.
///
/// It ends when it is dropped, and the next call may have the instance then: so all that was made
/// of the instance is dropped before.
#[derive(Default)]
#[must_use]
pub(crate) struct Lease(Option<Held>);

/// Where an instance goes behind the call.
enum Held {
    Shared(#[expect(dead_code, reason = "what counts is its drop")] Use),
    Lent(Lent),
}

impl Lease {
    /// Returns the lease of an instance that goes nowhere behind its call.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(super) fn of_shared(held: Use) -> Self {
        Self(Some(Held::Shared(held)))
    }

    pub(super) fn of_pooled(held: Lent) -> Self {
        Self(Some(Held::Lent(held)))
    }

    /// Says that the call panicked: an instance of a pool is not lent again. A lease that is
    /// dropped by the unwinding of the panic itself knows.
    pub(crate) fn spoil(&mut self) {
        if let Some(Held::Lent(lent)) = &mut self.0 {
            lent.spoil();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
