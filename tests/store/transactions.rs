//! What a kill leaves of transactions of trees and subscriptions.

use std::path::Path;

use loosely::{Broker, Result, Subscription};

use crate::durability::{acknowledged_before_kill, say};
use crate::support::watchdog;

fn alarm() -> Subscription {
    let alarm = Subscription::builder("alarm").class("Jobs");
    alarm.component("alarm").build().unwrap()
}

/// What the child does until it is killed: each transaction counts on in two trees, and the alarm
/// is there after every other one.
pub(crate) fn work(directory: &Path) {
    let broker = Broker::builder().path(directory).without_copy();
    let broker = broker.open().unwrap();
    for n in 0.. {
        count_to(&broker, n).unwrap();
        say(&format!("ack 0 {n}\n"));
    }
}

fn count_to(broker: &Broker, n: u64) -> Result<()> {
    let mut transaction = broker.transaction();
    let mut left = transaction.tree("left")?;
    match n {
        0 => left.expect_absent("n")?,
        _ => left.expect("n", (n - 1).to_string())?,
    };
    left.insert("n", n.to_string())?;
    transaction.tree("right")?.insert("n", n.to_string())?;
    if n.is_multiple_of(2) {
        transaction.ensure(&alarm())?;
    } else {
        transaction.remove(alarm().id())?;
    }
    transaction.commit().map(drop)
}

fn number(broker: &Broker, tree: &str) -> u64 {
    let value = broker.tree(tree).unwrap().get("n").unwrap().unwrap();
    String::from_utf8(value).unwrap().parse().unwrap()
}

#[test]
fn transaction_cut_off_by_a_kill_is_there_whole_or_not_at_all() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    for (round, enough) in [1, 2, 7, 40, 100].into_iter().enumerate() {
        let directory = root.path().join(round.to_string());
        let acknowledged = acknowledged_before_kill("transactions", &directory, enough)[&0];
        let broker = Broker::open(&directory).unwrap();
        assert_eq!(broker.notices(), []);
        let found = number(&broker, "left");
        assert!(found >= acknowledged, "{found} of {acknowledged}");
        assert!(found <= acknowledged + 1, "{found} of {acknowledged}");
        assert_eq!(number(&broker, "right"), found);
        let is_there = broker.subscription(alarm().id()).is_some();
        assert_eq!(is_there, found.is_multiple_of(2));
        count_to(&broker, found + 1).unwrap();
    }
}
