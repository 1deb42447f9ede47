//! A fire that somebody watches: it is counted, or traced.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::calling::Step;
use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::metrics::{Begun, SubscriptionMeter};
use super::pipeline::failure_of;
use super::report::FireReport;
use super::spans::{self, DeliverySpan};
use super::surroundings::Surroundings;
use crate::delivery::Carried;

/// What those who watch a fire know of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watch {
    begun: Option<Begun>,
    is_traced: bool,
}

/// A subscription as those see it who watch.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) entry: &'a SubscriptionEntry,
    /// What is counted of it, if that is counted by itself.
    pub(super) meter: Option<&'a Arc<SubscriptionMeter>>,
}

impl<I: ?Sized> Channel<I> {
    /// Watches a fire that begins, if anybody does.
    pub(super) fn watch(&self, method: usize) -> Watch {
        let meter = self.meter.as_ref();
        Watch {
            begun: meter.and_then(|meter| meter.begin(method)),
            is_traced: spans::are_wanted(),
        }
    }

    /// Counts a fire that is over.
    pub(super) fn watched(&self, method: usize, watch: Watch, report: &FireReport) {
        if let (Some(meter), Some(begun)) = (&self.meter, watch.begun) {
            meter.end(method, begun, report);
        }
    }

    /// Counts deliveries that are no part of a fire.
    pub(super) fn watched_late(&self, method: usize, watch: Watch, report: &FireReport) {
        if let (Some(meter), Some(begun)) = (&self.meter, watch.begun) {
            meter.count(method, begun.at, report);
        }
    }
}

impl Watch {
    /// Watches the delivery of an event that has left its fire, if anybody does.
    pub(super) fn late(around: &Surroundings) -> Self {
        let meters = around.meters.as_ref();
        Self {
            begun: meters.map(|meters| meters.began(true)),
            is_traced: spans::are_wanted(),
        }
    }

    /// Returns when the fire or the delivery began, if it is counted.
    pub(super) fn begun(self) -> Option<Begun> {
        self.begun
    }

    /// Returns whether anybody watches.
    #[inline]
    pub(super) fn is_on(self) -> bool {
        self.begun.is_some() || self.is_traced
    }

    /// Hands an event over to a subscriber, which is no delivery yet: what the event carries along
    /// is the same for all whom it is handed to.
    pub(super) fn send(
        self,
        who: Watched<'_>,
        around: &Surroundings,
        send: impl FnOnce() -> Step,
    ) -> Step {
        self.count(who, around, send)
    }

    /// Calls a subscriber, and has those who watch know what came of it.
    pub(super) fn call(
        self,
        who: Watched<'_>,
        around: &Surroundings,
        call: impl FnOnce() -> Step,
    ) -> Step {
        if !self.is_on() {
            return call();
        }
        let span = self.is_traced.then(|| DeliverySpan::new(&who.entry.record));
        let call = || match span.as_ref() {
            Some(span) => span.within(call),
            None => call(),
        };
        // What unwinds has an outcome too.
        let call = || {
            let called = catch_unwind(AssertUnwindSafe(call));
            called.unwrap_or_else(|payload| Step::Failed(failure_of(payload)))
        };
        let step = self.count(who, around, call);
        if let Some(span) = span {
            span.end(&step);
        }
        step
    }

    fn count(self, who: Watched<'_>, around: &Surroundings, call: impl FnOnce() -> Step) -> Step {
        let (Some(begun), Some(meters)) = (self.begun, &around.meters) else {
            return call();
        };
        let from = begun.is_timed.then(|| meters.instant());
        let step = call();
        self.ended(who, around, from, &step);
        step
    }

    /// Returns the time from which a delivery that is made piece by piece is timed.
    pub(super) fn instant(self, around: &Surroundings) -> Option<Instant> {
        self.begun
            .and(around.meters.as_ref())
            .map(|meters| meters.instant())
    }

    /// Returns the span of a delivery that is made piece by piece.
    pub(super) fn span(self, who: Watched<'_>, fire: &Carried) -> Option<DeliverySpan> {
        let record = &who.entry.record;
        self.is_traced.then(|| DeliverySpan::later(record, fire))
    }

    /// Counts a delivery that has ended, which is timed if it began `from` a time.
    pub(super) fn ended(
        self,
        who: Watched<'_>,
        around: &Surroundings,
        from: Option<Instant>,
        step: &Step,
    ) {
        let (Some(begun), Some(meters)) = (self.begun, &around.meters) else {
            return;
        };
        let meter = meters.of(who.meter);
        if let (Some(from), false) = (from, matches!(step, Step::Accepted)) {
            meter.took(meters.instant().saturating_duration_since(from));
        }
        match step {
            Step::Delivered => meter.delivered(1, begun.at),
            Step::Accepted => meter.accepted(begun.at),
            _ => meter.matched(begun.at),
        }
    }
}
