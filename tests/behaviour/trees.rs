//! Trees: bytes of the program's own beside the wiring.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use loosely::testing::{Fault, FaultyStore};
use loosely::{
    Authorizer, Broker, Cascade, Error, ErrorKind, EventClass, MemoryStore, Notice, Right, Store,
    Tree,
};

use crate::support::{StockEvents, TestEngine, Watchdog, on_store, quiet, store, whole};

fn tree(broker: &Broker, name: &str) -> Tree {
    broker.tree(name).unwrap()
}

fn keys(tree: &Tree) -> Vec<Vec<u8>> {
    let all = tree.starting_with("").unwrap();
    all.map(|pair| pair.unwrap().0).collect()
}

#[track_caller]
fn assert_kind<T>(outcome: Result<T, Error>, kind: ErrorKind) {
    assert_eq!(outcome.map(|_| ()).unwrap_err().kind(), kind);
}

#[test]
fn value_is_there_until_it_is_replaced_or_removed() {
    let broker = quiet();
    let orders = tree(&broker, "orders");
    assert_eq!(orders.name(), "orders");
    assert!(orders.is_empty().unwrap());
    let first = orders.insert("17", "MSFT").unwrap();
    let second = orders.insert("17", [0, 0xff]).unwrap();
    assert!(first < second && second == broker.revision());
    assert_eq!(orders.get("17").unwrap(), Some(vec![0, 0xff]));
    // Neither an empty key nor an empty value is none.
    orders.insert("", "").unwrap();
    assert_eq!(orders.get([]).unwrap(), Some(Vec::new()));
    assert_eq!(tree(&broker, "orders").get("17").unwrap().unwrap().len(), 2);
    assert!(orders.remove("17").unwrap());
    assert!(!orders.remove("17").unwrap());
    assert!(!orders.is_empty().unwrap());
    assert!(orders.remove("").unwrap());
    assert!(orders.is_empty().unwrap());
}

#[test]
fn trees_are_apart_however_alike_their_names_and_keys_are() {
    let broker = quiet();
    let names = ["a", "ab", "a b", "A", "\u{e4}"];
    for name in names {
        let tree = tree(&broker, name);
        for key in ["", "b", "\0", "\0b", "b\0"] {
            tree.insert(key, name).unwrap();
        }
    }
    for name in names {
        let tree = tree(&broker, name);
        let all = tree.starting_with("").unwrap();
        let all: Vec<_> = all.map(Result::unwrap).collect();
        assert_eq!(all.len(), 5, "{name:?}");
        assert!(all.iter().all(|(_, value)| value == name.as_bytes()));
        assert_eq!(all[1].0, b"\0");
    }
    store(&broker, "a subscription");
    assert_eq!(keys(&tree(&broker, "a")).len(), 5);
}

#[test]
fn trees_are_listed_by_name_while_something_is_in_them() {
    let broker = quiet();
    assert!(broker.trees().unwrap().is_empty());
    for name in ["b", "a", "a b", "ab", "\u{e4}"] {
        for key in ["", "\0", "\u{ff}"] {
            tree(&broker, name).insert(key, "1").unwrap();
        }
    }
    store(&broker, "a subscription");
    assert_eq!(broker.trees().unwrap(), ["a", "a b", "ab", "b", "\u{e4}"]);
    for key in ["", "\0", "\u{ff}"] {
        assert!(tree(&broker, "a").remove(key).unwrap());
    }
    assert_eq!(broker.trees().unwrap(), ["a b", "ab", "b", "\u{e4}"]);
    broker.close(Duration::MAX).unwrap();
    assert_kind(broker.trees(), ErrorKind::Closed);
}

#[test]
fn range_returns_what_a_sorted_map_returns() {
    compare_with_a_map(&quiet());
}

#[cfg(feature = "sled")]
#[test]
fn range_on_disk_returns_what_a_sorted_map_returns() {
    let root = tempfile::tempdir().unwrap();
    compare_with_a_map(&Broker::open(root.path()).unwrap());
}

fn compare_with_a_map(broker: &Broker) {
    let tree = tree(broker, "t");
    let mut map = BTreeMap::new();
    for key in ["", "\0", "a", "aa", "b", "b\0", "c"] {
        tree.insert(key, key).unwrap();
        map.insert(key.as_bytes().to_vec(), key.as_bytes().to_vec());
    }
    let places = ["", "a", "ab", "b", "c", "d"].map(str::as_bytes);
    let of = |place: &'static [u8]| [Bound::Included(place), Bound::Excluded(place)];
    let bounds: Vec<_> = places.into_iter().flat_map(of).collect();
    let bounds = || bounds.iter().copied().chain([Bound::Unbounded]);
    for (start, end) in bounds().flat_map(|start| bounds().map(move |end| (start, end))) {
        let found = tree.range::<&[u8]>((start, end)).unwrap();
        let found: Vec<_> = found.map(Result::unwrap).collect();
        let is_in = |key: &[u8]| {
            (match start {
                Bound::Included(start) => key >= start,
                Bound::Excluded(start) => key > start,
                Bound::Unbounded => true,
            }) && (match end {
                Bound::Included(end) => key <= end,
                Bound::Excluded(end) => key < end,
                Bound::Unbounded => true,
            })
        };
        let expected = map.clone().into_iter().filter(|(key, _)| is_in(key));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{start:?} {end:?}");
    }
    let with_b = tree.starting_with("b").unwrap();
    let with_b: Vec<_> = with_b.map(|pair| pair.unwrap().0).collect();
    assert_eq!(with_b, [&b"b"[..], b"b\0"]);
}

#[test]
fn whoever_reads_a_range_of_many_pages_may_write_to_it() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let tree = tree(&broker, "t");
    for hundred in 0..13 {
        let mut batch = broker.transaction();
        let mut tree = batch.tree("t").unwrap();
        for n in 0..100 {
            tree.insert(format!("{:05}", hundred * 100 + n), "x")
                .unwrap();
        }
        batch.commit().unwrap();
    }
    let mut seen = 0;
    for (n, pair) in tree.range("00000".."01250").unwrap().enumerate() {
        let (key, _) = pair.unwrap();
        assert_eq!(key, format!("{n:05}").into_bytes());
        assert!(tree.remove(&key).unwrap());
        tree.insert(format!("!{n:05}"), "x").unwrap();
        seen += 1;
        if n > 1000 {
            break;
        }
    }
    assert_eq!(seen, 1002);
    assert_eq!(keys(&tree).len(), 1300);
}

#[test]
fn swap_happens_only_if_the_value_is_the_expected_one() {
    let broker = quiet();
    let leases = tree(&broker, "leases");
    leases.compare_and_swap("a\0b", None, Some(b"ann")).unwrap();
    let revision = broker.revision();
    for expected in [None, Some(&b"bob"[..]), Some(b"")] {
        let error = leases
            .compare_and_swap("a\0b", expected, Some(b"eve"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let message = r#"the key "a\x00b" of the tree "leases" is not what was expected"#;
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(broker.revision(), revision);
    leases
        .compare_and_swap("a\0b", Some(b"ann"), Some(b"bob"))
        .unwrap();
    leases.compare_and_swap("a\0b", Some(b"bob"), None).unwrap();
    assert_eq!(leases.get("a\0b").unwrap(), None);
    let none = leases.compare_and_swap("a\0b", Some(b"bob"), None);
    assert_kind(none, ErrorKind::Conflict);
}

#[test]
fn only_one_of_many_who_remove_a_key_at_once_did_it() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let tree = tree(&broker, "t");
    for n in 0..50 {
        tree.insert("seat", n.to_string()).unwrap();
        let removed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let did = tree.remove("seat").unwrap();
                    removed.fetch_add(usize::from(did), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(removed.into_inner(), 1);
    }
}

#[test]
fn key_or_value_that_is_too_long_is_refused_with_the_limit() {
    let broker = quiet();
    let tree = tree(&broker, "t");
    let key = vec![b'k'; Tree::KEY_BYTES];
    tree.insert(&key, vec![0; Tree::VALUE_BYTES]).unwrap();
    let error = tree.insert([&key[..], b"k"].concat(), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = "a key of 1025 bytes for the tree \"t\": 1024 are the most";
    assert_eq!(error.to_string(), message);
    let error = tree
        .compare_and_swap("k", None, Some(&vec![0; Tree::VALUE_BYTES + 1]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = "a value of 65537 bytes for the key \"k\" of the tree \"t\": 65536 are the most";
    assert_eq!(error.to_string(), message);
    assert_eq!(keys(&tree), [key]);
}

#[test]
fn name_that_is_none_is_refused() {
    let broker = quiet();
    for name in ["", " a", "a\0b", "a\n", &"x".repeat(256)] {
        assert_kind(broker.tree(name), ErrorKind::Invalid);
        assert_kind(broker.transaction().tree(name), ErrorKind::Invalid);
    }
    let error = broker.tree("").unwrap_err();
    assert_eq!(error.to_string(), "the tree name \"\" is empty");
}

#[test]
fn brokers_of_one_store_have_the_same_trees() {
    let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (one, other) = (on_store(kept.clone()), on_store(kept));
    tree(&one, "t").insert("a", "1").unwrap();
    assert_eq!(tree(&other, "t").get("a").unwrap().unwrap(), b"1");
    tree(&other, "t").insert("b", "2").unwrap();
    one.close(Duration::MAX).unwrap();
    assert_kind(tree(&one, "t").get("a"), ErrorKind::Closed);
    assert_eq!(keys(&tree(&other, "t")).len(), 2);
}

#[test]
fn every_call_after_the_close_of_the_broker_is_closed() {
    let broker = quiet();
    let closed = tree(&broker, "t");
    closed.insert("a", "1").unwrap();
    let mut range = closed.starting_with("").unwrap();
    let assert_all_closed = || {
        assert_kind(closed.get("a"), ErrorKind::Closed);
        assert_kind(closed.insert("a", "2"), ErrorKind::Closed);
        assert_kind(closed.remove("a"), ErrorKind::Closed);
        assert_kind(closed.compare_and_swap("a", None, None), ErrorKind::Closed);
        assert_kind(closed.range("a"..), ErrorKind::Closed);
        assert_kind(closed.starting_with("a"), ErrorKind::Closed);
        assert_kind(closed.is_empty(), ErrorKind::Closed);
        assert_kind(closed.watch("a"), ErrorKind::Closed);
    };
    broker.close(Duration::MAX).unwrap();
    assert_all_closed();
    drop(broker);
    assert_all_closed();
    assert_kind(range.next().unwrap(), ErrorKind::Closed);
    assert!(range.next().is_none());
}

#[test]
fn store_that_cannot_be_read_ends_a_range_with_an_error() {
    let engine = TestEngine::default();
    let broker = on_store(engine.store());
    let tree = tree(&broker, "t");
    for n in 0..600 {
        tree.insert(format!("{n:03}"), "x").unwrap();
    }
    let mut range = tree.starting_with("").unwrap();
    assert!(range.by_ref().take(512).all(|pair| pair.is_ok()));
    engine.break_down(true);
    assert_kind(range.next().unwrap(), ErrorKind::Unavailable);
    assert!(range.next().is_none());
    engine.break_down(false);
    assert_eq!(keys(&tree).len(), 600);
}

#[test]
fn wiring_is_told_nothing_of_trees() {
    let broker = quiet();
    let since = store(&broker, "a");
    let mut feed = broker.follow_changes(since).unwrap();
    tree(&broker, "t").insert("a", "1").unwrap();
    assert!(broker.changes_since(since).unwrap().is_empty());
    assert!(feed.next_within(Duration::ZERO).is_none());
    assert_eq!(feed.revision(), broker.revision());
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 1);
    assert_eq!(broker.notices(), []);
}

#[test]
fn removal_of_a_class_does_not_begin_again_for_what_was_written_to_a_tree() {
    let store = FaultyStore::new();
    let broker = on_store(Arc::new(store.clone()));
    let class = EventClass::new("stocks", "stocks");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let tree = tree(&broker, "t");
    let write = Fault::run(move || assert!(tree.insert("a", "1").is_ok()));
    store.commits().at(1, write);
    let before = store.commits().count();
    assert!(broker.unregister_class("stocks", Cascade::Refuse).unwrap());
    assert_eq!(store.commits().count() - before, 2);
}

/// Lets ann read and write the tree "orders", bob read it, and nobody anything else.
struct OfOrders;

impl Authorizer for OfOrders {
    fn allows(&self, request: &loosely::AccessRequest<'_>) -> bool {
        assert!(request.class().is_none());
        let is_known = match request.principal().as_str() {
            "ann" => matches!(request.right(), Right::Read | Right::Administer),
            "bob" => request.right() == Right::Read,
            _ => false,
        };
        is_known && request.tree() == Some("orders")
    }
}

#[test]
fn view_reads_and_writes_the_trees_that_the_authorizer_allows() {
    let broker = Broker::builder().authorizer(OfOrders).open().unwrap();
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| {
        let view = broker.as_principal(name).unwrap();
        view.tree("orders").unwrap()
    });
    ann.insert("1", "MSFT").unwrap();
    assert_eq!(bob.get("1").unwrap().unwrap(), b"MSFT");
    assert_eq!(keys(&bob).len(), 1);
    drop(bob.watch("").unwrap());
    for refused in [
        bob.insert("1", "").map(drop),
        bob.remove("1").map(drop),
        bob.compare_and_swap("1", None, None).map(drop),
        eve.get("1").map(drop),
        eve.range("1"..).map(drop),
        eve.starting_with("1").map(drop),
        eve.is_empty().map(drop),
        eve.watch("").map(drop),
    ] {
        assert_kind(refused, ErrorKind::Denied);
    }
    assert!(ann.remove("1").unwrap());
    broker.notices();
    let error = bob.insert("1", "").unwrap_err();
    let message = "\"bob\" lacks the right to administer, for the tree \"orders\"";
    assert_eq!(whole(&error), message);
    assert!(matches!(
        &broker.notices()[..],
        [Notice::Denied { class: None, .. }]
    ));
    tree(&broker, "orders").insert("1", "IBM").unwrap();
    let trees = |name: &str| broker.as_principal(name).unwrap().trees().unwrap();
    assert_eq!((trees("bob").len(), trees("eve").len()), (1, 0));
    let other = broker.as_principal("ann").unwrap();
    assert_kind(tree(&other, "others").get("1"), ErrorKind::Denied);
    tree(&broker, "others").insert("1", "").unwrap();
    assert_eq!(trees("ann"), ["orders"]);
}

#[cfg(feature = "sled")]
#[test]
fn tree_is_there_after_a_reopen_and_is_restored_from_the_copy() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("wiring");
    let open = || Broker::open(&path).unwrap();
    let broker = open();
    tree(&broker, "t").insert("a", "1").unwrap();
    broker.close(Duration::MAX).unwrap();
    let broker = open();
    assert_eq!(tree(&broker, "t").get("a").unwrap().unwrap(), b"1");
    broker.close(Duration::MAX).unwrap();
    std::fs::remove_dir_all(path.join("sled")).unwrap();
    let broker = open();
    assert!(matches!(&broker.notices()[..], [Notice::Restored { .. }]));
    assert_eq!(tree(&broker, "t").get("a").unwrap().unwrap(), b"1");
}
