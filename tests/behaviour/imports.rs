//! Many subscriptions at once, what their filters cost, and opening a broker on them.

use std::sync::Arc;
#[cfg(feature = "sled")]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use loosely::{
    AccessRequest, Authorizer, Broker, ErrorKind, EventClass, IndexHelp, Notice, Result,
    Subscription,
};

use crate::many::{Quotes, Twin};
use crate::support::Watchdog;

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

/// Counts how often it is asked, and allows everything.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Authorizer for Counting {
    fn allows(&self, _request: &AccessRequest<'_>) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        true
    }
}

/// The roles of the principal, and what they allow, were worked out anew for every record of an
/// import, twice.
#[test]
fn import_of_a_principal_asks_once_of_each_class_and_right() -> Result<()> {
    let counting = Counting::default();
    let broker = Broker::builder().authorizer(counting.clone()).open()?;
    broker.register_class::<dyn Quotes>(EventClass::new("quotes", "quotes"))?;
    let record = |number: u32, owner: &str| {
        let builder = Subscription::builder(format!("s{number}")).class("quotes");
        builder.component("recorder").owner(owner).build()
    };
    let view = broker.as_principal("ann")?;
    let hers: Vec<_> = (0..50).map(|n| record(n, "ann")).collect::<Result<_>>()?;
    view.import(&hers)?;
    assert_eq!(counting.0.swap(0, Ordering::SeqCst), 1);
    // Her own need the right to subscribe, another's that to administer.
    let his = (50..100).map(|n| record(n, "bob"));
    let both: Vec<_> = hers.into_iter().map(Ok).chain(his).collect::<Result<_>>()?;
    assert_eq!(view.import(&both)?.added(), 50);
    assert_eq!(counting.0.swap(0, Ordering::SeqCst), 2);
    Ok(())
}
