//! Batches too large for one step of sled, written in several that count as one.
//!
//! sled frees nothing that a batch replaced before its end, some kilobytes for every key, and
//! writes the keys in the order of their hashes, each to another page. So a large batch is written
//! in sections. Each writes, in the same step, what undoes it, under a key of its own; the last one
//! removes all of these, and with that the batch is committed. Opening the database undoes what has
//! no last section, the latest first.
//!
//! What undoes a section is, for every key of it: the length of the key (4 bytes, big endian), the
//! key, and 0 if it was absent, or 1, the length of its old value (4) and that.

use ::sled::{Batch, Db};

use crate::error::{Error, ErrorKind, Result};
use crate::store::engine::RawChange;
use crate::store::form::Reader;

/// Writes changes in their order; whoever reads meanwhile sees them in part.
pub(super) fn write(db: &Db, changes: &[RawChange]) -> ::sled::Result<()> {
    let mut rest = changes;
    let mut sections = 0;
    while let Some(after) = advance(db, sections, rest)? {
        rest = after;
        sections += 1;
    }
    let mut last = batch(rest);
    (0..sections).for_each(|number| last.remove(undo_key(number)));
    db.apply_batch(last)
}

/// Returns true if the changes are too many for one step.
pub(super) fn are_needed(changes: &[RawChange]) -> bool {
    changes.len() > LARGE
}

/// Returns the changes as one step of sled.
pub(super) fn batch(changes: &[RawChange]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    batch
}

/// Takes back the sections of a write that did not come to its end. Interrupted, it begins again.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when what undoes them cannot be read, and what `guarded` makes of sled's.
pub(super) fn undo(db: &Db) -> Result<()> {
    while let Some((key, record)) = super::guarded("read the database", || {
        db.scan_prefix(UNDO_PREFIX).next_back().transpose()
    })? {
        let mut batch = parse(&record).map_err(|problem| unreadable(&key, &problem))?;
        batch.remove(key);
        super::guarded("write the database", || db.apply_batch(batch))?;
    }
    Ok(())
}

/// Writes a section with what undoes it, and returns what is left. None if nothing would be: then
/// nothing was written, as the last section is the one that needs no undoing.
fn advance<'a>(
    db: &Db,
    number: usize,
    changes: &'a [RawChange],
) -> ::sled::Result<Option<&'a [RawChange]>> {
    let (undo, count) = inverse(db, changes)?;
    let (section, rest) = changes.split_at(count);
    if rest.is_empty() {
        return Ok(None);
    }
    let mut batch = batch(section);
    batch.insert(undo_key(number), undo);
    db.apply_batch(batch)?;
    Ok(Some(rest))
}

/// Returns what undoes the first changes, and how many these are: what a section may have.
fn inverse(db: &Db, changes: &[RawChange]) -> ::sled::Result<(Vec<u8>, usize)> {
    let mut record = Vec::new();
    let mut count = 0;
    for (key, _) in changes.iter().take(SECTION) {
        let end = record.len();
        keep(&mut record, key, db.get(key)?.as_deref())?;
        if count > 0 && record.len() > UNDO_BYTES {
            record.truncate(end);
            break;
        }
        count += 1;
    }
    Ok((record, count))
}

fn keep(record: &mut Vec<u8>, key: &[u8], old: Option<&[u8]>) -> ::sled::Result<()> {
    field(record, key)?;
    match old {
        Some(old) => {
            record.push(1);
            field(record, old)
        }
        None => {
            record.push(0);
            Ok(())
        }
    }
}

fn field(record: &mut Vec<u8>, bytes: &[u8]) -> ::sled::Result<()> {
    let len = u32::try_from(bytes.len())
        .map_err(|_| ::sled::Error::Unsupported("a key or value of over 4 GiB".into()))?;
    record.extend(len.to_be_bytes());
    record.extend(bytes);
    Ok(())
}

/// Returns what undoes a section, or what is wrong with it.
fn parse(record: &[u8]) -> Result<Batch, String> {
    let cut_off = |_| format!("is cut off after {} bytes", record.len());
    let mut reader = Reader(record);
    let mut batch = Batch::default();
    while !reader.0.is_empty() {
        let key = take(&mut reader).map_err(cut_off)?;
        match reader.u8().map_err(cut_off)? {
            0 => batch.remove(key),
            1 => batch.insert(key, take(&mut reader).map_err(cut_off)?),
            flag => {
                let key = key.escape_ascii();
                return Err(format!("has {flag} after the key {key}, not 0 or 1"));
            }
        }
    }
    Ok(batch)
}

fn unreadable(key: &[u8], problem: &str) -> Error {
    let number = key.last_chunk::<8>().map_or(0, |n| u64::from_be_bytes(*n));
    let message = format!("what undoes section {number} of a batch {problem}");
    Error::new(ErrorKind::Corrupt, message)
}

fn take<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    reader.take(len)
}

fn undo_key(number: usize) -> Vec<u8> {
    let mut key = UNDO_PREFIX.to_vec();
    key.extend((number as u64).to_be_bytes());
    key
}

/// One of the keys that a store has for itself, see `form`.
const UNDO_PREFIX: &[u8] = b"\0undo";

/// So many keys hold about a hundred megabytes until sled ends the batch. In fewer than these
/// hardly two are neighbours among a million, so their order saves less than the undoing costs.
const LARGE: usize = 16_384;

/// sled writes a million pairs of 200 bytes in 7 s in such sections, and in 19 s, holding 6 GB, in
/// one batch (two cores of an AMD EPYC, 2026-11).
const SECTION: usize = 256;

/// What undoes a section has at most so many bytes: sled makes a file, which nothing syncs before
/// the commit does, for a page of over 128 KiB, and up to seventeen of these share a page, three
/// more after it was merged with the next.
///
/// A larger value is a section by itself. What undoes many of these is in such files, as the values
/// are: after a loss of power meanwhile the database may have to be made anew from its copy.
const UNDO_BYTES: usize = 6 << 10;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use std::fs;

    use super::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn open() -> (tempfile::TempDir, Db) {
        let root = tempfile::tempdir().unwrap();
        let db = super::super::open_db(root.path(), 1 << 20).unwrap();
        (root, db)
    }

    fn pairs(db: &Db) -> Pairs {
        db.iter()
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap()
    }

    /// Replaces, removes, adds and leaves alone, over several sections.
    fn changes() -> Vec<RawChange> {
        let change = |n: usize| {
            let value = (!n.is_multiple_of(3)).then(|| b"new".to_vec());
            (n.to_be_bytes().to_vec(), value)
        };
        (0..2 * LARGE + 4).step_by(2).map(change).collect()
    }

    fn filled() -> (tempfile::TempDir, Db) {
        let (root, db) = open();
        let mut batch = Batch::default();
        for n in 0..LARGE {
            batch.insert(&n.to_be_bytes(), b"old");
        }
        db.apply_batch(batch).unwrap();
        (root, db)
    }

    /// Does what `write` does, but for the last section.
    fn interrupted(db: &Db, changes: &[RawChange]) {
        let mut rest = changes;
        let mut sections = 0;
        while let Some(after) = advance(db, sections, rest).unwrap() {
            rest = after;
            sections += 1;
        }
    }

    #[test]
    fn write_of_many_sections_leaves_what_one_batch_leaves() {
        let (_root, db) = filled();
        let (_other_root, other) = filled();
        let changes = changes();
        assert!(are_needed(&changes));
        write(&db, &changes).unwrap();
        other.apply_batch(batch(&changes)).unwrap();
        assert_eq!(pairs(&db), pairs(&other));
        undo(&db).unwrap();
        assert_eq!(pairs(&db), pairs(&other), "nothing is left to undo");
    }

    #[test]
    fn write_without_its_last_section_is_undone() {
        let (_root, db) = filled();
        let before = pairs(&db);
        let mut changes = changes();
        // One key twice, so that the order of undoing matters.
        changes.push(changes[0].clone());
        changes[0].1 = Some(b"first".to_vec());
        changes.extend(changes[1..SECTION].to_vec());
        interrupted(&db, &changes);
        assert_ne!(pairs(&db), before);
        undo(&db).unwrap();
        assert_eq!(pairs(&db), before);
    }

    /// A loss of power took such files away, with them what undoes a batch, and so the database:
    /// the copy came back without commits that had been acknowledged.
    #[test]
    fn nothing_that_undoes_is_in_a_file_that_sled_does_not_sync() {
        for (count, len) in [(LARGE, 100_usize), (300, 3_000), (300, 6_000)] {
            let (root, db) = open();
            let files = || fs::read_dir(root.path().join("blobs")).unwrap().count();
            let changes = |byte: u8| -> Vec<RawChange> {
                let value = vec![byte; len];
                let change = |n: usize| (n.to_be_bytes().to_vec(), Some(value.clone()));
                (0..count).map(change).collect()
            };
            write(&db, &changes(0)).unwrap();
            interrupted(&db, &changes(1));
            assert_eq!(files(), 0, "{count} of {len} bytes");
            undo(&db).unwrap();
            write(&db, &changes(2)).unwrap();
            assert_eq!(files(), 0, "{count} of {len} bytes");
        }
    }

    #[test]
    fn larger_value_is_undone_too() {
        let (_root, db) = open();
        let put = |byte: u8, len: usize| -> Vec<RawChange> {
            let change = |key: u8| (vec![b'k', key], Some(vec![byte; len]));
            (0..40).map(change).collect()
        };
        write(&db, &put(0, 2 * UNDO_BYTES)).unwrap();
        let before = pairs(&db);
        interrupted(&db, &put(1, 10));
        assert_ne!(pairs(&db), before);
        undo(&db).unwrap();
        assert_eq!(pairs(&db), before);
    }

    #[test]
    fn record_that_cannot_be_read_is_named_with_what_is_wrong() {
        let (_root, db) = open();
        for (record, problem) in [
            (&b"\0\0\0\x01a\x02"[..], "has 2 after the key a, not 0 or 1"),
            (b"\0\0\0\x05a", "is cut off after 5 bytes"),
            (b"\0\0\0\x01a", "is cut off after 5 bytes"),
            (b"\0\0\0\x01a\x01\0", "is cut off after 7 bytes"),
        ] {
            db.insert(undo_key(7), record).unwrap();
            let error = undo(&db).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let message = format!("what undoes section 7 of a batch {problem}");
            assert_eq!(error.to_string(), message);
        }
    }
}
