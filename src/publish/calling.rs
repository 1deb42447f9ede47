//! The call of one subscriber that is decided on: its target made or found, and called.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::facet::Facet;
use super::pipeline::failure_of;
use super::surroundings::Surroundings;
use super::target::{Bound, Resolved};
use crate::component::Lease;
use crate::delivery::{DeliveryOutcome, Failure, SkipReason, enter_by_id};
use crate::model::{Subscription, SubscriptionId};
use crate::value::untyped;
use crate::value::{InterfaceSchema, SubscriberError};

/// What came of one subscription, short of an unwinding panic.
pub(super) enum Step {
    Delivered,
    /// It waits in the subscription's lane.
    Accepted,
    FilteredOut,
    /// The subscription's trigger lets it pass.
    Suppressed,
    /// The subscription gets the event after those that were retained for it.
    Deferred,
    /// The subscription is too new for the event.
    Past,
    Skipped(SkipReason),
    Failed(Failure),
}

impl Step {
    /// Returns whether the subscriber was not called, and nothing waits for it, though it should.
    pub(super) fn reached_nobody(&self) -> bool {
        match self {
            Self::Skipped(_) => true,
            Self::Failed(failure) => matches!(
                failure,
                Failure::Overflow
                    | Failure::NotStored(_)
                    | Failure::NoThread
                    | Failure::Closed
                    | Failure::Activation(_)
            ),
            _ => false,
        }
    }
}

#[cfg(feature = "tracing")]
impl Step {
    /// Returns the outcome in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::FilteredOut => "filtered",
            Self::Suppressed => "suppressed",
            Self::Deferred => "deferred",
            Self::Past => "past",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }
}

/// Who is to be called.
pub(super) struct Callee<'a, I: ?Sized> {
    pub(super) id: SubscriptionId,
    pub(super) record: &'a Subscription,
    pub(super) target: &'a Bound<I>,
}

/// Makes or finds the target of a subscription, and calls it. Sets `made` if a singleton was made,
/// however its call goes.
pub(super) fn call<I: Facet + ?Sized>(
    callee: Callee<'_, I>,
    around: &Surroundings,
    schema: &InterfaceSchema,
    made: &Cell<bool>,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> Step {
    let Callee { id, record, target } = callee;
    enter_by_id(id);
    let target = match target.resolve(record, around, schema) {
        Resolved::Ready(target) => target,
        Resolved::First(target) => {
            made.set(true);
            // The factory may have fired events of its own.
            enter_by_id(id);
            target
        }
        Resolved::Once(target, lease) => {
            // As above.
            enter_by_id(id);
            return call_once(target, lease, call);
        }
        Resolved::Gone => return Step::Skipped(SkipReason::Gone),
        Resolved::Failed(error) => return Step::Failed(Failure::Activation(error)),
    };
    called(untyped::call(|| call(target)))
}

/// Returns how a call ended that did not unwind.
#[inline]
pub(super) fn called(outcome: Result<(), SubscriberError>) -> Step {
    match outcome {
        Ok(()) => Step::Delivered,
        Err(error) => Step::Failed(Failure::Subscriber(error)),
    }
}

/// Calls a subscriber that is dropped, or given back, behind its call.
fn call_once<I: ?Sized>(
    target: Arc<I>,
    mut lease: Lease,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> Step {
    let called = catch_unwind(AssertUnwindSafe(|| untyped::call(|| call(&target))));
    if called.is_err() {
        lease.spoil();
    }
    // Dropped when no panic unwinds any more: a second one would end the process.
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        drop(target);
        drop(lease);
    }));
    match (called, dropped) {
        (Ok(Ok(())), Ok(())) => Step::Delivered,
        (Ok(Err(error)), Ok(())) => Step::Failed(Failure::Subscriber(error)),
        (Err(payload), Ok(())) => Step::Failed(failure_of(payload)),
        (called, Err(payload)) => dropped_badly(called, payload),
    }
}

/// Returns the first of the two things that went wrong.
#[cold]
fn dropped_badly(
    called: thread::Result<Result<(), SubscriberError>>,
    payload: Box<dyn Any + Send>,
) -> Step {
    let second = failure_of(payload);
    Step::Failed(match called {
        Ok(Ok(())) => second,
        Ok(Err(error)) => Failure::Subscriber(error),
        Err(payload) => failure_of(payload),
    })
}

/// Returns how a delivery ended that may have unwound; nothing of one that is past.
pub(super) fn outcome_of(step: thread::Result<Step>) -> Option<DeliveryOutcome> {
    Some(match step {
        Ok(Step::Delivered) => DeliveryOutcome::Delivered,
        Ok(Step::Accepted) => DeliveryOutcome::Accepted,
        Ok(Step::FilteredOut) => DeliveryOutcome::FilteredOut,
        Ok(Step::Suppressed) => DeliveryOutcome::Skipped(SkipReason::Suppressed),
        Ok(Step::Deferred) => DeliveryOutcome::Deferred,
        Ok(Step::Past) => return None,
        Ok(Step::Skipped(reason)) => DeliveryOutcome::Skipped(reason),
        Ok(Step::Failed(failure)) => DeliveryOutcome::Failed(failure),
        Err(payload) => DeliveryOutcome::Failed(failure_of(payload)),
    })
}
