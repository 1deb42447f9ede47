//! The broker's own thread, which fires the built-in classes.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;
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

    /// Finds who is there: a component that is not registered yet, as at the start of a program, has
    /// nothing lost that it could have had.
    fn of(state: &State, registry: &Registry) -> Self {
        let hears = |class: EventClassId| {
            let is_there = |entry: &Arc<SubscriptionEntry>| match entry.record.target() {
                Target::Component(id) => registry.get(*id).is_some(),
                _ => true,
            };
            let mut bound = state.bound_to(class);
            bound.any(|entry| entry.record.is_enabled() && is_there(entry))
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
        if telling.running || !telling.listeners.any() || telling.ending != Ending::NotYet {
            return;
        }
        let (Some(wiring), Some(around)) = (self.me.upgrade(), self.teller.around.get()) else {
            return;
        };
        let around = Arc::clone(around);
        let thread = thread::Builder::new().name("loosely-tell".to_owned());
        telling.running = thread.spawn(move || wiring.run(&around)).is_ok();
    }

    /// Ends the thread: when all that was committed is told, or `until` has come; from inside a
    /// delivery, which may be one that would be waited for, at once. Returns whether all was told.
    pub(in crate::broker) fn end(&self, until: Option<Instant>) -> bool {
        if is_delivering() {
            self.end_at_once();
            return true;
        }
        let mut ending = Ending::WhenTold;
        loop {
            let seen = self.teller.alarm.rings();
            let running = self.with(|state, _| {
                state.telling.ending = state.telling.ending.max(ending);
                state.telling.running
            });
            if ending == Ending::WhenTold {
                self.teller.alarm.ring();
            }
            if !running {
                break;
            }
            ending = Ending::NotYet;
            if until.is_some_and(|until| until <= Instant::now()) {
                self.end_at_once();
                return false;
            }
            self.wait(seen, until);
        }
        self.notices.unwatch();
        true
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
            match self.next_task() {
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

    fn next_task(&self) -> Task {
        self.with(|state, _| {
            let telling = &mut state.telling;
            let listeners = telling.listeners;
            if telling.ending == Ending::AtOnce || !listeners.any() {
                telling.running = false;
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
                    telling.running = false;
                    Task::End
                }
                None => Task::Wait,
            }
        })
    }

    fn own_publisher<I: Publishes + ?Sized>(
        &self,
        class: EventClassId,
        around: &Arc<Surroundings>,
    ) -> Option<I::Publisher> {
        let channel = self.with(|state, trash| state.channel::<I>(class, around, trash))?;
        Some(Publisher::new(channel, Arc::new(Own::new())).into())
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
        self.0.with(|state, _| state.telling.running = false);
        self.0.teller.alarm.ring();
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}
