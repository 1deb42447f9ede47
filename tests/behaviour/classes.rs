//! Event classes: explicit, default, several on one interface, changed, removed.

use loosely::{
    Cascade, Error, ErrorKind, EventClass, EventClassId, EventInterface, Problems, Subscription,
    ValueType,
};

use crate::support::{Alerts, StockEvents, Tape, quiet, subscription};

#[test]
fn default_class_has_the_interfaces_name_and_the_id_that_it_stands_for() {
    let broker = quiet();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.class_id(), EventClassId::named("StockEvents"));
    assert_eq!(stocks.class().name(), "StockEvents");
    let revision = broker.revision();
    broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(broker.revision(), revision, "one default class is enough");
}

#[test]
fn explicit_class_keeps_its_id_and_attributes_and_serves_the_interface() {
    const STOCKS: EventClassId = EventClassId::from_u128(7);
    let broker = quiet();
    let class = EventClass::new(STOCKS, "Stocks")
        .with_description("d")
        .with_owner("ann");
    let class = class
        .with_publisher("exchange")
        .with_property("desk", ValueType::Str, "fx");
    assert_eq!(
        broker.register_class::<dyn StockEvents>(class).unwrap(),
        STOCKS
    );
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.class_id(), STOCKS, "no default class beside it");
    let class = stocks.class();
    assert_eq!(class.description(), Some("d"));
    assert_eq!(class.publisher(), Some("exchange".into()));
    assert_eq!(class.interfaces(), [<dyn StockEvents>::schema().id()]);
    assert_eq!(class, broker.class(STOCKS).unwrap());
}

#[test]
fn classes_on_one_interface_reach_their_own_subscribers_and_those_of_the_interface() {
    let (broker, tape) = (quiet(), Tape::new());
    for id in ["nyse", "nasdaq"] {
        broker
            .register_class::<dyn StockEvents>(EventClass::new(id, id))
            .unwrap();
        let component = tape.component(id);
        broker.register_component(component).unwrap();
        let record = Subscription::builder(id)
            .class(id)
            .component(id)
            .build()
            .unwrap();
        broker.ensure(&record).unwrap();
    }
    broker.register_component(tape.component("any")).unwrap();
    broker
        .ensure(&subscription("any", "any").build().unwrap())
        .unwrap();
    let error = broker.publisher::<dyn StockEvents>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("nasdaq, nyse") || error.to_string().contains("nyse, nasdaq")
    );
    let nyse = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    let nasdaq = broker.publisher_of::<dyn StockEvents>("nasdaq").unwrap();
    assert_eq!(nyse.price_changed("IBM", 1.0).delivered(), 2);
    assert_eq!(nasdaq.price_changed("MSFT", 2.0).delivered(), 2);
    let expected = ["nyse IBM 1", "any IBM 1", "nasdaq MSFT 2", "any MSFT 2"];
    assert_eq!(tape.take(), expected);
    let classes = broker.classes_of_interface(<dyn StockEvents>::schema().id());
    assert_eq!(classes.len(), 2);
}

#[test]
fn default_class_is_taken_where_several_offer_the_interface() {
    let broker = quiet();
    broker.publisher::<dyn StockEvents>().unwrap();
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.class_id(), EventClassId::named("StockEvents"));
}

#[test]
fn store_owns_the_attributes_after_the_first_registration() {
    let broker = quiet();
    let class = EventClass::new("stocks", "Stocks").with_description("of the program");
    broker
        .register_class::<dyn StockEvents>(class.clone())
        .unwrap();
    let edited = broker
        .class("stocks")
        .unwrap()
        .with_description("of the administrator");
    broker.update_class(&edited).unwrap();
    let revision = broker.revision();
    broker
        .register_class::<dyn StockEvents>(class.clone().with_owner("ann"))
        .unwrap();
    assert_eq!(broker.revision(), revision, "registering again is a no-op");
    let found = broker.class("stocks").unwrap();
    assert_eq!(found.description(), Some("of the administrator"));
    assert_eq!(found.owner(), None);
    broker.register_class::<dyn Alerts>(class).unwrap();
    let found = broker.class("stocks").unwrap();
    assert_eq!(
        found.interfaces().len(),
        2,
        "the interface is what must be added"
    );
    assert_eq!(found.description(), Some("of the administrator"));
}

#[test]
fn class_that_was_changed_since_it_was_read_is_a_conflict() {
    let broker = quiet();
    broker
        .register_class::<dyn StockEvents>(EventClass::new("s", "Stocks"))
        .unwrap();
    let read = broker.class("s").unwrap();
    broker
        .update_class(&read.clone().with_owner("ann"))
        .unwrap();
    assert_eq!(
        broker.update_class(&read).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let unknown = EventClass::new("t", "T").with_interface("StockEvents");
    assert_eq!(
        broker.update_class(&unknown).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn problems(error: &Error) -> Vec<&'static str> {
    let source = std::error::Error::source(error).unwrap();
    let problems: &Problems = source.downcast_ref().unwrap();
    problems.iter().map(loosely::Problem::field).collect()
}

#[test]
fn registration_reports_everything_that_is_wrong_with_a_class() {
    let broker = quiet();
    let class =
        EventClass::new("s", " ")
            .with_owner("a\nb")
            .with_property("x y", ValueType::Str, "");
    let class = class
        .with_property("n", ValueType::I64, "one")
        .with_property("n", ValueType::Bool, true);
    let error = broker.register_class::<dyn StockEvents>(class).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let fields = ["name", "owner", "properties", "properties", "properties"];
    assert_eq!(problems(&error), fields);
    assert!(broker.class("s").is_none());
}

#[test]
fn build_reports_everything_that_is_wrong_with_a_subscription() {
    let now = std::time::SystemTime::now();
    let record = Subscription::builder("")
        .method("no method")
        .owner(" ann")
        .component("a");
    let record = record
        .moniker("m:x")
        .filter("a = ")
        .not_before(now)
        .expires(now);
    let error = record.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let fields = [
        "name", "method", "owner", "binding", "expires", "target", "filter",
    ];
    assert_eq!(problems(&error), fields);
    let none = Subscription::builder("a").class("c").build().unwrap_err();
    assert_eq!(problems(&none), ["target"]);
    let moniker = Subscription::builder("a")
        .class("c")
        .moniker("no scheme")
        .build();
    assert_eq!(problems(&moniker.unwrap_err()), ["target"]);
}

#[test]
fn class_in_use_is_not_removed_unless_its_subscriptions_may_go_too() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let bound = Subscription::builder("bound")
        .class("nyse")
        .component("alarm");
    broker.ensure(&bound.build().unwrap()).unwrap();
    let free = subscription("free", "alarm").build().unwrap();
    broker.ensure(&free).unwrap();
    let nyse = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    let refused = broker
        .unregister_class("nyse", Cascade::Refuse)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InUse);
    assert_eq!(nyse.price_changed("IBM", 1.0).delivered(), 2);
    let revision = broker.revision();
    assert!(broker.unregister_class("nyse", Cascade::Remove).unwrap());
    assert_eq!(
        broker.revision().get(),
        revision.get() + 1,
        "one commit removes all"
    );
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 1);
    assert!(broker.class("nyse").is_none());
    assert_eq!(
        nyse.price_changed("IBM", 1.0).delivered(),
        0,
        "an old publisher reaches nobody"
    );
    assert!(!broker.unregister_class("nyse", Cascade::Remove).unwrap());
    let error = broker.publisher_of::<dyn StockEvents>("nyse").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn class_registered_again_after_removal_is_fired_by_new_publishers() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("alarm")).unwrap();
    broker
        .ensure(&subscription("a", "alarm").build().unwrap())
        .unwrap();
    let first = broker.publisher::<dyn StockEvents>().unwrap();
    broker
        .unregister_class(first.class_id(), Cascade::Refuse)
        .unwrap();
    let second = broker.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(second.price_changed("IBM", 1.0).delivered(), 1);
}

#[test]
fn live_subscription_to_a_removed_class_waits_for_its_return() {
    let (broker, tape) = (quiet(), Tape::new());
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let record = Subscription::builder("live")
        .class("nyse")
        .object()
        .build()
        .unwrap();
    let _guard = broker
        .subscribe_with::<dyn StockEvents>(&record, tape.listener("live"))
        .unwrap();
    assert!(
        broker.unregister_class("nyse", Cascade::Refuse).unwrap(),
        "it is not stored"
    );
    broker
        .register_class::<dyn StockEvents>(EventClass::new("nyse", "nyse"))
        .unwrap();
    let nyse = broker.publisher_of::<dyn StockEvents>("nyse").unwrap();
    assert_eq!(nyse.price_changed("IBM", 1.0).delivered(), 1);
}

#[test]
fn second_rust_type_with_an_interfaces_id_is_refused_wherever_it_comes_in() {
    mod other {
        use loosely::event_interface;

        #[event_interface]
        pub(super) trait StockEvents {
            fn price_changed(&self, symbol: &str);
        }

        pub(super) struct Deaf;

        impl StockEvents for Deaf {
            fn price_changed(&self, _symbol: &str) {}
        }
    }
    let broker = quiet();
    broker.publisher::<dyn StockEvents>().unwrap();
    let class = EventClass::new("other", "other");
    let component = loosely::Component::new("deaf", || other::Deaf);
    let refusals = [
        broker.publisher::<dyn other::StockEvents>().map(drop),
        broker
            .register_class::<dyn other::StockEvents>(class)
            .map(drop),
        broker.register_component(component.implements::<dyn other::StockEvents>()),
        broker
            .subscribe::<dyn other::StockEvents>(std::sync::Arc::new(other::Deaf))
            .map(drop),
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("StockEvents"), "{error}");
    }
    assert_eq!(broker.classes("ALL").unwrap().len(), 1);
}

#[test]
fn publishers_made_at_the_same_time_share_one_default_class() {
    let _watchdog = crate::support::Watchdog::new();
    for _ in 0..20 {
        let broker = quiet();
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    broker.publisher::<dyn StockEvents>().unwrap();
                });
            }
        });
        assert_eq!(broker.classes("ALL").unwrap().len(), 1);
    }
}
