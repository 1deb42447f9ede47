//! The stored form of subscriptions.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::canonical::Canonical;
use super::handling::{CallsV1, TriggerV1};
use super::properties::{BagV1, TimeV1, load_bag, store_bag};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Binding, Handling, InvalidName, MethodName, Moniker, PredicateName, Principal, Revision,
    RoleName, Schedule, Subscription, SubscriptionId, SubscriptionName, SubscriptionParts, Target,
};

/// A subscription with what the store keeps beside the public record.
#[derive(Debug, Clone)]
pub(crate) struct StoredSubscription {
    pub(crate) record: Subscription,
    /// The place in store order, kept when the record is replaced.
    pub(crate) order: u64,
    /// The digest of the definition that a program last ensured: a record that still has it was
    /// changed by nobody else.
    pub(crate) ensured: Option<Uuid>,
}

/// Every version that was ever written; borrows from the bytes that were read or from the record.
#[derive(Serialize, Deserialize)]
pub(super) enum Stored<'a> {
    V1(#[serde(borrow)] SubscriptionV1<'a>),
    V2(#[serde(borrow)] SubscriptionV2<'a>),
    V3(#[serde(borrow)] SubscriptionV3<'a>),
    V4(#[serde(borrow)] SubscriptionV4<'a>),
}

/// What most subscriptions need, and still written for those: it is smaller, and its digest is the
/// one that the programs before the second version compare with.
#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV1<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    class: Option<[u8; 16]>,
    interface: Option<[u8; 16]>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    target: TargetV1<'a>,
    enabled: bool,
    priority: i32,
    not_before: Option<TimeV1>,
    expires: Option<TimeV1>,
    #[serde(borrow)]
    owner: Option<Text<'a>>,
    #[serde(borrow)]
    filter: Option<Text<'a>>,
    for_publisher: BagV1,
    for_subscriber: BagV1,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    order: u64,
    ensured: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV2<'a> {
    /// With the first of several methods.
    #[serde(borrow)]
    base: SubscriptionV1<'a>,
    #[serde(borrow)]
    further_methods: Vec<Text<'a>>,
    publisher: Option<[u8; 16]>,
    per_user: bool,
    #[serde(borrow)]
    predicate: Option<Text<'a>>,
    #[serde(borrow)]
    publisher_role: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV3<'a> {
    #[serde(borrow)]
    base: SubscriptionV2<'a>,
    // Few have them, and whatever is read is moved about.
    calls: Box<CallsV1>,
    trigger: Option<Box<TriggerV1>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SubscriptionV4<'a> {
    #[serde(borrow)]
    base: SubscriptionV3<'a>,
    quiet: Vec<String>,
    time_zone: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum TargetV1<'a> {
    Component([u8; 16]),
    Moniker(#[serde(borrow)] Text<'a>),
}

/// Text that is copied once, into the record; JSON has some that cannot be borrowed.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> TryFrom<&'a StoredSubscription> for Stored<'a> {
    type Error = Error;

    fn try_from(stored: &'a StoredSubscription) -> Result<Self> {
        Self::of(&stored.record, stored.order, stored.ensured)
    }
}

impl<'a> Stored<'a> {
    pub(super) fn of(record: &'a Subscription, order: u64, ensured: Option<Uuid>) -> Result<Self> {
        let binding = record.binding();
        let mut methods = binding.methods().map(Text::from);
        let base = SubscriptionV1::of(record, methods.next(), order, ensured)?;
        let v2 = SubscriptionV2 {
            base,
            further_methods: methods.collect(),
            publisher: binding.publisher().map(|id| id.uuid().into_bytes()),
            per_user: record.is_per_user(),
            predicate: record.predicate().map(|name| name.as_str().into()),
            publisher_role: record.publisher_role().map(|name| name.as_str().into()),
        };
        let v3 = SubscriptionV3 {
            base: v2,
            calls: Box::new(CallsV1::of_subscription(record)),
            trigger: record.trigger().map(|it| Box::new(it.into())),
        };
        let v4 = SubscriptionV4 {
            base: v3,
            quiet: record.schedule().quiet_hours().to_vec(),
            time_zone: record.schedule().time_zone().map(str::to_owned),
        };
        if !v4.is_third_version() {
            return Ok(Self::V4(v4));
        }
        let v3 = v4.base;
        Ok(if !v3.is_second_version() {
            Self::V3(v3)
        } else if !v3.base.is_first_version() {
            Self::V2(v3.base)
        } else {
            Self::V1(v3.base.base)
        })
    }

    /// Returns the digest of everything but the place in store order and what was ensured.
    ///
    /// It is kept in the store and compared with that of later programs, so the bytes that it is of
    /// are frozen like the struct: each version writes its own number first.
    pub(super) fn definition_digest(&self) -> Uuid {
        const NAMESPACE: Uuid = Uuid::from_u128(0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0031);
        let mut bytes = Vec::new();
        match self {
            Self::V1(v1) => {
                bytes.push(1);
                v1.write_definition(&mut bytes);
            }
            Self::V2(v2) => {
                bytes.push(2);
                v2.write_definition(&mut bytes);
            }
            Self::V3(v3) => {
                bytes.push(3);
                v3.write_definition(&mut bytes);
            }
            Self::V4(v4) => {
                bytes.push(4);
                v4.base.write_definition(&mut bytes);
                (&v4.quiet, &v4.time_zone).write(&mut bytes);
            }
        }
        Uuid::new_v5(&NAMESPACE, &bytes)
    }

    /// Returns the subscription, or the rule that the stored one breaks.
    pub(super) fn into_subscription(
        self,
        id: SubscriptionId,
        revision: Revision,
    ) -> Result<StoredSubscription, String> {
        let v4: SubscriptionV4<'_> = match self {
            Self::V1(v1) => SubscriptionV3::from(SubscriptionV2::from(v1)).into(),
            Self::V2(v2) => SubscriptionV3::from(v2).into(),
            Self::V3(v3) => v3.into(),
            Self::V4(v4) => v4,
        };
        let v1 = &v4.base.base.base;
        let (order, ensured) = (v1.order, v1.ensured);
        let record = v4.into_record(id, revision);
        Ok(StoredSubscription {
            record: record.map_err(|error| error.to_string())?,
            order,
            ensured: ensured.map(Uuid::from_bytes),
        })
    }
}

impl<'a> SubscriptionV1<'a> {
    fn of(
        record: &'a Subscription,
        method: Option<Text<'a>>,
        order: u64,
        ensured: Option<Uuid>,
    ) -> Result<Self> {
        let binding = record.binding();
        Ok(Self {
            name: record.name().into(),
            class: binding.class.map(|id| id.uuid().into_bytes()),
            interface: binding.interface.map(|id| id.uuid().into_bytes()),
            method,
            target: TargetV1::of(record)?,
            enabled: record.is_enabled(),
            priority: record.priority(),
            not_before: record.not_before().map(Into::into),
            expires: record.expires().map(Into::into),
            owner: record.owner().map(|owner| owner.as_str().into()),
            filter: record.filter().map(Into::into),
            for_publisher: store_bag(record.for_publisher()),
            for_subscriber: store_bag(record.for_subscriber()),
            description: record.description().map(Into::into),
            order,
            ensured: ensured.map(Uuid::into_bytes),
        })
    }

    /// Writes what the digest is of.
    fn write_definition(&self, out: &mut Vec<u8>) {
        self.name.write(out);
        (self.class, self.interface).write(out);
        self.method.write(out);
        match &self.target {
            TargetV1::Component(id) => (0_u8, id).write(out),
            TargetV1::Moniker(text) => (1_u8, text).write(out),
        }
        (self.enabled, self.priority).write(out);
        (self.not_before, self.expires).write(out);
        (&self.owner, &self.filter).write(out);
        (&self.for_publisher, &self.for_subscriber).write(out);
        self.description.write(out);
    }
}

impl SubscriptionV2<'_> {
    /// Returns whether the first version says all that this one does.
    fn is_first_version(&self) -> bool {
        self.further_methods.is_empty()
            && self.publisher.is_none()
            && !self.per_user
            && self.predicate.is_none()
            && self.publisher_role.is_none()
    }

    fn into_parts(
        self,
        id: SubscriptionId,
        revision: Revision,
        handling: Handling,
        (quiet, time_zone): (Vec<String>, Option<String>),
    ) -> Result<SubscriptionParts, InvalidName> {
        let base = self.base;
        let times = (
            base.not_before.map(Into::into),
            base.expires.map(Into::into),
        );
        let uuid = Uuid::from_bytes;
        let methods = base.method.into_iter().chain(self.further_methods);
        let methods: Result<_, _> = methods.map(|name| MethodName::try_from(&*name.0)).collect();
        let binding = Binding {
            class: base.class.map(|id| uuid(id).into()),
            interface: base.interface.map(|id| uuid(id).into()),
            publisher: self.publisher.map(|id| uuid(id).into()),
            methods: methods?,
        };
        let (owner, predicate, role) = (base.owner, self.predicate, self.publisher_role);
        let owner = owner.map(|name| Principal::try_from(&*name.0));
        let predicate = predicate.map(|name| PredicateName::try_from(&*name.0));
        let publisher_role = role.map(|name| RoleName::try_from(&*name.0));
        Ok(SubscriptionParts {
            id,
            name: SubscriptionName::try_from(&*base.name.0)?,
            binding,
            target: base.target.try_into()?,
            enabled: base.enabled,
            priority: base.priority,
            schedule: Schedule::from_parts(times, quiet, time_zone),
            owner: owner.transpose()?,
            per_user: self.per_user,
            filter: base.filter.map(|filter| filter.0.into()),
            predicate: predicate.transpose()?,
            publisher_role: publisher_role.transpose()?,
            for_publisher: load_bag(base.for_publisher),
            for_subscriber: load_bag(base.for_subscriber),
            description: base.description.map(|text| text.0.into()),
            handling,
            revision: Some(revision),
        })
    }

    /// Writes what the digest is of.
    fn write_definition(&self, out: &mut Vec<u8>) {
        self.base.write_definition(out);
        (&self.further_methods, self.publisher).write(out);
        self.per_user.write(out);
        (&self.predicate, &self.publisher_role).write(out);
    }
}

impl SubscriptionV3<'_> {
    /// Returns whether the second version says all that this one does.
    fn is_second_version(&self) -> bool {
        self.calls.is_empty() && self.trigger.is_none()
    }

    /// Writes what the digest is of.
    fn write_definition(&self, out: &mut Vec<u8>) {
        self.base.write_definition(out);
        (&*self.calls, self.trigger.as_deref()).write(out);
    }
}

impl SubscriptionV4<'_> {
    /// Returns whether the third version says all that this one does.
    fn is_third_version(&self) -> bool {
        self.quiet.is_empty() && self.time_zone.is_none()
    }

    fn into_record(
        self,
        id: SubscriptionId,
        revision: Revision,
    ) -> Result<Subscription, InvalidName> {
        let (base, hours) = (self.base, (self.quiet, self.time_zone));
        let handling = base.calls.into_handling(base.trigger.map(|it| *it));
        let parts = base.base.into_parts(id, revision, handling, hours)?;
        Ok(Subscription::from_parts(parts))
    }
}

impl<'a> From<SubscriptionV1<'a>> for SubscriptionV2<'a> {
    fn from(base: SubscriptionV1<'a>) -> Self {
        Self {
            base,
            further_methods: Vec::new(),
            publisher: None,
            per_user: false,
            predicate: None,
            publisher_role: None,
        }
    }
}

impl<'a> From<SubscriptionV2<'a>> for SubscriptionV3<'a> {
    fn from(base: SubscriptionV2<'a>) -> Self {
        Self {
            base,
            calls: Box::new(CallsV1::none()),
            trigger: None,
        }
    }
}

impl<'a> From<SubscriptionV3<'a>> for SubscriptionV4<'a> {
    fn from(base: SubscriptionV3<'a>) -> Self {
        Self {
            base,
            quiet: Vec::new(),
            time_zone: None,
        }
    }
}

impl<'a> TargetV1<'a> {
    fn of(record: &'a Subscription) -> Result<Self> {
        match record.target() {
            Target::Component(id) => Ok(Self::Component(id.uuid().into_bytes())),
            Target::Moniker(moniker) => Ok(Self::Moniker(moniker.as_str().into())),
            Target::Object => {
                let message = format!(
                    "the target of {:?} is a live object, which no store can keep: subscribe it",
                    record.name()
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
}

impl TryFrom<TargetV1<'_>> for Target {
    type Error = InvalidName;

    fn try_from(target: TargetV1<'_>) -> Result<Self, InvalidName> {
        match target {
            TargetV1::Component(id) => Ok(Self::Component(Uuid::from_bytes(id).into())),
            TargetV1::Moniker(moniker) => Moniker::try_from(&*moniker.0).map(Self::Moniker),
        }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

impl Canonical for Text<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}
