//! Subscriptions to some methods of an interface, and what else says whose events they ask for.

use std::sync::Arc;

use loosely::{
    Broker, ErrorKind, EventClass, FireOutcome, MemoryStore, Problem, Problems, PublisherId, Store,
    Subscription, SubscriptionBuilder, SubscriptionStatus, Value, ValueType, event_interface,
};

use crate::support::quiet;

#[event_interface]
trait Orders {
    fn placed(&self, id: u64);
    fn changed(&self, id: u64, note: &str);
    fn cancelled(&self, id: u64);
}

#[event_interface]
trait Visits {
    fn changed(&self, note: &str);
    fn left(&self, id: u64);
}

struct Anyone;

impl Orders for Anyone {
    fn placed(&self, _id: u64) {}
    fn changed(&self, _id: u64, _note: &str) {}
    fn cancelled(&self, _id: u64) {}
}

fn orders() -> SubscriptionBuilder {
    Subscription::builder("orders").to::<dyn Orders>().object()
}

/// Returns how many were called for an order that is placed, changed and cancelled.
fn delivered(orders: &OrdersPublisher) -> [usize; 3] {
    [
        orders.placed(7).delivered(),
        orders.changed(7, "later").delivered(),
        orders.cancelled(7).delivered(),
    ]
}

#[test]
fn subscription_to_several_methods_is_called_for_each_and_for_no_other() {
    let broker = quiet();
    let record = orders().method("placed").method("cancelled").build();
    let guard = broker.subscribe_with::<dyn Orders>(&record.unwrap(), Arc::new(Anyone));
    let publisher = broker.publisher::<dyn Orders>().unwrap();
    assert_eq!(delivered(&publisher), [1, 0, 1]);
    let nobody = publisher.changed(7, "later").outcome();
    assert_eq!(nobody, FireOutcome::NoSubscribers);
    drop(guard);
    assert_eq!(delivered(&publisher), [0, 0, 0]);
}

#[test]
fn filter_is_compiled_for_each_method_and_a_name_needs_to_be_in_one() {
    let broker = quiet();
    let record = orders().method("placed").method("changed");
    let record = record.filter("id > 5 AND (note = 'now' OR note IS NULL)");
    let record = record.build().unwrap();
    let _guard = broker.subscribe_with::<dyn Orders>(&record, Arc::new(Anyone));
    let publisher = broker.publisher::<dyn Orders>().unwrap();
    assert_eq!(delivered(&publisher), [1, 0, 0]);
    assert_eq!(publisher.changed(7, "now").delivered(), 1);
    assert_eq!(publisher.placed(5).outcome(), FireOutcome::AllFiltered);

    let without_note = orders().method("placed").method("cancelled");
    let without_note = without_note.filter("note = 'now'").build().unwrap();
    let refused = broker.subscribe_with::<dyn Orders>(&without_note, Arc::new(Anyone));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Filter);
}

/// So many filters are kept in an index, one for each method.
#[test]
fn several_methods_are_bound_in_an_index_too() {
    let broker = quiet();
    let mut guards = Vec::new();
    for id in 0..200 {
        let record = orders()
            .name(format!("order {id}"))
            .filter(format!("id = {id}"));
        let record = record.method("cancelled").method("placed").build().unwrap();
        guards.push(broker.subscribe_with::<dyn Orders>(&record, Arc::new(Anyone)));
    }
    let publisher = broker.publisher::<dyn Orders>().unwrap();
    assert_eq!(delivered(&publisher), [1, 0, 1]);
    drop(guards.remove(7).unwrap());
    assert_eq!(delivered(&publisher), [0, 0, 0]);
}

#[test]
fn each_method_may_belong_to_another_interface_of_the_class() {
    let broker = quiet();
    let shop = || EventClass::new("shop", "shop");
    broker.register_class::<dyn Orders>(shop()).unwrap();
    broker.register_class::<dyn Visits>(shop()).unwrap();
    let record = Subscription::builder("both").class("shop").component("x");
    let both = record.clone().method("left").method("placed");
    broker.ensure(&both.build().unwrap()).unwrap();
    let visits = broker.publisher_of::<dyn Visits>("shop").unwrap();
    let orders = broker.publisher_of::<dyn Orders>("shop").unwrap();
    // Nobody has registered the component: whoever is bound is a failed line.
    assert_eq!(orders.placed(1).failed(), 1);
    assert_eq!(visits.left(1).failed(), 1);
    assert_eq!(visits.changed("x").failed(), 0);

    let error = record.method("placed").method("gone").build().unwrap();
    let error = broker.store(&error).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().ends_with("has no method \"gone\""),
        "{error}"
    );
}

mod earlier {
    use loosely::event_interface;

    #[event_interface(id = "Bindings.Counts")]
    pub(super) trait Counts {
        fn one(&self);
        fn two(&self);
    }
}

#[event_interface(id = "Bindings.Counts")]
trait Counts {
    fn one(&self);
}

#[test]
fn subscription_is_served_for_the_methods_that_are_left() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let open = || {
        Broker::builder()
            .store(Arc::clone(&store))
            .on_failure(|_, _| {})
    };
    let record = Subscription::builder("counts").component("x");
    let record = record.to::<dyn Counts>().method("one").method("two");
    let (record, id) = {
        let broker = open().open().unwrap();
        broker.publisher::<dyn earlier::Counts>().unwrap();
        let record = record.build().unwrap();
        broker.store(&record).unwrap();
        (record.to_builder().name("other"), record.id())
    };
    let broker = open().open().unwrap();
    let counts = broker.publisher::<dyn Counts>().unwrap();
    assert_eq!(counts.one().failed(), 1);
    assert_eq!(broker.status(id), Some(SubscriptionStatus::Active));
    let gone = record.all_methods().method("two").build().unwrap();
    broker.store(&gone.without_revision()).unwrap_err();
}

#[test]
fn record_names_methods_in_order_and_each_once() {
    let record = orders().method("placed").method("changed").method("placed");
    let record = record.build().unwrap();
    assert!(record.binding().methods().eq(["changed", "placed"]));
    let swapped = orders().method("changed").method("placed").build().unwrap();
    assert_eq!(record, swapped, "they mean the same subscription");
    let all = record.to_builder().all_methods().build().unwrap();
    assert_eq!(all.binding().methods().len(), 0);
}

#[test]
fn what_a_record_says_of_publisher_and_owner_is_stored_and_read_back() {
    let broker = quiet();
    let record = Subscription::builder("a").to::<dyn Orders>().component("x");
    let record = record.from_publisher("desk").owner("ann").per_user();
    let record = record.predicate("in office hours").requires_role("traders");
    let record = record.build().unwrap();
    broker.store(&record).unwrap();
    let read = broker.subscription(record.id()).unwrap();
    assert_eq!(read.clone().without_revision(), record);
    assert_eq!(read.binding().publisher(), Some("desk".into()));
    assert!(read.is_per_user());
    assert_eq!(read.predicate().unwrap().as_str(), "in office hours");
    assert_eq!(read.publisher_role().unwrap().as_str(), "traders");

    let plain = read.to_builder().from_all_publishers().without_per_user();
    let plain = plain.without_predicate().without_role().build().unwrap();
    broker.store(&plain).unwrap();
    let read = broker.subscription(record.id()).unwrap();
    assert_eq!(read.binding().publisher(), None);
    assert_eq!((read.predicate(), read.publisher_role()), (None, None));
    assert!(!read.is_per_user());
}

#[test]
fn per_user_without_an_owner_and_names_that_break_their_rules_are_problems() {
    let wrong = orders().per_user().predicate(" ").requires_role("");
    let wrong = wrong.method("a b").method("placed").method("c d").build();
    let error = wrong.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let source = std::error::Error::source(&error).unwrap();
    let problems: &Problems = source.downcast_ref().unwrap();
    let fields: Vec<_> = problems.iter().map(Problem::field).collect();
    let expected = [
        "method",
        "method",
        "per_user",
        "predicate",
        "publisher_role",
    ];
    assert_eq!(fields, expected);
    let read = r#"{"name": "a", "class": "c", "component": "x", "per_user": true}"#;
    let error = serde_json::from_str::<Subscription>(read).unwrap_err();
    assert!(error.to_string().contains("per_user: no owner"), "{error}");
}

#[test]
fn definition_that_uses_nothing_new_is_present_and_one_that_does_differs() {
    let broker = quiet();
    let record = Subscription::builder("a").to::<dyn Orders>().component("x");
    let record = record.owner("ann").id("a");
    let ensure = |record: &SubscriptionBuilder| {
        let record = record.clone().build().unwrap();
        format!("{:?}", broker.ensure(&record).unwrap())
    };
    assert_eq!(ensure(&record), "Added");
    assert_eq!(ensure(&record), "Present");
    assert_eq!(ensure(&record.clone().per_user()), "Updated");
    assert_eq!(ensure(&record.clone().per_user()), "Present");
    assert_eq!(ensure(&record.clone().predicate("p")), "Updated");
    assert_eq!(ensure(&record), "Updated");
}

#[test]
fn subscription_to_a_publisher_gets_the_events_of_that_publisher_alone() {
    let broker = quiet();
    let mine = PublisherId::from_u128(1);
    let record = orders().from_publisher(mine).build().unwrap();
    let _guard = broker.subscribe_with::<dyn Orders>(&record, Arc::new(Anyone));
    let publisher = broker.publisher::<dyn Orders>().unwrap();
    assert_eq!(publisher.id(), None);
    assert_eq!(delivered(&publisher), [0, 0, 0]);
    publisher.set_id(mine);
    assert_eq!(delivered(&publisher.clone()), [1, 1, 1]);

    let other = broker.publisher::<dyn Orders>().unwrap();
    other.set_id(PublisherId::from_u128(2));
    assert_eq!(other.placed(7).outcome(), FireOutcome::AllFiltered);
    let by_name = broker.dynamic_publisher(other.class_id()).unwrap();
    by_name.set_id(mine);
    assert_eq!(by_name.id(), Some(mine));
    assert_eq!(
        by_name.fire("placed", &[7_u64.into()]).unwrap().delivered(),
        1
    );
}

#[test]
fn publisher_and_filter_must_both_agree_among_many_too() {
    let broker = quiet();
    let mut guards = Vec::new();
    for number in 0..200_u128 {
        let record = Subscription::builder(format!("o{number}"))
            .to::<dyn Orders>()
            .object();
        let record = record.from_publisher(PublisherId::from_u128(number % 4));
        let record = record
            .filter(format!("id > {}", number / 4))
            .build()
            .unwrap();
        guards.push(
            broker
                .subscribe_with::<dyn Orders>(&record, Arc::new(Anyone))
                .unwrap(),
        );
    }
    let publisher = broker.publisher::<dyn Orders>().unwrap();
    assert_eq!(publisher.placed(10).delivered(), 0);
    for id in 0..4 {
        publisher.set_id(PublisherId::from_u128(id));
        assert_eq!(publisher.placed(10).delivered(), 10);
    }
    let explained = publisher.explain("placed", &[10_u64.into()]).unwrap();
    let line = explained.line("o0").unwrap();
    assert!(
        line.to_string().contains("publisher.publisher_id"),
        "{line}"
    );
}

#[test]
fn class_gives_its_publisher_id_to_objects_that_have_none() {
    let broker = quiet();
    let mine = PublisherId::from_u128(9);
    let class = EventClass::new("orders", "orders").with_publisher(mine);
    let class = broker.register_class::<dyn Orders>(class).unwrap();
    let record = orders()
        .from_publisher(mine)
        .filter("id = 7")
        .build()
        .unwrap();
    let _guard = broker.subscribe_with::<dyn Orders>(&record, Arc::new(Anyone));
    let publisher = broker.publisher_of::<dyn Orders>(class).unwrap();
    assert_eq!(
        (publisher.id(), delivered(&publisher)),
        (Some(mine), [1, 1, 1])
    );
    let property = publisher.property("publisher_id");
    assert_eq!(property, Some(Value::Uuid(mine.into())));
    let by_name = broker.dynamic_publisher(class).unwrap();
    assert_eq!(by_name.property("publisher_id"), property);
    publisher.set_id(PublisherId::from_u128(8));
    assert_eq!(delivered(&publisher), [0, 0, 0]);

    let reserved = EventClass::new("other", "other");
    let reserved = reserved.with_property("publisher_id", ValueType::I64, 1);
    let refused = broker.register_class::<dyn Orders>(reserved).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
