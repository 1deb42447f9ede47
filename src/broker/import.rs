//! Many subscriptions at once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;

use super::Broker;
use super::access::Access;
use super::wiring::Wired;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{FilterCost, IndexHelp};
use crate::model::{Revision, Subscription, SubscriptionId};
use crate::store::Batch;
use crate::store::record::{self, RecordKey, StoredSubscription};

/// What [`Broker::import`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    added: usize,
    replaced: usize,
    revision: Revision,
}

/// The subscriptions of an import, checked.
#[derive(Default)]
struct Checked {
    wired: Vec<Arc<Wired>>,
    scanned: Scanned,
}

/// Filters that the index cannot help.
#[derive(Default)]
struct Scanned {
    /// The first of them and their subscriptions, up to [`FEW`].
    first: Vec<((SubscriptionId, String), FilterCost)>,
    count: usize,
}

/// What a record that is not listed is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unlisted {
    /// There is none.
    Absent,
    /// There may be one that cannot be read: the store knows.
    Unreadable,
}

impl Broker {
    /// Stores many subscriptions in one commit: all of them or, if one is not valid, none.
    ///
    /// As [`store`](Self::store) does it inserts each or replaces the one with its id, at the
    /// revision that a record carries, if it carries one. It takes whatever lends subscriptions: a
    /// list, or an iterator that makes each when it is asked for, so that a million need not lie
    /// there twice.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if two have one id or a target is a live object; for each as
    /// [`store`](Self::store), with the name of the one at fault.
    ///
    /// # Consistency
    ///
    /// The store takes all in one step; if somebody else stores one of them meanwhile, that comes
    /// first, and keeps its place in store order. Publishers take them in by sections of about a
    /// thousand, so that no fire waits for all; a class without subscriptions takes them in at
    /// once. When this returned, every fire that begins sees all of them.
    ///
    /// One commit is held in memory, about a kilobyte a subscription: hundreds of thousands at a
    /// time are written fastest. A sled store has those who read from it wait while it writes more
    /// than 16,384; fires do not read from it.
    ///
    /// # Examples
    ///
    /// ```
    /// use loosely::{Broker, Subscription};
    ///
    /// let broker = Broker::in_memory()?;
    /// let mut limits = Vec::new();
    /// for (symbol, limit) in [("MSFT", 185), ("IBM", 120)] {
    ///     let limit = Subscription::builder(format!("{symbol} above {limit}"))
    ///         .class("StockEvents")
    ///         .component("alarm")
    ///         .filter(format!("symbol = '{symbol}' AND price > {limit}"));
    ///     limits.push(limit.build()?);
    /// }
    /// assert_eq!(broker.import(&limits)?.added(), 2);
    /// // Those that are there are replaced.
    /// assert_eq!(broker.import(limits)?.replaced(), 2);
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn import(
        &self,
        subscriptions: impl IntoIterator<Item: Borrow<Subscription>>,
    ) -> Result<Imported> {
        let access = self.access();
        let checked = self.check_all(&access, subscriptions)?;
        let imported = self.commit_all(&access, &checked.wired)?;
        self.note_scanned(checked.scanned);
        Ok(imported)
    }

    fn check_all(
        &self,
        access: &Access<'_>,
        subscriptions: impl IntoIterator<Item: Borrow<Subscription>>,
    ) -> Result<Checked> {
        let mut all = Checked::default();
        let mut ids = HashSet::new();
        for subscription in subscriptions {
            let subscription = subscription.borrow();
            if !ids.insert(subscription.id()) {
                let message = format!("{:?} has the id of another one", subscription.name());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            let subscription = &*self.owned(subscription);
            access.require_writing([subscription])?;
            let checked = self.check(subscription)?;
            all.scanned.add(subscription, checked.cost());
            let stored = StoredSubscription {
                record: subscription.clone(),
                order: 0,
                ensured: None,
            };
            all.wired
                .push(Arc::new(Wired::new(stored, checked.compiled())));
        }
        Ok(all)
    }

    /// Commits all, again if somebody else has changed one of them meanwhile.
    fn commit_all(&self, access: &Access<'_>, wired: &[Arc<Wired>]) -> Result<Imported> {
        let (mut unlisted, mut conflict) = (Unlisted::Absent, None);
        loop {
            let before = self.wiring_changed();
            let (batch, replaced) = self.batch_of(access, wired, unlisted, conflict)?;
            match self.core.commit(batch) {
                Ok(revision) => {
                    return Ok(Imported {
                        added: wired.len() - replaced,
                        replaced,
                        revision,
                    });
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.core.check_open()?;
                    // This broker was told of nothing, so it is one that it cannot read.
                    if self.wiring_changed() == before {
                        if unlisted == Unlisted::Unreadable {
                            return Err(error);
                        }
                        unlisted = Unlisted::Unreadable;
                    }
                    conflict = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the commit, and says how many take the place of another; `conflict` is why the last
    /// one did not happen.
    fn batch_of(
        &self,
        access: &Access<'_>,
        wired: &[Arc<Wired>],
        unlisted: Unlisted,
        mut conflict: Option<Error>,
    ) -> Result<(Batch, usize)> {
        let (mut batch, mut replaced) = (Batch::new(), 0);
        for one in wired {
            let read = |stored: &mut StoredSubscription| {
                let record = &stored.record;
                (record.id(), record.revision())
            };
            let Some((id, carried)) = one.with(read) else {
                continue;
            };
            let present = self.present_stored(id)?;
            access.require_writing(present.as_ref().map(|present| &present.record))?;
            let key = RecordKey::Subscription(id).to_bytes();
            let found = match (&present, unlisted) {
                (Some(present), _) => present.record.revision(),
                (None, Unlisted::Absent) => None,
                (None, Unlisted::Unreadable) => self.core.store.get(&key)?.map(|it| it.revision),
            };
            // What the caller has read has changed, and that is for the caller to know.
            if carried.is_some_and(|carried| found != Some(carried))
                && let Some(conflict) = conflict.take()
            {
                return Err(conflict);
            }
            match carried.or(found) {
                Some(revision) => batch.expect_revision(key.clone(), revision),
                None => batch.expect_absent(key.clone()),
            };
            let order = self.order(present.as_ref());
            let ensured = present.as_ref().and_then(|present| present.ensured);
            let encode = |stored: &mut StoredSubscription| {
                (stored.order, stored.ensured) = (order, ensured);
                record::encode_subscription(stored)
            };
            if let Some(value) = one.with(encode) {
                batch.put_prepared(key, value?, Arc::clone(one) as _);
            }
            replaced += usize::from(present.is_some());
        }
        Ok((batch, replaced))
    }

    /// Says which filters the index cannot help: of each by itself only if they are few, as what
    /// waits to be read is bounded.
    fn note_scanned(&self, scanned: Scanned) {
        let others = scanned.count.saturating_sub(1);
        let each = scanned.count <= FEW;
        for ((id, name), cost) in scanned.first {
            if each {
                self.note_cost((id, &name), 0, Some(cost));
            } else {
                return self.note_cost((id, &name), others, Some(cost));
            }
        }
    }
}

impl Scanned {
    fn add(&mut self, subscription: &Subscription, cost: Option<FilterCost>) {
        let Some(cost) = cost.filter(|cost| cost.help() == IndexHelp::Scanned) else {
            return;
        };
        if self.count < FEW {
            let named = (subscription.id(), subscription.name().to_owned());
            self.first.push((named, cost));
        }
        self.count += 1;
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

/// Up to this many filters that the index cannot help are reported each by itself: what a person
/// looks at one by one.
const FEW: usize = 8;
