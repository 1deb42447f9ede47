//! What one may be allowed to do with an event class.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a class allows to those who have a role.
///
/// Subscriptions whose class is not known concern none: to store them, to change those of others
/// and to find them takes the same right where no class is concerned.
///
/// In COM+ a class has roles as every configured component has: whoever has one may call it
/// ("COM+ Events Security Considerations").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Right {
    /// To make the class, to change it, to remove it. Where no class is concerned: to define and to
    /// remove roles, and to remove a class that cannot be read.
    Define,
    /// To be called for its events: to store and to remove subscriptions of one's own to it.
    Subscribe,
    /// To fire its events.
    Publish,
    /// To change, to switch and to remove the subscriptions of others to it. Where no class is
    /// concerned: to log others on, to remove a subscription that cannot be read, and to write to a
    /// [`Tree`](crate::Tree).
    Administer,
    /// To find the class and the subscriptions to it. Where no class is concerned: to read a
    /// [`Tree`](crate::Tree).
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
