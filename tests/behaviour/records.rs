//! Subscription records: how they are built, and what is said of those that are wrong.

use loosely::{ErrorKind, Problems, Subscription};

/// A syntax error in the criteria once hid behind the kind `Invalid`, out of reach of a program.
#[test]
fn filter_that_does_not_parse_is_found_alone_and_beside_other_problems() {
    let wrong = Subscription::builder("a").filter("price > ");
    let alone = wrong.clone().class("c").component("d").build().unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Filter);
    assert_eq!(alone.filter_error().unwrap().span(), 8..8);
    assert!(
        alone
            .to_string()
            .starts_with("the filter of \"a\" is not valid: "),
        "{alone}"
    );

    let many = wrong.class("c").build().unwrap_err();
    assert_eq!(many.kind(), ErrorKind::Invalid);
    assert_eq!(many.filter_error().unwrap().span(), 8..8);
    let source = std::error::Error::source(&many).unwrap();
    let problems: &Problems = source.downcast_ref().unwrap();
    let fields: Vec<_> = problems.iter().map(loosely::Problem::field).collect();
    assert_eq!(fields, ["target", "filter"]);
}

#[test]
fn error_at_length_has_no_space_before_a_line_break() {
    let error = Subscription::builder("a").filter("x").build().unwrap_err();
    let long = format!("{error:#}");
    assert!(long.contains("is not valid:\nbinding: "), "{long}");
    assert!(!long.contains(" \n"), "{long}");
}
