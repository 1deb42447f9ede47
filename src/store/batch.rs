//! The batch of writes that makes a revision.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;

/// A stored value and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The bytes as they were put.
    pub value: Vec<u8>,
    /// The commit that put them.
    pub revision: Revision,
}

impl Entry {
    /// Returns a value and its revision, for a store of one's own.
    pub fn new(value: impl Into<Vec<u8>>, revision: Revision) -> Self {
        Self {
            value: value.into(),
            revision,
        }
    }
}

/// The decoded form of a value, made before the commit and handed to the sinks with it.
pub type Prepared = Arc<dyn Any + Send + Sync>;

/// Writes that happen together or not at all, and what must hold for them to happen.
///
/// A later write of a key replaces an earlier one of the same batch. Keys are any bytes, but not
/// empty and not beginning with 0x00, which the store keeps for itself; the commit checks that.
///
/// Keys whose first byte is 0x80 or more are *bulk*: what comes and goes by the thousand and is no
/// part of the wiring. They are as atomic and as durable as all others, but a change of bulk keys
/// alone makes no revision, no sink is told of it, and neither the change log nor the copy beside
/// a database has them. The revision of a bulk entry says nothing but what was current then.
#[derive(Clone, Default)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Write>,
    expectations: BTreeMap<Vec<u8>, Option<Revision>>,
    /// The revision that the whole store must still be at.
    latest: Option<Revision>,
}

/// What happens to one key.
#[derive(Clone)]
pub(crate) enum Write {
    Put {
        value: Vec<u8>,
        prepared: Option<Prepared>,
    },
    Delete,
}

impl Batch {
    /// Returns a batch that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts or replaces the value of a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.write(key, value.into(), None)
    }

    /// Inserts or replaces the value of a key, and hands its decoded form to the sinks.
    ///
    /// The form is dropped after the commit lock is released, unless a sink kept it.
    pub fn put_prepared(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        prepared: Prepared,
    ) -> &mut Self {
        self.write(key, value.into(), Some(prepared))
    }

    /// Removes a key; one that is absent stays so, and is no change.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.insert(key.into(), Write::Delete);
        self
    }

    /// Lets the commit happen only if the key is absent.
    pub fn expect_absent(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.expectations.insert(key.into(), None);
        self
    }

    /// Lets the commit happen only if the key was last written by this revision.
    pub fn expect_revision(&mut self, key: impl Into<Vec<u8>>, revision: Revision) -> &mut Self {
        self.expectations.insert(key.into(), Some(revision));
        self
    }

    /// Lets the commit happen only if the store is still at this revision: nothing at all was
    /// committed since. For what depends on keys that are not there.
    pub fn expect_nothing_since(&mut self, revision: Revision) -> &mut Self {
        self.latest = Some(revision);
        self
    }

    /// Returns the number of keys it writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Returns true if it writes no key; it may still expect something.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(crate) fn writes(&self) -> &BTreeMap<Vec<u8>, Write> {
        &self.writes
    }

    pub(crate) fn expectations(&self) -> &BTreeMap<Vec<u8>, Option<Revision>> {
        &self.expectations
    }

    /// Returns Ok if the store, at this revision, is where the batch expects it.
    pub(crate) fn check_latest(&self, found: Revision) -> Result<()> {
        match self.latest {
            Some(expected) if expected != found => {
                let message =
                    format!("the store was expected at revision {expected} and found at {found}");
                Err(Error::new(ErrorKind::Conflict, message))
            }
            _ => Ok(()),
        }
    }

    /// Refuses keys that are not the caller's to use.
    pub(crate) fn check(&self) -> Result<()> {
        for key in self.writes.keys().chain(self.expectations.keys()) {
            check_key(key)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: Vec<u8>,
        prepared: Option<Prepared>,
    ) -> &mut Self {
        self.writes
            .insert(key.into(), Write::Put { value, prepared });
        self
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, write) in &self.writes {
            match write {
                Write::Put { value, .. } => {
                    map.entry(&key.escape_ascii().to_string(), &value.len())
                }
                Write::Delete => map.entry(&key.escape_ascii().to_string(), &"deleted"),
            };
        }
        map.finish()
    }
}

/// Returns whether a key is of what is written in bulk.
pub(crate) fn is_bulk(key: &[u8]) -> bool {
    key.first().is_some_and(|first| *first >= 0x80)
}

fn check_key(key: &[u8]) -> Result<()> {
    let problem = match key.first() {
        None => "a key must not be empty".to_owned(),
        Some(0) => format!(
            "key {} begins with 0x00, which is reserved",
            key.escape_ascii()
        ),
        Some(_) => return Ok(()),
    };
    Err(Error::new(ErrorKind::Invalid, problem))
}

/// Returns the error of a precondition that does not hold.
pub(crate) fn conflict(key: &[u8], expected: Option<Revision>, found: Option<Revision>) -> Error {
    let state = |revision: Option<Revision>| match revision {
        None => "absent".to_owned(),
        Some(revision) => format!("at revision {revision}"),
    };
    let message = format!(
        "key {} was expected {} and found {}",
        key.escape_ascii(),
        state(expected),
        state(found)
    );
    Error::new(ErrorKind::Conflict, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_empty_keys_are_invalid_wherever_they_stand() {
        let kind = |batch: &Batch| batch.check().err().map(|error| error.kind());
        assert_eq!(kind(Batch::new().put("a", "1").delete("b")), None);
        assert_eq!(kind(Batch::new().put("", "1")), Some(ErrorKind::Invalid));
        assert_eq!(kind(Batch::new().delete("\0a")), Some(ErrorKind::Invalid));
        assert_eq!(
            kind(Batch::new().expect_absent("\0head")),
            Some(ErrorKind::Invalid)
        );
    }

    #[test]
    fn conflict_names_key_expectation_and_what_was_found() {
        let error = conflict(b"s/1", None, Some(Revision::from(7)));
        assert_eq!(
            error.to_string(),
            "key s/1 was expected absent and found at revision 7"
        );
    }
}
