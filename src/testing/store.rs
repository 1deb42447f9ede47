//! A store that fails.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::faults::Faults;
use crate::{Batch, CommitSink, Entry, LoggedCommit, MemoryStore, Result, Revision, Store};

/// A [`Store`] that passes everything to another, unless it is told to fail; a clone is the same
/// store. Over memory unless another is given.
///
/// What fails was never tried, and the store below knows nothing of it. For a store that deals with
/// a medium that fails, see [`FaultyEngine`](super::FaultyEngine).
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::testing::{Fault, FaultyStore};
/// use loosely::{Broker, ErrorKind, EventClass, event_interface};
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
///
/// # fn main() -> loosely::Result<()> {
/// let store = FaultyStore::new();
/// let broker = Broker::builder().store(Arc::new(store.clone())).open()?;
/// let class = || EventClass::new("nyse", "NYSE");
///
/// store.commits().at(1, Fault::fail("no paper"));
/// let refused = broker.register_class::<dyn StockEvents>(class());
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Io);
/// broker.register_class::<dyn StockEvents>(class())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FaultyStore {
    store: Arc<dyn Store>,
    reads: Faults,
    commits: Faults,
}

impl FaultyStore {
    /// Returns a store over memory.
    pub fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    /// Returns a store over another.
    pub fn over(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            reads: Faults::new(),
            commits: Faults::new(),
        }
    }

    /// Returns what happens to reads, attachments and looks into the log of changes.
    pub fn reads(&self) -> &Faults {
        &self.reads
    }

    /// Returns what happens to commits. [`Fault::run`](super::Fault::run) is done before one, while
    /// the store may still be used.
    pub fn commits(&self) -> &Faults {
        &self.commits
    }
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for FaultyStore {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        self.reads.meet()?;
        self.store.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        self.reads.meet()?;
        self.store.scan(prefix, visit)
    }

    fn scan_after(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        self.reads.meet()?;
        self.store.scan_after(prefix, after, visit)
    }

    fn commit(&self, batch: Batch) -> Result<Revision> {
        self.commits.meet()?;
        self.store.commit(batch)
    }

    fn revision(&self) -> Revision {
        self.store.revision()
    }

    fn attach(&self, prefix: &[u8], sink: Arc<dyn CommitSink>) -> Result<Revision> {
        self.reads.meet()?;
        self.store.attach(prefix, sink)
    }

    fn detach(&self, sink: &Arc<dyn CommitSink>) {
        self.store.detach(sink);
    }

    fn changes_since(&self, revision: Revision) -> Result<Vec<LoggedCommit>> {
        self.reads.meet()?;
        self.store.changes_since(revision)
    }

    fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    fn close(&self) -> Result<()> {
        self.store.close()
    }
}
