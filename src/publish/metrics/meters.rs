//! All that a broker measures.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::activity::Activity;
use super::method_meter::{Begun, ChannelMeter, MethodMeter, MethodReading};
use super::options::MetricsOptions;
use super::subscription_meter::{SubscriptionMeter, Unsettled};
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::model::{EventClassId, SubscriptionId};
use crate::publish::entry::SubscriptionEntry;
use crate::value::InterfaceSchema;

/// The meters of a broker. Channels and subscriptions hold theirs, so what is gone is not counted
/// any more.
pub(crate) struct Meters {
    pub(super) epoch: Epoch,
    options: MetricsOptions,
    methods: Mutex<HashMap<MethodKey, Weak<MethodMeter>>>,
    subscriptions: Mutex<HashMap<SubscriptionId, Weak<SubscriptionMeter>>>,
    /// Those that have none of their own.
    pub(super) others: SubscriptionMeter,
    /// How many of the subscriptions' meters are gone since somebody looked.
    gone: Arc<AtomicUsize>,
    /// Held while lanes that are gone give their counts away, and while all is read: each count is
    /// then in one place.
    settling: Mutex<()>,
}

/// What names a method, whichever version of its interface is fired.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MethodKey {
    pub(crate) class: EventClassId,
    pub(crate) interface: String,
    pub(crate) method: String,
}

/// All that was measured, before it has the names that the broker knows.
pub(crate) struct Reading {
    pub(crate) methods: Vec<(MethodKey, MethodReading)>,
    pub(crate) subscriptions: Vec<(SubscriptionId, Activity)>,
    pub(crate) others: Activity,
}

/// What meters tell the time by.
pub(crate) struct Epoch {
    clock: Arc<dyn Clock>,
    start: Instant,
}

/// The time at which something is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Since the meters are there.
    passed: Duration,
    time: SystemTime,
}

/// Nanoseconds since the meters are there, from 1 on; 0 stands for never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(super) u64);

impl Meters {
    pub(crate) fn new(options: MetricsOptions, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (start, gone) = (clock.instant(), Arc::default());
        Arc::new(Self {
            epoch: Epoch { clock, start },
            options,
            methods: Mutex::default(),
            subscriptions: Mutex::default(),
            others: SubscriptionMeter::new(&gone),
            gone,
            settling: Mutex::default(),
        })
    }

    /// Returns the meters of an interface of a class.
    pub(crate) fn channel(
        self: &Arc<Self>,
        class: EventClassId,
        schema: &InterfaceSchema,
    ) -> Arc<ChannelMeter> {
        let methods = schema.methods().iter().map(|method| {
            self.method(MethodKey {
                class,
                interface: schema.name().to_owned(),
                method: method.name().to_owned(),
            })
        });
        Arc::new(ChannelMeter::new(Arc::clone(self), methods.collect()))
    }

    fn method(&self, key: MethodKey) -> Arc<MethodMeter> {
        let mut methods = self.methods.lock();
        if let Some(present) = methods.get(&key).and_then(Weak::upgrade) {
            return present;
        }
        if methods.len() == methods.capacity() {
            methods.retain(|_, meter| meter.strong_count() > 0);
            // Looked through again only when it has doubled.
            let len = methods.len() + 1;
            methods.reserve(len);
        }
        let meter = Arc::new(MethodMeter::new());
        methods.insert(key, Arc::downgrade(&meter));
        meter
    }

    /// Returns what is counted of a subscription, unless it is counted with the others: as a
    /// publisher's private one, or since there is no room.
    pub(crate) fn subscription(&self, entry: &SubscriptionEntry) -> Option<Arc<SubscriptionMeter>> {
        if entry.object().is_some() {
            return None;
        }
        let id = entry.record.id();
        let mut subscriptions = self.subscriptions.lock();
        if let Some(present) = subscriptions.get(&id).and_then(Weak::upgrade) {
            return Some(present);
        }
        let max = self.options.max_subscriptions();
        if subscriptions.len() >= max && self.gone.swap(0, Ordering::Relaxed) > 0 {
            subscriptions.retain(|_, meter| meter.strong_count() > 0);
        }
        if subscriptions.len() >= max && !subscriptions.contains_key(&id) {
            return None;
        }
        let meter = Arc::new(SubscriptionMeter::new(&self.gone));
        subscriptions.insert(id, Arc::downgrade(&meter));
        Some(meter)
    }

    /// Returns what is counted of a subscription, by itself or with the others.
    pub(crate) fn of<'a>(
        &'a self,
        own: Option<&'a Arc<SubscriptionMeter>>,
    ) -> &'a SubscriptionMeter {
        own.map_or(&self.others, |own| own)
    }

    /// Returns the beginning of what is to be timed, or not.
    pub(crate) fn began(&self, is_timed: bool) -> Begun {
        let instant = self.instant();
        Begun {
            at: self.epoch.stamp(instant),
            instant,
            is_timed,
        }
    }

    /// Returns the time by which calls are timed.
    pub(crate) fn instant(&self) -> Instant {
        self.epoch.instant()
    }

    /// Counts a line of a report.
    #[cold]
    pub(super) fn note(&self, line: &Delivery, at: Stamp) {
        let meter = self.subscriptions.lock().get(&line.subscription()).cloned();
        match meter.as_ref().and_then(Weak::upgrade) {
            Some(meter) => meter.note(line.outcome(), at),
            None => self.others.note(line.outcome(), at),
        }
    }

    /// Does what moves counts from one place to another, while nobody reads.
    pub(super) fn settle(&self, settle: impl FnOnce()) {
        let _settling = self.settling.lock();
        settle();
    }

    /// Reads everything.
    pub(crate) fn read(&self) -> Reading {
        let methods = self.methods.lock().clone();
        let subscriptions = self.subscriptions.lock().clone();
        let _settling = self.settling.lock();
        let (mut unsettled, moment) = (HashMap::new(), self.epoch.moment());
        let methods = methods.into_iter().filter_map(|(key, meter)| {
            let meter = meter.upgrade()?;
            Some((key, meter.read(self, &mut unsettled)))
        });
        let mut methods: Vec<_> = methods.collect();
        methods.sort_by(|(one, _), (other, _)| one.cmp(other));
        let read = |meter: &SubscriptionMeter| {
            let more = unsettled.get(&std::ptr::from_ref(meter).addr());
            meter.read(more.copied().unwrap_or_default(), moment)
        };
        let subscriptions = subscriptions.into_iter();
        let subscriptions = subscriptions.filter_map(|(id, it)| Some((id, read(&*it.upgrade()?))));
        let mut subscriptions: Vec<_> = subscriptions.collect();
        subscriptions.sort_by_key(|(id, _)| *id);
        Reading {
            methods,
            subscriptions,
            others: read(&self.others),
        }
    }

    /// Reads what was measured of one subscription, if that is measured by itself.
    pub(crate) fn activity(&self, id: SubscriptionId) -> Option<Activity> {
        let meter = self.subscriptions.lock().get(&id)?.upgrade()?;
        let methods: Vec<_> = self.methods.lock().values().cloned().collect();
        let _settling = self.settling.lock();
        let (mut unsettled, moment) = (HashMap::new(), self.epoch.moment());
        for method in methods.iter().filter_map(Weak::upgrade) {
            method.read(self, &mut unsettled);
        }
        let more = unsettled.get(&Arc::as_ptr(&meter).addr());
        Some(meter.read(more.copied().unwrap_or_default(), moment))
    }

    /// Adds what a lane that is still fired has counted of a subscription.
    pub(super) fn add(
        &self,
        unsettled: &mut HashMap<usize, Unsettled>,
        meter: Option<&Arc<SubscriptionMeter>>,
        more: Unsettled,
    ) {
        let sum = unsettled.entry(std::ptr::from_ref(self.of(meter)).addr());
        let sum = sum.or_default();
        sum.delivered += more.delivered;
        sum.last = sum.last.max(more.last);
    }
}

impl Epoch {
    /// Returns the time that never goes back.
    pub(crate) fn instant(&self) -> Instant {
        self.clock.instant()
    }

    pub(crate) fn stamp(&self, at: Instant) -> Stamp {
        let passed = at.saturating_duration_since(self.start).as_nanos();
        Stamp(u64::try_from(passed).map_or(u64::MAX, |passed| passed.saturating_add(1)))
    }

    pub(crate) fn now(&self) -> Stamp {
        self.stamp(self.instant())
    }

    /// Returns this moment, from which stamps are times of day.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            passed: self.clock.instant().saturating_duration_since(self.start),
            time: self.clock.now(),
        }
    }
}

impl Moment {
    /// Returns the time of day of a stamp, by the time of day that it is now: a clock that was set
    /// in between has told both of them wrong, or none.
    pub(super) fn time(self, stamp: Stamp) -> Option<SystemTime> {
        let at = Duration::from_nanos(stamp.0.checked_sub(1)?);
        self.time.checked_sub(self.passed.saturating_sub(at))
    }
}
