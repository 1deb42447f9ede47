//! Stored events that no longer fit, and what the program makes of them.

use std::sync::Arc;

use loosely::{
    Broker, Component, DeadLetterCause, EventInterface, MemoryStore, OlderEvent, Queued, Store,
    Subscription, Upcaster, event_interface,
};

use super::{LONG, builder, close};
use crate::support::Tape;

mod v1 {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn placed(&self, item: &str, euros: f64);
        fn cancelled(&self, item: &str);
    }
}

mod v2 {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn placed(&self, item: &str, cents: u64);
    }
}

mod v3 {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn ordered(&self, cents: u64, currency: &str, item: &str);
    }
}

impl v3::Orders for Tape {
    fn ordered(&self, cents: u64, currency: &str, item: &str) {
        self.write(format!("{item} for {cents} cents of {currency}"));
    }
}

fn open(store: &Arc<dyn Store>) -> Broker {
    builder().store(Arc::clone(store)).open().unwrap()
}

fn record() -> Subscription {
    let record = Subscription::builder("ledger").to::<dyn v1::Orders>();
    let record = record.component("ledger").delivery(Queued::new());
    record.build().unwrap()
}

/// Returns a store in which an event of the first version waits.
fn fired() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = open(&store);
    broker.ensure(&record()).unwrap();
    let orders = broker.publisher::<dyn v1::Orders>().unwrap();
    assert_eq!(orders.placed("pen", 1.25).accepted(), 1);
    drop(orders);
    close(broker);
    store
}

/// Registers the subscriber as the third version has it, in a program that publishes nothing.
fn listen(broker: &Broker, tape: &Tape) {
    let tape = tape.clone();
    let ledger = Component::new("ledger", move || tape.clone());
    broker
        .register_component(ledger.implements::<dyn v3::Orders>())
        .unwrap();
    assert!(broker.idle(LONG));
}

fn to_cents(event: OlderEvent) -> Option<OlderEvent> {
    let euros = event.values().get_as::<f64>("euros").ok()?;
    Some(event.with("cents", (euros * 100.0) as u64).without("euros"))
}

fn with_currency(event: OlderEvent) -> Option<OlderEvent> {
    (event.method() == "placed").then(|| event.into_method("ordered").with("currency", "EUR"))
}

#[test]
fn upcasters_are_asked_one_after_another_until_the_event_fits() {
    let store = fired();
    let (broker, tape) = (open(&store), Tape::new());
    // The later step first: versions say which one is next.
    let second = Upcaster::new("Orders", with_currency).of_version(<dyn v2::Orders>::schema());
    let first = Upcaster::new("Orders", to_cents).of_version(<dyn v1::Orders>::schema());
    broker.register_upcaster(second).unwrap();
    broker
        .register_upcaster(first.makes(<dyn v2::Orders>::schema()))
        .unwrap();
    listen(&broker, &tape);
    assert_eq!(tape.take(), ["pen for 125 cents of EUR"]);
    assert!(broker.dead_letters().unwrap().is_empty());
    close(broker);
}

#[test]
fn upcasters_of_any_version_make_a_chain_too_and_each_is_asked_once() {
    let store = fired();
    let (broker, tape) = (open(&store), Tape::new());
    for upcast in [with_currency, to_cents] {
        broker
            .register_upcaster(Upcaster::new("Orders", upcast))
            .unwrap();
    }
    // Makes one that never fits, of what it made, and of that again.
    let circle = Upcaster::new("Orders", |event| Some(event.into_method("again")));
    let older = <dyn v2::Orders>::schema();
    broker
        .register_upcaster(circle.of_version(older).makes(older))
        .unwrap();
    listen(&broker, &tape);
    assert_eq!(tape.take(), ["pen for 125 cents of EUR"]);
    close(broker);
}

#[test]
fn event_that_every_upcaster_refuses_is_a_dead_letter_until_one_takes_it() {
    let store = fired();
    let (broker, tape) = (open(&store), Tape::new());
    broker
        .register_upcaster(Upcaster::new("Orders", |_| None))
        .unwrap();
    listen(&broker, &tape);
    let letters = broker.dead_letters().unwrap();
    assert_eq!(letters[0].cause(), DeadLetterCause::SchemaChanged);
    assert_eq!(letters[0].schema(), <dyn v1::Orders>::schema().hash());
    let reason = letters[0].reason();
    assert!(reason.ends_with("no upcaster makes one"), "{reason}");
    assert_eq!(tape.len(), 0);

    let whole = |event| with_currency(to_cents(event)?);
    let whole = Upcaster::new("Orders", whole).of_version(letters[0].schema());
    broker.register_upcaster(whole).unwrap();
    broker.replay(&letters[0]).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["pen for 125 cents of EUR"]);
    close(broker);
}

#[test]
fn upcaster_that_panics_or_makes_what_does_not_fit_costs_nothing_but_the_letter() {
    let store = fired();
    let (broker, tape) = (open(&store), Tape::new());
    // The one makes text of what is a number, the other has no more to say than that.
    let wrong = |event: OlderEvent| {
        let event = event.with("currency", "EUR").into_method("ordered");
        Some(event.with("cents", "125"))
    };
    let panics = |event: OlderEvent| match event.method() {
        "ordered" => panic!("there is no {} cents", event.values().get("cents").unwrap()),
        _ => None,
    };
    broker
        .register_upcaster(Upcaster::new("Orders", wrong))
        .unwrap();
    broker
        .register_upcaster(Upcaster::new("Orders", panics))
        .unwrap();
    listen(&broker, &tape);
    let letters = broker.dead_letters().unwrap();
    assert_eq!(letters[0].cause(), DeadLetterCause::SchemaChanged);
    let reason = letters[0].reason();
    assert_eq!(reason, "its upcaster panicked: there is no '125' cents");
    assert_eq!(letters[0].values().get("item"), Some(&"pen".into()));
    close(broker);
}

#[test]
fn event_that_fits_is_no_upcasters_business() {
    let store = fired();
    let (broker, tape) = (open(&store), Tape::new());
    let upcaster = Upcaster::new("Orders", |_| panic!("nobody asked"));
    broker.register_upcaster(upcaster).unwrap();
    let _orders = broker.publisher::<dyn v1::Orders>().unwrap();
    let ledger = tape.untyped("ledger").implements_any();
    broker.register_component(ledger).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["placed(item = 'pen', euros = 1.25)"]);
    close(broker);
}
