//! Every operator over every type, found by index: who is called is who the evaluator says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use loosely::{
    Broker, DynamicPublisher, ErrorKind, Event, EventClass, EventContext, Properties, Stage,
    Subscriber, SubscriberError, Subscription, SubscriptionGuard, SubscriptionId, Value, ValueRef,
    event_interface,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

#[event_interface]
trait Readings {
    #[expect(clippy::too_many_arguments, reason = "one of each type")]
    fn read(
        &self,
        text: &str,
        maybe: Option<&str>,
        float: f64,
        single: f32,
        signed: i64,
        unsigned: Option<u64>,
        flag: bool,
        id: Uuid,
        raw: &[u8],
        time: SystemTime,
        span: Option<Duration>,
        any: &Value,
        tags: &[String],
        labels: &Properties,
    );
}

/// What can be compared: parameters, in their order, and properties.
const NAMES: [&str; 18] = [
    "text",
    "maybe",
    "float",
    "single",
    "signed",
    "unsigned",
    "flag",
    "id",
    "raw",
    "time",
    "span",
    "any",
    "tags",
    "labels.a",
    "labels.b.c",
    "publisher.site",
    "subscription.limit",
    "subscription.site",
];
/// Constants of each type. Some texts, bytes and ids have their order key in common with another,
/// and some numbers are no float, or no integer.
const TEXTS: [&str; 7] = [
    "''",
    "'a'",
    "'A'",
    "'ab'",
    "'abcdefgh-1'",
    "'abcdefgh-2'",
    "'%'",
];
const NUMBERS: [&str; 9] = [
    "0",
    "-1",
    "2",
    "0.1",
    "2.5",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775808",
    "1e300",
];
const IDS: [&str; 3] = [
    "{00000000-0000-0001-0000-000000000001}",
    "{00000000-0000-0001-0000-000000000002}",
    "{80000000-0000-0001-0000-000000000001}",
];
const BYTES: [&str; 5] = [
    "x''",
    "x'00'",
    "x'ff'",
    "x'0102030405060708'",
    "x'0102030405060709'",
];
const TIMES: [&str; 4] = [
    "TIMESTAMP '1969-12-31T23:59:59.5Z'",
    "TIMESTAMP '1970-01-01T00:00:00Z'",
    "TIMESTAMP '1970-01-01T00:00:00.000000001Z'",
    "TIMESTAMP '2200-01-01T00:00:00Z'",
];
const SPANS: [&str; 4] = [
    "DURATION 'PT0S'",
    "DURATION 'PT0.000000001S'",
    "DURATION 'PT1S'",
    "DURATION 'PT90000H'",
];

fn one_of(constants: &'static [&'static str]) -> BoxedStrategy<String> {
    select(constants).prop_map(str::to_owned).boxed()
}

/// A constant of the type of a name, or of any type where the name's is not known.
fn constant(of: &str) -> BoxedStrategy<String> {
    match of {
        "text" | "maybe" | "tags" => one_of(&TEXTS),
        "float" | "single" | "signed" | "unsigned" => one_of(&NUMBERS),
        "flag" => one_of(&["TRUE", "FALSE"]),
        "id" => one_of(&IDS),
        "raw" => one_of(&BYTES),
        "time" => one_of(&TIMES),
        "span" => one_of(&SPANS),
        _ => prop_oneof![
            3 => one_of(&TEXTS),
            3 => one_of(&NUMBERS),
            1 => one_of(&["TRUE", "NULL"]),
            1 => one_of(&IDS),
            1 => one_of(&BYTES),
            1 => one_of(&TIMES),
            1 => one_of(&SPANS),
        ]
        .boxed(),
    }
}

/// Names whose types agree with that of a name.
fn alike(name: &str) -> &'static [&'static str] {
    match name {
        "text" | "maybe" => &["text", "maybe", "any", "labels.a", "subscription.site"],
        "float" | "single" | "signed" | "unsigned" => &[
            "float",
            "single",
            "signed",
            "unsigned",
            "any",
            "publisher.site",
        ],
        "flag" | "id" | "raw" | "time" | "span" => &["any", "labels.b.c", "subscription.limit"],
        _ => &["any", "labels.a", "publisher.site", "subscription.site"],
    }
}

fn test() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_flat_map(|name| {
        let number = matches!(name, "float" | "single" | "signed" | "unsigned");
        let is_text = !number && !matches!(name, "flag" | "id" | "raw" | "time" | "span");
        let nullable = || prop_oneof![12 => constant(name), 1 => one_of(&["NULL"])];
        let equal = select(vec!["=", "=", "<>", "!="]);
        let op = select(vec!["=", "<>", "<", "<=", ">", ">="]);
        let collate = select(vec!["", "", " COLLATE NOCASE", " COLLATE BINARY"]);
        let pattern = select(vec![
            "'a%'",
            "'A_%'",
            "'%b'",
            "'ab'",
            "'abcdefgh-%'",
            "'!%' ESCAPE '!'",
        ]);
        let parts = (
            0..13_u8,
            equal,
            op,
            collate,
            select(vec!["", "NOT "]),
            pattern,
        );
        let others = (
            vec(nullable(), 1..5),
            vec(constant(name), 2),
            select(alike(name)),
        );
        (parts, others).prop_map(
            move |((form, equal, op, collate, not, pattern), (some, two, other))| {
                let (one, last) = (&two[0], &two[1]);
                let collate = if is_text { collate } else { "" };
                match form {
                    0..=2 => format!("{name} {equal} {}{collate}", some[0]),
                    3 | 4 => format!("{name} {op} {one}{collate}"),
                    5 => format!("{one} {op} {name}{collate}"),
                    6 => format!("{name} {not}IN ({}){collate}", some.join(", ")),
                    7 => format!("{name} {not}BETWEEN {one} AND {last}{collate}"),
                    8 if is_text => format!("{name} {not}LIKE {pattern}{collate}"),
                    8 | 9 => format!("{name} IS {not}NULL"),
                    10 => format!("{name} {op} {other}{collate}"),
                    11 => format!("{name} = ({}){collate}", some.join(" & ")),
                    _ => format!(
                        "{name} {equal} ({} & {one} | {last}){collate}",
                        some.join(" | ")
                    ),
                }
            },
        )
    })
}

fn criteria() -> impl Strategy<Value = String> {
    test().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 2..5).prop_map(|all| format!("({})", all.join(" AND "))),
            2 => vec(inner.clone(), 2..5).prop_map(|all| format!("({})", all.join(" OR "))),
            1 => inner.prop_map(|one| format!("NOT ({one})")),
        ]
    })
}

fn text() -> impl Strategy<Value = Value> {
    select(&["", "a", "A", "ab", "AB", "%", "abcdefgh-1", "abcdefgh-3"][..]).prop_map(Value::from)
}

fn float() -> impl Strategy<Value = f64> {
    let twos = 9_007_199_254_740_992.0;
    select(vec![
        0.0,
        -0.0,
        -1.0,
        2.0,
        2.5,
        0.1,
        f64::NAN,
        twos,
        1e300,
        f64::INFINITY,
    ])
}

fn signed() -> impl Strategy<Value = i64> {
    select(vec![0, -1, 2, 3, 9_007_199_254_740_993, i64::MIN, i64::MAX])
}

fn id() -> impl Strategy<Value = Uuid> {
    let ids = [(1_u64, 1_u64), (1, 2), (1, 3), (1 << 63 | 1, 1)];
    select(
        ids.map(|(high, low)| Uuid::from_u64_pair(high, low))
            .to_vec(),
    )
}

fn raw() -> impl Strategy<Value = Value> {
    select(vec![
        &[][..],
        &[0],
        &[255],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[1, 2, 3, 4, 5, 6, 7, 9],
    ])
    .prop_map(|bytes: &[u8]| Value::Bytes(bytes.to_vec()))
}

fn time() -> impl Strategy<Value = Value> {
    let epoch = SystemTime::UNIX_EPOCH;
    let after = |nanos| epoch + Duration::from_nanos(nanos);
    let times = [
        epoch - Duration::from_millis(500),
        epoch,
        after(1),
        after(2),
    ];
    select(times.to_vec()).prop_map(Value::Time)
}

fn span() -> impl Strategy<Value = Value> {
    let spans = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_secs(1),
        Duration::MAX,
    ];
    select(spans.to_vec()).prop_map(Value::Duration)
}

fn any() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        2 => Just(Value::Null),
        3 => text(),
        2 => float().prop_map(Value::F64),
        2 => signed().prop_map(Value::I64),
        1 => Just(Value::U64(u64::MAX)),
        1 => proptest::bool::ANY.prop_map(Value::Bool),
        1 => id().prop_map(Value::Uuid),
        1 => raw(),
        1 => time(),
        1 => span(),
    ];
    prop_oneof![
        6 => single.clone(),
        1 => vec(single.clone(), 0..4).prop_map(Value::List),
        1 => single.prop_map(|value| Value::Record(Properties::from([("c", value)]))),
    ]
}

fn or_null(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![4 => value, 1 => Just(Value::Null)].boxed()
}

/// The values of an event, in the order of the parameters.
fn event() -> impl Strategy<Value = Vec<Value>> {
    let scalars = [
        text().boxed(),
        or_null(text()),
        float().prop_map(Value::F64).boxed(),
        float()
            .prop_map(|value| Value::F64(f64::from(value as f32)))
            .boxed(),
        signed().prop_map(Value::I64).boxed(),
        or_null(select(vec![0, 2, 9_007_199_254_740_993, u64::MAX]).prop_map(Value::U64)),
        proptest::bool::ANY.prop_map(Value::Bool).boxed(),
        id().prop_map(Value::Uuid).boxed(),
        raw().boxed(),
        time().boxed(),
        or_null(span()),
        any().boxed(),
        vec(text(), 0..4).prop_map(Value::List).boxed(),
        (any(), any())
            .prop_map(|(a, b)| Value::Record(Properties::from([("a", a), ("b", b)])))
            .boxed(),
    ];
    scalars.to_vec()
}

/// What happens between two others.
#[derive(Debug, Clone)]
enum Step {
    Put {
        criteria: String,
        limit: Value,
        site: Value,
        live: bool,
    },
    /// The same criteria once more, of another subscription with the same bag.
    Again(Index),
    Remove(Index),
    Site(Value),
    Fire(Vec<Value>),
}

fn step() -> impl Strategy<Value = Step> {
    let put = (criteria(), any(), any(), prop::bool::weighted(0.2));
    prop_oneof![
        10 => put.prop_map(|(criteria, limit, site, live)| {
            Step::Put { criteria, limit, site, live }
        }),
        2 => proptest::prelude::any::<Index>().prop_map(Step::Again),
        4 => proptest::prelude::any::<Index>().prop_map(Step::Remove),
        1 => any().prop_map(Step::Site),
        4 => event().prop_map(Step::Fire),
    ]
}

/// Notes through which subscriptions it was called.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<SubscriptionId>>>);

impl Subscriber for Recorder {
    fn event(&self, _event: &Event<'_>) -> Result<(), SubscriberError> {
        let called = EventContext::current().unwrap().subscription();
        self.0.lock().unwrap().push(called);
        Ok(())
    }
}

/// A broker whose subscriptions are indexed from the first on.
struct Bench {
    broker: Broker,
    readings: DynamicPublisher,
    recorder: Recorder,
    listed: Vec<(Subscription, Option<SubscriptionGuard>)>,
    made: u32,
}

impl Bench {
    fn new() -> Self {
        let broker = Broker::in_memory().unwrap();
        let class = EventClass::new("readings", "readings").with_open_properties();
        broker.register_class::<dyn Readings>(class).unwrap();
        let recorder = Recorder::default();
        let component = recorder.clone();
        let component = loosely::Component::new("recorder", move || component.clone());
        broker
            .register_component(component.implements_any())
            .unwrap();
        let mut bench = Self {
            readings: broker.dynamic_publisher("readings").unwrap(),
            broker,
            recorder,
            listed: Vec::new(),
            made: 0,
        };
        for _ in 0..70 {
            bench.put("text = 'nobody''s'", &Properties::new(), false);
        }
        bench
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Put {
                criteria,
                limit,
                site,
                live,
            } => {
                let bag = Properties::from([("limit", limit), ("site", site)]);
                self.put(&criteria, &bag, live);
            }
            Step::Again(_) | Step::Remove(_) if self.listed.is_empty() => {}
            Step::Again(which) => {
                let record = which.get(&self.listed).0.clone();
                self.put(record.filter().unwrap(), record.for_publisher(), false);
            }
            Step::Remove(which) => {
                let (record, guard) = self.listed.swap_remove(which.index(self.listed.len()));
                if guard.is_none() {
                    assert!(self.broker.remove(record.id()).unwrap());
                }
            }
            Step::Site(value) => self.readings.set("site", value).unwrap(),
            Step::Fire(values) => self.fire(&values),
        }
    }

    /// Stores the criteria, or subscribes with them, unless they do not fit the types.
    fn put(&mut self, criteria: &str, bag: &Properties, live: bool) {
        self.made += 1;
        let record = Subscription::builder(format!("number {}", self.made))
            .to::<dyn Readings>()
            .class("readings")
            .for_publisher(bag.clone());
        let record = if live {
            record.object()
        } else {
            record.component("recorder")
        };
        let stored = record.filter(criteria).build().and_then(|record| {
            let guard = if live {
                let target = Arc::new(self.recorder.clone());
                Some(self.broker.subscribe_untyped(&record, target)?)
            } else {
                self.broker.store(&record)?;
                None
            };
            Ok((record, guard))
        });
        match stored {
            Ok(stored) => self.listed.push(stored),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Filter, "{criteria}: {error}"),
        }
    }

    fn fire(&self, values: &[Value]) {
        let event: Vec<ValueRef<'_>> = values.iter().map(Value::view).collect();
        let explained = self.readings.explain("read", &event).unwrap();
        let lines = explained.lines().iter();
        let delivered = lines.filter(|line| matches!(line.stage(), Stage::Delivered(_)));
        let expected: Vec<_> = delivered.map(|line| line.subscription()).collect();
        let report = self.readings.fire("read", &event).unwrap();
        let called = std::mem::take(&mut *self.recorder.0.lock().unwrap());
        let differs = |id: &&SubscriptionId| called.contains(id) != expected.contains(id);
        if let Some(id) = called.iter().chain(&expected).find(differs) {
            let record = self.broker.subscription(*id).unwrap();
            let (filter, bag) = (record.filter().unwrap(), record.for_publisher());
            let line = explained.line(record.name()).unwrap();
            panic!("{filter} with {bag:?} differs on {values:?}: {line}");
        }
        assert_eq!(called, expected, "in order");
        assert_eq!((report.delivered(), report.failed()), (expected.len(), 0));
        assert_eq!(report.filtered(), self.listed.len() - expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn index_finds_whom_the_evaluator_names_whatever_the_operator_and_the_type(
        steps in vec(step(), 1..150),
        last in vec(event(), 1..6),
    ) {
        let mut bench = Bench::new();
        steps.into_iter().for_each(|step| bench.play(step));
        last.iter().for_each(|values| bench.fire(values));
    }
}
