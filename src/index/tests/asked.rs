//! What is asked for at one place, beside what the filters select.

use std::ops::Bound;

use super::generate::{NAMES, comparison, comparison_of};
use super::*;
use crate::filter::{Collation, Condition, Path, Row};

/// Returns where the value of the name is.
fn path(name: &str) -> Path {
    match predicate(&format!("{name} IS NULL")).condition() {
        Condition::Test { path, .. } => path.clone(),
        other => panic!("{name} is at no place but {other:?}"),
    }
}

fn look(index: &mut PredicateIndex<u32>, path: &Path) {
    index.begin_cover(path);
    let (mut found, mut from) = (Collected::default(), Some(0));
    while let Some(at) = from {
        from = index.collect_cover(path, at, &mut found);
    }
    index.end_cover(path, found);
}

fn takes(index: &mut PredicateIndex<u32>, path: &Path, value: &Value) -> bool {
    index.takes(path, value.view()).unwrap_or_else(|Uncovered| {
        look(index, path);
        index.takes(path, value.view()).unwrap()
    })
}

fn constants(index: &PredicateIndex<u32>, name: &str) -> Vec<AskedConstant> {
    let (path, mut all, mut from) = (path(name), Vec::new(), Some(0));
    while let Some(at) = from {
        from = index.constants(&path, at, &mut |constant| all.push(constant));
    }
    all
}

fn holds(bounds: &(Bound<Value>, Bound<Value>), value: &Value) -> bool {
    let compare = |op: &str, bound: &Value| {
        let text = format!("any {op} {bound}");
        let values = event_of(&[(8, value.clone())]).values;
        let values: Vec<_> = values.iter().map(Value::view).collect();
        let publisher = &Properties::new();
        let row = EventRow {
            values: &values,
            publisher,
        };
        predicate(&text).evaluate(&row) == Some(true)
    };
    let above = match &bounds.0 {
        Bound::Included(low) => compare(">=", low),
        Bound::Excluded(low) => compare(">", low),
        Bound::Unbounded => true,
    };
    above
        && match &bounds.1 {
            Bound::Included(high) => compare("<=", high),
            Bound::Excluded(high) => compare("<", high),
            Bound::Unbounded => true,
        }
}

/// Asserts that a value is asked for wherever a filter selects an event that has it; and that the
/// lists that are told say the same.
fn assert_asked(pair: &mut Pair, event: &Event) {
    let views: Vec<_> = event.values.iter().map(Value::view).collect();
    let row = EventRow {
        values: &views,
        publisher: &event.publisher,
    };
    let mut entries = pair.entries.iter();
    let selected = entries.any(|(_, predicate, _)| predicate.evaluate(&row) == Some(true));
    for name in NAMES {
        let path = path(name);
        let value = path.read(&row as &dyn Row).to_value();
        let index = &mut pair.index;
        let taken = takes(index, &path, &value);
        assert!(taken || !selected, "{value} of {name}, {event:?}");
        if selected && !index.is_open(&path) && !value.is_null() && value.as_f64().is_some() {
            assert_told(index, name, &value);
        }
    }
}

fn assert_told(index: &mut PredicateIndex<u32>, name: &str, number: &Value) {
    if number.as_f64().is_some_and(f64::is_nan) {
        return;
    }
    look(index, &path(name));
    let ranges = index.ranges(&path(name), 0).unwrap();
    let ranges = ranges.iter().map(|range| range.bounds(&ValueType::Any));
    let one = |value: Value| (Bound::Included(value.clone()), Bound::Included(value));
    let constants = constants(index, name).into_iter().map(|of| one(of.value));
    let numbers = |bounds: &(Bound<Value>, Bound<Value>)| {
        !matches!(&bounds.0, Bound::Included(Value::Str(_) | Value::Bool(_)))
    };
    let mut all = ranges.chain(constants.filter(numbers));
    assert!(
        all.any(|bounds| holds(&bounds, number)),
        "{number} of {name}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn value_of_a_selected_event_is_asked_for_while_filters_come_and_go(
        (texts, gone) in select(&NAMES[..]).prop_flat_map(about),
        events in vec(event(), 40),
    ) {
        let mut pair = Pair::new();
        texts.iter().for_each(|text| pair.insert(predicate(text)));
        let (before, after) = events.split_at(20);
        before.iter().for_each(|event| assert_asked(&mut pair, event));
        gone.iter().for_each(|gone| pair.remove(gone.index(pair.entries.len())));
        texts.iter().take(1).for_each(|text| pair.insert(predicate(text)));
        after.iter().for_each(|event| assert_asked(&mut pair, event));
    }
}

/// Returns some filters that ask for something in particular at the place of this name, and which
/// of them go.
fn about(name: &'static str) -> impl Strategy<Value = (Vec<String>, Vec<Index>)> {
    let of_name = || comparison_of(name).prop_filter("type", |text| compiled(text).is_some());
    let other = comparison().prop_filter("type", |text| compiled(text).is_some());
    let one = prop_oneof![
        4 => of_name(),
        1 => (of_name(), of_name()).prop_map(|(a, b)| format!("{a} AND {b}")),
        1 => (of_name(), of_name()).prop_map(|(a, b)| format!("NOT ({a} OR {b})")),
        1 => (of_name(), other).prop_map(|(a, b)| format!("{a} AND {b}")),
    ];
    let narrow = one.prop_filter("open", move |text| {
        let mut index = PredicateIndex::new();
        index.insert(&predicate(text), 0);
        !index.is_open(&path(name))
    });
    (1..6_usize).prop_flat_map(move |count| {
        let gone = vec(any::<Index>(), 0..count);
        (vec(narrow.clone(), count), gone)
    })
}

fn filled(all: &[&str]) -> Pair {
    let mut pair = Pair::new();
    all.iter().for_each(|text| pair.insert(predicate(text)));
    pair
}

#[test]
fn what_no_filter_asks_for_is_not_taken() {
    let mut pair = filled(&[
        "text = 'a' AND float > 1",
        "text LIKE 'ab%' AND float BETWEEN -5 AND -4",
        "text = 'B' COLLATE NOCASE AND float = -9",
    ]);
    let index = &mut pair.index;
    for (value, taken) in [
        ("a", true),
        ("A", false),
        ("abc", true),
        ("b", true),
        ("c", false),
    ] {
        assert_eq!(takes(index, &path("text"), &value.into()), taken, "{value}");
    }
    for (value, taken) in [
        (1.0, false),
        (1.5, true),
        (-4.5, true),
        (-9.0, true),
        (-8.0, false),
    ] {
        assert_eq!(
            takes(index, &path("float"), &value.into()),
            taken,
            "{value}"
        );
    }
    assert!(!takes(index, &path("text"), &Value::Null) && !index.is_open(&path("text")));
    assert!(takes(index, &path("maybe"), &Value::Null) && index.is_open(&path("maybe")));
}

#[test]
fn filter_that_excludes_a_value_leaves_its_place_open_but_for_null() {
    let mut pair = filled(&["maybe <> 'a'", "maybe = 'b'"]);
    assert!(pair.index.is_open(&path("maybe")));
    assert!(!takes(&mut pair.index, &path("maybe"), &Value::Null));
    pair.insert(predicate("maybe IS NULL"));
    assert!(takes(&mut pair.index, &path("maybe"), &Value::Null));
    pair.remove(0);
    assert!(!pair.index.is_open(&path("maybe")));
}

#[test]
fn constants_are_told_once_with_their_collation() {
    let mut texts: Vec<_> = (0..20)
        .map(|at| format!("text = 'x{at}' AND float = 1"))
        .collect();
    texts.push("text = 'ABC' COLLATE NOCASE AND text LIKE 'ab%'".to_owned());
    texts.push("text IN ('x0', 'x1', '')".to_owned());
    let pair = filled(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut told = constants(&pair.index, "text");
    assert_eq!(told.len(), 23);
    let abc = told.iter().find(|of| of.collation != Collation::Exact);
    assert_eq!(abc.map(|of| of.value.clone()), Some("abc".into()));
    told.retain(|of| of.is_prefix);
    assert_eq!(told.len(), 1);
    assert_eq!(constants(&pair.index, "float").len(), 1);
}

#[test]
fn ranges_are_told_together_and_anew_once_one_went() {
    let mut pair = filled(&[
        "float > 5",
        "float BETWEEN 1 AND 3",
        "float BETWEEN 2 AND 4",
    ]);
    let told = |index: &mut PredicateIndex<u32>| {
        look(index, &path("float"));
        let ranges = index.ranges(&path("float"), 0).unwrap();
        let bounds = ranges.iter().map(|range| range.bounds(&ValueType::F64));
        bounds.collect::<Vec<_>>()
    };
    let (open, number) = (Bound::Unbounded, |at: f64| Value::from(at));
    let above = (Bound::Excluded(number(5.0)), open);
    let between = |low, high| (Bound::Included(number(low)), Bound::Included(number(high)));
    assert_eq!(pair.index.ranges(&path("float"), 0).err(), Some(Uncovered));
    assert_eq!(told(&mut pair.index), [between(1.0, 4.0), above.clone()]);
    pair.insert(predicate("float BETWEEN 4 AND 4.5"));
    let all = pair.index.ranges(&path("float"), 0);
    assert_eq!(
        all.map(|all| all.len()).ok(),
        Some(2),
        "without another look"
    );
    pair.remove(1);
    assert_eq!(pair.index.ranges(&path("float"), 0).err(), Some(Uncovered));
    assert_eq!(told(&mut pair.index), [between(2.0, 4.5), above]);
}

#[test]
fn range_of_text_beside_something_narrower_asks_for_nothing_more() {
    let mut pair = filled(&["text > 'a' AND text LIKE 'b%'"]);
    assert!(takes(&mut pair.index, &path("text"), &"b".into()));
    assert!(!takes(&mut pair.index, &path("text"), &"c".into()));
    pair.insert(predicate("text > 'x'"));
    assert!(takes(&mut pair.index, &path("text"), &"c".into()));
}

#[test]
fn slots_without_a_condition_are_counted() {
    let mut pair = filled(&["ALL", "text = 'a'", "ALL", "NOT (NOT ALL)"]);
    assert_eq!(pair.index.unconditional(), 3);
    pair.remove(0);
    assert_eq!(pair.index.unconditional(), 2);
}
