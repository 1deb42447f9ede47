//! How a matched subscriber is called.

mod context;
mod failure;
mod nesting;
mod shown;

pub use self::context::{EventContext, EventId, NESTING_LIMIT};
pub(crate) use self::context::{
    depth, enter, enter_subscription, entered_subscription, is_delivering,
};
pub use self::failure::{Delivery, DeliveryOutcome, Failure, SkipReason};
pub(crate) use self::nesting::{settle, wait};
pub(crate) use self::shown::show;
