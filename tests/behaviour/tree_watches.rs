//! Watching trees: what is listed, what follows, and what ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, ErrorKind, MemoryStore, Revision, Store, Transaction, Tree, TreeEvent, TreeWatch,
};

use crate::support::{TestEngine, Watchdog, on_store, quiet, store};

fn tree(broker: &Broker) -> Tree {
    broker.tree("t").unwrap()
}

/// Returns what there is by now.
fn take(watch: &mut TreeWatch) -> Vec<TreeEvent> {
    let next = || watch.try_next().transpose().unwrap();
    std::iter::from_fn(next).collect()
}

/// Returns events as `key=value`, `-key`, `listed` and `restarted`.
fn told(watch: &mut TreeWatch) -> Vec<String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let events = take(watch).into_iter();
    let events = events.map(|event| match event {
        TreeEvent::Put { key, value, .. } => format!("{}={}", text(key), text(value)),
        TreeEvent::Removed { key, .. } => format!("-{}", text(key)),
        TreeEvent::Listed(_) => "listed".to_owned(),
        TreeEvent::Restarted => "restarted".to_owned(),
        other => panic!("{other:?}"),
    });
    events.collect()
}

#[test]
fn watch_lists_what_is_there_and_then_tells_each_change() {
    let broker = quiet();
    let tree = tree(&broker);
    tree.insert("b/1", "1").unwrap();
    tree.insert("a", "no").unwrap();
    let put = tree.insert("b/2", "2").unwrap();
    let mut watch = tree.watch("b/").unwrap();
    assert_eq!(told(&mut watch), ["b/1=1", "b/2=2", "listed"]);
    tree.insert("b/1", "3").unwrap();
    tree.remove("b/2").unwrap();
    tree.insert("c", "no").unwrap();
    broker.tree("other").unwrap().insert("b/1", "no").unwrap();
    store(&broker, "no");
    tree.insert("b/", "").unwrap();
    assert_eq!(told(&mut watch), ["b/1=3", "-b/2", "b/="]);
    assert!(watch.next_timeout(Duration::ZERO).is_none());
    assert!(!watch.is_ended());
    let listed = take(&mut tree.watch("b/2").unwrap());
    assert_eq!(listed, [TreeEvent::Listed(broker.revision())]);
    let revision = tree.insert("b/2", "4").unwrap();
    assert!(revision > put);
    let change = TreeEvent::Put {
        key: b"b/2".to_vec(),
        value: b"4".to_vec(),
        revision,
    };
    assert_eq!(take(&mut watch), [change]);
}

#[test]
fn watch_hears_of_other_brokers_of_the_store() {
    let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (one, other) = (on_store(kept.clone()), on_store(kept));
    let mut watch = tree(&one).watch("").unwrap();
    tree(&other).insert("a", "1").unwrap();
    assert_eq!(told(&mut watch), ["listed", "a=1"]);
    other.close(Duration::MAX).unwrap();
    assert!(!watch.is_ended());
}

#[test]
fn key_that_changes_while_the_list_is_read_never_goes_back() {
    let broker = quiet();
    let tree = tree(&broker);
    for n in 0..600 {
        tree.insert(format!("{n:03}"), "old").unwrap();
    }
    let mut watch = tree.watch("").unwrap();
    // A page has been read; of the next one nothing.
    assert!(watch.next().unwrap().is_ok());
    for key in ["000", "001", "590"] {
        tree.insert(key, "new").unwrap();
        tree.insert(key, "newer").unwrap();
    }
    tree.remove("002").unwrap();
    tree.remove("591").unwrap();
    let told = told(&mut watch);
    let of = |key: &str| -> Vec<_> {
        let events = told.iter().filter(|event| event.contains(key));
        events.map(String::as_str).collect()
    };
    assert_eq!(of("000"), ["000=new", "000=newer"]);
    assert_eq!(of("001"), ["001=old", "001=new", "001=newer"]);
    assert_eq!(of("002"), ["002=old", "-002"]);
    assert_eq!(of("590"), ["590=new", "590=newer"]);
    assert_eq!(of("591"), ["-591"]);
    let listed = told.iter().position(|event| event == "listed");
    assert_eq!(listed, Some(597));
    assert_eq!(told.len(), 606);
}

/// What one who watches knows, checked against the order of revisions.
#[derive(Default)]
struct Known {
    pairs: BTreeMap<Vec<u8>, (Vec<u8>, Revision)>,
    newest: BTreeMap<Vec<u8>, Revision>,
}

impl Known {
    fn hear(&mut self, event: TreeEvent) {
        let (key, value, revision) = match event {
            TreeEvent::Put {
                key,
                value,
                revision,
            } => (key, Some(value), revision),
            TreeEvent::Removed { key, revision } => (key, None, revision),
            TreeEvent::Restarted => return *self = Self::default(),
            _ => return,
        };
        let before = self.newest.insert(key.clone(), revision);
        assert!(before < Some(revision), "{before:?} then {revision}");
        match value {
            Some(value) => drop(self.pairs.insert(key, (value, revision))),
            None => drop(self.pairs.remove(&key)),
        }
    }
}

#[test]
fn list_and_changes_have_no_gap_under_concurrent_commits() {
    const WRITERS: usize = 3;
    let _watchdog = Watchdog::new();
    let broker = quiet();
    for n in 0..700 {
        tree(&broker).insert(format!("k{n:03}"), "0").unwrap();
    }
    let done = AtomicBool::new(false);
    let known: Vec<_> = thread::scope(|scope| {
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                let (broker, done) = (&broker, &done);
                scope.spawn(move || {
                    let mut all = Vec::new();
                    while !done.load(Ordering::Acquire) {
                        let mut known = Known::default();
                        let mut watch = tree(broker).watch("k").unwrap();
                        for event in watch.by_ref().take(900) {
                            known.hear(event.unwrap());
                            if done.load(Ordering::Acquire) {
                                break;
                            }
                        }
                        all.push((known, watch));
                    }
                    all.pop().unwrap()
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let broker = &broker;
                scope.spawn(move || {
                    let tree = tree(broker);
                    for n in 0..400 {
                        let key = format!("k{:03}", (n * 13 + writer * 7) % 700);
                        tree.insert(&key, n.to_string()).unwrap();
                        if n % 3 == 0 {
                            tree.remove(&key).unwrap();
                        }
                    }
                })
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        // One who waits for a change goes on.
        tree(&broker).insert("k", "last").unwrap();
        watchers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let there = tree(&broker).starting_with("k").unwrap();
    let there: BTreeMap<_, _> = there.map(Result::unwrap).collect();
    for (mut known, mut watch) in known {
        take(&mut watch)
            .into_iter()
            .for_each(|event| known.hear(event));
        let pairs = known.pairs.into_iter();
        let pairs: BTreeMap<_, _> = pairs.map(|(key, (value, _))| (key, value)).collect();
        assert_eq!(pairs, there);
    }
}

#[test]
fn greatest_transaction_fits_and_what_is_more_has_the_watch_begin_again() {
    let broker = quiet();
    let tree = tree(&broker);
    tree.insert("gone", "").unwrap();
    let mut watch = tree.watch("").unwrap();
    assert_eq!(told(&mut watch), ["gone=", "listed"]);
    let mut transaction = broker.transaction();
    for n in 0..Transaction::KEYS {
        let mut tree = transaction.tree("t").unwrap();
        tree.insert(format!("{n:04}"), "1").unwrap();
    }
    transaction.commit().unwrap();
    tree.remove("gone").unwrap();
    // Nobody has taken any, and that is one too many.
    let told_now = told(&mut watch);
    assert_eq!(told_now[0], "restarted");
    assert_eq!(told_now.len(), Transaction::KEYS + 2);
    assert!(!told_now.iter().any(|event| event.contains("gone")));
    tree.insert("0000", "2").unwrap();
    assert_eq!(told(&mut watch), ["0000=2"]);
}

#[test]
fn bytes_that_nobody_takes_are_as_bounded_as_changes() {
    let broker = quiet();
    let tree = tree(&broker);
    let mut watch = tree.watch("").unwrap();
    assert_eq!(told(&mut watch), ["listed"]);
    let value = vec![b'x'; Tree::VALUE_BYTES];
    let fits = TreeWatch::BYTES / (Tree::VALUE_BYTES + 1);
    for _ in 0..fits {
        tree.insert("k", value.clone()).unwrap();
    }
    assert_eq!(take(&mut watch).len(), fits);
    for _ in 0..=fits {
        tree.insert("k", value.clone()).unwrap();
    }
    let events = take(&mut watch);
    assert_eq!(events[0], TreeEvent::Restarted);
    assert_eq!(events.len(), 3);
}

#[test]
fn watch_that_is_behind_in_its_list_begins_it_again() {
    let broker = quiet();
    let tree = tree(&broker);
    for n in 0..3 {
        tree.insert(n.to_string(), "1").unwrap();
    }
    let mut watch = tree.watch("").unwrap();
    assert!(watch.next().unwrap().is_ok());
    for _ in 0..=TreeWatch::CHANGES {
        tree.insert("2", "2").unwrap();
    }
    assert_eq!(
        told(&mut watch),
        ["restarted", "0=1", "1=1", "2=2", "listed"]
    );
}

#[test]
fn close_of_the_broker_ends_a_watch_behind_what_waits_and_wakes_who_waits() {
    let _watchdog = Watchdog::new();
    let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(kept);
    let tree = tree(&broker);
    let mut watch = tree.watch("").unwrap();
    let mut waiting = tree.watch("").unwrap();
    for watch in [&mut watch, &mut waiting] {
        assert_eq!(told(watch), ["listed"]);
    }
    thread::scope(|scope| {
        let waiter = scope.spawn(|| waiting.by_ref().map(Result::unwrap).count());
        tree.insert("a", "1").unwrap();
        broker.close(Duration::MAX).unwrap();
        assert_eq!(waiter.join().unwrap(), 1);
    });
    assert!(!watch.is_ended());
    assert_eq!(told(&mut watch), ["a=1"]);
    assert!(watch.is_ended() && waiting.is_ended());
    assert!(watch.next().is_none());
}

#[test]
fn watch_does_not_keep_the_broker_and_ends_with_it() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let tree = tree(&broker);
    tree.insert("a", "1").unwrap();
    let mut watch = tree.watch("").unwrap();
    assert!(watch.next().unwrap().is_ok());
    drop(broker);
    // What was read of the list is told.
    assert_eq!(told(&mut watch), ["listed"]);
    assert!(watch.next().is_none());
    assert!(watch.is_ended());
    assert_eq!(tree.get("a").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn store_that_was_opened_again_has_the_watch_begin_again() {
    let engine = TestEngine::default();
    let broker = on_store(engine.store());
    let tree = tree(&broker);
    tree.insert("a", "1").unwrap();
    let mut watch = tree.watch("").unwrap();
    assert_eq!(told(&mut watch), ["a=1", "listed"]);
    engine.fail_syncs(true);
    let error = tree.insert("a", "2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Uncertain);
    engine.fail_syncs(false);
    tree.insert("b", "3").unwrap();
    assert_eq!(told(&mut watch), ["restarted", "a=2", "b=3", "listed"]);
}

#[test]
fn list_that_cannot_be_read_is_an_error_and_is_tried_again() {
    let engine = TestEngine::default();
    let broker = on_store(engine.store());
    let tree = tree(&broker);
    tree.insert("a", "1").unwrap();
    let mut watch = tree.watch("").unwrap();
    engine.break_down(true);
    for _ in 0..2 {
        let error = watch.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    engine.break_down(false);
    assert_eq!(told(&mut watch), ["a=1", "listed"]);
    engine.break_down(true);
    assert!(watch.try_next().is_none(), "nothing is read");
}
