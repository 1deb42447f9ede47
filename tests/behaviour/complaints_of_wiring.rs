//! The rest of what users of COM+ Events complained about: order, identity, the store, tests,
//! tools. [`complaints`](super::complaints) has the first ten, and what the sources are called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use loosely::{
    Broker, ChangeKind, Ensured, ErrorKind, Event, EventContext, FireOutcome, LocalStore,
    MemoryEngine, MemoryStore, PublisherId, Store, StoreOptions, Subscription, SubscriptionStatus,
    ValueRef, WiringObject,
};

use crate::support::{
    OnPrice, StockEvents, StockEventsHandlers, StockEventsPublisher, Tape, live, on_store, quiet,
    subscription,
};

fn publisher(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

/// Complaint 11, "Publishing and Delivering Events in COM+": subscribers are called "in no
/// determined or repeatable order".
#[test]
fn order_of_calling_is_by_priority_and_storing_and_the_same_next_time() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for (restart, index) in [(false, 0), (true, 0), (true, 200)] {
        let (broker, tape) = (on_store(Arc::clone(&store)), Tape::new());
        for (name, priority) in [("a", 0), ("c", -1), ("d", 0), ("e", 7), ("b", -1)] {
            broker.register_component(tape.component(name)).unwrap();
            let record = subscription(name, name)
                .priority(priority)
                .filter("price > 0");
            let ensured = broker.ensure(&record.build().unwrap()).unwrap();
            assert_eq!(ensured == Ensured::Present, restart);
        }
        // Beside so many an index finds them.
        let others = (0..index).map(|number| {
            let record = subscription(&format!("s{number}"), "nobody");
            record
                .filter(format!("price = -{number}.5"))
                .build()
                .unwrap()
        });
        broker.import(others).unwrap();
        let stocks = publisher(&broker);
        for _ in 0..2 {
            stocks.price_changed("A", 1.0);
            let expected = ["e", "a", "d", "c", "b"].map(|name| format!("{name} A 1"));
            assert_eq!(tape.take(), expected);
        }
    }
}

/// Complaint 13, "IEventSubscription::put_PublisherID": a PublisherID isolates nothing.
#[test]
fn subscription_to_a_publisher_hears_no_other_one() {
    let (broker, tape) = (quiet(), Tape::new());
    let (nyse, other, without) = (publisher(&broker), publisher(&broker), publisher(&broker));
    let id = PublisherId::named("nyse");
    nyse.set_id(id);
    other.set_id(PublisherId::named("nasdaq"));
    let record = live("of nyse").from_publisher(id).build().unwrap();
    let _guard = broker.subscribe_with::<dyn StockEvents>(&record, tape.listener("x"));
    let reports = [&nyse, &other, &without].map(|it| it.price_changed("A", 1.0));
    let outcomes = reports.map(|report| report.outcome());
    let filtered = FireOutcome::AllFiltered;
    assert_eq!(outcomes, [FireOutcome::Delivered, filtered, filtered]);
    assert_eq!(tape.take(), ["x A 1"]);
}

/// Complaint 14, EVENT_E_CANT_MODIFY_OR_DELETE_CONFIGURED_OBJECT and its counterpart: what was made
/// through the catalog could not be changed through the event system, nor the other way round.
#[test]
fn what_was_stored_one_way_is_changed_any_other_way() {
    let broker = quiet();
    let record = |name: &str| subscription(name, "nobody").build().unwrap();
    let (ensured, stored, imported) = (record("e"), record("s"), record("i"));
    broker.ensure(&ensured).unwrap();
    broker.store(&stored).unwrap();
    broker.import([&imported]).unwrap();
    for one in [&ensured, &stored, &imported] {
        broker.disable(one.id()).unwrap();
        let read = broker.subscription(one.id()).unwrap();
        assert!(!read.is_enabled());
        broker.store(&read.enabled().with_priority(3)).unwrap();
        assert_eq!(broker.ensure(one).unwrap(), Ensured::Differs);
        broker.import([one]).unwrap();
        assert_eq!(broker.ensure(one).unwrap(), Ensured::Present);
    }
    assert!(broker.remove(ensured.id()).unwrap());
    assert_eq!(broker.remove_where("name IN ('s', 'i')").unwrap().len(), 2);
}

/// Complaint 15, "COM+ Tracking": events get lost, and nobody can tell that they did.
#[test]
fn who_follows_the_wiring_misses_nothing_or_is_told_so() {
    let options = StoreOptions::new().history_limit(8).without_copy();
    let store = LocalStore::with_engine(MemoryEngine::new(), options).unwrap();
    let broker = on_store(Arc::new(store));
    let begin = broker.revision();
    let mut feed = broker.follow_changes(begin).unwrap();
    let change = |number: u32| {
        let record = subscription(&format!("s{number}"), "nobody")
            .build()
            .unwrap();
        (broker.store(&record).unwrap(), record.id())
    };
    for number in 0..5 {
        let (revision, id) = change(number);
        let told = feed.next_within(Duration::ZERO).unwrap().unwrap();
        let expected = (revision, &WiringObject::Subscription(id));
        assert_eq!((told.revision(), told.object()), expected);
    }
    // Too many to be kept for one who does not look.
    (5..50).for_each(|number| _ = change(number));
    let behind = feed.find_map(Result::err).unwrap();
    assert_eq!(behind.kind(), ErrorKind::Compacted);
    assert!(feed.next_within(Duration::ZERO).is_none());
}

/// Complaint 16, "Publishing and Delivering Events in COM+": the event store is of one machine, and
/// carrying subscriptions to others is the administrator's affair.
#[test]
fn wiring_is_carried_to_another_store_and_kept_alike() {
    let (here, there, tape) = (quiet(), quiet(), Tape::new());
    let mut feed = here.follow_changes(here.revision()).unwrap();
    let mut mirror = || {
        while let Some(change) = feed.next_within(Duration::ZERO) {
            let change = change.unwrap();
            let WiringObject::Subscription(id) = *change.object() else {
                continue;
            };
            match here
                .subscription(id)
                .filter(|_| change.kind() == ChangeKind::Put)
            {
                Some(record) => {
                    let text = serde_json::to_string(&record.without_revision()).unwrap();
                    let carried: Subscription = serde_json::from_str(&text).unwrap();
                    there.store(&carried).unwrap();
                }
                None => _ = there.remove(id).unwrap(),
            }
        }
    };
    there.register_component(tape.component("screen")).unwrap();
    let stocks = publisher(&there);
    let record = subscription("dear", "screen")
        .filter("price > 5")
        .build()
        .unwrap();
    here.ensure(&record).unwrap();
    mirror();
    assert_eq!(stocks.price_changed("A", 6.0).delivered(), 1);
    here.disable(record.id()).unwrap();
    mirror();
    assert_eq!(stocks.price_changed("A", 6.0).delivered(), 0);
    here.remove(record.id()).unwrap();
    mirror();
    assert_eq!(there.subscriptions("ALL").unwrap(), []);
}

/// Complaint 17, KB 965230: statistics that were published through the event system came late.
#[test]
fn event_was_delivered_when_its_fire_returns() {
    let broker = quiet();
    let stocks = publisher(&broker);
    let arrived = Arc::new(AtomicBool::new(false));
    let (arrives, firing) = (Arc::clone(&arrived), thread::current().id());
    let began = SystemTime::now();
    let on_price = OnPrice(move |_: &str, _: f64| {
        assert_eq!(thread::current().id(), firing);
        assert!(EventContext::current().unwrap().time() >= began);
        arrives.store(true, Ordering::SeqCst);
    });
    let _guard = broker.subscribe::<dyn StockEvents>(Arc::new(on_price));
    for _ in 0..3 {
        assert_eq!(stocks.price_changed("A", 1.0).delivered(), 1);
        assert!(arrived.swap(false, Ordering::SeqCst));
    }
}

/// Complaint 18, codeproject.com article 2763: who wants to see what a publisher fires has to write
/// a subscriber, compile it and register it; a tool was written for that.
#[test]
fn what_is_fired_is_seen_without_a_subscriber_of_ones_own() {
    let broker = quiet();
    let stocks = publisher(&broker);
    let values = [ValueRef::Str("A"), ValueRef::F64(6.0)];
    let record = subscription("dear", "nobody")
        .filter("price > 5")
        .build()
        .unwrap();
    broker.ensure(&record).unwrap();
    // Without any: what would become of it.
    let explanation = stocks.explain("price_changed", &values).unwrap();
    let line = explanation.line("dear").unwrap().to_string();
    assert!(line.contains("not registered"), "{line}");

    // With a closure, or by name and values, of a class known by its name alone.
    let tape = Tape::new();
    let (heard, seen) = (tape.clone(), tape.clone());
    let handlers = StockEventsHandlers::new();
    let handlers = handlers.on_price_changed(move |symbol: &str, price: f64| {
        heard.write(format!("{symbol} {price}"));
    });
    let _closure = broker.subscribe::<dyn StockEvents>(Arc::new(handlers));
    let any = Subscription::builder("any").class("StockEvents").object();
    let write = move |event: &Event<'_>| {
        seen.write(event.to_string());
        Ok(())
    };
    let any = any.build().unwrap();
    let _any = broker.subscribe_untyped(&any, Arc::new(write));
    stocks.price_changed("A", 6.0);
    assert_eq!(
        tape.take(),
        ["A 6", "price_changed(symbol = 'A', price = 6.0)"]
    );
}

/// Complaint 20, "Registering a Transient Subscription": the administration tool shows a part of
/// the properties, and no transient subscription.
#[test]
fn every_property_of_every_subscription_is_found_and_changed() {
    let broker = quiet();
    let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let record = live("watch").build().unwrap();
    let guard = broker.subscribe_with::<dyn StockEvents>(&record, Tape::new().listener("x"));
    let found = broker.subscriptions("transient = TRUE").unwrap();
    assert_eq!(found, [record]);
    guard
        .unwrap()
        .replace::<dyn StockEvents>(Tape::new().listener("y"))
        .unwrap();

    let plain = subscription("plain", "nobody").id("it").build().unwrap();
    broker.store(&plain).unwrap();
    let edited = broker.subscription("it").unwrap().to_builder();
    let edited = edited
        .name("edited")
        .class("StockEvents")
        .method("traded")
        .from_publisher("nyse")
        .component("somebody")
        .filter("volume > 5")
        .priority(3)
        .not_before(time(1))
        .expires(time(2))
        .owner("ann")
        .per_user()
        .requires_role("traders")
        .for_publisher([("desk", "fx")])
        .for_subscriber([("level", 3)])
        .description("what it is for")
        .disabled();
    broker.store(&edited.build().unwrap()).unwrap();
    for criteria in [
        "name = 'edited' AND description LIKE 'what%' AND revision > 0",
        "method = 'traded' AND priority = 3 AND enabled = FALSE",
        "owner = 'ann' AND per_user = TRUE AND publisher_role = 'traders'",
        "filter = 'volume > 5' AND not_before < expires",
        "for_publisher.desk = 'fx' AND for_subscriber.level = 3",
        "class IS NOT NULL AND publisher IS NOT NULL AND component IS NOT NULL",
    ] {
        let found = broker.subscriptions(criteria).unwrap();
        assert_eq!(found.len(), 1, "{criteria}");
    }
    assert_eq!(broker.status("it"), Some(SubscriptionStatus::Disabled));
}
