//! Trees: bytes of the user's own, beside the wiring.

mod pages;
mod pipe;
mod range;
mod watch;

use std::fmt;
use std::ops::{ControlFlow, RangeBounds};
use std::sync::{Arc, Weak};

pub(super) use self::pipe::Pipes;
pub use self::range::TreeRange;
pub use self::watch::{TreeEvent, TreeWatch};
use super::Broker;
use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Principal, Revision, Right, tree_name};
use crate::store::{Batch, tree_key};

/// Keys and values of the program's own, in the broker's store and in key order.
///
/// It is there as soon as something is in it; what is in it means nothing to the broker. So a
/// program can keep its own state where its wiring is, and change both in one
/// [transaction](Broker::transaction). A handle is cheap, does not keep the broker open, and is the
/// same tree as any other of its name, at each broker of the store. Keys have no more than
/// [`KEY_BYTES`](Self::KEY_BYTES), and values than [`VALUE_BYTES`](Self::VALUE_BYTES).
///
/// Through a view of a principal ([`Broker::as_principal`]) it takes the right to
/// [read](Right::Read) to see anything and the right to [administer](Right::Administer) to write,
/// and the authorizer is told [which tree](crate::AccessRequest::tree) it is about. To expect a
/// value is to see it. A [`RoleAuthorizer`](crate::RoleAuthorizer) lets everybody read, and its
/// administrators write.
///
/// # Consistency
///
/// A write is a commit like any other: in the order of revisions, durable when it returned (under
/// [`Durability::Immediate`](crate::Durability)), and in the copy from which a damaged database is
/// restored. No fire waits for it. Each by itself waits for the device, so many belong in one
/// transaction. It has its place in the bounded log of changes, so a tree that is written often
/// shortens what [`Broker::changes_since`] knows. Opening a store reads all trees once to check
/// them.
///
/// # Examples
///
/// ```
/// use loosely::Broker;
///
/// let broker = Broker::in_memory()?;
/// let orders = broker.tree("orders")?;
/// orders.insert("2026-11/17", "MSFT 100")?;
/// orders.insert("2026-11/18", "IBM 20")?;
/// assert_eq!(orders.get("2026-11/18")?.as_deref(), Some(&b"IBM 20"[..]));
///
/// let november = orders.range("2026-11".."2026-12")?;
/// assert_eq!(november.count(), 2);
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Clone)]
pub struct Tree {
    core: Weak<Core>,
    principal: Option<Principal>,
    name: Arc<str>,
}

impl Broker {
    /// Returns the tree of this name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if this is no name for a tree: 1 to 255 characters, none a
    /// control character, no space at either end. Names that begin with `loosely:` are the broker's
    /// own.
    pub fn tree(&self, name: impl AsRef<str>) -> Result<Tree> {
        Ok(Tree {
            core: Arc::downgrade(&self.core),
            principal: self.principal.clone(),
            name: checked_name(name.as_ref())?,
        })
    }

    /// Returns the names of the trees in which anything is, those that may be read, in the order of
    /// their bytes, without the broker's own. It reads one page of each.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) after the broker was closed, and what the store reports.
    pub fn trees(&self) -> Result<Vec<String>> {
        self.core.check_open()?;
        let access = self.access();
        let (mut names, mut after) = (Vec::new(), None);
        while let Some(key) = self.first_key_of_trees(after.as_deref())? {
            let Some((name, _)) = tree_key::parse(&key) else {
                after = Some(key);
                continue;
            };
            if !name.starts_with(OWN_NAMES) && access.may_read_tree(name) {
                names.push(name.to_owned());
            }
            after = Some(tree_key::behind(name));
        }
        Ok(names)
    }

    fn first_key_of_trees(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let mut first = None;
        let visit = &mut |key: &[u8], _| {
            first = Some(key.to_vec());
            ControlFlow::Break(())
        };
        self.core.store.scan_after(tree_key::PREFIX, after, visit)?;
        Ok(first)
    }
}

impl Tree {
    /// The greatest length of a key, inclusive: every page of the database that is read on the way
    /// to a key holds others whole.
    pub const KEY_BYTES: usize = 1_024;

    /// The greatest length of a value, inclusive: 512 are read at a time, which is then 32 MiB at
    /// most. What is larger belongs in a file, and its path in the tree.
    pub const VALUE_BYTES: usize = 64 * 1_024;

    /// Returns the tree's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right to read,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed, and what the store reports.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let broker = self.allowed(Right::Read)?;
        let key = tree_key::key(&self.name, key.as_ref());
        let entry = broker.core.store.get(&key)?;
        Ok(entry.map(|entry| entry.value))
    }

    /// Inserts or replaces the value of a key, and returns the revision of the commit.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if key or value is longer than may be,
    /// [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right to administer,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed, and what the store reports.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Result<Revision> {
        let broker = self.allowed(Right::Administer)?;
        let (key, value) = (key.as_ref(), value.into());
        check_pair(&self.name, key, Some(&value))?;
        let mut batch = Batch::new();
        batch.put(tree_key::key(&self.name, key), value);
        broker.core.commit(batch)
    }

    /// Removes a key, and returns whether it was there.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let broker = self.allowed(Right::Administer)?;
        let key = tree_key::key(&self.name, key.as_ref());
        loop {
            let Some(present) = broker.core.store.get(&key)? else {
                return Ok(false);
            };
            let mut batch = Batch::new();
            batch.expect_revision(key.clone(), present.revision);
            batch.delete(key.clone());
            match broker.core.commit(batch) {
                // Somebody else came first, and there may be nothing left to remove.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                outcome => return outcome.map(|_| true),
            }
        }
    }

    /// Gives a key a value, or none, if it has the one that is expected, or none; and returns the
    /// revision of the commit.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) if the key has another value, with which nothing is
    /// written; [`Denied`](ErrorKind::Denied) if the right to read or to administer is lacking;
    /// else as [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use loosely::{Broker, ErrorKind};
    ///
    /// let broker = Broker::in_memory()?;
    /// let leases = broker.tree("leases")?;
    /// leases.compare_and_swap("printer", None, Some(b"ann"))?;
    /// let late = leases.compare_and_swap("printer", None, Some(b"bob")).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::Conflict);
    /// # Ok::<(), loosely::Error>(())
    /// ```
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Revision> {
        let broker = self.allowed(Right::Administer)?;
        broker.access().require_tree(Right::Read, &self.name)?;
        let key = key.as_ref();
        check_pair(&self.name, key, new)?;
        let full = tree_key::key(&self.name, key);
        let mut batch = Batch::new();
        expect(&mut batch, full.clone(), expected);
        match new {
            Some(new) => batch.put(full, new),
            None => batch.delete(full),
        };
        broker
            .core
            .commit(batch)
            .map_err(|error| match error.kind() {
                ErrorKind::Conflict => conflict(&self.name, key).because(error),
                _ => error,
            })
    }

    /// Returns the pairs whose keys are in a range, in key order; a page of them is read at a time.
    ///
    /// What is written meanwhile may be seen or not, each pair whole.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right to read,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<TreeRange> {
        self.allowed(Right::Read)?.core.check_open()?;
        Ok(TreeRange::new(self, range))
    }

    /// Returns the pairs whose keys begin with `prefix`, as [`range`](Self::range) does; with an
    /// empty one, all.
    ///
    /// # Errors
    ///
    /// As [`range`](Self::range).
    pub fn starting_with(&self, prefix: impl AsRef<[u8]>) -> Result<TreeRange> {
        self.allowed(Right::Read)?.core.check_open()?;
        Ok(TreeRange::starting_with(self, prefix.as_ref()))
    }

    /// Returns whether no key is in the tree; it reads one page at most.
    ///
    /// How many there are nobody knows without counting: `tree.starting_with("")?.count()`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn is_empty(&self) -> Result<bool> {
        let first = self.starting_with("")?.next().transpose()?;
        Ok(first.is_none())
    }

    /// Watches the keys that begin with `prefix`: lists them, and tells every change from then on.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is of a view that lacks the right to read, which is
    /// asked now and not again; [`Closed`](ErrorKind::Closed) after the broker was closed, and what
    /// the store reports.
    pub fn watch(&self, prefix: impl AsRef<[u8]>) -> Result<TreeWatch> {
        let broker = self.allowed(Right::Read)?;
        TreeWatch::begin(&broker.core, &self.name, prefix.as_ref())
    }

    /// Returns the broker, if it is there and the right is too.
    fn allowed(&self, right: Right) -> Result<Broker> {
        let Some(core) = self.core.upgrade() else {
            return Err(Error::new(ErrorKind::Closed, "the broker is gone"));
        };
        let broker = Broker {
            core,
            principal: self.principal.clone(),
        };
        broker.core.check_open()?;
        broker.access().require_tree(right, &self.name)?;
        Ok(broker)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("name", &self.name)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// What the names of trees begin with that the broker writes itself.
pub(super) const OWN_NAMES: &str = "loosely:";

pub(super) fn checked_name(name: &str) -> Result<Arc<str>> {
    if name.starts_with(OWN_NAMES) {
        let message = format!("the tree {name:?} would be one of the broker's own");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    tree_name(name)
        .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()).because(error))
}

/// Returns Ok if a key, and a value if it gets one, are as long as they may be.
pub(super) fn check_pair(tree: &str, key: &[u8], value: Option<&[u8]>) -> Result<()> {
    let (len, most) = (key.len(), Tree::KEY_BYTES);
    if len > most {
        let message = format!("a key of {len} bytes for the tree {tree:?}: {most} are the most");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let (len, most) = (value.map_or(0, <[u8]>::len), Tree::VALUE_BYTES);
    if len > most {
        let key = key.escape_ascii();
        let message = format!(
            "a value of {len} bytes for the key \"{key}\" of the tree {tree:?}: {most} are the most"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

/// Has a batch expect that a key of the store has this value, or none.
pub(super) fn expect(batch: &mut Batch, key: Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => batch.expect_value(key, value),
        None => batch.expect_absent(key),
    };
}

pub(super) fn conflict(tree: &str, key: &[u8]) -> Error {
    let key = key.escape_ascii();
    let message = format!("the key \"{key}\" of the tree {tree:?} is not what was expected");
    Error::new(ErrorKind::Conflict, message)
}
