//! Filter criteria as a user of the crate meets them.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use std::time::{Duration, SystemTime};

use loosely::{
    EventMethod, Expr, Filter, FilterErrorKind, Name, Parameter, Properties, Value, ValueRef,
    ValueType, field,
};

fn price_changed() -> EventMethod {
    EventMethod::new(
        "price_changed",
        [
            Parameter::new("symbol", ValueType::Str),
            Parameter::new("price", ValueType::F64),
            Parameter::new("at", ValueType::Time),
            Parameter::new("labels", ValueType::Map(Box::new(ValueType::Str))),
        ],
    )
}

/// Returns whether an event with MSFT at 185.5, on 2000-01-01, labelled severity = page, is
/// selected.
fn selects(filter: impl TryInto<Filter, Error: std::fmt::Debug>) -> Option<bool> {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    let labels = Properties::from([("severity", "page")]);
    let event = [
        ValueRef::Str("MSFT"),
        ValueRef::F64(185.5),
        ValueRef::Time(at),
        ValueRef::from(&labels),
    ];
    let filter = filter.try_into().unwrap();
    filter.matches(&price_changed(), &event).unwrap()
}

#[test]
fn events_are_selected_by_text() {
    assert_eq!(selects("symbol = 'MSFT' AND price > 185"), Some(true));
    assert_eq!(selects("symbol = ('IBM' | 'CPQ')"), Some(false));
    assert_eq!(
        selects("at >= '2000-01-01' & labels.severity LIKE 'pa%'"),
        Some(true)
    );
    assert_eq!(selects("labels.missing = 'x'"), None);
    assert_eq!(selects("publisher.region = 'eu' OR ALL"), Some(true));
    assert_eq!(selects(String::from("ALL")), Some(true));
}

#[test]
fn events_are_selected_by_what_is_built_in_rust() {
    let near = field("price").between(180, 190.5);
    assert_eq!(
        selects(near.clone().and(field("symbol").eq("MSFT"))),
        Some(true)
    );
    assert_eq!(selects(!near.clone()), Some(false));
    assert_eq!(
        selects(field("symbol").is_in(["ibm", "msft"]).no_case()),
        Some(true)
    );
    assert_eq!(selects(field("at").lt(SystemTime::now())), Some(true));
    assert_eq!(
        selects(near.or(field("labels.severity").is_null())),
        Some(true)
    );
    assert_eq!(
        selects(field("symbol").ne(field("labels.severity"))),
        Some(true)
    );
}

#[test]
fn built_and_parsed_filters_are_equal() {
    let built = field("symbol").eq("MSFT").and(!field("price").le(5_u8));
    let built = Filter::from(built);
    assert_eq!(built, "symbol == \"MSFT\" & !(price <= 5)".parse().unwrap());
    assert_eq!(built.to_string(), "symbol = 'MSFT' AND NOT price <= 5");
    assert_eq!(Filter::default(), Filter::all());
    assert!(Filter::from(Expr::And(vec![])).is_all());
    assert_eq!(format!("{:?}", Filter::all()), "Filter(ALL)");
}

#[test]
fn serde_form_is_the_text() {
    let filter: Filter = serde_json::from_str(r#""price>5&symbol!='A'""#).unwrap();
    let text = serde_json::to_string(&filter).unwrap();
    assert_eq!(text, r#""price > 5 AND symbol <> 'A'""#);
    let error = serde_json::from_str::<Filter>(r#""price >""#).unwrap_err();
    assert!(
        error.to_string().contains("expected a constant or a name"),
        "{error}"
    );
}

#[test]
fn error_shows_the_place_and_what_was_probably_meant() {
    let filter = Filter::parse("symbol = 'MSFT' AND pirce > 185").unwrap();
    let error = filter.matches(&price_changed(), &[]).unwrap_err();
    assert_eq!(error.kind(), FilterErrorKind::UnknownName);
    assert_eq!(error.span(), 20..25);
    assert_eq!(error.suggestion(), Some("`price`"));
    assert_eq!(
        format!("{error:#}"),
        "found the unknown parameter `pirce` at byte 20, expected `symbol`, `price`, `at` or \
         `labels`; did you mean `price`?\n  \
         symbol = 'MSFT' AND pirce > 185\n  \
         \u{20}                   ^^^^^"
    );
    let error = loosely::Error::from(error);
    assert_eq!(error.kind(), loosely::ErrorKind::Filter);
    assert!(error.filter_error().is_some());
}

#[test]
fn error_of_a_built_filter_shows_its_canonical_text() {
    let filter = Filter::from(field("symbol").eq("A").and(field("price").gt("high")));
    let error = filter.matches(&price_changed(), &[]).unwrap_err();
    assert_eq!(error.text(), "symbol = 'A' AND price > 'high'");
    assert_eq!(&error.text()[error.span()], "'high'");
}

#[test]
fn decision_names_the_part_and_the_values_it_read() {
    let event = [ValueRef::Str("MSFT"), ValueRef::F64(184.2)];
    let filter = Filter::parse("symbol = 'MSFT' AND price > 185").unwrap();
    let decision = filter.explain(&price_changed(), &event).unwrap();
    assert_eq!(decision.to_string(), "price > 185 is false: price = 184.2");
    assert_eq!(decision.predicate(), "price > 185");
    assert_eq!(decision.outcome(), Some(false));
    assert_eq!(decision.values(), [("price".to_owned(), Value::F64(184.2))]);
}

#[test]
fn hostile_texts_are_errors() {
    let megabyte = 1 << 20;
    for (text, kind) in [
        ("(".repeat(megabyte), FilterErrorKind::TooLarge),
        ("(".repeat(60_000), FilterErrorKind::TooLarge),
        ("NOT ".repeat(15_000), FilterErrorKind::TooLarge),
        ("!".repeat(60_000), FilterErrorKind::TooLarge),
        ("a = 1 & ".repeat(8_000), FilterErrorKind::TooLarge),
        (")".repeat(60_000), FilterErrorKind::Syntax),
        (
            format!("a = '{}", "x".repeat(60_000)),
            FilterErrorKind::Syntax,
        ),
        (
            format!("a = [{}", "]]".repeat(30_000)),
            FilterErrorKind::Syntax,
        ),
        (format!("a{}", ".a".repeat(30_000)), FilterErrorKind::Syntax),
        ("a\0= 1".to_owned(), FilterErrorKind::Syntax),
        ("\u{feff}a = 1".to_owned(), FilterErrorKind::Syntax),
    ] {
        let start: String = text.chars().take(10).collect();
        let error = Filter::parse(&text).unwrap_err();
        assert_eq!(error.kind(), kind, "{start}");
        assert!(format!("{error:#}").len() < 500, "{start}");
    }
    let beyond = Filter::parse(&format!("price < {}", "9".repeat(60_000))).unwrap();
    assert_eq!(selects(beyond), Some(true));
}

#[test]
fn huge_set_is_searched_not_scanned_and_still_right() {
    let names: Vec<String> = (0..5_000).map(|n| format!("S{n}")).collect();
    assert_eq!(selects(field("symbol").is_in(names.clone())), Some(false));
    let with_it = names.into_iter().chain(["MSFT".to_owned()]);
    assert_eq!(selects(field("symbol").is_in(with_it)), Some(true));
}

#[test]
fn name_of_steps_is_taken_as_it_stands() {
    let odd = Name::new(["labels", "odd.key"]);
    let filter = Filter::from(field("symbol").eq(odd));
    assert_eq!(filter.to_string(), "symbol = labels.[odd.key]");
}
