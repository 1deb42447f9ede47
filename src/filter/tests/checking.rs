//! Criteria against schemas and values.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::filter::{
    EventRow, Filter, FilterError, FilterErrorKind, Scope, UndeclaredProperties, check,
};
use crate::model::EventClass;
use crate::value::{
    EventMethod, FieldSchema, Parameter, Properties, RecordSchema, Value, ValueType,
};

fn optional(ty: ValueType) -> ValueType {
    ValueType::Option(Box::new(ty))
}

/// A method with a parameter of every sort, each with its value.
fn every_type() -> Vec<(Parameter, Value)> {
    let city = FieldSchema::new("city", ValueType::Str).alias("town");
    let order = RecordSchema::new("Order", [city, FieldSchema::new("count", ValueType::I32)]);
    let list = |inner| ValueType::List(Box::new(inner));
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    let row = |name: &str, ty, value: Value| (Parameter::new(name, ty), value);
    vec![
        row("flag", ValueType::Bool, true.into()),
        row("small", ValueType::I32, (-3).into()),
        row("big", ValueType::U64, u64::MAX.into()),
        row("price", ValueType::F64, 185.5.into()),
        row("ratio", ValueType::F32, 0.1_f32.into()),
        row("nan", ValueType::F64, f64::NAN.into()),
        row("zero", ValueType::F64, (-0.0).into()),
        row("symbol", ValueType::Str, "MSFT".into()),
        row("note", optional(ValueType::Str), Value::Null),
        row(
            "side",
            ValueType::Enum(vec!["Buy".into(), "Sell".into()]),
            "Buy".into(),
        ),
        row("raw", ValueType::Bytes, vec![0x0a_u8, 0xff].into()),
        row("id", ValueType::Uuid, Uuid::from_u128(10).into()),
        row("time", ValueType::Time, new_year.into()),
        row(
            "age",
            ValueType::Duration,
            Duration::from_secs(5_400).into(),
        ),
        row(
            "tags",
            list(ValueType::Str),
            vec!["a".into(), Value::Null, "b".into()].into(),
        ),
        row(
            "counts",
            list(ValueType::I32),
            vec![Value::from(1), 2.into()].into(),
        ),
        row(
            "labels",
            ValueType::Map(Box::new(ValueType::Str)),
            Properties::from([("severity", "page"), ("odd key", "x")]).into(),
        ),
        row(
            "order",
            optional(ValueType::Record(order)),
            Properties::from([("city", Value::from("Bonn")), ("count", 2.into())]).into(),
        ),
        row("any", ValueType::Any, 7.into()),
    ]
}

fn evaluate(criteria: &str) -> Result<Option<bool>, FilterError> {
    let rows = every_type();
    let method = EventMethod::new("event", rows.iter().map(|(parameter, _)| parameter.clone()));
    let values: Vec<_> = rows.iter().map(|(_, value)| value.view()).collect();
    let bag = Properties::from([
        ("symbol", Value::from("MSFT")),
        (
            "symbols",
            vec!["IBM".into(), Value::Null, "MSFT".into()].into(),
        ),
        ("after", "1999-12-31".into()),
        ("limit", 2.5.into()),
        ("none", Vec::<Value>::new().into()),
    ]);
    let class = EventClass::new("stocks", "stocks").with_property("region", ValueType::Str, "");
    let scope = Scope::for_method(&method)
        .with_publisher(class.properties(), UndeclaredProperties::Refused)
        .with_subscription(&bag);
    let publisher = Properties::from([("region", "eu")]);
    let row = EventRow {
        values: &values,
        publisher: &publisher,
    };
    Ok(check(&Filter::parse(criteria)?, &scope)?.evaluate(&row))
}

fn all_are(wanted: Option<bool>, criteria: &[&str]) {
    for text in criteria {
        let found = evaluate(text).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(found, wanted, "{text}");
    }
}

fn refused(criteria: &str, kind: FilterErrorKind, part: &str) {
    let error = evaluate(criteria).unwrap_err();
    assert_eq!(error.kind(), kind, "{error:#}");
    assert!(error.to_string().contains(part), "{error:#}");
    assert_eq!(error.text(), criteria);
}

#[test]
fn each_type_compares_with_its_constants() {
    all_are(
        Some(true),
        &[
            "flag = TRUE",
            "small = -3 & small < -2.5 & small > -3.5 & small BETWEEN -3.5 AND -2.5",
            "big = 18446744073709551615 & big > 9223372036854775807 & big < 1e20",
            "price > 185 & price = 185.5 & price <> 185",
            "ratio = 0.1 & ratio IN (0.1, 5) & NOT ratio > 0.1",
            "zero = 0 & zero = 0.0 & zero = -0.0",
            "symbol = 'MSFT' & symbol > 'M' & symbol LIKE 'M%T'",
            "side = 'Buy' & side < 'C' & side LIKE 'B%'",
            "raw = x'0aff' & raw > x'0a'",
            "id = {00000000-0000-0000-0000-00000000000a}",
            "id = '{00000000-0000-0000-0000-00000000000A}'",
            "time = '2000-01-01' & time = '2000-01-01T01:00:00+01:00' & time > '1999-12-31'",
            "time BETWEEN TIMESTAMP '1999-01-01' AND '2000-06-01'",
            "age = '1h 30m' & age = DURATION 'PT90M' & age IN ('PT90M', '5s')",
            "any = 7 & any < 7.5",
            "price > small & small < big & symbol = symbol",
        ],
    );
}

#[test]
fn comparison_with_null_is_unknown_and_nan_is_null() {
    all_are(
        None,
        &[
            "note = 'x'",
            "note <> 'x'",
            "NOT note = 'x'",
            "note LIKE '%'",
            "note IN ('x')",
            "note NOT IN ('x', 'y')",
            "note BETWEEN 'a' AND 'b'",
            "nan = 1",
            "nan <> nan",
            "note = 'x' AND ALL",
            "symbol IN ('IBM', NULL)",
            "symbol NOT IN ('IBM', NULL)",
            "symbol = (NULL)",
            "any = 'text'",
            "any IN ('text', 'more')",
            "any.step = 5",
        ],
    );
    all_are(
        Some(true),
        &[
            "note = NULL",
            "nan IS NULL",
            "symbol <> NULL",
            "note = 'x' OR ALL",
            "any.step IS NULL",
        ],
    );
    all_are(
        Some(false),
        &[
            "note = 'x' AND NOT ALL",
            "symbol IS NULL",
            "symbol NOT IN ('MSFT', NULL)",
        ],
    );
}

#[test]
fn collation_decides_whether_case_matters() {
    all_are(
        Some(true),
        &[
            "symbol = 'msft' COLLATE NOCASE",
            "symbol LIKE 'm%t' COLLATE NOCASE",
            "symbol IN ('ibm', 'msft') COLLATE NOCASE",
            "symbol COLLATE NOCASE BETWEEN 'ms' AND 'mt'",
            "side = 'BUY' COLLATE NOCASE",
            "tags = 'A' COLLATE NOCASE",
        ],
    );
    all_are(
        Some(false),
        &["symbol = 'msft'", "symbol LIKE 'm%'", "tags = 'A'"],
    );
    refused(
        "price = 5 COLLATE NOCASE",
        FilterErrorKind::Type,
        "text before COLLATE, but it is f64",
    );
}

#[test]
fn on_a_list_equals_is_contains_and_ampersand_contains_all() {
    all_are(
        Some(true),
        &[
            "tags = 'a'",
            "tags <> 'c'",
            "tags = ('a' & 'b')",
            "tags = ('x' | 'b')",
            "tags <> ('x' | 'y')",
            "tags = ('a' & 'x' | 'b')",
            "'a' = tags",
            "counts = 2.0",
            "symbol <> tags",
        ],
    );
    all_are(
        Some(false),
        &[
            "tags = 'c'",
            "tags <> 'a'",
            "tags = ('a' & 'c')",
            "counts = 2.5",
        ],
    );
    all_are(
        Some(false),
        &["symbol = ('MSFT' & 'IBM')", "symbol <> ('MSFT' & 'IBM')"],
    );
    refused("tags < 'a'", FilterErrorKind::Type, "but it is a list");
    refused("tags LIKE 'a%'", FilterErrorKind::Type, "but it is a list");
    refused("tags = tags", FilterErrorKind::Type, "a list of string");
    refused("tags = 5", FilterErrorKind::Type, "expected text in quotes");
}

#[test]
fn paths_lead_into_structs_and_maps() {
    all_are(
        Some(true),
        &[
            "order.city = 'Bonn'",
            "order.town = 'Bonn'",
            "labels.severity = 'page'",
            "labels.[odd key] = 'x'",
            "labels.missing IS NULL",
        ],
    );
    refused(
        "order.citi = 'x'",
        FilterErrorKind::UnknownName,
        "did you mean `city`?",
    );
    refused("price.x = 1", FilterErrorKind::Type, "as f64 has no fields");
    refused(
        "order = 1",
        FilterErrorKind::Type,
        "one of its fields, as it is Order",
    );
}

#[test]
fn types_that_cannot_agree_are_refused_with_their_place() {
    refused(
        "price = 'x'",
        FilterErrorKind::Type,
        "a string `'x'` at byte 8, expected a number, as `price` is f64",
    );
    refused(
        "symbol = 5",
        FilterErrorKind::Type,
        "expected text in quotes",
    );
    refused("flag = 1", FilterErrorKind::Type, "expected TRUE or FALSE");
    refused("symbol = price", FilterErrorKind::Type, "compared with");
    refused("price IN (1, 'x')", FilterErrorKind::Type, "at byte 13");
    refused(
        "price LIKE '1%'",
        FilterErrorKind::Type,
        "text before LIKE, but it is f64",
    );
    refused("time > 'soon'", FilterErrorKind::Literal, "a time, such as");
    refused(
        "age > '-1h'",
        FilterErrorKind::Literal,
        "a duration, such as",
    );
    refused("id = 'x'", FilterErrorKind::Literal, "a UUID");
    refused(
        "side = 'Bux'",
        FilterErrorKind::Literal,
        "did you mean 'Buy'?",
    );
}

#[test]
fn unknown_names_come_with_a_suggestion() {
    refused(
        "symbl = 'x'",
        FilterErrorKind::UnknownName,
        "unknown parameter `symbl` at byte 0",
    );
    refused(
        "symbl = 'x'",
        FilterErrorKind::UnknownName,
        "did you mean `symbol`?",
    );
    refused(
        "Symbol = 'x'",
        FilterErrorKind::UnknownName,
        "did you mean `symbol`?",
    );
    refused(
        "symbol = GOOG",
        FilterErrorKind::UnknownName,
        "did you mean the text 'GOOG'?",
    );
    refused(
        "publisher.reqion = 'x'",
        FilterErrorKind::UnknownName,
        "did you mean `region`?",
    );
    refused(
        "publisher = 'x'",
        FilterErrorKind::UnknownName,
        "one of its properties, such as publisher.name",
    );
}

#[test]
fn properties_of_publisher_and_subscription_are_read() {
    all_are(
        Some(true),
        &[
            "publisher.region = 'eu'",
            "subscription.symbol = symbol",
            "symbol = subscription.symbols",
            "subscription.symbols = 'IBM'",
            "time > subscription.after",
            "price > subscription.limit",
            "small < subscription.limit",
            "subscription.missing IS NULL",
            "subscription.limit BETWEEN 2 AND 3",
            "symbol <> subscription.none",
        ],
    );
    all_are(
        None,
        &[
            "subscription.missing = symbol",
            "symbol <> subscription.missing",
            "note = subscription.none",
        ],
    );
    all_are(
        Some(false),
        &["symbol <> subscription.symbols", "subscription.limit = 2"],
    );
    refused(
        "price > subscription.symbol",
        FilterErrorKind::Type,
        "expected a number",
    );
}
