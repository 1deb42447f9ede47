//! An event of a queue on its way to the subscriber.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::Journal;
use super::ledger::Number;
use crate::delivery::trigger::Triggered;
use crate::delivery::{Letter, Parcel};
use crate::store::record::queue::Tries;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// An event that is to be put into the lane of a queue.
pub(super) struct Addressed {
    pub(super) number: Number,
    pub(super) parcel: Arc<dyn Parcel>,
    pub(super) lane: u64,
    pub(super) why: Option<Triggered>,
    /// Whether nobody has asked yet if it is for the subscription.
    pub(super) is_past: bool,
}

/// What an event of a queue comes with: whoever delivers it says how that went, and whoever drops
/// it without a word has it put back.
pub(crate) struct Receipt {
    journal: Weak<Journal>,
    pub(super) queue: u32,
    pub(super) number: Number,
    pub(super) lane: u64,
    /// When it was fed: what was taken back since is nobody's to deliver.
    pub(super) epoch: u64,
    is_past: bool,
    is_judged: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    attempts: u32,
    due: Option<SystemTime>,
}

impl Addressed {
    /// Returns the event as a queue has it delivered, in that epoch of its own, after these tries.
    pub(super) fn into_letter(
        self,
        journal: &Weak<Journal>,
        (queue, epoch): (u32, u64),
        tries: Option<&Tries>,
    ) -> Arc<dyn Parcel> {
        let receipt = Receipt {
            journal: Weak::clone(journal),
            queue,
            number: self.number,
            lane: self.lane,
            epoch,
            is_past: self.is_past,
            is_judged: AtomicBool::new(false),
            progress: Mutex::new(tries.map(Progress::from).unwrap_or_default()),
        };
        Letter::queued(self.parcel, self.why, receipt)
    }
}

impl Receipt {
    /// Returns which attempt the next one is.
    pub(crate) fn attempt(&self) -> u32 {
        self.progress.lock().attempts.saturating_add(1)
    }

    /// Returns when the next attempt is due, if it was put off.
    pub(crate) fn due(&self) -> Option<SystemTime> {
        self.progress.lock().due
    }

    /// Returns whether nobody has asked yet if the event is for the subscription.
    pub(crate) fn is_past(&self) -> bool {
        self.is_past
    }

    /// Returns the journal, as long as the broker is open.
    pub(crate) fn journal(&self) -> Option<Arc<Journal>> {
        self.journal.upgrade()
    }

    /// Takes in what was tried, if anything was.
    pub(super) fn remember(&self, tries: Option<&Tries>) {
        if let Some(tries) = tries {
            *self.progress.lock() = tries.into();
        }
    }

    /// Notes one more attempt that failed, and when the next one is due.
    pub(super) fn put_off(&self, due: Option<SystemTime>) {
        let mut progress = self.progress.lock();
        progress.attempts = progress.attempts.saturating_add(1);
        progress.due = due;
    }

    /// Says that the event is not to be put back. Returns whether that was still open.
    pub(super) fn judge(&self) -> bool {
        !self.is_judged.swap(true, Ordering::AcqRel)
    }
}

impl From<&Tries> for Progress {
    fn from(tries: &Tries) -> Self {
        Self {
            attempts: u32::try_from(tries.attempts.len()).unwrap_or(u32::MAX),
            due: tries.due,
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !*self.is_judged.get_mut()
            && let Some(journal) = self.journal.upgrade()
        {
            journal.put_back_in(self.queue, self.number, self.epoch);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("queue", &self.queue)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
