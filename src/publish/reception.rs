//! An event that is received by whoever has come for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::calling::{Step, outcome_of};
use super::inbox::Inbox;
use super::pipeline::failure_of;
use super::spans::DeliverySpan;
use super::watch::{Watch, Watched};
use crate::delivery::{
    DeliveryOutcome, EventContext, Failure, Overseen, Parcel, Pass, Refused, hold, is_delivering,
    settle,
};
use crate::value::{SubscriberError, drop_quietly, panic_message, untyped};

/// What counts and bounds the deliveries of a site's events that somebody comes for.
pub(super) trait Attendant: Send + Sync {
    /// Returns the subscription, as those see it who watch.
    fn watched(&self) -> Watched<'_>;

    /// Has the breaker let a delivery begin, if there is one.
    fn admit(&self) -> Result<Option<Pass>, Refused>;

    /// Has the breaker know what came of a delivery.
    fn judge(&self, pass: Option<Pass>, step: &Step);

    /// Has `overrun` done, with a lock held, if the delivery that begins now takes longer than it
    /// may; nothing, if it may take as long as it likes.
    fn oversee(&self, overrun: Box<dyn FnOnce() + Send>) -> Option<(Duration, Overseen)>;

    /// Ends that, and returns whether the delivery was in time.
    fn dismiss(&self, overseen: &Overseen) -> bool;

    /// Tells that a delivery was not in time.
    fn tell_of_deadline(&self, after: Duration);

    /// Has those who count, and of a failure the hook, know how a delivery has ended.
    fn tell_end(&self, outcome: DeliveryOutcome, parcel: &dyn Parcel, watch: Watch);
}

/// The delivery of an event to whoever has come for it, on any thread and in any number of pieces.
///
/// One that is dropped before its end was cancelled, which is told like any failure: nobody tries
/// it again.
pub(crate) struct Reception {
    inbox: Arc<Inbox>,
    parcel: Arc<dyn Parcel>,
    missed: u64,
    /// Not kept: it has the subscription, which is to be gone when its guard is, however long this
    /// takes.
    attendant: Option<Weak<dyn Attendant>>,
    pass: Option<Pass>,
    watch: Watch,
    /// When the first piece began, if it is timed.
    from: Option<Instant>,
    span: Option<DeliverySpan>,
    overseen: Option<(Duration, Overseen)>,
    is_over: bool,
}

impl Reception {
    /// Begins the delivery of an event, before which so many are missing.
    pub(crate) fn begin(inbox: &Arc<Inbox>, parcel: Arc<dyn Parcel>, missed: u64) -> Self {
        let attendant = inbox.attendant(&*parcel);
        let watch = Watch::late(inbox.around());
        let span = attendant.as_ref();
        let span = span.and_then(|it| watch.span(it.watched(), parcel.fire()));
        Self {
            inbox: Arc::clone(inbox),
            missed,
            pass: None,
            from: None,
            overseen: None,
            is_over: false,
            attendant: attendant.as_ref().map(Arc::downgrade),
            watch,
            span,
            parcel,
        }
    }

    /// Notes that an event was taken by somebody who is not called for it, and how that went.
    pub(crate) fn taken(
        inbox: &Arc<Inbox>,
        parcel: &Arc<dyn Parcel>,
        missed: u64,
        outcome: Result<(), Failure>,
    ) {
        // What most are: nobody watches.
        if outcome.is_err() || Watch::late(inbox.around()).is_on() {
            Self::begin(inbox, Arc::clone(parcel), missed).end(outcome);
        }
    }

    /// Has the breaker judge it that has let it pass.
    pub(crate) fn with_pass(mut self, pass: Option<Pass>) -> Self {
        self.pass = pass;
        self
    }

    /// Has `overrun` done, with a lock held, once it takes longer than it may; returns how long
    /// that is.
    pub(crate) fn oversee(&mut self, overrun: Box<dyn FnOnce() + Send>) -> Option<Duration> {
        self.overseen = self.attendant()?.oversee(overrun);
        self.overseen.as_ref().map(|(after, _)| *after)
    }

    /// Returns what counts and bounds it, unless the subscription is gone.
    fn attendant(&self) -> Option<Arc<dyn Attendant>> {
        self.attendant.as_ref()?.upgrade()
    }

    pub(crate) fn parcel(&self) -> &Arc<dyn Parcel> {
        &self.parcel
    }

    /// Does a piece of the delivery on this thread, within the fire that the event was taken out
    /// of, and returns how that ended.
    pub(crate) fn run(
        &mut self,
        work: impl FnOnce() -> Result<(), SubscriberError>,
    ) -> Result<(), Failure> {
        if self.from.is_none() {
            self.from = self.watch.instant(self.inbox.around());
        }
        let mut outcome = Err(Failure::TooDeep);
        let span = self.span.as_ref();
        self.parcel.fire().within_any(&self.context(), || {
            let held = hold(|| {
                let run = || untyped::call(work);
                let run = AssertUnwindSafe(|| match span {
                    Some(span) => span.within(run),
                    None => run(),
                });
                outcome = match catch_unwind(run) {
                    Ok(result) => result.map_err(Failure::Subscriber),
                    Err(panic) => Err(failure_of(panic)),
                };
            });
            held.wait();
        });
        if !is_delivering()
            && let Err(panic) = catch_unwind(settle)
        {
            drop(panic_message(panic));
        }
        outcome
    }

    /// Ends the delivery, and has everybody know how who is to.
    pub(crate) fn end(mut self, outcome: Result<(), Failure>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Result<(), Failure>) {
        self.is_over = true;
        let mut step = outcome.map_or_else(Step::Failed, |()| Step::Delivered);
        let attendant = self.attendant();
        if let Some(attendant) = &attendant {
            if let Some((after, overseen)) = self.overseen.take()
                && !attendant.dismiss(&overseen)
            {
                attendant.tell_of_deadline(after);
                drop_quietly(std::mem::replace(
                    &mut step,
                    Step::Failed(Failure::Deadline(after)),
                ));
            }
            attendant.judge(self.pass, &step);
            let who = attendant.watched();
            self.watch.ended(who, self.inbox.around(), self.from, &step);
        }
        if let Some(span) = self.span.take() {
            span.end(&step);
        }
        match (attendant, step) {
            (Some(attendant), step) => {
                if let Some(outcome) = outcome_of(Ok(step)) {
                    attendant.tell_end(outcome, &*self.parcel, self.watch);
                }
                // Perhaps the last that has it.
                drop_quietly(attendant);
            }
            (None, Step::Failed(failure)) => self.inbox.tell(&self.context(), failure),
            (None, _) => {}
        }
    }

    fn context(&self) -> EventContext {
        self.inbox.context(&*self.parcel, self.missed)
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        if !self.is_over {
            self.finish(Err(Failure::Cancelled));
        }
    }
}
