//! Stored subscriptions: ensuring, storing, reading, switching, removing.

use std::sync::Arc;

use super::Broker;
use super::writing::Expected;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, Right, Subscription, SubscriptionId};
use crate::publish::{SubscriptionCriteria, SubscriptionEntry};
use crate::store::Batch;
use crate::store::record::{RecordKey, StoredSubscription};

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
        let mut wanted = self.wanted(&access, subscription)?;
        let mut outcome = Ensured::Present;
        self.until_settled(|| {
            let mut batch = Batch::new();
            outcome = self.ensure_in(&mut batch, &access, &mut wanted)?;
            if batch.is_empty() {
                self.core.check_open()
            } else {
                self.core.commit(batch).map(drop)
            }
        })?;
        if matches!(outcome, Ensured::Added | Ensured::Updated) {
            wanted.note(self);
        }
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
        let mut wanted = self.wanted(&access, subscription)?;
        let mut revision = Revision::ZERO;
        let mut replace = || {
            let mut batch = Batch::new();
            self.replace_in(&mut batch, &access, &mut wanted, bags)?;
            revision = self.core.commit(batch)?;
            Ok(())
        };
        if subscription.revision().is_some() {
            replace()?;
        } else {
            self.until_settled(replace)?;
        }
        wanted.note(self);
        Ok(revision)
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
    /// `expires`, `quiet`, `time_zone`, `owner`, `per_user`, `filter`, `predicate`,
    /// `publisher_role`, `description`, `delivery`, `deadline`, `breaker`, `trigger`, `revision`,
    /// `for_publisher.NAME`, `for_subscriber.NAME`; COM+'s names for them are taken too, such as
    /// `EventClassID` and `MethodName`. `method` is a list, NULL for all methods: `method =
    /// 'price_changed'` is true of a subscription that names this method among others. `delivery`
    /// is `'inline'`, `'detached'`, or NULL where the class decides; `quiet` whether there are
    /// quiet hours; `breaker` the failures that open one; `trigger` is `'becoming_true'`,
    /// `'at_most'`, `'once_within'`, `'absence'`, or NULL.
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
                batch.delete(RecordKey::Subscription(id).to_bytes());
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
                    batch.expect_revision(key, revision);
                }
                batch.delete(RecordKey::Subscription(subscription.id()).to_bytes());
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
            let mut batch = Batch::new();
            self.put_in(&mut batch, stored, None, Expected::Exactly(expected))?;
            self.core.commit(batch).map(drop)
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
}
