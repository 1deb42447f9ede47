//! The one error type of the public interface.

use std::error::Error as StdError;
use std::fmt;

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the object at fault and, where there is one, the cause.
///
/// [`kind`](Self::kind) is for programs, `Display` for people; [`source`](StdError::source) leads
/// to the cause. A subscriber that fails is not an error of a fire: it is a line of the
/// [`FireReport`](crate::FireReport).
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    /// What the source says, as a sentence and at length, where the message does not say it.
    details: Option<[String; 2]>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The conditions that a program may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, a record or an argument breaks a rule that can be checked without the store.
    Invalid,
    /// Filter or query criteria do not parse, or do not fit what they are about; the
    /// [source](StdError::source) is a [`FilterError`](crate::FilterError).
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
    /// The principal lacks a right; the message names principal, right and class.
    Denied,
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
    /// An operating-system call failed.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            message: message.into(),
            details: None,
            source: None,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    /// Adds a cause that the message speaks of already.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Adds a cause that says the rest of the sentence.
    pub(crate) fn explained_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner.details = Some([source.to_string(), format!("{source:#}")]);
        self.because(source)
    }

    /// Returns an error for a [`Store`](crate::Store) or [`Engine`](crate::Engine) of one's own.
    pub fn from_store(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message)
    }

    /// Returns the same error with its cause, of which the message may speak already.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.because(source)
    }

    /// Returns the condition.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }
}

/// The alternate form, `{:#}`, shows at length what is wrong with criteria, with the place
/// underlined.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        match &self.inner.details {
            Some([_, long]) if f.alternate() => {
                let space = if long.starts_with('\n') { "" } else { " " };
                write!(f, ":{space}{long}")
            }
            Some([brief, _]) => write!(f, ": {brief}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_chains_and_kind_is_kept() {
        let error = Error::from_store(ErrorKind::Io, "cannot write \"a\"")
            .with_source(std::io::Error::other("disk"));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), "cannot write \"a\"");
        assert_eq!(
            StdError::source(&error).map(ToString::to_string).as_deref(),
            Some("disk")
        );
    }
}
