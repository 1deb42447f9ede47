//! Components: subscribers that the broker makes when an event needs them.

mod activation;
mod registry;

pub use self::activation::{Activation, ActivationError};
pub use self::registry::{Component, ComponentPolicy};
pub(crate) use self::registry::{Instance, Recipe, Registry};
