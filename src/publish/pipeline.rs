//! The pipeline of a fire: snapshot, match, delivery, report.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::{Filters, Guarded};
use super::indexed::NotFound;
use super::lane::{IndexedLane, Lane};
use super::merged;
use super::payload::{Call, LentCall};
use super::plain::{call_all, fire_lane, fire_plain, go_on};
use super::posted;
use super::privates::PrivateLanes;
use super::recalling::{self, Keeping};
use super::report::{FireReport, Tally};
use super::retaining;
use super::spans::{self, FireSpan};
use super::steered;
use super::steering::{Course, DefaultQuery};
use super::with::{FirePart, Origin};
use crate::cache::Snapshot;
use crate::delivery::{Carried, DeliveryOutcome, Failure, Parcel, enter, settle};
use crate::sync::Guard;
use crate::value::untyped::SubscriberFailed;
use crate::value::{SubscriberError, ValueRef, panic_message};

/// Fires the method at index `method`, and what waits for its end if it is inside of no other.
///
/// `values` makes the event's values, and is asked only if a slot needs them; `call` calls the
/// method on one subscriber with the caller's own arguments; `parcel` makes an event that keeps
/// them, which a plain fire never asks for.
#[inline]
pub(crate) fn fire<'e, I, V>(
    channel: &Channel<I>,
    method: usize,
    origin: Origin<'_>,
    values: impl Fn() -> V,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
    parcel: impl Fn(Carried) -> Arc<dyn Parcel>,
    is_outermost: bool,
) -> FireReport
where
    I: Facet + ?Sized,
    V: AsRef<[ValueRef<'e>]>,
{
    let settle = || {
        if is_outermost {
            settle();
        }
    };
    if origin.is_unusual() || channel.shows_more() || spans::are_wanted() {
        let report = fire_unusual(channel, method, origin, values, call, parcel);
        settle();
        return report;
    }
    let snapshot = channel.cache.load();
    let report = match snapshot.method(method) {
        Some(Lane::Plain {
            slots,
            prepared,
            meter: None,
        }) if !slots.is_empty() => {
            let Some(entered) = enter(channel.key.class) else {
                return too_deep(channel, prepared.iter().map(|it| &it.entry));
            };
            let Some(failure) = call_all(slots, call) else {
                let count = slots.len();
                drop(entered);
                drop(snapshot);
                settle();
                // Made where it is returned: one that other ways can reach is written to memory
                // piece by piece, and waited for when it is moved.
                return FireReport::of_delivered(count);
            };
            go_on(failure, channel, slots, prepared, call)
        }
        Some(_) => fire_other(channel, snapshot, method, origin, values, call, parcel),
        None => FireReport::default(),
    };
    settle();
    report
}

/// Fires a lane that is not plain, or whose fires are counted.
///
/// Apart, so that the plain fire is as short as it can be.
#[inline(never)]
fn fire_other<'e, I, V>(
    channel: &Channel<I>,
    snapshot: Guard<Arc<Snapshot<Lane<I>>>>,
    method: usize,
    origin: Origin<'_>,
    values: impl Fn() -> V,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
    parcel: impl Fn(Carried) -> Arc<dyn Parcel>,
) -> FireReport
where
    I: Facet + ?Sized,
    V: AsRef<[ValueRef<'e>]>,
{
    match snapshot.method(method) {
        Some(Lane::Plain {
            slots,
            prepared,
            meter,
        }) => fire_lane(channel, slots, prepared, meter.as_deref(), || None, call),
        Some(Lane::Guarded {
            slots,
            is_posted: true,
            ..
        }) => posted::fire(channel, slots, parcel),
        _ => {
            let call = LentCall::new(call, parcel);
            fire_filtered(channel, snapshot, method, origin, values().as_ref(), &call)
        }
    }
}

/// Fires for a publisher that has more than subscribers, whom it may reach and what it shows them,
/// or for somebody who traces.
#[inline(never)]
fn fire_unusual<'e, I, V>(
    channel: &Channel<I>,
    method: usize,
    origin: Origin<'_>,
    values: impl Fn() -> V,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
    parcel: impl Fn(Carried) -> Arc<dyn Parcel>,
) -> FireReport
where
    I: Facet + ?Sized,
    V: AsRef<[ValueRef<'e>]>,
{
    let Origin { own, lent, part } = origin;
    let span = FireSpan::enter(channel, method, own);
    let fire = || {
        if own.gate().is_some() && channel.is_shut_to(own) {
            return FireReport::denied();
        }
        let snapshot = channel.cache.load();
        if let Some(Lane::Plain {
            slots,
            prepared,
            meter,
        }) = snapshot.method(method)
            && !own.is_steered()
            && span.is_none()
            && part == FirePart::Whole
            && channel.class_facts().record.history().is_none()
        {
            let facts = channel.class_facts();
            let show = || facts.show(lent, &own.properties());
            return fire_lane(channel, slots, prepared, meter.as_deref(), show, call);
        }
        let call = LentCall::new(call, parcel);
        fire_filtered(channel, snapshot, method, origin, values().as_ref(), &call)
    };
    let report = fire();
    if let Some(span) = span {
        span.end(&report);
    }
    report
}

/// Fires a lane that is not plain, and goes on with newer snapshots until one fits its index.
#[inline(never)]
fn fire_filtered<I: Facet + ?Sized>(
    channel: &Channel<I>,
    mut snapshot: Guard<Arc<Snapshot<Lane<I>>>>,
    method: usize,
    origin: Origin<'_>,
    values: &[ValueRef<'_>],
    call: &impl Call<I>,
) -> FireReport {
    let watch = channel.watch(method);
    let Origin { own, lent, part } = origin;
    let (private, clearance) = (channel.private(own), channel.clearance(own));
    let steering = own.is_steered().then(|| own.steering());
    let (facts, properties) = (channel.class_facts(), own.properties());
    let mut row = EventRow {
        values,
        lent,
        own: &properties,
        facts: &facts,
        clearance: clearance.as_deref(),
        steering: steering.as_deref(),
        kept: None,
        keeping: None,
        watch,
        part,
    };
    // What has not committed is retained by nobody.
    let retains = facts.retains(method) && part != FirePart::Queues;
    let event = retains.then(|| retaining::read(method, &row));
    if let Some(event) = &event {
        match retaining::keep(channel, method, event.as_ref()) {
            Ok(kept) => row.kept = Some(kept),
            Err(successor) => {
                return retaining::fire_by(&*successor, channel, method, origin, &row);
            }
        }
        // Only now, so that nobody is missed who came between.
        snapshot = channel.cache.load();
    }
    let is_done = Cell::new(false);
    let keep = facts.keep(channel.key.class, &channel.around);
    // Behind a transaction it was kept with that.
    if let Some(keep) = keep.filter(|_| !matches!(part, FirePart::Others(_))) {
        row.keeping = Some(Keeping {
            keep,
            is_done: &is_done,
        });
        // Behind the mark, so that whoever is live by that is in it.
        snapshot = channel.cache.load();
    }
    let course = row.course(&facts, &channel.schema, method);
    loop {
        let Some(lane) = snapshot.method(method) else {
            let mut report = FireReport::default();
            recalling::keep_alone(channel, method, &row, call, &mut report);
            return report;
        };
        let (private, course) = (private.as_deref(), course.as_ref());
        if let Some(mut report) = fire_guarded(channel, lane, private, method, course, row, call) {
            recalling::keep_alone(channel, method, &row, call, &mut report);
            channel.watched(method, watch, &report);
            return report;
        }
        snapshot = channel.cache.load();
    }
}

/// Fires a lane in which at least one subscription has something to check.
fn fire_guarded<I: Facet + ?Sized>(
    channel: &Channel<I>,
    lane: &Lane<I>,
    private: Option<&PrivateLanes<I>>,
    method: usize,
    course: Option<&Course<'_>>,
    row: EventRow<'_>,
    call: &impl Call<I>,
) -> Option<FireReport> {
    if let Some(private) = private {
        return merged::fire(channel, lane, private, method, course, row, call);
    }
    match (lane, course) {
        (Lane::Indexed(lane), Some(Course::Query(query))) => {
            fire_indexed(channel, lane, method, row, Some(query), call)
        }
        (_, Some(course)) => {
            let members = channel.members(method);
            let fire = |members| steered::fire(channel, members, method, course, row, call);
            Some(members.as_deref().map_or_else(FireReport::default, fire))
        }
        // It became plain since the fire began, or somebody traces.
        (
            Lane::Plain {
                slots, prepared, ..
            },
            None,
        ) if !row.watch.is_on() && row.part == FirePart::Whole && row.keeping.is_none() => {
            let Some(_entered) = row.enter(channel.key.class) else {
                return Some(too_deep(channel, prepared.iter().map(|it| &it.entry)));
            };
            let call = |target: &I| call.on(target);
            Some(fire_plain(channel, slots, prepared, None, &call))
        }
        (
            Lane::Guarded { slots, .. }
            | Lane::Plain {
                prepared: slots, ..
            },
            None,
        ) => {
            let Some(_entered) = row.enter(channel.key.class) else {
                return Some(too_deep(channel, slots.iter().map(|slot| &slot.entry)));
            };
            let mut tally = Tally::default();
            let guarded = Guarded::new(channel, method, row);
            guarded.fire(&**slots, Filters::Asked, call, &mut tally);
            Some(tally.finish(&channel.around.hook, channel.key.class))
        }
        (Lane::Indexed(lane), None) => fire_indexed(channel, lane, method, row, None, call),
    }
}

/// Fires a lane whose filtered subscriptions are found by index. A default query is asked about
/// those alone that are found: who keeps a change among a million as cheap as it is cannot go
/// through all of them after each. Those that the event does not reach all count as filtered out.
fn fire_indexed<I: Facet + ?Sized>(
    channel: &Channel<I>,
    lane: &IndexedLane<I>,
    method: usize,
    row: EventRow<'_>,
    query: Option<&DefaultQuery>,
    call: &impl Call<I>,
) -> Option<FireReport> {
    let mut found = match lane.find(method, &row) {
        Ok(found) => found,
        Err(NotFound::Replaced) => return None,
        Err(NotFound::Unreadable) => return Some(fire_each(channel, method, row, query, call)),
    };
    let withheld = query.map_or(0, |query| {
        found.retain(|prepared| query.matches(&prepared.entry.record))
    });
    let Some(_entered) = row.enter(channel.key.class) else {
        return Some(too_deep(channel, found.plans().map(|plan| &plan.entry)));
    };
    let _numbers = found.number();
    let mut tally = Tally::default();
    let guarded = Guarded::new(channel, method, row);
    guarded.fire(&found, Filters::Passed, call, &mut tally);
    tally.filter_out(found.others);
    tally.withhold(withheld);
    Some(tally.finish(&channel.around.hook, channel.key.class))
}

/// Asks each filter for itself, so that those alone fail which read what cannot be read.
#[cold]
fn fire_each<I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    row: EventRow<'_>,
    query: Option<&DefaultQuery>,
    call: &impl Call<I>,
) -> FireReport {
    let mut all = channel.prepared(|prepared| prepared.is_called_for(method));
    let before = all.len();
    if let Some(query) = query {
        all.retain(|prepared| query.matches(&prepared.entry.record));
    }
    let Some(_entered) = row.enter(channel.key.class) else {
        return too_deep(channel, all.iter().map(|prepared| &prepared.entry));
    };
    let mut tally = Tally::default();
    let guarded = Guarded::new(channel, method, row);
    guarded.fire(&*all, Filters::Asked, call, &mut tally);
    tally.withhold(before - all.len());
    tally.finish(&channel.around.hook, channel.key.class)
}

/// Returns what went wrong in a run of calls, if anything did.
#[inline]
pub(super) fn failure_in(
    run: Result<Result<(), SubscriberError>, Box<dyn Any + Send>>,
) -> Option<Failure> {
    match run {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failure::Subscriber(error)),
        Err(payload) => Some(failure_of(payload)),
    }
}

#[cold]
pub(super) fn failure_of(payload: Box<dyn Any + Send>) -> Failure {
    match SubscriberFailed::from_payload(payload) {
        Ok(error) => Failure::Subscriber(error),
        Err(payload) => Failure::Panicked(panic_message(payload)),
    }
}

#[cold]
pub(super) fn too_deep<'a, I: ?Sized>(
    channel: &Channel<I>,
    entries: impl Iterator<Item = &'a Arc<SubscriptionEntry>>,
) -> FireReport {
    let mut tally = Tally::default();
    entries.for_each(|entry| tally.add(entry, DeliveryOutcome::Failed(Failure::TooDeep)));
    tally.finish(&channel.around.hook, channel.key.class)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use crate::{Broker, EventContext, event_interface};

    #[event_interface]
    pub(crate) trait Steps {
        fn step(&self, number: u32);
    }

    /// Fails where asked to, at the odd steps behind a nested fire.
    struct Walker {
        inner: Option<StepsPublisher>,
        fails: bool,
    }

    impl Steps for Walker {
        fn step(&self, number: u32) {
            let before = EventContext::current().unwrap();
            if let (Some(inner), true) = (&self.inner, number % 2 == 1) {
                inner.step(number + 1);
            }
            assert_eq!(EventContext::current(), Some(before));
            assert!(!self.fails, "walked into a wall");
        }
    }

    #[test]
    fn subscribers_behind_failures_are_called_and_each_is_counted_once() {
        let broker = Broker::builder().on_failure(|_, _| {}).open().unwrap();
        let steps = broker.publisher::<dyn Steps>().unwrap();
        let guards: Vec<_> = [false, true, true, false, true]
            .into_iter()
            .map(|fails| {
                let inner = Some(steps.clone());
                let walker: Arc<dyn Steps> = Arc::new(Walker { inner, fails });
                broker.subscribe::<dyn Steps>(walker).unwrap()
            })
            .collect();
        let report = steps.step(1);
        assert_eq!((report.delivered(), report.failed()), (2, 3));
        let failed: Vec<_> = report.failures().map(|line| line.subscription()).collect();
        assert_eq!(failed, [1, 2, 4].map(|index| guards[index].id()));
    }
}
