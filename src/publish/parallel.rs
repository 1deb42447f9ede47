//! A fire that calls its subscribers at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::calling::outcome_of;
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
    /// Filters, times, roles and predicates are asked before, on the publisher's thread, in order.
    /// Then those of the highest priority are called, and when they have returned those of the
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
            let decide = || self.withhold_from(*reached, filters);
            let decided = catch_unwind(AssertUnwindSafe(decide)).transpose();
            if decided.is_none() {
                open.push(place);
            }
            outcomes.push(decided.and_then(outcome_of));
        }
        let priority = |place: &usize| found[*place].plan().entry.record.priority();
        for group in open.chunk_by(|one, other| priority(one) == priority(other)) {
            if let [only] = group {
                let call = || self.call(found[*only], call);
                let called = catch_unwind(AssertUnwindSafe(call));
                outcomes[*only] = outcome_of(called);
                continue;
            }
            let subscribers = group
                .iter()
                .map(|place| found[*place].to_prepared())
                .collect();
            let (channel, max) = (self.channel(), self.at_a_time());
            // The arguments' own code makes the copy.
            let payload = match catch_unwind(AssertUnwindSafe(|| call.payload())) {
                Ok(payload) => payload,
                Err(panic) => {
                    let why = panic_message(panic);
                    for place in group {
                        let failure = Failure::Panicked(why.clone());
                        outcomes[*place] = Some(DeliveryOutcome::Failed(failure));
                    }
                    continue;
                }
            };
            let all = call_all(channel, subscribers, payload, max);
            for (place, done) in group.iter().zip(all) {
                outcomes[*place] = self.settle(done);
            }
        }
        outcomes
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
