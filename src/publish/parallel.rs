//! A fire that calls its subscribers at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};

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
    /// Filters, times, roles and predicates are asked before, on the publisher's thread, in order;
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
            let withheld = ended_by(|| self.withhold_from(*reached, filters));
            if withheld.is_none() {
                open.push(place);
            }
            outcomes.push(withheld.flatten());
        }
        let priority = |place: &usize| found[*place].plan().entry.record.priority();
        for group in open.chunk_by(|one, other| priority(one) == priority(other)) {
            let (mut places, mut group_found) = (Vec::new(), Vec::new());
            for place in group {
                match ended_by(|| {
                    self.not_yet(found[*place])
                        .or_else(|| self.post(found[*place], call))
                }) {
                    Some(outcome) => outcomes[*place] = outcome,
                    None => {
                        places.push(*place);
                        group_found.push(found[*place]);
                    }
                }
            }
            let called = self.call_group(&group_found, call);
            for (place, outcome) in places.into_iter().zip(called) {
                outcomes[place] = outcome;
            }
        }
        outcomes
    }

    /// Hands the event over to a subscriber that is not simply called.
    fn post(&self, reached: Reached<'_, I>, call: &impl Call<I>) -> Option<Step> {
        let post = reached.post()?;
        Some(post.send(self, reached.plan(), call))
    }

    /// Calls subscribers at the same time, of which nothing is left to ask.
    fn call_group(
        &self,
        group: &[Reached<'_, I>],
        call: &impl Call<I>,
    ) -> Vec<Option<DeliveryOutcome>> {
        if let [only] = group {
            let call = || self.call(*only, call);
            return vec![outcome_of(catch_unwind(AssertUnwindSafe(call)))];
        }
        if group.is_empty() {
            return Vec::new();
        }
        // The arguments' own code makes the copy.
        match catch_unwind(AssertUnwindSafe(|| call.payload())) {
            Ok(payload) => {
                let subscribers = group.iter().map(|reached| reached.to_prepared());
                let all = call_all(
                    self.channel(),
                    subscribers.collect(),
                    payload,
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
