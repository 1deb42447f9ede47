//! Opening a persistent store, and making it anew from its copy when it is damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::directory::Directory;
use super::{Settings, SledEngine};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::notices::Notice;
use crate::store::copied::{self, Copied};
use crate::store::engine::{Engine, RawChange};
use crate::store::form::{self, HEAD_KEY, Head};
use crate::store::health::describe;
use crate::store::load;
use crate::store::local::First;
use crate::store::witness::Word;
use crate::store::{CommitSink, Compaction, LocalStore, StoreOptions};

/// A store in a directory.
///
/// A batch of more than 16,384 keys is written in sections, as sled keeps all that a batch replaces
/// in memory to its end. They count as one: a crash between two of them takes back the first, and
/// whoever reads from the store waits until the last is there, some seconds for a million keys.
pub type SledStore = LocalStore<SledEngine>;

impl SledStore {
    /// Opens the store of a directory, making both if need be.
    ///
    /// All content is read once and checked. A database that is damaged, gone, or behind its copy
    /// is moved to `damaged-<n>` in the directory and made anew from the copy, or empty if there is
    /// no usable copy; [`Notice::Restored`] or [`Notice::Lost`] says so. On Unix the directory
    /// is made with mode 0700, the files in it with 0600.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] when another store, of this process or another, has the directory
    /// open; [`ErrorKind::NewerFormat`] when a newer version wrote it, with nothing touched;
    /// [`ErrorKind::Io`] when the operating system refuses something.
    pub fn open(directory: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        open(directory.as_ref(), options, None)
    }

    /// As [`open`](Self::open), with a sink that is attached from the beginning and listed to in
    /// the same reading: half the time that opening and attaching take.
    ///
    /// A database found damaged at the end of a listing makes the last item of it an error; what
    /// was restored is listed anew.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_sink(
        directory: impl AsRef<Path>,
        options: StoreOptions,
        prefix: &[u8],
        sink: &Arc<dyn CommitSink>,
    ) -> Result<Self> {
        open(directory.as_ref(), options, Some((prefix, sink)))
    }
}

/// What opening a directory needs from beginning to end.
struct Opening<'a> {
    directory: Arc<Directory>,
    options: StoreOptions,
    first: First<'a>,
}

fn open(directory: &Path, mut options: StoreOptions, first: First<'_>) -> Result<SledStore> {
    let directory = Arc::new(Directory::claim(directory)?);
    if options.copy_path.is_none() {
        options.copy_path = Some(directory.copy());
    }
    options.witness_path = Some(directory.witness());
    let opening = Opening {
        directory,
        options,
        first,
    };
    opening.open()
}

impl Opening<'_> {
    fn open(self) -> Result<SledStore> {
        let copied_at = copied::revision(&self.directory.copy());
        let is_gone = !self.directory.database().exists();
        let outcome = if is_gone && !matches!(copied_at, Ok(None)) {
            Err(damaged("the database is gone, its copy is there"))
        } else {
            self.attempt(copied_at.ok().flatten().unwrap_or_default())
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::Corrupt => self.restore(&error),
            outcome => outcome,
        }
    }

    /// Opens what is there; `copied` is the revision of the copy, where it can be read.
    fn attempt(&self, copied: Revision) -> Result<SledStore> {
        let settings = Settings::of(&self.options);
        let engine = self.engine_at(self.directory.database(), settings)?;
        let Head {
            revision, batches, ..
        } = load::head(&engine)?;
        // sled drops the end of a damaged log and says nothing; what lies beside it tells. Nothing
        // of it is listed to anybody then.
        if copied > revision {
            return Err(damaged(&format!(
                "the database is at revision {revision}, its copy at {copied}"
            )));
        }
        let store = SledStore::over(engine, self.options.clone(), self.first)?;
        // After the reading, which finds what is damaged: that is to be kept as it is.
        store.engine().compact_if_worth(u64::MAX)?;
        let durable = store.durable_before();
        let lost = match durable {
            Word {
                revision: durable, ..
            } if durable > revision => Some(Notice::RolledBack { revision, durable }),
            durable if durable > Word { revision, batches } => {
                Some(Notice::QueuesRolledBack { revision })
            }
            _ => None,
        };
        if let Some(notice) = lost {
            store.notices().push(notice);
        }
        if copied < revision {
            store.copy_soon();
        }
        Ok(store)
    }

    fn restore(&self, reason: &Error) -> Result<SledStore> {
        let directory = &self.directory;
        let (copied, problem) = match copied::read(&directory.copy()) {
            Ok(Some(copied)) => (Some(copied), None),
            Ok(None) => (None, Some("there is no copy".to_owned())),
            Err(error) if error.kind() == ErrorKind::Corrupt => (None, Some(describe(&error))),
            // It may be whole: what cannot be read now is not given up.
            Err(error) => return Err(error),
        };
        let moved_to = directory.move_aside(copied.is_none())?;
        let revision = copied.as_ref().map(|copied| copied.revision);
        let records = self.make_anew(copied)?;
        let reason = describe(reason);
        self.options.notices.push(match revision {
            Some(revision) => Notice::Restored {
                revision,
                records,
                moved_to,
                reason,
            },
            None => Notice::Lost {
                moved_to: moved_to.unwrap_or_else(|| directory.database()),
                reason: format!("{reason}; {}", problem.unwrap_or_default()),
            },
        });
        self.attempt(Revision::ZERO)
    }

    /// Makes a new database from a copy, beside its final place, so that a crash leaves none half
    /// made. Returns how many pairs it has.
    fn make_anew(&self, copied: Option<Copied>) -> Result<u64> {
        let copied = copied.unwrap_or(Copied {
            revision: Revision::ZERO,
            pairs: Default::default(),
        });
        let settings = Settings {
            compaction: Compaction::never(),
            ..Settings::of(&self.options)
        };
        let engine = self.engine_at(self.directory.restoring(), settings)?;
        let mut head = Head {
            revision: after_loss(copied.revision),
            ..Head::EMPTY
        };
        let mut section: Vec<RawChange> = Vec::with_capacity(SECTION);
        for (key, raw) in copied.pairs {
            head.add(&form::unseal(&key, &raw)?);
            section.push((key, Some(raw)));
            if section.len() == SECTION {
                engine.apply(&section)?;
                section.clear();
            }
        }
        section.push((HEAD_KEY.to_vec(), Some(head.seal())));
        engine.apply(&section)?;
        engine.close()?;
        self.directory.restored()?;
        Ok(head.count)
    }

    fn engine_at(&self, path: PathBuf, settings: Settings) -> Result<SledEngine> {
        SledEngine::open_at(Arc::clone(&self.directory), path, settings)
    }
}

/// Returns a revision greater than any that the lost database can have given.
///
/// Seconds since 1970 with room for a million commits in each; below 2^53, which JSON readers need.
fn after_loss(copied: Revision) -> Revision {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = elapsed.map_or(0, |elapsed| elapsed.as_secs());
    Revision::from((seconds << 20).max(copied.get().saturating_add(1)))
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// Keeps sled's batches to a size it writes at once.
const SECTION: usize = 1000;
