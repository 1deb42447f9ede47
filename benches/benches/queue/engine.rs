//! An engine that counts what it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loosely::{Compacted, Engine, RawChange, RawPair, Result, SledEngine};

/// What an engine was asked for.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    syncs: AtomicU64,
    batches: AtomicU64,
    /// Bytes of the keys and values of queued events.
    event_bytes: AtomicU64,
    events: AtomicU64,
}

/// Sled, counted.
#[derive(Debug)]
pub(crate) struct Counted {
    engine: Arc<SledEngine>,
    counts: Arc<Counts>,
}

/// The first byte of the keys of queued events.
pub(crate) const EVENTS: u8 = 0x81;

impl Counted {
    pub(crate) fn new(engine: SledEngine) -> (Self, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let counted = Self {
            engine: Arc::new(engine),
            counts: Arc::clone(&counts),
        };
        (counted, counts)
    }

    /// Returns the engine, to be looked into beside the store.
    pub(crate) fn inner(&self) -> Arc<SledEngine> {
        Arc::clone(&self.engine)
    }
}

impl Counts {
    /// Returns how often it was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Returns the bytes that an event takes, on average, key included.
    pub(crate) fn bytes_per_event(&self) -> u64 {
        let events = self.events.load(Ordering::Relaxed).max(1);
        self.event_bytes.load(Ordering::Relaxed) / events
    }
}

impl Engine for Counted {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.engine.get(key)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        self.engine.page(prefix, after, limit)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        for (key, value) in changes {
            if let (Some(&EVENTS), Some(value)) = (key.first(), value) {
                let bytes = (key.len() + value.len()) as u64;
                self.counts.event_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.counts.events.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.engine.apply(changes)
    }

    fn sync(&self) -> Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.engine.sync()
    }

    fn reopen(&self) -> Result<()> {
        self.engine.reopen()
    }

    fn compact(&self) -> Result<Compacted> {
        self.engine.compact()
    }

    fn close(&self) -> Result<()> {
        self.engine.close()
    }
}
