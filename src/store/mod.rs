//! The store contract, and the stores that keep it.
//!
//! A store keeps pairs of bytes in key order, writes them in atomic batches, numbers every commit,
//! and tells whoever is attached. It knows nothing of what the bytes mean.
//!
//! The contract stands with [`Store`].

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::Result;
use crate::model::Revision;

mod background;
mod batch;
mod commit;
mod compaction;
#[cfg(any(test, feature = "sled"))]
mod copied;
mod copy;
mod engine;
mod flush;
mod form;
mod health;
mod history;
mod load;
mod local;
mod memory;
mod options;
mod profile;
pub(crate) mod record;
mod sink;
#[cfg(feature = "sled")]
mod sled;
pub(crate) mod tree_key;
mod witness;

#[cfg(feature = "sled")]
pub use self::sled::{SledEngine, SledStore};
pub use batch::{Batch, Entry, Prepared};
pub use compaction::{Compacted, Compaction};
pub use engine::{Engine, RawChange, RawPair};
pub use history::{ChangeKind, LoggedChange, LoggedCommit};
pub(crate) use load::PAGE;
pub use local::LocalStore;
pub use memory::MemoryEngine;
pub use options::{Durability, StoreOptions};
pub use profile::Profile;
pub use sink::{Change, Commit, CommitSink, Listing, Trash};

/// A store that lives and dies with the process.
pub type MemoryStore = LocalStore<MemoryEngine>;

/// Keeps pairs of bytes in key order, and tells whoever is attached of every change.
///
/// What follows is the contract: held by every store, and tested by one suite that runs over all.
///
/// 1. **Batches.** A [`Batch`] is written whole or not at all, in the eyes of readers, of sinks and
///    of whoever opens the store after a crash. Its expectations are checked in the same step.
/// 2. **Revisions.** Every commit that changes something has a new [`Revision`], greater than all
///    before; one of [bulk](Batch) keys alone has none. Revisions are never given twice, not even
///    after a crash that lost commits.
/// 3. **Order.** The commit lock is the order: check, write, take the revision, call the sinks,
///    unlock, drop what the sinks replaced, wait for durability, return. A sink sees
///    commits in revision order and before they return; so it may see one that is not yet durable.
/// 4. **List, then watch.** [`Store::attach`] lists and attaches with no commit in between.
///    [`Store::changes_since`] leads from any retained revision to the present one without a gap,
///    or says [`ErrorKind::Compacted`](crate::ErrorKind::Compacted).
/// 5. **Failure.** An error of kind `Conflict`, `Invalid`, `Unavailable` or `Closed` from a commit
///    means that nothing was written and no sink was told. `Uncertain` means that it may or may not
///    survive: the store refuses writes with `Unavailable` until it has been opened again, which it
///    does by itself on a later call, after a pause; everything attached is then listed anew.
/// 6. **Readers.** Readers take no lock of the commit path. A scan sees each pair whole, and every
///    pair that was there from its beginning to its end; a commit made meanwhile may be
///    seen in part. Whoever needs all pairs of one revision attaches.
///
/// A value whose checksum is wrong is *quarantined*: absent for every reader, kept on disk,
/// reported as [`Notice::Quarantined`](crate::Notice::Quarantined). A later put replaces it.
pub trait Store: Debug + Send + Sync + 'static {
    /// Returns the value of a key and the revision that wrote it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a close,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) while the store has failed,
    /// or what the medium reports.
    fn get(&self, key: &[u8]) -> Result<Option<Entry>>;

    /// Visits everything under a prefix in key order, until there is no more or the visitor breaks.
    ///
    /// No lock is held while visiting: the visitor may use the store.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); what was visited until then is valid.
    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()>;

    /// As [`scan`](Self::scan), beginning behind the key `after` if it is given, for whoever reads
    /// in pages.
    ///
    /// By default it scans all and passes over what comes before: a store that can begin elsewhere
    /// does that.
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan).
    fn scan_after(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], Entry) -> ControlFlow<()>,
    ) -> Result<()> {
        self.scan(prefix, &mut |key, entry| match after {
            Some(after) if key <= after => ControlFlow::Continue(()),
            _ => visit(key, entry),
        })
    }

    /// Writes a batch and returns its revision, or the present one if it changed nothing.
    ///
    /// A store may have readers wait while it writes a batch of many keys; when and why stands with
    /// the store, as with `SledStore`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty or reserved key,
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for an expectation that does not hold,
    /// `Unavailable`, `Uncertain` and `Closed` as point 5 of the contract says.
    fn commit(&self, batch: Batch) -> Result<Revision>;

    /// Returns the revision of the last commit, durable or not.
    fn revision(&self) -> Revision;

    /// Lists everything under a prefix to a sink and attaches it, with no commit in between.
    /// Returns the revision listed.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the sink is not attached then.
    fn attach(&self, prefix: &[u8], sink: Arc<dyn CommitSink>) -> Result<Revision>;

    /// Detaches a sink. No call to it begins after this returned; one under way has ended.
    fn detach(&self, sink: &Arc<dyn CommitSink>);

    /// Returns what commits changed after a revision, oldest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Compacted`](crate::ErrorKind::Compacted) when the log does not lead on from
    /// that revision, `Closed` after a close.
    fn changes_since(&self, revision: Revision) -> Result<Vec<LoggedCommit>>;

    /// Returns once every commit that returned before is durable.
    ///
    /// # Errors
    ///
    /// `Uncertain` when that failed, `Unavailable` and `Closed` as for a commit.
    fn sync(&self) -> Result<()>;

    /// Gives back the space that the store takes and does not need; whoever reads or writes waits
    /// meanwhile. Nothing that was committed changes.
    ///
    /// By default it does nothing, and says that nothing is taken.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when there is no room, or the medium fails: it takes
    /// what it took before; `Unavailable` and `Closed` as for a commit.
    fn compact(&self) -> Result<Compacted> {
        Ok(Compacted::default())
    }

    /// Flushes, detaches every sink and releases what the store owns; all later calls are `Closed`.
    ///
    /// # Errors
    ///
    /// What the last flush or the copy met; the store is closed all the same.
    fn close(&self) -> Result<()>;
}
