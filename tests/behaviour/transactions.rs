//! Transactions: all of it or nothing, whatever comes between.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loosely::testing::{FailedWrite, Fault, FaultyEngine, FaultyStore};
use loosely::{
    Batch, Broker, Ensured, Error, ErrorKind, LocalStore, MemoryStore, Notice, Result, Right, Role,
    RoleAuthorizer, Store, StoreOptions, Subscription, Transaction, Tree,
};

use crate::support::{StockEvents, Tape, Watchdog, live, on_store, quiet, subscription};

fn record(name: &str) -> Subscription {
    subscription(name, "x").build().unwrap()
}

fn get(broker: &Broker, key: &str) -> Option<String> {
    let value = broker.tree("t").unwrap().get(key).unwrap()?;
    Some(String::from_utf8(value).unwrap())
}

fn insert(broker: &Broker, key: &str, value: &str) {
    broker.tree("t").unwrap().insert(key, value).unwrap();
}

#[track_caller]
fn assert_kind<T>(outcome: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = outcome.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[test]
fn transaction_does_nothing_before_its_commit_and_nothing_if_it_is_dropped() {
    let broker = quiet();
    let revision = broker.revision();
    let mut transaction = broker.transaction();
    transaction.ensure(&record("a")).unwrap();
    transaction.tree("t").unwrap().insert("a", "1").unwrap();
    assert_eq!(get(&broker, "a"), None);
    drop(transaction);
    assert_eq!(broker.revision(), revision);
    assert_eq!(get(&broker, "a"), None);
    assert!(broker.subscription(record("a").id()).is_none());
    let nothing = broker.transaction().commit().unwrap();
    assert_eq!(nothing.revision(), revision);
}

#[test]
fn transaction_is_one_commit_that_fires_go_by_when_it_returned() {
    let ((broker, tape), [a, b, c]) = ((quiet(), Tape::new()), ["a", "b", "c"].map(record));
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    broker.ensure(&a).unwrap();
    insert(&broker, "gone", "1");
    let before = broker.revision();
    let mut transaction = broker.transaction();
    transaction.remove(a.id()).unwrap().ensure(&b).unwrap();
    transaction.store(&c).unwrap().remove("nobody").unwrap();
    let mut tree = transaction.tree("t").unwrap();
    tree.insert("b", "1").unwrap().insert("b", "2").unwrap();
    tree.remove("gone").unwrap().remove("never").unwrap();
    transaction.tree("other").unwrap().insert("b", "3").unwrap();
    let committed = thread::spawn(|| transaction.commit().unwrap());
    let committed = committed.join().unwrap();
    assert_eq!(committed.revision().get(), before.get() + 1);
    assert_eq!(committed.ensured(), [(b.id(), Ensured::Added)]);
    assert_eq!(committed.removed(), [a.id()]);
    for stored in [&b, &c] {
        let stored = broker.subscription(stored.id()).unwrap();
        assert_eq!(stored.revision(), Some(committed.revision()));
    }
    assert_eq!(
        (get(&broker, "b").as_deref(), get(&broker, "gone")),
        (Some("2"), None)
    );
    assert_eq!(
        broker.tree("other").unwrap().get("b").unwrap().unwrap(),
        b"3"
    );
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    let changes = broker.changes_since(before).unwrap();
    assert_eq!(changes.len(), 3, "{changes:?}");
}

#[test]
fn ensure_in_a_transaction_finds_what_ensure_finds() {
    let broker = quiet();
    let define = |name: &str, filter: &str| {
        let record = subscription(name, "x").filter(filter);
        record.build().unwrap()
    };
    for name in ["present", "updated", "differs"] {
        broker.ensure(&define(name, "price > 1")).unwrap();
    }
    broker.disable(define("differs", "price > 1").id()).unwrap();
    let wanted = [
        ("present", "price > 1", Ensured::Present),
        ("updated", "price > 2", Ensured::Updated),
        ("differs", "price > 2", Ensured::Differs),
        ("added", "price > 2", Ensured::Added),
    ];
    let mut transaction = broker.transaction();
    for (name, filter, _) in wanted {
        transaction.ensure(&define(name, filter)).unwrap();
    }
    let committed = transaction.commit().unwrap();
    let outcomes = committed.ensured().iter().map(|(_, outcome)| *outcome);
    let expected = wanted.map(|(_, _, outcome)| outcome);
    assert!(outcomes.eq(expected), "{committed:?}");
    let stored = |name: &str| broker.subscription(define(name, "price > 1").id()).unwrap();
    assert_eq!(stored("updated").filter().unwrap(), "price > 2");
    assert!(!stored("differs").is_enabled());
}

#[test]
fn value_that_is_not_as_expected_is_a_conflict_that_leaves_nothing() {
    let broker = quiet();
    insert(&broker, "a", "1");
    let revision = broker.revision();
    for (key, expected) in [("a", Some("2")), ("a", None), ("b", Some("1"))] {
        let mut transaction = broker.transaction();
        transaction.ensure(&record("r")).unwrap();
        let mut tree = transaction.tree("t").unwrap();
        tree.insert("c", "3").unwrap();
        match expected {
            Some(value) => tree.expect(key, value).unwrap(),
            None => tree.expect_absent(key).unwrap(),
        };
        let error = assert_kind(transaction.commit(), ErrorKind::Conflict);
        let message = format!("the key \"{key}\" of the tree \"t\" is not what was expected");
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(broker.revision(), revision);
    assert!(broker.subscription(record("r").id()).is_none());
    let mut transaction = broker.transaction();
    let mut tree = transaction.tree("t").unwrap();
    tree.expect("a", "1").unwrap().expect_absent("b").unwrap();
    assert_eq!(transaction.commit().unwrap().revision(), revision);
}

#[test]
fn two_expectations_of_one_key_are_refused_unless_they_are_the_same() {
    let broker = quiet();
    let mut transaction = broker.transaction();
    let mut tree = transaction.tree("t").unwrap();
    tree.expect("a", "1").unwrap().expect("a", "1").unwrap();
    let error = assert_kind(tree.expect_absent("a"), ErrorKind::Invalid);
    let message = "something else is expected of the key \"a\" of the tree \"t\" already";
    assert_eq!(error.to_string(), message);
    insert(&broker, "a", "1");
    transaction.commit().unwrap();
}

#[test]
fn rivals_who_count_on_from_what_they_read_lose_nothing() {
    let _watchdog = Watchdog::new();
    let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let brokers = [0, 1].map(|_| on_store(kept.clone()));
    insert(&brokers[0], "sum", "0");
    let add = |broker: &Broker, name: &str| loop {
        let old = get(broker, "sum").unwrap();
        let new = old.parse::<u32>().unwrap() + 1;
        let mut transaction = broker.transaction();
        let mut tree = transaction.tree("t").unwrap();
        let tree = tree.expect("sum", old).unwrap();
        tree.insert("sum", new.to_string()).unwrap();
        transaction.ensure(&record(name)).unwrap();
        match transaction.commit() {
            Ok(committed) => return committed.ensured()[0].1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    };
    let added: usize = thread::scope(|scope| {
        let rivals = [0, 1, 0, 1].map(|n| {
            let broker = &brokers[n];
            scope.spawn(move || {
                let outcomes = (0..25).map(|n| add(broker, &format!("record {n}")));
                outcomes.filter(|it| *it == Ensured::Added).count()
            })
        });
        rivals.into_iter().map(|rival| rival.join().unwrap()).sum()
    });
    assert_eq!(get(&brokers[1], "sum").as_deref(), Some("100"));
    assert_eq!(added, 25);
}

/// Returns a broker and the store below it, which fails on request.
fn faulty() -> (Broker, FaultyStore) {
    let store = FaultyStore::new();
    (on_store(Arc::new(store.clone())), store)
}

#[test]
fn what_others_stored_before_the_commit_is_found_by_it() {
    let (broker, store) = faulty();
    let (other, added) = (broker.clone(), record("a"));
    let ensure = Fault::run(move || assert_eq!(other.ensure(&added).unwrap(), Ensured::Added));
    let removed = record("b");
    broker.ensure(&removed).unwrap();
    let (other, id) = (broker.clone(), removed.id());
    let remove = Fault::run(move || assert!(other.remove(id).unwrap()));
    let mut transaction = broker.transaction();
    transaction
        .ensure(&record("a"))
        .unwrap()
        .remove(id)
        .unwrap();
    transaction.tree("t").unwrap().insert("a", "1").unwrap();
    store.commits().at(1, ensure);
    store.commits().at(3, remove);
    let committed = transaction.commit().unwrap();
    assert_eq!(committed.ensured(), [(record("a").id(), Ensured::Present)]);
    assert_eq!(committed.removed(), []);
    assert_eq!(get(&broker, "a").as_deref(), Some("1"));
}

#[test]
fn record_that_was_present_and_goes_before_the_commit_is_added() {
    let (broker, store) = faulty();
    broker.ensure(&record("a")).unwrap();
    let other = broker.clone();
    let remove = Fault::run(move || assert!(other.remove(record("a").id()).unwrap()));
    let mut transaction = broker.transaction();
    transaction.ensure(&record("a")).unwrap();
    transaction.tree("t").unwrap().insert("a", "1").unwrap();
    store.commits().at(1, remove);
    let committed = transaction.commit().unwrap();
    assert_eq!(committed.ensured(), [(record("a").id(), Ensured::Added)]);
    assert!(broker.subscription(record("a").id()).is_some());
}

#[test]
fn record_that_was_read_and_has_changed_since_is_a_conflict() {
    let _watchdog = Watchdog::new();
    let (broker, store) = faulty();
    broker.store(&record("a")).unwrap();
    let id = record("a").id();
    let read = broker.subscription(id).unwrap();
    let change = |broker: &Broker| {
        let broker = broker.clone();
        Fault::run(move || broker.disable(id).unwrap())
    };
    for is_late in [true, false] {
        let mut transaction = broker.transaction();
        transaction.store(&read).unwrap();
        transaction.tree("t").unwrap().insert("a", "1").unwrap();
        if is_late {
            store.commits().at(1, change(&broker));
        }
        assert_kind(transaction.commit(), ErrorKind::Conflict);
        assert_eq!(get(&broker, "a"), None);
    }
    let mut transaction = broker.transaction();
    let again = broker.subscription(id).unwrap();
    transaction.store(&again.enabled()).unwrap();
    transaction.commit().unwrap();
    assert!(broker.subscription(id).unwrap().is_enabled());
}

#[test]
fn value_that_is_back_when_the_conflict_is_looked_into_is_as_expected() {
    let _watchdog = Watchdog::new();
    let (broker, store) = faulty();
    insert(&broker, "a", "1");
    let mut transaction = broker.transaction();
    let mut tree = transaction.tree("t").unwrap();
    tree.expect("a", "1").unwrap().insert("b", "2").unwrap();
    let away = broker.clone();
    store
        .commits()
        .at(1, Fault::run(move || insert(&away, "a", "other")));
    let back = broker.clone();
    store
        .reads()
        .at(1, Fault::run(move || insert(&back, "a", "1")));
    transaction.commit().unwrap();
    assert_eq!(get(&broker, "b").as_deref(), Some("2"));
}

#[test]
fn record_that_cannot_be_read_is_an_error_and_can_be_removed() {
    let _watchdog = Watchdog::new();
    let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(kept.clone());
    let damaged = record("damaged");
    let revision = broker.store(&damaged).unwrap();
    let change = &kept.changes_since(loosely::Revision::ZERO).unwrap();
    let change = change.iter().find(|commit| commit.revision == revision);
    let mut batch = Batch::new();
    batch.put(change.unwrap().changes[0].key.clone(), "no record");
    kept.commit(batch).unwrap();
    let transaction = |expects: bool| {
        let mut transaction = broker.transaction();
        let mut tree = transaction.tree("t").unwrap();
        tree.insert("a", "1").unwrap();
        if expects {
            tree.expect_absent("b").unwrap();
        }
        transaction
    };
    for expects in [false, true] {
        let mut ensuring = transaction(expects);
        ensuring.ensure(&damaged).unwrap();
        assert_kind(ensuring.commit(), ErrorKind::Corrupt);
        assert_eq!(get(&broker, "a"), None);
    }
    let mut removing = transaction(true);
    removing.remove(damaged.id()).unwrap();
    let committed = removing.commit().unwrap();
    assert_eq!(committed.removed(), [damaged.id()]);
    assert_eq!(broker.ensure(&damaged).unwrap(), Ensured::Added);
}

#[test]
fn what_cannot_take_part_is_told_when_it_is_added() {
    let broker = quiet();
    broker.publisher::<dyn StockEvents>().unwrap();
    let object = live("live").build().unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&object, Tape::new().listener("x"))
        .unwrap();
    let mut transaction = broker.transaction();
    let other = live("other").build().unwrap();
    assert_kind(transaction.ensure(&other), ErrorKind::Invalid);
    assert_kind(transaction.ensure(&object), ErrorKind::AlreadyExists);
    assert_kind(transaction.remove(guard.id()), ErrorKind::AlreadyExists);
    let unfit = subscription("unfit", "x").filter("nothing = 1");
    let unfit = unfit.build().unwrap();
    assert_kind(transaction.store(&unfit), ErrorKind::Filter);
    let elsewhere = quiet().publisher::<dyn StockEvents>().unwrap();
    let event = crate::support::StockEventsTraded::new("A", 1);
    assert_kind(transaction.fire(&elsewhere, event), ErrorKind::Invalid);
    transaction.ensure(&record("a")).unwrap();
    for again in [
        transaction.ensure(&record("a")).map(drop),
        transaction.store(&record("a")).map(drop),
        transaction.remove(record("a").id()).map(drop),
    ] {
        let error = assert_kind(again, ErrorKind::Invalid);
        assert!(error.to_string().contains("already"), "{error}");
    }
    // What was refused is not in it.
    transaction.commit().unwrap();
    assert_eq!(broker.subscriptions("transient = FALSE").unwrap().len(), 1);
}

#[test]
fn transaction_that_becomes_too_large_is_refused_with_the_limit() {
    let broker = quiet();
    let mut transaction = broker.transaction();
    for n in 0..Transaction::KEYS - 1 {
        let mut tree = transaction.tree("t").unwrap();
        tree.insert(n.to_string(), "1").unwrap();
    }
    transaction.ensure(&record("a")).unwrap();
    let message = "a transaction of 4097 keys: 4096 are the most";
    let mut tree = transaction.tree("t").unwrap();
    tree.insert("0", "replaced").unwrap();
    let error = assert_kind(tree.insert("more", "1"), ErrorKind::Invalid);
    assert_eq!(error.to_string(), message);
    assert_kind(tree.expect_absent("more"), ErrorKind::Invalid);
    assert_kind(transaction.remove("more"), ErrorKind::Invalid);
    transaction.commit().unwrap();
    assert_eq!(get(&broker, "0").as_deref(), Some("replaced"));

    let mut transaction = broker.transaction();
    let mut tree = transaction.tree("t").unwrap();
    let value = vec![0; Tree::VALUE_BYTES];
    let fits = Transaction::BYTES / (Tree::VALUE_BYTES + b"ut.000".len());
    for n in 0..fits {
        tree.insert(format!("{n:03}"), value.clone()).unwrap();
    }
    tree.insert("000", value.clone()).unwrap();
    let error = assert_kind(tree.expect("000", value), ErrorKind::Invalid);
    assert!(
        error.to_string().ends_with("bytes: 16777216 are the most"),
        "{error}"
    );
    transaction.commit().unwrap();
}

#[test]
fn every_call_after_the_close_of_the_broker_is_closed() {
    let broker = quiet();
    let mut before = broker.transaction();
    before.ensure(&record("a")).unwrap();
    before.tree("t").unwrap().insert("a", "1").unwrap();
    let mut transaction = broker.transaction();
    broker.close(Duration::MAX).unwrap();
    assert_kind(before.commit(), ErrorKind::Closed);
    assert_kind(transaction.ensure(&record("a")), ErrorKind::Closed);
    assert_kind(transaction.store(&record("a")), ErrorKind::Closed);
    assert_kind(transaction.remove("a"), ErrorKind::Closed);
    let mut tree = transaction.tree("t").unwrap();
    assert_kind(tree.insert("a", "1"), ErrorKind::Closed);
    assert_kind(tree.expect_absent("a"), ErrorKind::Closed);
    assert_kind(transaction.commit(), ErrorKind::Closed);
}

/// Does all that a transaction does under an engine of which every operation from the `nth` on
/// fails, and returns whether it failed.
fn scenario(failed: FailedWrite, nth: usize) -> bool {
    let engine = FaultyEngine::with_failed_writes(failed);
    let options = StoreOptions::new().back_off(Duration::ZERO, Duration::ZERO);
    let kept = LocalStore::with_engine(engine.clone(), options).unwrap();
    let broker = on_store(Arc::new(kept));
    broker.ensure(&record("old")).unwrap();
    insert(&broker, "n", "1");
    let mut transaction = broker.transaction();
    transaction.ensure(&record("new")).unwrap();
    transaction.remove(record("old").id()).unwrap();
    let mut tree = transaction.tree("t").unwrap();
    tree.expect("n", "1").unwrap().insert("n", "2").unwrap();
    engine.all().from(nth + 1, Fault::fail("injected"));
    let outcome = transaction.commit();
    engine.all().clear();
    // The store is opened again by the next write.
    insert(&broker, "after", "1");
    let is_done = get(&broker, "n").as_deref() == Some("2");
    let is_there = |name: &str| broker.subscription(record(name).id()).is_some();
    assert_eq!(
        (is_there("new"), is_there("old")),
        (is_done, !is_done),
        "{failed:?} {nth}"
    );
    match &outcome {
        Ok(_) => assert!(is_done),
        Err(error) if error.kind() == ErrorKind::Unavailable => assert!(!is_done),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Uncertain, "{error}"),
    }
    outcome.is_err()
}

#[test]
fn transaction_on_an_engine_that_fails_is_there_whole_or_not_at_all() {
    let _watchdog = Watchdog::new();
    for failed in [
        FailedWrite::Nothing,
        FailedWrite::Half,
        FailedWrite::Everything,
    ] {
        let failures = (0..).take_while(|nth| scenario(failed, *nth)).count();
        assert!(failures >= 5, "only {failures} operations were failed");
    }
}

/// Returns a broker with a view of ann, an administrator, and one of eve, who is none.
fn guarded() -> (Broker, Broker, Broker) {
    let authorizer = RoleAuthorizer::new().administrators("admins");
    let broker = Broker::builder().authorizer(authorizer).open().unwrap();
    let admins = Role::new("admins").with_principal("ann");
    broker.define_role(&admins).unwrap();
    let view = |name| broker.as_principal(name).unwrap();
    let (ann, eve) = (view("ann"), view("eve"));
    (broker, ann, eve)
}

#[test]
fn view_without_the_right_is_refused_when_it_adds_something() {
    let (broker, ann, eve) = guarded();
    broker.store(&record("system")).unwrap();
    let mut transaction = eve.transaction();
    let mut tree = transaction.tree("t").unwrap();
    assert_kind(tree.insert("a", "1"), ErrorKind::Denied);
    assert_kind(tree.remove("a"), ErrorKind::Denied);
    // Whoever may read may expect.
    tree.expect_absent("a").unwrap();
    let others = subscription("others", "x").owner("ann").build().unwrap();
    assert_kind(transaction.ensure(&others), ErrorKind::Denied);
    assert_eq!(broker.notices().len(), 3);
    // Rights to what is there now are asked when it is known: by the commit.
    transaction.remove(record("system").id()).unwrap();
    assert_kind(transaction.commit(), ErrorKind::Denied);
    assert!(
        matches!(&broker.notices()[..], [Notice::Denied { right, .. }]
        if *right == Right::Administer.to_string())
    );

    let mut own = eve.transaction();
    own.ensure(&record("own")).unwrap();
    let id = own.commit().unwrap().ensured()[0].0;
    let owner = broker.subscription(id).unwrap();
    assert_eq!(owner.owner().unwrap().as_str(), "eve");
    let mut all = ann.transaction();
    all.remove(record("system").id()).unwrap();
    all.tree("t").unwrap().insert("a", "1").unwrap();
    assert_eq!(all.commit().unwrap().removed().len(), 1);
}

#[test]
fn right_that_was_lost_before_the_commit_is_lacking_there() {
    let (broker, ann, _) = guarded();
    let mut transaction = ann.transaction();
    transaction.tree("t").unwrap().insert("a", "1").unwrap();
    broker.remove_role("admins").unwrap();
    let error = assert_kind(transaction.commit(), ErrorKind::Denied);
    let message = "\"ann\" lacks the right to administer, for the tree \"t\"";
    assert_eq!(error.to_string(), message);
    assert_eq!(get(&broker, "a"), None);
}
