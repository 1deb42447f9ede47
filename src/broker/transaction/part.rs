//! The parts of a transaction that are not bytes of the user's.

use super::Committed;
use crate::broker::access::Access;
use crate::broker::subscriptions::{Bags, Ensured};
use crate::broker::{Broker, Wanted};
use crate::error::Result;
use crate::model::SubscriptionId;
use crate::store::Batch;

/// Something that takes part in a transaction.
pub(in crate::broker) trait Part: Send {
    /// Adds what it writes and what it expects to the batch. It is called again, with a new one,
    /// when somebody else came first; no lock is held.
    fn prepare(&mut self, broker: &Broker, access: &Access<'_>, batch: &mut Batch) -> Result<()>;

    /// Returns whether a conflict is the caller's to know, as what it has read has changed.
    fn is_stale(&self, _broker: &Broker) -> bool {
        false
    }

    /// Hears that the commit was made, is seen by all and is durable, and adds what the caller is
    /// to be told. Not called where that is [uncertain](crate::ErrorKind::Uncertain); no lock is
    /// held.
    fn committed(self: Box<Self>, broker: &Broker, committed: &mut Committed);
}

pub(super) struct EnsurePart {
    wanted: Wanted,
    outcome: Ensured,
}

pub(super) struct StorePart {
    wanted: Wanted,
}

pub(super) struct RemovePart {
    id: SubscriptionId,
    is_there: bool,
}

impl EnsurePart {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            outcome: Ensured::Present,
        }
    }
}

impl Part for EnsurePart {
    fn prepare(&mut self, broker: &Broker, access: &Access<'_>, batch: &mut Batch) -> Result<()> {
        access.require_writing([&self.wanted.record])?;
        self.outcome = broker.ensure_in(batch, access, &mut self.wanted)?;
        Ok(())
    }

    fn committed(self: Box<Self>, broker: &Broker, committed: &mut Committed) {
        if matches!(self.outcome, Ensured::Added | Ensured::Updated) {
            self.wanted.note(broker);
        }
        let id = self.wanted.record.id();
        committed.ensured.push((id, self.outcome));
    }
}

impl StorePart {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted }
    }
}

impl Part for StorePart {
    fn prepare(&mut self, broker: &Broker, access: &Access<'_>, batch: &mut Batch) -> Result<()> {
        access.require_writing([&self.wanted.record])?;
        broker.replace_in(batch, access, &mut self.wanted, Bags::Replace)
    }

    fn is_stale(&self, broker: &Broker) -> bool {
        let record = &self.wanted.record;
        let present = broker.present(record.id());
        let found = present.and_then(|present| present.record.revision());
        record.revision().is_some_and(|read| found != Some(read))
    }

    fn committed(self: Box<Self>, broker: &Broker, _: &mut Committed) {
        self.wanted.note(broker);
    }
}

impl RemovePart {
    pub(super) fn new(id: SubscriptionId) -> Self {
        Self {
            id,
            is_there: false,
        }
    }
}

impl Part for RemovePart {
    fn prepare(&mut self, broker: &Broker, access: &Access<'_>, batch: &mut Batch) -> Result<()> {
        self.is_there = broker.remove_in(batch, access, self.id)?;
        Ok(())
    }

    fn committed(self: Box<Self>, _: &Broker, committed: &mut Committed) {
        if self.is_there {
            committed.removed.push(self.id);
        }
    }
}
