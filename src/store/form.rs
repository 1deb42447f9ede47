//! The stored form: what the raw bytes of an engine mean. Frozen; a change is a new format number.
//!
//! Every raw value is *sealed*: CRC-32 of key and rest (4 bytes, little endian), revision (8 bytes,
//! big endian), payload. The checksum covers the key, so a value that turns up under another
//! key is found too. Keys of the store itself begin with 0x00:
//!
//! | key | payload |
//! | --- | --- |
//! | `\0head` | format, clean, count, digest, batches, if there were any: see [`Head`] |
//! | `\0begun` | none; its revision is the one after which the present numbers begin |
//! | `\0log` and a revision (8 bytes, big endian) | what that commit changed: [`LoggedCommit`] |
//!
//! Keys that begin with `\0undo` are an engine's: what takes back a batch written in part.

use super::batch::Entry;
use super::history::{ChangeKind, LoggedChange, LoggedCommit};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;

/// The format that this version writes, and the greatest it reads.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const HEAD_KEY: &[u8] = b"\0head";
/// Sealed with the revision after which the numbers of this opening begin; no payload.
pub(crate) const BEGUN_KEY: &[u8] = b"\0begun";
pub(crate) const LOG_PREFIX: &[u8] = b"\0log";

const REVISION_AT: usize = 4;
const PAYLOAD_AT: usize = 12;

/// A raw value whose checksum agreed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) revision: Revision,
    pub(crate) payload: &'a [u8],
    checksum: u32,
}

/// The state of the whole store, written by every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: Revision,
    /// Written by close and by nothing else: no commit can have been lost after it.
    pub(crate) clean: bool,
    /// How many readable pairs there are; with the digest, this shows that pairs went missing.
    pub(crate) count: u64,
    /// The fingerprints of all pairs, combined by XOR, so that a commit need not read the others.
    pub(crate) digest: u64,
    /// How many batches were written. Those of bulk keys alone have no revision, and by this their
    /// loss is noticed too. Stored behind the rest if it is not 0, so as to be read as it ever was.
    pub(crate) batches: u64,
}

impl Head {
    pub(crate) const EMPTY: Self = Self {
        revision: Revision::ZERO,
        clean: true,
        count: 0,
        digest: 0,
        batches: 0,
    };

    pub(crate) fn add(&mut self, pair: &Sealed<'_>) {
        self.count = self.count.wrapping_add(1);
        self.digest ^= pair.fingerprint();
    }

    pub(crate) fn remove(&mut self, pair: &Sealed<'_>) {
        self.count = self.count.wrapping_sub(1);
        self.digest ^= pair.fingerprint();
    }

    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(29);
        payload.extend(FORMAT.to_be_bytes());
        payload.push(u8::from(self.clean));
        payload.extend(self.count.to_be_bytes());
        payload.extend(self.digest.to_be_bytes());
        if self.batches > 0 {
            payload.extend(self.batches.to_be_bytes());
        }
        seal(HEAD_KEY, self.revision, &payload)
    }

    /// Fails with [`ErrorKind::NewerFormat`] before it looks at what only that format knows.
    pub(crate) fn unseal(raw: &[u8]) -> Result<Self> {
        let sealed = unseal(HEAD_KEY, raw)?;
        let mut reader = Reader(sealed.payload);
        let format = reader.u32()?;
        if format > FORMAT {
            return Err(newer(format));
        }
        let clean = reader.u8()? != 0;
        Ok(Self {
            revision: sealed.revision,
            clean,
            count: reader.u64()?,
            digest: reader.u64()?,
            batches: match reader.0 {
                [] => 0,
                _ => reader.u64()?,
            },
        })
    }
}

impl Sealed<'_> {
    fn fingerprint(&self) -> u64 {
        // The finaliser of splitmix64: a CRC is linear, so XOR of bare CRCs would cancel out.
        let mut bits = u64::from(self.checksum) << 32 ^ self.revision.get();
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}

pub(crate) fn newer(found: u32) -> Error {
    let message = format!("the store has format {found}, this version reads up to {FORMAT}");
    Error::new(ErrorKind::NewerFormat, message)
}

/// Returns the raw value for a key.
pub(crate) fn seal(key: &[u8], revision: Revision, payload: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(PAYLOAD_AT + payload.len());
    raw.extend([0; REVISION_AT]);
    raw.extend(revision.get().to_be_bytes());
    raw.extend(payload);
    let checksum = checksum(key, raw.get(REVISION_AT..).unwrap_or_default());
    for (at, byte) in raw.iter_mut().zip(checksum.to_le_bytes()) {
        *at = byte;
    }
    raw
}

/// Opens the raw value of a key; [`ErrorKind::Corrupt`] when it is not what was sealed.
pub(crate) fn unseal<'a>(key: &[u8], raw: &'a [u8]) -> Result<Sealed<'a>> {
    let (stored, rest) = raw
        .split_first_chunk::<REVISION_AT>()
        .ok_or_else(|| corrupt("is too short"))?;
    let stored = u32::from_le_bytes(*stored);
    if stored != checksum(key, rest) {
        return Err(corrupt("fails its checksum"));
    }
    let (revision, payload) = rest
        .split_first_chunk::<8>()
        .ok_or_else(|| corrupt("is too short"))?;
    Ok(Sealed {
        revision: Revision::from(u64::from_be_bytes(*revision)),
        payload,
        checksum: stored,
    })
}

/// Returns the entry in a raw value that was [unsealed](unseal) before, in the same memory.
pub(crate) fn open(mut raw: Vec<u8>) -> Entry {
    let revision = raw
        .get(REVISION_AT..)
        .and_then(<[u8]>::first_chunk::<8>)
        .map_or(0, |revision| u64::from_be_bytes(*revision));
    drop(raw.drain(..PAYLOAD_AT.min(raw.len())));
    Entry {
        value: raw,
        revision: Revision::from(revision),
    }
}

pub(crate) fn log_key(revision: Revision) -> Vec<u8> {
    let mut key = LOG_PREFIX.to_vec();
    key.extend(revision.get().to_be_bytes());
    key
}

pub(crate) fn seal_log(key: &[u8], commit: &LoggedCommit) -> Vec<u8> {
    let mut payload = commit.previous.get().to_be_bytes().to_vec();
    for change in commit.changes.iter() {
        payload.push(match change.kind {
            ChangeKind::Put => 1,
            ChangeKind::Delete => 2,
        });
        // A key longer than 4 GiB cannot have been put: an engine's batch would not hold it.
        let len = u32::try_from(change.key.len()).unwrap_or(u32::MAX);
        payload.extend(len.to_be_bytes());
        payload.extend(&change.key);
    }
    seal(key, commit.revision, &payload)
}

pub(crate) fn unseal_log(key: &[u8], raw: &[u8]) -> Result<LoggedCommit> {
    let sealed = unseal(key, raw)?;
    let mut reader = Reader(sealed.payload);
    let previous = Revision::from(reader.u64()?);
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        let kind = match reader.u8()? {
            1 => ChangeKind::Put,
            2 => ChangeKind::Delete,
            _ => return Err(corrupt("holds an unknown kind of change")),
        };
        let len = reader.u32()?;
        let key = reader.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        changes.push(LoggedChange {
            key: key.to_vec(),
            kind,
        });
    }
    Ok(LoggedCommit {
        revision: sealed.revision,
        previous,
        changes: changes.into(),
    })
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

/// Takes numbers off the front of bytes; running out is [`ErrorKind::Corrupt`].
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| corrupt("is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| corrupt("is cut off"))?;
        self.0 = rest;
        Ok(*taken)
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the stored value {what}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    #[test]
    fn sealed_bytes_stay_as_they_are() {
        let raw = seal(b"s/1", Revision::from(0x0102), b"abc");
        assert_eq!(raw, b"\x19\x72\x3b\x01\0\0\0\0\0\0\x01\x02abc");
        let sealed = unseal(b"s/1", &raw).unwrap();
        assert_eq!(
            (sealed.revision.get(), sealed.payload),
            (0x0102, &b"abc"[..])
        );
    }

    #[test]
    fn any_flipped_bit_or_other_key_or_cut_fails_the_checksum() {
        let raw = seal(b"s/1", Revision::from(9), b"abc");
        for bit in 0..raw.len() * 8 {
            let mut damaged = raw.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(b"s/1", &damaged).is_err(), "bit {bit}");
        }
        assert!(unseal(b"s/2", &raw).is_err());
        for end in 0..raw.len() {
            assert!(unseal(b"s/1", &raw[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn head_bytes_stay_as_they_are() {
        let head = Head {
            revision: Revision::from(5),
            clean: true,
            count: 2,
            digest: 0xff,
            batches: 0,
        };
        let raw = head.seal();
        assert_eq!(
            raw[4..],
            *b"\0\0\0\0\0\0\0\x05\0\0\0\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\xff"
        );
        assert_eq!(Head::unseal(&raw).unwrap(), head);
        let head = Head { batches: 7, ..head };
        let counted = head.seal();
        assert_eq!(counted[12..33], raw[12..]);
        assert_eq!(counted[33..], 7_u64.to_be_bytes());
        assert_eq!(Head::unseal(&counted).unwrap(), head);
    }

    #[test]
    fn newer_head_is_refused_with_both_numbers() {
        let raw = seal(HEAD_KEY, Revision::from(5), b"\0\0\0\x07rest unknown");
        let error = Head::unseal(&raw).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NewerFormat);
        assert_eq!(
            error.to_string(),
            "the store has format 7, this version reads up to 1"
        );
    }

    #[test]
    fn log_entry_reads_back_and_its_bytes_stay_as_they_are() {
        let commit = LoggedCommit {
            revision: Revision::from(3),
            previous: Revision::from(2),
            changes: [(&b"a"[..], ChangeKind::Put), (b"bc", ChangeKind::Delete)]
                .map(|(key, kind)| LoggedChange {
                    key: key.to_vec(),
                    kind,
                })
                .into(),
        };
        let key = log_key(commit.revision);
        assert_eq!(key, b"\0log\0\0\0\0\0\0\0\x03");
        let raw = seal_log(&key, &commit);
        assert_eq!(
            raw[12..],
            *b"\0\0\0\0\0\0\0\x02\x01\0\0\0\x01a\x02\0\0\0\x02bc"
        );
        assert_eq!(unseal_log(&key, &raw).unwrap(), commit);
    }

    #[test]
    fn digest_returns_to_zero_when_all_pairs_are_removed() {
        let raws: Vec<_> = (0..10u64)
            .map(|n| (n.to_be_bytes(), seal(&n.to_be_bytes(), n.into(), b"x")))
            .collect();
        let mut head = Head::EMPTY;
        for (key, raw) in &raws {
            head.add(&unseal(key, raw).unwrap());
        }
        assert_ne!(head.digest, 0);
        for (key, raw) in &raws {
            head.remove(&unseal(key, raw).unwrap());
        }
        assert_eq!(head, Head::EMPTY);
    }
}
