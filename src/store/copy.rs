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

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use super::batch::Revision;
use super::commit::{Health, State};
use super::engine::Engine;
use super::form;
use super::load::pairs;
use super::local::Shared;
use crate::error::{Error, ErrorKind, Result};

/// What a copy holds.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) revision: Revision,
    /// Raw values by key.
    pub(crate) pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

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

/// Reads a copy whole; none if there is no file.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when the file is not a complete copy, [`ErrorKind::Io`] when it cannot be
/// read.
pub(crate) fn read(path: &Path) -> Result<Option<Copied>> {
    match read_bytes(path)? {
        Some(bytes) => parse(&bytes).map(Some),
        None => Ok(None),
    }
}

/// Returns the revision of a copy after checking all of it; none if there is no file.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn revision(path: &Path) -> Result<Option<Revision>> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let body = verify(&bytes)?;
    let (_, revision) = body.split_last_chunk::<8>().ok_or_else(unknown)?;
    Ok(Some(Revision::from(u64::from_be_bytes(*revision))))
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == IoKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("cannot read the copy {}", path.display());
            Err(Error::new(ErrorKind::Io, message).because(error))
        }
    }
}

/// Returns what stands between format and checksum.
fn verify(bytes: &[u8]) -> Result<&[u8]> {
    let damaged = || Error::new(ErrorKind::Corrupt, "the copy fails its checksum");
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err(damaged());
    }
    body.strip_prefix(MAGIC).ok_or_else(unknown)
}

fn unknown() -> Error {
    Error::new(ErrorKind::Corrupt, "the copy has an unknown format")
}

fn parse(bytes: &[u8]) -> Result<Copied> {
    let mut reader = form::Reader(verify(bytes)?);
    let mut pairs = BTreeMap::new();
    loop {
        match reader.u8()? {
            PUT => {
                let key = field(&mut reader)?;
                pairs.insert(key, field(&mut reader)?);
            }
            ABSENT => {
                pairs.remove(&field(&mut reader)?);
            }
            END => break,
            _ => return Err(unknown()),
        }
    }
    let revision = Revision::from(reader.u64()?);
    Ok(Copied { revision, pairs })
}

fn field(reader: &mut form::Reader<'_>) -> Result<Vec<u8>> {
    let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    Ok(reader.take(len)?.to_vec())
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

const MAGIC: &[u8] = b"loosely copy 1\n";
const PUT: u8 = 1;
const ABSENT: u8 = 2;
const END: u8 = 3;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn sample(path: &Path) -> Vec<u8> {
        let mut writer = Writer::create(path).unwrap();
        writer.put(b"a", b"1").unwrap();
        writer.put(b"b", b"2").unwrap();
        writer.absent(b"a").unwrap();
        writer.put(b"b", b"3").unwrap();
        writer.bytes(&[END]).unwrap();
        writer.bytes(&7_u64.to_be_bytes()).unwrap();
        writer.finish().unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn later_records_override_earlier_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wiring.copy");
        let bytes = sample(&path);
        assert!(bytes.starts_with(b"loosely copy 1\n\x01\0\0\0\x01a\0\0\0\x011"));
        let copied = read(&path).unwrap().unwrap();
        assert_eq!(copied.revision, Revision::from(7));
        assert_eq!(
            copied.pairs,
            BTreeMap::from([(b"b".to_vec(), b"3".to_vec())])
        );
    }

    #[test]
    fn any_flipped_bit_or_cut_is_corrupt() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = sample(&directory.path().join("wiring.copy"));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn absent_file_is_no_copy() {
        assert!(read(Path::new("no/such/wiring.copy")).unwrap().is_none());
    }
}
