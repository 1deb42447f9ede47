//! What one may be allowed to do with an event class.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a class allows to those who have a role.
///
/// In COM+ a class has roles as every configured component has: whoever has one may call it
/// ("COM+ Events Security Considerations").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Right {
    /// To change the class, or to remove it.
    Define,
    /// To be called for its events: to store and to remove subscriptions of one's own to it.
    Subscribe,
    /// To fire its events.
    Publish,
    /// To change, to switch and to remove the subscriptions of others to it.
    Administer,
    /// To find the class and the subscriptions to it.
    Read,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Define => "define",
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::Administer => "administer",
            Self::Read => "read",
        })
    }
}
