//! The stored form of event classes.

use serde::{Deserialize, Serialize};

use super::handling::{CallsV1, SpanV1};
use super::properties::ValueV1;
use super::schema::TypeV1;
use super::settings::{RightV1, SettingsV1};
use crate::model::{EventClass, EventClassId, Firing, History, Nesting};

/// Every version that was ever written.
#[derive(Serialize, Deserialize)]
pub(super) enum Stored {
    V1(ClassV1),
    V2(ClassV2),
    V3(ClassV3),
    V4(ClassV4),
}

/// What most classes need, and still written for those: older programs read it.
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

#[derive(Serialize, Deserialize)]
pub(super) struct ClassV2 {
    base: ClassV1,
    /// The most calls at a time, if there may be several.
    parallel: Option<u64>,
    settings: SettingsV1,
    methods: Vec<(String, SettingsV1)>,
    access: Vec<(RightV1, String)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClassV3 {
    base: ClassV2,
    calls: CallsV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClassV4 {
    base: ClassV3,
    history: HistoryV1,
}

#[derive(Serialize, Deserialize)]
struct HistoryV1 {
    count: Option<u64>,
    age: Option<SpanV1>,
    bytes: Option<u64>,
    without_waiting: bool,
}

impl From<&EventClass> for Stored {
    fn from(class: &EventClass) -> Self {
        let methods = class.method_settings();
        let methods = methods.map(|(name, settings)| (name.to_owned(), settings.into()));
        let access = class.access();
        let access = access.map(|(right, role)| (right.into(), role.to_owned()));
        let v2 = ClassV2 {
            base: class.into(),
            parallel: match class.firing() {
                Firing::Serial => None,
                Firing::Parallel { max } => Some(u64::try_from(max).unwrap_or(u64::MAX)),
            },
            settings: class.settings().into(),
            methods: methods.collect(),
            access: access.collect(),
        };
        let calls = CallsV1::of_class(class);
        if let Some(history) = class.history() {
            return Self::V4(ClassV4 {
                base: ClassV3 { base: v2, calls },
                history: history.into(),
            });
        }
        if !calls.is_empty() {
            Self::V3(ClassV3 { base: v2, calls })
        } else if v2.is_first_version() {
            Self::V1(v2.base)
        } else {
            Self::V2(v2)
        }
    }
}

impl Stored {
    pub(super) fn into_class(self, id: EventClassId) -> EventClass {
        match self {
            Self::V1(v1) => v1.into_class(id),
            Self::V2(v2) => v2.into_class(id),
            Self::V3(v3) => v3.into_class(id),
            Self::V4(v4) => v4.base.into_class(id).with_history(v4.history.into()),
        }
    }
}

impl ClassV2 {
    /// Returns whether the first version says all that this one does.
    fn is_first_version(&self) -> bool {
        self.parallel.is_none()
            && self.settings.is_empty()
            && self.methods.is_empty()
            && self.access.is_empty()
    }

    fn into_class(self, id: EventClassId) -> EventClass {
        let mut class = self.base.into_class(id);
        if let Some(max) = self.parallel {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            class = class.with_firing(Firing::Parallel { max });
        }
        class = self.settings.set(class);
        for (method, settings) in self.methods {
            class = settings.set_for(&method, class);
        }
        for (right, role) in self.access {
            class = class.with_access(right.into(), role);
        }
        class
    }
}

impl ClassV3 {
    fn into_class(self, id: EventClassId) -> EventClass {
        self.calls.set(self.base.into_class(id))
    }
}

impl From<&History> for HistoryV1 {
    fn from(history: &History) -> Self {
        Self {
            count: history.count(),
            age: history.age().map(Into::into),
            bytes: history.bytes(),
            without_waiting: !history.waits(),
        }
    }
}

impl From<HistoryV1> for History {
    fn from(stored: HistoryV1) -> Self {
        let mut history = Self::new();
        if let Some(count) = stored.count {
            history = history.with_count(count);
        }
        if let Some(age) = stored.age {
            history = history.with_age(age.into());
        }
        if let Some(bytes) = stored.bytes {
            history = history.with_bytes(bytes);
        }
        match stored.without_waiting {
            true => history.without_waiting(),
            false => history,
        }
    }
}

impl From<&EventClass> for ClassV1 {
    fn from(class: &EventClass) -> Self {
        let properties = class.properties().iter().map(|property| {
            let ty = property.value_type().into();
            (
                property.name().to_owned(),
                ty,
                property.default_value().into(),
            )
        });
        Self {
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
        }
    }
}

impl ClassV1 {
    fn into_class(self, id: EventClassId) -> EventClass {
        let uuid = uuid::Uuid::from_bytes;
        let mut class = EventClass::new(id, self.name);
        for interface in self.interfaces {
            class = class.with_interface(uuid(interface));
        }
        for (name, ty, default) in self.properties {
            class = class.with_property(name, ty.into(), crate::value::Value::from(default));
        }
        if let Some(publisher) = self.publisher {
            class = class.with_publisher(uuid(publisher));
        }
        if let Some(text) = self.description {
            class = class.with_description(text);
        }
        if let Some(owner) = self.owner {
            class = class.with_owner(owner);
        }
        if self.open_properties {
            class = class.with_open_properties();
        }
        if self.unordered {
            class = class.with_unordered();
        }
        if self.queues_nested {
            class = class.with_nesting(Nesting::Queued);
        }
        if self.indexable_filters {
            class = class.with_indexable_filters();
        }
        class
    }
}
