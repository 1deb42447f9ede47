#![expect(clippy::unwrap_used, reason = "the filters are valid")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

mod asked;
mod generate;

use self::generate::{criteria, event};
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
