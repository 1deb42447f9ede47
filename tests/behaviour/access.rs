//! Rights of principals: each one, allowed and denied, and what follows a change of roles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loosely::{
    AccessRequest, Authorizer, Batch, Broker, Cascade, Ensured, Error, ErrorKind, EventClass,
    EventInterface, FireOutcome, FirePolicy, MemoryStore, Notice, Right, Role, RoleAuthorizer,
    SkipReason, Stage, Store, Subscription, SubscriptionBuilder, SubscriptionId,
};

use crate::support::{StockEvents, StockEventsPublisher, Tape, live, subscription};

/// Returns a broker whose class "stocks" gives each of these rights to the role "staff", which ann
/// has, and whose administrators, the role "admins", are adam.
fn guarded(rights: &[Right]) -> Broker {
    guarded_on(Arc::new(MemoryStore::new()), rights)
}

fn guarded_on(store: Arc<dyn Store>, rights: &[Right]) -> Broker {
    let broker = Broker::builder()
        .store(store)
        .on_failure(|_, _| {})
        .authorizer(RoleAuthorizer::new().administrators("admins"))
        .open()
        .unwrap();
    let class = EventClass::new("stocks", "stocks");
    let class = rights
        .iter()
        .fold(class, |class, right| class.with_access(*right, "staff"));
    broker.register_class::<dyn StockEvents>(class).unwrap();
    for (role, member) in [("staff", "ann"), ("admins", "adam")] {
        let role = Role::new(role).with_principal(member);
        broker.define_role(&role).unwrap();
    }
    broker
}

/// Returns the views of one who has the rights, one who has not, and an administrator.
fn views(broker: &Broker) -> [Broker; 3] {
    ["ann", "eve", "adam"].map(|name| broker.as_principal(name).unwrap())
}

/// Begins a subscription to the class.
fn to_stocks(name: &str) -> SubscriptionBuilder {
    Subscription::builder(name)
        .class("stocks")
        .component("screen")
}

#[track_caller]
fn assert_denied<T>(result: Result<T, Error>, right: Right) {
    let Err(error) = result else {
        panic!("it was allowed");
    };
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let lacking = format!("lacks the right to {right}");
    assert!(error.to_string().contains(&lacking), "{error}");
}

fn publisher(view: &Broker) -> Result<StockEventsPublisher, Error> {
    view.publisher_of::<dyn StockEvents>("stocks")
}

#[test]
fn refusal_names_principal_right_and_class_and_is_a_notice() {
    let broker = guarded(&[Right::Publish]);
    let eve = broker.as_principal("eve").unwrap();
    let error = publisher(&eve).unwrap_err();
    let message = "\"eve\" lacks the right to publish, for the class \"stocks\"";
    assert_eq!(error.to_string(), message);
    let notices = broker.notices();
    let denied = Notice::Denied {
        principal: "eve".to_owned(),
        right: "publish".to_owned(),
        class: Some("stocks".to_owned()),
    };
    assert_eq!(notices, [denied]);
    let text = "\"eve\" was refused: it lacks the right to publish, for the class \"stocks\"";
    assert_eq!(notices[0].to_string(), text);
}

#[test]
fn view_and_its_clones_are_of_a_principal_and_the_handle_is_of_none() {
    let broker = guarded(&[Right::Publish]);
    let eve = broker.as_principal("eve").unwrap();
    assert_eq!(broker.principal(), None);
    assert_eq!(eve.clone().principal().unwrap().as_str(), "eve");
    assert_denied(publisher(&eve.clone()), Right::Publish);
    publisher(&broker).unwrap();
    assert_eq!(
        broker.as_principal("").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn views_of_a_broker_without_an_authorizer_may_do_everything() {
    let broker = Broker::in_memory().unwrap();
    let class = EventClass::new("stocks", "stocks").with_access(Right::Publish, "staff");
    let eve = broker.as_principal("eve").unwrap();
    eve.register_class::<dyn StockEvents>(class).unwrap();
    eve.define_role(&Role::new("staff")).unwrap();
    let record = to_stocks("a").owner("ann").build().unwrap();
    eve.store(&record).unwrap();
    assert!(eve.remove(record.id()).unwrap());
    publisher(&eve).unwrap();
}

#[test]
fn class_is_defined_by_those_who_have_the_right() {
    let broker = guarded(&[Right::Define]);
    let [ann, eve, adam] = views(&broker);
    let class = broker.class("stocks").unwrap();
    assert_denied(
        eve.update_class(&class.clone().with_description("hers")),
        Right::Define,
    );
    let refused = eve.unregister_class("stocks", Cascade::Refuse);
    assert_denied(refused, Right::Define);
    let wider = EventClass::new("stocks", "stocks");
    let refused = eve.register_class::<dyn crate::support::Alerts>(wider.clone());
    assert_denied(refused, Right::Define);
    // What is there already is no change.
    eve.register_class::<dyn StockEvents>(wider).unwrap();
    let lost = EventClass::new("other", "other").with_access(Right::Define, "staff");
    let refused = eve.register_class::<dyn StockEvents>(lost.clone());
    assert_denied(refused, Right::Define);

    ann.register_class::<dyn StockEvents>(lost).unwrap();
    ann.update_class(&class.with_description("hers")).unwrap();
    assert!(adam.unregister_class("other", Cascade::Refuse).unwrap());
    assert!(ann.unregister_class("stocks", Cascade::Refuse).unwrap());
}

#[test]
fn roles_are_defined_by_administrators_alone() {
    let broker = guarded(&[]);
    let [ann, eve, adam] = views(&broker);
    let role = Role::new("desk").with_principal("eve");
    for view in [&ann, &eve] {
        assert_denied(view.define_role(&role), Right::Define);
        assert_denied(view.remove_role("staff"), Right::Define);
        assert_eq!(view.roles().len(), 2);
    }
    adam.define_role(&role).unwrap();
    assert!(adam.remove_role("desk").unwrap());
}

#[test]
fn subscriptions_are_stored_by_those_who_have_the_right() {
    let broker = guarded(&[Right::Subscribe]);
    let [ann, eve, _] = views(&broker);
    let tape = Tape::new();
    for record in [to_stocks("a"), subscription("a", "screen")] {
        let record = record.build().unwrap();
        assert_denied(eve.ensure(&record), Right::Subscribe);
        assert_denied(eve.store(&record), Right::Subscribe);
        assert_denied(eve.import([&record]), Right::Subscribe);
    }
    let object = live("b").build().unwrap();
    let refused = eve.subscribe_with::<dyn StockEvents>(&object, tape.listener("eve"));
    assert_denied(refused, Right::Subscribe);
    let refused = eve.subscribe::<dyn StockEvents>(tape.listener("eve"));
    assert_denied(refused, Right::Subscribe);
    assert_eq!(broker.subscriptions("ALL").unwrap().len(), 0);

    ann.ensure(&to_stocks("a").build().unwrap()).unwrap();
    ann.store(&to_stocks("b").build().unwrap()).unwrap();
    ann.import([to_stocks("c").build().unwrap()]).unwrap();
    let guard = ann
        .subscribe::<dyn StockEvents>(tape.listener("ann"))
        .unwrap();
    let owned = broker.subscriptions("owner = 'ann'").unwrap();
    assert_eq!(owned.len(), 4);
    drop(guard);
    assert_eq!(ann.remove_where("ALL").unwrap().len(), 3);
}

#[test]
fn subscriptions_of_others_are_changed_by_those_who_administer() {
    let broker = guarded(&[Right::Administer]);
    let [ann, eve, adam] = views(&broker);
    let bobs = to_stocks("a").owner("bob").build().unwrap();
    let nobodys = to_stocks("b").build().unwrap();
    for record in [&bobs, &nobodys] {
        broker.store(record).unwrap();
        let id = record.id();
        assert_denied(eve.disable(id), Right::Administer);
        assert_denied(eve.remove(id), Right::Administer);
        assert_denied(eve.store(record), Right::Administer);
        let taken = record.to_builder().owner("eve").build().unwrap();
        assert_denied(eve.store(&taken), Right::Administer);
        // It changes nothing of somebody else's.
        assert_eq!(eve.ensure(&taken).unwrap(), Ensured::Differs);
        assert_denied(eve.import([&taken]), Right::Administer);
    }
    assert_denied(eve.remove_where("ALL"), Right::Administer);
    let refused = eve.unregister_class("stocks", Cascade::Remove);
    assert_denied(refused, Right::Administer);
    assert_eq!(broker.subscriptions("enabled = TRUE").unwrap().len(), 2);

    ann.disable(bobs.id()).unwrap();
    adam.enable(bobs.id()).unwrap();
    assert!(ann.remove(bobs.id()).unwrap());
    let given = nobodys.to_builder().owner("bob").build().unwrap();
    ann.store(&given).unwrap();
    assert_eq!(adam.remove_where("ALL").unwrap().len(), 1);
}

#[test]
fn removing_what_is_not_there_takes_no_right_and_what_cannot_be_read_takes_one() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = guarded_on(Arc::clone(&store), &[]);
    let [_, eve, adam] = views(&broker);
    let id = SubscriptionId::from_u128(7);
    assert!(!eve.remove(id).unwrap());
    assert!(!eve.unregister_class("none", Cascade::Remove).unwrap());
    assert!(!eve.remove_role("none").unwrap());
    assert_eq!(broker.notices(), []);

    let mut key = b"rs".to_vec();
    key.extend(id.uuid().as_bytes());
    let mut batch = Batch::new();
    batch.put(key, b"nonsense".to_vec());
    store.commit(batch).unwrap();
    assert_denied(eve.remove(id), Right::Administer);
    assert_denied(eve.remove_role("staff"), Right::Define);
    assert!(adam.remove(id).unwrap());
    assert!(!eve.remove(id).unwrap());
}

#[test]
fn what_may_not_be_read_is_left_out_of_queries() {
    let broker = guarded(&[Right::Read]);
    let [ann, eve, _] = views(&broker);
    for (name, owner) in [("bob's", "bob"), ("eve's", "eve")] {
        let record = to_stocks(name).owner(owner).build().unwrap();
        broker.store(&record).unwrap();
    }
    let bobs = broker.subscriptions("name = 'bob''s'").unwrap()[0].id();
    assert_eq!(
        (
            ann.subscriptions("ALL").unwrap().len(),
            ann.classes("ALL").unwrap().len()
        ),
        (2, 1)
    );
    let found = eve.subscriptions("ALL").unwrap();
    assert_eq!(
        found.iter().map(Subscription::name).collect::<Vec<_>>(),
        ["eve's"]
    );
    assert!(eve.subscription(bobs).is_none() && eve.status(bobs).is_none());
    assert!(ann.subscription(bobs).is_some() && ann.status(bobs).is_some());
    assert!(eve.class("stocks").is_none() && eve.classes("ALL").unwrap().is_empty());
    let interface = <dyn StockEvents>::schema().id();
    assert!(eve.classes_of_interface(interface).is_empty());
    assert_eq!(ann.classes_of_interface(interface).len(), 1);

    let event = ["MSFT".into(), 1.0.into()];
    assert_denied(eve.explain("stocks", "price_changed", &event), Right::Read);
    let seen = |view: &Broker| {
        let explained = publisher(view).unwrap().explain("price_changed", &event);
        explained.unwrap().lines().len()
    };
    assert_eq!((seen(&ann), seen(&eve)), (2, 1));
    assert_eq!(
        ann.explain("stocks", "price_changed", &event)
            .unwrap()
            .lines()
            .len(),
        2
    );
}

#[test]
fn fires_of_a_principal_who_lost_the_right_reach_nobody_until_it_is_back() {
    let broker = guarded(&[Right::Publish]);
    let tape = Tape::new();
    let _guard = broker
        .subscribe::<dyn StockEvents>(tape.listener("all"))
        .unwrap();
    let [ann, eve, _] = views(&broker);
    assert_denied(publisher(&eve), Right::Publish);
    assert_denied(eve.dynamic_publisher("stocks"), Right::Publish);
    let typed = publisher(&ann).unwrap();
    let untyped = ann.dynamic_publisher("stocks").unwrap();
    let values = ["MSFT".into(), 1.0.into()];
    let fire = || {
        let by_name = untyped.fire("price_changed", &values).unwrap();
        [typed.price_changed("MSFT", 1.0), by_name]
    };
    assert!(fire().iter().all(|report| report.delivered() == 1));
    drop(broker.notices());

    let staff = broker.role("staff").unwrap();
    broker.define_role(&staff.without_principal("ann")).unwrap();
    for report in fire().into_iter().chain(fire()) {
        assert_eq!(
            (report.outcome(), report.delivered()),
            (FireOutcome::Denied, 0)
        );
        assert_eq!(report.to_string(), "denied");
        assert!(report.into_result(FirePolicy::NotAllFailed).is_err());
    }
    // Once for each object, not at every fire.
    let denied = |notice: &Notice| matches!(notice, Notice::Denied { .. });
    assert_eq!(broker.notices().iter().filter(|it| denied(it)).count(), 2);
    let explained = typed.explain("price_changed", &values).unwrap();
    assert!(matches!(explained.lines()[0].stage(), Stage::Denied));

    let class = broker.class("stocks").unwrap();
    broker
        .update_class(&class.without_access(Right::Publish))
        .unwrap();
    assert!(fire().iter().all(|report| report.delivered() == 1));
    assert_eq!(tape.len(), 4);
}

#[test]
fn subscriber_that_demands_a_role_does_not_hear_publishers_without_it() {
    // Without an authorizer too, and with so many that an index finds them.
    for count in [1, 100] {
        let broker = Broker::in_memory().unwrap();
        let tape = Tape::new();
        broker.register_component(tape.component("screen")).unwrap();
        let demanding = |number: usize| {
            let record = subscription(&format!("a {number}"), "screen");
            let record = record.requires_role("traders").filter("price > 0");
            record.build().unwrap()
        };
        broker.import((0..count).map(demanding)).unwrap();
        let [ann, eve] = ["ann", "eve"].map(|name| {
            let view = broker.as_principal(name).unwrap();
            view.publisher::<dyn StockEvents>().unwrap()
        });
        let system = broker.publisher::<dyn StockEvents>().unwrap();
        let role = Role::new("traders").with_principal("ann");
        broker.define_role(&role).unwrap();
        assert_eq!(system.price_changed("MSFT", 1.0).delivered(), count);
        assert_eq!(ann.price_changed("MSFT", 1.0).delivered(), count);
        let report = eve.price_changed("MSFT", 1.0);
        assert_eq!((report.delivered(), report.skipped()), (0, count));
        let other = eve.price_changed("MSFT", 0.0);
        assert_eq!((other.skipped(), other.filtered()), (0, count));
        assert_eq!(other.outcome(), FireOutcome::AllFiltered);
        let skipped = report.lines()[0].outcome();
        let expected = SkipReason::PublisherRole;
        assert!(matches!(skipped, loosely::DeliveryOutcome::Skipped(it) if *it == expected));
        let explained = eve.explain("price_changed", &["MSFT".into(), 1.0.into()]);
        let line = explained.unwrap().lines()[0].to_string();
        assert_eq!(line, "\"a 0\": its publisher lacks the role \"traders\"");

        broker
            .define_role(&Role::new("traders").with_role("desk"))
            .unwrap();
        assert_eq!(ann.price_changed("MSFT", 1.0).delivered(), 0);
        broker
            .define_role(&Role::new("desk").with_principal("eve"))
            .unwrap();
        assert_eq!(eve.price_changed("MSFT", 1.0).delivered(), count);
        assert!(broker.remove_role("traders").unwrap());
        assert_eq!(eve.price_changed("MSFT", 1.0).delivered(), 0);
    }
}

#[test]
fn role_changed_at_one_broker_counts_at_the_others_of_its_store() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = guarded_on(Arc::clone(&store), &[Right::Publish]);
    let other = guarded_on(store, &[Right::Publish]);
    let stocks = publisher(&other.as_principal("ann").unwrap()).unwrap();
    assert_ne!(
        stocks.price_changed("MSFT", 1.0).outcome(),
        FireOutcome::Denied
    );
    broker.define_role(&Role::new("staff")).unwrap();
    assert_eq!(
        stocks.price_changed("MSFT", 1.0).outcome(),
        FireOutcome::Denied
    );
}

#[test]
fn session_of_another_is_begun_by_administrators_alone() {
    let broker = guarded(&[]);
    let [ann, _, adam] = views(&broker);
    let _own = ann.log_on("ann").unwrap();
    assert_denied(ann.log_on("bob"), Right::Administer);
    let _bobs = adam.log_on("bob").unwrap();
    assert_eq!(broker.logged_on().len(), 2);
}

/// Says what it was told to, asks the broker on the way, and panics about one who is called so.
struct Custom {
    open: Arc<AtomicBool>,
}

impl Authorizer for Custom {
    fn allows(&self, request: &AccessRequest<'_>) -> bool {
        assert_ne!(request.principal().as_str(), "panic");
        let reads = request.right() == Right::Read;
        reads || request.class().is_some() && self.open.load(Ordering::SeqCst)
    }
}

#[test]
fn authorizer_of_ones_own_decides_and_its_panic_is_a_no() {
    let open = Arc::new(AtomicBool::new(true));
    let custom = Custom {
        open: Arc::clone(&open),
    };
    let broker = Broker::builder().authorizer(custom).open().unwrap();
    let ann = broker.as_principal("ann").unwrap();
    let stocks = ann.publisher::<dyn StockEvents>().unwrap();
    assert_denied(ann.define_role(&Role::new("a")), Right::Define);
    let panicking = broker.as_principal("panic").unwrap();
    assert_denied(panicking.publisher::<dyn StockEvents>(), Right::Publish);

    // It is asked again once a role was changed, and not at every fire.
    open.store(false, Ordering::SeqCst);
    assert_ne!(
        stocks.price_changed("MSFT", 1.0).outcome(),
        FireOutcome::Denied
    );
    broker.define_role(&Role::new("a")).unwrap();
    assert_eq!(
        stocks.price_changed("MSFT", 1.0).outcome(),
        FireOutcome::Denied
    );
}

#[test]
fn interest_tells_nothing_of_others_to_who_may_not_read() {
    let broker = guarded(&[Right::Read]);
    let asking = to_stocks("a").filter("symbol = 'MSFT'").build().unwrap();
    broker.store(&asking).unwrap();
    let [ann, eve, _] = views(&broker);
    let symbol = |view: &Broker| {
        let method = publisher(view).unwrap().interest().method("price_changed");
        method.unwrap().parameter("symbol").unwrap()
    };
    assert!(!symbol(&ann).wants("IBM"));
    assert_eq!(symbol(&ann).constants().count(), 1);
    let told = symbol(&eve);
    assert!(told.is_open() && told.wants("IBM"));
    assert_eq!(told.constants().count(), 0);
    broker
        .define_role(&Role::new("staff").with_principal("eve"))
        .unwrap();
    assert!(!told.wants("IBM"));
    assert!(symbol(&ann).wants("IBM"));
}
