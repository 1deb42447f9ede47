//! Errors that no other attempt can help.

use std::error::Error as StdError;
use std::{fmt, iter};

use crate::value::SubscriberError;

/// An error of a subscriber that would come of every other attempt too: the event of a
/// [queue](crate::Queued) is given up at once, and holds nothing back behind it.
///
/// It becomes a [dead letter](crate::DeadLetter) of cause
/// [`Hopeless`](crate::DeadLetterCause::Hopeless), with this attempt among its attempts, unless
/// [`on_final_failure`](crate::BrokerBuilder::on_final_failure) has it. An error that has one among
/// its [sources](std::error::Error::source) is as hopeless. Without a queue it is an error like any
/// other.
///
/// # Examples
///
/// ```
/// use loosely::{Hopeless, SubscriberError, event_interface};
///
/// #[event_interface]
/// trait Payments {
///     fn paid(&self, account: &str, cents: u64) -> Result<(), SubscriberError>;
/// }
///
/// struct Ledger;
///
/// impl Payments for Ledger {
///     fn paid(&self, account: &str, _cents: u64) -> Result<(), SubscriberError> {
///         if account.is_empty() {
///             return Err(Hopeless::new("a payment to nobody").into());
///         }
///         // Whatever fails from here on may do better in a minute.
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
#[doc(alias("permanent", "non-retryable", "poison message"))]
pub struct Hopeless(SubscriberError);

impl Hopeless {
    /// Returns an error that says what this one says.
    pub fn new(error: impl Into<SubscriberError>) -> Self {
        Self(error.into())
    }

    /// Returns whether an error is hopeless, or has such a source.
    pub(super) fn is_in(error: &SubscriberError) -> bool {
        let first: &(dyn StdError + 'static) = &**error;
        let chain = iter::successors(Some(first), |&error| error.source());
        chain.take(LONGEST_CHAIN).any(|error| error.is::<Self>())
    }
}

/// An error that is its own source has a chain without an end.
const LONGEST_CHAIN: usize = 64;

impl fmt::Display for Hopeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Hopeless {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
