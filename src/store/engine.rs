//! What differs between the places where bytes can be kept.

use std::fmt::Debug;

use super::compaction::Compacted;
use crate::error::{Error, ErrorKind, Result};

/// A key and its raw value, as an engine keeps them.
pub type RawPair = (Vec<u8>, Vec<u8>);

/// A key and what becomes of it: a new raw value, or nothing.
pub type RawChange = (Vec<u8>, Option<Vec<u8>>);

/// Keeps raw pairs in key order; everything else is [`LocalStore`](crate::LocalStore)'s.
///
/// Implement it to keep the wiring in a place of your own, or around another engine to make it
/// fail. One thread at a time calls [`apply`](Self::apply), any number read, and one at a time
/// calls [`sync`](Self::sync), also while others apply and read.
pub trait Engine: Debug + Send + Sync + 'static {
    /// Returns the raw value of a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] after a close; [`ErrorKind::Corrupt`] when the bytes on disk cannot be
    /// read; otherwise whatever the medium reports.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Returns the next pairs whose keys begin with `prefix`, in key order, those after `after` if
    /// it is given; at most `limit`, and fewer only when there are no more.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>>;

    /// Makes all the changes, visible together and, after a crash, kept together or not at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Closed`] says that nothing was written and
    /// nothing will be. Every other error leaves that open: the store reads nothing more
    /// until [`reopen`](Self::reopen) returned.
    fn apply(&self, changes: &[RawChange]) -> Result<()>;

    /// Returns once everything applied before the call survives a loss of power.
    ///
    /// # Errors
    ///
    /// Any error: what was applied since the last success may be lost.
    fn sync(&self) -> Result<()>;

    /// Opens the medium again after a failed [`apply`](Self::apply) or [`sync`](Self::sync), with
    /// what it then really holds.
    ///
    /// # Errors
    ///
    /// Any error: the store stays unavailable and asks again later. By default always, as nothing
    /// is known about the medium.
    fn reopen(&self) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unavailable,
            "this engine cannot be opened again",
        ))
    }

    /// Gives back the space that nothing live needs, while others may call; they wait.
    ///
    /// By default it does nothing, and says that nothing is taken.
    ///
    /// # Errors
    ///
    /// Any error: everything is as before, or cannot be used until [`reopen`](Self::reopen)
    /// returned, with all that was applied.
    fn compact(&self) -> Result<Compacted> {
        Ok(Compacted::default())
    }

    /// Releases everything; later calls return [`ErrorKind::Closed`]. A second close does nothing.
    ///
    /// # Errors
    ///
    /// Any error of the last writes; everything is released all the same.
    fn close(&self) -> Result<()>;
}
