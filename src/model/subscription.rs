//! Subscriptions.

use std::fmt;
use std::time::SystemTime;

use super::{
    ComponentId, EventClassId, MethodName, Moniker, Principal, Problems, Revision, SubscriptionId,
    SubscriptionName,
};
use crate::error::Error;
use crate::value::{InterfaceId, Properties};

/// The stored request to be called: which events, by whom they are received, under which conditions.
///
/// A plain record: building one stores nothing. Read it from a broker, change it with the `with_`
/// methods or, in every field, by way of [`to_builder`](Self::to_builder), and hand it back to
/// `store`. A record that was read carries the revision it was read at, and storing it fails with [`Conflict`](crate::ErrorKind::Conflict) if somebody else changed
/// the subscription since.
///
/// The serde form is for people: JSON or TOML with the fields of the builder, where a name may stand
/// for an id and only `name`, a `class` or `interface`, and a target are needed.
#[derive(Debug, Clone, PartialEq)]
#[doc(alias("IEventSubscription", "IEventSubscription2", "IEventSubscription3"))]
pub struct Subscription {
    parts: SubscriptionParts,
}

/// The fields of a [`Subscription`], for the builder and the stored form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SubscriptionParts {
    pub(crate) id: SubscriptionId,
    pub(crate) name: SubscriptionName,
    pub(crate) binding: Binding,
    pub(crate) target: Target,
    pub(crate) enabled: bool,
    pub(crate) priority: i32,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) owner: Option<Principal>,
    pub(crate) filter: Option<String>,
    pub(crate) for_publisher: Properties,
    pub(crate) for_subscriber: Properties,
    pub(crate) description: Option<String>,
    pub(crate) revision: Option<Revision>,
}

/// Which events: of a class, of an interface from any class, or both; one method or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    pub(crate) class: Option<EventClassId>,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) method: Option<MethodName>,
}

/// Who receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A component that the broker makes when needed.
    #[doc(alias = "SubscriberCLSID")]
    Component(ComponentId),
    /// Something that the scheme's resolver binds to.
    #[doc(alias = "SubscriberMoniker")]
    Moniker(Moniker),
    /// A live object, passed beside the record.
    #[doc(alias = "SubscriberInterface")]
    Object,
}

impl Subscription {
    pub(crate) fn from_parts(parts: SubscriptionParts) -> Self {
        Self { parts }
    }

    pub(crate) fn parts(&self) -> &SubscriptionParts {
        &self.parts
    }

    /// Returns the id.
    pub fn id(&self) -> SubscriptionId {
        self.parts.id
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        self.parts.name.as_str()
    }

    /// Returns which events it asks for.
    pub fn binding(&self) -> &Binding {
        &self.parts.binding
    }

    /// Returns who receives.
    pub fn target(&self) -> &Target {
        &self.parts.target
    }

    /// Returns whether the subscription is switched on.
    pub fn is_enabled(&self) -> bool {
        self.parts.enabled
    }

    /// Returns the priority; higher ones are called first.
    pub fn priority(&self) -> i32 {
        self.parts.priority
    }

    /// Returns the time before which nothing is delivered.
    pub fn not_before(&self) -> Option<SystemTime> {
        self.parts.not_before
    }

    /// Returns the time from which on nothing is delivered.
    pub fn expires(&self) -> Option<SystemTime> {
        self.parts.expires
    }

    /// Returns the owner.
    pub fn owner(&self) -> Option<&Principal> {
        self.parts.owner.as_ref()
    }

    /// Returns the filter criteria as they were written.
    #[doc(alias = "FilterCriteria")]
    pub fn filter(&self) -> Option<&str> {
        self.parts.filter.as_deref()
    }

    /// Returns the bag that filters and publisher filters read.
    #[doc(alias = "PublisherProperties")]
    pub fn for_publisher(&self) -> &Properties {
        &self.parts.for_publisher
    }

    /// Returns the bag that the activated component reads.
    #[doc(alias = "SubscriberProperties")]
    pub fn for_subscriber(&self) -> &Properties {
        &self.parts.for_subscriber
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.parts.description.as_deref()
    }

    /// Returns the commit that wrote the record, if it comes from a store.
    pub fn revision(&self) -> Option<Revision> {
        self.parts.revision
    }

    /// Returns the same subscription, switched on.
    #[must_use]
    pub fn enabled(mut self) -> Self {
        self.parts.enabled = true;
        self
    }

    /// Returns the same subscription, switched off.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.parts.enabled = false;
        self
    }

    /// Returns the same subscription with this priority.
    #[must_use]
    pub fn with_priority(mut self, priority: i32) -> Self {
        self.parts.priority = priority;
        self
    }

    /// Returns the same subscription with these filter criteria; storing it checks them.
    #[must_use]
    pub fn with_filter(mut self, criteria: impl fmt::Display) -> Self {
        self.parts.filter = Some(criteria.to_string());
        self
    }

    /// Returns the same subscription without filter criteria.
    #[must_use]
    pub fn without_filter(mut self) -> Self {
        self.parts.filter = None;
        self
    }

    /// Returns the same subscription with another bag for the publisher's side.
    #[must_use]
    pub fn with_for_publisher(mut self, bag: impl Into<Properties>) -> Self {
        self.parts.for_publisher = bag.into();
        self
    }

    /// Returns the same subscription with another bag for the subscriber's side.
    #[must_use]
    pub fn with_for_subscriber(mut self, bag: impl Into<Properties>) -> Self {
        self.parts.for_subscriber = bag.into();
        self
    }

    /// Returns the same subscription, expecting no revision: storing it replaces whatever is there.
    #[must_use]
    pub fn without_revision(mut self) -> Self {
        self.parts.revision = None;
        self
    }

    /// Checks what the types of the fields leave open.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let mut problems = Problems::default();
        let parts = &self.parts;
        check_rules(
            &parts.binding,
            parts.not_before,
            parts.expires,
            &mut problems,
        );
        problems.or(format!("the subscription {:?}", self.name()), Some(()))
    }

    /// Returns whether the target is a live object, so that no store keeps the record.
    pub(crate) fn is_object(&self) -> bool {
        self.parts.target == Target::Object
    }

    pub(crate) fn at(mut self, revision: Option<Revision>) -> Self {
        self.parts.revision = revision;
        self
    }
}

impl Binding {
    /// Returns the class, if it is bound to one.
    pub fn class(&self) -> Option<EventClassId> {
        self.class
    }

    /// Returns the interface, if it is bound to one.
    pub fn interface(&self) -> Option<InterfaceId> {
        self.interface
    }

    /// Returns the method, or `None` for all.
    pub fn method(&self) -> Option<&str> {
        self.method.as_ref().map(MethodName::as_str)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = self.class {
            write!(f, "class {class}")?;
        }
        if let Some(interface) = self.interface {
            let space = if self.class.is_some() { " " } else { "" };
            write!(f, "{space}interface {interface}")?;
        }
        self.method
            .iter()
            .try_for_each(|method| write!(f, " method {method}"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(id) => write!(f, "component {id}"),
            Self::Moniker(moniker) => write!(f, "moniker {moniker}"),
            Self::Object => f.write_str("object"),
        }
    }
}

/// Finds what is wrong with fields that are well each for itself.
pub(crate) fn check_rules(
    binding: &Binding,
    not_before: Option<SystemTime>,
    expires: Option<SystemTime>,
    problems: &mut Problems,
) {
    if binding.class.is_none() && binding.interface.is_none() {
        problems.add("binding", "neither a class nor an interface is named");
    }
    for (field, time) in [("not_before", not_before), ("expires", expires)] {
        if let Some(Err(error)) = time.map(jiff::Timestamp::try_from) {
            problems.add(field, error);
        }
    }
    if let (Some(from), Some(until)) = (not_before, expires)
        && until <= from
    {
        problems.add("expires", "is not after the not-before time");
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
