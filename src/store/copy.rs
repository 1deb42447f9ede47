//! The copy of all pairs beside the database: what is left when the database is damaged.
//!
//! A file of records, later ones overriding earlier ones, so that it can be written while commits
//! go on: first all pairs as a scan finds them, then, under the commit lock, what the change log
//! names since the scan began. All numbers are big endian:
//!
//! | bytes | meaning |
//! | --- | --- |
//! | `loosely copy 1\n` | format |
//! | 1, key length (4), key, value length (4), value | pair, its value sealed as in the database |
//! | 2, key length (4), key | no such pair |
//! | 3, revision (8), CRC-32 of all before (4) | end |

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use super::batch::is_bulk;
use super::commit::State;
use super::engine::Engine;
use super::form;
use super::health::Health;
use super::load::pairs;
use super::local::Shared;
use crate::error::{Error, ErrorKind, Result};

/// Writes the copy to the path in the options; does nothing where there is none.
///
/// # Errors
///
/// [`ErrorKind::Io`] when the file cannot be written, and what the engine reports.
pub(crate) fn write<E: Engine>(shared: &Shared<E>) -> Result<()> {
    let options = &shared.options;
    let (Some(path), Some(_)) = (&options.copy_path, options.copy_every) else {
        return Ok(());
    };
    let unfinished = path.with_extension("new");
    let io = |error| failed(&unfinished, error);
    let mut writer = Writer::create(&unfinished).map_err(io)?;
    dump(shared, &mut writer).map_err(|failure| match failure {
        Failure::Store(error) => error,
        Failure::File(error) => io(error),
    })?;
    writer.finish().map_err(io)?;
    // A copy newer than the database would look like a database that lost commits.
    shared.make_durable(shared.flush.ticket())?;
    fs::rename(&unfinished, path).map_err(io)?;
    sync_directory_of(path).map_err(io)
}

enum Failure {
    Store(Error),
    File(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

fn dump<E: Engine>(shared: &Shared<E>, writer: &mut Writer) -> Result<(), Failure> {
    let begun = shared.state.lock().head.revision;
    dump_pairs(shared, writer)?;
    let state = shared.state.lock();
    if matches!(state.health, Health::Broken { .. }) {
        let error = Error::new(ErrorKind::Unavailable, "the store failed");
        return Err(error.into());
    }
    match state.history.since(begun, state.head.revision) {
        Ok(commits) => {
            let changes = commits.iter().flat_map(|commit| commit.changes.iter());
            let keys = changes.map(|change| change.key.as_slice()).collect();
            dump_keys(shared, writer, &keys)?;
        }
        // More went on than the log holds: begin again, with the lock held this time.
        Err(_) => {
            writer.restart()?;
            dump_pairs(shared, writer)?;
        }
    }
    end(writer, &state)?;
    Ok(())
}

fn dump_pairs<E: Engine>(shared: &Shared<E>, writer: &mut Writer) -> Result<(), Failure> {
    for pair in pairs(&shared.engine, b"") {
        let (key, raw) = pair?;
        // Bulk keys come last.
        if is_bulk(&key) {
            break;
        }
        if form::unseal(&key, &raw).is_ok() {
            writer.put(&key, &raw)?;
        }
    }
    Ok(())
}

fn dump_keys<E: Engine>(
    shared: &Shared<E>,
    writer: &mut Writer,
    keys: &BTreeSet<&[u8]>,
) -> Result<(), Failure> {
    for key in keys {
        match shared.engine.get(key)? {
            Some(raw) => writer.put(key, &raw)?,
            None => writer.absent(key)?,
        }
    }
    Ok(())
}

fn end(writer: &mut Writer, state: &State) -> std::io::Result<()> {
    writer.bytes(&[END])?;
    writer.bytes(&state.head.revision.get().to_be_bytes())
}

/// Writes records and keeps the checksum of all of them.
struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    checksum: crc32fast::Hasher,
}

impl Writer {
    fn create(path: &Path) -> std::io::Result<Self> {
        let mut writer = Self {
            file: BufWriter::new(open_private(path)?),
            path: path.to_path_buf(),
            checksum: crc32fast::Hasher::new(),
        };
        writer.bytes(MAGIC)?;
        Ok(writer)
    }

    fn restart(&mut self) -> std::io::Result<()> {
        let old = std::mem::replace(self, Self::create(&self.path.clone())?);
        // Dropped whole, it would write its buffer into the file just emptied.
        drop(old.file.into_parts());
        Ok(())
    }

    fn put(&mut self, key: &[u8], raw: &[u8]) -> std::io::Result<()> {
        self.bytes(&[PUT])?;
        self.field(key)?;
        self.field(raw)
    }

    fn absent(&mut self, key: &[u8]) -> std::io::Result<()> {
        self.bytes(&[ABSENT])?;
        self.field(key)
    }

    fn field(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let len = u32::try_from(bytes.len())
            .map_err(|_| std::io::Error::new(IoKind::InvalidInput, "a value of over 4 GiB"))?;
        self.bytes(&len.to_be_bytes())?;
        self.bytes(bytes)
    }

    fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.checksum.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> std::io::Result<()> {
        let checksum = self.checksum.finalize();
        self.file.write_all(&checksum.to_be_bytes())?;
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()
    }
}

/// Creates or empties a file that only its owner may read.
pub(crate) fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a rename or a new file of the directory durable, where the system can.
pub(crate) fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        #[cfg(unix)]
        Some(parent) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot write the copy {}", path.display());
    Error::new(ErrorKind::Io, message).because(error)
}

pub(crate) const MAGIC: &[u8] = b"loosely copy 1\n";
pub(crate) const PUT: u8 = 1;
pub(crate) const ABSENT: u8 = 2;
pub(crate) const END: u8 = 3;

/// Writes a small copy that has every kind of record, at revision 7: only `b` is left, as `3`.
#[cfg(test)]
pub(crate) fn write_sample(path: &Path) -> std::io::Result<()> {
    let mut writer = Writer::create(path)?;
    writer.put(b"a", b"1")?;
    writer.put(b"b", b"2")?;
    writer.absent(b"a")?;
    writer.put(b"b", b"3")?;
    writer.bytes(&[END])?;
    writer.bytes(&7_u64.to_be_bytes())?;
    writer.finish()
}
