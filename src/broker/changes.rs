//! What changed since a revision.

use super::Broker;
use crate::error::Result;
use crate::model::{EventClassId, Revision, RoleName, SubscriptionId};
use crate::store::ChangeKind;
use crate::store::record::RecordKey;
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
    /// everything: ids and kinds say little.
    ///
    /// # Errors
    ///
    /// [`Compacted`](crate::ErrorKind::Compacted) if the bounded log does not reach back that far:
    /// query again; [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    pub fn changes_since(&self, revision: Revision) -> Result<Vec<WiringChange>> {
        self.core.check_open()?;
        let commits = self.core.store.changes_since(revision)?;
        let changes = commits.iter().flat_map(|commit| {
            commit.changes.iter().filter_map(|change| {
                let object = WiringObject::of(RecordKey::parse(&change.key)?);
                Some(WiringChange {
                    revision: commit.revision,
                    object,
                    kind: change.kind,
                })
            })
        });
        Ok(changes.collect())
    }
}

impl WiringObject {
    fn of(key: RecordKey) -> Self {
        match key {
            RecordKey::Schema(id, _) => Self::Interface(id),
            RecordKey::Class(id) => Self::Class(id),
            RecordKey::Role(name) => Self::Role(name),
            RecordKey::Subscription(id) => Self::Subscription(id),
        }
    }
}

impl WiringChange {
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
