//! The pipeline of a fire: snapshot, match, delivery, report.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use super::channel::{Channel, ClassFacts};
use super::facet::Facet;
use super::lane::{GuardedSlot, Lane, PlainSlot};
use super::prepared::{Prepared, Resolved, SubscriptionEntry};
use super::publisher::Own;
use super::report::{FireReport, Tally};
use crate::delivery::{
    DeliveryOutcome, Failure, SkipReason, enter, enter_subscription, entered_subscription,
};
use crate::filter::Row;
use crate::model::SubscriptionId;
use crate::value::untyped::{self, SubscriberFailed};
use crate::value::{Properties, SubscriberError, ValueRef, panic_message};

/// Fires the method at index `method`.
///
/// `values` makes the event's values, and is asked only if a slot needs them; `call` calls the
/// method on one subscriber with the caller's own arguments.
#[inline]
pub(crate) fn fire<'e, I, V>(
    channel: &Channel<I>,
    method: usize,
    own: &Own,
    values: impl Fn() -> V,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport
where
    I: Facet + ?Sized,
    V: AsRef<[ValueRef<'e>]>,
{
    let snapshot = channel.cache.load();
    match snapshot.method(method) {
        Some(Lane::Plain { slots, entries }) => {
            if slots.is_empty() {
                return FireReport::default();
            }
            let Some(_entered) = enter(channel.key.class) else {
                return too_deep(channel, entries.iter());
            };
            fire_plain(channel, slots, entries, call)
        }
        Some(Lane::Guarded { slots }) => {
            let Some(_entered) = enter(channel.key.class) else {
                return too_deep(channel, slots.iter().map(|slot| &slot.prepared.entry));
            };
            let values = values();
            let facts = channel.class_facts();
            let own = own.properties();
            let row = EventRow {
                values: values.as_ref(),
                own: &own,
                facts: &facts,
            };
            Guarded {
                channel,
                method,
                row,
                now: Cell::new(None),
            }
            .fire(slots, call)
        }
        None => FireReport::default(),
    }
}

/// Calls every slot. One `catch_unwind` stands around the loop, not around each call: after a
/// failure the loop goes on behind the slot that failed.
#[inline]
fn fire_plain<I: ?Sized>(
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    entries: &[Arc<SubscriptionEntry>],
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    let all = catch_unwind(AssertUnwindSafe(|| call_each(slots, call)));
    if let Some(failure) = failure_in(all) {
        return go_on(failure, channel, slots, entries, call);
    }
    // A tally of its own: one that `go_on` could reach would be written to memory piece by piece.
    let mut tally = Tally::default();
    tally.deliver(slots.len());
    tally.finish(&channel.around.hook, channel.key.class)
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
fn go_on<I: ?Sized>(
    failure: Failure,
    channel: &Channel<I>,
    slots: &[PlainSlot<I>],
    entries: &[Arc<SubscriptionEntry>],
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> FireReport {
    let mut tally = Tally::default();
    let mut rest = slots.iter().zip(entries);
    let mut failed = 0;
    let mut failure = Some(failure);
    while let Some(cause) = failure {
        // The context knows who was called last, so the loop need not count on its way.
        let last = entered_subscription();
        if let Some((_, entry)) = rest.find(|(slot, _)| slot.id == last) {
            failed += 1;
            tally.add(entry, DeliveryOutcome::Failed(cause));
        }
        let behind = &slots[slots.len() - rest.len()..];
        failure = failure_in(catch_unwind(AssertUnwindSafe(|| call_each(behind, call))));
    }
    tally.deliver(slots.len() - failed);
    tally.finish(&channel.around.hook, channel.key.class)
}

/// A fire in which at least one slot has something to check.
struct Guarded<'a, I: ?Sized> {
    channel: &'a Channel<I>,
    method: usize,
    row: EventRow<'a>,
    /// The time of day, read once and only if a slot asks.
    now: Cell<Option<SystemTime>>,
}

/// What came of one guarded slot, short of an unwinding panic.
enum Step {
    Delivered,
    Made,
    FilteredOut,
    Skipped(SkipReason),
    Failed(Failure),
}

impl<I: Facet + ?Sized> Guarded<'_, I> {
    fn fire(
        &self,
        slots: &[GuardedSlot<I>],
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> FireReport {
        let mut tally = Tally::default();
        let mut gone = Vec::new();
        let mut made = false;
        for slot in slots {
            let prepared = &slot.prepared;
            let step = catch_unwind(AssertUnwindSafe(|| self.deliver(prepared, call)));
            let entry = &prepared.entry;
            match step.unwrap_or_else(|payload| Step::Failed(failure_of(payload))) {
                Step::Delivered => tally.deliver(1),
                Step::Made => {
                    tally.deliver(1);
                    made = true;
                }
                Step::FilteredOut => tally.filter_out(),
                Step::Skipped(reason) => {
                    if reason == SkipReason::Gone {
                        gone.push(entry.record.id());
                    }
                    tally.add(entry, DeliveryOutcome::Skipped(reason));
                }
                Step::Failed(failure) => tally.add(entry, DeliveryOutcome::Failed(failure)),
            }
        }
        self.keep_up(made, &gone);
        tally.finish(&self.channel.around.hook, self.channel.key.class)
    }

    fn deliver(
        &self,
        prepared: &Prepared<I>,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> Step {
        if let Some(why) = &prepared.suspended {
            return Step::Skipped(SkipReason::Suspended(why.clone()));
        }
        if prepared.is_timed() {
            let now = self.now();
            if prepared.is_early(now) || prepared.is_expired(now) {
                return Step::FilteredOut;
            }
        }
        let predicate = prepared.predicate(self.method);
        if predicate.is_some_and(|predicate| predicate.evaluate(&self.row) != Some(true)) {
            return Step::FilteredOut;
        }
        enter_subscription(prepared.entry.record.id());
        let (target, done) = match prepared.resolve(&self.channel.around, &self.channel.schema) {
            Resolved::Ready(target) => (target, Step::Delivered),
            Resolved::First(target) => (target, Step::Made),
            Resolved::Gone => return Step::Skipped(SkipReason::Gone),
            Resolved::Failed(error) => return Step::Failed(Failure::Activation(error)),
        };
        // The filter or the factory may have fired events of its own.
        enter_subscription(prepared.entry.record.id());
        untyped::call(|| call(&target))
            .map_or_else(|error| Step::Failed(Failure::Subscriber(error)), |()| done)
    }

    fn now(&self) -> SystemTime {
        self.now.get().unwrap_or_else(|| {
            let now = self.channel.around.clock.now();
            self.now.set(Some(now));
            now
        })
    }

    /// Asks the broker to take singletons into the snapshot and gone objects out of it.
    fn keep_up(&self, made: bool, gone: &[SubscriptionId]) {
        if !made && gone.is_empty() {
            return;
        }
        let Some(upkeep) = self.channel.around.upkeep.upgrade() else {
            return;
        };
        if made {
            upkeep.refresh(self.channel.key);
        }
        if !gone.is_empty() {
            upkeep.prune(gone);
        }
    }
}

/// An event with its publisher's properties, as filters see it.
pub(crate) struct EventRow<'a> {
    pub(crate) values: &'a [ValueRef<'a>],
    pub(crate) own: &'a Properties,
    pub(crate) facts: &'a ClassFacts,
}

impl Row for EventRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        self.values.get(index).copied().unwrap_or(ValueRef::Null)
    }

    fn publisher(&self, name: &str) -> ValueRef<'_> {
        let value = self.own.get(name).or_else(|| self.facts.defaults.get(name));
        value.map_or(ValueRef::Null, |value| value.view())
    }
}

/// Returns what went wrong in a run of calls, if anything did.
#[inline]
fn failure_in(run: Result<Result<(), SubscriberError>, Box<dyn Any + Send>>) -> Option<Failure> {
    match run {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failure::Subscriber(error)),
        Err(payload) => Some(failure_of(payload)),
    }
}

#[cold]
fn failure_of(payload: Box<dyn Any + Send>) -> Failure {
    match SubscriberFailed::from_payload(payload) {
        Ok(error) => Failure::Subscriber(error),
        Err(payload) => Failure::Panicked(panic_message(payload)),
    }
}

#[cold]
fn too_deep<'a, I: ?Sized>(
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
