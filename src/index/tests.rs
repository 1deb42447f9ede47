#![expect(clippy::unwrap_used, reason = "the filters are valid")]

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

mod asked;

use super::predicate_index::Outdated;
use super::*;
use crate::filter::{EventRow, Filter, Predicate, Scope, UndeclaredProperties, check};
use crate::value::{EventMethod, Parameter, Properties, Value, ValueType};

fn method() -> EventMethod {
    let map = ValueType::Map(Box::new(ValueType::Any));
    let list = |of| ValueType::List(Box::new(of));
    let optional = |of| ValueType::Option(Box::new(of));
    EventMethod::new(
        "event",
        [
            ("text", ValueType::Str),
            ("maybe", optional(ValueType::Str)),
            ("float", ValueType::F64),
            ("signed", ValueType::I64),
            ("unsigned", optional(ValueType::U64)),
            ("flag", ValueType::Bool),
            ("time", optional(ValueType::Time)),
            ("span", ValueType::Duration),
            ("any", ValueType::Any),
            ("tags", list(ValueType::Str)),
            ("counts", list(ValueType::I64)),
            ("labels", map),
        ]
        .map(|(name, ty)| Parameter::new(name, ty)),
    )
}

fn compiled(text: &str) -> Option<Predicate> {
    let method = method();
    let scope = Scope::for_method(&method).with_publisher(&[], UndeclaredProperties::Open);
    check(&Filter::parse(text).ok()?, &scope).ok()
}

fn predicate(text: &str) -> Predicate {
    compiled(text).unwrap_or_else(|| panic!("{text} is not valid"))
}

/// An index and the list that it must agree with.
struct Pair {
    index: PredicateIndex<u32>,
    entries: Vec<(EntryId, Predicate, u32)>,
    next: u32,
    scratch: Scratch,
}

impl Pair {
    fn new() -> Self {
        Self {
            index: PredicateIndex::new(),
            entries: Vec::new(),
            next: 0,
            scratch: Scratch::default(),
        }
    }

    fn insert(&mut self, predicate: Predicate) {
        let id = self.index.insert(&predicate, self.next);
        self.entries.push((id, predicate, self.next));
        self.next += 1;
    }

    fn remove(&mut self, at: usize) {
        let (id, _, slot) = self.entries.swap_remove(at);
        assert_eq!(self.index.remove(id), Some(slot));
    }

    fn matches(&mut self, row: &EventRow<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        let mut visit = |slots: &[u32]| found.extend_from_slice(slots);
        self.scratch.read(self.index.columns(), row);
        self.index.matches(&mut self.scratch, &mut visit).unwrap();
        found.sort_unstable();
        found
    }

    fn assert_like_a_scan(&mut self, event: &Event) {
        let values: Vec<_> = event.values.iter().map(Value::view).collect();
        let row = EventRow {
            values: &values,
            publisher: &event.publisher,
        };
        let selects = |entry: &&(_, Predicate, u32)| entry.1.evaluate(&row) == Some(true);
        let selected = self.entries.iter().filter(selects);
        let mut expected: Vec<_> = selected.map(|(_, _, slot)| *slot).collect();
        expected.sort_unstable();
        let found = self.matches(&row);
        let differs = |slot: &&u32| found.contains(slot) != expected.contains(slot);
        if let Some(slot) = found.iter().chain(&expected).find(differs) {
            let (_, predicate, _) = self.entries.iter().find(|entry| entry.2 == *slot).unwrap();
            panic!("{:?} differs on {event:?}", predicate.condition());
        }
        assert_eq!(found, expected, "each once");
    }
}

/// An event's values.
#[derive(Debug, Clone)]
struct Event {
    values: Vec<Value>,
    publisher: Properties,
}

/// Texts of which several begin with another, or differ by case, or are longer than an order key.
const TEXTS: [&str; 9] = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "abc",
    "b",
    "abcdefgh-1",
    "abcdefgh-2",
];
const NUMBERS: [&str; 15] = [
    "0",
    "1",
    "-1",
    "2",
    "2.5",
    "-0.0",
    "1e300",
    "3",
    "4",
    "9007199254740992",
    "9007199254740993",
    "18014398509481985",
    "18014398509481986",
    "18446744073709551615",
    "-9223372036854775808",
];

fn text() -> impl Strategy<Value = String> {
    select(&TEXTS[..]).prop_map(|text| format!("'{text}'"))
}

fn number() -> impl Strategy<Value = String> {
    select(&NUMBERS[..]).prop_map(str::to_owned)
}

fn constant(of: &str) -> BoxedStrategy<String> {
    match of {
        "text" | "maybe" | "tags" => text().boxed(),
        "float" | "signed" | "unsigned" | "counts" => number().boxed(),
        "flag" => select(vec!["TRUE", "FALSE"])
            .prop_map(str::to_owned)
            .boxed(),
        "time" => (0..4_u8)
            .prop_map(|day| format!("'200{day}-01-01'"))
            .boxed(),
        "span" => (0..4_u8).prop_map(|hours| format!("'{hours}h'")).boxed(),
        _ => prop_oneof![
            text(),
            number(),
            Just("TRUE".to_owned()),
            Just("NULL".to_owned())
        ]
        .boxed(),
    }
}

const NAMES: [&str; 16] = [
    "text",
    "maybe",
    "float",
    "signed",
    "unsigned",
    "flag",
    "time",
    "span",
    "any",
    "tags",
    "counts",
    "labels.a",
    "labels.b",
    "labels.c.d",
    "publisher.region",
    "publisher.size",
];

fn comparison() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_flat_map(comparison_of)
}

fn comparison_of(name: &'static str) -> impl Strategy<Value = String> {
    let op = select(vec!["=", "=", "=", "<>", "<", "<=", ">", ">="]);
    let collate = select(vec!["", "", " COLLATE NOCASE"]);
    let set = vec(constant(name), 1..5);
    let pattern = select(vec![
        "a%",
        "ab%",
        "%b",
        "_b%",
        "a",
        "%",
        "abcdefgh-%",
        "A%",
        "a%c",
    ]);
    let one = constant(name);
    let other = select(&NAMES[..]);
    let not = select(vec!["", "NOT "]);
    (0..14_u8, op, collate, set, pattern, one, other, not).prop_map(
        move |(form, op, collate, set, pattern, one, other, not)| match form {
            0..=5 => format!("{name}{collate} {op} {one}"),
            6 | 7 => format!("{name}{collate} {not}IN ({})", set.join(", ")),
            8 => format!("{name}{collate} = ({})", set.join(" & ")),
            9 => format!("{name}{collate} {not}LIKE '{pattern}'"),
            10 => format!("{name} IS {not}NULL"),
            11 => format!("{name} {not}BETWEEN {} AND {one}", set[0]),
            12 => format!("{name} {op} {other}"),
            _ => format!("{name} = ({} & {one} | {one})", set[0]),
        },
    )
}

fn criteria() -> impl Strategy<Value = String> {
    let valid = comparison().prop_filter("type", |text| compiled(text).is_some());
    let nested = valid.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" AND "))),
            2 => vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" OR "))),
            1 => inner.prop_map(|one| format!("NOT ({one})")),
        ]
    });
    prop_oneof![1 => Just("ALL".to_owned()), 20 => nested]
}

fn text_value() -> impl Strategy<Value = Value> {
    select(&TEXTS[..]).prop_map(Value::from)
}

fn number_value() -> impl Strategy<Value = Value> {
    let number = |text: &str| match text.parse::<i64>() {
        Ok(number) => Value::I64(number),
        Err(_) => text
            .parse()
            .map_or_else(|_| text.parse::<f64>().unwrap().into(), Value::U64),
    };
    prop_oneof![
        select(&NUMBERS[..]).prop_map(number),
        Just(Value::F64(f64::NAN)),
        (0..4_u64).prop_map(Value::U64),
        (0..4_u8).prop_map(|n| Value::F64(n.into())),
        Just(Value::F64(9_007_199_254_740_992.0)),
        Just(Value::F64(18_014_398_509_481_984.0)),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let single = prop_oneof![
        2 => Just(Value::Null),
        4 => text_value(),
        4 => number_value(),
        1 => any::<bool>().prop_map(Value::from),
    ];
    prop_oneof![
        4 => single.clone(),
        1 => vec(single.clone(), 0..4).prop_map(Value::List),
        1 => single.prop_map(|value| Properties::from([("d", value)]).into()),
    ]
}

fn or_null<T: Strategy<Value = Value> + 'static>(of: T) -> impl Strategy<Value = Value> {
    prop_oneof![5 => of, 1 => Just(Value::Null)]
}

fn event() -> impl Strategy<Value = Event> {
    let day = |day: u64| Value::from(SystemTime::UNIX_EPOCH + Duration::from_secs(day * 43_200));
    let hours = |hours: u64| Value::from(Duration::from_secs(hours * 1_800));
    let properties = |names: &'static [&'static str]| {
        let entry = (select(names), any_value());
        vec(entry, 0..4).prop_map(|entries| entries.into_iter().collect::<Properties>())
    };
    let scalars = (
        text_value(),
        or_null(text_value()),
        number_value(),
        number_value(),
        or_null(number_value()),
        any::<bool>().prop_map(Value::from),
        or_null((21_915..24_200_u64).prop_map(day)),
        (0..8_u64).prop_map(hours),
        any_value(),
    );
    let lists = (
        vec(or_null(text_value()), 0..4).prop_map(Value::List),
        vec(number_value(), 0..3).prop_map(Value::List),
        properties(&["a", "b", "c"]).prop_map(Value::from),
    );
    let publisher = properties(&["region", "size"]);
    (scalars, lists, publisher).prop_map(|((a, b, c, d, e, f, g, h, i), (j, k, l), publisher)| {
        let values = vec![a, b, c, d, e, f, g, h, i, j, k, l];
        Event { values, publisher }
    })
}

/// What happens to an index.
#[derive(Debug, Clone)]
enum Step {
    Insert(String),
    InsertAgain(Index),
    Remove(Index),
    Match(Event),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => criteria().prop_map(Step::Insert),
        2 => any::<Index>().prop_map(Step::InsertAgain),
        5 => any::<Index>().prop_map(Step::Remove),
        6 => event().prop_map(Step::Match),
    ]
}

/// A filter that is too long to be given whole is one whose conjunctions are too many.
fn run(steps: Vec<Step>) {
    let mut pair = Pair::new();
    for step in steps {
        match step {
            Step::Insert(text) => pair.insert(predicate(&text)),
            Step::InsertAgain(_) | Step::Remove(_) if pair.entries.is_empty() => {}
            Step::InsertAgain(which) => {
                let again = which.get(&pair.entries).1.clone();
                pair.insert(again);
            }
            Step::Remove(which) => pair.remove(which.index(pair.entries.len())),
            Step::Match(event) => pair.assert_like_a_scan(&event),
        }
    }
    while !pair.entries.is_empty() {
        pair.remove(pair.entries.len() / 2);
    }
    assert_eq!(
        pair.index.statistics(),
        PredicateIndex::<u32>::new().statistics()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn matches_are_those_of_a_scan_while_filters_come_and_go(steps in vec(step(), 0..400)) {
        run(steps);
    }
}

fn event_of(values: &[(usize, Value)]) -> Event {
    let mut event = Event {
        values: vec![Value::Null; 12],
        publisher: Properties::new(),
    };
    for (index, value) in values {
        event.values[*index] = value.clone();
    }
    event
}

#[test]
fn identical_filters_share_one_entry_whatever_the_order_of_their_parts() {
    let mut pair = Pair::new();
    pair.insert(predicate("text = 'a' AND float > 1"));
    pair.insert(predicate("float > 1 AND text = 'a'"));
    pair.insert(predicate("text = 'a' AND NOT float <= 1"));
    pair.insert(predicate("text = 'a' OR float > 1"));
    let statistics = pair.index.statistics();
    assert_eq!((statistics.entries, statistics.filters), (4, 2));
    assert_eq!(statistics.shared, 2);
}

#[test]
fn filter_is_visited_once_though_several_of_its_parts_hold() {
    let mut pair = Pair::new();
    pair.insert(predicate("text = 'a' OR float > 1 OR signed > 1"));
    pair.insert(predicate("tags IN ('a', 'b', 'c')"));
    let tags = Value::List(vec!["a".into(), "b".into(), "a".into()]);
    let event = event_of(&[(0, "a".into()), (2, 2.0.into()), (3, 2.into()), (9, tags)]);
    pair.assert_like_a_scan(&event);
    assert_eq!(pair.index.statistics().entries, 2);
}

#[test]
fn list_is_not_like_a_pattern_that_one_of_its_elements_is_like() {
    let mut pair = Pair::new();
    pair.insert(predicate("any LIKE 'a'"));
    pair.insert(predicate("any LIKE 'a%'"));
    pair.assert_like_a_scan(&event_of(&[(8, Value::List(vec!["a".into()]))]));
    pair.assert_like_a_scan(&event_of(&[(8, "a".into())]));
}

#[test]
fn filters_of_different_columns_make_a_reading_outdated() {
    let mut index = PredicateIndex::new();
    index.insert(&predicate("text = 'a'"), 1);
    let publisher = Properties::new();
    let row = EventRow {
        values: &["a".into()],
        publisher: &publisher,
    };
    let mut scratch = Scratch::default();
    scratch.read(index.columns(), &row);
    index.insert(&predicate("text = 'b'"), 2);
    let mut found = Vec::new();
    let result = index.matches(&mut scratch, &mut |slots| found.extend_from_slice(slots));
    assert_eq!((result, &*found), (Ok(()), &[1][..]));
    index.insert(&predicate("float = 1"), 3);
    let result = index.matches(&mut scratch, &mut |slots| found.extend_from_slice(slots));
    assert_eq!((result, found.len()), (Err(Outdated), 1));
}

#[test]
fn removed_entry_is_not_there_a_second_time() {
    let mut index = PredicateIndex::new();
    let first = index.insert(&predicate("text = 'a'"), 1);
    let second = index.insert(&predicate("text = 'a'"), 2);
    assert_eq!((index.remove(first), index.remove(first)), (Some(1), None));
    assert_eq!(
        (index.remove(second), index.remove(second)),
        (Some(2), None)
    );
}

#[test]
fn cost_tells_a_filter_that_no_index_helps() {
    let help = |text: &str| FilterCost::of(&predicate(text)).help();
    for found in [
        "text = 'a'",
        "float > 1 AND text LIKE 'a%'",
        "maybe IS NULL",
        "ALL",
    ] {
        assert_eq!(help(found), IndexHelp::Found, "{found}");
    }
    for narrowed in [
        "text = 'a' AND float <> 1",
        "text LIKE 'a%b'",
        "text > 'abcdefgh'",
    ] {
        assert_eq!(help(narrowed), IndexHelp::Narrowed, "{narrowed}");
    }
    for scanned in [
        "float <> 1",
        "text LIKE '%b'",
        "float > signed",
        "text = 'a' OR float <> 1",
    ] {
        assert_eq!(help(scanned), IndexHelp::Scanned, "{scanned}");
    }
}

#[test]
fn conjunctions_beyond_the_cap_stay_behind_what_they_have_in_common() {
    let either = |name: &str| format!("({name} = 1 OR {name} > 5 OR {name} < -5)");
    let many = ["float", "signed", "unsigned"].map(either).join(" AND ");
    let cost = FilterCost::of(&predicate(&format!("text = 'a' AND {many}")));
    assert!(cost.conjunctions() <= normal::CAP);
    assert_eq!(cost.help(), IndexHelp::Narrowed);
    let mut pair = Pair::new();
    pair.insert(predicate(&many));
    for (a, b, c) in [(1.0, 1, 1), (9.0, 9, 9), (1.0, 9, 3), (0.0, 1, 1)] {
        pair.assert_like_a_scan(&event_of(&[(2, a.into()), (3, b.into()), (4, c.into())]));
    }
}

#[test]
fn many_equalities_of_one_name_are_one_conjunction() {
    let any = |name: &str, values: [&str; 9]| {
        values.map(|value| format!("{name} = {value}")).join(" OR ")
    };
    let cost = FilterCost::of(&predicate(&any(
        "float",
        ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    )));
    assert_eq!((cost.conjunctions(), cost.help()), (1, IndexHelp::Found));
}
