//! A word beside the database of how far it once was.
//!
//! sled drops the end of a damaged log and says nothing; what is left agrees with itself. So the
//! revision of every flush, and how many batches there were, is written to a file of its own: a
//! database that has less lost something. The file is not synced but at close. After a loss of
//! power it may be behind, and then less is noticed; it is never ahead, as the database was synced
//! first.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::model::Revision;
use crate::sync::Mutex;

/// The file, two slots written in turn so that one is whole at any time.
///
/// A slot is a revision (8 bytes, big endian), the count of batches (8) and the CRC-32 of both (4).
#[derive(Debug)]
pub(crate) struct Witness {
    found: Word,
    slots: Mutex<Slots>,
}

/// How far a database was durable, which only ever rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    pub(crate) revision: Revision,
    /// How many batches it has, those included that have no revision.
    pub(crate) batches: u64,
}

#[derive(Debug)]
struct Slots {
    file: File,
    last: Word,
    /// Which of the two is overwritten next.
    next: u64,
}

impl Witness {
    /// Opens the file, making it if need be.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let [first, second] = slots(&fs::read(path)?);
        let found = first.max(second).unwrap_or_default();
        let slots = Slots {
            file,
            last: found,
            next: u64::from(first > second),
        };
        Ok(Self {
            found,
            slots: Mutex::new(slots),
        })
    }

    /// Returns how far the database was durable when the file was opened.
    pub(crate) fn found(&self) -> Word {
        self.found
    }

    /// Notes how far the database is durable.
    ///
    /// A failure is passed over: it makes the witness say less, never anything wrong.
    pub(crate) fn record(&self, word: Word) {
        let mut slots = self.slots.lock();
        if word <= slots.last {
            return;
        }
        let mut slot = word.revision.get().to_be_bytes().to_vec();
        slot.extend(word.batches.to_be_bytes());
        slot.extend(crc32fast::hash(&slot).to_be_bytes());
        let at = SeekFrom::Start(slots.next * SLOT as u64);
        let written = slots.file.seek(at);
        if written.and_then(|_| slots.file.write_all(&slot)).is_ok() {
            slots.last = word;
            slots.next = 1 - slots.next;
        }
    }

    /// Makes the last word itself durable.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.slots.lock().file.sync_all()
    }
}

fn slots(bytes: &[u8]) -> [Option<Word>; 2] {
    let slot = |slot: &[u8]| {
        let (numbers, checksum) = slot.split_first_chunk::<16>()?;
        if checksum != crc32fast::hash(numbers).to_be_bytes() {
            return None;
        }
        let (revision, batches) = numbers.split_first_chunk::<8>()?;
        Some(Word {
            revision: Revision::from(u64::from_be_bytes(*revision)),
            batches: u64::from_be_bytes(batches.try_into().ok()?),
        })
    };
    let (first, second) = bytes.split_at_checked(SLOT).unwrap_or((bytes, &[]));
    [slot(first), slot(second)]
}

const SLOT: usize = 20;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    fn word(number: u64) -> Word {
        Word {
            revision: Revision::from(number / 2),
            batches: number,
        }
    }

    #[test]
    fn last_word_survives_reopening_and_the_loss_of_one_slot() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("durable");
        let witness = Witness::open(&path).unwrap();
        assert_eq!(witness.found(), Word::default());
        for number in [1, 2, 5, 4] {
            witness.record(word(number));
        }
        assert_eq!(Witness::open(&path).unwrap().found(), word(5));
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 40);
        for (damaged, left) in [(3, 2), (30, 5)] {
            let mut bytes = bytes.clone();
            bytes[damaged] ^= 1;
            fs::write(&path, bytes).unwrap();
            let witness = Witness::open(&path).unwrap();
            assert_eq!(witness.found(), word(left));
            witness.record(word(6));
            assert_eq!(Witness::open(&path).unwrap().found(), word(6));
        }
    }

    #[test]
    fn slot_with_the_last_word_is_not_the_one_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("durable");
        for number in 1..6_u64 {
            let witness = Witness::open(&path).unwrap();
            assert_eq!(witness.found(), word(number - 1));
            witness.record(word(number));
            let [first, second] = slots(&fs::read(&path).unwrap());
            let both = [first.unwrap_or_default(), second.unwrap_or_default()];
            assert!(both.contains(&word(number - 1)), "{both:?}");
        }
    }
}
