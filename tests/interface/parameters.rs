//! Every type that a parameter can have, from the caller through the views and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loosely::{
    EventValue, FireReport, ImplementedBy, IntoTarget, Parameter, Properties, Publishes,
    RecordView, SubscriberError, Value, ValueRef, event_interface,
};
use uuid::Uuid;

use crate::publisher::publisher;

/// A newtype.
#[derive(Debug, Clone, Copy, PartialEq, EventValue)]
struct Price(f64);

#[derive(Debug, Clone, PartialEq, EventValue)]
struct City {
    name: String,
}

#[derive(Debug, Clone, PartialEq, EventValue)]
struct Customer {
    city: City,
    tags: Vec<String>,
}

/// A struct that contains itself.
#[derive(Debug, Clone, PartialEq, EventValue)]
struct Folder {
    name: String,
    parent: Option<Box<Folder>>,
    children: Vec<Folder>,
}

#[derive(Debug, Clone, Copy, PartialEq, EventValue)]
#[event_value(rename_all = "kebab-case")]
enum Side {
    BuyToOpen,
    Sell,
}

#[event_interface]
trait Numbers {
    fn truth(&self, value: bool);
    fn signed(&self, a: i8, b: i16, c: i32, d: i64);
    fn unsigned(&self, a: u8, b: u16, c: u32, d: u64);
    fn floating(&self, a: f32, b: f64);
    fn by_reference(&self, a: &i32, b: &f64, c: Option<&u64>);
    fn moments(&self, id: Uuid, at: SystemTime, took: Duration);
    fn moments_by_reference(&self, id: &Uuid, at: &SystemTime, took: Option<&Duration>);
}

#[event_interface]
#[expect(
    clippy::ptr_arg,
    reason = "an owned type behind a reference is what is tested"
)]
trait Texts {
    fn texts(&self, a: &str, b: String, c: Arc<str>, d: Box<str>, e: &String, f: &Arc<str>);
    fn bytes(&self, a: &[u8], b: Vec<u8>, c: Option<&[u8]>, d: &Vec<u8>, e: Arc<[u8]>);
    fn optional(&self, a: Option<u8>, b: Option<&str>, c: Option<String>, d: &Option<String>);
}

#[event_interface]
trait Structures {
    fn records(&self, a: &Customer, b: Customer, c: Option<&Customer>, d: Arc<Customer>);
    fn lists(&self, a: &[Customer], b: Vec<i64>, c: Option<&[String]>, d: Vec<Vec<u8>>);
    fn maps(&self, a: HashMap<String, u8>, b: &BTreeMap<String, Customer>, c: &Properties);
    fn small(&self, price: Price, prices: &[Price], side: Side, sides: Vec<Side>);
    fn recursive(&self, folder: &Folder);
}

/// Writes down what arrives, as text that shows the Rust values.
#[derive(Default)]
struct Recorder {
    lines: std::sync::Mutex<Vec<String>>,
}

impl Recorder {
    fn record(&self, values: &dyn std::fmt::Debug) {
        self.lines.lock().unwrap().push(format!("{values:?}"));
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Numbers for Recorder {
    fn truth(&self, value: bool) {
        self.record(&value);
    }

    fn signed(&self, a: i8, b: i16, c: i32, d: i64) {
        self.record(&(a, b, c, d));
    }

    fn unsigned(&self, a: u8, b: u16, c: u32, d: u64) {
        self.record(&(a, b, c, d));
    }

    fn floating(&self, a: f32, b: f64) {
        self.record(&(a, b));
    }

    fn by_reference(&self, a: &i32, b: &f64, c: Option<&u64>) {
        self.record(&(a, b, c));
    }

    fn moments(&self, id: Uuid, at: SystemTime, took: Duration) {
        self.record(&(id, at, took));
    }

    fn moments_by_reference(&self, id: &Uuid, at: &SystemTime, took: Option<&Duration>) {
        self.record(&(id, at, took));
    }
}

impl Texts for Recorder {
    fn texts(&self, a: &str, b: String, c: Arc<str>, d: Box<str>, e: &String, f: &Arc<str>) {
        self.record(&(a, b, c, d, e, f));
    }

    fn bytes(&self, a: &[u8], b: Vec<u8>, c: Option<&[u8]>, d: &Vec<u8>, e: Arc<[u8]>) {
        self.record(&(a, b, c, d, e));
    }

    fn optional(&self, a: Option<u8>, b: Option<&str>, c: Option<String>, d: &Option<String>) {
        self.record(&(a, b, c, d));
    }
}

impl Structures for Recorder {
    fn records(&self, a: &Customer, b: Customer, c: Option<&Customer>, d: Arc<Customer>) {
        self.record(&(a, b, c, d));
    }

    fn lists(&self, a: &[Customer], b: Vec<i64>, c: Option<&[String]>, d: Vec<Vec<u8>>) {
        self.record(&(a, b, c, d));
    }

    fn maps(&self, a: HashMap<String, u8>, b: &BTreeMap<String, Customer>, c: &Properties) {
        self.record(&(a, b, c));
    }

    fn small(&self, price: Price, prices: &[Price], side: Side, sides: Vec<Side>) {
        self.record(&(price, prices, side, sides));
    }

    fn recursive(&self, folder: &Folder) {
        self.record(folder);
    }
}

fn customer(city: &str) -> Customer {
    Customer {
        city: City {
            name: city.to_owned(),
        },
        tags: vec!["new".to_owned(), "it's".to_owned()],
    }
}

fn moments() -> (Uuid, SystemTime, Duration) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    (Uuid::from_u128(0x1234), at, Duration::from_millis(1_500))
}

/// Fires, delivers the owned arguments, and invokes the method by index with their views and with
/// owned values: the subscriber must see the same each time.
fn every_way_delivers_the_same<I: Publishes + ImplementedBy<Recorder> + ?Sized>(
    method: &str,
    fire: impl Fn(&I::Publisher) -> FireReport,
    arguments: &dyn RecordView,
    deliver: impl Fn(&I) -> Result<(), SubscriberError>,
) where
    Arc<I>: IntoTarget<I>,
{
    let recorder = Arc::new(Recorder::default());
    let target = I::upcast(Arc::clone(&recorder));
    fire(&publisher::<I>(&target));
    deliver(&target).unwrap();
    let (index, schema) = I::schema().method(method).unwrap();
    let fields = (0..arguments.field_count()).map_while(|index| arguments.field(index));
    let (names, views): (Vec<_>, Vec<_>) = fields.unzip();
    let parameters = schema.parameters().iter().map(Parameter::name);
    assert_eq!(names, parameters.collect::<Vec<_>>());
    target.invoke(index, &views).unwrap();
    let owned: Vec<Value> = views.iter().map(ValueRef::to_value).collect();
    let views: Vec<_> = owned.iter().map(Value::view).collect();
    target.invoke(index, &views).unwrap();
    let lines = recorder.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| *line == lines[0]), "{lines:#?}");
}

/// Writes the arguments of a call twice: for the publisher, and for the struct of owned arguments.
macro_rules! check {
    ($interface:ident.$method:ident => $arguments:ident($($argument:expr),* $(,)?)) => {{
        let arguments = $arguments::new($($argument),*);
        every_way_delivers_the_same::<dyn $interface>(
            stringify!($method),
            |publisher| publisher.$method($($argument),*),
            &arguments,
            |target| arguments.clone().deliver(target),
        );
    }};
}

#[test]
fn numbers_arrive_as_they_were_fired() {
    check!(Numbers.truth => NumbersTruth(true));
    check!(Numbers.signed => NumbersSigned(i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    check!(Numbers.unsigned => NumbersUnsigned(u8::MAX, u16::MAX, u32::MAX, u64::MAX));
    check!(Numbers.floating => NumbersFloating(0.1, f64::MIN_POSITIVE));
    check!(Numbers.by_reference => NumbersByReference(&-1, &-0.0, Some(&7)));
    check!(Numbers.by_reference => NumbersByReference(&-1, &-0.0, None));
}

#[test]
fn moments_arrive_as_they_were_fired() {
    let (id, at, took) = moments();
    check!(Numbers.moments => NumbersMoments(id, at, took));
    check!(Numbers.moments_by_reference => NumbersMomentsByReference(&id, &at, Some(&took)));
}

#[test]
fn texts_and_bytes_arrive_as_they_were_fired() {
    let (text, shared) = ("it's".to_owned(), Arc::<str>::from("shared"));
    check!(Texts.texts => TextsTexts(
        "", text.clone(), Arc::clone(&shared), "box".into(), &text, &shared,
    ));
    let bytes = vec![0, 255];
    check!(Texts.bytes => TextsBytes(&[], bytes.clone(), Some(&bytes), &bytes, [1, 2].into()));
    check!(Texts.bytes => TextsBytes(&bytes, vec![], None, &vec![], [].into()));
    check!(Texts.optional => TextsOptional(
        Some(1), Some("b"), Some(text.clone()), &Some(text.clone()),
    ));
    check!(Texts.optional => TextsOptional(None, None, None, &None));
}

#[test]
fn structures_arrive_as_they_were_fired() {
    let (paris, rome) = (customer("Paris"), customer("Rome"));
    check!(Structures.records => StructuresRecords(
        &paris, rome.clone(), Some(&rome), Arc::new(paris.clone()),
    ));
    check!(Structures.records => StructuresRecords(
        &paris, rome.clone(), None, Arc::new(paris.clone()),
    ));
    let customers = [paris.clone(), rome];
    check!(Structures.lists => StructuresLists(
        &customers, vec![-1, 1], Some(&["a".to_owned()]), vec![vec![], vec![1]],
    ));
    check!(Structures.lists => StructuresLists(&[], vec![], None, vec![]));
    let tree = BTreeMap::from([("one".to_owned(), paris)]);
    let bag = Properties::from([("a", Value::from(1)), ("b", Value::from(vec![1_u8]))]);
    check!(Structures.maps => StructuresMaps(HashMap::from([("k".to_owned(), 9)]), &tree, &bag));
}

#[test]
fn newtypes_enums_and_recursive_structs_arrive_as_they_were_fired() {
    check!(Structures.small => StructuresSmall(
        Price(0.5), &[Price(1.5)], Side::BuyToOpen, vec![Side::Sell, Side::BuyToOpen],
    ));
    let root = Folder {
        name: "/".to_owned(),
        parent: None,
        children: vec![],
    };
    let leaf = Folder {
        name: "leaf".to_owned(),
        parent: Some(Box::new(root.clone())),
        children: vec![root],
    };
    check!(Structures.recursive => StructuresRecursive(&leaf));
}

#[test]
fn path_into_a_record_is_read_without_allocation() {
    let arguments = StructuresRecords::new(
        &customer("Paris"),
        customer("Rome"),
        None,
        Arc::new(customer("Oslo")),
    );
    let mut found = None;
    let allocations = allocation_counter::measure(|| {
        let mut view = ValueRef::Record(&arguments);
        for step in ["d", "city", "name"] {
            if let ValueRef::Record(record) = view {
                view = record.field_named(step).unwrap_or(ValueRef::Null);
            }
        }
        found = view.as_str();
    });
    assert_eq!(found, Some("Oslo"));
    assert_eq!(allocations.count_total, 0);
}
