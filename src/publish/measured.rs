//! Plain fires of a broker that measures.

use std::cell::Cell;
use std::sync::Arc;

use super::channel::Channel;
use super::lane::PlainSlot;
use super::metrics::LaneMeter;
use super::plain::fire_plain;
use super::prepared::Prepared;
use super::report::FireReport;
use crate::value::SubscriberError;

/// Counts a plain fire in which somebody failed.
#[cold]
#[inline(never)]
pub(super) fn count_plain<I: ?Sized>(
    channel: &Channel<I>,
    prepared: &[Arc<Prepared<I>>],
    meter: Option<&LaneMeter>,
    report: &FireReport,
) {
    if let (Some(of), Some(meter)) = (&channel.meter, meter) {
        of.count_plain(meter, prepared.iter().map(|it| &***it), report);
    }
}

/// Calls every slot and measures how long that takes, and the calls of some of them.
#[cold]
#[inline(never)]
pub(super) fn fire_timed<I: ?Sized>(
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    prepared: &[Arc<Prepared<I>>],
    meter: &LaneMeter,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    let Some(of) = &channel.meter else {
        return fire_plain(channel, slots, prepared, None, call);
    };
    let begun = of.meters().began(true);
    // Reading the clock takes longer than a short call: what ends one call begins the next.
    let (next, last, timed) = (Cell::new(0), Cell::new(begun.instant), meter.timed_slots());
    let call = |target: &I| {
        let slot = next.replace(next.get() + 1);
        if slot > 0 && slot == timed.start {
            last.set(of.instant());
        }
        let outcome = call(target);
        if timed.contains(&slot) {
            let now = of.instant();
            of.of_slot(meter, slot)
                .took(now.saturating_duration_since(last.replace(now)));
        }
        outcome
    };
    let report = fire_plain(channel, slots, prepared, Some(meter), &call);
    let is_over = timed.end >= slots.len() && report.is_clean();
    let end = if is_over { last.get() } else { of.instant() };
    meter.began(begun.at);
    of.time(meter.method(), begun, end);
    report
}
