//! The keys of a window, as the store has them and in their order.
//!
//! In a tree of its own, under subscription and key, 16 bytes each, stands when the event was
//! handled: seconds since 1970, 8 bytes, big endian. What stands there is what counts; what is in
//! memory says which of them are the oldest.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Right, SubscriptionId};
use crate::store::{Batch, tree_key};
use crate::sync::Mutex;

/// The windows of a broker, by the names of their trees, as long as somebody has them.
#[derive(Default)]
pub(in crate::broker) struct Windows(Mutex<HashMap<Arc<str>, Weak<Keys>>>);

/// The keys of one window.
pub(super) struct Keys {
    tree: Arc<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// subscription -> its keys, the oldest first; of those that had an event
    orders: HashMap<SubscriptionId, VecDeque<Noted>>,
    /// What is being handled.
    running: HashSet<(SubscriptionId, Uuid)>,
}

/// A key, and when its event was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    key: Uuid,
    seconds: u64,
}

/// An event that is being handled, by nobody else until this is dropped.
pub(super) struct Running<'a> {
    keys: &'a Keys,
    subscription: SubscriptionId,
    key: Uuid,
    stored_key: Vec<u8>,
}

/// The oldest keys, on their way out: dropped without a word, they stay.
pub(super) struct Making<'a> {
    running: &'a Running<'a>,
    leaving: Vec<Noted>,
}

impl Windows {
    pub(super) fn of(&self, tree: &Arc<str>) -> Arc<Keys> {
        let mut all = self.0.lock();
        if let Some(known) = all.get(tree).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, keys| keys.strong_count() > 0);
        let keys = Arc::new(Keys {
            tree: Arc::clone(tree),
            state: Mutex::default(),
        });
        all.insert(Arc::clone(tree), Arc::downgrade(&keys));
        keys
    }
}

impl Keys {
    pub(super) fn tree(&self) -> &str {
        &self.tree
    }

    /// Reads the keys of a subscription, unless that was done.
    pub(super) fn load(&self, broker: &Broker, subscription: SubscriptionId) -> Result<()> {
        if self.state.lock().orders.contains_key(&subscription) {
            return Ok(());
        }
        let found = self.read(broker, subscription)?;
        // Nothing is noted before somebody has read, so whoever was first has all.
        let mut state = self.state.lock();
        state.orders.entry(subscription).or_insert(found);
        Ok(())
    }

    /// Returns the keys of a subscription that the store has, the oldest first.
    pub(super) fn read(
        &self,
        broker: &Broker,
        subscription: SubscriptionId,
    ) -> Result<VecDeque<Noted>> {
        let prefix = self.stored(subscription, &[]);
        let mut found = Vec::new();
        broker.core.store.scan(&prefix, &mut |key, entry| {
            if let Some(noted) = Noted::read(&key[prefix.len()..], &entry.value) {
                found.push((entry.revision, noted));
            }
            ControlFlow::Continue(())
        })?;
        found.sort_unstable_by_key(|(revision, noted)| (*revision, noted.seconds, noted.key));
        Ok(found.into_iter().map(|(_, noted)| noted).collect())
    }

    /// Takes an event in hand.
    pub(super) fn run(&self, subscription: SubscriptionId, key: Uuid) -> Result<Running<'_>> {
        if !self.state.lock().running.insert((subscription, key)) {
            let message = "another call is at the same event";
            return Err(Error::new(ErrorKind::InUse, message));
        }
        Ok(Running {
            keys: self,
            subscription,
            key,
            stored_key: self.stored(subscription, key.as_bytes()),
        })
    }

    /// Removes the keys of a subscription.
    pub(super) fn forget(&self, broker: &Broker, subscription: SubscriptionId) -> Result<usize> {
        broker
            .access()
            .require_tree(Right::Administer, &self.tree)?;
        let mut count = 0;
        let found = Vec::from(self.read(broker, subscription)?);
        for some in found.chunks(MOST_AT_ONCE) {
            let mut batch = Batch::new();
            for noted in some {
                batch.delete(self.stored(subscription, noted.key.as_bytes()));
            }
            broker.core.commit(batch)?;
            count += some.len();
        }
        self.state.lock().orders.remove(&subscription);
        Ok(count)
    }

    /// Returns the key of the store.
    fn stored(&self, subscription: SubscriptionId, key: &[u8]) -> Vec<u8> {
        let subscription = subscription.uuid();
        tree_key::key(&self.tree, &[subscription.as_bytes(), key].concat())
    }
}

impl Running<'_> {
    /// Has the keys of the subscription read anew.
    pub(super) fn unload(&self) {
        self.keys.state.lock().orders.remove(&self.subscription);
    }

    pub(super) fn stored_key(&self) -> &[u8] {
        &self.stored_key
    }

    /// Takes the oldest keys out of the order: those that are too many beside one more, and those
    /// that are too old.
    pub(super) fn make_room(
        &self,
        most: usize,
        age: Option<Duration>,
        now: SystemTime,
    ) -> Making<'_> {
        let horizon = age.map_or(0, |age| seconds(now).saturating_sub(age.as_secs()));
        let mut state = self.keys.state.lock();
        let order = state.orders.entry(self.subscription).or_default();
        let mut leaving = Vec::new();
        while leaving.len() < MOST_AT_ONCE
            && let Some(oldest) = order.front()
            && (order.len() >= most || oldest.seconds < horizon)
        {
            leaving.extend(order.pop_front());
        }
        drop(state);
        Making {
            running: self,
            leaving,
        }
    }
}

impl Making<'_> {
    /// Returns the keys of the store.
    pub(super) fn stored_keys(&self) -> Vec<Vec<u8>> {
        let Running {
            keys, subscription, ..
        } = self.running;
        let leaving = self.leaving.iter();
        let stored = leaving.map(|noted| keys.stored(*subscription, noted.key.as_bytes()));
        stored.collect()
    }

    /// Says that they are gone, and the event's own is there.
    pub(super) fn done(mut self, now: SystemTime) {
        self.leaving.clear();
        let mut state = self.running.keys.state.lock();
        let order = state.orders.entry(self.running.subscription).or_default();
        order.push_back(Noted {
            key: self.running.key,
            seconds: seconds(now),
        });
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let mut state = self.running.keys.state.lock();
        let order = state.orders.entry(self.running.subscription).or_default();
        for noted in self.leaving.drain(..).rev() {
            order.push_front(noted);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.keys.state.lock();
        state.running.remove(&(self.subscription, self.key));
    }
}

impl Noted {
    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        Some(Self {
            key: Uuid::from_slice(key).ok()?,
            seconds: u64::from_be_bytes(value.try_into().ok()?),
        })
    }
}

/// Returns the seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Returns what stands under a key.
pub(super) fn value(now: SystemTime) -> [u8; 8] {
    seconds(now).to_be_bytes()
}

/// So many keys leave in one commit: one that is narrowed by thousands takes it in steps that no
/// event waits long for.
const MOST_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn keys() -> Arc<Keys> {
        Windows::default().of(&Arc::from("loosely:once:test"))
    }

    fn subscription() -> SubscriptionId {
        SubscriptionId::from_u128(7)
    }

    /// Handles an event at a second, and returns how many keys left for it.
    fn handle(keys: &Keys, key: u128, second: u64, age: Option<u64>) -> usize {
        let running = keys.run(subscription(), Uuid::from_u128(key)).unwrap();
        let now = NOW + Duration::from_secs(second);
        let making = running.make_room(3, age.map(Duration::from_secs), now);
        let left = making.stored_keys().len();
        making.done(now);
        left
    }

    #[test]
    fn stored_bytes_stay_as_they_are() {
        let keys = keys();
        let running = keys.run(subscription(), Uuid::from_u128(0x0102)).unwrap();
        let stored = running.stored_key().strip_prefix(b"uloosely:once:test\0");
        let (subscription, key) = stored.unwrap().split_at(16);
        assert_eq!((subscription[15], &key[14..]), (7, &[1, 2][..]));
        let now = NOW + Duration::from_secs(0x0304);
        assert_eq!(value(now), [0, 0, 0, 0, 0, 0, 3, 4]);
        let noted = Noted::read(key, &value(now)).unwrap();
        assert_eq!((noted.key.as_u128(), noted.seconds), (0x0102, 0x0304));
        assert!(Noted::read(&[], &[]).is_none());
    }

    #[test]
    fn oldest_keys_make_room_and_stay_if_nothing_comes_of_it() {
        let keys = keys();
        let left: Vec<_> = (1..=5).map(|key| handle(&keys, key, 0, None)).collect();
        assert_eq!(left, [0, 0, 0, 1, 1]);
        let running = keys.run(subscription(), Uuid::from_u128(6)).unwrap();
        drop(running.make_room(1, None, NOW));
        let state = keys.state.lock();
        let order = state.orders[&subscription()].iter();
        let order: Vec<_> = order.map(|noted| noted.key.as_u128()).collect();
        assert_eq!(order, [3, 4, 5]);
    }

    #[test]
    fn keys_that_are_too_old_leave_with_the_next() {
        let keys = keys();
        assert_eq!(handle(&keys, 1, 10, Some(60)), 0);
        assert_eq!(handle(&keys, 2, 69, Some(60)), 0);
        assert_eq!(handle(&keys, 3, 71, Some(60)), 1);
    }

    #[test]
    fn event_is_in_one_hand_at_a_time() {
        let keys = keys();
        let key = Uuid::from_u128(1);
        let running = keys.run(subscription(), key).unwrap();
        let refused = keys.run(subscription(), key).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::InUse);
        keys.run(subscription(), Uuid::from_u128(2)).unwrap();
        keys.run(SubscriptionId::from_u128(8), key).unwrap();
        drop(running);
        keys.run(subscription(), key).unwrap();
    }
}
