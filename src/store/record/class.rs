//! The stored form of event classes.

use serde::{Deserialize, Serialize};

use super::properties::ValueV1;
use super::schema::TypeV1;
use crate::model::{EventClass, EventClassId, Nesting};

/// Every version that was ever written.
#[derive(Serialize, Deserialize)]
pub(super) enum Stored {
    V1(ClassV1),
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClassV1 {
    name: String,
    interfaces: Vec<[u8; 16]>,
    publisher: Option<[u8; 16]>,
    description: Option<String>,
    owner: Option<String>,
    properties: Vec<(String, TypeV1, ValueV1)>,
    open_properties: bool,
    unordered: bool,
    queues_nested: bool,
    indexable_filters: bool,
}

impl From<&EventClass> for Stored {
    fn from(class: &EventClass) -> Self {
        let properties = class.properties().iter().map(|property| {
            let ty = property.value_type().into();
            (
                property.name().to_owned(),
                ty,
                property.default_value().into(),
            )
        });
        Self::V1(ClassV1 {
            name: class.name().to_owned(),
            interfaces: class
                .interfaces()
                .iter()
                .map(|id| id.uuid().into_bytes())
                .collect(),
            publisher: class.publisher().map(|id| id.uuid().into_bytes()),
            description: class.description().map(str::to_owned),
            owner: class.owner().map(str::to_owned),
            properties: properties.collect(),
            open_properties: class.has_open_properties(),
            unordered: class.is_unordered(),
            queues_nested: class.nesting() == Nesting::Queued,
            indexable_filters: class.requires_indexable_filters(),
        })
    }
}

impl Stored {
    pub(super) fn into_class(self, id: EventClassId) -> EventClass {
        let Self::V1(stored) = self;
        let uuid = uuid::Uuid::from_bytes;
        let mut class = EventClass::new(id, stored.name);
        for interface in stored.interfaces {
            class = class.with_interface(uuid(interface));
        }
        for (name, ty, default) in stored.properties {
            class = class.with_property(name, ty.into(), crate::value::Value::from(default));
        }
        if let Some(publisher) = stored.publisher {
            class = class.with_publisher(uuid(publisher));
        }
        if let Some(text) = stored.description {
            class = class.with_description(text);
        }
        if let Some(owner) = stored.owner {
            class = class.with_owner(owner);
        }
        if stored.open_properties {
            class = class.with_open_properties();
        }
        if stored.unordered {
            class = class.with_unordered();
        }
        if stored.queues_nested {
            class = class.with_nesting(Nesting::Queued);
        }
        if stored.indexable_filters {
            class = class.with_indexable_filters();
        }
        class
    }
}
