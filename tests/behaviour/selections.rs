//! What publisher filters see and may fire where publishers, owners and roles differ.

use loosely::{Broker, DeliveryOutcome, EventClass, Right, Role, RoleAuthorizer, SkipReason};

use crate::publisher_filters::{filtering, firing};
use crate::support::{StockEvents, Tape, quiet, subscription};

/// Returns a broker with roles, whose component `x` writes to the tape.
fn guarded(tape: &Tape) -> Broker {
    let broker = Broker::builder()
        .authorizer(RoleAuthorizer::new())
        .on_failure(|_, _| {});
    let broker = broker.open().unwrap();
    broker.register_component(tape.component("x")).unwrap();
    broker
}

#[test]
fn firing_a_subscription_whose_role_the_publisher_lacks_calls_nobody() {
    let tape = Tape::new();
    let broker = guarded(&tape);
    let role = Role::new("traders").with_principal("ann");
    broker.define_role(&role).unwrap();
    let record = subscription("a", "x").requires_role("traders");
    broker.ensure(&record.build().unwrap()).unwrap();
    for (principal, called) in [("ann", true), ("eve", false)] {
        let view = broker.as_principal(principal).unwrap();
        let stocks = view.publisher::<dyn StockEvents>().unwrap();
        stocks.install_filter(filtering(move |_, subscriptions| {
            let first = subscriptions.iter().next().unwrap();
            let outcome = subscriptions.fire(&first);
            let refused = DeliveryOutcome::Skipped(SkipReason::PublisherRole);
            assert_eq!(outcome.is_delivered(), called);
            assert_eq!(outcome.to_string() == refused.to_string(), !called);
        }));
        let report = stocks.price_changed("MSFT", 1.0);
        assert_eq!((report.delivered() == 1, report.failed()), (called, 0));
    }
    assert_eq!(tape.take(), ["x MSFT 1"]);
}

#[test]
fn filter_sees_no_per_user_subscription_whose_owner_is_away() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x").owner("ann").per_user();
    broker.ensure(&record.build().unwrap()).unwrap();
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    stocks.install_filter(firing(&["a"]));
    let view = stocks.subscriptions("price_changed", "ALL").unwrap();
    let seen = || (view.now().len(), stocks.price_changed("x", 1.0).delivered());
    assert_eq!(seen(), (0, 0));
    let session = broker.log_on("ann").unwrap();
    assert_eq!(seen(), (1, 1));
    session.log_off();
    assert_eq!(seen(), (0, 0));
}

#[test]
fn subscription_to_another_publisher_is_not_reached_by_firing_it() {
    let (broker, tape) = (quiet(), Tape::new());
    broker.register_component(tape.component("x")).unwrap();
    let record = subscription("a", "x").from_publisher("nasdaq");
    broker.ensure(&record.build().unwrap()).unwrap();
    for (id, delivered) in [("nasdaq", 1), ("nyse", 0)] {
        let stocks = broker.publisher::<dyn StockEvents>().unwrap();
        stocks.set_id(id);
        stocks.install_filter(firing(&["a"]));
        let report = stocks.price_changed("x", 1.0);
        assert_eq!(
            (report.delivered(), report.filtered()),
            (delivered, 1 - delivered)
        );
    }
}

#[test]
fn view_of_who_may_not_read_has_its_own_subscriptions_alone() {
    let tape = Tape::new();
    let broker = guarded(&tape);
    let class = EventClass::new("StockEvents", "StockEvents").with_access(Right::Read, "staff");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    for owner in ["ann", "eve"] {
        let record = subscription(owner, "x").owner(owner);
        broker.ensure(&record.build().unwrap()).unwrap();
    }
    let names = |principal: &str| -> Vec<String> {
        let view = broker.as_principal(principal).unwrap();
        let stocks = view.publisher::<dyn StockEvents>().unwrap();
        let seen = stocks.subscriptions("price_changed", "ALL").unwrap().now();
        seen.iter().map(|it| it.name().to_owned()).collect()
    };
    assert_eq!(names("eve"), ["eve"]);
    let staff = Role::new("staff").with_principal("eve");
    broker.define_role(&staff).unwrap();
    assert_eq!(names("eve"), ["ann", "eve"]);
    assert_eq!(names("bob"), Vec::<String>::new());
}

#[test]
fn filter_and_query_of_who_may_not_read_are_not_asked_and_nobody_is_called() {
    let tape = Tape::new();
    let broker = guarded(&tape);
    let class = EventClass::new("StockEvents", "StockEvents").with_access(Right::Read, "staff");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    let record = subscription("a", "x").owner("ann").build().unwrap();
    broker.ensure(&record).unwrap();
    let view = broker.as_principal("eve").unwrap();
    let stocks = view.publisher::<dyn StockEvents>().unwrap();
    assert_eq!(stocks.price_changed("x", 1.0).delivered(), 1);
    stocks.install_filter(filtering(|_, subscriptions| {
        assert!(subscriptions.is_empty(), "it saw a record");
    }));
    let report = stocks.price_changed("x", 1.0);
    let failure = report.failures().next().unwrap().failure().unwrap();
    let why = failure.to_string();
    assert!(why.contains("lacks the right to read"), "{why}");

    let queried = view.publisher::<dyn StockEvents>().unwrap();
    queried
        .set_default_query("price_changed", "owner = 'ann'")
        .unwrap();
    assert_eq!(queried.price_changed("x", 1.0).failed(), 1);
    let staff = Role::new("staff").with_principal("eve");
    broker.define_role(&staff).unwrap();
    assert_eq!(queried.price_changed("x", 1.0).delivered(), 1);
}
