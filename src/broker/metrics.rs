//! What a broker has measured.

use super::Broker;
use super::check::SubscriptionStatus;
use crate::model::SubscriptionId;
use crate::publish::{Activity, MethodMetrics, Metrics, SubscriptionMetrics};

/// How a subscription fares: whether it is served, and what was measured of it.
#[derive(Debug, Clone)]
pub struct SubscriptionHealth {
    id: SubscriptionId,
    name: String,
    status: SubscriptionStatus,
    activity: Option<Activity>,
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
            may_read.then(|| SubscriptionMetrics::new(id, name(), activity))
        });
        Metrics::new(methods.collect(), subscriptions.collect(), reading.others)
    }

    /// Returns how the subscription of this id fares now, or `None` where
    /// [`status`](Self::status) has none.
    pub fn subscription_health(&self, id: impl Into<SubscriptionId>) -> Option<SubscriptionHealth> {
        let id = id.into();
        let status = self.status(id)?;
        let name = self.present(id)?.record.name().to_owned();
        let meters = self.core.around.meters.as_ref();
        Some(SubscriptionHealth {
            id,
            name,
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

    /// Returns what was measured of it, the last match, delivery and error among it: `None` if it
    /// is not measured by itself, or no publisher was made that could reach it.
    pub fn activity(&self) -> Option<&Activity> {
        self.activity.as_ref()
    }
}
