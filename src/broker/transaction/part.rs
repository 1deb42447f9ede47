//! The parts of a transaction that are not bytes of the user's.

use super::Committed;
use crate::broker::access::Access;
use crate::broker::subscriptions::{Bags, Ensured};
use crate::broker::{Broker, Wanted};
use crate::error::Result;
use crate::model::{Revision, SubscriptionId};
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

    /// Returns whether a conflict comes of a record that cannot be read, and so will come again;
    /// the broker was told of all commits up to `told` before it.
    fn is_blocked(&self, _broker: &Broker, _told: Revision) -> Result<bool> {
        Ok(false)
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

    fn is_blocked(&self, broker: &Broker, told: Revision) -> Result<bool> {
        broker.is_unreadable(self.wanted.record.id(), told)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, ErrorKind};

    /// Writes a key of its own, which somebody else writes before its first `rivals` commits.
    struct Rivalled {
        rivals: usize,
        prepared: usize,
        heard: Arc<AtomicUsize>,
    }

    impl Part for Rivalled {
        fn prepare(&mut self, broker: &Broker, _: &Access<'_>, batch: &mut Batch) -> Result<()> {
            let store = &broker.core.store;
            match store.get(b"z")? {
                Some(found) => batch.expect_revision("z", found.revision),
                None => batch.expect_absent("z"),
            };
            batch.put("z", self.prepared.to_string());
            if self.prepared < self.rivals {
                let mut rival = Batch::new();
                rival.put("z", "rival");
                store.commit(rival)?;
            }
            self.prepared += 1;
            if self.prepared > 9 {
                return Err(Error::new(ErrorKind::TimedOut, "nine times are enough"));
            }
            Ok(())
        }

        fn committed(self: Box<Self>, broker: &Broker, committed: &mut Committed) {
            let found = broker.core.store.get(b"z").unwrap().unwrap();
            assert_eq!(found.revision, committed.revision());
            let prepared = String::from_utf8(found.value).unwrap();
            let prepared: usize = prepared.parse().unwrap();
            self.heard.fetch_add(prepared + 1, Ordering::Relaxed);
        }
    }

    /// Returns how often the part was prepared before it was told of the commit, 0 for no commit.
    fn heard(rivals: usize) -> (usize, Result<Committed>) {
        let broker = Broker::in_memory().unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        let part = Rivalled {
            rivals,
            prepared: 0,
            heard: Arc::clone(&heard),
        };
        let mut transaction = broker.transaction();
        transaction.add(part, 1, 1).unwrap();
        let outcome = transaction.commit();
        (heard.load(Ordering::Relaxed), outcome)
    }

    #[test]
    fn part_is_prepared_until_nobody_comes_first_and_hears_of_the_commit_once_it_is_seen() {
        for rivals in [0, 1, 5] {
            let (heard, outcome) = heard(rivals);
            assert_eq!(heard, rivals + 1);
            assert!(outcome.is_ok());
        }
    }

    #[test]
    fn part_that_cannot_be_prepared_ends_the_transaction_and_hears_of_nothing() {
        let (heard, outcome) = heard(usize::MAX);
        assert_eq!(heard, 0);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
