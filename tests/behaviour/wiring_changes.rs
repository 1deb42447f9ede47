//! The built-in classes about the wiring: who is told of a commit, in which order, and how often.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Cascade, Component, Ensured, ErrorKind, EventClass, EventInterface, MemoryStore,
    Revision, Store, Subscription, SubscriptionGuard, SubscriptionStatus, WIRING_CHANGES,
    WIRING_CONTENTS, WiringChange, WiringChanges, WiringContents, WiringObject,
};
use uuid::Uuid;

use crate::support::{StockEvents, Tape, Watchdog, on_store, quiet, store, subscription};

/// One change as a subscriber was told of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) revision: Revision,
    record: String,
    id: Uuid,
    change: String,
    pub(crate) name: String,
    bound_to: Option<Uuid>,
}

impl Told {
    fn line(&self) -> String {
        format!("{} {} {}", self.record, self.name, self.change)
    }
}

/// Does what it was made with for every change.
pub(crate) struct OnChange<F>(pub(crate) F);

impl<F: Fn(Told) + Send + Sync + 'static> WiringChanges for OnChange<F> {
    fn record_changed(
        &self,
        revision: u64,
        record: &str,
        id: Uuid,
        change: &str,
        name: &str,
        bound_to: Option<Uuid>,
    ) {
        (self.0)(Told {
            revision: Revision::from(revision),
            record: record.to_owned(),
            id,
            change: change.to_owned(),
            name: name.to_owned(),
            bound_to,
        });
    }
}

/// Subscribes to all changes that `filter` selects.
pub(crate) fn told(broker: &Broker, filter: Option<&str>) -> (Receiver<Told>, SubscriptionGuard) {
    let (sender, receiver) = channel();
    let record = Subscription::builder("audit")
        .to::<dyn WiringChanges>()
        .object()
        .id(Uuid::new_v4());
    let record = filter
        .into_iter()
        .fold(record, |record, f| record.filter(f));
    let guard = broker.subscribe_with::<dyn WiringChanges>(
        &record.build().unwrap(),
        Arc::new(OnChange(sending(sender))),
    );
    (receiver, guard.unwrap())
}

fn sending(sender: Sender<Told>) -> impl Fn(Told) + Send + Sync + 'static {
    // Nobody listens any more at the end of a test.
    move |told| drop(sender.send(told))
}

/// Waits until the change of this name was told, and returns all up to it.
pub(crate) fn up_to(receiver: &Receiver<Told>, name: &str) -> Vec<Told> {
    let mut all = Vec::new();
    while all.last().is_none_or(|told: &Told| told.name != name) {
        all.push(receiver.recv().unwrap());
    }
    all
}

fn key_of(told: &Told) -> (Revision, Uuid) {
    (told.revision, told.id)
}

fn keys_of(changes: &[WiringChange]) -> Vec<(Revision, Uuid)> {
    let key = |change: &WiringChange| (change.revision(), change.object().uuid());
    changes.iter().map(key).collect()
}

#[test]
fn every_change_is_told_once_and_in_the_order_of_revisions() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (receiver, _guard) = told(&broker, None);
    let class = broker
        .register_class::<dyn StockEvents>(EventClass::new("ticks", "Ticks"))
        .unwrap();
    let alarm = subscription("alarm", "nobody").build().unwrap();
    assert_eq!(broker.ensure(&alarm).unwrap(), Ensured::Added);
    assert_eq!(broker.ensure(&alarm).unwrap(), Ensured::Present);
    broker.disable(alarm.id()).unwrap();
    broker.remove(alarm.id()).unwrap();
    let bound = Subscription::builder("bound")
        .class(class)
        .component("nobody")
        .build()
        .unwrap();
    broker.store(&bound).unwrap();
    broker.unregister_class(class, Cascade::Remove).unwrap();
    store(&broker, "last");

    let all = up_to(&receiver, "last");
    let lines: Vec<_> = all.iter().map(Told::line).collect();
    assert_eq!(
        lines,
        [
            "schema StockEvents added",
            "class Ticks added",
            "subscription alarm added",
            "subscription alarm changed",
            "subscription alarm removed",
            "subscription bound added",
            "class Ticks removed",
            "subscription bound removed",
            "subscription last added",
        ]
    );
    let log = broker.changes_since(Revision::ZERO).unwrap();
    assert_eq!(all.iter().map(key_of).collect::<Vec<_>>(), keys_of(&log));
    let interface = <dyn StockEvents>::schema().id().uuid();
    assert_eq!(all[2].bound_to, Some(interface));
    assert_eq!(all[5].bound_to, Some(class.uuid()));
    assert_eq!((all[0].id, all[0].bound_to), (interface, None));
}

#[test]
fn filter_selects_by_record_and_change_id_and_binding() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let alarm = subscription("alarm", "nobody").build().unwrap();
    let criteria = [
        "record = 'subscription' AND change = 'removed'".to_owned(),
        format!("id = '{}'", alarm.id()),
        format!(
            "bound_to = '{}' AND name LIKE 'a%'",
            <dyn StockEvents>::schema().id()
        ),
    ];
    let heard = criteria.map(|filter| told(&broker, Some(&filter)));
    broker.store(&alarm).unwrap();
    store(&broker, "other");
    broker.remove(alarm.id()).unwrap();
    broker.close(Duration::MAX).unwrap();
    let changes = heard.map(|(receiver, _guard)| {
        let all: Vec<_> = receiver.try_iter().collect();
        all.iter().map(Told::line).collect::<Vec<_>>()
    });
    let (added, removed) = ("subscription alarm added", "subscription alarm removed");
    assert_eq!(changes[0], [removed]);
    assert_eq!(changes[1], [added, removed]);
    assert_eq!(changes[2], [added, removed]);
}

#[test]
fn stored_subscription_is_checked_and_told_of_itself_when_its_component_is_there() {
    let _watchdog = Watchdog::new();
    let failures = Tape::new();
    let hook = failures.clone();
    let broker = Broker::builder()
        .on_failure(move |_, failure| hook.write(failure.to_string()))
        .open()
        .unwrap();
    let audit = |filter: &str| {
        let record = Subscription::builder("audit").class(WIRING_CHANGES);
        record.component("auditor").filter(filter).build().unwrap()
    };
    let wrong = broker.ensure(&audit("colour = 'red'")).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Filter);
    let audit = audit("record = 'subscription'");
    broker.ensure(&audit).unwrap();
    assert_eq!(broker.status(audit.id()), Some(SubscriptionStatus::Active));
    store(&broker, "while nobody listens");

    let (sender, receiver) = channel();
    let make = move || OnChange(sending(sender.clone()));
    let auditor = Component::new("auditor", make).implements::<dyn WiringChanges>();
    broker.register_component(auditor).unwrap();
    store(&broker, "first");
    assert_eq!(up_to(&receiver, "first").len(), 1);
    broker.disable(audit.id()).unwrap();
    store(&broker, "unheard");
    broker.enable(audit.id()).unwrap();
    let lines: Vec<_> = up_to(&receiver, "audit").iter().map(Told::line).collect();
    assert_eq!(lines, ["subscription audit changed"]);
    assert_eq!(failures.take(), Vec::<String>::new());
}

#[test]
fn contents_are_the_records_before_and_after() {
    struct OnContent(Mutex<Sender<[Option<String>; 2]>>);
    impl WiringContents for OnContent {
        fn content_changed(
            &self,
            _revision: u64,
            _record: &str,
            _id: Uuid,
            _change: &str,
            before: Option<&str>,
            after: Option<&str>,
        ) {
            let both = [before, after].map(|text| text.map(str::to_owned));
            self.0.lock().unwrap().send(both).unwrap();
        }
    }
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (sender, receiver) = channel();
    let record = Subscription::builder("contents")
        .class(WIRING_CONTENTS)
        .object()
        .filter("record != 'schema'");
    let listener: Arc<dyn WiringContents> = Arc::new(OnContent(Mutex::new(sender)));
    let _guard = broker.subscribe_with(&record.build().unwrap(), listener);
    let alarm = subscription("alarm", "nobody").build().unwrap();
    broker.store(&alarm).unwrap();
    let added = broker.subscription(alarm.id());
    broker.disable(alarm.id()).unwrap();
    let disabled = broker.subscription(alarm.id());
    broker.remove(alarm.id()).unwrap();
    let class = EventClass::new("ticks", "Ticks");
    broker.register_class::<dyn StockEvents>(class).unwrap();

    let next = || -> [Option<Subscription>; 2] {
        let texts = receiver.recv().unwrap();
        texts.map(|text| text.map(|text| serde_json::from_str(&text).unwrap()))
    };
    assert_eq!(next(), [None, added.clone()]);
    assert_eq!(next(), [added, disabled.clone()]);
    assert_eq!(next(), [disabled, None]);
    let [before, after] = receiver.recv().unwrap();
    let after: EventClass = serde_json::from_str(&after.unwrap()).unwrap();
    assert_eq!((before, Some(after)), (None, broker.class("ticks")));
}

#[test]
fn change_made_by_a_subscriber_is_told_once_and_after_its_cause() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (receiver, _guard) = told(&broker, Some("record = 'subscription'"));
    let weak = broker.clone();
    let echo: Arc<dyn WiringChanges> = Arc::new(OnChange(move |told: Told| {
        if told.name == "cause" {
            store(&weak, "effect");
        }
    }));
    let echo = broker.subscribe(echo).unwrap();
    store(&broker, "cause");
    let names: Vec<_> = up_to(&receiver, "effect")
        .into_iter()
        .map(|told| told.name)
        .collect();
    assert_eq!(names, ["cause", "effect"]);
    drop(echo);
    store(&broker, "last");
    assert_eq!(up_to(&receiver, "last").len(), 1);
}

#[test]
fn close_tells_what_was_committed_before() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (receiver, _guard) = told(&broker, Some("record = 'subscription'"));
    for number in 0..100 {
        store(&broker, &format!("number {number}"));
    }
    broker.close(Duration::MAX).unwrap();
    assert_eq!(receiver.try_iter().count(), 100);
}

#[test]
fn close_times_out_while_a_subscriber_does_not_return() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (entered, has_entered) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let stuck: Arc<dyn WiringChanges> = Arc::new(OnChange(move |_| {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    }));
    let _guard = broker.subscribe(stuck).unwrap();
    store(&broker, "first");
    has_entered.recv().unwrap();
    let error = broker.close(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(release);
}

#[test]
fn subscriber_may_close_the_broker_or_drop_its_last_handle() {
    let _watchdog = Watchdog::new();
    for closes in [true, false] {
        let shared: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let [broker, other] = [on_store(Arc::clone(&shared)), on_store(shared)];
        let handle = Arc::new(Mutex::new(None::<Broker>));
        let (sender, receiver) = channel();
        let taken = Arc::clone(&handle);
        let listener: Arc<dyn WiringChanges> = Arc::new(OnChange(move |_| {
            let broker = taken.lock().unwrap().take().unwrap();
            if closes {
                broker.close(Duration::MAX).unwrap();
                let error = broker.follow_changes(Revision::ZERO).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Closed);
            }
            drop(broker);
            sender.send(()).unwrap();
        }));
        broker.subscribe(listener).unwrap().detach();
        *handle.lock().unwrap() = Some(broker);
        store(&other, "first");
        receiver.recv().unwrap();
        store(&other, "second");
        // The subscriber goes with its broker, once the thread has let go of it.
        assert!(receiver.recv().is_err());
    }
}

#[test]
fn commits_of_both_brokers_of_a_store_are_told_by_each_to_its_own() {
    let _watchdog = Watchdog::new();
    let shared: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let [one, two] = [on_store(Arc::clone(&shared)), on_store(shared)];
    let heard = [&one, &two].map(|broker| told(broker, Some("record = 'subscription'")));
    for number in 0..50 {
        store(
            if number % 2 == 0 { &one } else { &two },
            &format!("{number}"),
        );
    }
    one.close(Duration::MAX).unwrap();
    two.close(Duration::MAX).unwrap();
    for (receiver, _guard) in heard {
        let names: Vec<_> = receiver.try_iter().map(|told| told.name).collect();
        let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn built_in_class_can_be_given_a_record_and_is_there_without() {
    let broker = quiet();
    let built_in = broker.class(WIRING_CHANGES).unwrap();
    assert_eq!(
        (built_in.name(), built_in.revision()),
        ("WiringChanges", None)
    );
    assert!(broker.classes("ALL").unwrap().is_empty());
    assert!(
        !broker
            .unregister_class(WIRING_CHANGES, Cascade::Refuse)
            .unwrap()
    );
    let described = built_in.clone().with_description("of the audit");
    broker.update_class(&described).unwrap();
    let stored = broker.class(WIRING_CHANGES).unwrap();
    assert_eq!(stored.description(), Some("of the audit"));
    assert_eq!(broker.classes("ALL").unwrap().len(), 1);
    assert!(
        broker
            .unregister_class(WIRING_CHANGES, Cascade::Refuse)
            .unwrap()
    );
    assert_eq!(broker.class(WIRING_CHANGES), Some(built_in));
    let changes = broker.changes_since(Revision::ZERO).unwrap();
    assert_eq!(*changes[0].object(), WiringObject::Class(WIRING_CHANGES));
}

#[test]
fn subscriber_dropped_by_the_fire_that_held_it_last_may_close_the_broker() {
    struct Closing(Broker, Sender<()>);
    impl WiringChanges for Closing {
        fn record_changed(
            &self,
            _revision: u64,
            _record: &str,
            _id: Uuid,
            _change: &str,
            name: &str,
            _bound_to: Option<Uuid>,
        ) {
            let audit = self.0.subscriptions("transient = TRUE").unwrap();
            assert_eq!((name, audit.len()), ("first", 1));
            self.1.send(()).unwrap();
            // Until it is unsubscribed, so that the fire is the last to hold it.
            while !self.0.subscriptions("transient = TRUE").unwrap().is_empty() {
                thread::yield_now();
            }
        }
    }
    impl Drop for Closing {
        fn drop(&mut self) {
            self.0.close(Duration::MAX).unwrap();
            self.1.send(()).unwrap();
        }
    }
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (sender, receiver) = channel();
    let closing: Arc<dyn WiringChanges> = Arc::new(Closing(broker.clone(), sender));
    let guard = broker.subscribe(closing).unwrap();
    store(&broker, "first");
    receiver.recv().unwrap();
    drop(guard);
    receiver.recv().unwrap();
    let error = broker.follow_changes(Revision::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
