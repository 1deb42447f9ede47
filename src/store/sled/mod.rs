//! The engine that keeps everything in a sled database. Nothing else names sled.
//!
//! What sled 0.34 does and does not do decides the shape. Its flush ends at `sync_file_range`, so
//! [`SledEngine`] syncs the file through a second handle. Its `watch_prefix` and its transactions
//! stall other databases of the process, so neither is used. It latches its first I/O error, so it
//! is opened again after one. On damaged files it sometimes panics, so panics become errors.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ::sled::{Config, Db, IVec};
use parking_lot::{Mutex, RwLock};

use self::compact::NextLook;
use self::directory::{Directory, create_private, io, make_private};
use super::copy::sync_directory_of;
use super::engine::{Engine, RawChange, RawPair};
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notices;
use crate::store::{Compacted, Compaction, StoreOptions};

mod compact;
mod directory;
mod open;
mod sections;

pub use self::open::SledStore;

/// Keeps pairs in a sled database inside a directory of its own.
pub struct SledEngine {
    /// Where the database lies.
    path: PathBuf,
    settings: Settings,
    open: RwLock<State>,
    next_look: NextLook,
}

/// What of a store's options concerns the database.
#[derive(Clone)]
struct Settings {
    cache_bytes: u64,
    compaction: Compaction,
    notices: Notices,
}

struct State {
    /// None after a close, and after a failure to open again.
    database: Option<Database>,
    /// None after a close: the directory is somebody else's then.
    directory: Option<Arc<Directory>>,
}

struct Database {
    db: Db,
    /// A second handle of sled's file, for the sync that sled leaves out.
    file: File,
    /// The large values already synced; sled keeps each in a file that it never writes again.
    blobs: Mutex<BTreeSet<OsString>>,
}

impl SledEngine {
    /// Opens the database of a directory, making both if need be.
    ///
    /// This neither checks the content nor restores it from the copy; [`SledStore::open`] does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] when the directory is in use, [`ErrorKind::NewerFormat`] when a newer
    /// version wrote it, [`ErrorKind::Corrupt`] when sled cannot read it, [`ErrorKind::Io`] when
    /// the operating system refuses.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(directory, &StoreOptions::new())
    }

    /// As [`open`](Self::open), with those of the options that concern a database: its cache, and
    /// when it is written anew.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(directory: impl AsRef<Path>, options: &StoreOptions) -> Result<Self> {
        let directory = Directory::claim(directory.as_ref())?;
        let path = directory.database();
        Self::open_at(Arc::new(directory), path, Settings::of(options))
    }

    /// Opens the database at a path inside a directory already taken.
    fn open_at(directory: Arc<Directory>, path: PathBuf, settings: Settings) -> Result<Self> {
        let database = Database::open(&path, &settings)?;
        directory.sync()?;
        let state = State {
            database: Some(database),
            directory: Some(directory),
        };
        Ok(Self {
            path,
            settings,
            open: RwLock::new(state),
            next_look: NextLook::new(),
        })
    }

    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        call(self.open.read().database()?)
    }
}

impl Settings {
    fn of(options: &StoreOptions) -> Self {
        Self {
            cache_bytes: options.cache_bytes,
            compaction: options.compaction,
            notices: options.notices.clone(),
        }
    }
}

impl State {
    fn database(&self) -> Result<&Database> {
        match (&self.database, &self.directory) {
            (Some(database), _) => Ok(database),
            (None, Some(directory)) => {
                let message = format!("the store {} failed", directory.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            (None, None) => Err(closed()),
        }
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(|database| {
            let value = guarded("read the database", || database.db.get(key))?;
            Ok(value.map(|value| value.to_vec()))
        })
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        let start = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.with(|database| {
            guarded("read the database", || {
                let in_prefix = |pair: &::sled::Result<(IVec, IVec)>| match pair {
                    Ok((key, _)) => key.starts_with(prefix),
                    Err(_) => true,
                };
                let range = database.db.range::<&[u8], _>((start, Bound::Unbounded));
                let pairs = range.take_while(in_prefix).take(limit);
                pairs
                    .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
                    .collect()
            })
        })
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        self.next_look.changed(changes.len());
        if !sections::are_needed(changes) {
            let batch = sections::batch(changes);
            return self
                .with(|database| guarded("write the database", || database.db.apply_batch(batch)));
        }
        // Nobody reads before the last section is there; sled has them wait for a batch as well.
        let state = self.open.write();
        let db = &state.database()?.db;
        guarded("write the database", || sections::write(db, changes))
    }

    fn sync(&self) -> Result<()> {
        self.with(|database| database.sync(&self.path))?;
        match self.next_look.is_due() {
            true => self.compact_if_worth(compact::PAUSE_BYTES),
            false => Ok(()),
        }
    }

    fn compact(&self) -> Result<Compacted> {
        self.compact_now()
    }

    fn reopen(&self) -> Result<()> {
        let mut state = self.open.write();
        if state.directory.is_none() {
            return Err(closed());
        }
        if let Some(failed) = state.database.take() {
            failed.release();
        }
        state.database = Some(Database::open(&self.path, &self.settings)?);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let is_open = self.open.read().database.is_some();
        let looked = match is_open {
            true => self.compact_if_worth(compact::PAUSE_BYTES),
            false => Ok(()),
        };
        let mut state = self.open.write();
        let outcome = match state.database.take() {
            Some(database) => {
                let flushed = database.sync(&self.path);
                database.release();
                flushed.and(make_private(&self.path).map_err(|error| io(&self.path, error)))
            }
            None => Ok(()),
        };
        state.directory = None;
        looked.and(outcome)
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.open.read().database.is_some();
        f.debug_struct("SledEngine")
            .field("path", &self.path)
            .field("open", &is_open)
            .finish()
    }
}

impl Database {
    fn open(path: &Path, settings: &Settings) -> Result<Self> {
        create_private(path).map_err(|error| io(path, error))?;
        let db = open_db(path, settings.cache_bytes)?;
        sections::undo(&db)?;
        let prepare = || {
            make_private(path)?;
            let file = fs::OpenOptions::new().write(true).open(path.join("db"))?;
            file.sync_all()?;
            sync_directory_of(&path.join("db"))?;
            Ok(file)
        };
        let file = prepare().map_err(|error| io(path, error))?;
        Ok(Self {
            db,
            file,
            blobs: Mutex::default(),
        })
    }

    fn sync(&self, path: &Path) -> Result<()> {
        guarded("flush the database", || self.db.flush())?;
        self.file.sync_data().map_err(|error| io(path, error))?;
        let blobs = path.join("blobs");
        self.sync_blobs(&blobs).map_err(|error| io(&blobs, error))
    }

    /// Syncs the files that appeared since the last time, then their names.
    fn sync_blobs(&self, path: &Path) -> std::io::Result<()> {
        let mut synced = self.blobs.lock();
        let mut present = BTreeSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            if !synced.contains(&name) {
                match File::open(path.join(&name)) {
                    Ok(file) => file.sync_all()?,
                    // sled removes those that nothing refers to any more.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                is_new = true;
            }
            present.insert(name);
        }
        if is_new {
            sync_directory_of(&path.join("any"))?;
        }
        *synced = present;
        Ok(())
    }

    /// Drops the database; a panic in that is of no interest, as it is gone either way.
    fn release(self) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
            drop(payload);
        }
    }
}

/// Opens sled's database, waiting out threads of an earlier one that still hold its file.
///
/// The directory is ours by then, so nobody else can.
fn open_db(path: &Path, cache_bytes: u64) -> Result<Db> {
    let what = format!("open the database {}", path.display());
    let mut attempts = RELEASE_ATTEMPTS;
    loop {
        let config = Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None);
        match guarded(&what, || config.open()) {
            Err(error) if error.kind() == ErrorKind::Locked && attempts > 0 => {
                attempts -= 1;
                thread::sleep(RELEASE_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
}

/// Turns sled's errors and panics into ours.
fn guarded<T>(what: &str, call: impl FnOnce() -> ::sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let message = format!("sled cannot {what}");
            Err(Error::new(kind_of(&error), message).because(error))
        }
        Err(payload) => {
            let cause = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("for no stated reason");
            let message = format!("sled cannot {what}: it panicked, {cause}");
            Err(Error::new(ErrorKind::Corrupt, message))
        }
    }
}

fn kind_of(error: &::sled::Error) -> ErrorKind {
    use std::io::ErrorKind as IoKind;
    match error {
        ::sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
            ErrorKind::Locked
        }
        ::sled::Error::Io(error) => match error.kind() {
            // What sled looks for is not where its own pointers lead.
            IoKind::NotFound | IoKind::UnexpectedEof | IoKind::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        },
        _ => ErrorKind::Corrupt,
    }
}

/// sled's threads let go of the file within milliseconds; two seconds are for a loaded machine.
const RELEASE_ATTEMPTS: u32 = 400;
const RELEASE_PAUSE: Duration = Duration::from_millis(5);
