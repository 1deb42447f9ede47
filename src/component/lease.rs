//! The use of an instance for one call.

use std::fmt;

use super::recipe::Instance;

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
/// It ends when it is dropped, and the next call may have the instance then: so all that was made of
/// the instance is dropped before.
#[derive(Default)]
#[must_use]
pub(crate) struct Lease;

impl Lease {
    /// Returns the lease of an instance that goes nowhere behind its call.
    pub(crate) fn none() -> Self {
        Self
    }

    /// Says that the call panicked.
    pub(crate) fn spoil(&mut self) {}
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
