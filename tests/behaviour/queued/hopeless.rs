//! Errors that no other attempt can help.

use std::fmt;

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
