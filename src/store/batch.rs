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
    expectations: BTreeMap<Vec<u8>, Expectation>,
    /// The revision that the whole store must still be at.
    latest: Option<Revision>,
    /// prefix -> the revision since which nothing under it was changed
    quiet: BTreeMap<Vec<u8>, Revision>,
}

/// What a key must be for a batch to be written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expectation {
    Absent,
    At(Revision),
    Value(Vec<u8>),
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
        self.expectations.insert(key.into(), Expectation::Absent);
        self
    }

    /// Lets the commit happen only if the key was last written by this revision.
    pub fn expect_revision(&mut self, key: impl Into<Vec<u8>>, revision: Revision) -> &mut Self {
        let expected = Expectation::At(revision);
        self.expectations.insert(key.into(), expected);
        self
    }

    /// Lets the commit happen only if the key has this value, whoever wrote it and when.
    pub fn expect_value(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let expected = Expectation::Value(value.into());
        self.expectations.insert(key.into(), expected);
        self
    }

    /// Lets the commit happen only if the store is still at this revision: nothing at all was
    /// committed since. For what depends on keys that are not there.
    pub fn expect_nothing_since(&mut self, revision: Revision) -> &mut Self {
        self.latest = Some(revision);
        self
    }

    /// Lets the commit happen only if no key under the prefix was changed since this revision, as
    /// far as the log of changes tells: where it does not reach back that far, it does not happen.
    pub fn expect_nothing_under(
        &mut self,
        prefix: impl Into<Vec<u8>>,
        since: Revision,
    ) -> &mut Self {
        self.quiet.insert(prefix.into(), since);
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

    /// Returns the keys that it deletes under a prefix.
    pub(crate) fn deleted_under<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let under = self.writes.range(prefix.to_vec()..);
        let under = under.take_while(|(key, _)| key.starts_with(prefix));
        let deleted = under.filter(|(_, write)| matches!(write, Write::Delete));
        deleted.map(|(key, _)| key.as_slice())
    }

    pub(crate) fn expectations(&self) -> &BTreeMap<Vec<u8>, Expectation> {
        &self.expectations
    }

    /// Returns the prefixes under which nothing may have changed, and since when.
    pub(crate) fn quiet(&self) -> &BTreeMap<Vec<u8>, Revision> {
        &self.quiet
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

impl Expectation {
    /// Returns whether this is what was found under the key.
    pub(crate) fn holds(&self, found: Option<&Entry>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found.is_none(),
            (Self::At(revision), Some(found)) => found.revision == *revision,
            (Self::Value(value), Some(found)) => found.value == *value,
            (_, None) => false,
        }
    }
}

/// Returns the error of a precondition that does not hold.
pub(crate) fn conflict(key: &[u8], expected: &Expectation, found: Option<&Entry>) -> Error {
    let at = |revision: Revision| format!("at revision {revision}");
    let found = match (expected, found) {
        (_, None) => "absent".to_owned(),
        (Expectation::Value(_), Some(_)) => "with another".to_owned(),
        (_, Some(found)) => at(found.revision),
    };
    let expected = match expected {
        Expectation::Absent => "absent".to_owned(),
        Expectation::At(revision) => at(*revision),
        Expectation::Value(_) => "with a certain value".to_owned(),
    };
    let key = key.escape_ascii();
    let message = format!("key {key} was expected {expected} and found {found}");
    Error::new(ErrorKind::Conflict, message)
}

/// Returns the error of a prefix under which something was changed.
pub(crate) fn not_quiet(prefix: &[u8], since: Revision) -> Error {
    let message = format!(
        "nothing under {} was to change after revision {since}, and something did",
        prefix.escape_ascii()
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
        let found = Entry::new("", Revision::from(7));
        let error = conflict(b"s/1", &Expectation::Absent, Some(&found));
        assert_eq!(
            error.to_string(),
            "key s/1 was expected absent and found at revision 7"
        );
    }
}
