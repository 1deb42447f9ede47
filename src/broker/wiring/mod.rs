//! The wiring as this process holds it: every record, and the channels that follow from them.

mod channels;
mod state;

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

pub(crate) use self::state::{Parsed, State, WiredRecord};
use self::state::{Place, Touched};
use crate::model::Revision;
use crate::notices::{Notice, Notices};
use crate::publish::{ChannelKey, SubscriptionEntry, Upkeep};
use crate::store::record::{self, RecordKey};
use crate::store::{Change, Commit, CommitSink, Listing, Trash};

/// The records and channels of a broker. Guards hold it strongly, so that they still unsubscribe
/// when the broker is gone; it holds no store.
pub(crate) struct Wiring {
    state: Mutex<State>,
    notices: Notices,
}
impl Wiring {
    pub(crate) fn new(notices: Notices) -> Self {
        Self {
            state: Mutex::new(State::default()),
            notices,
        }
    }

    /// Reads or changes the state. `work` must not call user code; what it replaces goes to the
    /// trash, which is dropped when the lock is released.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State, &mut Trash) -> R) -> R {
        let mut trash = Trash::default();
        let result = work(&mut self.state.lock(), &mut trash);
        trash.dispose();
        result
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
        trash: &mut Trash,
    ) -> Option<Touched> {
        let key = RecordKey::parse(change.key())?;
        let Some(value) = change.value() else {
            return Some(state.delete(key, trash));
        };
        let prepared = change
            .prepared()
            .and_then(|prepared| prepared.downcast_ref::<WiredRecord>());
        let record = match prepared {
            Some(record) => Ok(record.clone().at(revision)),
            None => record::decode(key, value, revision).map(WiredRecord::new),
        };
        match record {
            Ok(record) => Some(state.put(record, revision, trash)),
            Err(error) => {
                let reason = error.to_string();
                self.notices.push(Notice::Quarantined {
                    key: change.key().to_vec(),
                    reason,
                });
                Some(state.delete(key, trash))
            }
        }
    }
}

impl CommitSink for Wiring {
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, trash: &mut Trash) {
        let mut records = Vec::new();
        for item in listing {
            // An error is the last item: the present state is kept, and the store says the rest.
            let Ok((key, entry)) = item else { return };
            let Some(parsed) = RecordKey::parse(&key) else {
                continue;
            };
            match record::decode(parsed, &entry.value, entry.revision) {
                Ok(record) => records.push((WiredRecord::new(record), entry.revision)),
                Err(error) => {
                    let reason = error.to_string();
                    self.notices.push(Notice::Quarantined { key, reason });
                }
            }
        }
        let mut state = self.state.lock();
        state.forget_stored(&records, trash);
        for (record, revision) in records {
            state.put(record, revision, trash);
        }
        state.revision = revision;
        state.rebuild_all(trash);
    }

    fn committed(&self, commit: &Commit<'_>, trash: &mut Trash) {
        let mut state = self.state.lock();
        let mut touched = HashSet::new();
        for change in commit.changes() {
            if let Some(place) = self.apply(&mut state, change, commit.revision(), trash) {
                touched.extend(place);
            }
        }
        state.revision = commit.revision();
        state.rebuild(&touched, trash);
    }
}

impl Upkeep for Wiring {
    fn refresh(&self, key: ChannelKey) {
        self.with(|state, trash| state.rebuild(&HashSet::from([Place::Class(key.class)]), trash));
    }

    fn prune(&self, gone: &[Arc<SubscriptionEntry>]) {
        self.with(|state, trash| {
            let mut touched = HashSet::new();
            for entry in gone {
                let id = entry.record.id();
                let present = state.subscriptions.get(&id);
                if present.is_some_and(|listed| Arc::ptr_eq(&listed.entry, entry)) {
                    touched.extend(state.remove_subscription(id, trash));
                }
            }
            state.rebuild(&touched, trash);
        });
    }
}
