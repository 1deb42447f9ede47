//! A publisher filter that sends what belongs together to one subscriber.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::publisher_filter::{FilteredEvent, PublisherFilter};
use super::selection::Selection;
use crate::delivery::DeliveryOutcome;
use crate::model::SubscriptionId;
use crate::sync::Mutex;

/// The publisher filter that gives each event to one subscriber, and events of the same key to the
/// same one.
///
/// The key is the value of a parameter, or else of a publisher property. The subscriber that took
/// the last event of the key is asked first; where it is gone, does not match or fails, the others
/// are asked in the order of calling, until one takes the event. That one is remembered. Events of
/// a key that is new go to the first subscriber that takes them. It is best the last of a chain:
/// before another filter it selects the subscriber of the key, or else the first, and is not told
/// whether that one took the event.
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::{Broker, StickyByKey, event_interface};
///
/// #[event_interface]
/// trait Orders {
///     fn placed(&self, customer: u32);
/// }
///
/// let broker = Broker::in_memory()?;
/// let orders = broker.publisher::<dyn Orders>()?;
/// let handlers = || Arc::new(OrdersHandlers::new());
/// let _desks = [(); 3].map(|()| broker.subscribe::<dyn Orders>(handlers()));
/// orders.install_filter(Arc::new(StickyByKey::on("customer")));
/// assert_eq!(orders.placed(7).delivered(), 1);
/// # Ok::<(), loosely::Error>(())
/// ```
pub struct StickyByKey {
    name: Box<str>,
    capacity: usize,
    memory: Mutex<Memory>,
}

/// Who took which key, and when.
#[derive(Default)]
struct Memory {
    /// key -> who took it last, and the turn in which that was
    taken: HashMap<Box<str>, (SubscriptionId, u64)>,
    /// turn -> the key, so that the oldest is found when there are too many
    turns: BTreeMap<u64, Box<str>>,
    next_turn: u64,
}

impl StickyByKey {
    /// Returns the filter whose key is the value of this name.
    pub fn on(name: impl Into<String>) -> Self {
        Self {
            name: name.into().into(),
            capacity: CAPACITY,
            memory: Mutex::default(),
        }
    }

    /// Remembers at most so many keys, in place of 65,536: those whose events came last.
    #[must_use]
    pub fn remembering(mut self, keys: usize) -> Self {
        self.capacity = keys;
        self
    }

    /// Returns how many keys it remembers.
    pub fn len(&self) -> usize {
        self.memory.lock().taken.len()
    }

    /// Returns whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PublisherFilter for StickyByKey {
    fn fire(&self, event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        // As criteria write the value, so that 1 and '1' are two keys.
        let key = event.value(&self.name).map(|value| value.to_string());
        let key = key.unwrap_or_else(|| "NULL".to_owned());
        let preferred = self.memory.lock().get(&key);
        let is_preferred = |id| Some(id) == preferred;
        let first = subscriptions.iter().filter(|it| is_preferred(it.id()));
        let others = subscriptions.iter().filter(|it| !is_preferred(it.id()));
        for candidate in first.chain(others) {
            let outcome = subscriptions.fire(&candidate);
            // Selected: of what is behind it in a chain it hears nothing.
            if matches!(
                outcome,
                DeliveryOutcome::Delivered | DeliveryOutcome::Accepted | DeliveryOutcome::Selected
            ) {
                let mut memory = self.memory.lock();
                memory.put(key, candidate.id(), self.capacity);
                return;
            }
        }
    }
}

impl Memory {
    fn get(&self, key: &str) -> Option<SubscriptionId> {
        self.taken.get(key).map(|(id, _)| *id)
    }

    fn put(&mut self, key: String, id: SubscriptionId, capacity: usize) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let key: Box<str> = key.into();
        if let Some((_, before)) = self.taken.insert(key.clone(), (id, turn)) {
            self.turns.remove(&before);
        }
        self.turns.insert(turn, key);
        while self.taken.len() > capacity {
            let Some((_, oldest)) = self.turns.pop_first() else {
                break;
            };
            self.taken.remove(&oldest);
        }
    }
}

/// Some megabytes with keys as long as names are.
const CAPACITY: usize = 65_536;

impl fmt::Debug for StickyByKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StickyByKey")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_whose_events_came_first_are_forgotten_first() {
        let mut memory = Memory::default();
        let id = |number| SubscriptionId::from_u128(number);
        for (key, number) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            memory.put(key.to_owned(), id(number), 2);
        }
        assert_eq!(memory.get("b"), None);
        assert_eq!(
            (memory.get("a"), memory.get("c")),
            (Some(id(3)), Some(id(4)))
        );
        assert_eq!((memory.taken.len(), memory.turns.len()), (2, 2));
        memory.put("d".to_owned(), id(5), 0);
        assert_eq!((memory.taken.len(), memory.turns.len()), (0, 0));
    }
}
