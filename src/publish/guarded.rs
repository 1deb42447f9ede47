//! A fire in which filters or targets are asked.

use std::borrow::Borrow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::calling::{self, Step, outcome_of};
use super::catch_up::turn;
use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::event_key::KeyPaths;
use super::event_row::EventRow;
use super::facet::Facet;
use super::payload::Call;
use super::pipeline::failure_of;
use super::plan::Plan;
use super::prepared::{Prepared, Reached};
use super::publisher_filter::FilteredEvent;
use super::queueing::Outgoing;
use super::recalling::Keeping;
use super::report::Tally;
use super::seat::Turn;
use super::triggered;
use super::watch::Watch;
use super::with::FirePart;
use crate::delivery::{DeliveryOutcome, Failure, Parcel, Sight, SkipReason, enter_by_id};
use crate::value::ValueKey;
use crate::value::untyped;

/// A fire in which at least one slot has something to check.
pub(super) struct Guarded<'a, I: ?Sized> {
    channel: &'a Channel<I>,
    method: usize,
    row: EventRow<'a>,
    /// The time of day, read once and only if a slot asks.
    /// Whether a singleton was made, however its call went.
    made: Cell<bool>,
    outgoing: Outgoing<I>,
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

/// How far a fire has come, for when a panic ends a run of calls.
#[derive(Default)]
struct Progress {
    seen: Cell<usize>,
    delivered: Cell<usize>,
    accepted: Cell<usize>,
    suppressed: Cell<usize>,
    filtered: Cell<usize>,
}

impl<'a, I: Facet + ?Sized> Guarded<'a, I> {
    pub(super) fn new(channel: &'a Channel<I>, method: usize, row: EventRow<'a>) -> Self {
        Self {
            channel,
            method,
            row,
            made: Cell::new(false),
            outgoing: Outgoing::default(),
        }
    }

    /// Goes through the subscriptions in order. As for the plain fire one `catch_unwind` stands
    /// around the loop, which goes on behind the one that failed.
    pub(super) fn fire<L: Lineup<I> + ?Sized>(
        &self,
        lineup: &L,
        filters: Filters,
        call: &impl Call<I>,
        tally: &mut Tally,
    ) {
        let mut gone = Vec::new();
        if self.is_parallel() {
            let places = lineup.places().iter();
            let found: Vec<_> = places.filter_map(|place| lineup.get(place)).collect();
            let outcomes = self.fire_together(&found, filters, call);
            for (reached, outcome) in found.into_iter().zip(outcomes) {
                if let Some(outcome) = outcome {
                    count(&reached.plan().entry, outcome, &mut gone, tally);
                }
            }
            self.hand_in(call, tally);
            return self.keep_up(&gone);
        }
        let progress = Progress::default();
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
            count(&reached.plan().entry, outcome, &mut gone, tally);
        }
        tally.deliver(progress.delivered.get());
        tally.accept(progress.accepted.get());
        tally.filter_out(progress.filtered.get());
        tally.suppress(progress.suppressed.get());
        self.hand_in(call, tally);
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

    /// Returns what those who watch the fire know of it.
    pub(super) fn watch(&self) -> Watch {
        self.row.watch
    }

    pub(super) fn channel(&self) -> &Channel<I> {
        self.channel
    }

    /// Notes that a singleton was made.
    pub(super) fn note_made(&self) {
        self.made.set(true);
    }

    /// Calls on, to the subscription of which there is something to report.
    fn run<L: Lineup<I> + ?Sized>(
        &self,
        lineup: &L,
        filters: Filters,
        call: &impl Call<I>,
        progress: &Progress,
    ) -> Option<DeliveryOutcome> {
        let add_one = |count: &Cell<usize>| count.set(count.get() + 1);
        for place in lineup.places().get(progress.seen.get()..)? {
            add_one(&progress.seen);
            let at_hand = match self.looks_at_all() {
                true => None,
                false => lineup.at_hand(place),
            };
            let step = match at_hand {
                // What most of many are: found by an index, and nothing left to ask or to make.
                Some(target) => calling::called(untyped::call(|| call.on(target))),
                None => match lineup.get(place) {
                    Some(reached) => self.deliver(reached, filters, call),
                    None => continue,
                },
            };
            match step {
                Step::Delivered => add_one(&progress.delivered),
                Step::Accepted => add_one(&progress.accepted),
                Step::FilteredOut => add_one(&progress.filtered),
                Step::Suppressed => add_one(&progress.suppressed),
                Step::Past => {}
                Step::Deferred => return Some(DeliveryOutcome::Deferred),
                Step::Skipped(reason) => return Some(DeliveryOutcome::Skipped(reason)),
                Step::Failed(failure) => return Some(DeliveryOutcome::Failed(failure)),
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
        let run = || self.deliver(prepared.reached(), Filters::Asked, call);
        outcome_of(catch_unwind(AssertUnwindSafe(run)))
    }

    /// Returns whether nobody is called without a look at the subscription.
    pub(super) fn looks_at_all(&self) -> bool {
        self.row.watch.is_on() || self.row.part != FirePart::Whole
    }

    /// Returns whether the subscription is for the other part of a fire.
    pub(super) fn is_apart(&self, reached: Reached<'_, I>) -> bool {
        let is_queued = || reached.post().is_some_and(|post| post.queue.is_some());
        match self.row.part {
            FirePart::Whole => false,
            FirePart::Queues => !is_queued(),
            FirePart::Others(_) => is_queued(),
        }
    }

    /// Returns which part of a fire this is.
    pub(super) fn part(&self) -> FirePart {
        self.row.part
    }

    fn deliver(&self, reached: Reached<'_, I>, filters: Filters, call: &impl Call<I>) -> Step {
        if self.is_apart(reached) {
            return Step::Past;
        }
        let withheld = self.withhold_from(reached, filters);
        match withheld.or_else(|| self.not_yet(reached)) {
            Some(step) => step,
            None => self.call(reached, call),
        }
    }

    /// Calls the subscriber on this thread, or hands the event over to it.
    pub(super) fn call(&self, reached: Reached<'_, I>, call: &impl Call<I>) -> Step {
        match reached.post() {
            Some(post) => post.send(self, reached.plan(), call),
            None => self.call_here(reached, call),
        }
    }

    /// Calls the subscriber on this thread, of which all was asked.
    pub(super) fn call_here(&self, reached: Reached<'_, I>, call: &impl Call<I>) -> Step {
        let Channel { around, schema, .. } = self.channel;
        let call = |target: &I| call.on(target);
        let call = || calling::call(reached.callee(), around, schema, &self.made, &call);
        self.row.watch.call(reached.plan().watched(), around, call)
    }

    /// Returns the event for those who get it later.
    pub(super) fn parcel(&self, call: &impl Call<I>) -> Arc<dyn Parcel> {
        call.parcel()
    }

    /// Returns what the class keeps of the event, if it does.
    pub(super) fn keeping(&self) -> Option<Keeping<'a>> {
        self.row.keeping
    }

    /// Returns what the fire has for queues.
    pub(super) fn outgoing(&self) -> &Outgoing<I> {
        &self.outgoing
    }

    /// Returns by what the event is told apart.
    pub(super) fn key(&self, paths: &KeyPaths) -> ValueKey {
        paths.key(self.method, &self.row)
    }

    /// Calls `with` with the bytes by which the event is told apart.
    #[inline]
    pub(super) fn with_key<R>(&self, paths: &KeyPaths, with: impl FnOnce(&[u8]) -> R) -> R {
        triggered::with_key(paths, self.method, &self.row, with)
    }

    /// Asks the filter and the predicate of a subscription whose trigger waits for them to become
    /// true, and returns what the event is to the trigger.
    pub(super) fn look(&self, plan: &Plan) -> Result<Sight, Step> {
        let mut matches = self.passes_filter(plan);
        if matches && plan.entry.record.predicate().is_some() {
            match self.ask_predicate(plan) {
                None => {}
                Some(Step::FilteredOut) => matches = false,
                Some(step) => return Err(step),
            }
        }
        let sight = triggered::sight(plan, self.method, &self.row, matches);
        sight.ok_or(Step::FilteredOut)
    }

    /// Returns where it is noted that a singleton was made.
    pub(super) fn made(&self) -> &Cell<bool> {
        &self.made
    }

    /// Returns what becomes of a subscription that the event does not reach.
    pub(super) fn withhold_from(&self, reached: Reached<'_, I>, filters: Filters) -> Option<Step> {
        let plan = reached.plan();
        if reached.is_conditional()
            && let Some(step) = withhold(plan)
        {
            return Some(step);
        }
        let is_filtered = filters == Filters::Asked && !reached.sees_all();
        if is_filtered && !self.passes_filter(plan) {
            return Some(Step::FilteredOut);
        }
        if !reached.is_conditional() {
            return None;
        }
        // Behind the filter, as an index has asked that already.
        if !self.row.has_role_for(&plan.entry) {
            return Some(match reached.sees_all() && !self.passes_filter(plan) {
                true => Step::FilteredOut,
                false => Step::Skipped(SkipReason::PublisherRole),
            });
        }
        if reached.sees_all() {
            return None;
        }
        self.ask_predicate(plan)
    }

    fn passes_filter(&self, plan: &Plan) -> bool {
        let filter = plan.predicate(self.method);
        filter.is_none_or(|filter| filter.evaluate(&self.row) == Some(true))
    }

    /// Returns what becomes of an event where it is not, or not yet, the subscription's turn. Asked
    /// last, as what waits is not asked again, and right before the call, as it may give the
    /// subscription what it waits for.
    pub(super) fn not_yet(&self, reached: Reached<'_, I>) -> Option<Step> {
        if !reached.is_conditional() {
            return None;
        }
        let seat = reached.plan().seat()?;
        match turn(self.channel, self.method, &self.row, reached, seat) {
            Ok(Turn::Now) => None,
            Ok(Turn::Later) => Some(Step::Deferred),
            Ok(Turn::Past) => Some(Step::Past),
            Err(failure) => Some(Step::Failed(failure)),
        }
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

impl<'a, I: Facet + ?Sized> Lineup<I> for Vec<Reached<'a, I>> {
    type Place = Reached<'a, I>;

    fn places(&self) -> &[Self::Place] {
        self
    }

    fn get<'s>(&'s self, place: &'s Self::Place) -> Option<Reached<'s, I>> {
        Some(*place)
    }
}

/// Returns what becomes of a subscription that is suspended.
fn withhold(plan: &Plan) -> Option<Step> {
    let why = plan.suspended()?;
    Some(Step::Skipped(SkipReason::Suspended(why.to_owned())))
}

/// Counts how one delivery ended, or has the report say it.
fn count(
    entry: &Arc<SubscriptionEntry>,
    outcome: DeliveryOutcome,
    gone: &mut Vec<Arc<SubscriptionEntry>>,
    tally: &mut Tally,
) {
    match outcome {
        DeliveryOutcome::Delivered => return tally.deliver(1),
        DeliveryOutcome::Accepted => return tally.accept(1),
        DeliveryOutcome::FilteredOut => return tally.filter_out(1),
        DeliveryOutcome::Skipped(SkipReason::Gone) => gone.push(Arc::clone(entry)),
        _ => {}
    }
    tally.add(entry, outcome);
}
