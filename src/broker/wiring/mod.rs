//! The wiring as this process holds it: every record, and the channels that follow from them.

mod channels;
mod classes;
mod entries;
mod groups;
mod listing;
mod schedules;
mod state;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, Weak};

pub(crate) use self::listing::Progress;
pub(crate) use self::state::{Changes, State, Wired};
use super::wiring_changes::Teller;
use crate::clock::Clock;
use crate::component::Policy;
use crate::delivery::Journal;
use crate::model::{ComponentId, EventClassId, Revision};
use crate::notices::{Notice, Notices};
use crate::publish::{ObjectId, SubscriptionEntry, Upkeep};
use crate::store::record::{self, RecordKey};
use crate::store::{Change, Commit, CommitSink, Listing, Trash};
use crate::sync::Mutex;

/// The records and channels of a broker. Guards hold it strongly, so that they still unsubscribe
/// when the broker is gone; it holds no store.
pub(crate) struct Wiring {
    pub(super) me: Weak<Self>,
    state: Mutex<State>,
    policy: Arc<Policy>,
    pub(super) notices: Notices,
    pub(super) teller: Teller,
    /// Transient subscriptions whose object was found gone.
    gone: Mutex<Vec<Arc<SubscriptionEntry>>>,
    /// Has the queues of subscriptions that are gone given up.
    journal: OnceLock<Weak<Journal>>,
    /// Who is told how many records were read while the broker is opened.
    progress: Mutex<Option<Progress>>,
}

impl Wiring {
    pub(crate) fn new(
        notices: Notices,
        progress: Option<Progress>,
        policy: Arc<Policy>,
        clock: &Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            state: Mutex::new(State::new(Arc::clone(clock))),
            policy,
            gone: Mutex::default(),
            notices,
            teller: Teller::default(),
            journal: OnceLock::new(),
            progress: Mutex::new(progress),
        })
    }

    /// Has the queues of subscriptions that go given up there.
    pub(crate) fn queues_in(&self, journal: &Arc<Journal>) {
        drop(self.journal.set(Arc::downgrade(journal)));
    }

    /// Ends the reports of progress: whatever is listed later is no opening.
    pub(crate) fn opened(&self) {
        let progress = self.progress.lock().take();
        drop(progress);
    }

    /// Reads or changes the state. `work` must not call user code; what it replaces goes to the
    /// trash, which is dropped when the lock is released.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State, &mut Trash) -> R) -> R {
        let mut trash = Trash::default();
        let result = work(&mut self.state.lock(), &mut trash);
        trash.dispose();
        result
    }

    /// Changes the records and makes the channels follow. For `work` the same holds as above; what
    /// it removes is in the changes, which are dropped when the lock is released.
    pub(crate) fn change<R>(&self, work: impl FnOnce(&mut State, &mut Changes) -> R) -> R {
        self.with(|state, trash| {
            let mut changes = Changes::default();
            let result = work(state, &mut changes);
            self.prune_all(state, &mut changes);
            self.settle(state, &mut changes, trash);
            trash.add(changes);
            result
        })
    }

    /// Makes everything follow from the records that follows from them: the channels, who may do
    /// what, and who is told.
    fn settle(&self, state: &mut State, changes: &mut Changes, trash: &mut Trash) {
        // Before any class lets go of one: a later event of another would be delivered.
        self.unseat(state, changes, trash);
        state.publish(changes, trash);
        if changes.access {
            self.policy.renew(&state.roles);
        }
        if changes.listeners {
            self.listen(state);
        }
        self.arm(state);
        let classes = changes.classes.iter().map(|class| class.id());
        self.keep_journal(state, changes, classes, trash);
    }

    /// Has nothing more delivered from the queues of subscriptions that are gone, or not called any
    /// more.
    fn unseat(&self, state: &State, changes: &Changes, trash: &mut Trash) {
        let Some(journal) = self.journal.get().and_then(Weak::upgrade) else {
            return;
        };
        for id in changes.queued() {
            let present = state.subscriptions.get(id);
            if !present.is_some_and(|present| present.is_called()) {
                trash.add(journal.unseat(id));
            }
        }
    }

    /// Has the journal know what is kept of these classes, and which queues are gone.
    fn keep_journal(
        &self,
        state: &State,
        changes: &Changes,
        classes: impl IntoIterator<Item = EventClassId>,
        trash: &mut Trash,
    ) {
        let Some(journal) = self.journal.get().and_then(Weak::upgrade) else {
            return;
        };
        for class in classes {
            let present = state.classes.get(&class);
            journal.keep(class, present.and_then(|it| it.record.history()));
        }
        for id in changes.queued() {
            if state.subscriptions.get(id).is_none() {
                trash.add(journal.forget(id));
            }
        }
    }

    /// Takes out the subscriptions whose object was found gone, unless they have another by now.
    fn prune_all(&self, state: &mut State, changes: &mut Changes) {
        for entry in std::mem::take(&mut *self.gone.lock()) {
            let present = state.find(entry.key());
            if present.is_some_and(|present| Arc::ptr_eq(present, &entry)) {
                state.remove_subscription(entry.key(), changes);
            }
            changes.dropped.push(entry);
        }
    }

    /// Binds the subscriptions of a component anew, since it came or went.
    pub(crate) fn rebind(&self, component: ComponentId) {
        self.with(|state, trash| {
            state.rebind(component, trash);
            self.listen(state);
        });
    }

    /// Returns the next place in store order.
    pub(crate) fn next_order(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_order += 1;
        state.last_order
    }

    fn apply(
        &self,
        state: &mut State,
        change: &Change<'_>,
        revision: Revision,
        changes: &mut Changes,
        trash: &mut Trash,
    ) {
        let Some(key) = RecordKey::parse(change.key()) else {
            return;
        };
        let Some(value) = change.value() else {
            return state.delete(key, changes, trash);
        };
        let prepared = change
            .prepared()
            .and_then(|prepared| prepared.downcast_ref::<Wired>());
        if prepared.is_some_and(|wired| wired.put(state, revision, changes)) {
            return;
        }
        match record::decode(&key, value, revision) {
            Ok(record) => state.put(record, revision, changes),
            Err(error) => {
                let reason = error.to_string();
                self.notices.push(Notice::Quarantined {
                    key: change.key().to_vec(),
                    reason,
                });
                state.delete(key, changes, trash);
            }
        }
    }
}

impl CommitSink for Wiring {
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, trash: &mut Trash) {
        let progress = self.progress.lock().clone();
        // An error is the last item: the present state is kept, and the store says the rest.
        let Ok(listed) = listing::read(listing, progress.as_ref(), &self.notices) else {
            return;
        };
        let mut state = self.state.lock();
        let mut changes = Changes::default();
        let previous = state.revision;
        let mut classes: HashSet<_> = state.classes.keys().copied().collect();
        state.list_anew(listed, revision, &mut changes, trash);
        classes.extend(state.classes.keys());
        self.unseat(&state, &changes, trash);
        state.reset_all(trash);
        self.policy.renew(&state.roles);
        self.keep_journal(&state, &changes, classes, trash);
        trash.add(changes);
        if previous != revision {
            state.telling.miss(previous, revision);
        }
        self.listen(&mut state);
        self.arm(&mut state);
    }

    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash) {
        let mut state = self.state.lock();
        let mut changes = Changes::default();
        for change in commit.changes() {
            self.apply(&mut state, change, commit.revision(), &mut changes, trash);
        }
        // Behind what the commit removed, which is told of in its order.
        self.prune_all(&mut state, &mut changes);
        let previous = std::mem::replace(&mut state.revision, commit.revision());
        if !commit.changes().is_empty() {
            state.changed = commit.revision();
        }
        self.settle(&mut state, &mut changes, trash);
        // A listener that came with the commit hears of it.
        state.tell(commit, &changes, previous);
        trash.add(changes);
        self.start(&mut state);
        drop(state);
        self.teller.alarm.ring();
    }
}

impl Upkeep for Wiring {
    /// A fire does not wait for a change that is being made: whoever makes it prunes too, or the
    /// next fire that finds the object gone.
    fn prune(&self, gone: &[Arc<SubscriptionEntry>]) {
        let mut pending = self.gone.lock();
        for entry in gone {
            if !pending.iter().any(|known| Arc::ptr_eq(known, entry)) {
                pending.push(Arc::clone(entry));
            }
        }
        drop(pending);
        if let Some(mut state) = self.state.try_lock() {
            let (mut changes, mut trash) = (Changes::default(), Trash::default());
            self.prune_all(&mut state, &mut changes);
            self.settle(&mut state, &mut changes, &mut trash);
            drop(state);
            trash.add(changes);
            trash.dispose();
        }
    }

    fn release(&self, object: ObjectId) {
        self.change(|state, changes| state.release(object, changes));
    }
}
