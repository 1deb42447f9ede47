//! What a class says of the events of its methods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MethodName, ParameterName, Problems, PublisherFilterName};
use crate::value::EventMethod;

/// What the publisher's side does with the events of a method: who is asked whom to call, and which
/// events are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodSettings {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) publisher_filters: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default_query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retained: Option<Retained>,
}

/// Which of the fired events are kept for subscribers that come later.
///
/// Written by people as `"last"` or `{ last_per = "symbol" }`. A broker of this version refuses a
/// class that asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retained {
    /// The last one.
    Last,
    /// The last one for each value of this parameter.
    LastPer(String),
}

impl MethodSettings {
    /// Returns the names of the publisher filters, in the order in which they are asked.
    pub fn publisher_filters(&self) -> &[String] {
        &self.publisher_filters
    }

    /// Returns the criteria over subscriptions that select whom to call where there is no publisher
    /// filter.
    pub fn default_query(&self) -> Option<&str> {
        self.default_query.as_deref()
    }

    /// Returns which events are kept, if any.
    pub fn retained(&self) -> Option<&Retained> {
        self.retained.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these settings with those of another in the places that are empty.
    pub(super) fn or(mut self, others: &Self) -> Self {
        if self.publisher_filters.is_empty() {
            self.publisher_filters.clone_from(&others.publisher_filters);
        }
        self.default_query = self.default_query.or_else(|| others.default_query.clone());
        self.retained = self.retained.or_else(|| others.retained.clone());
        self
    }

    /// Returns what is set for a method under its name, or under one that it had before.
    pub(super) fn find<'a>(
        all: &'a BTreeMap<String, Self>,
        method: &EventMethod,
    ) -> Option<&'a Self> {
        let formerly = || method.aliases().iter().find_map(|alias| all.get(alias));
        all.get(method.name()).or_else(formerly)
    }

    /// Finds what is wrong with the settings of all methods, or of one.
    pub(super) fn check(&self, method: Option<&str>, problems: &mut Problems) {
        if let Some(method) = method {
            problems.take("methods", MethodName::try_from(method));
        }
        for (index, name) in self.publisher_filters.iter().enumerate() {
            let checked = PublisherFilterName::try_from(name.as_str());
            problems.take("publisher_filters", checked);
            if self.publisher_filters[..index].contains(name) {
                problems.add("publisher_filters", format!("{name:?} is named twice"));
            }
        }
        if let Some(Retained::LastPer(parameter)) = &self.retained {
            problems.take("retained", ParameterName::try_from(parameter.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(filter: &str) -> MethodSettings {
        MethodSettings {
            publisher_filters: vec![filter.into()],
            ..MethodSettings::default()
        }
    }

    #[test]
    fn setting_is_found_under_the_name_of_a_method_and_under_a_former_one() {
        let method = EventMethod::new("new", []).alias("older").alias("old");
        let mut all = BTreeMap::from([("old".to_owned(), settings("a"))]);
        assert_eq!(MethodSettings::find(&all, &method), Some(&settings("a")));
        all.insert("new".into(), settings("b"));
        assert_eq!(MethodSettings::find(&all, &method), Some(&settings("b")));
        let other = EventMethod::new("other", []);
        assert_eq!(MethodSettings::find(&all, &other), None);
    }

    #[test]
    fn what_is_set_for_a_method_stands_before_what_is_set_for_all() {
        let all = MethodSettings {
            default_query: Some("ALL".into()),
            retained: Some(Retained::Last),
            ..settings("a")
        };
        let own = MethodSettings {
            retained: Some(Retained::LastPer("id".into())),
            ..settings("b")
        };
        let both = own.clone().or(&all);
        assert_eq!(both.publisher_filters(), ["b"]);
        assert_eq!(both.default_query(), Some("ALL"));
        assert_eq!(both.retained(), own.retained());
        assert_eq!(MethodSettings::default().or(&all), all);
    }
}
