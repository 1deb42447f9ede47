//! When what subscriptions say of their times is to be looked at again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::Wiring;
use super::state::{Changes, State};
use crate::clock::{Clock, SystemClock};
use crate::delivery::{TimerKey, Timers};
use crate::model::{OffHours, Schedule};
use crate::publish::{SECTION, SubscriptionEntry, SubscriptionKey};

/// The next edge of every subscription that has a schedule, and the one timer for all of them.
///
/// Edges are times of day, and the timer goes by a clock that is never put forward or back. So it
/// is set for an hour at most, and when the two clocks have come apart since the last look, all
/// schedules are looked at. The two that a test moves stay together.
pub(super) struct Schedules {
    clock: Arc<dyn Clock>,
    /// subscription -> its edge; one that has expired has none, unless the clock is put back
    listed: HashMap<SubscriptionKey, Option<SystemTime>>,
    edges: BTreeMap<SystemTime, HashSet<SubscriptionKey>>,
    /// What both clocks showed at the last look at all of them.
    seen: Option<(Instant, SystemTime)>,
    timer: Option<(Instant, TimerKey)>,
    /// Whether the timer may have to be set anew.
    changed: bool,
}

impl Schedules {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            listed: HashMap::new(),
            edges: BTreeMap::new(),
            seen: None,
            timer: None,
            changed: false,
        }
    }

    /// Notes a subscription, and returns why nothing is delivered to it now, if nothing is. One
    /// without a schedule costs no look at the clock.
    pub(super) fn list(&mut self, key: SubscriptionKey, schedule: &Schedule) -> Option<OffHours> {
        if schedule.is_always() {
            return None;
        }
        let now = self.clock.now();
        if self.seen.is_none() {
            self.seen = Some((self.clock.instant(), now));
        }
        let look = schedule.look(now);
        self.remove(key);
        self.changed = true;
        self.listed.insert(key, look.next);
        if let Some(edge) = look.next {
            self.edges.entry(edge).or_default().insert(key);
        }
        look.off
    }

    pub(super) fn remove(&mut self, key: SubscriptionKey) {
        let Some(edge) = self.listed.remove(&key) else {
            return;
        };
        self.changed = true;
        if let Some(edge) = edge
            && let Some(keys) = self.edges.get_mut(&edge)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.edges.remove(&edge);
            }
        }
    }

    /// Takes out those whose edge is reached, to be listed again; all, if the clock was put forward
    /// or back.
    fn take_due(&mut self) -> Vec<SubscriptionKey> {
        let (instant, now) = (self.clock.instant(), self.clock.now());
        self.timer = None;
        self.changed = true;
        let seen = self.seen.replace((instant, now));
        if seen.is_some_and(|seen| has_jumped(seen, (instant, now))) {
            return self.listed.keys().copied().collect();
        }
        let mut later = self.edges.split_off(&now);
        let now = later.remove(&now);
        let due = std::mem::replace(&mut self.edges, later);
        let due = due.into_values().chain(now).flatten();
        due.collect()
    }

    /// Has the timer go off when the first edge is reached, or in an hour; without a schedule there
    /// is none.
    fn arm(&mut self, timers: &Arc<Timers>, look: impl FnOnce() + Send + 'static) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let at = self.next_look();
        if let (Some((set, _)), Some(at)) = (self.timer, at)
            && set <= at
        {
            // Once too often costs less than to set it with every change.
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            timers.cancel(timer);
        }
        self.timer = at.map(|at| (at, timers.at(at, Box::new(look))));
    }

    fn next_look(&self) -> Option<Instant> {
        if self.listed.is_empty() {
            return None;
        }
        let (instant, now) = (self.clock.instant(), self.clock.now());
        let first = self.edges.keys().next();
        let wait = first.map(|edge| edge.duration_since(now).unwrap_or_default());
        let longest = self.clock.is_systems().then_some(LONGEST);
        let wait = wait.into_iter().chain(longest).min()?;
        instant.checked_add(wait)
    }
}

impl Default for Schedules {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl State {
    /// Looks at these schedules anew, and lists those subscriptions anew that are delivered by now,
    /// or are not any more.
    fn follow_schedules(&mut self, keys: &[SubscriptionKey], changes: &mut Changes) {
        for key in keys {
            let Some(entry) = self.find(*key).map(Arc::clone) else {
                continue;
            };
            let off = self.schedules.list(*key, entry.record.schedule());
            if off.as_ref() != entry.off_hours() {
                self.put_subscription(SubscriptionEntry::clone(&entry), None, changes);
            }
            changes.drop_later(entry);
        }
    }
}

impl Wiring {
    /// Sets the timer for what the schedules say next.
    pub(super) fn arm(&self, state: &mut State) {
        let Some(around) = self.teller.around() else {
            return;
        };
        let me = Weak::clone(&self.me);
        state.schedules.arm(&around.timers, move || look_soon(&me));
    }

    /// Puts in place and takes out whose time has begun or ended, by sections, so that changes by
    /// others need not wait for all.
    fn look_at_schedules(&self) {
        let due = self.with(|state, _| state.schedules.take_due());
        for section in due.chunks(SECTION) {
            self.change(|state, changes| state.follow_schedules(section, changes));
        }
        // Where nothing was due the timer is to be set all the same.
        self.with(|state, _| self.arm(state));
    }
}

/// Has a thread of the pool look at the schedules: what a change leaves to be done may call the
/// user's code.
fn look_soon(wiring: &Weak<Wiring>) {
    let Some(me) = wiring.upgrade() else { return };
    let Some(around) = me.teller.around().map(Arc::clone) else {
        return;
    };
    let weak = Weak::clone(wiring);
    let look = move || {
        if let Some(wiring) = weak.upgrade() {
            wiring.look_at_schedules();
        }
    };
    if around.pool.submit(Box::new(look)).is_err() {
        let weak = Weak::clone(wiring);
        let again = around.clock.instant() + PAUSE;
        around.timers.at(again, Box::new(move || look_soon(&weak)));
    }
}

/// Returns whether the time of day has gone another way between two looks than time has: by more
/// than a clock is wrong that somebody corrects bit by bit.
fn has_jumped(before: (Instant, SystemTime), after: (Instant, SystemTime)) -> bool {
    let passed = after.0.saturating_duration_since(before.0);
    let expected = before.1.checked_add(passed);
    expected.is_none_or(|expected| {
        let apart = after.1.duration_since(expected);
        apart.unwrap_or_else(|back| back.duration()) > TOLERANCE
    })
}

/// After which time the clocks are compared at the latest: often enough for hours of a day, and
/// nothing that an idle program notices.
const LONGEST: Duration = Duration::from_secs(3600);

/// More than a clock that is slewed gains or loses in an hour: 500 ppm, Linux' limit, are 1.8 s.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How long is waited where there can be no thread now.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::clock::{Alarm, HandClock, Rings, Waiter};
    use crate::model::SubscriptionId;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A clock whose time of day is put forward and back.
    #[derive(Debug)]
    struct WallClock {
        hand: Arc<HandClock>,
        ahead: Mutex<Duration>,
    }

    impl Clock for WallClock {
        fn now(&self) -> SystemTime {
            self.hand.now() + *self.ahead.lock()
        }

        fn instant(&self) -> Instant {
            self.hand.instant()
        }

        fn is_systems(&self) -> bool {
            true
        }

        fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>) {
            self.hand.wait(alarm, seen, until);
        }

        fn waiter(self: Arc<Self>, alarm: &Arc<Alarm>) -> Box<dyn Waiter> {
            Arc::clone(&self.hand).waiter(alarm)
        }
    }

    struct Rig {
        clock: Arc<WallClock>,
        schedules: Schedules,
        timers: Arc<Timers>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = Arc::new(WallClock {
                hand: HandClock::new(),
                ahead: Mutex::new(100 * HOUR),
            });
            let of_all = Arc::clone(&clock) as Arc<dyn Clock>;
            Self {
                timers: Timers::new(Arc::clone(&of_all)),
                schedules: Schedules::new(of_all),
                clock,
            }
        }

        fn list(&mut self, name: &str, schedule: &Schedule) -> Option<OffHours> {
            self.schedules.list(key(name), schedule)
        }

        /// Returns how long after now the timer is set.
        fn armed(&mut self) -> Option<Duration> {
            self.schedules.arm(&self.timers, || ());
            let (at, _) = self.schedules.timer?;
            Some(at - self.clock.instant())
        }
    }

    fn key(name: &str) -> SubscriptionKey {
        SubscriptionId::named(name).into()
    }

    #[test]
    fn one_timer_is_set_for_the_first_of_a_thousand_edges() {
        let mut rig = Rig::new();
        let now = rig.clock.now();
        assert_eq!(rig.armed(), None);
        let later = |seconds| Schedule::new().not_before(now + Duration::from_secs(seconds));
        for seconds in 1..=1_000 {
            assert!(rig.list(&seconds.to_string(), &later(seconds)).is_some());
        }
        assert_eq!(rig.armed(), Some(Duration::from_secs(1)));
        assert_eq!(rig.timers.stillness(), Some(1), "nobody has set another");
        rig.clock.hand.advance(Duration::from_secs(500));
        assert_eq!(rig.schedules.take_due().len(), 500);
        assert_eq!(rig.armed(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn timer_is_taken_back_with_the_last_schedule() {
        let mut rig = Rig::new();
        let always = Schedule::new().in_zone("UTC");
        assert_eq!((rig.list("a", &always), rig.armed()), (None, None));
        let ended = Schedule::new().expires(rig.clock.now());
        assert!(matches!(rig.list("a", &ended), Some(OffHours::Expired(_))));
        // The clock may be put back.
        assert_eq!(rig.armed(), Some(LONGEST));
        rig.schedules.remove(key("a"));
        assert_eq!(rig.armed(), None);
        rig.clock.hand.advance(2 * LONGEST);
        assert!(rig.schedules.take_due().is_empty());
    }

    #[test]
    fn clock_that_is_put_forward_or_back_has_all_looked_at() {
        let mut rig = Rig::new();
        let (now, step) = (rig.clock.now(), Duration::from_secs(1));
        rig.list("far", &Schedule::new().expires(now + 90 * HOUR));
        rig.list("over", &Schedule::new().expires(now));
        assert_eq!(rig.armed(), Some(LONGEST));
        rig.clock.hand.advance(LONGEST);
        *rig.clock.ahead.lock() += step;
        assert!(
            rig.schedules.take_due().is_empty(),
            "it is only being corrected"
        );
        for by in [91 * HOUR, 10 * HOUR] {
            *rig.clock.ahead.lock() = by;
            assert_eq!(rig.schedules.take_due().len(), 2);
        }
        assert!(rig.list("over", &Schedule::new().expires(now)).is_none());
    }
}
