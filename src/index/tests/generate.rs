//! Criteria and events of every kind, drawn for the property test.

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Event, compiled};
use crate::value::{Properties, Value};

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

pub(super) const NAMES: [&str; 16] = [
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

pub(super) fn comparison() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_flat_map(comparison_of)
}

pub(super) fn comparison_of(name: &'static str) -> impl Strategy<Value = String> {
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

pub(super) fn criteria() -> impl Strategy<Value = String> {
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

pub(super) fn event() -> impl Strategy<Value = Event> {
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
