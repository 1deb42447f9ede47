//! How a matched subscriber is called.

mod breaker;
mod clerk;
mod context;
mod desk;
mod failure;
mod hopeless;
mod idle;
mod journal;
mod lane;
mod letter;
mod line;
mod lingering;
mod nesting;
mod numbered;
mod parcel;
mod pausing;
mod pool;
mod queue;
mod sentry;
mod shown;
mod telling;
mod timers;
mod trigger;
mod vigil;

pub use self::breaker::BreakerState;
pub(crate) use self::breaker::{Change, Judgement, Pass, Refused};
pub(crate) use self::context::{
    Carried, Drawn, Entered, StoredFire, at_depth, carried, depth, draw, drawn, enter, enter_as,
    enter_by_id, enter_number, enter_subscription, entered_subscription, is_delivering, triggered,
};
pub use self::context::{EventContext, EventId, NESTING_LIMIT};
pub(crate) use self::desk::{Desk, Handed, Recipient, Staff};
pub use self::failure::{Delivery, DeliveryOutcome, Failure, SkipReason};
pub use self::hopeless::Hopeless;
pub use self::journal::DeadLetterCause;
pub(crate) use self::journal::Post as QueuePost;
pub(crate) use self::journal::{
    Joined, Journal, KeepPast, LastResort, LetterName, Next, QueueVerdict, Recalled, Receipt,
    Refusal, Retold,
};
pub(crate) use self::lane::{Bounds, Gap, Lane, LaneCounts, Outlet, Pushed};
pub(crate) use self::letter::Letter;
pub(crate) use self::line::Entry;
pub(crate) use self::nesting::{Held, hold, settle, wait};
pub(crate) use self::numbered::{Numbered, Numbers};
pub(crate) use self::parcel::Parcel;
pub(crate) use self::pool::{Worker, WorkerPool};
pub(crate) use self::sentry::Sentry;
pub(crate) use self::shown::{Shown, show};
pub(crate) use self::telling::Telling;
pub(crate) use self::timers::{TimerKey, Timers};
pub use self::trigger::Triggered;
pub(crate) use self::trigger::{HeldEvent, Keep, Sight, Terms, TriggerState, Verdict};
pub(crate) use self::vigil::Overseen;
