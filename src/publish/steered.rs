//! A fire that publisher filters or a default query steer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::{Filters, Guarded};
use super::members::Members;
use super::payload::Call;
use super::pipeline::{failure_in, too_deep};
use super::prepared::Prepared;
use super::publisher_filter::{FilteredEvent, PublisherFilter, Source};
use super::report::{FireReport, Tally};
use super::selection::{Deliver, Fired, Selection, Then};
use super::steering::Course;
use super::surroundings::Surroundings;
use crate::delivery::{DeliveryOutcome, SkipReason, enter_subscription};
use crate::model::SubscriptionId;
use crate::value::{drop_quietly, panic_message, untyped};

/// Fires a method whose subscriptions are selected before they are matched.
pub(super) fn fire<I: Facet + ?Sized>(
    channel: &Channel<I>,
    members: &Members<I>,
    method: usize,
    course: &Course<'_>,
    row: EventRow<'_>,
    call: &impl Call<I>,
) -> FireReport {
    let entries = &members.roll.entries;
    let Some(_entered) = row.enter(channel.key.class) else {
        return too_deep(channel, entries.iter());
    };
    let mut tally = Tally::default();
    fire_members(channel, members, method, course, row, call, &mut tally);
    tally.finish(&channel.around.hook, channel.key.class)
}

/// Has the subscriptions selected and fires those, in the fire that was begun.
pub(super) fn fire_members<I: Facet + ?Sized>(
    channel: &Channel<I>,
    members: &Members<I>,
    method: usize,
    course: &Course<'_>,
    row: EventRow<'_>,
    call: &impl Call<I>,
    tally: &mut Tally,
) {
    let entries = &members.roll.entries;
    let guarded = Guarded::new(channel, method, row);
    let mut firing = Firing {
        guarded: &guarded,
        members,
        call,
        gone: Vec::new(),
    };
    match course {
        Course::Filters(chain) => {
            if let Some(event) = FilteredEvent::new(&channel.schema, method, &row) {
                let around = &channel.around;
                ask_all(chain, around, &event, entries, &mut firing, tally);
            }
        }
        Course::Query(query) => {
            let selected = query.selected(&members.roll);
            let then = Then::Deliver(&mut firing);
            let mut selection = Selection::new(entries, Some(&selected), then);
            selection.fire_all();
            selection.count(tally);
        }
        Course::Broken(why) => {
            let mut selection = Selection::new(entries, None, Then::Deliver(&mut firing));
            selection.fail_rest(why);
            selection.count(tally);
        }
    }
    guarded.hand_in(call, tally);
    guarded.keep_up(&firing.gone);
}

/// Asks the filters of a chain in order, and counts what the last of them fired, or what was in
/// view of the one that failed.
fn ask_all(
    chain: &[&Source],
    around: &Surroundings,
    event: &FilteredEvent<'_>,
    entries: &[Arc<SubscriptionEntry>],
    firing: &mut dyn Deliver,
    tally: &mut Tally,
) {
    let mut view: Option<Vec<u32>> = None;
    let Some((last, before)) = chain.split_last() else {
        return;
    };
    for source in before {
        let mut selection = Selection::new(entries, view.as_deref(), Then::Select(Vec::new()));
        if let Err(why) = ask(source, around, event, &mut selection) {
            selection.fail_rest(&why);
            return selection.count(tally);
        }
        let selected = selection.selected();
        view = Some(selected);
    }
    let mut selection = Selection::new(entries, view.as_deref(), Then::Deliver(firing));
    if let Err(why) = ask(last, around, event, &mut selection) {
        selection.fail_rest(&why);
    }
    selection.count(tally);
}

/// Asks one filter, or says why it could not be asked to the end.
fn ask(
    source: &Source,
    around: &Surroundings,
    event: &FilteredEvent<'_>,
    selection: &mut Selection<'_>,
) -> Result<(), String> {
    // No subscriber is called yet, and the one of the fire around this is not the filter's.
    enter_subscription(SubscriptionId::from_u128(0));
    let filter = match source {
        Source::Object(filter) => return ask_object(&**filter, event, selection),
        Source::Named(name) => around.named.filter(name),
    };
    let asked = match (&filter, source) {
        (Some(filter), _) => ask_object(&**filter, event, selection),
        (None, source) => Err(source.unregistered()),
    };
    drop_quietly(filter);
    asked
}

fn ask_object(
    filter: &dyn PublisherFilter,
    event: &FilteredEvent<'_>,
    selection: &mut Selection<'_>,
) -> Result<(), String> {
    let asked = catch_unwind(AssertUnwindSafe(|| filter.fire(event, selection)));
    asked.map_err(|payload| format!("the publisher filter panicked: {}", panic_message(payload)))
}

/// What comes behind the publisher filters.
struct Firing<'a, I: ?Sized, C> {
    guarded: &'a Guarded<'a, I>,
    members: &'a Members<I>,
    call: &'a C,
    /// Those whose object is gone.
    gone: Vec<Arc<SubscriptionEntry>>,
}

impl<I, C> Deliver for Firing<'_, I, C>
where
    I: Facet + ?Sized,
    C: Call<I>,
{
    fn deliver(&mut self, place: u32) -> Fired {
        // What most are: nothing to ask, and nobody to make.
        let at_hand = match self.guarded.looks_at_all() {
            true => None,
            false => self.members.at_hand(place),
        };
        let Some((id, target)) = at_hand else {
            return self.guarded(place);
        };
        enter_subscription(id);
        let run = || untyped::call(|| self.call.on(target));
        match failure_in(catch_unwind(AssertUnwindSafe(run))) {
            None => Fired::Delivered,
            Some(failure) => Fired::Noted(Box::new(DeliveryOutcome::Failed(failure))),
        }
    }

    fn is_parallel(&self) -> bool {
        self.guarded.is_parallel()
    }

    fn deliver_together(&mut self, places: &[u32]) -> Vec<Fired> {
        let members = self.members;
        // Every place that a selection gives is one of the members.
        let found = places.iter().filter_map(|place| members.get(*place));
        let found: Vec<_> = found.collect();
        let reached: Vec<_> = found.iter().map(|it| it.reached()).collect();
        let outcomes = self
            .guarded
            .fire_together(&reached, Filters::Asked, self.call);
        let all = found.into_iter().zip(outcomes);
        all.map(|(prepared, it)| self.fired(prepared, it)).collect()
    }
}

impl<I, C> Firing<'_, I, C>
where
    I: Facet + ?Sized,
    C: Call<I>,
{
    #[inline(never)]
    fn guarded(&mut self, place: u32) -> Fired {
        let Some(prepared) = self.members.get(place) else {
            return Fired::Noted(Box::new(DeliveryOutcome::Withheld));
        };
        let outcome = self.guarded.fire_one(prepared, self.call);
        self.fired(prepared, outcome)
    }

    fn fired(&mut self, prepared: &Prepared<I>, outcome: Option<DeliveryOutcome>) -> Fired {
        let Some(outcome) = outcome else {
            return Fired::Past;
        };
        match outcome {
            DeliveryOutcome::Delivered => return Fired::Delivered,
            DeliveryOutcome::FilteredOut => return Fired::FilteredOut,
            DeliveryOutcome::Skipped(SkipReason::Gone) => {
                self.gone.push(Arc::clone(&prepared.entry));
            }
            _ => {}
        }
        Fired::Noted(Box::new(outcome))
    }
}
