//! Stored subscriptions: ensuring, storing, reading, switching, removing.

use std::sync::Arc;

use super::Broker;
use super::access::Access;
use super::check::Checked;
use super::wiring::Wired;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, Right, Subscription, SubscriptionId};
use crate::publish::{SubscriptionCriteria, SubscriptionEntry};
use crate::store::Batch;
use crate::store::record::{self, RecordKey, StoredSubscription};
use crate::value::Properties;

/// What [`Broker::ensure`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ensured {
    /// There was no such subscription; now there is.
    Added,
    /// It is there as defined.
    Present,
    /// It is there, and somebody else changed it, so it was left as it is.
    Differs,
    /// It was there as this program had defined it before, and now is as defined.
    Updated,
}

/// What becomes of values that a stored bag has and the new one has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bags {
    /// They go.
    #[default]
    Replace,
    /// They stay, as under COM+'s `SetCOMCatalogBehaviour(bRetainSubKeys)`.
    Retain,
}

impl Broker {
    /// Stores a subscription if there is none with its id: what a program calls at its start.
    ///
    /// It never undoes what somebody else changed. A subscription that is as this program ensured
    /// it last time follows the program's new definition; one that was edited or switched off since
    /// is left alone. One that was removed is added again: to stop a program's subscription, switch
    /// it off. What it is bound to need not be registered yet: then it is
    /// [`Unchecked`](crate::SubscriptionStatus::Unchecked) until that is.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is a view that lacks the right to subscribe, or, for
    /// what is another's, to administer: of each class that is bound and known now;
    /// [`Filter`](ErrorKind::Filter) if the filter does not parse or does not fit the interface,
    /// [`NotFound`](ErrorKind::NotFound) if the interface has no such method,
    /// [`Invalid`](ErrorKind::Invalid) if the record breaks a rule of its own, as
    /// [`build`](crate::SubscriptionBuilder::build) tells them, or its target is a live object,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the id is that of a transient subscription,
    /// [`Corrupt`](ErrorKind::Corrupt) if what is stored under the id cannot be read (`store` and
    /// `remove` are the ways out), and what the store reports.
    pub fn ensure(&self, subscription: &Subscription) -> Result<Ensured> {
        let access = self.access();
        let subscription = &*self.owned(subscription);
        access.require_writing([subscription])?;
        let checked = self.check(subscription)?;
        let cost = checked.cost();
        let mut checked = Some(checked);
        let digest = record::definition_digest(subscription)?;
        let mut outcome = Ensured::Present;
        self.until_settled(|| {
            let present = self.present_stored(subscription.id())?;
            outcome = match &present {
                None => Ensured::Added,
                Some(present) if record::definition_digest(&present.record)? == digest => {
                    Ensured::Present
                }
                Some(present)
                    if present.ensured == Some(record::definition_digest(&present.record)?) =>
                {
                    Ensured::Updated
                }
                Some(_) => Ensured::Differs,
            };
            if matches!(outcome, Ensured::Present | Ensured::Differs) {
                return self.core.check_open();
            }
            access.require_writing(present.as_ref().map(|present| &present.record))?;
            let expected = present
                .as_ref()
                .and_then(|present| present.record.revision());
            let stored = StoredSubscription {
                record: subscription.clone(),
                order: self.order(present.as_ref()),
                ensured: Some(digest),
            };
            self.put(stored, checked.take(), Expected::Exactly(expected))?;
            self.note_cost((subscription.id(), subscription.name()), 0, cost);
            Ok(())
        })?;
        Ok(outcome)
    }

    /// Stores a subscription: inserts it, or replaces the one with its id.
    ///
    /// A record that was read from a broker expects to be replaced at the revision at which it was
    /// read. Returns the revision of the commit.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) if the record carries a revision and the stored one has
    /// another; else as [`ensure`](Self::ensure), but what cannot be read is replaced.
    #[doc(alias = "Store")]
    pub fn store(&self, subscription: &Subscription) -> Result<Revision> {
        self.store_with(subscription, Bags::Replace)
    }

    /// Stores a subscription, and says what becomes of values of its bags that it does not have.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    #[doc(alias("SetCOMCatalogBehaviour", "bRetainSubKeys"))]
    pub fn store_with(&self, subscription: &Subscription, bags: Bags) -> Result<Revision> {
        let access = self.access();
        let subscription = &*self.owned(subscription);
        access.require_writing([subscription])?;
        let checked = self.check(subscription)?;
        let cost = checked.cost();
        // What is retained may be what a filter reads.
        let mut checked = Some(checked).filter(|_| bags == Bags::Replace);
        let mut revision = Revision::ZERO;
        if subscription.revision().is_some() {
            revision = self.replace(&access, subscription, checked, bags)?;
        } else {
            self.until_settled(|| {
                revision = self.replace(&access, subscription, checked.take(), bags)?;
                Ok(())
            })?;
        }
        self.note_cost((subscription.id(), subscription.name()), 0, cost);
        Ok(revision)
    }

    fn replace(
        &self,
        access: &Access<'_>,
        subscription: &Subscription,
        checked: Option<Checked>,
        bags: Bags,
    ) -> Result<Revision> {
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
        self.put(stored, checked, expected)
    }

    /// Returns the subscription of this id, stored or transient. Private ones are known to their
    /// publisher objects alone, here and in [`subscriptions`](Self::subscriptions).
    pub fn subscription(&self, id: impl Into<SubscriptionId>) -> Option<Subscription> {
        let present = self.present(id.into())?;
        let may_read = self.access().may_read_record(&present.record);
        may_read.then(|| present.record.clone())
    }

    /// Returns the subscriptions of which `criteria` are true, transient ones too, in store order;
    /// `"ALL"` selects every one.
    ///
    /// The columns are those of the record: `id`, `name`, `class`, `interface`, `publisher`,
    /// `method`, `component`, `moniker`, `transient`, `enabled`, `priority`, `not_before`,
    /// `expires`, `owner`, `per_user`, `filter`, `predicate`, `publisher_role`, `description`,
    /// `delivery`, `deadline`, `breaker`, `trigger`, `revision`, `for_publisher.NAME`,
    /// `for_subscriber.NAME`; COM+'s names for them are taken too, such as `EventClassID` and
    /// `MethodName`. `method` is a list, NULL for all methods: `method = 'price_changed'` is true
    /// of a subscription that names this method among others. `delivery` is `'inline'`,
    /// `'detached'`, or NULL where the class decides; `breaker` the failures that open one;
    /// `trigger` is `'becoming_true'`, `'at_most'`, `'once_within'`, `'absence'`, or NULL.
    ///
    /// # Errors
    ///
    /// [`Filter`](ErrorKind::Filter) if the criteria do not parse or do not fit the columns.
    #[doc(alias("Query", "QueryS"))]
    pub fn subscriptions(&self, criteria: &str) -> Result<Vec<Subscription>> {
        let select = SubscriptionCriteria::parse(criteria)?;
        let mut all = self
            .core
            .wiring
            .with(|state, _| state.subscriptions.iter().cloned().collect::<Vec<_>>());
        all.retain(|entry| select.matches(&entry.record));
        let access = self.access();
        all.retain(|entry| access.may_read_record(&entry.record));
        all.sort_by_cached_key(|entry| (entry.order, entry.record.id()));
        Ok(all.iter().map(|entry| entry.record.clone()).collect())
    }

    /// Switches a stored subscription on.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if no stored subscription has the id,
    /// [`Denied`](ErrorKind::Denied) as [`ensure`](Self::ensure), and what the store reports.
    pub fn enable(&self, id: impl Into<SubscriptionId>) -> Result<()> {
        self.edit(id.into(), Subscription::enabled)
    }

    /// Switches a stored subscription off.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn disable(&self, id: impl Into<SubscriptionId>) -> Result<()> {
        self.edit(id.into(), Subscription::disabled)
    }

    /// Removes a stored subscription, also one that cannot be read, and returns whether there was
    /// one.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) as [`ensure`](Self::ensure), and what the store reports.
    #[doc(alias("Remove", "RemoveS"))]
    pub fn remove(&self, id: impl Into<SubscriptionId>) -> Result<bool> {
        let id = id.into();
        let key = RecordKey::Subscription(id).to_bytes();
        match self.present(id) {
            None => self.remove_stored(key, Right::Administer),
            Some(present) if present.record.is_object() => self.core.check_open().map(|()| false),
            Some(present) => {
                self.access().require_writing([&present.record])?;
                let mut batch = Batch::new();
                batch.delete(key);
                self.core.commit(batch).map(|_| true)
            }
        }
    }

    /// Removes the stored subscriptions of which `criteria` are true, in one commit, and returns
    /// them. None is no error.
    ///
    /// # Errors
    ///
    /// [`Filter`](ErrorKind::Filter) if the criteria do not parse or do not fit the columns,
    /// [`Denied`](ErrorKind::Denied) as [`ensure`](Self::ensure), if one of them may not be
    /// removed, and what the store reports.
    #[doc(alias("Remove", "RemoveS"))]
    pub fn remove_where(&self, criteria: &str) -> Result<Vec<Subscription>> {
        let access = self.access();
        let mut removed = Vec::new();
        self.until_settled(|| {
            removed = self.would_remove(criteria)?;
            access.require_writing(&removed)?;
            let mut batch = Batch::new();
            for subscription in &removed {
                let key = RecordKey::Subscription(subscription.id()).to_bytes();
                if let Some(revision) = subscription.revision() {
                    batch.expect_revision(key.clone(), revision);
                }
                batch.delete(key);
            }
            if batch.is_empty() {
                self.core.check_open()
            } else {
                self.core.commit(batch).map(drop)
            }
        })?;
        Ok(removed)
    }

    /// Returns what [`remove_where`](Self::remove_where) would remove, and removes nothing.
    ///
    /// # Errors
    ///
    /// [`Filter`](ErrorKind::Filter) if the criteria do not parse or do not fit the columns.
    pub fn would_remove(&self, criteria: &str) -> Result<Vec<Subscription>> {
        let mut found = self.subscriptions(criteria)?;
        found.retain(|subscription| !subscription.is_object());
        Ok(found)
    }

    fn edit(
        &self,
        id: SubscriptionId,
        change: impl Fn(Subscription) -> Subscription,
    ) -> Result<()> {
        let access = self.access();
        self.until_settled(|| {
            let Some(present) = self.present(id).filter(|p| !p.record.is_object()) else {
                let message = format!("no stored subscription has the id {id}");
                return Err(Error::new(ErrorKind::NotFound, message));
            };
            access.require_writing([&present.record])?;
            let expected = present.record.revision();
            let record = change(present.record.clone());
            if record == present.record {
                return self.core.check_open();
            }
            let stored = StoredSubscription {
                record,
                order: present.order,
                ensured: present.ensured,
            };
            self.put(stored, None, Expected::Exactly(expected))
                .map(drop)
        })
    }

    pub(super) fn present(&self, id: SubscriptionId) -> Option<Arc<SubscriptionEntry>> {
        let wiring = &self.core.wiring;
        wiring.with(|state, _| state.subscriptions.get(id).cloned())
    }

    /// Returns what is stored under an id, unless a guard holds it.
    pub(super) fn present_stored(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Arc<SubscriptionEntry>>> {
        let present = self.present(id);
        match &present {
            Some(present) if present.record.is_object() => {
                let name = present.record.name();
                let message = format!("the transient subscription {name:?} has the id {id}");
                Err(Error::new(ErrorKind::AlreadyExists, message))
            }
            _ => Ok(present),
        }
    }

    pub(super) fn order(&self, present: Option<&Arc<SubscriptionEntry>>) -> u64 {
        present.map_or_else(|| self.core.wiring.next_order(), |present| present.order)
    }

    /// Writes a record, with what its check found; without that its filter is compiled now, as long
    /// as no lock is held.
    fn put(
        &self,
        stored: StoredSubscription,
        checked: Option<Checked>,
        expected: Expected,
    ) -> Result<Revision> {
        // What does not fit any more stays stored all the same.
        let checked = checked.or_else(|| self.examine(&stored.record).ok());
        let compiled = checked.and_then(Checked::compiled);
        let key = RecordKey::Subscription(stored.record.id()).to_bytes();
        let mut batch = Batch::new();
        match expected {
            Expected::Anything => {}
            Expected::Exactly(None) => {
                batch.expect_absent(key.clone());
            }
            Expected::Exactly(Some(revision)) => {
                batch.expect_revision(key.clone(), revision);
            }
        }
        let value = record::encode_subscription(&stored)?;
        let wired = Wired::new(stored, compiled);
        batch.put_prepared(key, value, Arc::new(wired));
        self.core.commit(batch)
    }
}

/// What a write expects to find.
enum Expected {
    Anything,
    /// This revision, or nothing.
    Exactly(Option<Revision>),
}
