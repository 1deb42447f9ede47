//! The serde form of subscriptions.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Binding, Breaker, ComponentId, DeliveryMode, EventClassId, Handling, MethodNames, Moniker,
    PredicateName, Principal, PublisherId, Revision, RoleName, Schedule, Subscription,
    SubscriptionId, SubscriptionName, SubscriptionParts, Target, Trigger, identity, span,
};
use crate::value::{InterfaceId, Properties};

/// What a person writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: SubscriptionName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<SubscriptionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<EventClassId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<InterfaceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher: Option<PublisherId>,
    #[serde(default, skip_serializing_if = "MethodNames::is_all")]
    method: MethodNames,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<ComponentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moniker: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    object: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predicate: Option<PredicateName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher_role: Option<RoleName>,
    #[serde(default = "switched_on", skip_serializing_if = "Clone::clone")]
    enabled: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quiet: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Principal>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    per_user: bool,
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    for_publisher: Properties,
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    for_subscriber: Properties,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryMode>,
    #[serde(
        default,
        with = "span::option",
        skip_serializing_if = "Option::is_none"
    )]
    deadline: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trigger: Option<Trigger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
}

impl Serialize for Subscription {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let parts = self.to_parts();
        let time = |time: Option<SystemTime>| {
            time.map(jiff::Timestamp::try_from)
                .transpose()
                .map_err(S::Error::custom)
        };
        let mut written = Written {
            name: parts.name,
            id: Some(parts.id),
            class: parts.binding.class,
            interface: parts.binding.interface,
            publisher: parts.binding.publisher,
            method: parts.binding.methods,
            component: None,
            moniker: None,
            object: false,
            filter: parts.filter.as_deref().map(str::to_owned),
            predicate: parts.predicate,
            publisher_role: parts.publisher_role,
            enabled: parts.enabled,
            priority: parts.priority,
            not_before: time(parts.schedule.begin())?,
            expires: time(parts.schedule.end())?,
            quiet: parts.schedule.quiet_hours().to_vec(),
            time_zone: parts.schedule.time_zone().map(str::to_owned),
            owner: parts.owner,
            per_user: parts.per_user,
            for_publisher: parts.for_publisher,
            for_subscriber: parts.for_subscriber,
            description: parts.description,
            delivery: parts.handling.delivery,
            deadline: parts.handling.deadline,
            breaker: parts.handling.breaker,
            trigger: parts.handling.trigger,
            revision: parts.revision,
        };
        match parts.target {
            Target::Component(id) => written.component = Some(id),
            Target::Moniker(moniker) => written.moniker = Some(moniker.to_string()),
            Target::Object => written.object = true,
        }
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Subscription {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let written = Written::deserialize(deserializer)?;
        let target = match (written.component, written.moniker, written.object) {
            (Some(id), None, false) => Target::Component(id),
            (None, Some(text), false) => {
                Target::Moniker(Moniker::try_from(text).map_err(D::Error::custom)?)
            }
            (None, None, true) => Target::Object,
            _ => {
                return Err(D::Error::custom(
                    "expected one of component, moniker and object",
                ));
            }
        };
        let binding = Binding {
            class: written.class,
            interface: written.interface,
            publisher: written.publisher,
            methods: written.method,
        };
        let owner = written.owner;
        let id = written
            .id
            .unwrap_or_else(|| identity(owner.as_ref(), &binding, &written.name));
        let record = Self::from_parts(SubscriptionParts {
            id,
            name: written.name,
            binding,
            target,
            enabled: written.enabled,
            priority: written.priority,
            schedule: Schedule::from_parts(
                (
                    written.not_before.map(Into::into),
                    written.expires.map(Into::into),
                ),
                written.quiet,
                written.time_zone,
            ),
            owner,
            per_user: written.per_user,
            filter: written.filter.map(Into::into),
            predicate: written.predicate,
            publisher_role: written.publisher_role,
            for_publisher: written.for_publisher,
            for_subscriber: written.for_subscriber,
            description: written.description,
            handling: Handling {
                delivery: written.delivery,
                deadline: written.deadline,
                breaker: written.breaker,
                trigger: written.trigger,
            },
            revision: written.revision,
        });
        record.validate().map_err(D::Error::custom)?;
        Ok(record)
    }
}

fn switched_on() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &i32) -> bool {
    *number == 0
}
