//! A fire whose subscribers all get the event from lanes, with nothing to ask.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::calling::outcome_of;
use super::channel::Channel;
use super::facet::Facet;
use super::pipeline::{failure_of, too_deep};
use super::prepared::Prepared;
use super::report::{FireReport, Tally};
use crate::delivery::{Carried, DeliveryOutcome, Failure, Parcel, carried, enter};
use crate::value::ValueKey;

/// Puts one event into each of the lanes.
///
/// The way of other fires leads here too, by properties, filters and roles; this one looks at none
/// of them, as there are none.
pub(super) fn fire<I: Facet + ?Sized>(
    channel: &Channel<I>,
    slots: &[Arc<Prepared<I>>],
    parcel: impl FnOnce(Carried) -> Arc<dyn Parcel>,
) -> FireReport {
    let Some(_entered) = enter(channel.key.class) else {
        return too_deep(channel, slots.iter().map(|slot| &slot.entry));
    };
    let mut tally = Tally::default();
    // The arguments' own code makes the copy.
    let parcel = match catch_unwind(AssertUnwindSafe(|| parcel(carried()))) {
        Ok(parcel) => parcel,
        Err(panic) => {
            let why = failure_of(panic).to_string();
            let failed = || DeliveryOutcome::Failed(Failure::Panicked(why.clone()));
            slots
                .iter()
                .for_each(|slot| tally.add(&slot.entry, failed()));
            return tally.finish(&channel.around.hook, channel.key.class);
        }
    };
    // All before the first is handed over: then no other thread has the count yet.
    let mut parcels: SmallVec<[_; 1]> = smallvec![parcel; slots.len()];
    for slot in slots {
        let (Some((post, bounds)), Some(parcel)) = (slot.post_and_bounds(), parcels.pop()) else {
            continue;
        };
        match outcome_of(Ok(post.put(bounds, parcel, &ValueKey::ONLY))) {
            Some(DeliveryOutcome::Accepted) => tally.accept(1),
            Some(outcome) => tally.add(&slot.entry, outcome),
            None => {}
        }
    }
    tally.finish(&channel.around.hook, channel.key.class)
}
