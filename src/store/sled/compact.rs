//! Writing the database anew beside the old one, and putting it in its place.
//!
//! The steps, and what opening the directory makes of a crash after each:
//!
//! | after | there are | the next opening has |
//! | --- | --- | --- |
//! | the new one was begun | `sled`, part of `compacted` | the old one |
//! | it was synced, read again and compared | `sled`, `compacted` | the old one |
//! | the old one was put aside | `replaced`, `compacted` | the old one, renamed back |
//! | the new one was put in its place | `replaced`, `sled` | the new one |
//! | the old one was removed, in part or whole | part of `replaced`, `sled` | the new one |

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ::sled::{Batch, IVec};
use fs2::FileExt;

use super::directory::{Directory, io, make_private};
use super::{Database, RELEASE_ATTEMPTS, RELEASE_PAUSE, Settings, SledEngine, State, guarded};
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notice;
use crate::store::Compacted;
use crate::store::health::describe;

/// Why there is no new database.
enum Failure {
    /// The old one is there as before.
    Kept(Error),
    /// Neither is open now; the old one or the new one is there, whole.
    Released(Error),
}

impl SledEngine {
    /// Writes the database anew if its file is much longer than what is live in it, and has the
    /// notices told if that fails. With more than `most_live` bytes it is left alone.
    ///
    /// # Errors
    ///
    /// Whatever leaves no database open.
    pub(super) fn compact_if_worth(&self, most_live: u64) -> Result<()> {
        let live = self.with(|database| {
            let size = database.file_len(&self.path)?;
            let most = self.settings.compaction.most_live_in(size);
            most.map(|most| database.live_bytes(most.min(most_live)))
                .transpose()
        })?;
        self.next_look.note(live != Some(None));
        if !matches!(live, Some(Some(_))) {
            return Ok(());
        }
        let mut state = self.open.write();
        match self.rewrite(&mut state) {
            Ok(_) => Ok(()),
            Err(Failure::Released(error)) => Err(error),
            Err(Failure::Kept(error)) => {
                let reason = describe(&error);
                self.settings.notices.push(Notice::NotCompacted { reason });
                Ok(())
            }
        }
    }

    /// Writes the database anew whatever its length, and returns what that has brought.
    pub(super) fn compact_now(&self) -> Result<Compacted> {
        let mut state = self.open.write();
        self.rewrite(&mut state).map_err(|failure| match failure {
            Failure::Kept(error) | Failure::Released(error) => error,
        })
    }

    fn rewrite(&self, state: &mut State) -> Result<Compacted, Failure> {
        let old = state.database().map_err(Failure::Kept)?;
        let Some(directory) = state.directory.clone() else {
            return Err(Failure::Kept(super::closed()));
        };
        let compacted = directory.compacted();
        let before = build(old, &directory, &self.settings).map_err(|error| {
            // What is left is swept at the next opening.
            let _ = fs::remove_dir_all(&compacted);
            Failure::Kept(error)
        })?;
        if let Some(old) = state.database.take() {
            old.release();
        }
        // A thread of sled's that is still at it would write into the new one's files.
        let placed = released(&self.path).and_then(|()| directory.put_in_place());
        let opened = Database::open(&self.path, &self.settings).map_err(Failure::Released)?;
        state.database = Some(opened);
        placed.map_err(Failure::Kept)?;
        directory.remove_replaced();
        let after = size_of(&self.path).map_err(|error| io(&self.path, error));
        Ok(Compacted::new(before, after.map_err(Failure::Kept)?))
    }
}

/// When it is next looked at what of the file is live.
#[derive(Debug)]
pub(super) struct NextLook {
    /// How many keys were changed since the last time.
    changed: AtomicUsize,
    /// After how many it is for the next time.
    after: AtomicUsize,
}

impl NextLook {
    pub(super) fn new() -> Self {
        Self {
            changed: AtomicUsize::new(0),
            after: AtomicUsize::new(LOOK_EVERY),
        }
    }

    /// Notes that so many keys were changed.
    pub(super) fn changed(&self, keys: usize) {
        self.changed.fetch_add(keys, Ordering::Relaxed);
    }

    /// Returns whether so much was changed that it is time.
    pub(super) fn is_due(&self) -> bool {
        self.changed.load(Ordering::Relaxed) >= self.after.load(Ordering::Relaxed)
    }

    /// Notes a look; one for which much was read in vain puts off the next.
    fn note(&self, was_cheap: bool) {
        let after = match was_cheap {
            true => LOOK_EVERY,
            false => (2 * self.after.load(Ordering::Relaxed)).min(LOOK_LAST),
        };
        self.after.store(after, Ordering::Relaxed);
        self.changed.store(0, Ordering::Relaxed);
    }
}

impl Database {
    /// Returns the bytes of all keys and values, or none if they are more than `most`: then they
    /// are not all read.
    fn live_bytes(&self, most: u64) -> Result<Option<u64>> {
        guarded("read the database", || {
            let mut sum = 0_u64;
            for pair in self.db.iter() {
                let (key, value) = pair?;
                sum += (key.len() + value.len()) as u64;
                if sum > most {
                    return Ok(None);
                }
            }
            Ok(Some(sum))
        })
    }

    fn file_len(&self, path: &Path) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|error| io(path, error))?;
        Ok(metadata.len())
    }
}

/// Makes the new database beside the old one, and returns the bytes that the old one takes.
fn build(old: &Database, directory: &Directory, settings: &Settings) -> Result<u64> {
    let path = directory.compacted();
    let before = size_of(&directory.database()).map_err(|error| io(&path, error))?;
    make_room_sure(old, directory)?;
    // Should the new one not come to be, nothing of this may rest on the closing of it.
    old.sync(&directory.database())?;
    directory.remove_compacted()?;
    let new = Database::open(&path, settings)?;
    let copied = copy(old, &new).and_then(|()| new.sync(&path));
    new.release();
    copied?;
    make_private(&path).map_err(|error| io(&path, error))?;
    sync_all(&path).map_err(|error| io(&path, error))?;
    directory.sync()?;
    // Read as the next opening would, since the old one is removed on the strength of it.
    let new = Database::open(&path, settings)?;
    let compared = compare(old, &new);
    new.release();
    compared?;
    released(&path)?;
    Ok(before)
}

/// Returns an error if the disk has no room for what is to be written.
fn make_room_sure(old: &Database, directory: &Directory) -> Result<()> {
    let live = old.live_bytes(u64::MAX)?.unwrap_or_default();
    let needed = live.saturating_mul(ROOM_TIMES).saturating_add(ROOM_BYTES);
    let path = directory.database();
    let free = fs2::available_space(&path).map_err(|error| io(&path, error))?;
    if free < needed {
        let path = path.display();
        let message =
            format!("no room to write {path} anew: {needed} bytes are needed, {free} are free");
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(())
}

fn copy(old: &Database, new: &Database) -> Result<()> {
    guarded("write the database anew", || {
        let (mut batch, mut keys, mut bytes) = (Batch::default(), 0, 0);
        for pair in old.db.iter() {
            let (key, value) = pair?;
            keys += 1;
            bytes += key.len() + value.len();
            batch.insert(key, value);
            if keys >= SECTION_KEYS || bytes >= SECTION_BYTES {
                new.db.apply_batch(std::mem::take(&mut batch))?;
                (keys, bytes) = (0, 0);
            }
        }
        new.db.apply_batch(batch)
    })
}

fn compare(old: &Database, new: &Database) -> Result<()> {
    let next = |pairs: &mut ::sled::Iter| -> ::sled::Result<Option<(IVec, IVec)>> {
        pairs.next().transpose()
    };
    let is_same = guarded("compare the database with the new one", || {
        let (mut left, mut right) = (old.db.iter(), new.db.iter());
        loop {
            match (next(&mut left)?, next(&mut right)?) {
                (None, None) => return Ok(true),
                (one, other) if one == other => {}
                _ => return Ok(false),
            }
        }
    })?;
    match is_same {
        true => Ok(()),
        false => {
            let message = "the database written anew is not the same as the old one";
            Err(Error::new(ErrorKind::Corrupt, message))
        }
    }
}

/// Waits until no thread of sled's holds the database at a path any more.
fn released(path: &Path) -> Result<()> {
    let path = path.join("db");
    let file = fs::File::open(&path).map_err(|error| io(&path, error))?;
    let mut attempts = RELEASE_ATTEMPTS;
    while let Err(error) = file.try_lock_exclusive() {
        if attempts == 0 {
            return Err(io(&path, error));
        }
        attempts -= 1;
        thread::sleep(RELEASE_PAUSE);
    }
    Ok(())
}

/// Syncs every file and directory below a path, and the directory itself.
fn sync_all(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_all(&entry.path())?,
            false => fs::File::open(entry.path())?.sync_all()?,
        }
    }
    crate::store::copy::sync_directory_of(&path.join("any"))
}

/// Returns the bytes of all files below a path.
fn size_of(path: &Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let sized = match entry.file_type()?.is_dir() {
            true => size_of(&entry.path()),
            false => entry.metadata().map(|metadata| metadata.len()),
        };
        size += match sized {
            // sled removes files that nothing refers to any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            sized => sized?,
        };
    }
    Ok(size)
}

/// As much may be live where readers and writers wait: some tenths of a second.
pub(super) const PAUSE_BYTES: u64 = 16 << 20;

/// Some tenths of a second of writing, against some hundredths of looking; and seconds where it was
/// for nothing.
const LOOK_EVERY: usize = 65_536;
const LOOK_LAST: usize = 4 * LOOK_EVERY;

/// Keeps sled's batches to a size it writes at once.
const SECTION_KEYS: usize = 1_000;
const SECTION_BYTES: usize = 1 << 20;

/// What sled makes of so many bytes when it writes them for the first time, and its first segments.
const ROOM_TIMES: u64 = 4;
const ROOM_BYTES: u64 = 4 << 20;
