//! A store that fails.

use std::sync::Arc;
use std::time::Duration;

use loosely::testing::{Fault, FaultyStore};
use loosely::{
    Cascade, Ensured, ErrorKind, EventClass, MemoryStore, Notice, Subscription, ValueRef,
};

use crate::support::{StockEvents, Tape, TestEngine, on_store, quiet, subscription};

#[test]
fn fires_go_on_while_the_store_fails_and_changes_are_refused() {
    let (engine, tape) = (TestEngine::default(), Tape::new());
    let broker = on_store(engine.store());
    broker.register_component(tape.component("x")).unwrap();
    broker.register_component(tape.component("late")).unwrap();
    let record = subscription("a", "x").filter("price > 0").build().unwrap();
    broker.ensure(&record).unwrap();
    broker
        .ensure(&subscription("b", "late").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    engine.break_down(true);
    assert_eq!(
        broker.disable(record.id()).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(
        stocks.price_changed("1", 1.0).delivered(),
        2,
        "components are made all the same"
    );
    let guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    let again = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(again.price_changed("2", 1.0).delivered(), 3);
    again
        .explain("price_changed", &[ValueRef::Str("x"), ValueRef::F64(1.0)])
        .unwrap();
    drop(guard);
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 2);
    engine.break_down(false);
    broker.disable(record.id()).unwrap();
    assert_eq!(stocks.price_changed("3", 1.0).delivered(), 1);
}

#[test]
fn failed_flush_is_uncertain_and_the_cache_is_listed_anew() {
    let (engine, tape) = (TestEngine::default(), Tape::new());
    let broker = on_store(engine.store());
    broker.register_component(tape.component("x")).unwrap();
    broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let _guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("live"))
        .unwrap();
    stocks.price_changed("0", 1.0);
    engine.fail_syncs(true);
    let second = subscription("b", "x").build().unwrap();
    assert_eq!(
        broker.ensure(&second).unwrap_err().kind(),
        ErrorKind::Uncertain
    );
    assert_eq!(
        stocks.price_changed("1", 1.0).delivered(),
        3,
        "a fire may see it already"
    );
    engine.fail_syncs(false);
    let third = subscription("c", "x").build().unwrap();
    broker.ensure(&third).unwrap();
    assert_eq!(stocks.price_changed("2", 1.0).delivered(), 4);
    assert_eq!(broker.subscriptions("transient = TRUE").unwrap().len(), 1);
    tape.take();
    stocks.price_changed("3", 1.0);
    assert_eq!(
        tape.take(),
        ["x 3 1", "live 3 1", "x 3 1", "x 3 1"],
        "in the order of before"
    );
}

#[test]
fn broker_on_a_store_of_ones_own_reports_what_that_store_says() {
    let store = FaultyStore::new();
    let (broker, tape) = (on_store(Arc::new(store.clone())), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let record = subscription("a", "x").build().unwrap();
    broker.ensure(&record).unwrap();
    store.commits().from(1, Fault::fail("no paper"));
    let error = broker.remove(record.id()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Io, "no paper".to_owned())
    );
    assert_eq!(
        stocks.price_changed("x", 1.0).delivered(),
        1,
        "nothing was changed"
    );
    let misfit = broker.store(&record.with_filter("color = 1")).unwrap_err();
    assert_eq!(
        misfit.kind(),
        ErrorKind::Filter,
        "checked before the store is asked"
    );
}

#[test]
fn conflict_that_never_ends_is_an_error_and_no_endless_loop() {
    let _watchdog = crate::support::Watchdog::new();
    let store = FaultyStore::new();
    let broker = on_store(Arc::new(store.clone()));
    conflict(&store);
    let error = broker
        .ensure(&subscription("a", "x").build().unwrap())
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Corrupt),
        "{error}"
    );
}

#[test]
fn store_that_fails_at_the_attachment_is_the_error_of_opening() {
    let engine = TestEngine::default();
    let store = engine.store();
    engine.break_down(true);
    let refused = loosely::Broker::builder()
        .store(store.clone())
        .open()
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    engine.break_down(false);
    loosely::Broker::builder().store(store).open().unwrap();
}

#[test]
fn builder_refuses_a_path_and_a_store() {
    let builder = loosely::Broker::builder().store(Arc::new(MemoryStore::new()));
    #[cfg(feature = "sled")]
    assert_eq!(
        builder.path("x").open().unwrap_err().kind(),
        ErrorKind::Invalid
    );
    #[cfg(not(feature = "sled"))]
    drop(builder);
}

#[test]
fn builder_refuses_what_a_store_that_was_given_would_not_heed() {
    let given = || loosely::Broker::builder().store(Arc::new(MemoryStore::new()));
    let unheeded = [
        given().durability(loosely::Durability::Immediate),
        given().copy_every(Duration::from_secs(60)),
        given().without_copy(),
    ];
    for builder in unheeded {
        assert_eq!(builder.open().unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(given().open().is_ok());
}

#[test]
fn notices_are_taken_out_once() {
    let broker = quiet();
    assert_eq!(broker.notices(), Vec::<Notice>::new());
}

/// Has something happen before the next commit.
fn before_next_commit(store: &FaultyStore, work: impl Fn() + Send + Sync + 'static) {
    store.commits().at(1, Fault::run(work));
}

/// Makes every commit a conflict from now on.
fn conflict(store: &FaultyStore) {
    let fault = Fault::fail_as(ErrorKind::Conflict, "always");
    store.commits().from(1, fault);
}

/// What is bound to a class was once looked up before the commit that removes it and never again: a
/// subscription ensured between the two survived its class.
#[test]
fn subscription_bound_to_a_class_while_it_is_removed_keeps_it_or_goes_with_it() {
    let store = FaultyStore::new();
    let broker = on_store(Arc::new(store.clone()));
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let bind = |name: &str| {
        let record = Subscription::builder(name).class("nyse").component("x");
        let (record, broker) = (record.build().unwrap(), broker.clone());
        let bind = move || assert!(broker.ensure(&record).is_ok());
        before_next_commit(&store, bind);
    };
    bind("a");
    let refused = broker.unregister_class("nyse", Cascade::Refuse);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InUse);
    assert!(broker.class("nyse").is_some());
    bind("b");
    assert!(broker.unregister_class("nyse", Cascade::Remove).unwrap());
    assert!(broker.subscriptions("ALL").unwrap().is_empty());
}

/// An import once looked at what was there and wrote over what came after that look: a subscription
/// ensured in between lost its place and the memory of who had ensured it.
#[test]
fn import_leaves_place_and_definition_to_what_came_while_it_was_prepared() {
    let store = FaultyStore::new();
    let (broker, tape) = (on_store(Arc::new(store.clone())), Tape::new());
    for name in ["x", "y"] {
        broker.register_component(tape.component(name)).unwrap();
    }
    let meanwhile = subscription("a", "x").build().unwrap();
    let later = subscription("b", "y").build().unwrap();
    let (first, other) = (meanwhile.clone(), broker.clone());
    let ensure = move || assert_eq!(other.ensure(&first).unwrap(), Ensured::Added);
    before_next_commit(&store, ensure);
    let imported = broker.import([&later, &meanwhile]).unwrap();
    assert_eq!((imported.added(), imported.replaced()), (1, 1));
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("1", 1.0);
    assert_eq!(tape.take(), ["x 1 1", "y 1 1"], "as they came");
    let redefined = meanwhile.with_filter("price > 3");
    assert_eq!(broker.ensure(&redefined).unwrap(), Ensured::Updated);
}

#[test]
fn import_of_a_record_that_has_changed_since_it_was_read_is_a_conflict() {
    let store = FaultyStore::new();
    let broker = on_store(Arc::new(store.clone()));
    let [one, two] = ["a", "b"].map(|name| subscription(name, "x").build().unwrap());
    broker.import([&one, &two]).unwrap();
    let read = broker.subscription(one.id()).unwrap();
    let other = broker.clone();
    let disable = move || other.disable(one.id()).unwrap();
    before_next_commit(&store, disable);
    let refused = broker.import([&two, &read]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(!broker.subscription(read.id()).unwrap().is_enabled());
    conflict(&store);
    let endless = broker.import([&two]).unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::Conflict);
}
