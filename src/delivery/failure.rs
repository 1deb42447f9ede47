//! One subscriber's line in the report of a fire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::NESTING_LIMIT;
use super::breaker::Judgement;
use super::hopeless::Hopeless;
use crate::component::ActivationError;
use crate::model::SubscriptionId;
use crate::value::SubscriberError;

/// What became of one subscription in one fire.
#[derive(Debug)]
pub struct Delivery {
    subscription: SubscriptionId,
    name: Arc<str>,
    outcome: DeliveryOutcome,
}

/// How a delivery ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The subscriber was called and returned.
    Delivered,
    /// The event waits in a lane or a queue of the subscription, and is delivered from there; what
    /// becomes of it then is in no report.
    Accepted,
    /// The filter, the not-before or the expiry time kept the event from it.
    FilteredOut,
    /// The subscription is being given the events that were retained for it, and gets this one
    /// right after them.
    Deferred,
    /// The publisher's side did not select the subscription: no publisher filter fired it, or the
    /// default query leaves it out.
    Withheld,
    /// A publisher filter selected the subscription, and the next one of its chain decides.
    Selected,
    /// Nobody was called, for a reason other than the event.
    Skipped(SkipReason),
    /// The subscriber could not be made, or failed.
    Failed(Failure),
}

/// Why a subscription was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The object behind a weak subscription is gone; the subscription goes with it.
    Gone,
    /// The filter does not fit the interface as it is now, or the subscription names a predicate,
    /// which nobody can ask in this version; the text says why.
    Suspended(String),
    /// The subscription demands a role of publishers that this one lacks.
    PublisherRole,
    /// A call of the subscriber overran its deadline, was abandoned, and has not returned yet.
    Busy,
    /// The subscription's lane is full, and loses what is new: see
    /// [`Overflow::DropNewest`](crate::Overflow::DropNewest).
    Dropped,
    /// The subscription's breaker is open: its deliveries failed in a row, and the back-off is not
    /// over yet.
    BreakerOpen,
    /// The subscription's trigger lets the event pass without a delivery.
    Suppressed,
}

/// Why a delivery failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The subscriber returned an error.
    #[doc(alias = "EVENT_S_SOME_SUBSCRIBERS_FAILED")]
    Subscriber(SubscriberError),
    /// The subscriber panicked, with this message.
    #[doc(alias = "EVENT_E_USER_EXCEPTION")]
    Panicked(String),
    /// The component could not be made.
    Activation(ActivationError),
    /// The publisher filter that decides about the subscription panicked before it did, or is not
    /// registered, or the class's default query cannot be read; the text says which.
    PublisherFilter(String),
    /// The subscription's predicate panicked or is not registered; the text says which.
    Predicate(String),
    /// The fire was nested deeper than [`NESTING_LIMIT`]; nobody was called.
    TooDeep,
    /// The subscription is still being given the events that were retained for it, and as many
    /// later ones wait for it as may.
    TooFarBehind,
    /// The subscriber did not return within its deadline, which is this long; the call was
    /// abandoned and may still go on, the future of an asynchronous one was dropped.
    Deadline(Duration),
    /// The subscription has a deadline, and no thread is free that could call its subscriber: all
    /// are in calls, see [`deadline_threads`](crate::BrokerBuilder::deadline_threads).
    NoThread,
    /// The subscription's events are delivered apart from their fires, and the broker is closed.
    Closed,
    /// The lane or the queue of the subscription is full, and takes nothing more while it is.
    Overflow,
    /// The event could not be stored for the subscription's queue; the text says why. Where it says
    /// that the store is uncertain, the event may be delivered all the same.
    NotStored(String),
    /// The future that received the event was dropped before its end, with which the subscription
    /// ended; what it had done by then is done.
    Cancelled,
}

impl Failure {
    /// Returns whether the subscriber says that it will fail at the event whenever it comes.
    pub(crate) fn is_hopeless(&self) -> bool {
        matches!(self, Self::Subscriber(error) if Hopeless::is_in(error))
    }
}

impl Delivery {
    pub(crate) fn new(
        subscription: SubscriptionId,
        name: Arc<str>,
        outcome: DeliveryOutcome,
    ) -> Self {
        Self {
            subscription,
            name,
            outcome,
        }
    }

    /// Returns the subscription.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Returns the subscription's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how it ended.
    pub fn outcome(&self) -> &DeliveryOutcome {
        &self.outcome
    }

    /// Returns whether an event that the subscription asked for did not reach it.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(
            &self.outcome,
            DeliveryOutcome::Failed(_)
                | DeliveryOutcome::Skipped(
                    SkipReason::Suspended(_) | SkipReason::Busy | SkipReason::BreakerOpen
                )
        )
    }

    /// Returns the failure, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            DeliveryOutcome::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl DeliveryOutcome {
    /// Returns whether the subscriber was called and returned.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered)
    }

    /// Returns what it says of the subscriber.
    pub(crate) fn judgement(&self) -> Judgement {
        match self {
            Self::Delivered => Judgement::Well,
            Self::Failed(failure) => failure.judgement(),
            _ => Judgement::Neither,
        }
    }
}

impl Failure {
    /// Returns what it says of the subscriber.
    pub(crate) fn judgement(&self) -> Judgement {
        match self {
            Self::Subscriber(_)
            | Self::Panicked(_)
            | Self::Activation(_)
            | Self::TooFarBehind
            | Self::Deadline(_) => Judgement::Failed,
            // The publisher's side, or the broker's.
            Self::PublisherFilter(_)
            | Self::Predicate(_)
            | Self::TooDeep
            | Self::NoThread
            | Self::Overflow
            | Self::NotStored(_)
            | Self::Cancelled
            | Self::Closed => Judgement::Neither,
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name, self.outcome)
    }
}

impl fmt::Display for DeliveryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Accepted => f.write_str("accepted"),
            Self::FilteredOut => f.write_str("filtered out"),
            Self::Deferred => f.write_str("deferred"),
            Self::Withheld => f.write_str("withheld"),
            Self::Selected => f.write_str("selected"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the subscriber is gone"),
            Self::Suspended(why) => write!(f, "suspended, {why}"),
            Self::PublisherRole => f.write_str("the publisher lacks the role that it demands"),
            Self::Busy => f.write_str("a call that overran its deadline still runs"),
            Self::Dropped => f.write_str("its lane is full, and loses what is new"),
            Self::BreakerOpen => f.write_str("its breaker is open"),
            Self::Suppressed => f.write_str("its trigger asks for no delivery"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscriber(error) => error.fmt(f),
            Self::PublisherFilter(why) | Self::Predicate(why) => f.write_str(why),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Activation(error) => error.fmt(f),
            Self::TooDeep => write!(f, "events nested deeper than {NESTING_LIMIT}"),
            Self::TooFarBehind => f.write_str("too many events wait behind the retained ones"),
            Self::Deadline(after) => write!(f, "not done within its deadline of {after:?}"),
            Self::NoThread => f.write_str("no thread is free for a call with a deadline"),
            Self::Overflow => f.write_str("its lane is full"),
            Self::NotStored(why) => write!(f, "not stored: {why}"),
            Self::Cancelled => f.write_str("the future that received it was dropped"),
            Self::Closed => f.write_str("the broker is closed, and nobody would deliver it"),
        }
    }
}
