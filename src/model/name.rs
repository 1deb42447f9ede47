//! Names that were checked once, where they came in.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in characters; COM+'s own limit for names and descriptions (MS-COMEV 2.2.2.1).
const LONGEST: usize = 255;

/// A name that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} {rule}")]
pub struct InvalidName {
    kind: &'static str,
    name: String,
    rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                name.as_str().try_into()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(name: &str) -> Result<Self, InvalidName> {
                match $check(name) {
                    Ok(()) => Ok(Self(name.into())),
                    Err(rule) => {
                        let name = name.to_owned();
                        Err(InvalidName { kind: $kind, name, rule })
                    }
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The name of an event class: 1 to 255 characters, none a control character, no space at
    /// either end.
    ClassName, "the class name", free_text;
    /// The name of a subscription: 1 to 255 characters, none a control character, no space at
    /// either end.
    SubscriptionName, "the subscription name", free_text;
    /// The name of somebody who owns records: 1 to 255 characters, none a control character, no
    /// space at either end.
    #[doc(alias("OwnerSID", "UserName"))]
    Principal, "the principal", free_text;
    /// The name of a role: 1 to 255 characters, none a control character, no space at either end.
    RoleName, "the role name", free_text;
    /// The name under which a predicate is registered: 1 to 255 characters, none a control
    /// character, no space at either end.
    PredicateName, "the predicate name", free_text;
    /// The name under which a publisher filter is registered: 1 to 255 characters, none a control
    /// character, no space at either end.
    PublisherFilterName, "the publisher filter's name", free_text;
    /// The name of an event method: 1 to 255 letters, digits, `_` and `-`.
    MethodName, "the method name", identifier;
    /// The name of a parameter of an event method: 1 to 255 letters, digits, `_` and `-`.
    ParameterName, "the parameter name", identifier;
    /// The name of a publisher property: 1 to 255 letters, digits, `_` and `-`.
    PropertyName, "the property name", identifier;
}

/// Returns the name of a tree: 1 to 255 characters, none a control character, no space at either
/// end. The keys of trees lean on there being no 0x00.
pub(crate) fn tree_name(name: &str) -> Result<Arc<str>, InvalidName> {
    match free_text(name) {
        Ok(()) => Ok(name.into()),
        Err(rule) => Err(InvalidName {
            kind: "the tree name",
            name: name.to_owned(),
            rule,
        }),
    }
}

impl SubscriptionName {
    /// Returns the text for keeping without a copy.
    pub(super) fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

/// The name of a target that is not a component: `scheme:rest`, where the scheme is a letter and
/// then letters, digits, `+`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moniker {
    // Without the place of the colon, which is found again where it is asked for: a subscription
    // holds a moniker in place.
    text: Box<str>,
}

impl Moniker {
    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns what stands before the colon.
    pub fn scheme(&self) -> &str {
        self.split().0
    }

    /// Returns what stands behind the colon.
    pub fn rest(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        self.text.split_once(':').unwrap_or_default()
    }
}

impl TryFrom<String> for Moniker {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        match text.split_once(':') {
            Some((scheme, _)) if is_scheme(scheme) => Ok(Self { text: text.into() }),
            _ => Err(InvalidName {
                kind: "the moniker",
                name: text,
                rule: "is not of the form `scheme:rest`",
            }),
        }
    }
}

impl TryFrom<&str> for Moniker {
    type Error = InvalidName;

    fn try_from(text: &str) -> Result<Self, InvalidName> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Moniker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn free_text(name: &str) -> Result<(), &'static str> {
    length(name)?;
    if name.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if name.trim() != name {
        return Err("begins or ends with a space");
    }
    Ok(())
}

fn identifier(name: &str) -> Result<(), &'static str> {
    length(name)?;
    if name
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    {
        Ok(())
    } else {
        Err("has a character other than letters, digits, `_` and `-`")
    }
}

fn length(name: &str) -> Result<(), &'static str> {
    match name.chars().count() {
        0 => Err("is empty"),
        count if count > LONGEST => Err("is longer than 255 characters"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_refused_with_the_rule_that_it_breaks() {
        let rule = |name: &str| ClassName::try_from(name).map_err(|error| error.rule);
        assert!(rule("Stock events").is_ok());
        assert_eq!(rule(""), Err("is empty"));
        assert_eq!(rule(" x"), Err("begins or ends with a space"));
        assert_eq!(rule("a\nb"), Err("has a control character"));
        assert_eq!(rule(&"x".repeat(256)), Err("is longer than 255 characters"));
        assert!(rule(&"\u{e9}".repeat(255)).is_ok());
    }
    #[test]
    fn moniker_is_a_scheme_and_the_rest() {
        let moniker = Moniker::try_from("queue:orders:eu").map_err(|error| error.rule);
        let parts = moniker
            .as_ref()
            .map(|moniker| (moniker.scheme(), moniker.rest()));
        assert_eq!(parts, Ok(("queue", "orders:eu")));
        for refused in ["orders", ":orders", "1a:orders", "a b:orders"] {
            let error = Moniker::try_from(refused).map_err(|error| error.to_string());
            let message = format!("the moniker {refused:?} is not of the form `scheme:rest`");
            assert_eq!(error, Err(message));
        }
    }
}
