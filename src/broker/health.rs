//! The built-in event class about what is not well.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::changes::WiringObject;
use super::wiring_changes::BuiltIn;
use crate::clock::Clock;
use crate::delivery::{Delivery, DeliveryOutcome, SkipReason};
use crate::event_interface;
use crate::model::EventClassId;
use crate::notices::{Heard, Notice, Notices};
use crate::publish::Hook;
use crate::store::record::RecordKey;
use crate::sync::Mutex;

/// Tells of what [`Broker::notices`](crate::Broker::notices) reports, when it happens.
///
/// The class [`HEALTH_EVENTS`] is there in every broker, and the broker itself fires it, on the
/// same thread as [`WiringChanges`](crate::WiringChanges). Subscribers hear first of the notices
/// that wait to be taken, such as those of the opening. Nothing is kept for those who are away.
/// What a store reports that was given to the builder goes to the [`Notices`] of its own options
/// and is not told. A fire of this class or of one about the wiring causes no health event.
#[event_interface(id = "76912d68-8e05-4d77-b419-0c9df2d5143a")]
pub trait HealthEvents {
    /// Something went wrong, or is well again.
    ///
    /// - `sequence` rises by one from notice to notice of this broker; those that nobody was told
    ///   of have numbers too.
    /// - `kind` is `restored`, `lost`, `rolled_back`, `queues_rolled_back`, `quarantined`,
    ///   `store_unavailable`, `store_reopened`, `not_compacted`, `copy_failed`, `filter_scanned`,
    ///   `subscription_suspended`, `gap` (changes of the wiring that nobody is told of), `denied`,
    ///   `not_retained`, `lane_overflow`, `lane_discarded`, `dead_letter`, `queue_failed`,
    ///   `deadline_missed`, `breaker_opened`, `breaker_closed`, `pool_stuck`, `call_abandoned`,
    ///   `sink_detached` or `notices_dropped`. A later version may have more.
    /// - `subject` is the id of the record, where it is about one, such as a subscription.
    /// - `text` is for a person.
    fn health_changed(&self, sequence: u64, kind: &str, subject: Option<Uuid>, text: &str);
}

/// The class of [`HealthEvents`], which every broker has and fires.
pub const HEALTH_EVENTS: EventClassId =
    EventClassId::from_u128(0x9dff_81e6_6039_4ad7_9c05_024f_43ac_3155);

/// Fires a health event.
pub(super) fn tell(events: &HealthEventsPublisher, heard: &Heard) {
    match heard {
        Heard::Notice(sequence, notice) => {
            let text = notice.to_string();
            events.health_changed(*sequence, kind(notice), subject(notice), &text);
        }
        Heard::Dropped(last, count) => {
            let text = format!("{count} notices came faster than they were told");
            events.health_changed(*last, "notices_dropped", None, &text);
        }
    }
}

fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::Restored { .. } => "restored",
        Notice::Lost { .. } => "lost",
        Notice::RolledBack { .. } => "rolled_back",
        Notice::QueuesRolledBack { .. } => "queues_rolled_back",
        Notice::Quarantined { .. } => "quarantined",
        Notice::StoreUnavailable { .. } => "store_unavailable",
        Notice::StoreReopened { .. } => "store_reopened",
        Notice::NotCompacted { .. } => "not_compacted",
        Notice::CopyFailed { .. } => "copy_failed",
        Notice::FilterScanned { .. } => "filter_scanned",
        Notice::SubscriptionSuspended { .. } => "subscription_suspended",
        Notice::ChangesMissed { .. } => "gap",
        Notice::Denied { .. } => "denied",
        Notice::NotRetained { .. } => "not_retained",
        Notice::LaneOverflow { .. } => "lane_overflow",
        Notice::LaneDiscarded { .. } => "lane_discarded",
        Notice::DeadLetter { .. } => "dead_letter",
        Notice::QueueFailed { .. } => "queue_failed",
        Notice::DeadlineMissed { .. } => "deadline_missed",
        Notice::BreakerOpened { .. } => "breaker_opened",
        Notice::BreakerClosed { .. } => "breaker_closed",
        Notice::PoolStuck { .. } => "pool_stuck",
        Notice::CallAbandoned { .. } => "call_abandoned",
        Notice::SinkDetached { .. } => "sink_detached",
    }
}

fn subject(notice: &Notice) -> Option<Uuid> {
    match notice {
        Notice::Quarantined { key, .. } => {
            RecordKey::parse(key).map(|key| WiringObject::of(key).uuid())
        }
        Notice::FilterScanned { id, .. }
        | Notice::SubscriptionSuspended { id, .. }
        | Notice::LaneOverflow { id, .. }
        | Notice::LaneDiscarded { id, .. }
        | Notice::DeadLetter { id, .. }
        | Notice::DeadlineMissed { id, .. }
        | Notice::BreakerOpened { id, .. }
        | Notice::BreakerClosed { id, .. } => Some(*id),
        _ => None,
    }
}

/// Returns a hook that does what `hook` does, and has suspended subscriptions noted.
pub(super) fn noting_suspended(hook: Hook, notices: Notices, clock: Arc<dyn Clock>) -> Hook {
    let suspended = Suspended::new(clock);
    Hook::new(Arc::new(move |class, delivery| {
        if BuiltIn::find(class).is_none() {
            suspended.note(delivery, &notices);
        }
        hook.tell(class, delivery);
    }))
}

/// Which suspended subscriptions were noted: every event meets them again.
struct Suspended {
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    noted: Mutex<Noted>,
}

/// What was noted, and how much of it was told lately: a change of a class may suspend thousands,
/// and their notices would leave no room for others.
#[derive(Default)]
struct Noted {
    /// subscription -> a digest of the reason
    reasons: HashMap<Uuid, u64>,
    /// When the present span began, and how many were told of in it.
    span: Option<(Instant, usize)>,
    /// How many were met that nobody was told of, and the last of them.
    untold: usize,
    last_untold: Option<Uuid>,
}

impl Suspended {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            hasher: RandomState::default(),
            clock,
            noted: Mutex::default(),
        }
    }

    fn note(&self, delivery: &Delivery, notices: &Notices) {
        let DeliveryOutcome::Skipped(SkipReason::Suspended(reason)) = delivery.outcome() else {
            return;
        };
        let id = delivery.subscription().uuid();
        let digest = self.hasher.hash_one(reason);
        let others = self.noted.lock().meet(id, digest, &*self.clock);
        let Some(others) = others else {
            return;
        };
        notices.push(Notice::SubscriptionSuspended {
            id,
            subscription: delivery.name().to_owned(),
            others,
            reason: reason.clone(),
        });
    }
}

impl Noted {
    /// Notes a subscription that is suspended. Returns whether to tell of it, with how many others
    /// that were met before.
    fn meet(&mut self, id: Uuid, digest: u64, clock: &dyn Clock) -> Option<usize> {
        let is_new = self.is_new(id, digest);
        if !is_new && self.last_untold != Some(id) {
            return None;
        }
        let now = clock.instant();
        let present = self.span.filter(|(begin, _)| now < *begin + SPAN);
        let (begin, told) = present.unwrap_or((now, 0));
        if told == FEW {
            self.untold += usize::from(is_new);
            self.last_untold = Some(id);
            return None;
        }
        self.span = Some((begin, told + 1));
        // The last one is counted among those.
        let is_counted = self.last_untold.take() == Some(id) && !is_new;
        Some(std::mem::take(&mut self.untold).saturating_sub(usize::from(is_counted)))
    }

    fn is_new(&mut self, id: Uuid, digest: u64) -> bool {
        if self.reasons.len() >= MOST && !self.reasons.contains_key(&id) {
            return false;
        }
        self.reasons.insert(id, digest) != Some(digest)
    }
}

/// As many are told of each by itself in one [`SPAN`]: what a person looks at one by one.
const FEW: usize = 8;

/// After this time others are told of again: what comes later has another cause.
const SPAN: Duration = Duration::from_secs(60);

/// As many are known apart, in about two megabytes. Of more nobody is told; the failure hook and
/// `status` know them all.
const MOST: usize = 65_536;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;
    use crate::clock::HandClock;

    #[test]
    fn those_that_were_not_told_of_are_counted_in_a_later_notice() {
        let (clock, mut noted) = (HandClock::new(), Noted::default());
        let mut meet = |number: u128, digest| noted.meet(Uuid::from_u128(number), digest, &*clock);
        let all = |meet: &mut dyn FnMut(u128, u64) -> Option<usize>| -> Vec<_> {
            (0..100).filter_map(|number| meet(number, 1)).collect()
        };
        assert_eq!(all(&mut meet), [0; FEW]);
        assert!(all(&mut meet).is_empty());
        clock.advance(SPAN);
        // The last one stands for the other 91.
        assert_eq!(all(&mut meet), [91]);
        assert!(all(&mut meet).is_empty());
        assert_eq!(meet(7, 2), Some(0), "for another reason");
        clock.advance(SPAN);
        assert!(all(&mut meet).len() == 1, "for the first reason again");
    }

    #[test]
    fn new_one_brings_the_count_of_those_before() {
        let (clock, mut noted) = (HandClock::new(), Noted::default());
        let mut meet = |number: u128| noted.meet(Uuid::from_u128(number), 1, &*clock);
        assert_eq!((0..20).filter_map(&mut meet).count(), FEW);
        clock.advance(SPAN);
        assert_eq!(meet(20).unwrap(), 20 - FEW);
        assert_eq!(meet(19), None);
        assert_eq!(meet(21), Some(0));
    }
}
