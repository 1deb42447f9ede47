//! Values, threads and changes that are awkward to an index: what it does must be what asking each
//! filter would do.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use loosely::{
    Broker, ConversionError, EventValue, RecordView, Subscription, SubscriptionGuard, ValueRef,
    ValueType, event_interface,
};

use crate::support::quiet;

/// The names that a [`Parcel`] has, and how often a value of it was read.
#[derive(Clone)]
struct Parcel(Arc<AtomicUsize>);

#[derive(Clone, EventValue)]
struct Shape {
    good: String,
    bad: String,
}

/// One of the two values panics when it is read.
impl RecordView for Parcel {
    fn field_count(&self) -> usize {
        2
    }

    fn field(&self, index: usize) -> Option<(&str, ValueRef<'_>)> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match index {
            0 => Some(("good", ValueRef::Str("fine"))),
            1 => panic!("this value cannot be read"),
            _ => None,
        }
    }
}

impl EventValue for Parcel {
    fn value_type() -> ValueType {
        Shape::value_type()
    }

    fn view(&self) -> ValueRef<'_> {
        ValueRef::Record(self)
    }

    fn from_view(_view: ValueRef<'_>) -> Result<Self, ConversionError> {
        Ok(Self(Arc::default()))
    }
}

#[event_interface]
trait Parcels {
    fn sent(&self, parcel: &Parcel);
}

struct Receiver;

impl Parcels for Receiver {
    fn sent(&self, _parcel: &Parcel) {}
}

fn subscribe(broker: &Broker, name: &str, filter: Option<&str>) -> SubscriptionGuard {
    let mut record = Subscription::builder(name).to::<dyn Parcels>().object();
    if let Some(filter) = filter {
        record = record.filter(filter);
    }
    broker
        .subscribe_with::<dyn Parcels>(&record.build().unwrap(), Arc::new(Receiver))
        .unwrap()
}

fn subscribe_many(broker: &Broker, count: usize) -> Vec<SubscriptionGuard> {
    let filter = Some("parcel.good = 'fine'");
    (0..count)
        .map(|number| subscribe(broker, &format!("p{number}"), filter))
        .collect()
}

#[test]
fn value_that_panics_fails_the_filters_that_read_it_and_no_others() {
    for count in [3, 100] {
        let broker = quiet();
        let parcels = broker.publisher::<dyn Parcels>().unwrap();
        let _many = subscribe_many(&broker, count);
        let _bad = subscribe(&broker, "bad", Some("parcel.bad = 'x'"));
        let report = parcels.sent(&Parcel(Arc::default()));
        assert_eq!((report.delivered(), report.failed()), (count, 1));
        assert_eq!(report.lines()[0].name(), "bad");
    }
}

#[test]
fn class_whose_many_filters_are_gone_fires_plainly_again() {
    let broker = quiet();
    let parcels = broker.publisher::<dyn Parcels>().unwrap();
    let _plain = subscribe(&broker, "plain", None);
    let mut many = subscribe_many(&broker, 100);
    let parcel = Parcel(Arc::default());
    assert_eq!(parcels.sent(&parcel).delivered(), 101);
    assert!(parcel.0.swap(0, Ordering::Relaxed) > 0);
    many.truncate(20);
    assert_eq!(parcels.sent(&parcel).delivered(), 21);
    many.clear();
    parcel.0.store(0, Ordering::Relaxed);
    assert_eq!(parcels.sent(&parcel).delivered(), 1);
    assert_eq!(parcel.0.load(Ordering::Relaxed), 0);
    many.extend(subscribe_many(&broker, 100));
    assert_eq!(parcels.sent(&parcel).delivered(), 101);
}

/// A name that comes twice.
struct Twice;

impl RecordView for Twice {
    fn field_count(&self) -> usize {
        2
    }

    fn field(&self, index: usize) -> Option<(&str, ValueRef<'_>)> {
        (index < 2).then_some(("colour", ValueRef::Str("red")))
    }
}

#[event_interface]
trait Tags {
    fn tagged(&self, tags: &std::collections::BTreeMap<String, String>);
}

struct Reader;

impl Tags for Reader {
    fn tagged(&self, _tags: &std::collections::BTreeMap<String, String>) {}
}

#[test]
fn name_that_comes_twice_in_a_record_calls_its_subscriber_once() {
    let broker = quiet();
    let tags = broker.publisher::<dyn Tags>().unwrap();
    let mut guards = Vec::new();
    for number in 0..100 {
        let colour = if number == 7 { "red" } else { "blue" };
        let record = Subscription::builder(format!("t{number}"))
            .to::<dyn Tags>()
            .object()
            .filter(format!(
                "tags.colour = '{colour}' AND tags.colour <> '{number}'"
            ));
        let record = record.build().unwrap();
        let guard = broker.subscribe_with::<dyn Tags>(&record, Arc::new(Reader));
        guards.push(guard.unwrap());
    }
    let by_name = broker.dynamic_publisher(tags.class_id()).unwrap();
    let report = by_name.fire("tagged", &[ValueRef::Record(&Twice)]).unwrap();
    assert_eq!(report.delivered(), 1);
}

/// Fires when its thread ends, after what the library keeps for the thread may be gone.
struct Last(ParcelsPublisher, Arc<AtomicUsize>);

impl Drop for Last {
    fn drop(&mut self) {
        let delivered = self.0.sent(&Parcel(Arc::default())).delivered();
        self.1.fetch_add(delivered, Ordering::Relaxed);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn fire_at_the_end_of_its_thread_calls_everybody() {
    let broker = quiet();
    let parcels = broker.publisher::<dyn Parcels>().unwrap();
    let _many = subscribe_many(&broker, 100);
    let delivered = Arc::new(AtomicUsize::new(0));
    let last = Last(parcels.clone(), Arc::clone(&delivered));
    let ended = thread::spawn(move || {
        LAST.with(|kept| *kept.borrow_mut() = Some(last));
        parcels.sent(&Parcel(Arc::default())).delivered()
    });
    assert_eq!(ended.join().unwrap(), 100);
    assert_eq!(delivered.load(Ordering::Relaxed), 100);
}
