//! The stored form of records: what stands on disk, apart from what the rest of the crate uses.
//!
//! Each kind has one frozen struct per version and conversions from and to the present one. A new
//! version is a new variant at the end of the kind's enum; the old ones stay readable for ever,
//! which the golden bytes in the tests hold. The codec puts its own version byte in front.

mod canonical;
mod class;
mod delivery;
#[cfg(test)]
mod golden;
mod handling;
mod properties;
pub(crate) mod queue;
mod role;
mod schema;
mod settings;
mod subscription;
pub(crate) mod trigger;

use super::Batch;
use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    EventClass, EventClassId, Revision, Role, RoleName, Subscription, SubscriptionId,
};
use crate::value::{InterfaceId, InterfaceSchema};

pub(crate) use self::subscription::StoredSubscription;

/// The prefix of the keys of all records.
pub(crate) const PREFIX: &[u8] = b"r";

/// What a key of the store names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordKey {
    /// The schema of an interface; the newest of several is the present one.
    Schema(InterfaceId, [u8; 16]),
    Class(EventClassId),
    Role(RoleName),
    Subscription(SubscriptionId),
}

/// A record of any kind.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Schema(InterfaceSchema),
    Class(Box<EventClass>),
    Role(RoleName, Role),
    Subscription(StoredSubscription),
}

impl RecordKey {
    /// Returns the key of a schema.
    pub(crate) fn of_schema(schema: &InterfaceSchema) -> Self {
        Self::Schema(schema.id(), *schema.hash().as_bytes())
    }

    /// Returns the key's bytes; in key order schemas come first, subscriptions last, so that what a
    /// record refers to is listed before it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = PREFIX.to_vec();
        match self {
            Self::Schema(id, hash) => {
                bytes.push(b'a');
                bytes.extend(id.uuid().as_bytes());
                bytes.extend(hash);
            }
            Self::Class(id) => {
                bytes.push(b'c');
                bytes.extend(id.uuid().as_bytes());
            }
            Self::Role(name) => {
                bytes.push(b'r');
                bytes.extend(name.as_str().as_bytes());
            }
            Self::Subscription(id) => {
                bytes.push(b's');
                bytes.extend(id.uuid().as_bytes());
            }
        }
        bytes
    }

    /// Returns what the bytes of a key name, or `None` if they are no record's.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.strip_prefix(PREFIX)?.split_first()?;
        if *kind == b'r' {
            let name = std::str::from_utf8(rest).ok()?;
            return RoleName::try_from(name).ok().map(Self::Role);
        }
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let id = uuid::Uuid::from_bytes(*id);
        match kind {
            b'a' => Some(Self::Schema(id.into(), rest.try_into().ok()?)),
            b'c' if rest.is_empty() => Some(Self::Class(id.into())),
            b's' if rest.is_empty() => Some(Self::Subscription(id.into())),
            _ => None,
        }
    }
}

/// Returns the subscriptions that a batch removes.
pub(crate) fn removed_in(batch: &Batch) -> impl Iterator<Item = SubscriptionId> {
    let keys = batch.deleted_under(PREFIX).filter_map(RecordKey::parse);
    keys.filter_map(|key| match key {
        RecordKey::Subscription(id) => Some(id),
        _ => None,
    })
}

/// Returns the stored form of a class.
pub(crate) fn encode_class(class: &EventClass) -> Result<Vec<u8>> {
    codec::encode(&class::Stored::from(class))
}

/// Returns the stored form of a role.
pub(crate) fn encode_role(role: &Role) -> Result<Vec<u8>> {
    codec::encode(&role::Stored::from(role))
}

/// Returns the stored form of a schema.
pub(crate) fn encode_schema(schema: &InterfaceSchema) -> Result<Vec<u8>> {
    codec::encode(&schema::Stored::from(schema))
}

/// Returns the stored form of a subscription.
pub(crate) fn encode_subscription(subscription: &StoredSubscription) -> Result<Vec<u8>> {
    codec::encode(&subscription::Stored::try_from(subscription)?)
}

/// Returns the digest of what a person would call a subscription's definition: of its stored form
/// without its place in store order.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the target is a live object.
pub(crate) fn definition_digest(subscription: &Subscription) -> Result<uuid::Uuid> {
    subscription::Stored::of(subscription, 0, None).map(|stored| stored.definition_digest())
}

/// Returns the record that the stored bytes under `key` are.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if the bytes are no record of that kind, or one that breaks a rule.
pub(crate) fn decode(key: &RecordKey, bytes: &[u8], revision: Revision) -> Result<Record> {
    match key {
        RecordKey::Schema(..) => {
            let stored: schema::Stored = codec::decode(bytes)?;
            Ok(Record::Schema(stored.into()))
        }
        RecordKey::Class(id) => {
            let stored: class::Stored = codec::decode(bytes)?;
            let class = stored.into_class(*id).at(Some(revision));
            Ok(Record::Class(Box::new(class)))
        }
        RecordKey::Role(name) => {
            let stored: role::Stored = codec::decode(bytes)?;
            let role = stored.into_role(name).at(Some(revision));
            Ok(Record::Role(name.clone(), role))
        }
        RecordKey::Subscription(id) => {
            let stored: subscription::Stored = codec::decode(bytes)?;
            stored
                .into_subscription(*id, revision)
                .map(Record::Subscription)
                .map_err(corrupt)
        }
    }
}

fn corrupt(rule: String) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the stored record is not valid: {rule}"),
    )
}
