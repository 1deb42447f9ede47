//! Reading a tree a page at a time.

use std::ops::ControlFlow;
use std::sync::Weak;

use crate::broker::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Entry, PAGE};

/// The entries under a prefix of the store, in key order. Holds neither a lock nor the broker
/// between two pages.
pub(super) struct Pages {
    core: Weak<Core>,
    prefix: Vec<u8>,
    /// All up to this key was read.
    after: Option<Vec<u8>>,
    page: std::vec::IntoIter<(Vec<u8>, Entry)>,
    done: bool,
}

impl Pages {
    pub(super) fn new(core: Weak<Core>, prefix: Vec<u8>, after: Option<Vec<u8>>) -> Self {
        Self {
            core,
            prefix,
            after,
            page: Vec::new().into_iter(),
            done: false,
        }
    }

    /// Returns none at the end, and goes on behind an error where it was.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Entry)>> {
        if self.page.len() == 0 && !self.done {
            self.turn()?;
        }
        Ok(self.page.next())
    }

    /// Returns the entry of one key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        self.open_core()?.store.get(key)
    }

    fn turn(&mut self) -> Result<()> {
        let core = self.open_core()?;
        let mut page = Vec::new();
        let visit = &mut |key: &[u8], entry| {
            page.push((key.to_vec(), entry));
            if page.len() < PAGE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        core.store
            .scan_after(&self.prefix, self.after.as_deref(), visit)?;
        self.done = page.len() < PAGE;
        if let Some((last, _)) = page.last() {
            self.after = Some(last.clone());
        }
        self.page = page.into_iter();
        Ok(())
    }

    fn open_core(&self) -> Result<std::sync::Arc<Core>> {
        let core = self.core.upgrade();
        let core = core.ok_or_else(|| Error::new(ErrorKind::Closed, "the broker is gone"))?;
        core.check_open()?;
        Ok(core)
    }
}
