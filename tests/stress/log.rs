//! What the threads of a round write down, and the ticks by which it is compared.

use std::sync::atomic::{AtomicU64, Ordering};

use loosely::{ChangeKind, Subscription};

use crate::plan::{Deed, Quote, State};

static CLOCK: AtomicU64 = AtomicU64::new(1);

/// Returns the next tick. Of two things on any threads, one that ended before the other began has
/// the lower ticks.
pub(crate) fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

/// From a tick before something began to one after it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// An event that was fired.
#[derive(Debug, Clone)]
pub(crate) struct Fire {
    pub(crate) event: u64,
    /// The broker that fired, an index.
    pub(crate) broker: usize,
    pub(crate) quote: Quote,
    pub(crate) span: Span,
    /// What the report said; nothing of one that waited for the fire around it.
    pub(crate) delivered: Option<usize>,
    /// How many lines the report has: none is to fail and none to be skipped.
    pub(crate) lines: usize,
}

/// A subscriber that was called.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) event: u64,
    pub(crate) subscription: u64,
    pub(crate) object: u64,
    pub(crate) method: usize,
    pub(crate) symbol: usize,
    pub(crate) price: i64,
    pub(crate) tick: u64,
}

/// A change of stored subscriptions, and the revision that the store gave it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) revision: u64,
    pub(crate) broker: usize,
    pub(crate) span: Span,
    pub(crate) deeds: Vec<(u64, Deed)>,
}

/// A change of a transient subscription, which one thread has for itself.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) subscription: u64,
    pub(crate) broker: usize,
    pub(crate) span: Span,
    pub(crate) state: Option<State>,
}

/// What a thread wrote down, or all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) fires: Vec<Fire>,
    pub(crate) calls: Vec<Call>,
    pub(crate) commits: Vec<Commit>,
    pub(crate) turns: Vec<Turn>,
    /// Live objects that nobody is to call any more, from a tick on.
    pub(crate) released: Vec<(u64, u64)>,
    /// What went wrong on the spot.
    pub(crate) troubles: Vec<String>,
}

/// A line of the store's own change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) revision: u64,
    pub(crate) subscription: u64,
    pub(crate) kind: ChangeKind,
}

/// All that is known of a round when it is over.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub(crate) log: Log,
    /// What the change log says of the round, asked for at its end.
    pub(crate) logged: Vec<Logged>,
    /// The same, asked for piece by piece while it went on.
    pub(crate) watched: Vec<Logged>,
    /// broker -> the stored subscriptions at the end, in store order.
    pub(crate) listed: Vec<Vec<Subscription>>,
}

impl Log {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.fires.append(&mut other.fires);
        self.calls.append(&mut other.calls);
        self.commits.append(&mut other.commits);
        self.turns.append(&mut other.turns);
        self.released.append(&mut other.released);
        self.troubles.append(&mut other.troubles);
    }
}
