//! What becomes of an event at a target that is not simply called.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::calling::Step;
use super::escort::Escorted;
use super::facet::Facet;
use super::guarded::Guarded;
use super::payload::Call;
use super::pipeline::failure_of;
use super::post::Post;
use crate::delivery::{
    Change, DeliveryOutcome, Failure, Judgement, Letter, Overseen, Parcel, Pass, SkipReason,
    Triggered, Worker,
};
use crate::notices::Notice;
use crate::value::drop_quietly;

/// How far an event has come.
pub(super) enum Begun {
    Ended(Step),
    /// The subscriber is to be called by the fire, which [judges](Post::judge) it afterwards.
    Here(Option<Pass>),
    /// The subscriber is being called on another thread.
    Elsewhere(Escorted),
}

impl<I: Facet + ?Sized> Post<I> {
    /// Does with an event what the policy says, short of a call on this thread; `why` is what the
    /// trigger, which was asked, has the subscriber know.
    pub(super) fn begin(
        &self,
        guarded: &Guarded<'_, I>,
        why: Option<Triggered>,
        call: &impl Call<I>,
    ) -> Begun {
        if self.queue.is_some() {
            return self.enqueue(guarded, why);
        }
        if let Some(bounds) = self.bounds() {
            let accept = || self.accept(guarded, bounds, why, call);
            let watch = guarded.watch();
            return Begun::Ended(watch.send(self.watched(), &self.around, accept));
        }
        if self.desk.is_busy() {
            return Begun::Ended(Step::Skipped(SkipReason::Busy));
        }
        let Some(pass) = self.admit() else {
            return Begun::Ended(Step::Skipped(SkipReason::BreakerOpen));
        };
        let Some(after) = self.policy.deadline else {
            return Begun::Here(pass);
        };
        // The arguments' own code makes the copy.
        let parcel = catch_unwind(AssertUnwindSafe(|| {
            Letter::sealed(guarded.parcel(call), why)
        }));
        let parcel = parcel.map_err(failure_of);
        match parcel.and_then(|parcel| self.escort(parcel, after, pass)) {
            Ok(escorted) => Begun::Elsewhere(escorted),
            Err(failure) => {
                self.withdraw(pass);
                Begun::Ended(Step::Failed(failure))
            }
        }
    }

    /// Calls the subscriber on this thread.
    pub(super) fn call_here(
        &self,
        pass: Option<Pass>,
        guarded: &Guarded<'_, I>,
        call: &impl Call<I>,
    ) -> Step {
        let call = |target: &I| call.on(target);
        let call = || self.call(guarded.made(), &call);
        if pass.is_none() {
            return call();
        }
        let called = catch_unwind(AssertUnwindSafe(call));
        let step = called.unwrap_or_else(|payload| Step::Failed(failure_of(payload)));
        self.judge(pass, &step);
        step
    }

    /// Returns why the event would be skipped now, if it would be.
    pub(super) fn obstruction(&self) -> Option<SkipReason> {
        match self.policy.bounds() {
            Some(_) => None,
            None if self.desk.is_busy() => Some(SkipReason::Busy),
            None => {
                let is_refused = self.policy.breaker.is_some() && self.desk.is_refused();
                is_refused.then_some(SkipReason::BreakerOpen)
            }
        }
    }

    /// Has the breaker let the event pass, if there is one; none if it does not.
    pub(super) fn admit(&self) -> Option<Option<Pass>> {
        match &self.policy.breaker {
            Some(_) => self.desk.admit().ok().map(Some),
            None => Some(None),
        }
    }

    /// Has the breaker know what came of a call.
    pub(super) fn judge(&self, pass: Option<Pass>, step: &Step) {
        self.note(pass, step.judgement());
    }

    /// Has the breaker know what came of a call that was made for this.
    pub(super) fn judge_outcome(&self, pass: Option<Pass>, outcome: Option<&DeliveryOutcome>) {
        self.note(
            pass,
            outcome.map_or(Judgement::Neither, DeliveryOutcome::judgement),
        );
    }

    /// Has the breaker know that the call was not made.
    fn withdraw(&self, pass: Option<Pass>) {
        self.note(pass, Judgement::Neither);
    }

    fn note(&self, pass: Option<Pass>, judgement: Judgement) {
        let (Some(breaker), Some(pass)) = (&self.policy.breaker, pass) else {
            return;
        };
        let id = self.entry.record.id().uuid();
        let name = || self.entry.record.name().to_owned();
        let notice = match self.desk.judge(breaker, pass, judgement) {
            Change::None | Change::Untried => return,
            Change::Closed => Notice::BreakerClosed { id, name: name() },
            Change::Opened { failures, back_off } => Notice::BreakerOpened {
                id,
                name: name(),
                failures,
                back_off,
            },
        };
        self.around.notices.push(notice);
    }

    /// Begins to watch a call on a thread of the pool, if it has a deadline.
    pub(super) fn watch_over(
        &self,
        parcel: &Arc<dyn Parcel>,
        pass: Option<Pass>,
    ) -> Option<OverseenCall> {
        let after = self.policy.deadline?;
        let (post, worker) = (self.me.upgrade()?, Worker::current()?);
        let (parcel, held) = (Arc::clone(parcel), Arc::clone(&worker));
        let overrun = move || {
            let threads = post.desk.abandon();
            post.around.pool.hold(&held);
            post.tell_of_overrun(after, threads);
            post.note(pass, Judgement::Failed);
            let pool = Arc::clone(&post.around.pool);
            let tell = move || {
                let outcome = || DeliveryOutcome::Failed(Failure::Deadline(after));
                parcel.fire().within(|| post.tell_late(outcome(), &*parcel));
            };
            // Stopped, where the broker was closed: the notice says it then.
            drop(pool.submit(Box::new(tell)));
        };
        let watched = self.desk.vigil().begin(after, Box::new(overrun));
        Some(OverseenCall { watched, worker })
    }

    /// Calls, and ends the watch over it: nothing comes of a call whose deadline was over before,
    /// as that was told.
    pub(super) fn within_deadline(
        &self,
        overseen: Option<OverseenCall>,
        call: impl FnOnce() -> Step,
    ) -> Step {
        let Some(overseen) = overseen else {
            return call();
        };
        let called = catch_unwind(AssertUnwindSafe(call));
        if self.desk.vigil().end(&overseen.watched) {
            return called.unwrap_or_else(|payload| Step::Failed(failure_of(payload)));
        }
        self.around.pool.release(&overseen.worker);
        self.desk.recover();
        // An error or the payload of a panic is the user's.
        drop_quietly(called);
        Step::Past
    }
}

/// A call on a thread of the pool that has a deadline.
pub(super) struct OverseenCall {
    watched: Overseen,
    worker: Arc<Worker>,
}

impl Step {
    /// Returns what it says of the subscriber.
    fn judgement(&self) -> Judgement {
        match self {
            Self::Delivered => Judgement::Well,
            Self::Failed(failure) => failure.judgement(),
            _ => Judgement::Neither,
        }
    }
}
