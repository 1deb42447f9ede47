//! Golden bytes of roles.

use super::Record;
use crate::model::Role;

pub(super) fn goldens() -> Vec<(Record, &'static str)> {
    let records = [full(), small()].map(|role| Record::Role(role.validate().unwrap(), role));
    records.into_iter().zip([FULL, SMALL]).collect()
}

fn full() -> Role {
    Role::new("traders \u{e9}")
        .with_description("d")
        .with_principal("bob")
        .with_principal("ann")
        .with_role("desk")
}

fn small() -> Role {
    Role::new("nobody")
}

const FULL: &str = "0100010164030003616e6e0003626f6201046465736b";

const SMALL: &str = "01000000";
