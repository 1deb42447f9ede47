//! Which of the events that match are worth a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Problems, span};

/// Which of the events that match a subscription are delivered: without a trigger, all.
///
/// Everything else is asked first, such as the filter and the times; what the trigger then lets
/// pass without a call is counted by [`FireReport::suppressed`](crate::FireReport::suppressed). Why
/// it has an event delivered the subscriber learns from
/// [`EventContext::trigger`](crate::EventContext::trigger). Time goes by the broker's clock.
///
/// What is delivered without an event, as its time has come, is delivered by the broker's threads,
/// one at a time, and what follows it comes behind it: as from a lane, also to a subscriber that is
/// otherwise called by the fires. It is the event that came last, with its id and its time.
///
/// # Keys
///
/// [`per`](Self::per) names parameters, or paths as in filter criteria such as `order.customer`;
/// each combination of their values has a state of its own, so that an alarm about one machine does
/// not hide that about another. In a method that lacks one it is NULL. Of
/// [`max_keys`](Self::with_max_keys) keys the state is known at most; then the one that no event
/// came for longest is forgotten, and begins anew.
///
/// The state begins anew too when the subscription gets another trigger, filter, predicate or
/// binding, when it was switched off, out of the times of its [`Schedule`](crate::Schedule) or its
/// owner was away, and when the broker is opened, unless it is [kept](Self::kept).
///
/// ```
/// use std::time::Duration;
///
/// use loosely::{Subscription, Trigger};
///
/// // One call for each machine that has been too hot for a minute; the next one after it was cool.
/// let hot = Trigger::on_becoming_true().lasting(Duration::from_secs(60));
/// let hot = hot.rearm("celsius < 70").per("machine");
/// let alarm = Subscription::builder("too hot").interface("Machines").component("alarm");
/// let alarm = alarm.filter("celsius > 90").trigger(hot).build()?;
/// # Ok::<(), loosely::Error>(())
/// ```
///
/// Written by people as `{ kind = "becoming_true", lasting = "PT1M", per = ["machine"] }` or
/// `{ kind = { at_most = { count = 3, per = "PT1H" } } }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    kind: TriggerKind,
    #[serde(
        default,
        with = "span::option",
        skip_serializing_if = "Option::is_none"
    )]
    lasting: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rearm: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resolved: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    per: Vec<String>,
    #[serde(default = "default_max_keys")]
    max_keys: usize,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
}

/// What a [`Trigger`] waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TriggerKind {
    /// The filter becomes true of the events of a key.
    BecomingTrue,
    /// An event, of which so many are delivered in each interval.
    AtMost {
        /// How many.
        count: u32,
        /// The length of the interval.
        #[serde(with = "span")]
        per: Duration,
    },
    /// An event of a key of which none was delivered for so long.
    OnceWithin(#[serde(with = "span")] Duration),
    /// That no event comes for so long.
    Absence(#[serde(with = "span")] Duration),
}

impl Trigger {
    /// Delivers the event by which the filter becomes true, and no further one before it became
    /// false again: by an event of which it is not true, or, where there are [`rearm`](Self::rearm)
    /// criteria, by one of which those are. So an input that flaps about a threshold gives one
    /// call.
    ///
    /// The subscription's predicate counts as a part of the filter. An event changes nothing that
    /// is of a publisher to which the subscription is not bound, or which lacks the role that it
    /// demands, or is fired out of its times.
    pub fn on_becoming_true() -> Self {
        Self::new(TriggerKind::BecomingTrue)
    }

    /// Delivers `n` events in each interval of this length, and suppresses the further ones; an
    /// interval begins with the first event after the one before is over. Neither can be zero.
    pub fn at_most(n: u32, per: Duration) -> Self {
        Self::new(TriggerKind::AtMost { count: n, per })
    }

    /// Delivers an event, and suppresses the further ones for so long after it: with keys, what
    /// repeats itself is delivered once.
    pub fn once_within(window: Duration) -> Self {
        Self::new(TriggerKind::OnceWithin(window))
    }

    /// Delivers the last event that matched when none came for so long after it, once: what sends a
    /// sign of life has fallen silent. Nothing is delivered for a key of which no event ever came.
    pub fn absence(after: Duration) -> Self {
        Self::new(TriggerKind::Absence(after))
    }

    fn new(kind: TriggerKind) -> Self {
        Self {
            kind,
            lasting: None,
            rearm: None,
            resolved: false,
            per: Vec::new(),
            max_keys: default_max_keys(),
            kept: false,
        }
    }

    /// Delivers once the filter has been true for so long, as far as events told: the latest event
    /// that matched, when the time is over. For [`on_becoming_true`](Self::on_becoming_true) alone.
    #[must_use]
    pub fn lasting(mut self, span: Duration) -> Self {
        self.lasting = Some(span);
        self
    }

    /// Has the filter count as false again only with an event of which these criteria are true,
    /// which are like those of a filter and are checked with it; other events that do not match
    /// change nothing. For [`on_becoming_true`](Self::on_becoming_true) alone.
    #[must_use]
    pub fn rearm(mut self, criteria: impl std::fmt::Display) -> Self {
        self.rearm = Some(criteria.to_string());
        self
    }

    /// Delivers the event too by which the filter becomes false, if the subscriber was called when
    /// it became true. For [`on_becoming_true`](Self::on_becoming_true) alone.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        self.resolved = true;
        self
    }

    /// Tells events apart by this parameter or path, beside those that were named before.
    #[must_use]
    pub fn per(mut self, name: impl Into<String>) -> Self {
        self.per.push(name.into());
        self
    }

    /// Sets of how many keys the state is known, 65,536 by default; at least 1.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Keeps the state of a stored subscription in the store, so that a restart gives no alarm
    /// anew, and what is to be delivered later is delivered after it.
    ///
    /// The state is written when the broker is closed, and five seconds after it has changed: a
    /// process that is killed may forget what it saw in the last seconds. It goes with the trigger:
    /// one that is given up, or is not to be kept any more, leaves nothing in the store.
    ///
    /// What was due while no program ran, or falls due then, is delivered once a publisher of the
    /// event's class is made, typed or by name: before that the class is not served, and components
    /// need not be registered yet. So a program that is to hear of it without firing itself makes a
    /// publisher all the same. Of the event that is kept the arguments are, and of what its
    /// publisher had the class's own properties.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Returns what it waits for.
    pub fn kind(&self) -> &TriggerKind {
        &self.kind
    }

    /// Returns how long the filter has to be true.
    pub fn lasting_for(&self) -> Option<Duration> {
        self.lasting
    }

    /// Returns the criteria that make the filter count as false.
    pub fn rearm_criteria(&self) -> Option<&str> {
        self.rearm.as_deref()
    }

    /// Returns whether the event is delivered too by which the filter becomes false.
    pub fn tells_resolved(&self) -> bool {
        self.resolved
    }

    /// Returns the names by whose values events are told apart.
    pub fn keys(&self) -> &[String] {
        &self.per
    }

    /// Returns of how many keys the state is known at most.
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// Returns whether the state outlives the broker.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        const FIELD: &str = "trigger";
        match self.kind {
            TriggerKind::BecomingTrue => {}
            TriggerKind::AtMost { count, per } => {
                if count == 0 {
                    problems.add(FIELD, "not even one event would be delivered");
                }
                span::check(FIELD, "the interval", per, problems);
            }
            TriggerKind::OnceWithin(window) => {
                span::check(FIELD, "the window", window, problems);
            }
            TriggerKind::Absence(after) => {
                span::check(FIELD, "the absence", after, problems);
            }
        }
        let edge = self.lasting.is_some() || self.rearm.is_some() || self.resolved;
        if edge && self.kind != TriggerKind::BecomingTrue {
            let rule = "lasting, rearm and resolved are for becoming true alone";
            problems.add(FIELD, rule);
        }
        if let Some(lasting) = self.lasting {
            span::check(FIELD, "what it has to last", lasting, problems);
        }
        if self.max_keys == 0 {
            problems.add(FIELD, "not even one key may be known");
        }
        for (index, name) in self.per.iter().enumerate() {
            if name.is_empty() {
                problems.add(FIELD, "a key has no name");
            } else if self.per[..index].contains(name) {
                problems.add(FIELD, format!("the key {name:?} is named twice"));
            }
        }
    }
}

impl TriggerKind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::BecomingTrue => "becoming_true",
            Self::AtMost { .. } => "at_most",
            Self::OnceWithin(_) => "once_within",
            Self::Absence(_) => "absence",
        }
    }
}

/// As many machines, customers or symbols as most installations have, in a few megabytes.
fn default_max_keys() -> usize {
    65_536
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(trigger: &Trigger) -> String {
        let mut problems = Problems::default();
        trigger.check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn triggers_that_can_be_have_no_problem() {
        let second = Duration::from_secs(1);
        let edge = Trigger::on_becoming_true();
        let edge = edge.lasting(second).rearm("x < 1").resolved().kept();
        for trigger in [
            edge.per("a").per("b.c").with_max_keys(1),
            Trigger::at_most(1, second),
            Trigger::once_within(second),
            Trigger::absence(second),
        ] {
            assert_eq!(problems(&trigger), "", "{trigger:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once() {
        let trigger = Trigger::at_most(0, Duration::ZERO).resolved();
        let trigger = trigger.per("").per("a").per("a").with_max_keys(0);
        assert_eq!(
            problems(&trigger),
            "trigger: not even one event would be delivered; trigger: the interval is zero; \
             trigger: lasting, rearm and resolved are for becoming true alone; trigger: not even \
             one key may be known; trigger: a key has no name; trigger: the key \"a\" is named \
             twice"
        );
        for trigger in [
            Trigger::once_within(Duration::ZERO),
            Trigger::absence(Duration::ZERO),
            Trigger::on_becoming_true().lasting(Duration::ZERO),
        ] {
            assert!(problems(&trigger).ends_with(" is zero"));
        }
    }
}
