//! Roles.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Principal, Problems, Revision, RoleName};
use crate::error::Error;

/// A name for principals who may do the same: the traders, the night shift.
///
/// Members are principals and other roles, whose members are then members of this one too. What a
/// role may do is said where it is asked: by a class ([`EventClass::with_access`]) and by a
/// subscription ([`SubscriptionBuilder::requires_role`]). The `with_` methods check nothing;
/// storing the role does, and reports all at once.
///
/// The serde form is for people: JSON or TOML with these fields.
///
/// [`EventClass::with_access`]: crate::EventClass::with_access
/// [`SubscriptionBuilder::requires_role`]: crate::SubscriptionBuilder::requires_role
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    principals: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

impl Role {
    /// Returns a role of this name that nobody has.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            principals: BTreeSet::new(),
            roles: BTreeSet::new(),
            revision: None,
        }
    }

    /// Describes the role for people.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Gives the role to a principal.
    #[must_use]
    pub fn with_principal(mut self, principal: impl Into<String>) -> Self {
        self.principals.insert(principal.into());
        self
    }

    /// Takes the role from a principal, who may still have it by another role.
    #[must_use]
    pub fn without_principal(mut self, principal: &str) -> Self {
        self.principals.remove(principal);
        self
    }

    /// Gives the role to all who have another one.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// Takes the role from those who have another one.
    #[must_use]
    pub fn without_role(mut self, role: &str) -> Self {
        self.roles.remove(role);
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Returns the principals that are members by themselves, by name.
    pub fn principals(&self) -> impl ExactSizeIterator<Item = &str> {
        self.principals.iter().map(String::as_str)
    }

    /// Returns the roles whose members are members of this one, by name.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Returns the commit that wrote the record, if it comes from a store.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    pub(crate) fn at(mut self, revision: Option<Revision>) -> Self {
        self.revision = revision;
        self
    }

    /// Checks every field, and returns the name for its key.
    ///
    /// That roles are members of each other in a circle is for those to see who know all of them.
    pub(crate) fn validate(&self) -> Result<RoleName, Error> {
        let mut problems = Problems::default();
        let name = problems.take("name", RoleName::try_from(self.name.as_str()));
        for principal in self.principals() {
            problems.take("principals", Principal::try_from(principal));
        }
        for role in self.roles() {
            problems.take("roles", RoleName::try_from(role));
        }
        if self.roles.contains(&self.name) {
            problems.add("roles", "the role is a member of itself");
        }
        problems.or(format!("the role {:?}", self.name), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_with_everything_wrong_is_refused_with_every_rule() {
        let role = Role::new(" ").with_principal("").with_role(" ");
        let message = role.validate().map_err(|error| error.to_string());
        let expected = concat!(
            r#"the role " " is not valid: name: the role name " " begins or ends with a space; "#,
            r#"principals: the principal "" is empty; "#,
            r#"roles: the role name " " begins or ends with a space; "#,
            "roles: the role is a member of itself",
        );
        assert_eq!(message, Err(expected.to_owned()));
        let traders = Role::new("traders").with_principal("ann").with_role("desk");
        assert!(
            traders
                .validate()
                .is_ok_and(|name| name.as_str() == "traders")
        );
    }

    #[test]
    fn members_come_and_go() {
        let role = Role::new("traders").with_principal("bob").with_role("desk");
        let role = role.with_principal("ann").with_principal("ann");
        assert!(role.principals().eq(["ann", "bob"]));
        let role = role.without_principal("bob").without_role("desk");
        assert!(role.principals().eq(["ann"]));
        assert_eq!(role.roles().len(), 0);
    }
}
