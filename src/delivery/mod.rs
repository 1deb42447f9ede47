//! How a matched subscriber is called.

mod context;
mod failure;
mod nesting;

pub(crate) use self::context::{
    Drawn, Entered, at_depth, depth, drawn, enter, enter_as, enter_subscription,
    entered_subscription, is_delivering,
};
pub use self::context::{EventContext, EventId, NESTING_LIMIT};
pub use self::failure::{Delivery, DeliveryOutcome, Failure, SkipReason};
pub(crate) use self::nesting::{settle, wait};
