//! The key of an event, as a part of the transaction that does its work.

use std::time::SystemTime;

use super::keys::value;
use crate::broker::access::Access;
use crate::broker::transaction::Part;
use crate::broker::{Broker, Committed};
use crate::error::Result;
use crate::store::Batch;

/// A key that comes, if it is not there, and those that make room for it. All are the store's.
pub(super) struct Mark {
    key: Vec<u8>,
    value: [u8; 8],
    leaving: Vec<Vec<u8>>,
}

impl Mark {
    pub(super) fn new(key: &[u8], leaving: &[Vec<u8>], now: SystemTime) -> Self {
        Self {
            key: key.to_vec(),
            value: value(now),
            leaving: leaving.to_vec(),
        }
    }

    /// Returns how many keys it writes and expects, and of how many bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let leaving: usize = self.leaving.iter().map(Vec::len).sum();
        let bytes = 2 * self.key.len() + self.value.len() + leaving;
        (2 + self.leaving.len(), bytes)
    }
}

impl Part for Mark {
    fn prepare(&mut self, _: &Broker, _: &Access<'_>, batch: &mut Batch) -> Result<()> {
        batch.expect_absent(self.key.clone());
        batch.put(self.key.clone(), self.value);
        for key in &self.leaving {
            batch.delete(key.clone());
        }
        Ok(())
    }

    /// Somebody else did the work.
    fn is_stale(&self, broker: &Broker) -> bool {
        let found = broker.core.store.get(&self.key);
        found.is_ok_and(|found| found.is_some())
    }

    fn committed(self: Box<Self>, _: &Broker, _: &mut Committed) {}
}
