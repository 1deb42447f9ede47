//! Reading the copy that [`copy`](super::copy) wrote.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind as IoKind, Write};
use std::path::Path;

use super::copy::{ABSENT, END, MAGIC, PUT};
use super::form;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;

/// What a copy holds.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) revision: Revision,
    /// Raw values by key.
    pub(crate) pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads a copy whole; none if there is no file.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when the file is not a complete copy, [`ErrorKind::Io`] when it cannot be
/// read.
pub(crate) fn read(path: &Path) -> Result<Option<Copied>> {
    match present(path, fs::read(path))? {
        Some(bytes) => parse(&bytes).map(Some),
        None => Ok(None),
    }
}

/// Returns the revision of a copy after checking all of it, little by little; none if there is no
/// file.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn revision(path: &Path) -> Result<Option<Revision>> {
    let mut ends = Ends::default();
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut ends));
    match present(path, read)? {
        Some(_) => ends.revision().map(Some),
        None => Ok(None),
    }
}

fn present<T>(path: &Path, outcome: io::Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == IoKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("cannot read the copy {}", path.display());
            Err(Error::new(ErrorKind::Io, message).because(error))
        }
    }
}

/// How what was written to it begins and ends, and the checksum of what is between.
#[derive(Default)]
struct Ends {
    /// As many bytes as the format has, or all there are.
    first: Vec<u8>,
    /// The last bytes after these: revision and checksum in a copy that is complete.
    last: Vec<u8>,
    /// Of everything before `last`.
    checksum: crc32fast::Hasher,
}

impl Write for Ends {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let missing = MAGIC.len() - self.first.len();
        let (first, rest) = bytes.split_at(missing.min(bytes.len()));
        self.first.extend(first);
        self.checksum.update(first);
        self.last.extend(rest);
        let between = self.last.len().saturating_sub(LAST);
        self.checksum
            .update(self.last.get(..between).unwrap_or_default());
        drop(self.last.drain(..between));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ends {
    fn revision(mut self) -> Result<Revision> {
        let (rest, checksum) = self.last.split_last_chunk::<4>().ok_or_else(damaged)?;
        self.checksum.update(rest);
        if self.checksum.finalize() != u32::from_be_bytes(*checksum) {
            return Err(damaged());
        }
        match <[u8; 8]>::try_from(rest) {
            Ok(revision) if self.first == MAGIC => Ok(Revision::from(u64::from_be_bytes(revision))),
            _ => Err(unknown()),
        }
    }
}

/// Returns what stands between format and checksum.
fn verify(bytes: &[u8]) -> Result<&[u8]> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err(damaged());
    }
    body.strip_prefix(MAGIC).ok_or_else(unknown)
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "the copy fails its checksum")
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

/// Revision and checksum.
const LAST: usize = 12;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;
    use crate::store::copy::write_sample;

    fn sample(path: &Path) -> Vec<u8> {
        write_sample(path).unwrap();
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
        assert_eq!(revision(&path).unwrap(), Some(copied.revision));
        assert_eq!(
            copied.pairs,
            BTreeMap::from([(b"b".to_vec(), b"3".to_vec())])
        );
    }

    /// Reads in pieces of so many bytes.
    fn revision_of(bytes: &[u8], piece: usize) -> Result<Revision> {
        let mut ends = Ends::default();
        bytes
            .chunks(piece)
            .for_each(|piece| ends.write_all(piece).unwrap());
        ends.revision()
    }

    #[test]
    fn revision_is_that_of_the_whole_whatever_pieces_it_is_read_in() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = sample(&directory.path().join("wiring.copy"));
        for piece in 1..=bytes.len() {
            assert_eq!(revision_of(&bytes, piece).unwrap().get(), 7);
            for end in 0..bytes.len() {
                let error = revision_of(&bytes[..end], piece).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
            }
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = revision_of(&damaged, 16).unwrap_err();
            assert_eq!(error.to_string(), "the copy fails its checksum");
        }
    }

    #[test]
    fn other_format_with_a_checksum_that_agrees_has_no_revision() {
        for body in [
            "loosely copy 2\n\x03\0\0\0\0\0\0\0\x07",
            "loosely copy 1\n\x03",
            "",
        ] {
            let mut bytes = body.as_bytes().to_vec();
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            assert_eq!(
                revision_of(&bytes, 16).unwrap_err().kind(),
                ErrorKind::Corrupt
            );
        }
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
        let path = Path::new("no/such/wiring.copy");
        assert!(read(path).unwrap().is_none());
        assert_eq!(revision(path).unwrap(), None);
    }
}
