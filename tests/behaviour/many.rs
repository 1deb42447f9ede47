//! Many filtered subscriptions, which are found by index: the same answers, in the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use loosely::{
    Broker, Component, EventClass, EventContext, EventInterface, Filter, Result, Subscription,
    SubscriptionGuard, SubscriptionId, ValueRef, event_interface,
};
use proptest::prelude::*;

use crate::support::Watchdog;

#[event_interface]
pub(crate) trait Quotes {
    fn quoted(&self, symbol: &str, price: i64, venue: Option<&str>);
}

/// Notes through which subscriptions it was called.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<SubscriptionId>>>);

impl Quotes for Recorder {
    fn quoted(&self, _symbol: &str, _price: i64, _venue: Option<&str>) {
        let called = EventContext::current().unwrap().subscription();
        self.0.lock().unwrap().push(called);
    }
}

impl Recorder {
    fn take(&self) -> Vec<SubscriptionId> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

const SYMBOLS: [&str; 4] = ["MSFT", "IBM", "AAPL", "amzn"];
const VENUES: [Option<&str>; 3] = [None, Some("oslo"), Some("bonn")];

/// What happens to the wiring between two fires.
#[derive(Debug, Clone)]
enum Change {
    Put {
        number: u8,
        priority: i32,
        criteria: Option<String>,
        live: bool,
    },
    Remove(u8),
    Disable(u8),
}

fn criteria() -> impl Strategy<Value = Option<String>> {
    let symbol = prop::sample::select(SYMBOLS.to_vec());
    let price = 0..20_i64;
    prop_oneof![
        2 => Just(None),
        3 => symbol.clone().prop_map(|symbol| Some(format!("symbol = '{symbol}'"))),
        3 => (symbol.clone(), price.clone())
            .prop_map(|(symbol, price)| Some(format!("symbol = '{symbol}' AND price > {price}"))),
        2 => (price.clone(), price.clone())
            .prop_map(|(low, width)| Some(format!("price BETWEEN {low} AND {}", low + width))),
        2 => (symbol.clone(), price.clone())
            .prop_map(|(symbol, price)| Some(format!("symbol <> '{symbol}' OR price = {price}"))),
        1 => symbol.prop_map(|symbol| Some(format!("NOT symbol LIKE '{}%'", &symbol[..1]))),
        1 => Just(Some("venue IS NULL".to_owned())),
        1 => Just(Some("venue = 'OSLO' COLLATE NOCASE".to_owned())),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let put = (
        any::<u8>(),
        -1..2_i32,
        criteria(),
        prop::bool::weighted(0.3),
    );
    prop_oneof![
        8 => put.prop_map(|(number, priority, criteria, live)| {
            Change::Put { number, priority, criteria, live }
        }),
        2 => any::<u8>().prop_map(Change::Remove),
        1 => any::<u8>().prop_map(Change::Disable),
    ]
}

/// The broker, and beside it a plain list that is looked through in full.
pub(crate) struct Twin {
    pub(crate) broker: Broker,
    pub(crate) quotes: QuotesPublisher,
    recorder: Recorder,
    listed: BTreeMap<u8, (Subscription, Option<SubscriptionGuard>)>,
    /// subscription -> its place in store order
    order: BTreeMap<u8, usize>,
    places: usize,
}

impl Twin {
    pub(crate) fn new(class: EventClass) -> Self {
        let broker = Broker::in_memory().unwrap();
        let recorder = Recorder::default();
        let component = recorder.clone();
        let component = Component::new("recorder", move || component.clone());
        broker
            .register_component(component.implements::<dyn Quotes>())
            .unwrap();
        let id = broker.register_class::<dyn Quotes>(class).unwrap();
        let quotes = broker.publisher_of::<dyn Quotes>(id).unwrap();
        let (listed, order) = (BTreeMap::new(), BTreeMap::new());
        Self {
            broker,
            quotes,
            recorder,
            listed,
            order,
            places: 0,
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put {
                number,
                priority,
                criteria,
                live,
            } => {
                self.put(*number, *priority, criteria.as_deref(), *live);
            }
            Change::Remove(number) => self.remove(*number),
            Change::Disable(number) => {
                if let Some((record, None)) = self.listed.get_mut(number) {
                    self.broker.disable(record.id()).unwrap();
                    *record = record.clone().disabled();
                }
            }
        }
    }

    fn put(&mut self, number: u8, priority: i32, criteria: Option<&str>, live: bool) {
        let was_live = self.listed.get(&number).map(|(_, guard)| guard.is_some());
        if was_live.is_some_and(|was_live| was_live || live) {
            self.remove(number);
        }
        let mut record = Subscription::builder(format!("number {number}"))
            .id(SubscriptionId::from_u128(u128::from(number) + 1))
            .to::<dyn Quotes>()
            .priority(priority);
        if let Some(criteria) = criteria {
            record = record.filter(criteria);
        }
        let (record, guard) = if live {
            let record = record.object().build().unwrap();
            let target = Arc::new(self.recorder.clone());
            let guard = self
                .broker
                .subscribe_with::<dyn Quotes>(&record, target)
                .unwrap();
            (record, Some(guard))
        } else {
            let record = record.component("recorder").build().unwrap();
            self.broker.store(&record).unwrap();
            (record, None)
        };
        if !self.listed.contains_key(&number) {
            self.places += 1;
            self.order.insert(number, self.places);
        }
        self.listed.insert(number, (record, guard));
    }

    fn remove(&mut self, number: u8) {
        if let Some((record, guard)) = self.listed.remove(&number)
            && guard.is_none()
        {
            self.broker.remove(record.id()).unwrap();
        }
        self.order.remove(&number);
    }

    /// Returns who has to be called, in order.
    fn expected(&self, event: &[ValueRef<'_>]) -> Vec<SubscriptionId> {
        let method = &<dyn Quotes>::schema().methods()[0];
        let wanted = |record: &Subscription| {
            let matches = record.filter().map_or(Some(true), |criteria| {
                Filter::parse(criteria)
                    .unwrap()
                    .matches(method, event)
                    .unwrap()
            });
            record.is_enabled() && matches == Some(true)
        };
        let listed = self.listed.iter().filter(|(_, (record, _))| wanted(record));
        let mut expected: Vec<_> = listed
            .map(|(number, (record, _))| (-record.priority(), self.order[number], record.id()))
            .collect();
        expected.sort();
        expected.into_iter().map(|(.., id)| id).collect()
    }

    fn fire(&self, symbol: &str, price: i64, venue: Option<&str>) {
        let venue_value = venue.map_or(ValueRef::Null, ValueRef::Str);
        let event = [ValueRef::Str(symbol), ValueRef::I64(price), venue_value];
        let expected = self.expected(&event);
        let report = self.quotes.quoted(symbol, price, venue);
        assert_eq!(self.recorder.take(), expected);
        let enabled = self
            .listed
            .values()
            .filter(|(record, _)| record.is_enabled())
            .count();
        assert_eq!((report.delivered(), report.failed()), (expected.len(), 0));
        assert_eq!(report.filtered(), enabled - expected.len());
        let explained = self.quotes.explain("quoted", &event).unwrap();
        assert_eq!(explained.delivered(), expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn fires_agree_with_a_scan_while_subscriptions_come_and_go(
        changes in prop::collection::vec(change(), 1..400),
    ) {
        let mut twin = Twin::new(EventClass::new("quotes", "quotes"));
        for (number, change) in changes.iter().enumerate() {
            twin.apply(change);
            if number % 8 == 0 {
                let venue = VENUES[number % VENUES.len()];
                twin.fire(SYMBOLS[number / 8 % SYMBOLS.len()], number as i64 % 23, venue);
            }
        }
        for symbol in SYMBOLS {
            twin.fire(symbol, 7, None);
        }
    }
}

#[test]
fn unordered_class_keeps_priorities_and_calls_everybody() {
    let mut twin = Twin::new(EventClass::new("quotes", "quotes").with_unordered());
    for number in 0..200 {
        twin.put(number, i32::from(number % 3), Some("price > 1"), false);
    }
    let report = twin.quotes.quoted("MSFT", 2, None);
    assert_eq!(report.delivered(), 200);
    let called = twin.recorder.take();
    let priority = |id: &SubscriptionId| (id.uuid().as_u128() - 1) % 3;
    assert!(called.is_sorted_by_key(|id| std::cmp::Reverse(priority(id))));
}

/// The subscription moves between the lane and the index, or within the index, while others fire:
/// none may miss it, and none may call it twice.
#[test]
fn subscription_that_changes_its_filter_is_called_exactly_once_by_every_fire() -> Result<()> {
    let _watchdog = Watchdog::new();
    let mut twin = Twin::new(EventClass::new("quotes", "quotes"));
    for number in 0..120 {
        twin.put(number, 0, Some("symbol = 'nobody'"), false);
    }
    twin.put(200, 0, Some("price > 0"), false);
    let id = SubscriptionId::from_u128(201);
    let done = AtomicBool::new(false);
    let quotes = twin.quotes.clone();
    thread::scope(|scope| {
        let firing = scope.spawn(|| {
            let mut fires = 0_u32;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(quotes.quoted("MSFT", 5, None).delivered(), 1);
                fires += 1;
            }
            fires
        });
        let forms = [
            "price > 1",
            "",
            "symbol = 'MSFT'",
            "",
            "price BETWEEN 2 AND 9",
        ];
        for form in forms.iter().cycle().take(2_000) {
            let stored = twin.broker.subscription(id).unwrap();
            let changed = match *form {
                "" => stored.without_filter(),
                criteria => stored.with_filter(criteria),
            };
            twin.broker.store(&changed).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(firing.join().unwrap() > 0);
    });
    Ok(())
}

/// With the last few filters the index goes. What leaves it by the very change that ends it is in
/// neither the lane nor the index of before.
#[test]
fn subscription_that_leaves_an_index_with_its_end_is_called_exactly_once_by_every_fire() {
    let _watchdog = Watchdog::new();
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let record = |number: u32| {
        Subscription::builder(format!("s{number}"))
            .to::<dyn Quotes>()
            .component("recorder")
            .filter("symbol = 'nobody'")
    };
    let others: Vec<_> = (0..100).map(|n| record(n).build().unwrap()).collect();
    let filtered = record(200).filter("price > 0").build().unwrap();
    let loose = filtered.clone().without_filter();
    twin.broker.store(&loose).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let firing = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(twin.quotes.quoted("MSFT", 5, None).delivered(), 1);
            }
        });
        for _ in 0..100 {
            twin.broker.import(&others).unwrap();
            twin.broker.store(&filtered).unwrap();
            for other in &others[31..] {
                twin.broker.remove(other.id()).unwrap();
            }
            twin.broker.store(&loose).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        firing.join().unwrap();
    });
}
