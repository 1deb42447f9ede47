//! Past events, for queues that begin with them.

use std::cell::Cell;
use std::sync::Arc;

use super::channel::Channel;
use super::class_facts::ClassFacts;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::Guarded;
use super::payload::Call;
use super::plan::Plan;
use super::post::Post;
use super::publisher_filter::FilteredEvent;
use super::queueing::digest;
use super::report::{FireReport, Tally};
use super::site::Site;
use super::steering::Course;
use super::surroundings::Surroundings;
use super::triggered;
use super::versions::{event_in, method_in};
use super::watch::Watch;
use super::with::FirePart;
use crate::clock::Clock;
use crate::delivery::{DeliveryOutcome, Failure, KeepPast, Parcel, Screened, enter_by_id};
use crate::model::{EventClass, EventClassId, Start};
use crate::notices::Notice;
use crate::store::Trash;
use crate::value::{Properties, ValueRef};

/// What a fire of a class with a history is to have kept.
#[derive(Clone, Copy)]
pub(super) struct Keeping<'a> {
    pub(super) keep: KeepPast,
    /// Whether it was handed in.
    pub(super) is_done: &'a Cell<bool>,
}

/// What a past event is asked for a subscription.
#[derive(Clone)]
pub(super) struct Screen {
    plan: Plan,
    facts: Arc<ClassFacts>,
}

impl ClassFacts {
    /// Returns what a fire of the class has kept, if it keeps a history.
    pub(super) fn keep(&self, class: EventClassId, around: &Surroundings) -> Option<KeepPast> {
        let history = self.record.history()?;
        Some(KeepPast {
            class,
            mark: around.journal.mark(),
            waits: history.waits(),
        })
    }
}

/// Has an event kept for which no subscription was looked at.
pub(super) fn keep_alone<I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    row: &EventRow<'_>,
    call: &impl Call<I>,
    report: &mut FireReport,
) {
    if row.keeping.is_none_or(|keeping| keeping.is_done.get()) {
        return;
    }
    let Some(_entered) = row.enter(channel.key.class) else {
        return report.leave_out(Failure::TooDeep.to_string());
    };
    let mut tally = Tally::default();
    Guarded::new(channel, method, *row).hand_in(call, &mut tally);
    if let Some(why) = tally
        .finish(&channel.around.hook, channel.key.class)
        .unkept()
    {
        report.leave_out(why.to_owned());
    }
}

impl<I: Facet + ?Sized> Channel<I> {
    /// Has the class keep what its record says.
    pub(super) fn keep_history(&self, class: &EventClass) {
        if class.id() == self.key.class {
            self.around.journal.keep(class.id(), class.history());
        }
    }

    /// Has those hear of an event that is not kept who look after the broker.
    pub(super) fn tell_of_unkept(&self, why: &str) {
        self.around.notices.push(Notice::QueueFailed {
            lost: 1,
            reason: why.to_owned(),
        });
    }
}

impl Screen {
    pub(super) fn new(plan: &Plan, site: &Site, clock: &Arc<dyn Clock>) -> Self {
        Self {
            plan: plan.clone(),
            facts: Arc::new(ClassFacts::new(site, clock)),
        }
    }
}

impl<I: Facet + ?Sized> Post<I> {
    /// Gets ready for past events, if any may come out of the queue.
    pub(super) fn prepare_screen(&self, plan: &Plan, site: &Site) {
        let begins = self
            .queue
            .as_ref()
            .is_some_and(|it| it.start() != Start::New);
        if begins || self.around.journal.has_backlog(plan.id) {
            let screen = || Box::new(Screen::new(plan, site, &self.around.clock));
            self.screen.get_or_init(screen);
        }
    }

    /// Has the queue begin with a past event of the class, if it is to and has not.
    pub(super) fn join_history(&self, site: &Site, trash: &mut Trash) {
        let queue = self.queue.as_ref().filter(|_| self.entry.is_called());
        let Some(queue) = queue else { return };
        let id = self.entry.record.id();
        let at = (site.class.id(), site.schema.id());
        if self.around.journal.join_at(id, at, queue.start()) {
            let around = Arc::clone(&self.around);
            trash.afterwards(move || around.journal.go_live(id));
        }
    }

    /// Asks for the subscription what no fire has asked of an event.
    pub(super) fn screened(&self, parcel: &dyn Parcel) -> Screened {
        let Some(screen) = self.screen.get() else {
            return Screened::Later;
        };
        if screen.plan.suspended().is_some() {
            return Screened::Later;
        }
        let values = parcel.values();
        let (from, to) = (parcel.schema(), &*self.schema);
        let Some((method, _)) = method_in(from, parcel.method(), to) else {
            return Screened::Unwanted;
        };
        if !screen.plan.is_bound_to(method) || screen.plan.entry.record.publisher_role().is_some() {
            return Screened::Unwanted;
        }
        let Some((_, values)) = event_in(from, parcel.method(), &values, to) else {
            // What the delivery makes of that is known there.
            return Screened::Wanted(0);
        };
        let mut asked = Screened::Unwanted;
        parcel.fire().within(|| {
            asked = self.ask(screen, method, &values, parcel);
        });
        asked
    }

    fn ask(
        &self,
        screen: &Screen,
        method: usize,
        values: &[ValueRef<'_>],
        parcel: &dyn Parcel,
    ) -> Screened {
        let own = Arc::new(parcel.fire().properties());
        let row = past_row(values, &own, &screen.facts);
        let plan = &screen.plan;
        let course = row.course(&screen.facts, &self.schema, method);
        if let Some(Course::Query(query)) = course
            && !query.matches(&plan.entry.record)
        {
            return Screened::Unwanted;
        }
        let filter = plan.predicate(method);
        if filter.is_some_and(|filter| filter.evaluate(&row) != Some(true)) {
            return Screened::Unwanted;
        }
        if let Some(name) = plan.entry.record.predicate()
            && let Some(event) = FilteredEvent::new(&self.schema, method, &row)
        {
            enter_by_id(plan.id);
            match self.around.named.ask(name, &event) {
                Ok(true) => {}
                Ok(false) => return Screened::Unwanted,
                Err(why) => {
                    let outcome = DeliveryOutcome::Failed(Failure::Predicate(why));
                    self.tell_late(outcome, parcel);
                    return Screened::Unwanted;
                }
            }
        }
        Screened::Wanted(triggered::with_key(self.keys(), method, &row, digest))
    }
}

fn past_row<'a>(
    values: &'a [ValueRef<'a>],
    own: &'a Arc<Properties>,
    facts: &'a Arc<ClassFacts>,
) -> EventRow<'a> {
    EventRow {
        values,
        lent: &[],
        own,
        facts,
        clearance: None,
        steering: None,
        kept: None,
        keeping: None,
        watch: Watch::default(),
        part: FirePart::Whole,
    }
}
