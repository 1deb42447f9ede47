//! Who receives the events of a subscription.

use std::fmt;

use super::{ComponentId, Moniker};

/// Who receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A component that the broker makes when needed.
    #[doc(alias = "SubscriberCLSID")]
    Component(ComponentId),
    /// Something that the scheme's resolver binds to.
    #[doc(alias = "SubscriberMoniker")]
    Moniker(Moniker),
    /// A live object, passed beside the record.
    #[doc(alias = "SubscriberInterface")]
    Object,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(id) => write!(f, "component {id}"),
            Self::Moniker(moniker) => write!(f, "moniker {moniker}"),
            Self::Object => f.write_str("object"),
        }
    }
}
