//! How a matched subscriber is called.

mod context;
mod failure;

pub(crate) use self::context::{Entered, enter, enter_subscription, is_delivering};
pub use self::context::{EventContext, EventId, NESTING_LIMIT};
pub use self::failure::{Delivery, DeliveryOutcome, Failure, SkipReason};
