//! A fire in which filters, times or targets are asked.

use std::any::Any;
use std::borrow::Borrow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use super::channel::{Channel, ClassFacts};
use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::gate::Clearance;
use super::pipeline::failure_of;
use super::plan::Plan;
use super::prepared::{Prepared, Reached};
use super::publisher_filter::FilteredEvent;
use super::report::Tally;
use super::target::Resolved;
use crate::component::Lease;
use crate::delivery::{DeliveryOutcome, Failure, SkipReason, enter_by_id};
use crate::filter::Row;
use crate::model::SubscriptionId;
use crate::value::untyped;
use crate::value::{Properties, SubscriberError, ValueRef};

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

/// The subscriptions that a guarded fire goes through, in the order of calling.
pub(super) trait Lineup<I: ?Sized> {
    /// What stands for one of them.
    type Place;

    fn places(&self) -> &[Self::Place];

    fn get<'s>(&'s self, place: &'s Self::Place) -> Option<Reached<'s, I>>;

    /// Returns who is to be called, if there is nothing left to ask and nobody to make, and says to
    /// the event's context which subscription it is.
    fn at_hand(&self, _place: &Self::Place) -> Option<&I> {
        None
    }
}

/// Whether the filters were asked already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    /// Each slot's filter is to be asked.
    Asked,
    /// The index has found the slots, so their filters are true.
    Passed,
}

/// What came of one guarded slot, short of an unwinding panic.
enum Step {
    Delivered,
    FilteredOut,
    Skipped(SkipReason),
    Failed(Failure),
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

    /// Goes through the subscriptions in order. As for the plain fire one `catch_unwind` stands
    /// around the loop, which goes on behind the one that failed.
    pub(super) fn fire<L: Lineup<I> + ?Sized>(
        &self,
        lineup: &L,
        filters: Filters,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
        tally: &mut Tally,
    ) {
        let progress = Progress::default();
        let mut gone = Vec::new();
        loop {
            let run = || self.run(lineup, filters, call, &progress);
            let outcome = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(None) => break,
                Ok(Some(outcome)) => outcome,
                Err(payload) => DeliveryOutcome::Failed(failure_of(payload)),
            };
            let Some(last) = lineup.places().get(progress.seen.get() - 1) else {
                break;
            };
            let Some(reached) = lineup.get(last) else {
                continue;
            };
            let entry = &reached.plan().entry;
            if matches!(outcome, DeliveryOutcome::Skipped(SkipReason::Gone)) {
                gone.push(Arc::clone(entry));
            }
            tally.add(entry, outcome);
        }
        tally.deliver(progress.delivered.get());
        tally.filter_out(progress.filtered.get());
        self.keep_up(&gone);
    }

    /// Calls on, to the subscription of which there is something to report.
    fn run<L: Lineup<I> + ?Sized>(
        &self,
        lineup: &L,
        filters: Filters,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
        progress: &Progress,
    ) -> Option<DeliveryOutcome> {
        let add_one = |count: &Cell<usize>| count.set(count.get() + 1);
        for place in lineup.places().get(progress.seen.get()..)? {
            add_one(&progress.seen);
            let step = match lineup.at_hand(place) {
                // What most of many are: found by an index, and nothing left to ask or to make.
                Some(target) => called(untyped::call(|| call(target))),
                None => match lineup.get(place) {
                    Some(reached) => self.deliver(&reached, filters, call),
                    None => continue,
                },
            };
            match step {
                Step::Delivered => add_one(&progress.delivered),
                Step::FilteredOut => add_one(&progress.filtered),
                Step::Skipped(reason) => return Some(DeliveryOutcome::Skipped(reason)),
                Step::Failed(failure) => return Some(DeliveryOutcome::Failed(failure)),
            }
        }
        None
    }

    /// Does with one subscription what comes behind a publisher filter.
    pub(super) fn fire_one(
        &self,
        prepared: &Prepared<I>,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> DeliveryOutcome {
        let run = || self.deliver(&prepared.reached(), Filters::Asked, call);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Step::Delivered) => DeliveryOutcome::Delivered,
            Ok(Step::FilteredOut) => DeliveryOutcome::FilteredOut,
            Ok(Step::Skipped(reason)) => DeliveryOutcome::Skipped(reason),
            Ok(Step::Failed(failure)) => DeliveryOutcome::Failed(failure),
            Err(payload) => DeliveryOutcome::Failed(failure_of(payload)),
        }
    }

    fn deliver(
        &self,
        reached: &Reached<'_, I>,
        filters: Filters,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> Step {
        let plan = reached.plan();
        if reached.is_conditional()
            && let Some(step) = self.withhold(plan)
        {
            return step;
        }
        if filters == Filters::Asked {
            let predicate = plan.predicate(self.method);
            if predicate.is_some_and(|predicate| predicate.evaluate(&self.row) != Some(true)) {
                return Step::FilteredOut;
            }
        }
        // Behind the filter, as an index has asked that already.
        if reached.is_conditional() {
            if !self.row.has_role_for(&plan.entry) {
                return Step::Skipped(SkipReason::PublisherRole);
            }
            if let Some(step) = self.ask_predicate(plan) {
                return step;
            }
        }
        enter_by_id(plan.id);
        let target = match reached.resolve(&self.channel.around, &self.channel.schema) {
            Resolved::Ready(target) => target,
            Resolved::First(target) => {
                self.made.set(true);
                // The factory may have fired events of its own.
                enter_by_id(plan.id);
                target
            }
            Resolved::Once(target, lease) => return call_once(plan.id, target, lease, call),
            Resolved::Gone => return Step::Skipped(SkipReason::Gone),
            Resolved::Failed(error) => return Step::Failed(Failure::Activation(error)),
        };
        called(untyped::call(|| call(target)))
    }

    /// Returns what becomes of a subscription that is suspended or out of its time.
    fn withhold(&self, plan: &Plan) -> Option<Step> {
        if let Some(why) = plan.suspended() {
            return Some(Step::Skipped(SkipReason::Suspended(why.to_owned())));
        }
        let timed = plan.is_timed().then(|| self.now());
        timed
            .is_some_and(|now| plan.is_early(now) || plan.is_expired(now))
            .then_some(Step::FilteredOut)
    }

    /// Returns what becomes of a subscription whose predicate does not let the event pass.
    fn ask_predicate(&self, plan: &Plan) -> Option<Step> {
        let name = plan.entry.record.predicate()?;
        let event = FilteredEvent::new(&self.channel.schema, self.method, &self.row)?;
        enter_by_id(plan.id);
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

impl<I: Facet + ?Sized, P: Borrow<Prepared<I>>> Lineup<I> for [P] {
    type Place = P;

    fn places(&self) -> &[P] {
        self
    }

    fn get<'s>(&'s self, place: &'s P) -> Option<Reached<'s, I>> {
        Some(place.borrow().reached())
    }
}

#[inline]
fn called(outcome: Result<(), SubscriberError>) -> Step {
    match outcome {
        Ok(()) => Step::Delivered,
        Err(error) => Step::Failed(Failure::Subscriber(error)),
    }
}

/// Calls a subscriber that is dropped, or given back, behind its call.
fn call_once<I: ?Sized>(
    id: SubscriptionId,
    target: Arc<I>,
    mut lease: Lease,
    call: &impl Fn(&I) -> Result<(), SubscriberError>,
) -> Step {
    // The factory may have fired events of its own.
    enter_by_id(id);
    let called = catch_unwind(AssertUnwindSafe(|| untyped::call(|| call(&target))));
    if called.is_err() {
        lease.spoil();
    }
    // Dropped when no panic unwinds any more: a second one would end the process.
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        drop(target);
        drop(lease);
    }));
    match (called, dropped) {
        (Ok(Ok(())), Ok(())) => Step::Delivered,
        (Ok(Err(error)), Ok(())) => Step::Failed(Failure::Subscriber(error)),
        (Err(payload), Ok(())) => Step::Failed(failure_of(payload)),
        (called, Err(payload)) => dropped_badly(called, payload),
    }
}

/// An event with its publisher's properties, as filters see it.
#[derive(Clone, Copy)]
pub(super) struct EventRow<'a> {
    pub(super) values: &'a [ValueRef<'a>],
    pub(super) own: &'a Properties,
    pub(super) facts: &'a ClassFacts,
    /// What the principal may do that fires it, if one does.
    pub(super) clearance: Option<&'a Clearance>,
}

impl EventRow<'_> {
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
        let value = self.own.get(name).or_else(|| self.facts.defaults.get(name));
        value.map_or(ValueRef::Null, |value| value.view())
    }
}

/// Returns the first of the two things that went wrong.
#[cold]
fn dropped_badly(
    called: thread::Result<Result<(), SubscriberError>>,
    payload: Box<dyn Any + Send>,
) -> Step {
    let second = failure_of(payload);
    Step::Failed(match called {
        Ok(Ok(())) => second,
        Ok(Err(error)) => Failure::Subscriber(error),
        Err(payload) => failure_of(payload),
    })
}
