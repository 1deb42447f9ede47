//! Subscription records: how they are built, and what is said of those that are wrong.

use std::time::SystemTime;

use loosely::{ErrorKind, Problems, Subscription, Target};

use crate::support::{StockEvents, quiet, subscription};

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

#[test]
fn stored_record_is_edited_in_every_field_and_keeps_id_and_revision() {
    let broker = quiet();
    let first = subscription("a", "old").filter("price > 1").owner("ann");
    let first = first.not_before(SystemTime::UNIX_EPOCH).description("d");
    broker.store(&first.build().unwrap()).unwrap();
    let read = broker.subscriptions("ALL").unwrap().remove(0);
    assert_eq!(
        read.to_builder().build().unwrap(),
        read,
        "nothing changes by itself"
    );

    let builder = read.to_builder().name("b").component("new").disabled();
    let builder = builder.without_filter().without_owner().without_times();
    let edited = builder
        .without_description()
        .method("traded")
        .build()
        .unwrap();
    assert_eq!(
        (edited.id(), edited.revision()),
        (read.id(), read.revision())
    );
    broker.store(&edited).unwrap();
    let error = broker.store(&edited).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "it was read before");

    let now = broker.subscription(read.id()).unwrap();
    assert_eq!((now.name(), now.is_enabled()), ("b", false));
    assert_eq!(*now.target(), Target::Component("new".into()));
    assert!(now.binding().methods().eq(["traded"]));
    let gone = (
        now.filter(),
        now.owner(),
        now.not_before(),
        now.description(),
    );
    assert_eq!(gone, (None, None, None, None));

    let elsewhere = now.to_builder().without_binding().enabled();
    let error = elsewhere.clone().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "bound to nothing");
    let elsewhere = elsewhere.to::<dyn StockEvents>().moniker("queue:a");
    broker.store(&elsewhere.build().unwrap()).unwrap();
    let now = broker.subscription(read.id()).unwrap();
    assert!(now.is_enabled() && now.binding().methods().len() == 0);
    assert_eq!(now.target().to_string(), "moniker queue:a");
}
