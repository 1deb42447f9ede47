//! What a program calls at its start.

use std::sync::{Arc, Barrier};
use std::thread;

use loosely::{Broker, Ensured, ErrorKind, MemoryStore, Store, Subscription, SubscriptionStatus};

use crate::support::{Alerts, StockEvents, Tape, Watchdog, live, on_store, quiet, subscription};

#[test]
fn first_ensure_adds_and_a_rerun_finds_it_present() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Added);
    let revision = broker.revision();
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Present);
    assert_eq!(broker.revision(), revision, "a rerun writes nothing");
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 1);
}

#[test]
fn id_is_that_of_owner_binding_and_name_in_every_process() {
    let id = |owner: &str, name: &str, method: &str| {
        let record = subscription(name, "alarm").owner(owner).method(method);
        record.build().unwrap().id()
    };
    let base = id("ann", "a", "traded");
    assert_eq!(base, id("ann", "a", "traded"));
    assert_ne!(base, id("bob", "a", "traded"));
    assert_ne!(base, id("ann", "b", "traded"));
    assert_ne!(base, id("ann", "a", "price_changed"));
    let elsewhere = subscription("a", "other").owner("ann").method("traded");
    let elsewhere = elsewhere.filter("volume > 1").priority(3);
    assert_eq!(
        base,
        elsewhere.build().unwrap().id(),
        "the rest is no part of the identity"
    );
    let other_interface = Subscription::builder("a").to::<dyn Alerts>();
    let other_interface = other_interface.component("alarm").owner("ann");
    assert_ne!(base, other_interface.method("traded").build().unwrap().id());
}

#[test]
fn explicit_id_is_kept_and_a_name_stands_for_one() {
    let broker = quiet();
    let record = subscription("a", "alarm").id("my own").build().unwrap();
    broker.ensure(&record).unwrap();
    assert_eq!(broker.subscription("my own").unwrap().name(), "a");
}

#[test]
fn programs_new_definition_replaces_its_own_old_one() {
    let broker = quiet();
    broker
        .ensure(&subscription("a", "alarm").build().unwrap())
        .unwrap();
    let newer = subscription("a", "alarm").priority(5).build().unwrap();
    assert_eq!(broker.ensure(&newer).unwrap(), Ensured::Updated);
    assert_eq!(broker.subscription(newer.id()).unwrap().priority(), 5);
    assert_eq!(broker.ensure(&newer).unwrap(), Ensured::Present);
}

#[test]
fn administrators_edit_is_never_undone() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    broker.ensure(&record).unwrap();
    let edited = broker.subscription(record.id()).unwrap();
    let edited = edited.with_filter("symbol = 'MSFT'");
    broker.store(&edited).unwrap();
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Differs);
    let newer = subscription("a", "alarm").priority(5).build().unwrap();
    assert_eq!(broker.ensure(&newer).unwrap(), Ensured::Differs);
    let found = broker.subscription(record.id()).unwrap();
    assert_eq!(
        (found.filter(), found.priority()),
        (Some("symbol = 'MSFT'"), 0)
    );
}

#[test]
fn switched_off_subscription_stays_off_and_is_present_once_switched_on_again() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    broker.ensure(&record).unwrap();
    broker.disable(record.id()).unwrap();
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Differs);
    assert!(!broker.subscription(record.id()).unwrap().is_enabled());
    broker.enable(record.id()).unwrap();
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Present);
    let newer = subscription("a", "alarm").priority(5).build().unwrap();
    assert_eq!(broker.ensure(&newer).unwrap(), Ensured::Updated);
}

#[test]
fn subscription_that_a_person_stored_is_left_alone() {
    let broker = quiet();
    let record = subscription("a", "alarm").priority(9).build().unwrap();
    broker.store(&record).unwrap();
    let programs = subscription("a", "alarm").build().unwrap();
    assert_eq!(broker.ensure(&programs).unwrap(), Ensured::Differs);
    assert_eq!(broker.subscription(record.id()).unwrap().priority(), 9);
}

#[test]
fn removed_subscription_is_added_again() {
    let broker = quiet();
    let record = subscription("a", "alarm").build().unwrap();
    broker.ensure(&record).unwrap();
    assert!(broker.remove(record.id()).unwrap());
    assert!(!broker.remove(record.id()).unwrap());
    assert_eq!(broker.ensure(&record).unwrap(), Ensured::Added);
}

#[test]
fn ensures_at_the_same_time_add_one() {
    let _watchdog = Watchdog::new();
    for _ in 0..50 {
        let broker = quiet();
        let outcomes = ensure_from(&[broker.clone(), broker.clone(), broker.clone()]);
        assert_eq!(outcomes.iter().filter(|o| **o == Ensured::Added).count(), 1);
        assert_eq!(
            outcomes.iter().filter(|o| **o == Ensured::Present).count(),
            2
        );
    }
}

#[test]
fn ensures_through_brokers_that_share_a_store_add_one() {
    let _watchdog = Watchdog::new();
    for _ in 0..50 {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let brokers = [
            on_store(store.clone()),
            on_store(store.clone()),
            on_store(store),
        ];
        let outcomes = ensure_from(&brokers);
        assert_eq!(outcomes.iter().filter(|o| **o == Ensured::Added).count(), 1);
        assert_eq!(
            outcomes.iter().filter(|o| **o == Ensured::Present).count(),
            2
        );
    }
}

/// Ensures one subscription through each broker at the same time.
fn ensure_from(brokers: &[Broker]) -> Vec<Ensured> {
    let start = Barrier::new(brokers.len());
    let record = subscription("a", "alarm").build().unwrap();
    thread::scope(|scope| {
        let ensure = |broker: Broker| {
            let (start, record) = (&start, &record);
            scope.spawn(move || {
                start.wait();
                broker.ensure(record).unwrap()
            })
        };
        let threads: Vec<_> = brokers.iter().cloned().map(ensure).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn live_object_cannot_be_stored() {
    let broker = quiet();
    let record = live("a").build().unwrap();
    assert_eq!(
        broker.ensure(&record).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(
        broker.store(&record).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn what_does_not_fit_a_known_interface_is_refused_when_stored() {
    let broker = quiet();
    broker.publisher::<dyn StockEvents>().unwrap();
    let misfit = subscription("a", "alarm")
        .filter("color = 'red'")
        .build()
        .unwrap();
    let error = broker.ensure(&misfit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    assert!(error.to_string().contains("color"), "{error}");
    let wrong_type = subscription("a", "alarm")
        .filter("price = 'high'")
        .build()
        .unwrap();
    assert_eq!(
        broker.store(&wrong_type).unwrap_err().kind(),
        ErrorKind::Filter
    );
    let no_method = subscription("a", "alarm").method("split").build().unwrap();
    assert_eq!(
        broker.ensure(&no_method).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(broker.subscriptions("ALL").unwrap().is_empty());
}

#[test]
fn subscription_to_what_is_not_registered_yet_is_checked_at_registration() {
    let broker = quiet();
    let tape = Tape::new();
    let good = subscription("good", "alarm")
        .filter("price > 1")
        .build()
        .unwrap();
    let bad = subscription("bad", "alarm")
        .filter("color = 'red'")
        .build()
        .unwrap();
    for record in [&good, &bad] {
        assert_eq!(broker.ensure(record).unwrap(), Ensured::Added);
        assert_eq!(
            broker.status(record.id()).unwrap(),
            SubscriptionStatus::Unchecked
        );
    }
    broker.register_component(tape.component("alarm")).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(
        broker.status(good.id()).unwrap(),
        SubscriptionStatus::Active
    );
    let suspended = broker.status(bad.id()).unwrap();
    assert!(matches!(suspended, SubscriptionStatus::Suspended(why) if why.contains("color")));
    let report = stocks.price_changed("MSFT", 2.0);
    assert_eq!((report.delivered(), report.skipped()), (1, 1));
    assert_eq!(tape.take(), ["alarm MSFT 2"]);
}

#[test]
fn filter_is_checked_as_soon_as_a_component_makes_the_interface_known() {
    let broker = quiet();
    let tape = Tape::new();
    broker.register_component(tape.component("alarm")).unwrap();
    let misspelt = subscription("misspelt", "alarm").filter("prise > 185");
    let error = broker.ensure(&misspelt.build().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    // A class that declares the property may still come.
    let of_publisher = subscription("of a publisher", "alarm").filter("publisher.site = 'oslo'");
    let of_publisher = of_publisher.build().unwrap();
    assert_eq!(broker.ensure(&of_publisher).unwrap(), Ensured::Added);
    assert_eq!(
        broker.status(of_publisher.id()).unwrap(),
        SubscriptionStatus::Unchecked
    );
}
