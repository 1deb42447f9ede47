//! The built-in event class about what is not well.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::changes::WiringObject;
use super::wiring_changes::BuiltIn;
use crate::delivery::{Delivery, DeliveryOutcome, SkipReason};
use crate::event_interface;
use crate::model::EventClassId;
use crate::notices::{Heard, Notice, Notices};
use crate::publish::Hook;
use crate::store::record::RecordKey;

/// Tells of what [`Broker::notices`](crate::Broker::notices) reports, when it happens.
///
/// The class [`HEALTH_EVENTS`] is there in every broker, and the broker itself fires it, on the same
/// thread as [`WiringChanges`](crate::WiringChanges). Subscribers hear first of the notices that wait
/// to be taken, such as those of the opening. Nothing is kept for those who are away. What a store
/// reports that was given to the builder goes to the [`Notices`] of its own options and is not told.
/// A fire of this class or of one about the wiring causes no health event.
#[event_interface(id = "76912d68-8e05-4d77-b419-0c9df2d5143a")]
pub trait HealthEvents {
    /// Something went wrong, or is well again.
    ///
    /// - `sequence` rises by one from notice to notice of this broker; those that nobody was told of
    ///   have numbers too.
    /// - `kind` is `restored`, `lost`, `rolled_back`, `quarantined`, `store_unavailable`,
    ///   `store_reopened`, `copy_failed`, `filter_scanned`, `subscription_suspended`, `gap` (changes
    ///   of the wiring that nobody is told of), `denied`, `sink_detached` or `notices_dropped`. A
    ///   later version may have more.
    /// - `subject` is the id of the record, where it is about one.
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
        Notice::Quarantined { .. } => "quarantined",
        Notice::StoreUnavailable { .. } => "store_unavailable",
        Notice::StoreReopened { .. } => "store_reopened",
        Notice::CopyFailed { .. } => "copy_failed",
        Notice::FilterScanned { .. } => "filter_scanned",
        Notice::SubscriptionSuspended { .. } => "subscription_suspended",
        Notice::ChangesMissed { .. } => "gap",
        Notice::Denied { .. } => "denied",
        Notice::SinkDetached { .. } => "sink_detached",
    }
}

fn subject(notice: &Notice) -> Option<Uuid> {
    match notice {
        Notice::Quarantined { key, .. } => {
            RecordKey::parse(key).map(|key| WiringObject::of(key).uuid())
        }
        Notice::FilterScanned { id, .. } | Notice::SubscriptionSuspended { id, .. } => Some(*id),
        _ => None,
    }
}

/// Returns a hook that does what `hook` does, and has suspended subscriptions noted.
pub(super) fn noting_suspended(hook: Hook, notices: Notices) -> Hook {
    let suspended = Suspended::default();
    Hook::new(Arc::new(move |class, delivery| {
        if BuiltIn::find(class).is_none() {
            suspended.note(delivery, &notices);
        }
        hook.tell(class, delivery);
    }))
}

/// Which suspended subscriptions were noted: every event meets them again.
#[derive(Default)]
struct Suspended {
    hasher: RandomState,
    /// subscription -> a digest of the reason
    noted: Mutex<HashMap<Uuid, u64>>,
}

impl Suspended {
    fn note(&self, delivery: &Delivery, notices: &Notices) {
        let DeliveryOutcome::Skipped(SkipReason::Suspended(reason)) = delivery.outcome() else {
            return;
        };
        let id = delivery.subscription().uuid();
        let digest = self.hasher.hash_one(reason);
        let mut noted = self.noted.lock();
        if noted.get(&id) == Some(&digest) {
            return;
        }
        if noted.len() >= Notices::DEFAULT_CAPACITY {
            noted.clear();
        }
        noted.insert(id, digest);
        drop(noted);
        notices.push(Notice::SubscriptionSuspended {
            id,
            subscription: delivery.name().to_owned(),
            reason: reason.clone(),
        });
    }
}
