//! What a broker has measured.

use super::Broker;
use super::check::SubscriptionStatus;
use crate::delivery::BreakerState;
use crate::model::SubscriptionId;
use crate::publish::{Activity, MethodMetrics, Metrics, Standing, SubscriptionMetrics};

/// How a subscription fares: whether it is served, and what was measured of it.
#[derive(Debug, Clone)]
pub struct SubscriptionHealth {
    id: SubscriptionId,
    name: String,
    status: SubscriptionStatus,
    activity: Option<Activity>,
    standing: Standing,
}

impl Broker {
    /// Returns what was measured since the broker was opened; nothing unless
    /// [`BrokerBuilder::metrics`](crate::BrokerBuilder::metrics) has switched that on.
    ///
    /// Classes and subscriptions that this handle may not read are left out. Fires wait for none of
    /// it; changes of plain subscriptions may, for the milliseconds that it takes at most.
    pub fn metrics(&self) -> Metrics {
        let Some(meters) = &self.core.around.meters else {
            return Metrics::default();
        };
        let (reading, access) = (meters.read(), self.access());
        let methods = reading.methods.into_iter().filter_map(|(key, reading)| {
            // A class that is gone may be read by whoever reads what is of none.
            let class = self.known_class(key.class);
            let may_read = access.may_read(class.as_deref());
            let name = class.map_or_else(String::new, |class| class.name().to_owned());
            may_read.then(|| MethodMetrics::new(key, name, reading))
        });
        let subscriptions = reading.subscriptions.into_iter();
        let subscriptions = subscriptions.filter_map(|(id, activity)| {
            let entry = self.present(id)?;
            let may_read = access.may_read_record(&entry.record);
            let name = || entry.record.name().to_owned();
            let standing = || Standing::of(&entry, &self.core.around);
            may_read.then(|| SubscriptionMetrics::new(id, name(), activity, standing()))
        });
        Metrics::new(methods.collect(), subscriptions.collect(), reading.others)
    }

    /// Returns how the subscription of this id fares now, or `None` where
    /// [`status`](Self::status) has none.
    pub fn subscription_health(&self, id: impl Into<SubscriptionId>) -> Option<SubscriptionHealth> {
        let id = id.into();
        let status = self.status(id)?;
        let entry = self.present(id)?;
        let around = &self.core.around;
        let meters = around.meters.as_ref();
        Some(SubscriptionHealth {
            id,
            name: entry.record.name().to_owned(),
            standing: Standing::of(&entry, around).unwrap_or_default(),
            status,
            activity: meters.and_then(|meters| meters.activity(id)),
        })
    }
}

impl SubscriptionHealth {
    /// Returns the id of the subscription.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is served, and if not, why.
    pub fn status(&self) -> &SubscriptionStatus {
        &self.status
    }

    /// Returns how its breaker stands.
    pub fn breaker(&self) -> BreakerState {
        self.standing.breaker
    }

    /// Returns whether a call of its subscriber overran its deadline, was abandoned, and has not
    /// returned yet.
    pub fn is_busy(&self) -> bool {
        self.standing.is_busy
    }

    /// Returns how many events wait in its lane or queue, those that are being delivered from a
    /// queue included.
    pub fn waiting(&self) -> usize {
        self.standing.waiting
    }

    /// Returns how many events were lost since its lane had no room for them.
    pub fn lost(&self) -> u64 {
        self.standing.lost
    }

    /// Returns how many events gave way in its lane to a newer one of their key.
    pub fn coalesced(&self) -> u64 {
        self.standing.coalesced
    }

    /// Returns how many events its trigger has suppressed.
    pub fn suppressed(&self) -> u64 {
        self.standing.suppressed
    }

    /// Returns how often its breaker has opened, trials that failed included.
    pub fn openings(&self) -> u64 {
        self.standing.openings
    }

    /// Returns what was measured of it, the last match, delivery and error among it: `None` if it
    /// is not measured by itself, or no publisher was made that could reach it.
    pub fn activity(&self) -> Option<&Activity> {
        self.activity.as_ref()
    }
}
