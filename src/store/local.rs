//! The store over any engine: what callers see of it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::background::Duties;
use super::batch::{Batch, Entry};
use super::commit::{Attached, State};
use super::copy;
use super::engine::{Engine, RawPair};
use super::flush::Flush;
use super::form;
use super::health::Health;
use super::history::LoggedCommit;
use super::load::{self, Quarantine};
use super::memory::MemoryEngine;
use super::options::{Durability, StoreOptions};
use super::sink::{CommitSink, Trash};
use super::witness::{Witness, Word};
use super::{Compacted, MemoryStore, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::thread::JoinHandle;

/// Keeps the contract of [`Store`] over an [`Engine`]; the one commit path of the crate.
///
/// Dropping it closes it; an error of that close is seen by nobody, so close it yourself where it
/// matters.
pub struct LocalStore<E: Engine> {
    shared: Arc<Shared<E>>,
    /// Flushes at intervals and writes the copy; absent when neither is asked for.
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// What the store shares with its background thread.
///
/// Lock order: `state -> flush.progress`, `state -> duties`, `state -> engine's own`; nothing is
/// locked the other way round, as flush and duties never call out with their lock held.
pub(crate) struct Shared<E> {
    pub(crate) engine: E,
    pub(crate) options: StoreOptions,
    pub(crate) quarantine: Quarantine,
    pub(crate) state: Mutex<State>,
    /// One of the constants below; tells readers without the commit lock.
    pub(crate) access: AtomicU8,
    /// `state.head.revision`, for those who do not want to wait for the commit lock.
    pub(crate) latest: AtomicU64,
    /// `state.head.batches`, likewise.
    pub(crate) batches: AtomicU64,
    pub(crate) flush: Flush,
    /// None where the options name no file for it.
    pub(crate) witness: Option<Witness>,
    pub(crate) duties: Duties,
}

impl MemoryStore {
    /// Returns an empty store in memory, with the default options.
    pub fn new() -> Self {
        // Nothing in memory fails or is read back, so nothing but the engine is needed.
        let options = StoreOptions::new();
        let state = State::empty(options.history_limit);
        let quarantine = Quarantine::new(options.notices.clone());
        let shared = Shared::new(MemoryEngine::new(), options, state, quarantine, None);
        Self {
            shared: Arc::new(shared),
            worker: Mutex::new(None),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Engine> LocalStore<E> {
    /// Opens a store over what the engine holds, reading all of it once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] when the content is damaged beyond single values,
    /// [`ErrorKind::NewerFormat`] when a newer version wrote it, [`ErrorKind::Io`] when the
    /// background thread cannot be started, and what the engine reports.
    pub fn with_engine(engine: E, options: StoreOptions) -> Result<Self> {
        Self::over(engine, options, None)
    }

    /// As [`with_engine`](Self::with_engine), with a sink that is attached from the beginning and
    /// listed to in the same reading.
    ///
    /// That the content is not what it should be is known when all of it was read: the last item
    /// of the listing is that error then, and no store is returned.
    ///
    /// # Errors
    ///
    /// As [`with_engine`](Self::with_engine).
    pub fn with_engine_and_sink(
        engine: E,
        options: StoreOptions,
        prefix: &[u8],
        sink: &Arc<dyn CommitSink>,
    ) -> Result<Self> {
        Self::over(engine, options, Some((prefix, sink)))
    }

    pub(crate) fn over(engine: E, options: StoreOptions, first: First<'_>) -> Result<Self> {
        let quarantine = Quarantine::new(options.notices.clone());
        let mut trash = Trash::default();
        let loaded = load::load_with(
            &engine,
            options.history_limit,
            &quarantine,
            |pairs, revision| {
                if let Some((prefix, sink)) = first {
                    let mut listing = entries(pairs, prefix);
                    sink.listed(&mut listing, revision, &mut trash);
                }
            },
        );
        trash.dispose();
        let loaded = loaded?;
        let witness = open_witness(&options)?;
        let mut state = State::new(loaded);
        if let Some((prefix, sink)) = first {
            state.sinks.push(Attached::new(prefix, sink));
        }
        if let Some(witness) = &witness {
            state.given(witness.found().revision);
            state.counted(witness.found().batches);
        }
        let shared = Arc::new(Shared::new(engine, options, state, quarantine, witness));
        let worker = Duties::start(&shared)?;
        Ok(Self {
            shared,
            worker: Mutex::new(worker),
        })
    }

    /// Returns the collection that the store reports to.
    pub fn notices(&self) -> &crate::notices::Notices {
        &self.shared.options.notices
    }

    /// Returns how far it was durable before this opening, as far as is known.
    #[cfg(feature = "sled")]
    pub(crate) fn durable_before(&self) -> Word {
        let witness = self.shared.witness.as_ref();
        witness.map_or(Word::default(), Witness::found)
    }

    #[cfg(feature = "sled")]
    pub(crate) fn engine(&self) -> &E {
        &self.shared.engine
    }

    /// Has the copy written soon, though nothing was committed.
    #[cfg(feature = "sled")]
    pub(crate) fn copy_soon(&self) {
        self.shared.duties.changed(&self.shared.options, true);
    }

    /// Flushes, copies and releases the engine; returns the first error.
    fn shut_down(&self, trash: &mut Trash) -> Result<()> {
        let shared = &*self.shared;
        let (mut outcome, sound) = {
            let mut state = shared.state.lock();
            if matches!(state.health, Health::Closed) {
                return Ok(());
            }
            shared.retire(&mut state, trash)
        };
        shared.duties.stop();
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            // A panic of the worker was of the engine, and is what the flush below meets too.
            let _ = worker.join();
        }
        if sound {
            let ticket = shared.flush.ticket();
            outcome = outcome.and(shared.flush.wait(ticket, || shared.sync_engine()));
        }
        if sound && shared.duties.copy_is_due() && outcome.is_ok() {
            outcome = copy::write(shared);
        }
        if let Some(witness) = &shared.witness {
            // Only makes damage easier to notice; not worth failing a close that flushed.
            let _ = witness.sync();
        }
        outcome.and(shared.engine.close())
    }
}

impl<E: Engine> Store for LocalStore<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        let shared = &*self.shared;
        shared.readable()?;
        if key.first() == Some(&0) {
            return Ok(None);
        }
        let raw = shared.engine.get(key)?;
        Ok(raw.and_then(|raw| shared.quarantine.read(key, raw)))
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        self.scan_after(prefix, None, visit)
    }

    fn scan_after(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        let shared = &*self.shared;
        shared.readable()?;
        for pair in load::pairs_after(&shared.engine, prefix, after) {
            let (key, raw) = pair?;
            if let Some(entry) = shared.quarantine.read(&key, raw)
                && visit(&key, entry).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: Batch) -> Result<Revision> {
        batch.check()?;
        let shared = &*self.shared;
        let mut trash = Trash::default();
        let outcome = {
            let mut state = shared.state.lock();
            shared.commit(&mut state, &batch, &mut trash)
        };
        trash.dispose();
        let committed = outcome?;
        if let Some(ticket) = committed.ticket {
            shared
                .duties
                .changed(&shared.options, committed.is_numbered);
            if shared.options.durability == Durability::Immediate {
                shared.make_durable(ticket)?;
            }
        }
        Ok(committed.revision)
    }

    fn revision(&self) -> Revision {
        Revision::from(self.shared.latest.load(Ordering::Acquire))
    }

    fn attach(&self, prefix: &[u8], sink: Arc<dyn CommitSink>) -> Result<Revision> {
        // Outlives the lock: the last reference is not dropped under it when attaching fails.
        let _keep = Arc::clone(&sink);
        let mut trash = Trash::default();
        let outcome = {
            let mut state = self.shared.state.lock();
            self.shared.attach(&mut state, prefix, sink, &mut trash)
        };
        trash.dispose();
        outcome
    }

    fn detach(&self, sink: &Arc<dyn CommitSink>) {
        let gone: Vec<_> = {
            let mut state = self.shared.state.lock();
            let of_sink = |attached: &mut Attached| attached.is(sink);
            state.sinks.extract_if(.., of_sink).collect()
        };
        drop(gone);
    }

    fn changes_since(&self, revision: Revision) -> Result<Vec<LoggedCommit>> {
        let state = self.shared.state.lock();
        if matches!(state.health, Health::Closed) {
            return Err(closed());
        }
        state.history.since(revision, state.head.revision)
    }

    fn sync(&self) -> Result<()> {
        let mut trash = Trash::default();
        let outcome = {
            let mut state = self.shared.state.lock();
            self.shared.ready(&mut state, &mut trash)
        };
        trash.dispose();
        outcome?;
        self.shared.make_durable(self.shared.flush.ticket())
    }

    fn compact(&self) -> Result<Compacted> {
        let mut trash = Trash::default();
        let outcome = {
            let mut state = self.shared.state.lock();
            self.shared.ready(&mut state, &mut trash)
        };
        trash.dispose();
        outcome?;
        self.shared.engine.compact()
    }

    fn close(&self) -> Result<()> {
        let mut trash = Trash::default();
        let outcome = self.shut_down(&mut trash);
        trash.dispose();
        outcome
    }
}

impl<E: Engine> Drop for LocalStore<E> {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl<E: Engine> fmt::Debug for LocalStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore")
            .field("engine", &self.shared.engine)
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

impl<E: Engine> Shared<E> {
    fn new(
        engine: E,
        options: StoreOptions,
        state: State,
        quarantine: Quarantine,
        witness: Option<Witness>,
    ) -> Self {
        Self {
            latest: AtomicU64::new(state.head.revision.get()),
            batches: AtomicU64::new(state.head.batches),
            state: Mutex::new(state),
            access: AtomicU8::new(OPEN),
            flush: Flush::default(),
            duties: Duties::default(),
            engine,
            options,
            quarantine,
            witness,
        }
    }

    /// Makes everything applied durable, and leaves word of it.
    pub(crate) fn sync_engine(&self) -> Result<()> {
        let covered = Word {
            revision: Revision::from(self.latest.load(Ordering::Acquire)),
            batches: self.batches.load(Ordering::Acquire),
        };
        self.engine.sync()?;
        if let Some(witness) = &self.witness {
            witness.record(covered);
        }
        Ok(())
    }

    /// Waits until a ticket is durable; a failure makes the store unavailable.
    pub(crate) fn make_durable(&self, ticket: super::flush::Ticket) -> Result<()> {
        let outcome = self.flush.wait(ticket, || self.sync_engine());
        if let Err(error) = &outcome {
            let mut state = self.state.lock();
            if matches!(state.health, Health::Sound) && self.flush.has_failed() {
                self.break_down(&mut state, false, error);
            }
        }
        outcome
    }
}

/// A sink to attach while the store is opened, and the prefix that it is told of.
pub(crate) type First<'a> = Option<(&'a [u8], &'a Arc<dyn CommitSink>)>;

/// Returns the entries of pairs under a prefix whose checksums are known to agree.
fn entries(
    pairs: &mut dyn Iterator<Item = Result<RawPair>>,
    prefix: &[u8],
) -> impl Iterator<Item = Result<(Vec<u8>, Entry)>> {
    pairs.filter_map(move |pair| match pair {
        Ok((key, raw)) if key.starts_with(prefix) => {
            let entry = form::open(raw);
            Some(Ok((key, entry)))
        }
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

fn open_witness(options: &StoreOptions) -> Result<Option<Witness>> {
    let Some(path) = &options.witness_path else {
        return Ok(None);
    };
    Witness::open(path).map(Some).map_err(|error| {
        let message = format!("cannot use {}", path.display());
        Error::new(ErrorKind::Io, message).because(error)
    })
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
}

/// Readers may read.
pub(crate) const OPEN: u8 = 0;
/// A batch may be there in part: nothing is read until the engine was opened again.
pub(crate) const TORN: u8 = 1;
/// The store was closed.
pub(crate) const CLOSED: u8 = 2;
