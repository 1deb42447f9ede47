//! A fire whose subscribers all get the event from lanes, with nothing to ask.

use std::any::Any;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::calling::outcome_of;
use super::channel::Channel;
use super::facet::Facet;
use super::pipeline::{failure_of, too_deep};
use super::post::Post;
use super::prepared::Prepared;
use super::report::{FireReport, Tally};
use crate::delivery::{Bounds, Carried, DeliveryOutcome, Failure, Parcel, carried, enter};
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
    // The arguments' own code makes the copy.
    let parcel = match catch_unwind(AssertUnwindSafe(|| parcel(carried()))) {
        Ok(parcel) => parcel,
        Err(panic) => return failed(channel, slots, panic),
    };
    let mut tally = Tally::default();
    match slots {
        [slot] => put(slot, parcel, &mut tally),
        _ => {
            // All before the first is handed over: then no other thread has the count yet.
            let parcels: Vec<_> = iter::repeat_n(parcel, slots.len()).collect();
            for (slot, parcel) in slots.iter().zip(parcels) {
                put(slot, parcel, &mut tally);
            }
        }
    }
    tally.finish(&channel.around.hook, channel.key.class)
}

/// Puts the event into one of the lanes.
#[inline]
fn put<I: Facet + ?Sized>(slot: &Prepared<I>, parcel: Arc<dyn Parcel>, tally: &mut Tally) {
    let Some((post, bounds)) = slot.post_and_bounds() else {
        return;
    };
    match post.put_plainly(parcel) {
        Ok(()) => tally.accept(1),
        Err(parcel) => put_anyhow(slot, post, bounds, parcel, tally),
    }
}

/// Puts the event into a lane that is full, or shut, or not there yet, or no lane of the broker's.
#[inline(never)]
fn put_anyhow<I: Facet + ?Sized>(
    slot: &Prepared<I>,
    post: &Post<I>,
    bounds: Bounds,
    parcel: Arc<dyn Parcel>,
    tally: &mut Tally,
) {
    match outcome_of(Ok(post.put(bounds, parcel, &ValueKey::ONLY))) {
        Some(DeliveryOutcome::Accepted) => tally.accept(1),
        Some(outcome) => tally.add(&slot.entry, outcome),
        None => {}
    }
}

/// Returns the report of an event of whose arguments no copy could be made.
#[cold]
fn failed<I: Facet + ?Sized>(
    channel: &Channel<I>,
    slots: &[Arc<Prepared<I>>],
    panic: Box<dyn Any + Send>,
) -> FireReport {
    let mut tally = Tally::default();
    let why = failure_of(panic).to_string();
    for slot in slots {
        let failure = Failure::Panicked(why.clone());
        tally.add(&slot.entry, DeliveryOutcome::Failed(failure));
    }
    tally.finish(&channel.around.hook, channel.key.class)
}
