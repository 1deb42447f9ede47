//! Events that wait while their interface changes.

use std::sync::Arc;

use loosely::{
    Broker, Component, DeadLetterCause, MemoryStore, Queued, Store, Subscription, event_interface,
};

use super::{LONG, builder, close};
use crate::support::Tape;

mod first {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn placed(&self, item: &str, count: i32);
        fn cancelled(&self, item: &str);
    }
}

mod second {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        #[event(alias = "placed")]
        fn ordered(&self, count: i64, #[event(alias = "item")] article: &str, note: Option<&str>);
    }
}

fn open(store: &Arc<dyn Store>) -> Broker {
    builder().store(Arc::clone(store)).open().unwrap()
}

mod third {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn placed(
            &self,
            count: i32,
            item: &str,
            note: Option<&str>,
            #[event(default = "EUR")] currency: &str,
            #[event(default = 2 + 5)] days: u8,
            #[event(default = Some(1.5))] weight: Option<f64>,
        );
    }
}

impl third::Orders for Tape {
    fn placed(
        &self,
        count: i32,
        item: &str,
        note: Option<&str>,
        currency: &str,
        days: u8,
        weight: Option<f64>,
    ) {
        self.write(format!(
            "{count} {item} {note:?} {currency} {days} {weight:?}"
        ));
    }
}

fn wired(store: &Arc<dyn Store>) -> Broker {
    let broker = open(store);
    let queue = Subscription::builder("ledger").to::<dyn first::Orders>();
    let queue = queue.component("ledger").delivery(Queued::new());
    broker.ensure(&queue.build().unwrap()).unwrap();
    broker
}

/// Registers the subscriber of the third version, and nothing that publishes.
fn listen(broker: &Broker, tape: &Tape) {
    let tape = tape.clone();
    let ledger = Component::new("ledger", move || tape.clone());
    broker
        .register_component(ledger.implements::<dyn third::Orders>())
        .unwrap();
    assert!(broker.idle(LONG));
}

/// Such a program goes by the schema in the store until its component says otherwise, and events
/// came to it by their places. The store knows no defaults.
#[test]
fn parameters_find_their_places_and_defaults_in_a_program_that_publishes_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = wired(&store);
    let orders = broker.publisher::<dyn first::Orders>().unwrap();
    assert_eq!(orders.placed("pen", 3).accepted(), 1);
    drop(orders);
    close(broker);
    // Its version is in the store from now on.
    let broker = open(&store);
    drop(broker.publisher::<dyn third::Orders>().unwrap());
    close(broker);
    let (broker, tape) = (open(&store), Tape::new());
    listen(&broker, &tape);
    assert_eq!(tape.take(), ["3 pen None EUR 7 Some(1.5)"]);
    close(broker);
}

/// As above, for a program that the newer version was never stored by.
#[test]
fn component_of_a_newer_version_than_the_stores_has_its_own() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = wired(&store);
    let orders = broker.publisher::<dyn first::Orders>().unwrap();
    orders.placed("pen", 3);
    drop(orders);
    close(broker);
    let (broker, tape) = (open(&store), Tape::new());
    listen(&broker, &tape);
    assert_eq!(tape.take(), ["3 pen None EUR 7 Some(1.5)"]);
    close(broker);
}

#[test]
fn waiting_event_is_delivered_by_name_and_one_that_nobody_can_take_is_a_dead_letter() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = wired(&store);
    let orders = broker.publisher::<dyn first::Orders>().unwrap();
    assert_eq!(orders.placed("pen", 3).accepted(), 1);
    assert_eq!(orders.cancelled("ink").accepted(), 1);
    drop(orders);
    close(broker);

    let (broker, tape) = (open(&store), Tape::new());
    let _orders = broker.publisher::<dyn second::Orders>().unwrap();
    let ledger = tape.untyped("ledger").implements_any();
    broker.register_component(ledger).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(
        tape.take(),
        ["ordered(count = 3, article = 'pen', note = NULL)"]
    );
    let letters = broker.dead_letters().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].cause(), DeadLetterCause::SchemaChanged);
    assert_eq!(letters[0].method(), Some("cancelled"));
    let reason = "the interface has no method \"cancelled\" that takes the event";
    assert_eq!(letters[0].reason(), reason);
    close(broker);

    // The program that knows such events can have it after all.
    let (broker, tape) = (open(&store), Tape::new());
    let _orders = broker.publisher::<dyn first::Orders>().unwrap();
    let ledger = tape.untyped("ledger").implements_any();
    broker.register_component(ledger).unwrap();
    broker.replay(&letters[0]).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["cancelled(item = 'ink')"]);
    close(broker);
}
