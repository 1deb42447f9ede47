//! Publisher objects and the pipeline of a fire.

mod asked;
mod bound_methods;
mod channel;
mod demand;
mod dynamic;
mod entry;
mod explain;
mod facet;
mod gate;
mod guarded;
mod hook;
mod indexed;
mod interest;
mod lane;
mod live;
mod order;
mod payload;
mod pipeline;
mod prepared;
mod publisher;
mod pulse;
mod registered;
mod report;
mod roster;
mod site;
mod target;

pub use self::asked::{AskedValue, AskedValues};
pub(crate) use self::channel::{AnyChannel, Channel, Surroundings, Upkeep};
pub(crate) use self::dynamic::ChannelCell;
pub use self::dynamic::DynamicPublisher;
pub(crate) use self::entry::{Added, SubscriptionEntry};
pub use self::explain::{Explained, Explanation, Stage};
pub(crate) use self::gate::Gate;
pub(crate) use self::hook::FailureHook;
pub(crate) use self::hook::Hook;
pub use self::interest::{Interest, InterestChanges, MethodInterest, ParameterInterest};
pub(crate) use self::live::LiveObject;
#[doc(hidden)]
pub use self::live::LiveTarget;
pub(crate) use self::publisher::Own;
pub use self::publisher::{Publisher, Publishes};
pub use self::report::{FireError, FireOutcome, FirePolicy, FireReport};
pub(crate) use self::roster::SECTION;
pub(crate) use self::site::{CompiledFilter, Site, Sites, compile, filter_of};
