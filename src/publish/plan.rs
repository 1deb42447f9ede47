//! What is done for a subscription, whoever receives.

use std::sync::Arc;

use super::entry::SubscriptionEntry;
use super::metrics::SubscriptionMeter;
use super::prepared::Detail;
use super::seat::Seat;
use super::watch::Watched;
use crate::filter::Predicate;
use crate::model::{OffHours, SubscriptionId};

/// What is known of a subscription at one interface but its target.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) id: SubscriptionId,
    pub(crate) entry: Arc<SubscriptionEntry>,
    pub(super) detail: Arc<Detail>,
}

impl Plan {
    /// Returns whether the subscription is bound to `method`.
    pub(crate) fn is_bound_to(&self, method: usize) -> bool {
        self.detail.scope.contains(method)
    }

    /// Returns whether the subscription has a part in fires of `method`.
    pub(crate) fn is_called_for(&self, method: usize) -> bool {
        self.entry.is_served() && self.is_bound_to(method)
    }

    /// Returns whether its owner has to log on before it is called.
    pub(crate) fn is_absent(&self) -> bool {
        self.entry.absent
    }

    /// Returns why its schedule has nothing delivered to it, if that is so.
    pub(crate) fn off_hours(&self) -> Option<&OffHours> {
        self.entry.off_hours()
    }

    /// Returns why it is not called although it is stored and enabled.
    pub(crate) fn suspended(&self) -> Option<&str> {
        self.detail.suspended.as_deref()
    }

    /// Returns whether it has another priority than most.
    pub(super) fn is_prioritized(&self) -> bool {
        self.entry.record.priority() != 0
    }

    /// Returns whether it may be suspended or closed to a publisher, so that a fire has to ask.
    pub(super) fn has_conditions(&self) -> bool {
        self.detail.suspended.is_some() || self.entry.has_conditions()
    }

    /// Returns the seat, if a fire has to ask whether it is its turn.
    pub(super) fn seat(&self) -> Option<&Arc<Seat>> {
        self.detail.seat.as_ref()
    }

    /// Returns it as those see it who watch a fire.
    pub(super) fn watched(&self) -> Watched<'_> {
        Watched {
            entry: &self.entry,
            meter: self.meter(),
        }
    }

    /// Returns what is counted of it, if that is counted by itself.
    pub(super) fn meter(&self) -> Option<&Arc<SubscriptionMeter>> {
        self.detail.meter.as_ref()
    }

    /// Returns whether a fire has anything to ask before the call but the filter.
    pub(super) fn is_conditional(&self) -> bool {
        self.has_conditions() || self.detail.seat.is_some()
    }

    /// Returns the filter on `method`.
    pub(crate) fn predicate(&self, method: usize) -> Option<&Predicate> {
        on_method(&self.detail.predicates, method)
    }

    /// Returns the re-arm filter of its trigger on `method`.
    pub(crate) fn rearm(&self, method: usize) -> Option<&Predicate> {
        on_method(self.detail.rearm.as_deref()?, method)
    }
}

fn on_method(predicates: &[(usize, Predicate)], method: usize) -> Option<&Predicate> {
    let mut predicates = predicates.iter();
    let found = predicates.find(|(of, _)| *of == method);
    found.map(|(_, predicate)| predicate)
}
