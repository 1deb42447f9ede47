//! What writes and removes subscriptions, by a batch of its own or with others.

use std::sync::Arc;

use super::Broker;
use super::access::Access;
use super::check::Checked;
use super::subscriptions::{Bags, Ensured};
use super::wiring::Wired;
use crate::error::Result;
use crate::index::FilterCost;
use crate::model::{Revision, Right, Subscription, SubscriptionId};
use crate::store::Batch;
use crate::store::record::{self, RecordKey, StoredSubscription};
use crate::value::Properties;

/// A subscription that is to be written, checked.
pub(super) struct Wanted {
    pub(super) record: Subscription,
    /// Until a first attempt took it.
    checked: Option<Checked>,
    cost: Option<FilterCost>,
}

impl Wanted {
    /// Says, once it was written, if the index cannot help its filter.
    pub(super) fn note(&self, broker: &Broker) {
        broker.note_cost((self.record.id(), self.record.name()), 0, self.cost);
    }
}

/// What a write expects to find.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    Anything,
    /// This revision, or nothing.
    Exactly(Option<Revision>),
}

impl Broker {
    /// Checks a subscription that is to be written, and whether it may be.
    pub(super) fn wanted(
        &self,
        access: &Access<'_>,
        subscription: &Subscription,
    ) -> Result<Wanted> {
        let record = self.owned(subscription).into_owned();
        access.require_writing([&record])?;
        let checked = self.check(&record)?;
        Ok(Wanted {
            cost: checked.cost(),
            checked: Some(checked),
            record,
        })
    }

    /// Has a batch do what [`ensure`](Broker::ensure) does, if there is anything to do; what is
    /// there already is expected to stay until then.
    pub(super) fn ensure_in(
        &self,
        batch: &mut Batch,
        access: &Access<'_>,
        wanted: &mut Wanted,
    ) -> Result<Ensured> {
        let subscription = &wanted.record;
        let digest = record::definition_digest(subscription)?;
        let present = self.present_stored(subscription.id())?;
        let outcome = match &present {
            None => Ensured::Added,
            Some(present) => match record::definition_digest(&present.record)? {
                found if found == digest => Ensured::Present,
                found if present.ensured == Some(found) => Ensured::Updated,
                _ => Ensured::Differs,
            },
        };
        let record = present.as_ref().map(|present| &present.record);
        let expected = Expected::Exactly(record.and_then(Subscription::revision));
        if matches!(outcome, Ensured::Present | Ensured::Differs) {
            expected.of(batch, subscription.id());
            return Ok(outcome);
        }
        access.require_writing(record)?;
        let stored = StoredSubscription {
            record: subscription.clone(),
            order: self.order(present.as_ref()),
            ensured: Some(digest),
        };
        self.put_in(batch, stored, wanted.checked.take(), expected)?;
        Ok(outcome)
    }

    /// Has a batch do what [`store_with`](Self::store_with) does.
    pub(super) fn replace_in(
        &self,
        batch: &mut Batch,
        access: &Access<'_>,
        wanted: &mut Wanted,
        bags: Bags,
    ) -> Result<()> {
        let subscription = &wanted.record;
        // What is retained may be what a filter reads.
        let checked = wanted.checked.take().filter(|_| bags == Bags::Replace);
        let present = self.present_stored(subscription.id())?;
        access.require_writing(present.as_ref().map(|present| &present.record))?;
        let mut record = subscription.clone();
        if let (Bags::Retain, Some(present)) = (bags, &present) {
            let merged = |old: &Properties, new: &Properties| {
                let mut merged = old.clone();
                merged.extend(new.clone());
                merged
            };
            let for_publisher = merged(present.record.for_publisher(), record.for_publisher());
            let for_subscriber = merged(present.record.for_subscriber(), record.for_subscriber());
            record = record
                .with_for_publisher(for_publisher)
                .with_for_subscriber(for_subscriber);
        }
        let expected = match (record.revision(), bags, &present) {
            (Some(revision), ..) => Expected::Exactly(Some(revision)),
            // What is retained must still be there when it is written.
            (None, Bags::Retain, Some(present)) => Expected::Exactly(present.record.revision()),
            (None, ..) => Expected::Anything,
        };
        let stored = StoredSubscription {
            record,
            order: self.order(present.as_ref()),
            ensured: present.and_then(|present| present.ensured),
        };
        self.put_in(batch, stored, checked, expected)
    }

    /// Has a batch remove what is stored under an id, and returns whether anything is; it is
    /// expected to stay until then.
    pub(super) fn remove_in(
        &self,
        batch: &mut Batch,
        access: &Access<'_>,
        id: SubscriptionId,
    ) -> Result<bool> {
        let key = RecordKey::Subscription(id).to_bytes();
        let mut revision = None;
        if let Some(present) = self.present_stored(id)? {
            access.require_writing([&present.record])?;
            revision = present.record.revision();
        } else if let Some(found) = self.core.store.get(&key)? {
            access.require(Right::Administer, None)?;
            revision = Some(found.revision);
        }
        Expected::Exactly(revision).of(batch, id);
        if revision.is_some() {
            batch.delete(key);
        }
        Ok(revision.is_some())
    }

    /// Returns whether a record is stored under an id that this broker was told of and cannot read.
    pub(super) fn is_unreadable(&self, id: SubscriptionId, told: Revision) -> Result<bool> {
        if self.present(id).is_some() {
            return Ok(false);
        }
        let key = RecordKey::Subscription(id).to_bytes();
        let found = self.core.store.get(&key)?;
        Ok(found.is_some_and(|found| found.revision <= told))
    }

    /// Has a batch write a record, with what its check found; without that its filter is compiled
    /// now, as long as no lock is held.
    pub(super) fn put_in(
        &self,
        batch: &mut Batch,
        stored: StoredSubscription,
        checked: Option<Checked>,
        expected: Expected,
    ) -> Result<()> {
        // What does not fit any more stays stored all the same.
        let checked = checked.or_else(|| self.examine(&stored.record).ok());
        let compiled = checked.and_then(Checked::compiled);
        let id = stored.record.id();
        expected.of(batch, id);
        let value = record::encode_subscription(&stored)?;
        let wired = Wired::new(stored, compiled);
        let key = RecordKey::Subscription(id).to_bytes();
        batch.put_prepared(key, value, Arc::new(wired));
        Ok(())
    }
}

impl Expected {
    fn of(self, batch: &mut Batch, id: SubscriptionId) {
        let key = RecordKey::Subscription(id).to_bytes();
        match self {
            Self::Anything => return,
            Self::Exactly(None) => batch.expect_absent(key),
            Self::Exactly(Some(revision)) => batch.expect_revision(key, revision),
        };
    }
}
