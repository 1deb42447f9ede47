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

/// Which of the fired events are kept for subscriptions that come later: those that tell a state,
/// such as a price or a mode.
///
/// Written by people as `"last"` or `{ last_per = "symbol" }`. MQTT's retained messages (MQTT 5.0,
/// 3.3.1.3) are the model, and JetStream's deliver policy "last per subject" for those of each key.
///
/// # What is kept, and where
///
/// Each method has its own, whatever object fired it. A key is a value of the parameter: numbers
/// that are equal are one key, whatever their type, and NULL is a key of its own. Under a class's
/// `LastPer`, a method without that parameter retains nothing.
///
/// The events are in the memory of the broker that fired them, one copy of their values each, with
/// the publisher's properties and roles as they were, those lent to the event included. Each broker
/// of a store retains what its own publishers fired, and all is gone when it is dropped. A class
/// begins to retain with the commit that says so; when the setting changes, what was retained under
/// the one before is forgotten, as it is when the class is removed. An interface that gets another
/// version of its schema takes the events along, by the names of methods and parameters, as far as
/// they fit. Of one method [`retained_keys`](crate::BrokerBuilder::retained_keys) are kept at most;
/// then the one that was fired longest ago gives way. A publisher takes back what should not be
/// given any more: [`forget_retained`](crate::Publisher::forget_retained) and
/// [`forget_retained_of`](crate::Publisher::forget_retained_of).
///
/// # Who gets it
///
/// Every subscription that comes to be served: it is stored, ensured, imported or switched on, its
/// owner logs on, its component is registered, its live object subscribes, or it is no longer
/// suspended. One that is edited gets nothing again, nor does another object in the place of one
/// that was there. A retained event passes what a live one passes: the methods and the publisher
/// that are bound, the filter, the times, the role that is demanded, the predicate, and the
/// publisher's side as it is then, where a publisher filter sees this subscription alone. What does
/// not pass is not tried again. Private subscriptions of publisher objects get none: what is
/// retained, others may have fired.
///
/// [`EventContext::is_retained`](crate::EventContext::is_retained) tells the subscriber; id, time
/// and sequence are those of the fire. What fails is told to the failure hook.
///
/// # Order, and exactly once
///
/// The subscription gets what is retained first, in the order of firing, and then every event that
/// is fired afterwards: none is missed between the two, and none comes twice. Events that are fired
/// while it is still being given the retained ones wait for it, also those of methods that retain
/// none, and are [`Deferred`](crate::DeliveryOutcome::Deferred) in the report of their fire. Of one
/// that does not return 16,384 wait, and each further one is a failure. Between interfaces and
/// classes there is no order.
///
/// The subscriber is called on the thread that made the change, when no lock is held any more and
/// before the call returns that made it; inside a delivery this is inside it, and behind the
/// outermost one if the class queues nested events. The subscriptions of one change, of up to a
/// thousand for each class, get theirs in turn; should one take long, whoever fires meanwhile gives
/// those behind it theirs, on its own thread and before it calls anybody. What is edited before it
/// was its turn is given them as edited.
///
/// A fire of a method that retains events copies its values, and the fires of one class take turns
/// while they keep them. Methods and classes that retain none cost what they did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retained {
    /// The last one of each method.
    Last,
    /// The last one of each method for each value of this parameter.
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
