//! A fire that calls its subscribers at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::calling::outcome_of;
use super::crew::{Done, call_all};
use super::facet::Facet;
use super::guarded::{Filters, Guarded};
use super::payload::Call;
use super::prepared::Reached;
use crate::delivery::DeliveryOutcome;

impl<I: Facet + ?Sized> Guarded<'_, I> {
    /// Does with subscriptions, which are in the order of calling, what [`fire`](Self::fire) does,
    /// and calls as many subscribers at a time as the class lets it; returns what became of each.
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
    ) -> Vec<DeliveryOutcome> {
        let decide = |reached| {
            let decide = || self.withhold_from(reached, filters);
            match catch_unwind(AssertUnwindSafe(decide)) {
                Ok(None) => None,
                Ok(Some(step)) => Some(outcome_of(Ok(step))),
                Err(payload) => Some(outcome_of(Err(payload))),
            }
        };
        let mut outcomes: Vec<_> = found.iter().map(|reached| decide(*reached)).collect();
        let open = (0..found.len()).filter(|place| outcomes[*place].is_none());
        let open: Vec<usize> = open.collect();
        let priority = |place: &usize| found[*place].plan().entry.record.priority();
        for group in open.chunk_by(|one, other| priority(one) == priority(other)) {
            if let [only] = group {
                let call = || self.call(found[*only], call);
                let called = catch_unwind(AssertUnwindSafe(call));
                outcomes[*only] = Some(outcome_of(called));
                continue;
            }
            let subscribers = group
                .iter()
                .map(|place| found[*place].to_prepared())
                .collect();
            let (channel, max) = (self.channel(), self.at_a_time());
            let all = call_all(channel, subscribers, call.payload(), max);
            for (place, done) in group.iter().zip(all) {
                outcomes[*place] = Some(self.settle(done));
            }
        }
        let outcomes = outcomes.into_iter();
        // Every place is decided, or was called.
        outcomes
            .map(|outcome| outcome.unwrap_or(DeliveryOutcome::FilteredOut))
            .collect()
    }

    /// Does on the publisher's thread what a call on another has left to do.
    fn settle(&self, done: Done) -> DeliveryOutcome {
        if done.made {
            self.note_made();
        }
        done.held.wait();
        done.outcome
    }
}
