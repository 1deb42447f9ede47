//! Each rule of the grammar, and the traps in the one that it comes from.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use crate::filter::{Filter, FilterErrorKind, field};

/// Returns the canonical text.
fn canonical(text: &str) -> String {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{error:#}"));
    let printed = filter.to_string();
    assert_eq!(Filter::parse(&printed).as_ref(), Ok(&filter), "{printed}");
    printed
}

/// Returns kind, start, end and sentence of the error.
fn error(text: &str) -> (FilterErrorKind, usize, usize, String) {
    let error = Filter::parse(text).unwrap_err();
    let span = error.span();
    (error.kind(), span.start, span.end, error.to_string())
}

fn syntax(text: &str, start: usize, expected: &str) {
    let (kind, at, _, sentence) = error(text);
    assert_eq!((kind, at), (FilterErrorKind::Syntax, start), "{sentence}");
    assert!(sentence.contains(expected), "{sentence}");
}

#[test]
fn every_spelling_of_an_operator_prints_as_sql() {
    for (text, printed) in [
        ("a == 1", "a = 1"),
        ("a != 1", "a <> 1"),
        ("a ~= 1", "a <> 1"),
        ("a<>1", "a <> 1"),
        ("a<=1", "a <= 1"),
        ("a >=1", "a >= 1"),
        ("5 < price", "price > 5"),
        ("5 >= price", "price <= 5"),
        ("'x' != a", "a <> 'x'"),
        ("a = b.c", "a = b.c"),
    ] {
        assert_eq!(canonical(text), printed);
    }
}

#[test]
fn not_binds_tighter_than_and_and_and_than_or() {
    for (text, printed) in [
        ("a=1|b=2&c=3", "a = 1 OR b = 2 AND c = 3"),
        (
            "a=1 or b=2 And c=3 OR d=4",
            "a = 1 OR b = 2 AND c = 3 OR d = 4",
        ),
        ("(a=1|b=2)&c=3", "(a = 1 OR b = 2) AND c = 3"),
        ("!a=1&b=2", "NOT a = 1 AND b = 2"),
        ("~(a=1&b=2)", "NOT (a = 1 AND b = 2)"),
        ("NOT NOT a=1", "NOT NOT a = 1"),
        ("((a=1))", "a = 1"),
        ("(a=1 AND b=2) AND c=3", "a = 1 AND b = 2 AND c = 3"),
    ] {
        assert_eq!(canonical(text), printed);
    }
}

#[test]
fn all_selects_everything_wherever_a_condition_may_stand() {
    assert!(Filter::parse("all").unwrap().is_all());
    assert_eq!(canonical("(ALL) and not All"), "ALL AND NOT ALL");
    syntax("ALL = 5", 4, "AND, OR or the end");
}

#[test]
fn set_under_equals_is_in_and_under_not_equals_is_not_in() {
    for (text, printed) in [
        ("s = ('a' | 'b')", "s IN ('a', 'b')"),
        ("s == ('a' or \"b\" OR 'c')", "s IN ('a', 'b', 'c')"),
        ("s != ('a' | 'b')", "s NOT IN ('a', 'b')"),
        ("s <> ('a' & 'b')", "s NOT IN ('a', 'b')"),
        ("s = ('a' & 'b')", "s = ('a' & 'b')"),
        ("s = ('a' AND 'b' | 'c')", "s = ('a' & 'b' | 'c')"),
        ("s = ('a')", "s = 'a'"),
        ("s IN (1)", "s = 1"),
        ("s NOT IN ('a')", "s <> 'a'"),
        ("s = (NULL)", "s IN (NULL)"),
        ("s in (1, NULL)", "s IN (1, NULL)"),
    ] {
        assert_eq!(canonical(text), printed);
    }
    syntax("s < (1 | 2)", 4, "only = and <> take a set");
    syntax("s IN (1 | 2)", 8, ", or )");
    syntax("s IN (t)", 6, "a constant");
    syntax("s = (1, 2)", 6, "|, & or )");
}

#[test]
fn null_with_equals_reads_as_is_null() {
    assert_eq!(canonical("a = NULL"), "a IS NULL");
    assert_eq!(canonical("null <> a"), "a IS NOT NULL");
    assert_eq!(canonical("a is not null"), "a IS NOT NULL");
    let (kind, start, end, sentence) = error("a < NULL");
    assert_eq!((kind, start, end), (FilterErrorKind::Type, 4, 8));
    assert!(sentence.contains("or IS NULL"), "{sentence}");
    assert_eq!(error("a BETWEEN 1 AND NULL").0, FilterErrorKind::Type);
}

#[test]
fn between_in_and_like_can_be_negated() {
    for text in [
        "a BETWEEN 1 AND 2.5",
        "a NOT BETWEEN subscription.low AND subscription.high",
        "a NOT LIKE 'x%'",
        "a LIKE '5!%' ESCAPE '!' AND b = 1",
        "NOT a NOT IN (1, 2)",
    ] {
        assert_eq!(canonical(text), text);
    }
    syntax("a NOT = 1", 6, "BETWEEN, IN or LIKE");
    syntax("a LIKE b", 7, "a pattern in quotes");
    assert_eq!(error("a LIKE 'x' ESCAPE 'yy'").0, FilterErrorKind::Literal);
    assert_eq!(error("a LIKE 'x!' ESCAPE '!'").0, FilterErrorKind::Literal);
}

#[test]
fn collation_may_follow_the_name_or_the_operand() {
    let printed = "a COLLATE NOCASE = 'x'";
    assert_eq!(canonical("a = 'x' collate nocase"), printed);
    assert_eq!(canonical(printed), printed);
    assert_eq!(
        canonical("a COLLATE NOCASE = 'x' COLLATE BINARY"),
        "a = 'x'"
    );
    assert_eq!(
        canonical("a IN ('x','y') COLLATE NOCASE"),
        "a COLLATE NOCASE IN ('x', 'y')"
    );
    assert_eq!(canonical("'x' = a COLLATE NOCASE"), printed);
    syntax("a = 'x' COLLATE german", 16, "NOCASE or BINARY");
}

#[test]
fn both_quotes_delimit_text_and_double_to_stand_for_themselves() {
    assert_eq!(canonical(r#"a = "it's""#), "a = 'it''s'");
    assert_eq!(canonical(r#"a = 'it''s ""'"#), r#"a = 'it''s ""'"#);
    assert_eq!(canonical("a = ''"), "a = ''");
    assert_eq!(canonical("MachineName=\"\""), "MachineName = ''");
}

#[test]
fn constants_of_every_type_print_as_they_read() {
    for text in [
        "a = -5",
        "a = 18446744073709551615",
        "a = 0.1",
        "a = 1e300",
        "a < 1e999",
        "a > -1e999",
        "a = TRUE",
        "a = x'0aff'",
        "a = {19d10a70-0000-0000-0000-00000000000a}",
        "a > TIMESTAMP '2000-01-01T00:00:00Z'",
        "a > DURATION 'PT1H30M'",
    ] {
        assert_eq!(canonical(text), text);
    }
    assert_eq!(
        canonical("a > timestamp '2000-01-01'"),
        "a > TIMESTAMP '2000-01-01T00:00:00Z'"
    );
    assert_eq!(
        canonical("DURATION \"1h 30m\" = a"),
        "a = DURATION 'PT1H30M'"
    );
    assert_eq!(error("a > TIMESTAMP 'soon'").0, FilterErrorKind::Literal);
    assert_eq!(error("a > DURATION '-1h'").0, FilterErrorKind::Literal);
}

#[test]
fn names_have_digits_underscores_steps_and_brackets() {
    for text in [
        "Param1 = 2",
        "_a9.b_c.[odd key].[5] = 1",
        "[Not] = 1",
        "[a]]b] = 1",
        "labels.not = 1",
        "publisher.name = 'x'",
        "subscription.symbol = symbol",
        "\u{fc}ber = 1",
    ] {
        assert_eq!(canonical(text), text);
    }
    syntax("a. = 1", 3, "a name, in brackets");
    syntax("a.5 = 1", 2, "a name, in brackets");
    syntax("and = 1", 0, "a name, a constant, NOT, ALL or (");
}

#[test]
fn keywords_that_their_place_tells_apart_are_names() {
    for text in [
        "in = 1",
        "like LIKE 'x'",
        "between BETWEEN in AND like",
        "timestamp > TIMESTAMP '2000-01-01T00:00:00Z'",
        "is IS NULL",
        "collate COLLATE NOCASE = 'x'",
        "x = x'00'",
    ] {
        assert_eq!(canonical(text), text);
    }
    assert_eq!(canonical("a = timestamp"), "a = timestamp");
}

#[test]
fn published_examples_parse() {
    for text in [
        "SubscriberCLSID='{19D10A70-0000-0000-0000-00000000000A}'",
        "EventClassID == {F89859D1-6565-11D1-88C8-0080C7D771BF} AND MethodName = 'Changed'",
        "Param1=2",
        "Symbol = ('MSFT' | 'CPQ')",
        "ALL",
        "NOT Enabled = TRUE",
    ] {
        canonical(text);
    }
}

#[test]
fn errors_say_where_and_what_was_expected() {
    syntax("", 0, "found the end at byte 0, expected a name");
    syntax("a", 1, "an operator, such as =");
    syntax("a = ", 4, "a constant or a name");
    syntax(
        "a = 1 b = 2",
        6,
        "found `b` at byte 6, expected AND, OR or the end",
    );
    syntax("(a = 1", 6, "AND, OR or )");
    syntax("a = 1)", 5, "AND, OR or the end");
    syntax("5 = 6", 4, "a name, as the left side is a constant");
    syntax("a IS 5", 5, "NULL");
    syntax("a = 'open", 4, "a closing '");
    syntax("a && b", 2, "an operator");
}

#[test]
fn first_error_is_reported_though_a_later_token_is_broken() {
    syntax("a b 'open", 2, "an operator");
}

#[test]
fn limits_are_inclusive() {
    let nested = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(100)).is_ok());
    assert_eq!(error(&nested(101)).0, FilterErrorKind::TooLarge);
    let negated = |depth: usize| format!("{}a=1", "NOT ".repeat(depth));
    assert!(Filter::parse(&negated(100)).is_ok());
    assert_eq!(error(&negated(101)).0, FilterErrorKind::TooLarge);

    let many = |count: usize| vec!["a=1"; count].join("&");
    assert!(Filter::parse(&many(1_000)).is_ok());
    assert_eq!(error(&many(1_001)).0, FilterErrorKind::TooLarge);

    let long = |length: usize| format!("a = '{}'", "x".repeat(length - 6));
    assert!(Filter::parse(&long(65_536)).is_ok());
    let (kind, start, _, sentence) = error(&long(65_537));
    assert_eq!((kind, start), (FilterErrorKind::TooLarge, 65_536));
    assert!(
        sentence.starts_with("found 65537 bytes of text"),
        "{sentence}"
    );
}

#[test]
fn text_whose_canonical_form_is_too_long_is_refused() {
    let numbers = vec!["1e15"; 10_000].join(",");
    assert_eq!(
        error(&format!("a IN ({numbers})")).0,
        FilterErrorKind::TooLarge
    );
}

#[test]
fn deepest_criteria_survive_every_pass() {
    let mut deep = "a = ('x' & 'y')".to_owned();
    for _ in 0..49 {
        deep = format!("NOT ({deep} AND b = 1)");
    }
    let filter = Filter::parse(&deep).unwrap();
    assert_eq!(filter.to_string(), deep);
    assert_eq!(filter, filter.to_string().parse().unwrap());
    drop(filter);
}

#[test]
fn filter_that_no_text_stands_for_is_refused_when_used() {
    let mut deep = field("a").eq(1);
    for _ in 0..200 {
        deep = !(deep.or(field("b").eq(1)));
    }
    let deep = Filter::from(deep);
    assert!(serde_json::to_string(&deep).is_err());
    let mut deeper = field("a").eq(1);
    for _ in 0..5_000 {
        deeper = !(deeper.or(field("b").eq(1)));
    }
    let deeper = Filter::from(deeper);
    assert!(serde_json::to_string(&deeper).is_err() && !deeper.is_all());
    let list = Filter::from(field("a").eq(crate::Value::List(vec![1.into(), 2.into()])));
    assert!(serde_json::to_string(&list).is_err());
    let nameless = Filter::from(field("a").eq(crate::filter::Name::new::<&str>([])));
    assert!(serde_json::to_string(&nameless).is_err());
}
