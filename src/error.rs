//! The one error type of the public interface.

use std::error::Error as StdError;
use std::fmt;

use crate::filter::FilterError;

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the object at fault and, where there is one, the cause.
///
/// [`kind`](Self::kind) is for programs, `Display` for people; [`source`](StdError::source) leads to
/// the cause. A subscriber that fails is not an error of a fire: it is a line of the
/// [`FireReport`](crate::FireReport).
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The conditions that a program may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, a record or an argument breaks a rule that can be checked without the store.
    Invalid,
    /// Filter or query criteria do not parse, or do not fit what they are about; the
    /// [source](StdError::source) is a [`FilterError`].
    Filter,
    /// No record, component or method has this id or name.
    NotFound,
    /// The id or name is taken by something else, for example by another Rust type.
    AlreadyExists,
    /// The record is still referred to, for example a class that has subscriptions.
    InUse,
    /// A revision that the caller expected is not the one in the store.
    Conflict,
    /// Values do not fit the schema they are meant for.
    SchemaMismatch,
    /// Another process, or another open broker of this process, owns the directory.
    Locked,
    /// The directory was written by a newer version of this crate.
    NewerFormat,
    /// Stored bytes cannot be read.
    Corrupt,
    /// Changes older than the bounded change log were asked for: list again.
    Compacted,
    /// The store cannot be reached now; nothing was written.
    Unavailable,
    /// The write was applied but could not be made durable; the store refuses writes until it is
    /// opened again.
    Uncertain,
    /// The broker or the store was closed.
    Closed,
    /// The wait cannot end, because the caller is inside the delivery that it waits for.
    WouldDeadlock,
    /// The stated time passed first.
    TimedOut,
    /// A component could not be made.
    Activation,
    /// An operating-system call failed.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            inner: Box::new(Inner {
                kind,
                message,
                source: None,
            }),
        }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Returns an error for a [`Store`](crate::Store) or [`Engine`](crate::Engine) of one's own.
    pub fn from_store(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message)
    }

    /// Returns the condition.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the filter error inside, if criteria are at fault.
    pub fn filter_error(&self) -> Option<&FilterError> {
        self.inner.source.as_deref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        match self.filter_error() {
            Some(filter) if f.alternate() => write!(f, ": {filter:#}"),
            Some(filter) => write!(f, ": {filter}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::new(ErrorKind::Filter, "the criteria are not valid").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_chains_and_kind_is_kept() {
        let error =
            Error::new(ErrorKind::Io, "cannot write \"a\"").because(std::io::Error::other("disk"));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), "cannot write \"a\"");
        assert_eq!(
            StdError::source(&error).map(ToString::to_string).as_deref(),
            Some("disk")
        );
    }
}
