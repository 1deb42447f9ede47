//! Giving back space on request.

use super::Broker;
use crate::error::Result;
use crate::model::Right;
use crate::store::Compacted;

impl Broker {
    /// Writes the database anew, so that its file is as long as what is live needs, and returns
    /// what that has brought. A broker does so by itself on the terms of its
    /// [`Compaction`](crate::Compaction).
    ///
    /// Whoever reads from the store or changes anything waits meanwhile: a second for some ten
    /// thousand records. Firing goes on, but for queued events, whose fires wait too. A store in
    /// memory has nothing to give back.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if the disk has no room for both, or fails: then everything is
    /// as before; [`Denied`](crate::ErrorKind::Denied) if a view lacks the right to administer
    /// where no class is concerned; [`Unavailable`](crate::ErrorKind::Unavailable) while the store
    /// has failed; [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    ///
    /// # Consistency
    ///
    /// A crash at any instant leaves the old database or the new one, whole; they have the same
    /// content.
    pub fn compact(&self) -> Result<Compacted> {
        self.core.check_open()?;
        self.require(Right::Administer, None)?;
        self.core.store.compact()
    }
}
