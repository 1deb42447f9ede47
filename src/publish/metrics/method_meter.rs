//! What is counted of the fires of one method.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::histogram::{Histogram, Latencies};
use super::lane_meter::{LaneMeter, SAMPLE};
use super::meters::{Meters, Stamp};
use super::stripes::Stripes;
use super::subscription_meter::{SubscriptionMeter, Unsettled};
use crate::delivery::{Delivery, DeliveryOutcome};
use crate::publish::plan::Plan;
use crate::publish::report::FireReport;

/// The meters of one interface of a class.
pub(crate) struct ChannelMeter {
    pub(super) meters: Arc<Meters>,
    methods: Box<[Arc<MethodMeter>]>,
}

/// What is counted of one method.
pub(super) struct MethodMeter {
    counts: Stripes<COUNTS>,
    fires: Histogram,
    /// Those that count the plain fires.
    lanes: Mutex<Vec<Arc<LaneMeter>>>,
}

/// A fire that is counted, as it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) at: Stamp,
    pub(crate) instant: Instant,
    /// Whether it is one of those that are timed.
    pub(crate) is_timed: bool,
}

/// What was counted of one method.
#[derive(Debug, Clone)]
pub(crate) struct MethodReading {
    pub(crate) counts: [u64; COUNTS],
    pub(crate) fires: Latencies,
}

pub(super) const FIRES: usize = 0;
pub(super) const DELIVERED: usize = 1;
pub(super) const FILTERED: usize = 2;
pub(super) const WITHHELD: usize = 3;
pub(super) const FAILED: usize = 4;
pub(super) const SKIPPED: usize = 5;
pub(super) const DEFERRED: usize = 6;
pub(super) const ACCEPTED: usize = 7;
pub(super) const COUNTS: usize = 8;

impl ChannelMeter {
    pub(super) fn new(meters: Arc<Meters>, methods: Box<[Arc<MethodMeter>]>) -> Self {
        Self { meters, methods }
    }

    /// Returns what counts the fires of a plain lane, which has these subscriptions.
    pub(crate) fn lane<'a>(
        &self,
        method: usize,
        plans: impl Iterator<Item = &'a Plan>,
    ) -> Option<Arc<LaneMeter>> {
        let of = self.methods.get(method)?;
        let lane = LaneMeter::new(method, plans.map(|plan| plan.meter().cloned()));
        let lane = Arc::new(lane);
        self.meters.settle(|| {
            let mut lanes = of.lanes.lock();
            lanes.retain_mut(|lane| !of.end(lane, &self.meters));
            lanes.push(Arc::clone(&lane));
        });
        Some(lane)
    }

    /// Notes that a fire begins that is not plain.
    pub(crate) fn begin(&self, method: usize) -> Option<Begun> {
        let counts = self.methods.get(method)?.counts.here();
        Some(self.meters.began(counts.get(FIRES) % SAMPLE == 0))
    }

    /// Counts a fire that is over.
    pub(crate) fn end(&self, method: usize, begun: Begun, report: &FireReport) {
        let Some(of) = self.methods.get(method) else {
            return;
        };
        of.counts.here().add(FIRES, 1);
        if begun.is_timed {
            self.time(method, begun, self.instant());
        }
        self.count(method, begun.at, report);
    }

    /// Notes how long a fire took.
    pub(crate) fn time(&self, method: usize, begun: Begun, end: Instant) {
        if let Some(of) = self.methods.get(method) {
            of.fires.add(end.saturating_duration_since(begun.instant));
        }
    }

    /// Counts deliveries, as a report has them.
    pub(crate) fn count(&self, method: usize, at: Stamp, report: &FireReport) {
        let Some(of) = self.methods.get(method) else {
            return;
        };
        let here = of.counts.here();
        let add = |counter, count: usize| {
            if count > 0 {
                here.add(counter, count as u64);
            }
        };
        add(DELIVERED, report.delivered());
        add(ACCEPTED, report.accepted());
        add(FILTERED, report.filtered());
        if report.is_clean() {
            return;
        }
        add(WITHHELD, report.withheld());
        add(FAILED, report.failed());
        add(SKIPPED, report.skipped());
        add(DEFERRED, report.deferred());
        let lines = report.lines().iter();
        lines.for_each(|line| self.meters.note(line, at));
    }

    /// Counts a delivery that has left its fire.
    pub(crate) fn count_late(&self, method: usize, at: Stamp, delivery: &Delivery) {
        let Some(of) = self.methods.get(method) else {
            return;
        };
        let here = of.counts.here();
        match delivery.outcome() {
            DeliveryOutcome::Delivered => return here.add(DELIVERED, 1),
            DeliveryOutcome::Failed(_) => here.add(FAILED, 1),
            DeliveryOutcome::Skipped(_) => here.add(SKIPPED, 1),
            _ => {}
        }
        self.meters.note(delivery, at);
    }

    /// Counts a fire of a plain lane in which not all subscribers returned.
    #[cold]
    pub(crate) fn count_plain<'a>(
        &self,
        lane: &LaneMeter,
        plans: impl Iterator<Item = &'a Plan>,
        report: &FireReport,
    ) {
        let begun = self.meters.began(false);
        let mut lines = report.lines().iter().peekable();
        for plan in plans {
            if lines
                .next_if(|line| line.subscription() == plan.id)
                .is_none()
            {
                self.of(plan).delivered(1, begun.at);
            }
        }
        self.end(lane.method(), begun, report);
    }

    /// Returns what is counted of a subscription, by itself or with others.
    pub(crate) fn of<'a>(&'a self, plan: &'a Plan) -> &'a SubscriptionMeter {
        self.meters.of(plan.meter())
    }

    /// Returns what is counted of the subscription in a slot, by itself or with others.
    pub(crate) fn of_slot<'a>(&'a self, lane: &'a LaneMeter, slot: usize) -> &'a SubscriptionMeter {
        lane.subscription(slot).unwrap_or(&self.meters.others)
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Returns the time by which fires are timed.
    pub(crate) fn instant(&self) -> Instant {
        self.meters.instant()
    }
}

impl MethodMeter {
    pub(super) fn new() -> Self {
        Self {
            counts: Stripes::new(),
            fires: Histogram::new(),
            lanes: Mutex::default(),
        }
    }

    /// Gives away what a lane has counted that nobody fires any more, and returns whether it is
    /// one.
    fn end(&self, lane: &mut Arc<LaneMeter>, meters: &Meters) -> bool {
        // Whoever let go of it has counted before.
        let Some(lane) = Arc::get_mut(lane) else {
            return false;
        };
        let counts = self.counts.here();
        counts.add(FIRES, lane.fires());
        counts.add(DELIVERED, lane.fires() * lane.subscribers() as u64);
        lane.each(meters.epoch.now(), |subscription, more| {
            let meter = meters.of(subscription);
            meter.delivered(more.delivered, more.last);
        });
        true
    }

    /// Reads what was counted, and adds to `unsettled` what lanes have that are still fired.
    pub(super) fn read(
        &self,
        meters: &Meters,
        unsettled: &mut HashMap<usize, Unsettled>,
    ) -> MethodReading {
        let mut lanes = self.lanes.lock();
        lanes.retain_mut(|lane| !self.end(lane, meters));
        let mut counts = std::array::from_fn(|counter| self.counts.sum(counter));
        for lane in lanes.iter() {
            let fires = lane.fires();
            counts[FIRES] += fires;
            counts[DELIVERED] += fires * lane.subscribers() as u64;
            lane.each(meters.epoch.now(), |subscription, more| {
                meters.add(unsettled, subscription, more);
            });
        }
        MethodReading {
            counts,
            fires: self.fires.read(),
        }
    }
}
