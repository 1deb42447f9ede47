//! How a subscription record is made.

use std::fmt;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, check_name};
use crate::model::{
    Binding, ComponentId, DeliveryMode, EventClassId, Handling, MethodName, MethodNames, Moniker,
    PredicateName, Principal, Problems, PublisherId, Revision, RoleName, Schedule, Subscription,
    SubscriptionId, SubscriptionName, SubscriptionParts, Target, Trigger, check_per_user,
    check_rules, identity,
};
use crate::value::{EventInterface, InterfaceId, Properties};

/// Makes a [`Subscription`]. The setters check nothing; [`build`](Self::build) checks all.
#[derive(Debug, Clone)]
#[must_use]
pub struct SubscriptionBuilder {
    name: String,
    id: Option<SubscriptionId>,
    class: Option<EventClassId>,
    interface: Option<InterfaceId>,
    publisher: Option<PublisherId>,
    methods: Vec<String>,
    /// The target of the record that is edited, until another is named.
    present_target: Option<Target>,
    targets: Vec<TargetText>,
    enabled: bool,
    priority: i32,
    schedule: Schedule,
    owner: Option<String>,
    per_user: bool,
    filter: Option<String>,
    predicate: Option<String>,
    publisher_role: Option<String>,
    for_publisher: Properties,
    for_subscriber: Properties,
    description: Option<String>,
    pub(super) handling: Handling,
    revision: Option<Revision>,
}

/// A target as it was given.
#[derive(Debug, Clone)]
enum TargetText {
    Component(ComponentId),
    Moniker(String),
    Object,
}

impl Subscription {
    /// Returns a builder of a subscription of this name.
    pub fn builder(name: impl Into<String>) -> SubscriptionBuilder {
        SubscriptionBuilder {
            name: name.into(),
            id: None,
            class: None,
            interface: None,
            publisher: None,
            methods: Vec::new(),
            present_target: None,
            targets: Vec::new(),
            enabled: true,
            priority: 0,
            schedule: Schedule::new(),
            owner: None,
            per_user: false,
            filter: None,
            predicate: None,
            publisher_role: None,
            for_publisher: Properties::new(),
            for_subscriber: Properties::new(),
            description: None,
            handling: Handling::default(),
            revision: None,
        }
    }

    /// Returns a builder of the same subscription: what is not set anew stays, the id and the
    /// revision at which the record was read too, so that storing the result replaces that record.
    ///
    /// ```
    /// use loosely::Subscription;
    ///
    /// let record = Subscription::builder("orders").class("stocks").component("old").build()?;
    /// let moved = record.to_builder().component("new").owner("ann").build()?;
    /// assert_eq!(moved.id(), record.id());
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn to_builder(&self) -> SubscriptionBuilder {
        let parts = self.to_parts();
        SubscriptionBuilder {
            name: parts.name.into(),
            id: Some(parts.id),
            class: parts.binding.class,
            interface: parts.binding.interface,
            publisher: parts.binding.publisher,
            methods: parts
                .binding
                .methods
                .iter()
                .map(ToString::to_string)
                .collect(),
            present_target: Some(parts.target),
            targets: Vec::new(),
            enabled: parts.enabled,
            priority: parts.priority,
            schedule: parts.schedule,
            owner: parts.owner.map(Into::into),
            per_user: parts.per_user,
            filter: parts.filter.as_deref().map(str::to_owned),
            predicate: parts.predicate.map(Into::into),
            publisher_role: parts.publisher_role.map(Into::into),
            for_publisher: parts.for_publisher,
            for_subscriber: parts.for_subscriber,
            description: parts.description,
            handling: parts.handling,
            revision: parts.revision,
        }
    }
}

impl SubscriptionBuilder {
    /// Gives the subscription this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Gives the subscription this id; without one it gets the UUID v5 of owner, binding and name,
    /// so that a program that runs again means the same subscription.
    pub fn id(mut self, id: impl Into<SubscriptionId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Asks for the events of the interface `I`, from any class, or from the class that
    /// [`class`](Self::class) names.
    pub fn to<I: EventInterface + ?Sized>(self) -> Self {
        self.interface(I::schema().id())
    }

    /// Asks for the events of this interface.
    pub fn interface(mut self, id: impl Into<InterfaceId>) -> Self {
        self.interface = Some(id.into());
        self
    }

    /// Asks for the events of this class.
    pub fn class(mut self, id: impl Into<EventClassId>) -> Self {
        self.class = Some(id.into());
        self
    }

    /// Asks for the events of this method, beside those that were named before; of all methods if
    /// none is.
    #[doc(alias = "MethodName")]
    pub fn method(mut self, name: impl Into<String>) -> Self {
        self.methods.push(name.into());
        self
    }

    /// Asks for the events of all methods.
    pub fn all_methods(mut self) -> Self {
        self.methods.clear();
        self
    }

    /// Asks only for events of publishers with this id.
    #[doc(alias = "PublisherID")]
    pub fn from_publisher(mut self, id: impl Into<PublisherId>) -> Self {
        self.publisher = Some(id.into());
        self
    }

    /// Asks for the events of every publisher.
    pub fn from_all_publishers(mut self) -> Self {
        self.publisher = None;
        self
    }

    /// Asks for nothing any more, until a class or an interface is named.
    pub fn without_binding(mut self) -> Self {
        (self.class, self.interface, self.publisher) = (None, None, None);
        self.all_methods()
    }

    /// Has this component called.
    pub fn component(mut self, id: impl Into<ComponentId>) -> Self {
        self.targets.push(TargetText::Component(id.into()));
        self
    }

    /// Has what this moniker, `scheme:rest`, stands for called.
    pub fn moniker(mut self, text: impl Into<String>) -> Self {
        self.targets.push(TargetText::Moniker(text.into()));
        self
    }

    /// Has a live object called, which [`Broker::subscribe_with`](crate::Broker::subscribe_with)
    /// takes beside the record.
    pub fn object(mut self) -> Self {
        self.targets.push(TargetText::Object);
        self
    }

    /// Delivers only events of which these filter criteria are true.
    pub fn filter(mut self, criteria: impl fmt::Display) -> Self {
        self.filter = Some(criteria.to_string());
        self
    }

    /// Delivers events whatever they carry.
    pub fn without_filter(mut self) -> Self {
        self.filter = None;
        self
    }

    /// Asks the predicate that is registered with the broker under this name
    /// ([`register_predicate`](crate::Broker::register_predicate)), too, of every event that passes
    /// the filter. While nothing is registered under it, each such event is a
    /// [failure](crate::Failure::Predicate).
    pub fn predicate(mut self, name: impl Into<String>) -> Self {
        self.predicate = Some(name.into());
        self
    }

    /// Asks no predicate.
    pub fn without_predicate(mut self) -> Self {
        self.predicate = None;
        self
    }

    /// Delivers only events of publishers that have this role. Those that were made from the
    /// broker's own handle are always heard.
    pub fn requires_role(mut self, name: impl Into<String>) -> Self {
        self.publisher_role = Some(name.into());
        self
    }

    /// Delivers events whatever roles the publisher has.
    pub fn without_role(mut self) -> Self {
        self.publisher_role = None;
        self
    }

    /// Sets the priority, 0 by default; higher ones are called first.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Makes a subscription that is switched on, as it is by default.
    pub fn enabled(mut self) -> Self {
        self.enabled = true;
        self
    }

    /// Makes a subscription that is switched off.
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Says when events are delivered: from when on, until when, and in which hours not.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Delivers nothing before this time; the rest of the schedule stays.
    pub fn not_before(mut self, time: SystemTime) -> Self {
        self.schedule = self.schedule.not_before(time);
        self
    }

    /// Delivers nothing from this time on; the rest of the schedule stays.
    pub fn expires(mut self, time: SystemTime) -> Self {
        self.schedule = self.schedule.expires(time);
        self
    }

    /// Delivers at any time.
    pub fn without_times(mut self) -> Self {
        self.schedule = Schedule::new();
        self
    }

    /// Names the owner.
    pub fn owner(mut self, principal: impl Into<String>) -> Self {
        self.owner = Some(principal.into());
        self
    }

    /// Names no owner.
    pub fn without_owner(mut self) -> Self {
        self.owner = None;
        self
    }

    /// Delivers only while the owner, who must be named, has a session.
    #[doc(alias = "PerUser")]
    pub fn per_user(mut self) -> Self {
        self.per_user = true;
        self
    }

    /// Delivers whether the owner has a session or not.
    pub fn without_per_user(mut self) -> Self {
        self.per_user = false;
        self
    }

    /// Sets the bag that filters read as `subscription.NAME`.
    pub fn for_publisher(mut self, bag: impl Into<Properties>) -> Self {
        self.for_publisher = bag.into();
        self
    }

    /// Sets the bag that the activated component reads.
    pub fn for_subscriber(mut self, bag: impl Into<Properties>) -> Self {
        self.for_subscriber = bag.into();
        self
    }

    /// Describes the subscription for people.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Describes it no more.
    pub fn without_description(mut self) -> Self {
        self.description = None;
        self
    }

    /// Returns the record.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with everything that is wrong at once, as [`Problems`] in
    /// the source: names that break their rules, no class and no interface, no target or more than
    /// one, an expiry that is not after the not-before time, quiet hours that are none or leave no
    /// time, a time zone that this system does not know, a per-user subscription without an owner,
    /// a lane, deadline, breaker or trigger that cannot be, a filter, re-arm criteria or a key that
    /// do not parse. [`Filter`](ErrorKind::Filter) if that filter is all that is wrong. Of both
    /// kinds [`filter_error`](Error::filter_error) is what is wrong with the filter.
    pub fn build(self) -> Result<Subscription> {
        let mut problems = Problems::default();
        let name = problems.take("name", SubscriptionName::try_from(self.name.as_str()));
        let methods = self.methods.into_iter().map(MethodName::try_from);
        let methods = methods.filter_map(|method| problems.take("method", method));
        let binding = Binding {
            class: self.class,
            interface: self.interface,
            publisher: self.publisher,
            methods: methods.collect::<MethodNames>(),
        };
        check_per_user(self.per_user, self.owner.is_some(), &mut problems);
        let owner = self.owner.map(Principal::try_from);
        let owner = owner.and_then(|owner| problems.take("owner", owner));
        let predicate = self.predicate.map(PredicateName::try_from);
        let predicate = predicate.and_then(|name| problems.take("predicate", name));
        let publisher_role = self.publisher_role.map(RoleName::try_from);
        let publisher_role = publisher_role.and_then(|name| problems.take("publisher_role", name));
        check_rules(&binding, &self.schedule, &mut problems);
        let target = target(self.present_target, self.targets, &mut problems);
        self.handling.check(&mut problems);
        if let Some(target) = &target {
            self.handling.check_target(target, &mut problems);
        }
        check_criteria(&self.handling, &mut problems);
        if let Some(Err(error)) = self.filter.as_deref().map(Filter::parse) {
            if problems.is_empty() {
                let message = format!("the filter of {:?} is not valid", self.name);
                return Err(Error::new(ErrorKind::Filter, message).explained_by(error));
            }
            problems.add_error("filter", error);
        }
        let parts = name.zip(target).map(|(name, target)| SubscriptionParts {
            id: self
                .id
                .unwrap_or_else(|| identity(owner.as_ref(), &binding, &name)),
            name,
            binding,
            target,
            enabled: self.enabled,
            priority: self.priority,
            schedule: self.schedule,
            owner,
            per_user: self.per_user,
            filter: self.filter.map(Into::into),
            predicate,
            publisher_role,
            for_publisher: self.for_publisher,
            for_subscriber: self.for_subscriber,
            description: self.description,
            handling: self.handling,
            revision: self.revision,
        });
        let what = format!("the subscription {:?}", self.name);
        problems.or(what, parts.map(Subscription::from_parts))
    }
}

/// Finds names of keys and re-arm criteria that do not parse.
fn check_criteria(handling: &Handling, problems: &mut Problems) {
    let keys = handling.trigger.iter().flat_map(Trigger::keys);
    let lane = handling.delivery.as_ref().and_then(DeliveryMode::key);
    let all = keys.map(|key| ("trigger", key.as_str()));
    for (field, name) in all.chain(lane.map(|name| ("delivery", name))) {
        // That one has no name at all is said already.
        if !name.is_empty() {
            problems.take(field, check_name(name));
        }
    }
    let rearm = handling.trigger.as_ref().and_then(Trigger::rearm_criteria);
    if let Some(criteria) = rearm {
        problems.take("trigger", Filter::parse(criteria));
    }
}

/// Returns the one target that was named, or else the present one.
fn target(
    present: Option<Target>,
    mut targets: Vec<TargetText>,
    problems: &mut Problems,
) -> Option<Target> {
    let named = targets.pop();
    if !targets.is_empty() {
        problems.add("target", "more than one is named");
        return None;
    }
    match named {
        Some(TargetText::Component(id)) => Some(Target::Component(id)),
        Some(TargetText::Moniker(text)) => problems
            .take("target", Moniker::try_from(text))
            .map(Target::Moniker),
        Some(TargetText::Object) => Some(Target::Object),
        None if present.is_some() => present,
        None => {
            problems.add("target", "no component, moniker or object is named");
            None
        }
    }
}
