//! The records that wire publishers to subscribers, and the names in them.

mod binding;
mod class;
mod id;
mod methods;
mod name;
mod problem;
mod role;
mod subscription;
mod subscription_form;

pub use self::binding::Binding;
pub(crate) use self::binding::BindingPool;
pub use self::class::{EventClass, Nesting, PropertyDeclaration};
pub use self::id::{ComponentId, EventClassId, PublisherId, SubscriptionId};
pub(crate) use self::methods::MethodNames;
pub use self::name::{
    ClassName, InvalidName, MethodName, Moniker, PredicateName, Principal, PropertyName, RoleName,
    SubscriptionName,
};
pub use self::problem::{Problem, Problems};
pub use self::role::Role;
pub use self::subscription::{Subscription, Target};
pub(crate) use self::subscription::{SubscriptionParts, check_per_user, check_rules, identity};
pub use crate::value::Revision;
