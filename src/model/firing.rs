//! How the subscribers of an event are called.

use serde::{Deserialize, Serialize};

/// Whether the subscribers of one event are called one after another or at the same time.
///
/// Written by people as `"serial"` or `{ parallel = { max = 4 } }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[doc(alias = "FireInParallel")]
pub enum Firing {
    /// One after another, on the publisher's thread.
    #[default]
    Serial,
    /// Several at the same time. A broker of this version refuses a class that asks for it.
    Parallel {
        /// How many at most; 1 or more.
        max: usize,
    },
}

impl Firing {
    pub(super) fn is_serial(&self) -> bool {
        *self == Self::Serial
    }
}
