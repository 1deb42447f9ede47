//! Components: subscribers that the broker makes when an event needs them.

mod access;
mod activation;
mod builder;
mod lease;
mod making;
mod policy;
mod recipe;
mod registry;
mod session;
mod shared;
mod shelf;
mod strand;
mod sweeper;
#[cfg(test)]
mod tests;

pub use self::access::{AccessRequest, Authorizer, RoleAuthorizer};
pub(crate) use self::access::{HeldRoles, Policy, Roles, Subject};
pub use self::activation::{Activation, ActivationError};
pub use self::builder::Component;
pub(crate) use self::lease::{Activated, Lease};
pub use self::policy::{ComponentPolicy, Pool};
pub(crate) use self::recipe::{Instance, Recipe};
pub(crate) use self::registry::Registry;
pub(crate) use self::session::Sessions;
pub(crate) use self::strand::Strand;
