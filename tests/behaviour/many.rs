//! Many filtered subscriptions, which are found by index: the same answers, in the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use loosely::{
    Broker, Component, ErrorKind, EventClass, EventContext, EventInterface, Filter, IndexHelp,
    Notice, Result, Subscription, SubscriptionGuard, SubscriptionId, ValueRef, event_interface,
};
use proptest::prelude::*;

use crate::support::Watchdog;

#[event_interface]
trait Quotes {
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
struct Twin {
    broker: Broker,
    quotes: QuotesPublisher,
    recorder: Recorder,
    listed: BTreeMap<u8, (Subscription, Option<SubscriptionGuard>)>,
    /// subscription -> its place in store order
    order: BTreeMap<u8, usize>,
    places: usize,
}

impl Twin {
    fn new(class: EventClass) -> Self {
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

/// The subscription moves between the lane and the index, or within the index, while others fire: none
/// may miss it, and none may call it twice.
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

#[test]
fn import_stores_all_in_one_commit_and_all_are_seen_when_it_returned() -> Result<()> {
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let record = |number: u32, price: u32| {
        Subscription::builder(format!("import {number}"))
            .to::<dyn Quotes>()
            .component("recorder")
            .filter(format!("price = {price}"))
            .build()
    };
    let first: Vec<_> = (0..3_000)
        .map(|n| record(n, n % 10))
        .collect::<Result<_>>()?;
    let imported = twin.broker.import(&first)?;
    assert_eq!((imported.added(), imported.replaced()), (3_000, 0));
    assert_eq!(twin.quotes.quoted("MSFT", 3, None).delivered(), 300);
    assert_eq!(twin.broker.changes_since(imported.revision())?.len(), 0);

    let second: Vec<_> = (1_000..4_000)
        .map(|n| record(n, 3))
        .collect::<Result<_>>()?;
    let imported = twin.broker.import(&second)?;
    assert_eq!((imported.added(), imported.replaced()), (1_000, 2_000));
    let report = twin.quotes.quoted("MSFT", 3, None);
    assert_eq!((report.delivered(), report.filtered()), (3_100, 900));
    Ok(())
}

#[test]
fn import_into_a_class_without_subscriptions_is_seen_whole_or_not_at_all() -> Result<()> {
    const COUNT: usize = 3_000;
    let _watchdog = Watchdog::new();
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let many: Result<Vec<_>> = (0..COUNT)
        .map(|number| {
            Subscription::builder(format!("s{number}"))
                .to::<dyn Quotes>()
                .method("quoted")
                .component("recorder")
                .filter("price > 0")
                .build()
        })
        .collect();
    let many = many?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let firing = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Acquire) {
                seen.push(twin.quotes.quoted("A", 1, None).delivered());
            }
            seen
        });
        let imported = twin.broker.import(&many);
        done.store(true, Ordering::Release);
        let seen = firing.join();
        let seen = seen.unwrap();
        assert!(seen.iter().all(|delivered| [0, COUNT].contains(delivered)));
        assert_eq!(imported?.added(), COUNT);
        assert_eq!(twin.quotes.quoted("A", 1, None).delivered(), COUNT);
        Ok(())
    })
}

#[test]
fn import_with_one_that_is_not_valid_stores_none() -> Result<()> {
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let record = |filter: &str| {
        Subscription::builder(filter)
            .to::<dyn Quotes>()
            .component("recorder")
            .filter(filter)
    };
    let good = record("price = 3").build()?;
    let unfit = record("colour = 'red'").build()?;
    assert!(twin.broker.import([&good, &unfit]).is_err());
    assert!(twin.broker.import([&good, &good]).is_err());
    assert!(twin.broker.subscriptions("ALL")?.is_empty());
    assert_eq!(twin.broker.import(Vec::<Subscription>::new())?.added(), 0);
    Ok(())
}

#[test]
fn filter_that_no_index_can_help_is_named_with_its_cost_and_may_be_refused() -> Result<()> {
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let record = |filter: &str| {
        let record = Subscription::builder(filter)
            .to::<dyn Quotes>()
            .component("recorder");
        record.filter(filter).build()
    };
    let help = |filter: &str| -> Result<_> {
        Ok(twin
            .broker
            .filter_cost(&record(filter)?)?
            .map(|cost| cost.help()))
    };
    assert_eq!(
        help("symbol = 'MSFT' AND price > 3")?,
        Some(IndexHelp::Found)
    );
    assert_eq!(
        help("symbol = 'MSFT' AND price <> 3")?,
        Some(IndexHelp::Narrowed)
    );
    assert_eq!(help("symbol <> 'MSFT'")?, Some(IndexHelp::Scanned));

    twin.broker.ensure(&record("symbol <> 'MSFT'")?)?;
    let notices = twin.broker.notices();
    assert!(
        notices
            .iter()
            .any(|n| matches!(n, Notice::FilterScanned { .. })),
        "{notices:?}"
    );

    let strict = EventClass::new("strict", "strict").with_indexable_filters();
    twin.broker.register_class::<dyn Quotes>(strict)?;
    let error = twin.broker.ensure(&record("price <> 7")?).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("strict"), "{error}");
    Ok(())
}

#[test]
fn expensive_filters_of_an_import_are_noted_once_they_are_stored_and_many_in_one_notice()
-> Result<()> {
    let twin = Twin::new(EventClass::new("quotes", "quotes"));
    let record = |n: u32, filter: &str| {
        Subscription::builder(format!("number {n}"))
            .to::<dyn Quotes>()
            .component("recorder")
            .filter(filter)
            .build()
    };
    let many = (0..3_000).map(|n| record(n, "price <> 7"));
    let many = many.collect::<Result<Vec<_>>>()?;
    let unfit = record(3_000, "colour = 'red'")?;
    assert!(twin.broker.import(many.iter().chain([&unfit])).is_err());
    assert_eq!(twin.broker.notices(), [], "nothing was stored");

    twin.broker.import(&many[..3])?;
    assert_eq!(twin.broker.notices().len(), 3);
    twin.broker.import(&many)?;
    let notices = twin.broker.notices();
    assert!(
        matches!(&notices[..], [Notice::FilterScanned { others: 2_999, .. }]),
        "{notices:?}"
    );
    Ok(())
}

#[cfg(feature = "sled")]
#[test]
fn progress_is_reported_while_a_broker_is_opened() -> Result<()> {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::open(directory.path())?;
    let record = |n: u32| {
        let record = Subscription::builder(format!("number {n}")).to::<dyn Quotes>();
        record.component("recorder").build()
    };
    let records: Vec<_> = (0..12_000).map(record).collect::<Result<_>>()?;
    broker.import(&records)?;
    drop(broker);
    let reports = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reports);
    let builder = Broker::builder().path(directory.path());
    let broker = builder
        .on_progress(move |count| heard.lock().unwrap().push(count))
        .open()?;
    assert_eq!(broker.subscriptions("ALL")?.len(), 12_000);
    assert_eq!(*reports.lock().unwrap(), [0, 10_000, 12_000]);
    Ok(())
}
