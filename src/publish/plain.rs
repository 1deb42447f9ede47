//! Fires of which nothing is asked but that everybody be called.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::channel::Channel;
use super::lane::PlainSlot;
use super::measured::{count_plain, fire_timed};
use super::metrics::LaneMeter;
use super::pipeline::{failure_in, too_deep};
use super::prepared::Prepared;
use super::report::{FireReport, Tally};
use crate::delivery::{
    DeliveryOutcome, Failure, Shown, enter, enter_subscription, entered_subscription,
};
use crate::value::SubscriberError;
use crate::value::untyped;

/// Fires a plain lane, and shows its properties meanwhile.
#[inline]
pub(super) fn fire_lane<I: ?Sized>(
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    prepared: &[Arc<Prepared<I>>],
    meter: Option<&LaneMeter>,
    show: impl FnOnce() -> Option<Shown>,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    if slots.is_empty() {
        meter.inspect(|meter| meter.here().count());
        return FireReport::default();
    }
    let Some(_entered) = enter(channel.key.class) else {
        let report = too_deep(channel, prepared.iter().map(|it| &it.entry));
        count_plain(channel, prepared, meter, &report);
        return report;
    };
    let _shown = show();
    match meter.filter(|meter| meter.here().is_sample()) {
        Some(meter) => fire_timed(channel, slots, prepared, meter, call),
        None => fire_plain(channel, slots, prepared, meter, call),
    }
}

/// Calls every slot, and counts that.
#[inline]
pub(super) fn fire_plain<I: ?Sized>(
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    prepared: &[Arc<Prepared<I>>],
    meter: Option<&LaneMeter>,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    if let Some(failure) = call_all(slots, call) {
        let report = go_on(failure, channel, slots, prepared, call);
        count_plain(channel, prepared, meter, &report);
        return report;
    }
    meter.inspect(|meter| meter.here().count());
    FireReport::of_delivered(slots.len())
}

/// Calls the slots in order, and returns what went wrong at the one called last if anything did.
/// One `catch_unwind` stands around the loop, not around each call: after a failure the loop
/// [goes on](go_on) behind the slot that failed.
#[inline(always)]
pub(super) fn call_all<I: ?Sized>(
    slots: &[PlainSlot<I>],
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> Option<Failure> {
    failure_in(catch_unwind(AssertUnwindSafe(|| call_each(slots, call))))
}

/// Calls the slots in order, to the one that fails.
#[inline]
fn call_each<I: ?Sized>(
    slots: &[PlainSlot<I>],
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> Result<(), SubscriberError> {
    for slot in slots {
        enter_subscription(slot.id);
        untyped::call(|| call(&slot.target))?;
    }
    Ok(())
}

/// Notes the failure of the slot called last and calls those behind it.
#[cold]
#[inline(never)]
pub(super) fn go_on<I: ?Sized>(
    failure: Failure,
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    prepared: &[Arc<Prepared<I>>],
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    let mut tally = Tally::default();
    let mut rest = slots.iter().zip(prepared);
    let mut failed = 0;
    let mut failure = Some(failure);
    while let Some(cause) = failure {
        // The context knows who was called last, so the loop need not count on its way.
        let last = entered_subscription();
        if let Some((_, prepared)) = rest.find(|(slot, _)| slot.id == last) {
            failed += 1;
            tally.add(&prepared.entry, DeliveryOutcome::Failed(cause));
        }
        let behind = &slots[slots.len() - rest.len()..];
        failure = call_all(behind, call);
    }
    tally.deliver(slots.len() - failed);
    tally.finish(&channel.around.hook, channel.key.class)
}
