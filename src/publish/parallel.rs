//! A fire that calls its subscribers at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::begun::Begun;
use super::calling::{Step, outcome_of};
use super::crew::{Done, call_all};
use super::facet::Facet;
use super::guarded::{Filters, Guarded};
use super::payload::Call;
use super::prepared::Reached;
use crate::delivery::{DeliveryOutcome, Failure};
use crate::value::panic_message;

impl<I: Facet + ?Sized> Guarded<'_, I> {
    /// Does with subscriptions, which are in the order of calling, what [`fire`](Self::fire) does,
    /// and calls as many subscribers at a time as the class lets it; returns what became of each:
    /// nothing of one that is too new for the event.
    ///
    /// Filters, roles and predicates are asked before, on the publisher's thread, in order;
    /// whether a subscription still waits for what is retained, when it is the turn of its
    /// priority. Those of the highest priority are called, and when they have returned those of the
    /// next: a priority says who must be through before others hear of the event.
    #[cold]
    #[inline(never)]
    pub(super) fn fire_together(
        &self,
        found: &[Reached<'_, I>],
        filters: Filters,
        call: &impl Call<I>,
    ) -> Vec<Option<DeliveryOutcome>> {
        let (mut outcomes, mut open) = (Vec::with_capacity(found.len()), Vec::new());
        for (place, reached) in found.iter().enumerate() {
            let apart = self.is_apart(*reached).then_some(Step::Past);
            let withheld = ended_by(|| apart.or_else(|| self.withhold_from(*reached, filters)));
            if withheld.is_none() {
                open.push(place);
            }
            outcomes.push(withheld.flatten());
        }
        let priority = |place: &usize| found[*place].plan().entry.record.priority();
        for group in open.chunk_by(|one, other| priority(one) == priority(other)) {
            self.fire_group(group, found, call, &mut outcomes);
        }
        outcomes
    }

    /// Does with those of one priority what is left to do.
    fn fire_group(
        &self,
        group: &[usize],
        found: &[Reached<'_, I>],
        call: &impl Call<I>,
        outcomes: &mut [Option<DeliveryOutcome>],
    ) {
        let (mut here, mut elsewhere, mut group_found) = (Vec::new(), Vec::new(), Vec::new());
        for place in group {
            let begin = || self.begin(found[*place], call);
            match catch_unwind(AssertUnwindSafe(begin)) {
                Ok(Begun::Ended(step)) => outcomes[*place] = outcome_of(Ok(step)),
                Err(payload) => outcomes[*place] = outcome_of(Err(payload)),
                Ok(Begun::Here(pass)) => {
                    here.push((*place, pass));
                    group_found.push(found[*place]);
                }
                Ok(Begun::Elsewhere(escorted)) => elsewhere.push((*place, escorted)),
            }
        }
        let called = self.call_group(&group_found, call);
        for ((place, pass), outcome) in here.into_iter().zip(called) {
            if let Some(post) = found[place].post() {
                post.judge_outcome(pass, outcome.as_ref());
            }
            outcomes[place] = outcome;
        }
        // They have had as long as the others took.
        for (place, escorted) in elsewhere {
            if let Some(post) = found[place].post() {
                outcomes[place] = outcome_of(Ok(post.wait(escorted, self)));
            }
        }
    }

    /// Begins with a subscriber whose turn it is.
    fn begin(&self, reached: Reached<'_, I>, call: &impl Call<I>) -> Begun {
        match (self.not_yet(reached), reached.post()) {
            (Some(step), _) => Begun::Ended(step),
            // A trigger has the subscriber know why it is called, which is said on this thread.
            (None, Some(post)) if post.trigger.is_some() => {
                Begun::Ended(post.send(self, reached.plan(), call))
            }
            (None, Some(post)) => post.begin(self, None, call),
            (None, None) => Begun::Here(None),
        }
    }

    /// Calls subscribers at the same time, of which nothing is left to ask.
    fn call_group(
        &self,
        group: &[Reached<'_, I>],
        call: &impl Call<I>,
    ) -> Vec<Option<DeliveryOutcome>> {
        if let [only] = group {
            let call = || self.call_here(*only, call);
            return vec![outcome_of(catch_unwind(AssertUnwindSafe(call)))];
        }
        if group.is_empty() {
            return Vec::new();
        }
        // The arguments' own code makes the copy.
        match catch_unwind(AssertUnwindSafe(|| call.parcel())) {
            Ok(parcel) => {
                let subscribers = group.iter().map(|reached| reached.to_prepared());
                let all = call_all(
                    self.channel(),
                    subscribers.collect(),
                    parcel,
                    self.at_a_time(),
                    self.watch(),
                );
                all.into_iter().map(|done| self.settle(done)).collect()
            }
            Err(panic) => {
                let why = panic_message(panic);
                let failed = || DeliveryOutcome::Failed(Failure::Panicked(why.clone()));
                group.iter().map(|_| Some(failed())).collect()
            }
        }
    }

    /// Does on the publisher's thread what a call on another has left to do.
    fn settle(&self, done: Done) -> Option<DeliveryOutcome> {
        if done.made {
            self.note_made();
        }
        done.held.wait();
        done.outcome
    }
}

/// Returns what became of a subscription, if `decide` says so or unwinds.
fn ended_by(decide: impl FnOnce() -> Option<Step>) -> Option<Option<DeliveryOutcome>> {
    let decided = catch_unwind(AssertUnwindSafe(decide)).transpose();
    decided.map(outcome_of)
}
