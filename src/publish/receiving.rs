//! Events that come to a target apart from their fires.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::calling::{Step, outcome_of};
use super::facet::Facet;
use super::payload;
use super::pipeline::failure_in;
use super::post::Post;
use super::reception::Attendant;
use super::spans;
use super::target::Bound;
use super::watch::{Watch, Watched};
use crate::delivery::{
    DeliveryOutcome, Handed, Overseen, Parcel, Pass, Recipient, Refused, enter_by_id, hold, settle,
    triggered,
};
use crate::value::{ValueKey, drop_quietly, panic_message, untyped};

impl<I: Facet + ?Sized> Recipient for Post<I> {
    fn deliver(&self, parcel: &Arc<dyn Parcel>, missed: u64) -> Handed {
        if self.is_direct
            && !spans::are_wanted()
            && let Some(target) = self.target.ready()
            && parcel.triggered().is_none()
            && parcel.receipt().is_none()
        {
            self.deliver_directly(target, &**parcel, missed);
            return Handed::Over;
        }
        if let Bound::Inbox(inbox) = &self.target {
            // It was due without an event, and here no lock is held: to hear of it is the user's.
            let key = parcel.key().unwrap_or(&ValueKey::ONLY);
            drop_quietly(inbox.put_beyond(Arc::clone(parcel), key));
            return Handed::Over;
        }
        if let Some(receipt) = parcel.receipt() {
            return self.deliver_queued(parcel, receipt);
        }
        if self.queue.is_some() {
            return self.enqueue_due(parcel);
        }
        let Some(pass) = self.admit() else {
            return Handed::Back;
        };
        let fire = parcel.fire();
        fire.within_behind(missed, || self.deliver_here(parcel, pass, |_| {}));
        settle_quietly();
        Handed::Over
    }

    fn lane_of_past(&self, parcel: &dyn Parcel) -> u64 {
        self.lane_of_past(parcel)
    }
}

/// Fires what waited for the end of an event: it is over, whatever the one around it does.
#[inline]
pub(super) fn settle_quietly() {
    if let Err(panic) = catch_unwind(settle) {
        drop(panic_message(panic));
    }
}

impl<I: Facet + ?Sized> Post<I> {
    /// Calls the subscriber inside of the event's fire, and tells how that went: nothing of a call
    /// that was told of when its deadline was over.
    pub(super) fn deliver_here(
        &self,
        parcel: &Arc<dyn Parcel>,
        pass: Option<Pass>,
        note: impl FnOnce(&DeliveryOutcome),
    ) {
        let watch = Watch::late(&self.around);
        let overseen = self.watch_over(parcel, pass);
        let held = hold(|| {
            let made = Cell::new(false);
            let call = |target: &I| payload::deliver(&**parcel, target, &self.schema);
            let run = || triggered(parcel.triggered(), || self.call(&made, &call));
            let run = || self.within_deadline(overseen, run);
            let run = || watch.call(self.watched(), &self.around, run);
            if let Some(outcome) = outcome_of(catch_unwind(AssertUnwindSafe(run))) {
                self.judge_outcome(pass, Some(&outcome));
                note(&outcome);
                self.tell(outcome, &**parcel, watch);
            }
        });
        held.wait();
    }
}

impl<I: Facet + ?Sized> Attendant for Post<I> {
    fn watched(&self) -> Watched<'_> {
        self.watched()
    }

    fn admit(&self) -> Result<Option<Pass>, Refused> {
        match &self.policy.breaker {
            Some(_) => self.desk.admit().map(Some),
            None => Ok(None),
        }
    }

    fn judge(&self, pass: Option<Pass>, step: &Step) {
        self.judge(pass, step);
    }

    fn oversee(&self, overrun: Box<dyn FnOnce() + Send>) -> Option<(Duration, Overseen)> {
        let after = self.policy.deadline?;
        Some((after, self.desk.vigil().begin(after, overrun)))
    }

    fn dismiss(&self, overseen: &Overseen) -> bool {
        self.desk.vigil().end(overseen)
    }

    fn tell_of_deadline(&self, after: Duration) {
        self.tell_of_deadline(after);
    }

    fn tell_end(&self, outcome: DeliveryOutcome, parcel: &dyn Parcel, watch: Watch) {
        self.tell(outcome, parcel, watch);
    }
}

impl<I: Facet + ?Sized> Post<I> {
    /// Delivers an event to a target that is ready, with nothing to ask and nobody who watches.
    fn deliver_directly(&self, target: &I, parcel: &dyn Parcel, missed: u64) {
        parcel.fire().within_behind(missed, || {
            let held = hold(|| {
                enter_by_id(self.entry.record.id());
                let call = || untyped::call(|| payload::deliver(parcel, target, &self.schema));
                if let Some(failure) = failure_in(catch_unwind(AssertUnwindSafe(call))) {
                    self.tell_late(DeliveryOutcome::Failed(failure), parcel);
                }
            });
            held.wait();
        });
        settle_quietly();
    }
}
