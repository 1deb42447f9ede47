//! Queues in a damaged database: the broker opens, and no event is missing that nobody is told of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loosely::{Broker, Notice, Queued, Subscription, event_interface};

use crate::copy::{content, copy_directory};
use crate::damage::{flip, kind, offsets, sampled};
use crate::support::watchdog;

#[event_interface]
trait Ledger {
    fn booked(&self, number: u64, text: &str);
}

fn open(directory: &Path) -> Broker {
    let broker = Broker::builder().path(directory).on_failure(|_, _| {});
    match broker.open() {
        Ok(broker) => broker,
        Err(error) => panic!("{error:#}: {:?}", std::error::Error::source(&error)),
    }
}

fn queue() -> Subscription {
    let queue = Subscription::builder("queue").to::<dyn Ledger>();
    let queue = queue.component("clerk").delivery(Queued::new());
    queue.build().unwrap()
}

/// Has events wait, large ones among them, and returns how many. In between the directory is closed
/// and opened again, so that it has every kind of file.
fn fill(broker: &Broker, first: u64) -> usize {
    broker.ensure(&queue()).unwrap();
    let ledger = broker.publisher::<dyn Ledger>().unwrap();
    for number in first..first + 20 {
        let size = if number % 20 == 0 { 300_000 } else { 100 };
        assert_eq!(ledger.booked(number, &"x".repeat(size)).accepted(), 1);
    }
    broker.subscription_health(queue().id()).unwrap().waiting()
}

fn template(directory: &Path) -> usize {
    for round in 0..2 {
        let broker = open(directory);
        fill(&broker, 20 * round);
        broker.close(std::time::Duration::MAX).unwrap();
    }
    let broker = open(directory);
    let waiting = fill(&broker, 40);
    broker.close(std::time::Duration::MAX).unwrap();
    waiting
}

/// Opens a damaged directory. Fails if an event is missing that nobody is told of, and returns
/// whether any is.
fn check(directory: &Path, expected: usize, what: &str) -> bool {
    let broker = open(directory);
    let health = broker.subscription_health(queue().id());
    let waiting = health.map_or(0, |health| health.waiting());
    let notices = broker.notices();
    let is_told = |notice: &Notice| match notice {
        Notice::Restored { .. } | Notice::Lost { .. } => {
            assert!(notice.to_string().contains("in queues"), "{notice}");
            true
        }
        Notice::RolledBack { .. } | Notice::QueuesRolledBack { .. } => true,
        Notice::Quarantined { .. } => true,
        _ => false,
    };
    let is_missing = waiting != expected;
    let is_told = notices.iter().any(is_told);
    assert!(
        is_told || !is_missing,
        "{what}: {waiting} of {expected} wait, {notices:?}"
    );
    // And it goes on.
    assert!(fill(&broker, 1_000) >= 20, "{what}");
    is_missing
}

#[test]
fn event_lost_by_a_flipped_bit_is_told() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let [sound, damaged] = ["sound", "damaged"].map(|name| root.path().join(name));
    let mut expected = template(&sound);
    let (mut kinds, mut missing) = (BTreeSet::new(), 0);
    // The last one as a kill leaves it while events are written.
    for (with_copy, is_at_rest) in [(true, true), (false, true), (false, false)] {
        if !with_copy {
            let _ = fs::remove_file(sound.join("wiring.copy"));
        }
        let broker = (!is_at_rest).then(|| open(&sound));
        if let Some(broker) = &broker {
            expected = fill(broker, 60);
        }
        for (path, bytes) in content(&sound.join("sled")) {
            let name = path.strip_prefix(&sound).unwrap();
            kinds.insert(kind(name));
            for offset in sampled(offsets(&bytes)) {
                copy_directory(&sound, &damaged);
                flip(&damaged.join(name), offset);
                let what = format!("{} at {offset}, {with_copy} {is_at_rest}", name.display());
                missing += usize::from(check(&damaged, expected, &what));
                fs::remove_dir_all(&damaged).unwrap();
            }
        }
    }
    assert_eq!(kinds, BTreeSet::from(["blob", "conf", "db", "snap"]));
    assert!(missing > 0, "no damage has cost an event");
}

#[test]
fn event_lost_by_a_file_cut_short_is_told() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let [sound, damaged] = ["sound", "damaged"].map(|name| root.path().join(name));
    let mut expected = template(&sound);
    let mut missing = 0;
    // As it is at rest, and as a kill leaves it while events are written.
    for is_at_rest in [true, false] {
        let broker = (!is_at_rest).then(|| open(&sound));
        if let Some(broker) = &broker {
            expected = fill(broker, 60);
        }
        for (path, bytes) in content(&sound.join("sled")) {
            let name = path.strip_prefix(&sound).unwrap();
            let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
            let tenths = (0..10).map(|tenth| bytes.len() * tenth / 10);
            let ends = [1, 20, 300].map(|less| used.saturating_sub(less));
            for len in sampled(ends.into_iter().chain(tenths).collect()) {
                copy_directory(&sound, &damaged);
                fs::write(damaged.join(name), &bytes[..len]).unwrap();
                let what = format!("{} cut to {len}, at rest: {is_at_rest}", name.display());
                missing += usize::from(check(&damaged, expected, &what));
                fs::remove_dir_all(&damaged).unwrap();
            }
        }
    }
    assert!(missing > 0, "no damage has cost an event");
}
