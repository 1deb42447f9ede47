//! Event classes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Breaker, ClassName, DeliveryMode, EventClassId, Firing, History, MethodSettings, Principal,
    Problems, PropertyName, PublisherId, Revision, Right, span,
};
use crate::error::Error;
use crate::value::{InterfaceId, Properties, Value, ValueType};

/// The publisher property that is the id of who fires: set with the publisher object's `set_id`, or
/// the class's publisher id; it needs no declaration.
pub(crate) const PUBLISHER_ID: &str = "publisher_id";

/// An event type as it stands in the store: what publishers fire and subscriptions bind to.
///
/// A default one is made of an interface when a publisher of it is first asked for; make one of
/// your own for an id, a name or attributes of your choice, or to have several classes on one
/// interface. The `with_` methods check nothing; registering the class does, and reports all at
/// once.
///
/// The serde form is for people: JSON or TOML with these fields, where a name may stand for an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(alias("IEventClass", "IEventClass2", "IEventClass3"))]
pub struct EventClass {
    id: EventClassId,
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<InterfaceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher: Option<PublisherId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    properties: Vec<PropertyDeclaration>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    open_properties: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unordered: bool,
    #[serde(default, skip_serializing_if = "Nesting::is_inline")]
    nesting: Nesting,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    indexable_filters: bool,
    #[serde(default, skip_serializing_if = "Firing::is_serial")]
    pub(super) firing: Firing,
    #[serde(
        default,
        rename = "all_methods",
        skip_serializing_if = "MethodSettings::is_empty"
    )]
    pub(super) settings: MethodSettings,
    /// method -> what is set for it alone
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) methods: BTreeMap<String, MethodSettings>,
    /// right -> the roles that have it; one that is not here is everybody's
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) access: BTreeMap<Right, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) delivery: Option<Box<DeliveryMode>>,
    #[serde(
        default,
        with = "span::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) deadline: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) breaker: Option<Box<Breaker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Box<History>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

/// When an event is delivered that a subscriber fires while it is being called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Nesting {
    /// At once, before the subscriber's call goes on: depth first.
    #[default]
    Inline,
    /// When the outermost fire of the thread has called its last subscriber: in the order of
    /// firing. Where subscribers are called at the same time, all threads count as the publisher's,
    /// and the events of each subscriber come in the order in which those are called.
    Queued,
}

impl Nesting {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    fn is_inline(&self) -> bool {
        *self == Self::Inline
    }
}

/// A publisher property that a class declares, with the value it has until a publisher sets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyDeclaration {
    name: String,
    #[serde(rename = "type")]
    ty: ValueType,
    // TOML has no NULL.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    default: Value,
}

impl EventClass {
    /// Returns a class with this id and name.
    pub fn new(id: impl Into<EventClassId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            interfaces: Vec::new(),
            publisher: None,
            description: None,
            owner: None,
            properties: Vec::new(),
            open_properties: false,
            unordered: false,
            nesting: Nesting::Inline,
            indexable_filters: false,
            firing: Firing::Serial,
            settings: MethodSettings::default(),
            methods: BTreeMap::new(),
            access: BTreeMap::new(),
            delivery: None,
            deadline: None,
            breaker: None,
            history: None,
            revision: None,
        }
    }

    /// Adds an interface; registering the class adds the one it is registered for.
    #[must_use]
    #[doc(alias = "FiringInterfaceID")]
    pub fn with_interface(mut self, id: impl Into<InterfaceId>) -> Self {
        let id = id.into();
        if !self.interfaces.contains(&id) {
            self.interfaces.push(id);
        }
        self
    }

    /// Names the publisher, which several classes may share.
    #[must_use]
    pub fn with_publisher(mut self, id: impl Into<PublisherId>) -> Self {
        self.publisher = Some(id.into());
        self
    }

    /// Describes the class for people.
    #[must_use]
    pub fn with_description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Names the owner.
    #[must_use]
    pub fn with_owner(mut self, principal: impl Into<String>) -> Self {
        self.owner = Some(principal.into());
        self
    }

    /// Declares a publisher property, which filters read as `publisher.NAME`, and its default.
    #[must_use]
    pub fn with_property(
        mut self,
        name: impl Into<String>,
        ty: ValueType,
        default: impl Into<Value>,
    ) -> Self {
        self.properties.push(PropertyDeclaration {
            name: name.into(),
            ty,
            default: default.into(),
        });
        self
    }

    /// Lets publishers set, and filters name, properties that are not declared; where one is not
    /// set it is NULL.
    #[must_use]
    pub fn with_open_properties(mut self) -> Self {
        self.open_properties = true;
        self
    }

    /// Gives up the order of subscribers within a priority, which saves sorting where thousands
    /// match.
    #[must_use]
    pub fn with_unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// Says when events of the class are delivered that are fired inside a delivery.
    #[must_use]
    pub fn with_nesting(mut self, nesting: Nesting) -> Self {
        self.nesting = nesting;
        self
    }

    /// Refuses subscriptions whose filter the index cannot help, so that no event is checked
    /// against each of them.
    #[must_use]
    pub fn with_indexable_filters(mut self) -> Self {
        self.indexable_filters = true;
        self
    }

    /// Returns the id.
    pub fn id(&self) -> EventClassId {
        self.id
    }

    /// Returns the name.
    #[doc(alias = "EventClassName")]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the interfaces that publishers of the class can fire.
    pub fn interfaces(&self) -> &[InterfaceId] {
        &self.interfaces
    }

    /// Returns the publisher's id.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }

    /// Returns the description.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Returns the owner.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Returns the declared publisher properties.
    pub fn properties(&self) -> &[PropertyDeclaration] {
        &self.properties
    }

    /// Returns whether undeclared publisher properties are allowed.
    pub fn has_open_properties(&self) -> bool {
        self.open_properties
    }

    /// Returns whether subscribers of one priority are called in any order.
    pub fn is_unordered(&self) -> bool {
        self.unordered
    }

    /// Returns when events are delivered that are fired inside a delivery.
    pub fn nesting(&self) -> Nesting {
        self.nesting
    }

    /// Returns whether filters that the index cannot help are refused.
    pub fn requires_indexable_filters(&self) -> bool {
        self.indexable_filters
    }

    /// Returns the commit that wrote the record, if it comes from a store.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    pub(crate) fn at(mut self, revision: Option<Revision>) -> Self {
        self.revision = revision;
        self
    }

    /// Returns the declaration of the publisher property `name`.
    pub(crate) fn declaration(&self, name: &str) -> Option<&PropertyDeclaration> {
        self.properties
            .iter()
            .find(|property| property.name == name)
    }

    /// Returns the declared properties with their defaults.
    pub(crate) fn defaults(&self) -> Properties {
        self.properties
            .iter()
            .map(|p| (p.name.clone(), p.default.clone()))
            .collect()
    }

    /// Checks every field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let mut problems = Problems::default();
        problems.take("name", ClassName::try_from(self.name.as_str()));
        if let Some(owner) = &self.owner {
            problems.take("owner", Principal::try_from(owner.as_str()));
        }
        if self.interfaces.is_empty() {
            problems.add("interfaces", "the class has none");
        }
        for (index, property) in self.properties.iter().enumerate() {
            problems.take("properties", PropertyName::try_from(property.name.as_str()));
            if property.name == PUBLISHER_ID {
                problems.add(
                    "properties",
                    format!("{PUBLISHER_ID:?} is the publisher's own id"),
                );
            }
            if self.properties[..index]
                .iter()
                .any(|other| other.name == property.name)
            {
                problems.add(
                    "properties",
                    format!("{:?} is declared twice", property.name),
                );
            }
            if let Err(error) = property.ty.check_nullable(property.default.view()) {
                problems.add(
                    "properties",
                    format!("default of {:?}: {error}", property.name),
                );
            }
        }
        self.check_settings(&mut problems);
        problems.or(format!("the event class {:?}", self.name), Some(()))
    }
}

impl PropertyDeclaration {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type.
    pub fn value_type(&self) -> &ValueType {
        &self.ty
    }

    /// Returns the value that the property has until a publisher sets it.
    pub fn default_value(&self) -> &Value {
        &self.default
    }
}
