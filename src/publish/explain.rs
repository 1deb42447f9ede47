//! What a fire would do, subscription by subscription.

use std::fmt;

use super::channel::Channel;
use super::facet::Facet;
use super::guarded::EventRow;
use super::prepared::Prepared;
use super::publisher::Own;
use crate::filter::Decision;
use crate::model::SubscriptionId;
use crate::value::ValueRef;

/// What a fire would do: every subscription that is bound to the method, in the order of calling,
/// with the stage that decides about it.
#[derive(Debug)]
pub struct Explanation {
    event: String,
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
    /// Its filter or its object does not fit the interface, or it names a predicate, which nobody
    /// can ask in this version; the text says why.
    Suspended(String),
    /// The principal that would fire the event lacks the right to publish.
    Denied,
    /// It demands a role, this one, that the principal lacks who would fire the event.
    PublisherRole(String),
    /// Its not-before time is still to come.
    TooEarly,
    /// Its expiry time has passed.
    Expired,
    /// Its filter is not true of the event; the decision names the predicate and its values.
    FilteredOut(Decision),
    /// The filter, if any, lets the event pass, but there is nobody to call; the text says why.
    Unavailable(String),
    /// It would be called: it has no filter, or the decision says what in it is true.
    Delivered(Option<Decision>),
}

impl Explanation {
    pub(super) fn new<I: Facet + ?Sized>(
        channel: &Channel<I>,
        method: usize,
        values: &[ValueRef<'_>],
        own: &Own,
    ) -> Self {
        let clearance = channel.clearance(own);
        let (facts, properties) = (channel.class_facts(), own.properties());
        let row = EventRow {
            values,
            own: &properties,
            facts: &facts,
            clearance: clearance.as_ref().map(|clearance| &***clearance),
        };
        // Whoever may not read sees what it owns.
        let only = match (own.gate(), row.clearance) {
            (Some(gate), Some(clearance)) if !clearance.reads() => Some(gate.principal()),
            _ => None,
        };
        let all = channel.prepared(|prepared| {
            let owner = prepared.entry.record.owner();
            prepared.is_bound_to(method) && only.is_none_or(|only| owner == Some(only))
        });
        let explained = |prepared: &Prepared<I>| Explained {
            subscription: prepared.id,
            name: prepared.entry.record.name().to_owned(),
            stage: stage(channel, method, &row, prepared),
        };
        let lines = all.iter().map(explained).collect();
        let event = crate::value::Event::new(&channel.schema, method, values);
        Self {
            event: event.map_or_else(String::new, |event| event.to_string()),
            lines,
        }
    }

    /// Returns the lines in the order of calling.
    pub fn lines(&self) -> &[Explained] {
        &self.lines
    }

    /// Returns how many subscribers would be called.
    pub fn delivered(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| matches!(line.stage, Stage::Delivered(_)))
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
    if let Some(why) = prepared.suspended() {
        return Stage::Suspended(why.to_owned());
    }
    if prepared.is_timed() {
        let now = channel.around.clock.now();
        if prepared.is_early(now) {
            return Stage::TooEarly;
        }
        if prepared.is_expired(now) {
            return Stage::Expired;
        }
    }
    let mut decision = prepared
        .predicate(method)
        .map(|predicate| predicate.explain(row));
    if let Some(decision) = decision.take_if(|decision| decision.outcome() != Some(true)) {
        return Stage::FilteredOut(decision);
    }
    if let Some(role) = prepared.entry.record.publisher_role()
        && !row.has_role_for(&prepared.entry)
    {
        return Stage::PublisherRole(role.to_string());
    }
    match prepared.obstacle(&channel.schema) {
        Some(why) => Stage::Unavailable(why),
        None => Stage::Delivered(decision),
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
            Self::Suspended(why) => write!(f, "suspended, {why}"),
            Self::TooEarly => f.write_str("not yet, its time is still to come"),
            Self::Expired => f.write_str("expired"),
            Self::FilteredOut(decision) => write!(f, "filtered out, {decision}"),
            Self::Unavailable(why) => write!(f, "would fail, {why}"),
            Self::Delivered(None) => f.write_str("would be called"),
            Self::Delivered(Some(decision)) => write!(f, "would be called, {decision}"),
        }
    }
}
