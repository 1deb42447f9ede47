//! What was known of keys in another broker, until it is taken up.

use std::collections::HashMap;

use crate::store::record::trigger::KeyMemory;

/// Keys in the order in which they were used, each until somebody takes it: an event can be made
/// again only where its class is served.
#[derive(Debug, Default)]
pub(super) struct Pending {
    keys: Vec<Option<KeyMemory>>,
    /// The places of those that are left.
    places: HashMap<Vec<u8>, usize>,
}

impl Pending {
    pub(super) fn new(keys: Vec<KeyMemory>) -> Self {
        let places = keys.iter().enumerate();
        let places = places.map(|(place, known)| (known.key.clone(), place));
        Self {
            places: places.collect(),
            keys: keys.into_iter().map(Some).collect(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes out what was known of a key.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<KeyMemory> {
        let place = self.places.remove(key)?;
        self.keys.get_mut(place)?.take()
    }

    /// Takes out, in order, what `is_ready`.
    pub(super) fn take_if(&mut self, is_ready: impl Fn(&KeyMemory) -> bool) -> Vec<KeyMemory> {
        let ready = self
            .keys
            .iter_mut()
            .filter_map(|known| known.take_if(|known| is_ready(known)));
        let ready: Vec<_> = ready.collect();
        for known in &ready {
            self.places.remove(&known.key);
        }
        if self.places.is_empty() {
            *self = Self::default();
        }
        ready
    }

    /// Returns those that are left, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeyMemory> {
        self.keys.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::trigger::StateMemory;

    fn known(key: &[u8]) -> KeyMemory {
        KeyMemory {
            key: key.to_vec(),
            state: StateMemory::True,
            event: None,
        }
    }

    #[test]
    fn keys_are_taken_once_and_the_others_stay_in_order() {
        let keys = [&b"c"[..], b"a", b"b", b"d"].map(known);
        let mut pending = Pending::new(keys.into());
        assert_eq!(pending.take(b"a"), Some(known(b"a")));
        assert_eq!(pending.take(b"a"), None);
        let ready = pending.take_if(|known| known.key != b"b");
        assert_eq!(ready, [known(b"c"), known(b"d")]);
        assert!(pending.iter().eq([&known(b"b")]) && !pending.is_empty());
        assert_eq!(pending.take_if(|_| true).len(), 1);
        assert!(pending.is_empty() && pending.keys.is_empty());
    }
}
