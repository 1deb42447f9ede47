//! Errors that no other attempt can help.

use std::fmt;

use loosely::testing::Watchdog;
use loosely::{
    Broker, Component, DeadLetterCause, Hopeless, Queued, Retry, SubscriberError, Subscription,
    event_interface,
};

use super::{LONG, close, open, shared};
use crate::support::Tape;

#[event_interface]
trait Payments {
    fn paid(&self, account: &str) -> Result<(), SubscriberError>;
}

/// Writes down whom it is paid by, and knows nobody of those it is told.
struct Ledger {
    tape: Tape,
    unknown: &'static [&'static str],
}

#[derive(Debug)]
struct InTheLedger(Hopeless);

impl fmt::Display for InTheLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in the ledger")
    }
}

impl std::error::Error for InTheLedger {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Payments for Ledger {
    fn paid(&self, account: &str) -> Result<(), SubscriberError> {
        self.tape.write(account.to_owned());
        let hopeless = Hopeless::new(format!("nobody knows {account}"));
        match self.unknown.iter().position(|unknown| *unknown == account) {
            None => Ok(()),
            Some(0) => Err(hopeless.into()),
            Some(_) => Err(InTheLedger(hopeless).into()),
        }
    }
}

fn ledger(broker: &Broker, tape: &Tape, unknown: &'static [&'static str]) {
    let tape = tape.clone();
    let made = move || Ledger {
        tape: tape.clone(),
        unknown,
    };
    let ledger = Component::new("ledger", made).implements::<dyn Payments>();
    broker.register_component(ledger).unwrap();
}

#[test]
fn hopeless_event_is_given_up_at_once_and_holds_nothing_back() {
    let (store, tape) = (shared(), Tape::new());
    let broker = open(&store);
    let queue = Queued::new().with_retry(Retry::com_plus());
    let record = Subscription::builder("ledger").to::<dyn Payments>();
    let record = record.component("ledger").delivery(queue);
    broker.ensure(&record.build().unwrap()).unwrap();
    ledger(&broker, &tape, &["ann", "bob"]);
    let payments = broker.publisher::<dyn Payments>().unwrap();
    for account in ["ann", "bob", "eve"] {
        assert_eq!(payments.paid(account).accepted(), 1);
    }
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ann", "bob", "eve"]);
    close(broker);
    let broker = open(&store);
    let letters = broker.dead_letters().unwrap();
    for letter in &letters {
        assert_eq!(letter.cause(), DeadLetterCause::Hopeless);
        assert_eq!(letter.attempts().len(), 1);
    }
    assert_eq!(letters[0].attempts()[0].error(), "nobody knows ann");
    assert_eq!(letters[1].attempts()[0].error(), "in the ledger");
    assert_eq!(broker.replay_all(&letters).unwrap(), 2);
    assert_eq!(broker.replay_all(&letters).unwrap(), 0);
    ledger(&broker, &tape, &[]);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ann", "bob"]);
    close(broker);
}

#[derive(Debug)]
struct Awkward;

impl fmt::Display for Awkward {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words");
    }
}

impl std::error::Error for Awkward {}

/// An error that has no end of sources.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("again")
    }
}

impl std::error::Error for Endless {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

struct Moody;

impl Payments for Moody {
    fn paid(&self, account: &str) -> Result<(), SubscriberError> {
        match account {
            "ann" => Err(Awkward.into()),
            "bob" => Err(Endless.into()),
            _ => Ok(()),
        }
    }
}

/// A panic in the subscriber's error left the queue in the hand of nobody, for ever.
#[test]
fn error_that_panics_or_has_no_end_is_a_failure_like_any_other() {
    let _watchdog = Watchdog::new();
    let broker = open(&shared());
    let queue = Queued::new().with_retry(Retry::never());
    let record = Subscription::builder("ledger").to::<dyn Payments>();
    let record = record.component("ledger").delivery(queue).build().unwrap();
    broker.ensure(&record).unwrap();
    let moody = Component::new("ledger", || Moody).implements::<dyn Payments>();
    broker.register_component(moody).unwrap();
    let payments = broker.publisher::<dyn Payments>().unwrap();
    for account in ["ann", "bob", "eve"] {
        assert_eq!(payments.paid(account).accepted(), 1);
    }
    assert!(broker.idle(LONG));
    let letters = broker.dead_letters().unwrap();
    let errors = letters.iter().map(|it| it.attempts()[0].error().to_owned());
    let expected = [
        "an error that panicked when it was asked: no words",
        "again",
    ];
    assert_eq!(errors.collect::<Vec<_>>(), expected);
    assert!(
        letters
            .iter()
            .all(|it| it.cause() == DeadLetterCause::Failed)
    );
    let health = broker.subscription_health(record.id()).unwrap();
    assert_eq!(health.waiting(), 0);
    close(broker);
}
