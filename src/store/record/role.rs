//! The stored form of roles; the name is in the key.

use serde::{Deserialize, Serialize};

use crate::model::{Role, RoleName};

/// Every version that was ever written.
#[derive(Serialize, Deserialize)]
pub(super) enum Stored {
    V1(RoleV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct RoleV1 {
    description: Option<String>,
    members: Vec<MemberV1>,
}

#[derive(Serialize, Deserialize)]
enum MemberV1 {
    Principal(String),
    Role(String),
}

impl From<&Role> for Stored {
    fn from(role: &Role) -> Self {
        let principals = role.principals().map(str::to_owned);
        let roles = role.roles().map(str::to_owned);
        let principals = principals.map(MemberV1::Principal);
        Self::V1(RoleV1 {
            description: role.description().map(str::to_owned),
            members: principals.chain(roles.map(MemberV1::Role)).collect(),
        })
    }
}

impl Stored {
    pub(super) fn into_role(self, name: &RoleName) -> Role {
        let Self::V1(stored) = self;
        let mut role = Role::new(name.as_str());
        if let Some(text) = stored.description {
            role = role.with_description(text);
        }
        for member in stored.members {
            role = match member {
                MemberV1::Principal(principal) => role.with_principal(principal),
                MemberV1::Role(other) => role.with_role(other),
            };
        }
        role
    }
}
