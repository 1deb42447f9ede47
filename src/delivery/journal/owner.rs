//! Who has the queues of a store.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::store::Store;

/// Has the queues of a store to itself, among the brokers of the process, until it is dropped.
pub(super) struct Owner(Weak<dyn Store>);

/// The stores whose queues somebody has.
static OWNED: Mutex<Vec<Weak<dyn Store>>> = Mutex::new(Vec::new());

impl Owner {
    /// Takes the queues of a store, unless another has them.
    pub(super) fn of(store: &Arc<dyn Store>) -> Option<Self> {
        let store = Arc::downgrade(store);
        let mut owned = OWNED.lock();
        owned.retain(|owned| owned.strong_count() > 0);
        if owned.iter().any(|owned| Weak::ptr_eq(owned, &store)) {
            return None;
        }
        owned.push(Weak::clone(&store));
        Some(Self(store))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        OWNED.lock().retain(|owned| !Weak::ptr_eq(owned, &self.0));
    }
}
