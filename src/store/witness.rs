//! A word beside the database of how far it once was.
//!
//! sled drops the end of a damaged log and says nothing; what is left agrees with itself. So the
//! revision of every flush is written to a file of its own: a database that has less lost
//! something. The file is not synced but at close. After a loss of power it may be behind, and then
//! less is noticed; it is never ahead, as the database was synced first.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::model::Revision;
use crate::sync::Mutex;

/// The file, two slots written in turn so that one is whole at any time.
///
/// A slot is a revision (8 bytes, big endian) and the CRC-32 of that (4 bytes, big endian).
#[derive(Debug)]
pub(crate) struct Witness {
    found: Revision,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    file: File,
    last: Revision,
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

    /// Returns the greatest revision that was durable when the file was opened.
    pub(crate) fn found(&self) -> Revision {
        self.found
    }

    /// Notes that a revision is durable.
    ///
    /// A failure is passed over: it makes the witness say less, never anything wrong.
    pub(crate) fn record(&self, revision: Revision) {
        let mut slots = self.slots.lock();
        if revision <= slots.last {
            return;
        }
        let number = revision.get().to_be_bytes();
        let mut slot = number.to_vec();
        slot.extend(crc32fast::hash(&number).to_be_bytes());
        let at = SeekFrom::Start(slots.next * SLOT);
        let written = slots.file.seek(at);
        if written.and_then(|_| slots.file.write_all(&slot)).is_ok() {
            slots.last = revision;
            slots.next = 1 - slots.next;
        }
    }

    /// Makes the last word itself durable.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.slots.lock().file.sync_all()
    }
}

fn slots(bytes: &[u8]) -> [Option<Revision>; 2] {
    let slot = |slot: &[u8]| {
        let (number, checksum) = slot.split_first_chunk::<8>()?;
        let is_whole = checksum == crc32fast::hash(number).to_be_bytes();
        is_whole.then(|| Revision::from(u64::from_be_bytes(*number)))
    };
    let (first, second) = bytes.split_at_checked(12).unwrap_or((bytes, &[]));
    [slot(first), slot(second)]
}

const SLOT: u64 = 12;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    #[test]
    fn last_word_survives_reopening_and_the_loss_of_one_slot() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("durable");
        let witness = Witness::open(&path).unwrap();
        assert_eq!(witness.found(), Revision::ZERO);
        for number in [1, 2, 5, 4] {
            witness.record(Revision::from(number));
        }
        assert_eq!(Witness::open(&path).unwrap().found().get(), 5);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 24);
        for (damaged, left) in [(3, 2), (20, 5)] {
            let mut bytes = bytes.clone();
            bytes[damaged] ^= 1;
            fs::write(&path, bytes).unwrap();
            let witness = Witness::open(&path).unwrap();
            assert_eq!(witness.found().get(), left);
            witness.record(Revision::from(6));
            assert_eq!(Witness::open(&path).unwrap().found().get(), 6);
        }
    }

    #[test]
    fn slot_with_the_last_word_is_not_the_one_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("durable");
        for number in 1..6_u64 {
            let witness = Witness::open(&path).unwrap();
            assert_eq!(witness.found().get(), number - 1);
            witness.record(Revision::from(number));
            let [first, second] = slots(&fs::read(&path).unwrap());
            let both = [first.unwrap_or_default(), second.unwrap_or_default()];
            assert!(both.contains(&Revision::from(number - 1)), "{both:?}");
        }
    }
}
