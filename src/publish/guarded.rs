//! A fire in which filters, times or targets are asked.

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use super::calling::{self, Step, outcome_of};
use super::catch_up::turn;
use super::channel::Channel;
use super::class_facts::ClassFacts;
use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::gate::Clearance;
use super::kept::KeptEvent;
use super::payload::Call;
use super::pipeline::failure_of;
use super::prepared::Prepared;
use super::publisher_filter::FilteredEvent;
use super::report::Tally;
use super::seat::Turn;
use super::steering::{Course, Steering};
use crate::delivery::{
    DeliveryOutcome, Drawn, Entered, Failure, SkipReason, enter, enter_as, enter_subscription,
};
use crate::filter::Row;
use crate::model::EventClassId;
use crate::value::untyped;
use crate::value::{InterfaceSchema, Properties, ValueRef};

/// A fire in which at least one slot has something to check.
pub(super) struct Guarded<'a, I: ?Sized> {
    channel: &'a Channel<I>,
    method: usize,
    row: EventRow<'a>,
    /// The time of day, read once and only if a slot asks.
    now: Cell<Option<SystemTime>>,
    /// Whether a singleton was made, however its call went.
    made: Cell<bool>,
}

/// Whether the filters were asked already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    /// Each slot's filter is to be asked.
    Asked,
    /// The index has found the slots, so their filters are true.
    Passed,
}

/// How far a fire has come, for when a panic ends a run of calls.
#[derive(Default)]
struct Progress {
    seen: Cell<usize>,
    delivered: Cell<usize>,
    filtered: Cell<usize>,
}

impl<'a, I: Facet + ?Sized> Guarded<'a, I> {
    pub(super) fn new(channel: &'a Channel<I>, method: usize, row: EventRow<'a>) -> Self {
        Self {
            channel,
            method,
            row,
            now: Cell::new(None),
            made: Cell::new(false),
        }
    }

    /// Goes through the slots in order. As for the plain fire one `catch_unwind` stands around the
    /// loop, which goes on behind the slot that failed.
    pub(super) fn fire<'s, S>(
        &self,
        slots: &'s [S],
        prepared: &impl Fn(&'s S) -> Option<&'s Prepared<I>>,
        filters: Filters,
        call: &impl Call<I>,
        tally: &mut Tally,
    ) {
        let mut gone = Vec::new();
        if self.is_parallel() {
            let found: Vec<_> = slots.iter().filter_map(prepared).collect();
            let outcomes = self.fire_together(&found, filters, call);
            for (Prepared { entry, .. }, outcome) in found.into_iter().zip(outcomes) {
                if let Some(outcome) = outcome {
                    count(entry, outcome, &mut gone, tally);
                }
            }
            return self.keep_up(&gone);
        }
        let progress = Progress::default();
        loop {
            let run = || self.run(slots, prepared, filters, call, &progress);
            let outcome = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(None) => break,
                Ok(Some(outcome)) => outcome,
                Err(payload) => DeliveryOutcome::Failed(failure_of(payload)),
            };
            let Some(last) = slots.get(progress.seen.get() - 1) else {
                break;
            };
            let Some(Prepared { entry, .. }) = prepared(last) else {
                continue;
            };
            count(entry, outcome, &mut gone, tally);
        }
        tally.deliver(progress.delivered.get());
        tally.filter_out(progress.filtered.get());
        self.keep_up(&gone);
    }

    /// Returns whether several subscribers may be called at the same time.
    pub(super) fn is_parallel(&self) -> bool {
        self.at_a_time() > 1
    }

    /// Returns how many subscribers may be called at the same time.
    pub(super) fn at_a_time(&self) -> usize {
        self.row.facts.at_a_time
    }

    pub(super) fn channel(&self) -> &Channel<I> {
        self.channel
    }

    /// Notes that a singleton was made.
    pub(super) fn note_made(&self) {
        self.made.set(true);
    }

    /// Calls on, to the slot of which there is something to report.
    fn run<'s, S>(
        &self,
        slots: &'s [S],
        prepared: &impl Fn(&'s S) -> Option<&'s Prepared<I>>,
        filters: Filters,
        call: &impl Call<I>,
        progress: &Progress,
    ) -> Option<DeliveryOutcome> {
        let add_one = |count: &Cell<usize>| count.set(count.get() + 1);
        for part in slots.get(progress.seen.get()..)?.chunks(TOGETHER) {
            if filters == Filters::Passed {
                fetch(part, prepared);
            }
            for slot in part {
                add_one(&progress.seen);
                let Some(prepared) = prepared(slot) else {
                    continue;
                };
                // What most of many are: found by an index, and nothing left to ask or to make.
                if let (Filters::Passed, Some(target)) = (filters, prepared.at_hand()) {
                    enter_subscription(prepared.id);
                    match untyped::call(|| call.on(target)) {
                        Ok(()) => add_one(&progress.delivered),
                        Err(error) => {
                            return Some(DeliveryOutcome::Failed(Failure::Subscriber(error)));
                        }
                    }
                    continue;
                }
                match self.deliver(prepared, filters, call) {
                    Step::Delivered => add_one(&progress.delivered),
                    Step::FilteredOut => add_one(&progress.filtered),
                    Step::Past => {}
                    Step::Deferred => return Some(DeliveryOutcome::Deferred),
                    Step::Skipped(reason) => return Some(DeliveryOutcome::Skipped(reason)),
                    Step::Failed(failure) => return Some(DeliveryOutcome::Failed(failure)),
                }
            }
        }
        None
    }

    /// Does with one subscription what comes behind a publisher filter. Nothing becomes of one that
    /// is too new for the event.
    pub(super) fn fire_one(
        &self,
        prepared: &Prepared<I>,
        call: &impl Call<I>,
    ) -> Option<DeliveryOutcome> {
        let run = || self.deliver(prepared, Filters::Asked, call);
        outcome_of(catch_unwind(AssertUnwindSafe(run)))
    }

    fn deliver(&self, prepared: &Prepared<I>, filters: Filters, call: &impl Call<I>) -> Step {
        match self.withhold_from(prepared, filters) {
            Some(step) => step,
            None => self.call(prepared, call),
        }
    }

    /// Calls the subscriber on this thread.
    pub(super) fn call(&self, prepared: &Prepared<I>, call: &impl Call<I>) -> Step {
        let Channel { around, schema, .. } = self.channel;
        let call = |target: &I| call.on(target);
        calling::call(prepared, around, schema, &self.made, &call)
    }

    /// Returns what becomes of a subscription that the event does not reach, or does not reach now.
    pub(super) fn withhold_from(&self, prepared: &Prepared<I>, filters: Filters) -> Option<Step> {
        if prepared.is_conditional()
            && let Some(step) = self.withhold(prepared)
        {
            return Some(step);
        }
        if filters == Filters::Asked {
            let predicate = prepared.predicate(self.method);
            if predicate.is_some_and(|predicate| predicate.evaluate(&self.row) != Some(true)) {
                return Some(Step::FilteredOut);
            }
        }
        // Behind the filter, as an index has asked that already.
        if prepared.is_conditional() {
            if !self.row.has_role_for(&prepared.entry) {
                return Some(Step::Skipped(SkipReason::PublisherRole));
            }
            if let Some(step) = self.ask_predicate(prepared) {
                return Some(step);
            }
        }
        // Last, as what waits is not asked again.
        self.not_yet(prepared)
    }

    /// Returns what becomes of an event where it is not, or not yet, the subscription's turn.
    fn not_yet(&self, prepared: &Prepared<I>) -> Option<Step> {
        let seat = prepared.seat()?;
        match turn(self.channel, self.method, &self.row, prepared, seat) {
            Ok(Turn::Now) => None,
            Ok(Turn::Later) => Some(Step::Deferred),
            Ok(Turn::Past) => Some(Step::Past),
            Err(failure) => Some(Step::Failed(failure)),
        }
    }

    /// Returns what becomes of a subscription that is suspended or out of its time.
    fn withhold(&self, prepared: &Prepared<I>) -> Option<Step> {
        if let Some(why) = prepared.suspended() {
            return Some(Step::Skipped(SkipReason::Suspended(why.to_owned())));
        }
        let timed = prepared.is_timed().then(|| self.now());
        timed
            .is_some_and(|now| prepared.is_early(now) || prepared.is_expired(now))
            .then_some(Step::FilteredOut)
    }

    /// Returns what becomes of a subscription whose predicate does not let the event pass.
    fn ask_predicate(&self, prepared: &Prepared<I>) -> Option<Step> {
        let name = prepared.entry.record.predicate()?;
        let event = FilteredEvent::new(&self.channel.schema, self.method, &self.row)?;
        enter_subscription(prepared.id);
        match self.channel.around.named.ask(name, &event) {
            Ok(true) => None,
            Ok(false) => Some(Step::FilteredOut),
            Err(why) => Some(Step::Failed(Failure::Predicate(why))),
        }
    }

    fn now(&self) -> SystemTime {
        self.now.get().unwrap_or_else(|| {
            let now = self.channel.around.clock.now();
            self.now.set(Some(now));
            now
        })
    }

    /// Takes singletons that were made into the snapshot, and objects that are gone out of it.
    pub(super) fn keep_up(&self, gone: &[Arc<SubscriptionEntry>]) {
        self.channel.refresh(self.made.get());
        if !gone.is_empty()
            && let Some(upkeep) = self.channel.around.upkeep.upgrade()
        {
            upkeep.prune(gone);
        }
    }
}

/// Reads something of each slot, so that the processor fetches them side by side: found by an index,
/// they lie all over the memory, and calls between them would make it wait for each in turn.
#[inline]
fn fetch<'s, S, I: ?Sized + 's>(
    slots: &'s [S],
    prepared: &impl Fn(&'s S) -> Option<&'s Prepared<I>>,
) {
    let conditional = slots.iter().filter_map(prepared);
    black_box(conditional.fold(0, |count, it| count + u32::from(it.is_conditional())));
}

/// Far more than memory can be asked for at a time, far less than the first-level cache holds.
const TOGETHER: usize = 32;

/// Counts how one delivery ended, or has the report say it.
fn count(
    entry: &Arc<SubscriptionEntry>,
    outcome: DeliveryOutcome,
    gone: &mut Vec<Arc<SubscriptionEntry>>,
    tally: &mut Tally,
) {
    match outcome {
        DeliveryOutcome::Delivered => return tally.deliver(1),
        DeliveryOutcome::FilteredOut => return tally.filter_out(1),
        DeliveryOutcome::Skipped(SkipReason::Gone) => gone.push(Arc::clone(entry)),
        _ => {}
    }
    tally.add(entry, outcome);
}

/// An event with its publisher's properties, as filters see it.
#[derive(Clone, Copy)]
pub(super) struct EventRow<'a> {
    pub(super) values: &'a [ValueRef<'a>],
    /// What is lent to this one event.
    pub(super) lent: &'a [(&'a str, ValueRef<'a>)],
    pub(super) own: &'a Arc<Properties>,
    pub(super) facts: &'a Arc<ClassFacts>,
    /// What the principal may do that fires it, if one does.
    pub(super) clearance: Option<&'a Arc<Clearance>>,
    /// The publisher filters and default queries of the object that fires it, if it has any.
    pub(super) steering: Option<&'a Arc<Steering>>,
    /// What its method retains of it.
    pub(super) kept: Option<Kept<'a>>,
}

/// A live event of a method that retains events.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) place: u64,
    /// None, if its values could not be read.
    pub(super) event: Option<&'a Arc<KeptEvent>>,
    pub(super) drawn: Drawn,
}

impl<'a> EventRow<'a> {
    /// Returns who selects the subscriptions of its method, if anybody does.
    pub(super) fn course(&self, schema: &'a InterfaceSchema, method: usize) -> Option<Course<'a>> {
        let steering = self.steering.map(|steering| &**steering);
        Course::of(steering, self.facts.conduct(method), schema, method)
    }

    /// Begins the fire of the event.
    pub(super) fn enter(&self, class: EventClassId) -> Option<Entered> {
        match &self.kept {
            Some(kept) => enter_as(class, kept.drawn),
            None => enter(class),
        }
    }

    /// Returns whether whoever fires it has the role that the subscription demands, if it does.
    pub(super) fn has_role_for(&self, entry: &SubscriptionEntry) -> bool {
        let role = entry.record.publisher_role();
        match (self.clearance, role) {
            (Some(clearance), Some(role)) => clearance.has_role(role.as_str()),
            _ => true,
        }
    }
}

impl Row for EventRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        self.values.get(index).copied().unwrap_or(ValueRef::Null)
    }

    fn publisher(&self, name: &str) -> ValueRef<'_> {
        let mut lent = self.lent.iter();
        if let Some((_, value)) = lent.find(|(lent, _)| *lent == name) {
            return *value;
        }
        let value = self.own.get(name).or_else(|| self.facts.defaults.get(name));
        value.map_or(ValueRef::Null, |value| value.view())
    }
}
