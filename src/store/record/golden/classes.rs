//! Golden bytes of event classes.

use uuid::Uuid;

use super::Record;
use crate::model::{EventClass, Nesting};
use crate::value::ValueType;

pub(super) fn goldens() -> Vec<(Record, &'static str)> {
    vec![(Record::Class(class()), CLASS)]
}

fn class() -> EventClass {
    EventClass::new(Uuid::from_u128(2), "Stocks")
        .with_interface(Uuid::from_u128(1))
        .with_publisher(Uuid::from_u128(3))
        .with_description("d")
        .with_owner("ann")
        .with_property("desk", ValueType::Str, "fx")
        .with_open_properties()
        .with_unordered()
        .with_nesting(Nesting::Queued)
}

const CLASS: &str = "\
01000653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c0502667801010100";
