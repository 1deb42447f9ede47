//! What a fire would do, subscription by subscription.

use std::fmt;

use super::channel::Channel;
use super::event_row::EventRow;
use super::facet::Facet;
use super::prepared::Prepared;
use super::publisher_filter::FilteredEvent;
use super::steering::{Course, DefaultQuery};
use super::triggered::sight;
use super::watch::Watch;
use super::with::Origin;
use crate::delivery::{Sight, SkipReason, Verdict};
use crate::filter::Decision;
use crate::model::{Firing, OffHours, SubscriptionId};
use crate::value::ValueRef;

/// What a fire would do: every subscription that is bound to the method, in the order of calling,
/// with the stage that decides about it.
#[derive(Debug)]
pub struct Explanation {
    event: String,
    publisher_filters: usize,
    firing: Firing,
    lines: Vec<Explained>,
}

/// One subscription's line in an [`Explanation`].
#[derive(Debug)]
pub struct Explained {
    subscription: SubscriptionId,
    name: String,
    stage: Stage,
}

/// The stage of the pipeline that decides about a subscription.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stage {
    /// It is switched off.
    Disabled,
    /// It is a per-user one, and its owner has no session at this broker.
    OwnerAbsent,
    /// The default query, which is the publisher's or the class's, leaves it out.
    Withheld,
    /// Its filter or its object does not fit the interface; the text says why.
    Suspended(String),
    /// The principal that would fire the event lacks the right to publish.
    Denied,
    /// It demands a role, this one, that the principal lacks who would fire the event.
    PublisherRole(String),
    /// Its schedule has nothing delivered to it now.
    OffHours(OffHours),
    /// Its filter is not true of the event; the decision names the predicate and its values.
    FilteredOut(Decision),
    /// Its predicate, of this name, does not let the event pass. It was asked.
    Refused(String),
    /// The filter, if any, lets the event pass, and its trigger does not, or not yet.
    Suppressed(Option<Decision>),
    /// Its filter is not true of the event any more, of which its trigger tells it.
    Resolved(Decision),
    /// The filter, if any, lets the event pass, but there is nobody to call; the text says why.
    Unavailable(String),
    /// A call of it overran its deadline, was abandoned, and has not returned yet.
    Busy,
    /// Its breaker is open.
    BreakerOpen,
    /// It would be queued, and wait there for what its schedule says.
    Waiting(OffHours),
    /// It would be called: it has no filter, or the decision says what in it is true.
    Delivered(Option<Decision>),
}

impl Explanation {
    pub(super) fn new<I: Facet + ?Sized>(
        channel: &Channel<I>,
        method: usize,
        values: &[ValueRef<'_>],
        origin: Origin<'_>,
    ) -> Self {
        let Origin { own, lent, part } = origin;
        let (clearance, steering) = (channel.clearance(own), own.steering());
        let (facts, properties) = (channel.class_facts(), own.properties());
        let row = EventRow {
            values,
            lent,
            own: &properties,
            facts: &facts,
            clearance: clearance.as_deref(),
            steering: Some(&steering),
            kept: None,
            keeping: None,
            watch: Watch::default(),
            part,
        };
        // Whoever may not read sees what it owns.
        let only = match (own.gate(), row.clearance) {
            (Some(gate), Some(clearance)) if !clearance.reads() => Some(gate.principal()),
            _ => None,
        };
        let all = channel.prepared_for(own, |prepared| {
            let owner = prepared.entry.record.owner();
            prepared.is_bound_to(method) && only.is_none_or(|only| owner == Some(only))
        });
        let (conduct, schema) = (facts.conduct(method), &channel.schema);
        let may_read = only.is_none();
        let course = Course::of(Some(&steering), conduct, schema, method, may_read);
        let (query, publisher_filters) = match &course {
            Some(Course::Query(query)) => (Some(&***query), 0),
            Some(Course::Filters(filters)) => (None, filters.len()),
            Some(Course::Broken(_)) | None => (None, 0),
        };
        let broken = course.as_ref().and_then(|it| it.broken(&channel.around));
        let explained = |prepared: &Prepared<I>| Explained {
            subscription: prepared.id,
            name: prepared.entry.record.name().to_owned(),
            stage: match &broken {
                Some(why) if prepared.is_called_for(method) => Stage::Unavailable(why.clone()),
                _ => stage(channel, method, &row, prepared, query),
            },
        };
        let lines = all.iter().map(explained).collect();
        let event = crate::value::Event::new(&channel.schema, method, values);
        Self {
            event: event.map_or_else(String::new, |event| event.to_string()),
            publisher_filters,
            firing: facts.record.firing(),
            lines,
        }
    }

    /// Returns how many publisher filters the event has to pass first. They are not asked, since
    /// they may remember what they are asked: the lines say what becomes of the subscriptions that
    /// they fire.
    pub fn publisher_filters(&self) -> usize {
        self.publisher_filters
    }

    /// Returns how the subscribers would be called.
    pub fn firing(&self) -> Firing {
        self.firing
    }

    /// Returns the lines in the order of calling.
    pub fn lines(&self) -> &[Explained] {
        &self.lines
    }

    /// Returns how many subscribers would be called.
    pub fn delivered(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| matches!(line.stage, Stage::Delivered(_) | Stage::Resolved(_)))
            .count()
    }

    /// Returns the line of the subscription of this name.
    pub fn line(&self, name: &str) -> Option<&Explained> {
        self.lines.iter().find(|line| line.name == name)
    }
}

fn stage<I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    row: &EventRow<'_>,
    prepared: &Prepared<I>,
    query: Option<&DefaultQuery>,
) -> Stage {
    if row.clearance.is_some_and(|it| !it.publishes()) {
        return Stage::Denied;
    }
    if !prepared.entry.record.is_enabled() {
        return Stage::Disabled;
    }
    if prepared.is_absent() {
        return Stage::OwnerAbsent;
    }
    let off_hours = prepared.off_hours();
    if let Some(off) = off_hours.filter(|_| !prepared.entry.is_served()) {
        return Stage::OffHours(off.clone());
    }
    if query.is_some_and(|query| !query.matches(&prepared.entry.record)) {
        return Stage::Withheld;
    }
    if let Some(why) = prepared.suspended() {
        return Stage::Suspended(why.to_owned());
    }
    let mut decision = prepared
        .predicate(method)
        .map(|predicate| predicate.explain(row));
    if let Some(decision) = decision.take_if(|decision| decision.outcome() != Some(true)) {
        return match is_resolved(method, row, prepared) {
            true => Stage::Resolved(decision),
            false => Stage::FilteredOut(decision),
        };
    }
    if let Some(role) = prepared.entry.record.publisher_role()
        && !row.has_role_for(&prepared.entry)
    {
        return Stage::PublisherRole(role.to_string());
    }
    if let Some(stage) = refusal(channel, method, row, prepared) {
        return stage;
    }
    let trigger = prepared.trigger();
    if trigger.is_some_and(|it| it.foresee(method, row, Sight::Match) == Verdict::Suppressed) {
        return Stage::Suppressed(decision);
    }
    if let Some(off) = off_hours {
        return Stage::Waiting(off.clone());
    }
    if let Some(why) = prepared.obstacle(&channel.schema) {
        return Stage::Unavailable(why);
    }
    let post = prepared.reached().post();
    match post.and_then(|post| post.obstruction()) {
        Some(SkipReason::Busy) => Stage::Busy,
        Some(_) => Stage::BreakerOpen,
        None => Stage::Delivered(decision),
    }
}

/// Returns whether a subscriber would be told that its filter is not true any more.
fn is_resolved<I: Facet + ?Sized>(
    method: usize,
    row: &EventRow<'_>,
    prepared: &Prepared<I>,
) -> bool {
    let Some(trigger) = prepared.trigger().filter(|trigger| trigger.sees_all()) else {
        return false;
    };
    let sight = sight(prepared, method, row, false);
    sight.is_some_and(|sight| {
        matches!(trigger.foresee(method, row, sight), Verdict::Deliver(_))
            && row.has_role_for(&prepared.entry)
    })
}

/// Asks the subscription's predicate, and returns the stage if that decides.
fn refusal<I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    row: &EventRow<'_>,
    prepared: &Prepared<I>,
) -> Option<Stage> {
    let name = prepared.entry.record.predicate()?;
    let event = FilteredEvent::new(&channel.schema, method, row)?;
    match channel.around.named.ask(name, &event) {
        Ok(true) => None,
        Ok(false) => Some(Stage::Refused(name.to_string())),
        Err(why) => Some(Stage::Unavailable(why)),
    }
}

impl Explained {
    /// Returns the subscription.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Returns the subscription's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the deciding stage.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        if self.publisher_filters > 0 {
            write!(
                f,
                ", if {} publisher filters fire them",
                self.publisher_filters
            )?;
        }
        if let Firing::Parallel { max } = self.firing {
            write!(f, ", at most {max} at the same time")?;
        }
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name, self.stage)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::Denied => f.write_str("its publisher lacks the right to publish"),
            Self::PublisherRole(role) => write!(f, "its publisher lacks the role {role:?}"),
            Self::OwnerAbsent => f.write_str("its owner is not logged on"),
            Self::Withheld => f.write_str("withheld by the default query"),
            Self::Refused(name) => write!(f, "refused by the predicate {name:?}"),
            Self::Suspended(why) => write!(f, "suspended, {why}"),
            Self::OffHours(off) => write!(f, "{off}"),
            Self::Waiting(off) => write!(f, "would be queued, {off}"),
            Self::FilteredOut(decision) => write!(f, "filtered out, {decision}"),
            Self::Suppressed(None) => f.write_str("suppressed by its trigger"),
            Self::Suppressed(Some(decision)) => {
                write!(f, "suppressed by its trigger, {decision}")
            }
            Self::Resolved(decision) => write!(f, "would be told that it is over, {decision}"),
            Self::Unavailable(why) => write!(f, "would fail, {why}"),
            Self::Busy => write!(f, "skipped, {}", SkipReason::Busy),
            Self::BreakerOpen => write!(f, "skipped, {}", SkipReason::BreakerOpen),
            Self::Delivered(None) => f.write_str("would be called"),
            Self::Delivered(Some(decision)) => write!(f, "would be called, {decision}"),
        }
    }
}
