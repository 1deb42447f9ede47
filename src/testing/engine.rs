//! A place for bytes that fails.

use std::sync::Arc;

use super::faults::Faults;
use crate::sync::Mutex;
use crate::{Engine, MemoryEngine, RawChange, RawPair, Result};

/// An [`Engine`] that fails when it is told to, and counts what is asked of it; a clone is the same
/// engine. Over memory unless another is given.
///
/// A [`LocalStore`](crate::LocalStore) over it is a store whose medium fails, and which does all
/// that it does then: it refuses, opens it again and lists anew.
///
/// ```
/// use std::time::Duration;
///
/// use loosely::testing::{Fault, FaultyEngine};
/// use loosely::{Batch, ErrorKind, LocalStore, Store, StoreOptions};
///
/// let engine = FaultyEngine::new();
/// let options = StoreOptions::new().back_off(Duration::ZERO, Duration::ZERO);
/// let store = LocalStore::with_engine(engine.clone(), options)?;
///
/// let batch = |color: &str| {
///     let mut batch = Batch::new();
///     batch.put("color", color);
///     batch
/// };
/// store.commit(batch("red"))?;
///
/// engine.syncs().at(1, Fault::fail("the disk is out"));
/// let refused = store.commit(batch("blue")).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Uncertain);
/// store.commit(batch("green"))?;
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct FaultyEngine<E = MemoryEngine> {
    shared: Arc<Shared<E>>,
}

#[derive(Debug, Default)]
struct Shared<E> {
    engine: E,
    failed_write: FailedWrite,
    all: Faults,
    reads: Faults,
    writes: Faults,
    syncs: Faults,
    /// What was there before a batch of which half was written.
    undo: Mutex<Vec<RawChange>>,
}

/// What a write has done that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedWrite {
    /// Nothing.
    #[default]
    Nothing,
    /// Half of the changes, which are taken back when the engine is opened again, as a log does.
    Half,
    /// All of them.
    Everything,
}

impl FaultyEngine {
    /// Returns an engine over memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns one over memory whose failed writes have done that much.
    pub fn with_failed_writes(failed_write: FailedWrite) -> Self {
        let shared = Shared {
            failed_write,
            ..Shared::default()
        };
        let shared = Arc::new(shared);
        Self { shared }
    }
}

impl<E: Engine> FaultyEngine<E> {
    /// Returns an engine over another.
    pub fn over(engine: E) -> Self {
        let shared = Shared {
            engine,
            failed_write: FailedWrite::Nothing,
            all: Faults::new(),
            reads: Faults::new(),
            writes: Faults::new(),
            syncs: Faults::new(),
            undo: Mutex::default(),
        };
        let shared = Arc::new(shared);
        Self { shared }
    }
}

impl<E> FaultyEngine<E> {
    /// Returns what happens to whatever is asked, before what happens to the kind of it.
    pub fn all(&self) -> &Faults {
        &self.shared.all
    }

    /// Returns what happens to reads.
    pub fn reads(&self) -> &Faults {
        &self.shared.reads
    }

    /// Returns what happens to writes.
    pub fn writes(&self) -> &Faults {
        &self.shared.writes
    }

    /// Returns what happens when what was written is to survive a loss of power.
    pub fn syncs(&self) -> &Faults {
        &self.shared.syncs
    }

    fn meet(&self, faults: &Faults) -> Result<()> {
        // Both count the call, whichever fails it.
        self.shared.all.meet().and(faults.meet())
    }
}

impl<E: Engine> Engine for FaultyEngine<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.meet(self.reads())?;
        self.shared.engine.get(key)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        self.meet(self.reads())?;
        self.shared.engine.page(prefix, after, limit)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        let engine = &self.shared.engine;
        let outcome = self.meet(self.writes());
        match self.shared.failed_write {
            _ if outcome.is_ok() => engine.apply(changes)?,
            FailedWrite::Nothing => {}
            FailedWrite::Half => {
                let half = &changes[..changes.len().div_ceil(2)];
                let before = |(key, _): &RawChange| Ok((key.clone(), engine.get(key)?));
                *self.shared.undo.lock() = half.iter().map(before).collect::<Result<_>>()?;
                engine.apply(half)?;
            }
            FailedWrite::Everything => engine.apply(changes)?,
        }
        outcome
    }

    fn sync(&self) -> Result<()> {
        self.meet(self.syncs())?;
        self.shared.engine.sync()
    }

    fn reopen(&self) -> Result<()> {
        self.shared.all.meet()?;
        // Opened first: an engine that has failed by itself takes nothing before.
        self.shared.engine.reopen()?;
        let undo = std::mem::take(&mut *self.shared.undo.lock());
        self.shared.engine.apply(&undo)
    }

    fn close(&self) -> Result<()> {
        self.shared.all.meet()?;
        self.shared.engine.close()
    }
}

impl<E> Clone for FaultyEngine<E> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }
}
