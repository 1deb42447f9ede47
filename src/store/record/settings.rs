//! The stored form of what a class says of its publishers.

use serde::{Deserialize, Serialize};

use crate::model::{EventClass, MethodSettings, Retained, Right};

/// What is set for all methods of a class, or for one.
#[derive(Serialize, Deserialize)]
pub(super) struct SettingsV1 {
    publisher_filters: Vec<String>,
    default_query: Option<String>,
    retained: Option<RetainedV1>,
}

#[derive(Serialize, Deserialize)]
enum RetainedV1 {
    Last,
    LastPer(String),
}

#[derive(Serialize, Deserialize)]
pub(super) enum RightV1 {
    Define,
    Subscribe,
    Publish,
    Administer,
    Read,
}

impl SettingsV1 {
    pub(super) fn is_empty(&self) -> bool {
        self.publisher_filters.is_empty() && self.default_query.is_none() && self.retained.is_none()
    }

    /// Returns the class with these settings for all methods.
    pub(super) fn set(self, mut class: EventClass) -> EventClass {
        for name in self.publisher_filters {
            class = class.with_publisher_filter(name);
        }
        if let Some(criteria) = self.default_query {
            class = class.with_default_query(criteria);
        }
        match self.retained {
            Some(retained) => class.with_retained(retained.into()),
            None => class,
        }
    }

    /// Returns the class with these settings for one method.
    pub(super) fn set_for(self, method: &str, mut class: EventClass) -> EventClass {
        for name in self.publisher_filters {
            class = class.with_method_publisher_filter(method, name);
        }
        if let Some(criteria) = self.default_query {
            class = class.with_method_default_query(method, criteria);
        }
        match self.retained {
            Some(retained) => class.with_method_retained(method, retained.into()),
            None => class,
        }
    }
}

impl From<&MethodSettings> for SettingsV1 {
    fn from(settings: &MethodSettings) -> Self {
        Self {
            publisher_filters: settings.publisher_filters().to_vec(),
            default_query: settings.default_query().map(str::to_owned),
            retained: settings.retained().map(|retained| match retained {
                Retained::Last => RetainedV1::Last,
                Retained::LastPer(parameter) => RetainedV1::LastPer(parameter.clone()),
            }),
        }
    }
}

impl From<RetainedV1> for Retained {
    fn from(retained: RetainedV1) -> Self {
        match retained {
            RetainedV1::Last => Self::Last,
            RetainedV1::LastPer(parameter) => Self::LastPer(parameter),
        }
    }
}

impl From<Right> for RightV1 {
    fn from(right: Right) -> Self {
        match right {
            Right::Define => Self::Define,
            Right::Subscribe => Self::Subscribe,
            Right::Publish => Self::Publish,
            Right::Administer => Self::Administer,
            Right::Read => Self::Read,
        }
    }
}

impl From<RightV1> for Right {
    fn from(right: RightV1) -> Self {
        match right {
            RightV1::Define => Self::Define,
            RightV1::Subscribe => Self::Subscribe,
            RightV1::Publish => Self::Publish,
            RightV1::Administer => Self::Administer,
            RightV1::Read => Self::Read,
        }
    }
}
