//! What may be registered and subscribed under an id that is taken, or to an interface that does
//! not fit.

use loosely::{Broker, Component, ErrorKind, EventClass, Subscription};

use crate::support::{Alerts, Listener, StockEvents, Tape, live, quiet};

fn refused(broker: &Broker, component: Component<Listener>) -> String {
    let error = broker.register_component(component).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    error.to_string()
}

/// The same id with another list of interfaces was once taken for the same component, and the new
/// interface never served.
#[test]
fn component_with_other_interfaces_is_not_the_one_that_is_registered() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    broker.register_component(tape.component("x")).unwrap();
    let more = tape.component("x").implements::<dyn Alerts>();
    let message = refused(&broker, more);
    let named = message.starts_with("the component \"x\" is registered and implements dyn ")
        && message.ends_with("::Alerts and dyn behaviour::support::StockEvents");
    assert!(named, "{message}");
    broker.unregister_component("x");
    let more = tape.component("x").implements::<dyn Alerts>();
    broker.register_component(more).unwrap();
    refused(&broker, tape.component("x"));
}

#[test]
fn component_of_another_type_with_the_same_name_is_another() {
    let broker = quiet();
    {
        struct Same;
        broker
            .register_component(Component::new("x", || Same))
            .unwrap();
    }
    struct Same;
    let error = broker
        .register_component(Component::new("x", || Same))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        error.to_string().ends_with("not another of this name"),
        "{error}"
    );
}

/// A second trait under the id of stock events, which therefore can claim nothing.
mod impostor {
    #[loosely::event_interface(id = "StockEvents")]
    pub(crate) trait Impostor {
        fn price_changed(&self, symbol: &str, price: f64);
    }
    impl Impostor for super::Listener {
        fn price_changed(&self, _symbol: &str, _price: f64) {}
    }
}

#[test]
fn component_that_is_refused_claims_none_of_its_interfaces() {
    let broker = quiet();
    let made = || Component::new("x", || Tape::new().named("x"));
    broker
        .register_component(made().implements::<dyn Alerts>())
        .unwrap();
    refused(&broker, made().implements::<dyn impostor::Impostor>());
    assert!(broker.publisher::<dyn StockEvents>().is_ok());
}

/// An object of another interface than the record's was once accepted and never called.
#[test]
fn object_of_an_interface_that_the_record_does_not_ask_for_is_refused() {
    let (broker, tape) = (quiet(), Tape::new());
    let record = live("a").build().unwrap();
    let error = broker
        .subscribe_with::<dyn Alerts>(&record, tape.listener("x"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("x"))
        .unwrap();
    let error = guard.replace::<dyn Alerts>(tape.listener("y")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.price_changed("A", 1.0);
    assert_eq!(tape.take(), ["x A 1"]);
}

#[test]
fn object_of_an_interface_that_the_known_class_does_not_offer_is_refused() {
    let (broker, tape) = (quiet(), Tape::new());
    let record = Subscription::builder("a").class("nyse").object();
    let record = record.build().unwrap();
    let unknown = broker.subscribe_with::<dyn Alerts>(&record, tape.listener("x"));
    drop(unknown.unwrap());
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let error = broker
        .subscribe_with::<dyn Alerts>(&record, tape.listener("x"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("Alerts"), "{error}");
}

#[test]
fn object_of_an_interface_whose_id_another_type_has_replaces_nothing() {
    let (broker, tape) = (quiet(), Tape::new());
    let record = live("a").build().unwrap();
    let guard = broker
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("x"))
        .unwrap();
    let error = guard
        .replace::<dyn impostor::Impostor>(tape.listener("y"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}
