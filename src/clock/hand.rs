//! A clock for tests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Alarm, Clock, Rings, Waiter};
use crate::sync::{Condvar, Mutex};

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub(crate) struct HandClock {
    start: Instant,
    /// The time of day at the start.
    origin: SystemTime,
    /// How far it goes.
    longest: Duration,
    hand: Mutex<Hand>,
    /// Told whenever someone begins to wait, and when a thread ends that did.
    waits: Condvar,
}

#[derive(Debug, Default)]
struct Hand {
    passed: Duration,
    seats: Vec<Seat>,
    next_seat: u64,
}

/// Someone who waits, and each thread of a broker that may.
#[derive(Debug)]
struct Seat {
    number: u64,
    alarm: Arc<Alarm>,
    /// Whether it is a thread that does what is due, for which the hand waits.
    works: bool,
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    seen: Rings,
    until: Option<Instant>,
}

impl HandClock {
    #[cfg(test)]
    pub(crate) fn new() -> Arc<Self> {
        Self::starting_at(SystemTime::UNIX_EPOCH)
    }

    pub(crate) fn starting_at(origin: SystemTime) -> Arc<Self> {
        let start = Instant::now();
        Arc::new(Self {
            longest: longest(start, origin),
            start,
            origin,
            hand: Mutex::default(),
            waits: Condvar::new(),
        })
    }

    /// Lets time pass, and returns when the threads that wait by this clock have done what became
    /// due. The hand rests at each instant at which something is due, so that what is done then
    /// reads the time for which it was meant, and what it puts off is done in its turn.
    ///
    /// # Panics
    ///
    /// If such a thread does not come back for a minute of real time.
    pub(crate) fn advance(&self, by: Duration) {
        let mut hand = self.hand.lock();
        let end = hand.passed.saturating_add(by).min(self.longest);
        loop {
            let patience = Instant::now() + PATIENCE;
            while !hand.seats.iter().all(|seat| seat.is_done(self.at(&hand))) {
                let late = self.waits.wait_until(&mut hand, patience).timed_out();
                assert!(!late, "what is due was not done within {PATIENCE:?}");
            }
            if hand.passed >= end {
                return;
            }
            hand.passed = self.next_due(&hand).map_or(end, |due| due.min(end));
            let now = self.at(&hand);
            hand.seats.iter().for_each(|seat| seat.wake(now));
        }
    }

    /// Blocks until this many wait.
    #[cfg(test)]
    pub(crate) fn until_waiting(&self, count: usize) {
        let mut hand = self.hand.lock();
        while hand
            .seats
            .iter()
            .filter(|seat| seat.waiting.is_some())
            .count()
            < count
        {
            self.waits.wait(&mut hand);
        }
    }

    fn at(&self, hand: &Hand) -> Instant {
        self.start + hand.passed
    }

    /// Returns when the next thread has something to do.
    fn next_due(&self, hand: &Hand) -> Option<Duration> {
        let untils = hand.seats.iter().filter(|seat| seat.works);
        let next = untils.filter_map(|seat| seat.waiting?.until).min()?;
        Some(next.saturating_duration_since(self.start))
    }

    fn sit(&self, alarm: &Arc<Alarm>, works: bool) -> u64 {
        let mut hand = self.hand.lock();
        hand.next_seat += 1;
        let number = hand.next_seat;
        hand.seats.push(Seat {
            number,
            alarm: Arc::clone(alarm),
            works,
            waiting: None,
        });
        number
    }

    fn leave(&self, number: u64) {
        self.hand.lock().seats.retain(|seat| seat.number != number);
        self.waits.notify_all();
    }

    /// Waits until the alarm is rung: by whoever rings it, or by the hand.
    fn wait_at(&self, number: u64, alarm: &Alarm, seen: Rings, until: Option<Instant>) {
        if !self.set_waiting(number, Some(Waiting { seen, until })) {
            return;
        }
        alarm.wait(seen, None);
        self.set_waiting(number, None);
    }

    /// Returns whether there is something to wait for.
    fn set_waiting(&self, number: u64, waiting: Option<Waiting>) -> bool {
        let mut hand = self.hand.lock();
        let now = self.at(&hand);
        if waiting.is_some_and(|waiting| waiting.is_over(now)) {
            return false;
        }
        let seat = hand.seats.iter_mut().find(|seat| seat.number == number);
        if let Some(seat) = seat {
            seat.waiting = waiting;
        }
        self.waits.notify_all();
        true
    }
}

impl Seat {
    /// Returns whether the hand may move on: nobody has rung since it began to wait, and what it
    /// waits for is to come.
    fn is_done(&self, now: Instant) -> bool {
        !self.works
            || self
                .waiting
                .is_some_and(|waiting| self.alarm.rings() == waiting.seen && !waiting.is_over(now))
    }

    fn wake(&self, now: Instant) {
        if self.waiting.is_some_and(|waiting| waiting.is_over(now)) {
            self.alarm.ring();
        }
    }
}

impl Waiting {
    fn is_over(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        self.origin + self.hand.lock().passed
    }

    fn instant(&self) -> Instant {
        self.at(&self.hand.lock())
    }

    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>) {
        let number = self.sit(alarm, false);
        self.wait_at(number, alarm, seen, until);
        self.leave(number);
    }

    fn waiter(self: Arc<Self>, alarm: &Arc<Alarm>) -> Box<dyn Waiter> {
        Box::new(HandWaiter {
            number: self.sit(alarm, true),
            alarm: Arc::clone(alarm),
            clock: self,
        })
    }
}

/// A thread that has a seat.
struct HandWaiter {
    clock: Arc<HandClock>,
    alarm: Arc<Alarm>,
    number: u64,
}

impl Waiter for HandWaiter {
    fn wait(&mut self, seen: Rings, until: Option<Instant>) {
        self.clock.wait_at(self.number, &self.alarm, seen, until);
    }
}

impl Drop for HandWaiter {
    fn drop(&mut self) {
        self.clock.leave(self.number);
    }
}

/// Returns for how long both times can be told, with as much left for what is put off until later.
fn longest(start: Instant, origin: SystemTime) -> Duration {
    let fits = |span: &Duration| {
        let double = span.saturating_mul(2);
        start.checked_add(double).is_some() && origin.checked_add(double).is_some()
    };
    let shorter = |span: &Duration| Some(*span / 2);
    let mut spans = std::iter::successors(Some(Duration::MAX / 2), shorter);
    spans.find(fits).unwrap_or_default()
}

/// Far longer than anything takes that a thread of the library does.
const PATIENCE: Duration = Duration::from_secs(60);
