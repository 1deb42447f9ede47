//! What changed since a revision.

use uuid::Uuid;

use super::Broker;
use crate::error::Result;
use crate::model::{EventClassId, Revision, RoleName, SubscriptionId};
use crate::store::record::RecordKey;
use crate::store::{ChangeKind, LoggedCommit};
use crate::value::InterfaceId;

/// One change of the stored wiring: of which record, and by which commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringChange {
    revision: Revision,
    object: WiringObject,
    kind: ChangeKind,
}

/// A record of the stored wiring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WiringObject {
    /// The schema of an interface.
    Interface(InterfaceId),
    /// An event class.
    Class(EventClassId),
    /// A role.
    Role(RoleName),
    /// A subscription.
    Subscription(SubscriptionId),
}

impl Broker {
    /// Returns what commits changed after `revision`, oldest first: ids and kinds of change.
    ///
    /// Together with a query and [`revision`](Self::revision), taken before the query, this is a
    /// list and a watch without a gap; what the query saw already may come again. A view is told of
    /// everything: ids and kinds say little. To be told of later ones too,
    /// [follow](Self::follow_changes) them.
    ///
    /// # Errors
    ///
    /// [`Compacted`](crate::ErrorKind::Compacted) if the bounded log does not reach back that far:
    /// query again; [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    pub fn changes_since(&self, revision: Revision) -> Result<Vec<WiringChange>> {
        self.core.check_open()?;
        let commits = self.core.store.changes_since(revision)?;
        Ok(commits.iter().flat_map(WiringChange::of).collect())
    }
}

impl WiringObject {
    pub(super) fn of(key: RecordKey) -> Self {
        match key {
            RecordKey::Schema(id, _) => Self::Interface(id),
            RecordKey::Class(id) => Self::Class(id),
            RecordKey::Role(name) => Self::Role(name),
            RecordKey::Subscription(id) => Self::Subscription(id),
        }
    }

    /// Returns the id as a UUID, whatever it is of; for a role, the UUID that its name stands for.
    pub fn uuid(&self) -> Uuid {
        const ROLES: Uuid = Uuid::from_u128(0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0041);
        match self {
            Self::Interface(id) => id.uuid(),
            Self::Class(id) => id.uuid(),
            Self::Role(name) => Uuid::new_v5(&ROLES, name.as_str().as_bytes()),
            Self::Subscription(id) => id.uuid(),
        }
    }
}

impl WiringChange {
    /// Returns what a commit changed of the wiring, in key order.
    pub(super) fn of(commit: &LoggedCommit) -> impl Iterator<Item = Self> {
        commit.changes.iter().filter_map(|change| {
            let object = WiringObject::of(RecordKey::parse(&change.key)?);
            Some(Self {
                revision: commit.revision,
                object,
                kind: change.kind,
            })
        })
    }

    /// Returns the commit that made the change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the record that was changed.
    pub fn object(&self) -> &WiringObject {
        &self.object
    }

    /// Returns what happened to it.
    pub fn kind(&self) -> ChangeKind {
        self.kind
    }
}
