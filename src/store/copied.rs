//! Reading the copy that [`copy`](super::copy) wrote.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as IoKind;
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
