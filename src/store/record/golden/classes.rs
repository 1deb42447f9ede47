//! Golden bytes of event classes.

use std::time::Duration;

use uuid::Uuid;

use super::Record;
use crate::model::{
    Breaker, Detached, EventClass, Firing, History, Nesting, Overflow, Retained, Right,
};
use crate::value::ValueType;

pub(super) fn goldens() -> Vec<(Record, &'static str)> {
    let goldens = [
        (class(), CLASS),
        (full(), SECOND_FULL),
        (small(), SECOND_SMALL),
        (third_full(), THIRD_FULL),
        (third_small(), THIRD_SMALL),
        (fourth_full(), FOURTH_FULL),
        (fourth_small(), FOURTH_SMALL),
    ];
    let record = |(class, golden)| (Record::Class(Box::new(class)), golden);
    goldens.into_iter().map(record).collect()
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

/// A class with everything that the first version cannot say.
fn full() -> EventClass {
    let class = class()
        .with_firing(Firing::Parallel { max: 300 })
        .with_publisher_filter("b")
        .with_publisher_filter("a")
        .with_default_query("enabled = TRUE")
        .with_retained(Retained::Last)
        .with_method_publisher_filter("all", "c")
        .with_method_default_query("none", "ALL")
        .with_method_retained("all", Retained::LastPer("p1".into()));
    let rights = [
        Right::Define,
        Right::Subscribe,
        Right::Publish,
        Right::Administer,
        Right::Read,
    ];
    let rights = rights.into_iter().chain([Right::Publish]).zip(1..);
    rights.fold(class, |class, (right, role)| {
        class.with_access(right, format!("r{role}"))
    })
}

/// A class with one thing that the first version cannot say.
fn small() -> EventClass {
    EventClass::new(Uuid::from_u128(2), "Stocks").with_access(Right::Publish, "r")
}

/// A class with everything that the second version cannot say.
fn third_full() -> EventClass {
    let lane = Detached::with_capacity(300).with_overflow(Overflow::DropOldest);
    full()
        .with_delivery(lane.with_key("p1"))
        .with_deadline(Duration::new(70_000, 7))
        .with_breaker(Breaker::after(3))
}

/// A class with one thing that the second version cannot say.
fn third_small() -> EventClass {
    EventClass::new(Uuid::from_u128(2), "Stocks").with_deadline(Duration::from_millis(1))
}

/// A class with everything that the third version cannot say.
fn fourth_full() -> EventClass {
    let history = History::new().with_count(300).with_bytes(70_000);
    let history = history.with_age(Duration::new(70_000, 7)).without_waiting();
    third_full().with_history(history)
}

/// A class with one thing that the third version cannot say.
fn fourth_small() -> EventClass {
    let class = EventClass::new(Uuid::from_u128(2), "Stocks");
    class.with_history(History::new().with_count(1))
}

const CLASS: &str = "\
01000653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c0502667801010100";

const SECOND_FULL: &str = "\
01010653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c050266780101010001fb2c010201620161010e656e61
626c6564203d205452554501000203616c6c010163000101027031046e6f6e65000103414c4c0006
000272310102723202027233020272360302723404027235";

const SECOND_SMALL: &str = "01010653746f636b73000000000000000000000000000001020172";

const THIRD_FULL: &str = "\
01020653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c050266780101010001fb2c010201620161010e656e61
626c6564203d205452554501000203616c6c010163000101027031046e6f6e65000103414c4c0006
0002723101027232020272330202723603027234040272350101fb2c01010102703101fc70110100
070103010000";

const THIRD_SMALL: &str = "01020653746f636b73000000000000000000000000000000000100fc40420f0000";

const FOURTH_FULL: &str = "\
01030653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c050266780101010001fb2c010201620161010e656e61
626c6564203d205452554501000203616c6c010163000101027031046e6f6e65000103414c4c0006
0002723101027232020272330202723603027234040272350101fb2c01010102703101fc70110100
07010301000001fb2c0101fc701101000701fc7011010001";

const FOURTH_SMALL: &str = "01030653746f636b730000000000000000000000000000000000000101000000";
