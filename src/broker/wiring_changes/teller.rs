//! The broker's own thread, which fires the built-in classes.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::backlog::Told;
use super::{
    WIRING_CHANGES, WIRING_CONTENTS, WiringChanges, WiringChangesPublisher, WiringContents,
    WiringContentsPublisher,
};
use crate::broker::health::{self, HEALTH_EVENTS, HealthEvents, HealthEventsPublisher};
use crate::broker::wiring::{State, Wiring};
use crate::clock::{Alarm, Clock, Rings, SystemClock};
use crate::component::Registry;
use crate::delivery::is_delivering;
use crate::model::{EventClassId, Target};
use crate::notices::Heard;
use crate::publish::{Own, Publisher, Publishes, SubscriptionEntry, Surroundings};
use crate::sync::thread;

/// What the wiring needs to tell of itself.
#[derive(Default)]
pub(in crate::broker) struct Teller {
    /// Rung when there may be something to tell, and at every commit.
    pub(in crate::broker) alarm: Arc<Alarm>,
    around: OnceLock<Arc<Surroundings>>,
}

/// Which of the built-in classes have a subscription whose subscriber is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::broker) struct Listeners {
    changes: bool,
    contents: bool,
    health: bool,
}

/// How the thread is asked to end, until when it would go on by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    #[default]
    NotYet,
    /// When all that was committed is told.
    WhenTold,
    /// After the event that it is firing.
    AtOnce,
}

/// What the thread does next.
enum Task {
    Changes(Told, Listeners),
    Health(Heard),
    Wait,
    End,
}

/// The publisher objects of the built-in classes.
struct Publishers {
    changes: WiringChangesPublisher,
    contents: WiringContentsPublisher,
    health: HealthEventsPublisher,
}

impl Teller {
    /// Says what surrounds the channels, before anything is listed.
    pub(in crate::broker) fn begin(&self, around: &Arc<Surroundings>) {
        self.around.get_or_init(|| Arc::clone(around));
    }

    /// Returns what surrounds the channels.
    pub(in crate::broker) fn around(&self) -> Option<&Arc<Surroundings>> {
        self.around.get()
    }
}

impl Listeners {
    /// Returns whether the subscription is one to a built-in class.
    pub(in crate::broker) fn may_be(entry: &SubscriptionEntry) -> bool {
        let binding = entry.record.binding();
        super::BUILT_IN.iter().any(|class| match binding.class() {
            Some(id) => id == class.id,
            None => binding.interface() == Some((class.schema)().id()),
        })
    }

    /// Finds who can be called: a component that is not registered yet, as at the start of a
    /// program, has nothing lost that it could have had.
    fn of(state: &State, registry: &Registry) -> Self {
        let hears = |class: EventClassId| {
            let is_there = |entry: &SubscriptionEntry| match entry.record.target() {
                Target::Component(id) => registry.has(*id),
                Target::Object => true,
                // Nothing resolves one.
                Target::Moniker(_) => false,
            };
            let mut bound = state.bound_to(class);
            bound.any(|entry| {
                entry.is_served() && entry.record.predicate().is_none() && is_there(entry)
            })
        };
        Self {
            changes: hears(WIRING_CHANGES),
            contents: hears(WIRING_CONTENTS),
            health: hears(HEALTH_EVENTS),
        }
    }

    /// Returns whether anybody hears of commits.
    pub(super) fn of_changes(self) -> bool {
        self.changes || self.contents
    }

    fn any(self) -> bool {
        self.of_changes() || self.health
    }
}

impl Wiring {
    /// Finds anew who listens, and has the thread there while somebody does.
    pub(in crate::broker) fn listen(&self, state: &mut State) {
        let Some(around) = self.teller.around.get() else {
            return;
        };
        let listeners = Listeners::of(state, &around.registry);
        state.telling.listeners = listeners;
        if !listeners.of_changes() {
            state.telling.backlog.clear();
        }
        if listeners.health && state.telling.ending == Ending::NotYet {
            self.notices.watch(&self.teller.alarm);
        } else {
            self.notices.unwatch();
        }
        if listeners.any() {
            self.start(state);
        }
        self.teller.alarm.ring();
    }

    /// Starts the thread, unless it is there. Where there can be none now, the next change of the
    /// listeners, or commit, tries again.
    pub(in crate::broker) fn start(&self, state: &mut State) {
        let telling = &mut state.telling;
        if telling.thread.is_some() || !telling.listeners.any() || telling.ending != Ending::NotYet
        {
            return;
        }
        let (Some(wiring), Some(around)) = (self.me.upgrade(), self.teller.around.get()) else {
            return;
        };
        let around = Arc::clone(around);
        let thread = thread::Builder::new().name("loosely-tell".to_owned());
        let started = thread.spawn(move || wiring.run(&around));
        telling.thread = started.ok().map(|handle| handle.thread().id());
    }

    /// Ends the thread: when all that was committed is told, or `until` has come. At once, if it
    /// would have to be waited for by itself or by a delivery. Returns whether all was told.
    pub(in crate::broker) fn end(&self, until: Option<Instant>) -> bool {
        let thread = self.with(|state, _| state.telling.thread);
        if is_delivering() || thread == Some(thread::current().id()) {
            self.end_at_once();
            return true;
        }
        self.with(|state, _| {
            let ending = &mut state.telling.ending;
            *ending = (*ending).max(Ending::WhenTold);
        });
        self.teller.alarm.ring();
        loop {
            let seen = self.teller.alarm.rings();
            if self.with(|state, _| state.telling.thread.is_none()) {
                self.notices.unwatch();
                return true;
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                self.end_at_once();
                return false;
            }
            self.wait(seen, until);
        }
    }

    /// Ends the thread after the event that it is firing, and waits for nothing.
    pub(in crate::broker) fn end_at_once(&self) {
        self.with(|state, _| state.telling.ending = Ending::AtOnce);
        self.notices.unwatch();
        self.teller.alarm.ring();
    }

    /// Waits until the alarm was rung more often than `seen`, or it is `until`.
    pub(super) fn wait(&self, seen: Rings, until: Option<Instant>) {
        SystemClock.wait(&self.teller.alarm, seen, until);
    }

    fn run(self: Arc<Self>, around: &Arc<Surroundings>) {
        let stopped = Stopped(&self);
        let Some(publishers) = Publishers::new(&self, around) else {
            return;
        };
        loop {
            let seen = self.teller.alarm.rings();
            match self.next_task(seen) {
                Task::Changes(told, listeners) => publishers.tell(&told, listeners),
                Task::Health(heard) => health::tell(&publishers.health, &heard),
                Task::Wait => self.wait(seen, None),
                Task::End => break,
            }
        }
        // What said that it is to end has noted that it has.
        std::mem::forget(stopped);
        self.teller.alarm.ring();
    }

    fn next_task(&self, seen: Rings) -> Task {
        self.with(|state, _| {
            let telling = &mut state.telling;
            let listeners = telling.listeners;
            if telling.ending == Ending::AtOnce || !listeners.any() {
                telling.thread = None;
                return Task::End;
            }
            if let Some(gap) = telling.backlog.gap() {
                self.notices.push(gap);
            }
            if let Some(heard) = self.notices.hear() {
                return Task::Health(heard);
            }
            match telling.backlog.next() {
                Some(told) => Task::Changes(told, listeners),
                None if telling.ending == Ending::WhenTold => {
                    telling.thread = None;
                    Task::End
                }
                None => {
                    telling.resting = Some(seen);
                    Task::Wait
                }
            }
        })
    }

    /// Returns a number that rises with whatever may have to be told, unless something has to be
    /// or is being told.
    pub(in crate::broker) fn stillness(&self) -> Option<u64> {
        let rings = self.teller.alarm.rings();
        let still = self.with(|state, _| {
            let telling = &state.telling;
            telling.thread.is_none() || telling.resting == Some(rings)
        });
        still.then_some(rings.count())
    }

    fn own_publisher<I: Publishes + ?Sized>(
        &self,
        class: EventClassId,
        around: &Arc<Surroundings>,
    ) -> Option<I::Publisher> {
        let channel = self.with(|state, trash| state.channel::<I>(class, around, trash))?;
        Some(Publisher::new(channel, Arc::new(Own::new(None))).into())
    }
}

impl Publishers {
    fn new(wiring: &Wiring, around: &Arc<Surroundings>) -> Option<Self> {
        Some(Self {
            changes: wiring.own_publisher::<dyn WiringChanges>(WIRING_CHANGES, around)?,
            contents: wiring.own_publisher::<dyn WiringContents>(WIRING_CONTENTS, around)?,
            health: wiring.own_publisher::<dyn HealthEvents>(HEALTH_EVENTS, around)?,
        })
    }

    fn tell(&self, told: &Told, listeners: Listeners) {
        let (revision, record) = (told.revision.get(), told.record());
        let (id, change) = (told.id(), told.change());
        if listeners.changes {
            let (name, bound_to) = (told.name(), told.bound_to());
            self.changes
                .record_changed(revision, record, id, change, name, bound_to);
        }
        if listeners.contents {
            let (before, after) = told.contents();
            let (before, after) = (before.as_deref(), after.as_deref());
            self.contents
                .content_changed(revision, record, id, change, before, after);
        }
    }
}

/// Notes that the thread is gone when it ends in a way that nobody foresaw: the next commit then
/// starts another.
struct Stopped<'a>(&'a Wiring);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.with(|state, _| state.telling.thread = None);
        self.0.teller.alarm.ring();
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use crate::broker::wiring::Wiring;
    use crate::broker::{HealthEventsHandlers, WiringChangesHandlers};
    use crate::notices::Notice;
    use crate::publish::Upkeep;
    use crate::{Broker, Component, HealthEvents, Subscription, WiringChanges};
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};

    fn is_running(wiring: &Wiring) -> bool {
        wiring.with(|state, _| state.telling.thread.is_some())
    }

    /// Waits until the thread is gone; nextest or a person ends a test that hangs here.
    fn wait_for_end(wiring: &Wiring) {
        loop {
            let seen = wiring.teller.alarm.rings();
            if !is_running(wiring) {
                return;
            }
            wiring.wait(seen, None);
        }
    }

    fn audit() -> Subscription {
        let audit = Subscription::builder("audit").to::<dyn WiringChanges>();
        audit.component("auditor").build().unwrap()
    }

    #[test]
    fn thread_is_there_only_while_somebody_listens() {
        let broker = Broker::in_memory().unwrap();
        let wiring = &broker.core.wiring;
        broker.ensure(&audit()).unwrap();
        assert!(!is_running(wiring), "the component is not registered");
        let backlog = wiring.with(|state, _| state.telling.backlog.next().is_some());
        assert!(!backlog, "kept for nobody");

        let auditor = Component::new("auditor", WiringChangesHandlers::new);
        let auditor = auditor.implements::<dyn WiringChanges>();
        broker.register_component(auditor).unwrap();
        assert!(is_running(wiring));
        broker.disable(audit().id()).unwrap();
        wait_for_end(wiring);
        broker.enable(audit().id()).unwrap();
        assert!(is_running(wiring));
        broker.unregister_component("auditor");
        wait_for_end(wiring);

        let health: Arc<dyn HealthEvents> = Arc::new(HealthEventsHandlers::new());
        let guard = broker.subscribe(health).unwrap();
        assert!(is_running(wiring));
        drop(guard);
        wait_for_end(wiring);
    }

    #[test]
    fn nothing_is_kept_for_whom_nobody_can_call() {
        let broker = Broker::in_memory().unwrap();
        let wiring = &broker.core.wiring;
        let auditor = Component::new("auditor", WiringChangesHandlers::new);
        let auditor = auditor.implements::<dyn WiringChanges>();
        broker.register_component(auditor).unwrap();
        let record = |name: &str| Subscription::builder(name).to::<dyn WiringChanges>();
        let by_moniker = record("by moniker").moniker("queue:audit").build().unwrap();
        let asked = record("asked")
            .component("auditor")
            .predicate("in office hours");
        let absent = record("absent")
            .component("auditor")
            .owner("ann")
            .per_user();
        for record in [by_moniker, asked.build().unwrap(), absent.build().unwrap()] {
            broker.ensure(&record).unwrap();
            assert!(!is_running(wiring), "{}", record.name());
        }
        let session = broker.log_on("ann").unwrap();
        assert!(is_running(wiring));
        drop(session);
        wait_for_end(wiring);
    }

    #[test]
    fn thread_ends_when_the_object_of_its_last_listener_is_gone() {
        let broker = Broker::in_memory().unwrap();
        let wiring = &broker.core.wiring;
        let health: Arc<dyn HealthEvents> = Arc::new(HealthEventsHandlers::new());
        let record = Subscription::builder("weak").to::<dyn HealthEvents>();
        let record = record.object().build().unwrap();
        let weak = Arc::downgrade(&health);
        let _guard = broker
            .subscribe_with::<dyn HealthEvents>(&record, weak)
            .unwrap();
        assert!(is_running(wiring));
        let entry = wiring.with(|state, _| state.subscriptions.get(record.id()).cloned());
        drop(health);
        // A prune gives way to whoever has the lock just now, as the thread may.
        while is_running(wiring) {
            wiring.prune(entry.as_slice());
        }
        assert!(broker.subscription(record.id()).is_none());
    }

    #[test]
    fn thread_holds_no_broker_open() {
        let broker = Broker::in_memory().unwrap();
        let wiring = Arc::clone(&broker.core.wiring);
        let health: Arc<dyn HealthEvents> = Arc::new(HealthEventsHandlers::new());
        broker.subscribe(health).unwrap().detach();
        assert!(is_running(&wiring));
        drop(broker);
        wait_for_end(&wiring);
    }

    #[test]
    fn notices_that_wait_are_told_to_who_comes_and_left_to_be_taken() {
        let broker = Broker::in_memory().unwrap();
        let reason = "the disk is out".to_owned();
        let notice = Notice::StoreUnavailable { reason };
        broker.core.notices.push(notice.clone());
        let (sender, receiver) = channel();
        let sender = Mutex::new(sender);
        let handlers =
            HealthEventsHandlers::new().on_health_changed(move |sequence, kind, subject, text| {
                let told = (sequence, kind.to_owned(), subject, text.to_owned());
                sender.lock().unwrap().send(told).unwrap();
            });
        let health: Arc<dyn HealthEvents> = Arc::new(handlers);
        let _guard = broker.subscribe(health).unwrap();
        let expected = (1, "store_unavailable".into(), None, notice.to_string());
        assert_eq!(receiver.recv().unwrap(), expected);
        assert_eq!(broker.notices(), [notice]);
    }
}
