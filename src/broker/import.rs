//! Many subscriptions at once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;

use super::Broker;
use super::wiring::Wired;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, Subscription};
use crate::store::Batch;
use crate::store::record::{self, RecordKey, StoredSubscription};

/// What [`Broker::import`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    added: usize,
    replaced: usize,
    revision: Revision,
}

impl Broker {
    /// Stores many subscriptions in one commit: all of them or, if one is not valid, none.
    ///
    /// As [`store`](Self::store) does it inserts each or replaces the one with its id, at the revision
    /// that a record carries, if it carries one.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if two have one id or a target is a live object; for each as
    /// [`store`](Self::store), with the name of the one at fault.
    ///
    /// # Consistency
    ///
    /// The store takes all in one step. Publishers take them in by sections of about a thousand, so
    /// that no fire waits for all; a class without subscriptions takes them in at once. When this
    /// returned, every fire that begins sees all of them.
    ///
    /// One commit is held in memory, about a kilobyte a subscription: hundreds of thousands at a time
    /// are written fastest.
    pub fn import(
        &self,
        subscriptions: impl IntoIterator<Item: Borrow<Subscription>>,
    ) -> Result<Imported> {
        let mut batch = Batch::new();
        let mut ids = HashSet::new();
        let mut replaced = 0;
        for subscription in subscriptions {
            let subscription = subscription.borrow();
            if !ids.insert(subscription.id()) {
                let message = format!("{:?} has the id of another one", subscription.name());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            replaced += usize::from(self.import_one(subscription, &mut batch)?);
        }
        let revision = self.core.commit(batch)?;
        Ok(Imported {
            added: ids.len() - replaced,
            replaced,
            revision,
        })
    }

    /// Adds one to the batch and returns whether it replaces another.
    fn import_one(&self, subscription: &Subscription, batch: &mut Batch) -> Result<bool> {
        let subscription = &*self.owned(subscription);
        self.require_writing([subscription])?;
        let checked = self.check(subscription)?;
        self.note_cost(subscription.name(), checked.cost());
        let present = self.present_stored(subscription.id())?;
        self.require_writing(present.as_ref().map(|present| &present.record))?;
        let key = RecordKey::Subscription(subscription.id()).to_bytes();
        if let Some(revision) = subscription.revision() {
            batch.expect_revision(key.clone(), revision);
        }
        let stored = StoredSubscription {
            record: subscription.clone(),
            order: self.order(present.as_ref()),
            ensured: present.as_ref().and_then(|present| present.ensured),
        };
        let value = record::encode_subscription(&stored)?;
        let wired = Wired::new(stored, checked.compiled());
        batch.put_prepared(key, value, Arc::new(wired));
        Ok(present.is_some())
    }
}

impl Imported {
    /// Returns how many there were not before.
    pub fn added(&self) -> usize {
        self.added
    }

    /// Returns how many took the place of another.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// Returns the revision of the commit.
    pub fn revision(&self) -> Revision {
        self.revision
    }
}
