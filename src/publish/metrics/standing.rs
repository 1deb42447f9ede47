//! How the lane, the trigger and the breaker of a subscription stand.

use crate::delivery::{BreakerState, Desk, Lane};
use crate::publish::entry::SubscriptionEntry;
use crate::publish::surroundings::Surroundings;

/// What is read of a subscription that is not simply called, when somebody asks: no fire counts
/// anything for it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub(crate) waiting: usize,
    pub(crate) lost: u64,
    pub(crate) coalesced: u64,
    pub(crate) suppressed: u64,
    pub(crate) breaker: BreakerState,
    pub(crate) openings: u64,
    pub(crate) is_busy: bool,
}

impl Standing {
    /// Reads how a subscription stands; nothing, if it is simply called.
    pub(crate) fn of(entry: &SubscriptionEntry, around: &Surroundings) -> Option<Self> {
        let desk = around.desks.find(entry.key());
        let queued = match entry.object() {
            None => around.journal.waiting(entry.record.id()),
            Some(_) => 0,
        };
        // Of a subscriber that comes for its events they wait there.
        let inbox = entry.live.as_ref().and_then(|live| live.inbox());
        if desk.is_none() && inbox.is_none() && queued == 0 {
            return None;
        }
        let lane = desk.as_deref().and_then(Desk::lane).map(Lane::counts);
        let (lane, inbox) = (lane.unwrap_or_default(), inbox.map(|inbox| inbox.counts()));
        let inbox = inbox.unwrap_or_default();
        let desk = desk.as_deref();
        Some(Self {
            waiting: match queued {
                0 => lane.waiting + inbox.waiting,
                // Some of them are in the lane.
                queued => queued,
            },
            lost: lane.lost + inbox.lost,
            coalesced: lane.coalesced + inbox.coalesced,
            suppressed: desk.map_or(0, Desk::suppressed),
            breaker: desk.map(Desk::breaker).unwrap_or_default(),
            openings: desk.map_or(0, Desk::openings),
            is_busy: desk.is_some_and(Desk::is_busy),
        })
    }
}
