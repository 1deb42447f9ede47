//! The records that wire publishers to subscribers, and the names in them.

mod binding;
mod breaker;
mod class;
mod class_settings;
mod delivery_mode;
mod firing;
mod handling;
mod history;
mod id;
mod method_settings;
mod methods;
mod name;
mod problem;
mod queued;
mod quiet;
mod retry;
mod right;
mod role;
mod schedule;
mod span;
mod subscription;
mod subscription_form;
mod target;
mod trigger;

pub use self::binding::Binding;
pub(crate) use self::binding::BindingPool;
pub use self::breaker::Breaker;
pub(crate) use self::class::PUBLISHER_ID;
pub use self::class::{EventClass, Nesting, PropertyDeclaration};
pub use self::delivery_mode::{DeliveryMode, Detached, Overflow};
pub use self::firing::Firing;
pub(crate) use self::handling::Handling;
pub use self::history::{History, Start};
pub use self::id::{ComponentId, EventClassId, PublisherId, SubscriptionId};
pub use self::method_settings::{MethodSettings, Retained};
pub(crate) use self::methods::MethodNames;
pub(crate) use self::name::tree_name;
pub use self::name::{
    ClassName, InvalidName, MethodName, Moniker, ParameterName, PredicateName, Principal,
    PropertyName, PublisherFilterName, RoleName, SubscriptionName,
};
pub use self::problem::{Problem, Problems};
pub use self::queued::Queued;
pub use self::retry::Retry;
pub use self::right::Right;
pub use self::role::Role;
pub use self::schedule::{OffHours, Schedule};
pub use self::subscription::Subscription;
pub(crate) use self::subscription::{SubscriptionParts, check_per_user, check_rules, identity};
pub use self::target::Target;
pub use self::trigger::{Trigger, TriggerKind};
pub use crate::value::Revision;
