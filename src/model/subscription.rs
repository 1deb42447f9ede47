//! Subscriptions.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::{
    Binding, BindingPool, Handling, PredicateName, Principal, Problems, Revision, RoleName,
    Schedule, SubscriptionId, SubscriptionName, Target,
};
use crate::error::Error;
use crate::value::Properties;

/// The stored request to be called: which events, by whom they are received, under which
/// conditions.
///
/// A plain record: building one stores nothing. Read it from a broker, change it with the `with_`
/// methods or, in every field, by way of [`to_builder`](Self::to_builder), and hand it back to
/// `store`. A record that was read carries the revision it was read at, and storing it fails with
/// [`Conflict`](crate::ErrorKind::Conflict) if somebody else changed the subscription since.
///
/// The serde form is for people: JSON or TOML with the fields of the builder, where a name may
/// stand for an id and only `name`, a `class` or `interface`, and a target are needed.
#[derive(Debug, Clone, PartialEq)]
#[doc(alias("IEventSubscription", "IEventSubscription2", "IEventSubscription3"))]
pub struct Subscription {
    id: SubscriptionId,
    name: SubscriptionName,
    binding: Arc<Binding>,
    target: Target,
    filter: Option<Arc<str>>,
    revision: Option<Revision>,
    /// `None` if it would be the default, so that equal records have equal fields.
    rare: Option<Box<Rare>>,
    priority: i32,
    enabled: bool,
}

/// What few subscriptions have.
#[derive(Debug, Clone, Default, PartialEq)]
struct Rare {
    schedule: Option<Box<Schedule>>,
    owner: Option<Principal>,
    per_user: bool,
    predicate: Option<PredicateName>,
    publisher_role: Option<RoleName>,
    for_publisher: Properties,
    for_subscriber: Properties,
    description: Option<String>,
    /// As [`Subscription::rare`]: most that have an owner or a bag say nothing of their calls.
    handling: Option<Box<Handling>>,
}

/// The fields of a [`Subscription`] one by one, for the builder and the stored form.
#[derive(Debug)]
pub(crate) struct SubscriptionParts {
    pub(crate) id: SubscriptionId,
    pub(crate) name: SubscriptionName,
    pub(crate) binding: Binding,
    pub(crate) target: Target,
    pub(crate) enabled: bool,
    pub(crate) priority: i32,
    pub(crate) schedule: Schedule,
    pub(crate) owner: Option<Principal>,
    pub(crate) per_user: bool,
    pub(crate) filter: Option<Arc<str>>,
    pub(crate) predicate: Option<PredicateName>,
    pub(crate) publisher_role: Option<RoleName>,
    pub(crate) for_publisher: Properties,
    pub(crate) for_subscriber: Properties,
    pub(crate) description: Option<String>,
    pub(crate) handling: Handling,
    pub(crate) revision: Option<Revision>,
}

impl Subscription {
    pub(crate) fn from_parts(parts: SubscriptionParts) -> Self {
        let rare = Rare {
            schedule: parts.schedule.boxed(),
            owner: parts.owner,
            per_user: parts.per_user,
            predicate: parts.predicate,
            publisher_role: parts.publisher_role,
            for_publisher: parts.for_publisher,
            for_subscriber: parts.for_subscriber,
            description: parts.description,
            handling: parts.handling.boxed(),
        };
        Self {
            id: parts.id,
            name: parts.name,
            binding: Arc::new(parts.binding),
            target: parts.target,
            filter: parts.filter,
            revision: parts.revision,
            rare: rare.boxed(),
            priority: parts.priority,
            enabled: parts.enabled,
        }
    }

    pub(crate) fn to_parts(&self) -> SubscriptionParts {
        let rare = self.rare.as_deref().cloned().unwrap_or_default();
        SubscriptionParts {
            id: self.id,
            name: self.name.clone(),
            binding: Binding::clone(&self.binding),
            target: self.target.clone(),
            enabled: self.enabled,
            priority: self.priority,
            schedule: rare.schedule.map(|it| *it).unwrap_or_default(),
            owner: rare.owner,
            per_user: rare.per_user,
            filter: self.filter.clone(),
            predicate: rare.predicate,
            publisher_role: rare.publisher_role,
            for_publisher: rare.for_publisher,
            for_subscriber: rare.for_subscriber,
            description: rare.description,
            handling: rare.handling.map(|it| *it).unwrap_or_default(),
            revision: self.revision,
        }
    }

    /// Returns the id.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the name for keeping without a copy.
    pub(crate) fn shared_name(&self) -> &Arc<str> {
        self.name.shared()
    }

    /// Returns which events it asks for.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Returns who receives.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns whether the subscription is switched on.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns the priority; higher ones are called first.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Returns when it is delivered.
    pub fn schedule(&self) -> &Schedule {
        let schedule = self.rare().and_then(|rare| rare.schedule.as_deref());
        schedule.unwrap_or(Schedule::ALWAYS)
    }

    /// Returns the time before which nothing is delivered.
    pub fn not_before(&self) -> Option<SystemTime> {
        self.schedule().begin()
    }

    /// Returns the time from which on nothing is delivered.
    pub fn expires(&self) -> Option<SystemTime> {
        self.schedule().end()
    }

    /// Returns the owner.
    pub fn owner(&self) -> Option<&Principal> {
        self.rare()?.owner.as_ref()
    }

    /// Returns whether events are delivered only while the owner has a session.
    #[doc(alias = "PerUser")]
    pub fn is_per_user(&self) -> bool {
        self.rare().is_some_and(|rare| rare.per_user)
    }

    /// Returns the name of the predicate that is asked after the filter.
    pub fn predicate(&self) -> Option<&PredicateName> {
        self.rare()?.predicate.as_ref()
    }

    /// Returns the role that a publisher must have to be heard.
    pub fn publisher_role(&self) -> Option<&RoleName> {
        self.rare()?.publisher_role.as_ref()
    }

    /// Returns the filter criteria as they were written.
    #[doc(alias = "FilterCriteria")]
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// Returns the filter criteria for keeping without a copy.
    pub(crate) fn shared_filter(&self) -> Option<&Arc<str>> {
        self.filter.as_ref()
    }

    /// Returns the bag that filters and publisher filters read.
    #[doc(alias = "PublisherProperties")]
    pub fn for_publisher(&self) -> &Properties {
        self.rare()
            .map_or(const { &Properties::new() }, |rare| &rare.for_publisher)
    }

    /// Returns the bag that the activated component reads.
    #[doc(alias = "SubscriberProperties")]
    pub fn for_subscriber(&self) -> &Properties {
        self.rare()
            .map_or(const { &Properties::new() }, |rare| &rare.for_subscriber)
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.rare()?.description.as_deref()
    }

    /// Returns the commit that wrote the record, if it comes from a store.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Returns the same subscription, switched on.
    #[must_use]
    pub fn enabled(mut self) -> Self {
        self.enabled = true;
        self
    }

    /// Returns the same subscription, switched off.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Returns the same subscription with this priority.
    #[must_use]
    pub fn with_priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Returns the same subscription with these filter criteria; storing it checks them.
    #[must_use]
    pub fn with_filter(mut self, criteria: impl fmt::Display) -> Self {
        self.filter = Some(criteria.to_string().into());
        self
    }

    /// Returns the same subscription without filter criteria.
    #[must_use]
    pub fn without_filter(mut self) -> Self {
        self.filter = None;
        self
    }

    /// Returns the same subscription with another bag for the publisher's side.
    #[must_use]
    pub fn with_for_publisher(mut self, bag: impl Into<Properties>) -> Self {
        let bag = bag.into();
        self.change_rare(|rare| rare.for_publisher = bag);
        self
    }

    /// Returns the same subscription with another bag for the subscriber's side.
    #[must_use]
    pub fn with_for_subscriber(mut self, bag: impl Into<Properties>) -> Self {
        let bag = bag.into();
        self.change_rare(|rare| rare.for_subscriber = bag);
        self
    }

    /// Returns the same subscription with this schedule; storing it checks that.
    #[must_use]
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.change_rare(|rare| rare.schedule = schedule.boxed());
        self
    }

    /// Returns the same subscription with this owner.
    pub(crate) fn with_owner(mut self, owner: Principal) -> Self {
        self.change_rare(|rare| rare.owner = Some(owner));
        self
    }

    /// Returns the same subscription, expecting no revision: storing it replaces whatever is there.
    #[must_use]
    pub fn without_revision(mut self) -> Self {
        self.revision = None;
        self
    }

    /// Checks what the types of the fields leave open.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let mut problems = Problems::default();
        check_rules(&self.binding, self.schedule(), &mut problems);
        check_per_user(self.is_per_user(), self.owner().is_some(), &mut problems);
        if let Some(handling) = self.handling() {
            handling.check(&mut problems);
            handling.check_target(&self.target, &mut problems);
        }
        problems.or(format!("the subscription {:?}", self.name()), Some(()))
    }

    /// Returns whether the target is a live object, so that no store keeps the record.
    pub(crate) fn is_object(&self) -> bool {
        self.target == Target::Object
    }

    pub(crate) fn at(mut self, revision: Option<Revision>) -> Self {
        self.revision = revision;
        self
    }

    /// Lets the record have its binding in common with the others that `pool` was shown.
    pub(crate) fn share_binding(&mut self, pool: &mut BindingPool) {
        self.binding = pool.share(&self.binding);
    }

    /// Returns what it says of how its subscriber is called.
    pub(super) fn handling(&self) -> Option<&Handling> {
        self.rare()?.handling.as_deref()
    }

    fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().map_or_else(Rare::default, |rare| *rare);
        change(&mut rare);
        self.rare = rare.boxed();
    }
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// Finds what is wrong with fields that are well each for itself.
pub(crate) fn check_rules(binding: &Binding, schedule: &Schedule, problems: &mut Problems) {
    if binding.class.is_none() && binding.interface.is_none() {
        problems.add("binding", "neither a class nor an interface is named");
    }
    schedule.check(problems);
}

/// Finds that nobody is there whose session could be waited for.
pub(crate) fn check_per_user(per_user: bool, owned: bool, problems: &mut Problems) {
    if per_user && !owned {
        problems.add("per_user", "no owner is named");
    }
}

/// Returns the id of a subscription that was given none: the UUID v5 of owner, binding and name, so
/// that a program that runs again means the same subscription.
pub(crate) fn identity(
    owner: Option<&Principal>,
    binding: &Binding,
    name: &SubscriptionName,
) -> SubscriptionId {
    // A control character cannot occur in any of the parts, so no two triples give one text.
    let owner = owner.map_or("", Principal::as_str);
    SubscriptionId::named(&format!("{owner}\n{binding}\n{name}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the records are valid")]
    use super::*;
    use crate::broker::SubscriptionBuilder;

    fn alert() -> Subscription {
        let builder = Subscription::builder("alert").class("stocks");
        builder
            .component("alarm")
            .filter("price > 5")
            .build()
            .unwrap()
    }

    /// A broker holds each record that it knows, and there may be a million.
    #[test]
    fn record_fits_two_cache_lines() {
        assert!(size_of::<Subscription>() <= 128);
    }

    #[test]
    fn record_without_rare_fields_has_no_place_for_them() {
        let plain = alert();
        assert!(plain.rare.is_none());
        let bag = plain.clone().with_for_publisher([("region", "eu")]);
        assert_eq!(bag.for_publisher().len(), 1);
        assert_ne!(bag, plain);
        assert_eq!(bag.with_for_publisher(Properties::new()), plain);
    }

    /// Programs that ran before there were publishers and several methods mean the same
    /// subscription.
    #[test]
    fn id_made_of_a_binding_stays_as_it_is() {
        let alert = |binding: fn(SubscriptionBuilder) -> SubscriptionBuilder| {
            let builder = Subscription::builder("alert")
                .component("alarm")
                .owner("ann");
            binding(builder).build().unwrap().id().to_string()
        };
        let one = alert(|alert| alert.class("c").interface("i").method("m"));
        assert_eq!(one, "31455060-cf0b-538c-92fe-efe90850c363");
        let several = alert(|alert| alert.interface("i").method("n").method("m"));
        assert_eq!(several, "a2cc3183-f7bd-528f-9b92-8da1c8e3fa6b");
        let publisher = alert(|alert| alert.interface("i").from_publisher("p"));
        assert_eq!(publisher, "7ebed4ac-7a80-58c7-b9ee-5e5dff363911");
    }

    #[test]
    fn records_stay_equal_when_they_share_a_binding() {
        let mut pool = BindingPool::default();
        let (mut one, mut other) = (alert(), alert());
        one.share_binding(&mut pool);
        other.share_binding(&mut pool);
        assert!(Arc::ptr_eq(&one.binding, &other.binding));
        assert_eq!((&one, &other), (&alert(), &alert()));
    }
}
