//! Per-user subscriptions follow the sessions of their owners.

use std::sync::Arc;

use loosely::{
    Broker, ErrorKind, FireOutcome, MemoryStore, Stage, Store, SubscriptionBuilder,
    SubscriptionStatus,
};

use crate::support::{StockEvents, Tape, live, on_store, quiet, subscription};

/// Begins a per-user subscription of the component `screen`.
fn of_user(owner: &str, name: &str) -> SubscriptionBuilder {
    subscription(name, "screen").owner(owner).per_user()
}

/// Returns a broker whose component `screen` writes to the tape under this name.
fn desk(store: &Arc<dyn Store>, tape: &Tape, name: &str) -> Broker {
    let broker = on_store(Arc::clone(store));
    let (tape, name) = (tape.clone(), name.to_owned());
    let screen = loosely::Component::new("screen", move || tape.named(&name));
    let screen = screen.implements::<dyn StockEvents>();
    broker.register_component(screen).unwrap();
    broker
}

#[test]
fn per_user_subscription_is_delivered_only_while_its_owner_is_logged_on() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("screen")).unwrap();
    let record = of_user("ann", "a").build().unwrap();
    broker.ensure(&record).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();

    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!(report.outcome(), FireOutcome::NoSubscribers);
    let status = broker.status(record.id()).unwrap();
    assert_eq!(status, SubscriptionStatus::OwnerAbsent);
    let event = ["MSFT".into(), 1.0.into()];
    let explained = stocks.explain("price_changed", &event).unwrap();
    let line = explained.line("a").unwrap();
    assert!(matches!(line.stage(), Stage::OwnerAbsent));
    assert_eq!(line.to_string(), "\"a\": its owner is not logged on");

    let session = broker.log_on("ann").unwrap();
    assert_eq!(stocks.price_changed("MSFT", 2.0).delivered(), 1);
    let status = broker.status(record.id()).unwrap();
    assert_eq!(status, SubscriptionStatus::Active);
    session.log_off();
    assert_eq!(stocks.price_changed("MSFT", 3.0).delivered(), 0);
    assert_eq!(tape.take(), ["screen MSFT 2"]);
}

#[test]
fn owner_is_logged_off_when_the_last_of_several_sessions_ends() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("screen")).unwrap();
    broker
        .ensure(&of_user("ann", "a").build().unwrap())
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let (first, other) = (broker.log_on("ann").unwrap(), broker.log_on("bob").unwrap());
    let second = broker.log_on(first.principal()).unwrap();
    let names: Vec<_> = broker.logged_on().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ann", "bob"]);
    drop(first);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    drop(second);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 0);
    assert_eq!(broker.logged_on(), [other.principal().clone()]);
}

#[test]
fn subscription_follows_its_owner_from_one_broker_to_the_other() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let tape = Tape::new();
    let desks = [desk(&store, &tape, "office"), desk(&store, &tape, "home")];
    desks[0]
        .ensure(&of_user("ann", "a").build().unwrap())
        .unwrap();
    let publishers = desks
        .each_ref()
        .map(|desk| desk.publisher::<dyn StockEvents>().unwrap());
    let fire = || {
        publishers
            .each_ref()
            .map(|stocks| stocks.price_changed("MSFT", 1.0).delivered())
    };
    assert_eq!(fire(), [0, 0]);
    let office = desks[0].log_on("ann").unwrap();
    assert_eq!(fire(), [1, 0]);
    let home = desks[1].log_on("ann").unwrap();
    assert_eq!(fire(), [1, 1]);
    drop(office);
    assert_eq!(fire(), [0, 1]);
    drop(home);
    assert_eq!(fire(), [0, 0]);
    let lines = [
        "office MSFT 1",
        "office MSFT 1",
        "home MSFT 1",
        "home MSFT 1",
    ];
    assert_eq!(tape.take(), lines);
}

#[test]
fn what_is_stored_switched_or_given_away_while_owners_come_and_go_is_heeded() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("screen")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let delivered = || stocks.price_changed("MSFT", 1.0).delivered();
    let _ann = broker.log_on("ann").unwrap();
    let record = of_user("ann", "a").build().unwrap();
    broker.store(&record).unwrap();
    assert_eq!(delivered(), 1);
    broker.disable(record.id()).unwrap();
    assert_eq!(delivered(), 0);
    broker.enable(record.id()).unwrap();
    let given = record.to_builder().owner("bob").build().unwrap();
    broker.store(&given).unwrap();
    assert_eq!(delivered(), 0);
    let bob = broker.log_on("bob").unwrap();
    assert_eq!(delivered(), 1);
    broker.remove(record.id()).unwrap();
    drop(bob);
    let _bob = broker.log_on("bob").unwrap();
    assert_eq!(delivered(), 0);
    let everyones = given.to_builder().without_per_user().build().unwrap();
    broker.store(&everyones).unwrap();
    assert_eq!(delivered(), 1);
}

#[test]
fn filtered_subscriptions_of_many_owners_are_found_by_index_for_those_logged_on() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("screen")).unwrap();
    let of_owner = |owner: usize| {
        let record = of_user(&format!("user {owner}"), &format!("a {owner}"));
        record.filter("symbol = 'MSFT'").build().unwrap()
    };
    broker.import((0..300).map(of_owner)).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let delivered = || stocks.price_changed("MSFT", 1.0).delivered();
    assert_eq!(delivered(), 0);
    let mut sessions: Vec<_> = (0..200)
        .map(|owner| broker.log_on(format!("user {owner}")).unwrap())
        .collect();
    assert_eq!(delivered(), 200);
    sessions.truncate(50);
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.filtered()), (50, 0));
    let report = stocks.price_changed("IBM", 1.0);
    assert_eq!((report.delivered(), report.filtered()), (0, 50));
    let event = ["MSFT".into(), 1.0.into()];
    let explained = stocks.explain("price_changed", &event).unwrap();
    assert_eq!((explained.lines().len(), explained.delivered()), (300, 50));
    assert_eq!(explained.lines()[49].name(), "a 49");
    sessions.clear();
    assert_eq!(delivered(), 0);
}

#[test]
fn transient_subscription_may_follow_its_owner_too() {
    let (broker, tape) = (quiet(), Tape::new());
    let record = live("a").owner("ann").per_user().build().unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("object"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 0);
    let session = broker.log_on("ann").unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
    guard
        .replace::<dyn StockEvents>(tape.listener("other"))
        .unwrap();
    drop(session);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 0);
    drop(guard);
    let _session = broker.log_on("ann").unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 0);
}

#[test]
fn session_outlives_its_broker_and_none_begins_at_a_closed_one() {
    let broker = quiet();
    let session = broker.log_on("ann").unwrap();
    assert_eq!(broker.log_on(" ").unwrap_err().kind(), ErrorKind::Invalid);
    broker.close(std::time::Duration::MAX).unwrap();
    assert_eq!(broker.log_on("ann").unwrap_err().kind(), ErrorKind::Closed);
    drop(broker);
    session.log_off();
}
