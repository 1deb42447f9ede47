//! Private subscriptions: whom one publisher object alone reaches.

use std::sync::Arc;

use loosely::{
    Broker, Cascade, DeliveryOutcome, ErrorKind, EventClass, FireOutcome, Nesting, PublisherId,
    Right, Role, RoleAuthorizer, SkipReason, Subscription, SubscriptionBuilder, ValueRef,
    ValueType,
};

use crate::support::{
    Alerts, OnDrop, OnPrice, StockEvents, StockEventsPublisher, Tape, live, quiet, subscription,
};

pub(crate) fn publisher(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

/// Returns a broker and two publisher objects of one class.
pub(crate) fn two() -> (Broker, StockEventsPublisher, StockEventsPublisher) {
    let broker = quiet();
    let (one, other) = (publisher(&broker), publisher(&broker));
    (broker, one, other)
}

pub(crate) fn built(builder: SubscriptionBuilder) -> Subscription {
    builder.build().unwrap()
}

#[test]
fn private_subscriber_hears_its_publisher_object_and_its_clones_and_no_other() {
    let (_broker, one, other) = two();
    let tape = Tape::new();
    let _guard = one.subscribe(tape.listener("x")).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    assert_eq!(one.clone().price_changed("B", 2.0).delivered(), 1);
    let report = other.price_changed("C", 3.0);
    assert_eq!(report.outcome(), FireOutcome::NoSubscribers);
    assert_eq!(report.filtered(), 0);
    assert_eq!(tape.take(), ["x A 1", "x B 2"]);
}

#[test]
fn objects_of_one_publisher_id_have_private_subscriptions_of_their_own() {
    let (broker, one, other) = two();
    let (tape, id) = (Tape::new(), PublisherId::named("nyse"));
    one.set_id(id);
    other.set_id(id);
    let _guard = one.subscribe(tape.listener("x")).unwrap();
    let bound = built(live("of the id").from_publisher(id));
    let _bound = broker.subscribe_with::<dyn StockEvents>(&bound, tape.listener("all"));
    one.set_id(PublisherId::named("nasdaq"));
    one.price_changed("A", 1.0);
    other.price_changed("B", 1.0);
    assert_eq!(tape.take(), ["x A 1", "all B 1"]);
}

#[test]
fn other_interfaces_of_the_object_reach_those_who_take_any() {
    let (broker, tape) = (quiet(), Tape::new());
    let class = EventClass::new("desk", "desk");
    let class = broker.register_class::<dyn StockEvents>(class).unwrap();
    let same = EventClass::new(class, "desk");
    broker.register_class::<dyn Alerts>(same).unwrap();
    let stocks = broker.publisher_of::<dyn StockEvents>(class).unwrap();
    let strangers = broker.publisher_of::<dyn Alerts>(class).unwrap();
    let any = built(Subscription::builder("any").class(class).object());
    let _any = stocks.subscribe_untyped(&any, writer(&tape)).unwrap();
    let alerts = stocks.interface::<dyn Alerts>().unwrap();
    let _own = alerts.subscribe(tape.listener("x")).unwrap();
    alerts.raised("up");
    stocks.price_changed("A", 1.0);
    strangers.raised("down");
    let heard = tape.take();
    assert_eq!(heard.len(), 3);
    assert!(heard[0].starts_with("raised") && heard[1] == "x raised up");
    assert!(heard[2].starts_with("price_changed"), "{heard:?}");
}

/// Returns a subscriber of any interface that writes each event down.
fn writer(tape: &Tape) -> Arc<impl loosely::Subscriber> {
    let tape = tape.clone();
    Arc::new(move |event: &loosely::Event<'_>| {
        tape.write(event.to_string());
        Ok(())
    })
}

#[test]
fn nobody_else_finds_a_private_subscription() {
    let (broker, one, _) = two();
    let revision = broker.revision();
    let record = built(live("hidden"));
    let guard = one.subscribe_with(&record, Tape::new().listener("x"));
    let guard = guard.unwrap();
    assert_eq!(broker.subscriptions("ALL").unwrap(), []);
    assert_eq!(broker.subscription(guard.id()), None);
    assert_eq!(broker.status(guard.id()), None);
    assert!(!broker.remove(guard.id()).unwrap());
    assert_eq!(broker.revision(), revision);
    // A stored one may have the id, and is another.
    let stored = built(subscription("stored", "nobody").id(guard.id()));
    broker.store(&stored).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    assert!(broker.remove(guard.id()).unwrap());
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    let class = one.class_id();
    assert!(broker.unregister_class(class, Cascade::Refuse).unwrap());
}

#[test]
fn one_record_serves_many_objects_and_each_object_once() {
    let (_broker, one, other) = two();
    let (tape, record) = (Tape::new(), built(live("the same")));
    let _one = one.subscribe_with(&record, tape.listener("1")).unwrap();
    let _other = other.subscribe_with(&record, tape.listener("2")).unwrap();
    let again = one.subscribe_with(&record, tape.listener("3")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    one.price_changed("A", 1.0);
    other.price_changed("B", 1.0);
    assert_eq!(tape.take(), ["1 A 1", "2 B 1"]);
}

#[test]
fn record_of_another_class_or_interface_or_of_a_component_is_refused() {
    let (broker, one, _) = two();
    let class = EventClass::new("other", "other");
    broker.register_class::<dyn Alerts>(class).unwrap();
    let refused = |builder: SubscriptionBuilder| {
        let listener = Tape::new().listener("x");
        let error = one.subscribe_with(&built(builder), listener).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        error.to_string()
    };
    let message = refused(Subscription::builder("a").class("other").object());
    assert!(
        message.contains("publisher of \"StockEvents\""),
        "{message}"
    );
    refused(Subscription::builder("a").to::<dyn Alerts>().object());
    refused(subscription("a", "nobody"));
    let listener = Tape::new().listener("x");
    let unfit = built(live("a").filter("nothing = 1"));
    let error = one.subscribe_with(&unfit, listener).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

#[test]
fn subscription_is_gone_with_its_guard() {
    let (_broker, one, _) = two();
    let object = Tape::new().listener("x");
    let guard = one.subscribe(Arc::clone(&object)).unwrap();
    one.price_changed("A", 1.0);
    guard.close_and_wait(std::time::Duration::MAX).unwrap();
    assert_eq!(Arc::strong_count(&object), 1);
    let report = one.price_changed("A", 1.0);
    assert_eq!(report.outcome(), FireOutcome::NoSubscribers);
}

#[test]
fn subscription_is_gone_with_the_last_clone_of_the_publisher() {
    let (_broker, one, other) = two();
    let (object, left) = (Tape::new().listener("x"), Tape::new().listener("y"));
    let guard = one.subscribe(Arc::clone(&object)).unwrap();
    one.subscribe(Arc::clone(&left)).unwrap().detach();
    let interface = one.interface::<dyn StockEvents>().unwrap();
    drop(one);
    assert_eq!(interface.price_changed("A", 1.0).delivered(), 2);
    drop(interface);
    assert_eq!(
        (Arc::strong_count(&object), Arc::strong_count(&left)),
        (1, 1)
    );
    let replaced = guard.replace::<dyn StockEvents>(object).unwrap_err();
    assert_eq!(replaced.kind(), ErrorKind::NotFound);
    assert_eq!(other.price_changed("A", 1.0).delivered(), 0);
}

#[test]
fn object_that_is_dropped_with_its_publisher_may_hold_another_one() {
    let (broker, one, other) = two();
    let tape = Tape::new();
    let _guard = other.subscribe(tape.listener("x")).unwrap();
    let _late = one.subscribe(Arc::new(OnDrop(move || {
        other.price_changed("last", 1.0);
    })));
    drop(one);
    assert_eq!(tape.take(), ["x last 1"]);
    assert_eq!(publisher(&broker).price_changed("A", 1.0).delivered(), 0);
}

#[test]
fn weak_object_that_is_gone_is_skipped_once() {
    let (_broker, one, _) = two();
    let object = Tape::new().listener("x");
    let _guard = one.subscribe(Arc::downgrade(&object)).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    drop(object);
    let report = one.price_changed("A", 1.0);
    assert!(matches!(
        report.lines()[0].outcome(),
        DeliveryOutcome::Skipped(SkipReason::Gone)
    ));
    assert_eq!(one.price_changed("A", 1.0).lines().len(), 0);
}

#[test]
fn object_is_replaced_in_its_place() {
    let (_broker, one, _) = two();
    let tape = Tape::new();
    let first = one.subscribe(tape.listener("1")).unwrap();
    let _second = one.subscribe(tape.listener("2")).unwrap();
    first
        .replace::<dyn StockEvents>(tape.listener("3"))
        .unwrap();
    one.price_changed("A", 1.0);
    assert_eq!(tape.take(), ["3 A 1", "2 A 1"]);
}

#[test]
fn thousand_objects_each_call_their_own() {
    let (broker, tape) = (quiet(), Tape::new());
    let objects: Vec<_> = (0..1_000)
        .map(|number| {
            let one = publisher(&broker);
            let guard = one.subscribe(tape.listener(&number.to_string()));
            (one, guard.unwrap())
        })
        .collect();
    for (number, (one, _)) in objects.iter().enumerate() {
        let report = one.price_changed("A", 1.0);
        assert_eq!((report.delivered(), report.filtered()), (1, 0));
        assert_eq!(tape.take(), [format!("{number} A 1")]);
    }
}

#[test]
fn object_fired_by_name_has_private_subscriptions_too() {
    let (broker, tape) = (quiet(), Tape::new());
    let typed = publisher(&broker);
    let named = broker.dynamic_publisher("StockEvents").unwrap();
    let guard = named.subscribe(writer(&tape)).unwrap();
    let values = [ValueRef::Str("A"), ValueRef::F64(1.0)];
    assert_eq!(named.fire("price_changed", &values).unwrap().delivered(), 1);
    assert_eq!(typed.price_changed("B", 1.0).delivered(), 0);
    let dear = built(live("dear").filter("price > 5"));
    let _dear = named.subscribe_with(&dear, writer(&tape)).unwrap();
    let report = named.fire("price_changed", &values).unwrap();
    assert_eq!((report.delivered(), report.filtered()), (1, 1));
    drop(guard);
    let explanation = named.explain("price_changed", &values).unwrap();
    assert_eq!(explanation.lines().len(), 1);
}

#[test]
fn publisher_of_a_principal_subscribes_in_its_name() {
    let broker = Broker::builder().on_failure(|_, _| {});
    let broker = broker.authorizer(RoleAuthorizer::new()).open().unwrap();
    let class = EventClass::new("stocks", "stocks").with_access(Right::Subscribe, "staff");
    broker.register_class::<dyn StockEvents>(class).unwrap();
    broker
        .define_role(&Role::new("staff").with_principal("ann"))
        .unwrap();
    let of = |name: &str| {
        let view = broker.as_principal(name).unwrap();
        view.publisher_of::<dyn StockEvents>("stocks").unwrap()
    };
    let (ann, eve) = (of("ann"), of("eve"));
    let denied = eve.subscribe(Tape::new().listener("x")).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
    let _guard = ann.subscribe(Tape::new().listener("x")).unwrap();
    let view = ann.subscriptions("price_changed", "owner = 'ann'").unwrap();
    assert_eq!(view.now().len(), 1);
    // Whoever it is that fires, a role that is demanded counts.
    let demanding = built(live("admins only").requires_role("admins"));
    let _other = ann.subscribe_with(&demanding, Tape::new().listener("y"));
    let report = ann.price_changed("A", 1.0);
    assert_eq!(report.delivered(), 1);
    assert!(matches!(
        report.lines()[0].outcome(),
        DeliveryOutcome::Skipped(SkipReason::PublisherRole)
    ));
}

#[test]
fn private_subscription_follows_its_owners_sessions() {
    let (broker, one, other) = two();
    let record = built(live("hers").owner("ann").per_user());
    let _one = one.subscribe_with(&record, Tape::new().listener("1"));
    let _other = other.subscribe_with(&record, Tape::new().listener("2"));
    let fire = || [&one, &other].map(|it| it.price_changed("A", 1.0).delivered());
    assert_eq!(fire(), [0, 0]);
    let session = broker.log_on("ann").unwrap();
    assert_eq!(fire(), [1, 1]);
    drop(session);
    assert_eq!(fire(), [0, 0]);
}

#[test]
fn event_that_waits_is_heard_though_its_publisher_is_gone() {
    let (broker, tape) = (quiet(), Tape::new());
    let class = EventClass::new("later", "later").with_nesting(Nesting::Queued);
    let class = broker.register_class::<dyn StockEvents>(class).unwrap();
    let outer = broker.publisher_of::<dyn StockEvents>(class).unwrap();
    let (made, heard) = (broker.clone(), tape.clone());
    let fires = OnPrice(move |_: &str, _: f64| {
        let inner = made.publisher_of::<dyn StockEvents>(class).unwrap();
        inner.subscribe(heard.listener("x")).unwrap().detach();
        assert_eq!(
            inner.price_changed("in", 2.0).outcome(),
            FireOutcome::Queued
        );
    });
    let _guard = outer.subscribe(Arc::new(fires)).unwrap();
    outer.price_changed("out", 1.0);
    assert_eq!(tape.take(), ["x in 2"]);
}

#[test]
fn subscription_stays_while_its_class_changes_goes_and_comes_back() {
    let (broker, one, _) = two();
    let tape = Tape::new();
    let record = built(live("a").filter("publisher.desk IS NULL"));
    assert!(one.subscribe_with(&record, tape.listener("x")).is_err());
    let class = broker.class(one.class_id()).unwrap();
    let class = class.with_property("desk", ValueType::Option(Box::new(ValueType::Str)), "fx");
    broker.update_class(&class).unwrap();
    let _filtered = one.subscribe_with(&record, tape.listener("x")).unwrap();
    let _guard = one.subscribe(tape.listener("y")).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    let class = broker.class(one.class_id()).unwrap();
    let class = class.with_description("of the desk");
    broker.update_class(&class).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    broker
        .unregister_class(class.id(), Cascade::Refuse)
        .unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 0);
    let again = EventClass::new(class.id(), "StockEvents").with_open_properties();
    broker.register_class::<dyn StockEvents>(again).unwrap();
    assert_eq!(one.price_changed("A", 1.0).delivered(), 2);
}

#[test]
fn private_subscribers_are_called_after_the_broker_was_closed_and_none_is_added() {
    let (broker, one, _) = two();
    let tape = Tape::new();
    let guard = one.subscribe(tape.listener("x")).unwrap();
    broker.close(std::time::Duration::MAX).unwrap();
    let closed = one.subscribe(tape.listener("y")).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
    drop(broker);
    let gone = one.subscribe(tape.listener("y")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Closed);
    assert_eq!(one.price_changed("A", 1.0).delivered(), 1);
    drop(guard);
    assert_eq!(one.price_changed("A", 1.0).delivered(), 0);
}
