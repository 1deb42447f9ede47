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
use crate::delivery::{Failure, KeepPast, Parcel, enter_by_id};
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
            // It has its seat, and may have put one off for want of this.
            self.desk.call_again();
        }
    }

    /// Has the queue begin with a past event of the class, if it is to and has not.
    pub(super) fn join_history(&self, site: &Site, trash: &mut Trash) {
        let Some(queue) = &self.queue else { return };
        let id = self.entry.record.id();
        let at = (site.class.id(), site.schema.id());
        if self.around.journal.join_at(id, at, queue.start()) {
            let around = Arc::clone(&self.around);
            trash.afterwards(move || around.journal.go_live(id, at));
        }
    }

    /// Returns in which of the subscription's lanes a past event stands.
    pub(super) fn lane_of_past(&self, parcel: &dyn Parcel) -> u64 {
        let values = parcel.values();
        let event = event_in(parcel.schema(), parcel.method(), &values, &self.schema);
        let (Some((method, values)), Some(screen)) = (event, self.screen.get()) else {
            return 0;
        };
        let own = Arc::new(parcel.fire().properties());
        let row = past_row(&values, &own, &screen.facts);
        triggered::with_key(self.keys(), method, &row, digest)
    }

    /// Returns whether a past event is of a method that is none of the subscription's, as far as
    /// that is known before upcasters are asked.
    pub(super) fn is_beside(&self, parcel: &dyn Parcel) -> bool {
        let method = method_in(parcel.schema(), parcel.method(), &self.schema);
        let screen = self.screen.get();
        let is_bound = |method| screen.is_none_or(|screen| screen.plan.is_bound_to(method));
        method.is_some_and(|(method, _)| !is_bound(method))
    }

    /// Asks for the subscription what no fire has asked of an event that fits its interface.
    pub(super) fn screened(&self, parcel: &dyn Parcel) -> Screened {
        let Some(screen) = self.screen.get() else {
            return Screened::Later;
        };
        if screen.plan.suspended().is_some() {
            return Screened::Later;
        }
        let values = parcel.values();
        let event = event_in(parcel.schema(), parcel.method(), &values, &self.schema);
        let Some((method, values)) = event else {
            return Screened::Unwanted;
        };
        if screen.plan.entry.record.publisher_role().is_some() || !screen.plan.is_bound_to(method) {
            return Screened::Unwanted;
        }
        let mut asked = Screened::Later;
        let ask = || asked = self.ask(screen, method, &values, parcel);
        parcel.fire().within(ask);
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
        let event = FilteredEvent::new(&self.schema, method, &row);
        let (Some(name), Some(event)) = (plan.entry.record.predicate(), event) else {
            return Screened::Wanted;
        };
        enter_by_id(plan.id);
        match self.around.named.ask(name, &event) {
            Ok(true) => Screened::Wanted,
            Ok(false) => Screened::Unwanted,
            Err(why) => Screened::Unasked(Failure::Predicate(why).to_string()),
        }
    }
}

/// What a past event is to a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Screened {
    Wanted,
    Unwanted,
    /// Nobody can say for now.
    Later,
    /// It could not be asked, as the text says.
    Unasked(String),
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
