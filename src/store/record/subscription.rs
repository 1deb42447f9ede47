//! The stored form of subscriptions.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::canonical::Canonical;
use super::properties::{BagV1, TimeV1, load_bag, store_bag};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Binding, MethodName, Moniker, Principal, Revision, Subscription, SubscriptionId,
    SubscriptionName, SubscriptionParts, Target,
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
}

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
        let target = match record.target() {
            Target::Component(id) => TargetV1::Component(id.uuid().into_bytes()),
            Target::Moniker(moniker) => TargetV1::Moniker(moniker.as_str().into()),
            Target::Object => {
                let message = format!(
                    "the target of {:?} is a live object, which no store can keep: subscribe it",
                    record.name()
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        let binding = record.binding();
        Ok(Self::V1(SubscriptionV1 {
            name: record.name().into(),
            class: binding.class.map(|id| id.uuid().into_bytes()),
            interface: binding.interface.map(|id| id.uuid().into_bytes()),
            method: binding.method().map(Into::into),
            target,
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
        }))
    }

    /// Returns the digest of everything but the place in store order and what was ensured.
    ///
    /// It is kept in the store and compared with that of later programs, so the bytes that it is of
    /// are frozen like the struct: a new version writes its own number first.
    pub(super) fn definition_digest(&self) -> Uuid {
        const NAMESPACE: Uuid = Uuid::from_u128(0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0031);
        let Self::V1(v1) = self;
        let mut bytes = vec![1];
        v1.name.write(&mut bytes);
        (v1.class, v1.interface).write(&mut bytes);
        v1.method.write(&mut bytes);
        match &v1.target {
            TargetV1::Component(id) => (0_u8, id).write(&mut bytes),
            TargetV1::Moniker(text) => (1_u8, text).write(&mut bytes),
        }
        (v1.enabled, v1.priority).write(&mut bytes);
        (v1.not_before, v1.expires).write(&mut bytes);
        (&v1.owner, &v1.filter).write(&mut bytes);
        (&v1.for_publisher, &v1.for_subscriber).write(&mut bytes);
        v1.description.write(&mut bytes);
        Uuid::new_v5(&NAMESPACE, &bytes)
    }

    /// Returns the subscription, or the rule that the stored one breaks.
    pub(super) fn into_subscription(
        self,
        id: SubscriptionId,
        revision: Revision,
    ) -> Result<StoredSubscription, String> {
        let Self::V1(stored) = self;
        let uuid = Uuid::from_bytes;
        let text = |error: crate::model::InvalidName| error.to_string();
        let target = match stored.target {
            TargetV1::Component(id) => Target::Component(uuid(id).into()),
            TargetV1::Moniker(moniker) => {
                Target::Moniker(Moniker::try_from(&*moniker.0).map_err(text)?)
            }
        };
        let binding = Binding {
            class: stored.class.map(|id| uuid(id).into()),
            interface: stored.interface.map(|id| uuid(id).into()),
            method: stored
                .method
                .map(|method| MethodName::try_from(&*method.0))
                .transpose()
                .map_err(text)?,
        };
        let record = Subscription::from_parts(SubscriptionParts {
            id,
            name: SubscriptionName::try_from(&*stored.name.0).map_err(text)?,
            binding,
            target,
            enabled: stored.enabled,
            priority: stored.priority,
            not_before: stored.not_before.map(Into::into),
            expires: stored.expires.map(Into::into),
            owner: stored
                .owner
                .map(|owner| Principal::try_from(&*owner.0))
                .transpose()
                .map_err(text)?,
            filter: stored.filter.map(|filter| filter.0.into()),
            for_publisher: load_bag(stored.for_publisher),
            for_subscriber: load_bag(stored.for_subscriber),
            description: stored.description.map(|text| text.0.into()),
            revision: Some(revision),
        });
        Ok(StoredSubscription {
            record,
            order: stored.order,
            ensured: stored.ensured.map(uuid),
        })
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
