//! How a matched subscriber is called.

mod context;
mod failure;
mod nesting;
mod numbered;

pub use self::context::{EventContext, EventId, NESTING_LIMIT};
pub(crate) use self::context::{
    depth, enter, enter_by_id, enter_number, enter_subscription, entered_subscription,
    is_delivering,
};
pub use self::failure::{Delivery, DeliveryOutcome, Failure, SkipReason};
pub(crate) use self::nesting::{settle, wait};
pub(crate) use self::numbered::{Numbered, Numbers};
