//! A clock for tests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::{Alarm, Clock, Rings};

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub(crate) struct HandClock {
    start: Instant,
    hand: Mutex<Hand>,
    /// Told whenever someone begins to wait.
    waits: Condvar,
}

#[derive(Debug, Default)]
struct Hand {
    passed: Duration,
    /// The alarms of those who wait, rung whenever the hand moves.
    waiting: Vec<Arc<Alarm>>,
}

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            hand: Mutex::default(),
            waits: Condvar::new(),
        })
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        let mut hand = self.hand.lock();
        hand.passed += by;
        let waiting = hand.waiting.clone();
        drop(hand);
        waiting.iter().for_each(|alarm| alarm.ring());
    }

    /// Blocks until this many wait.
    pub(crate) fn until_waiting(&self, count: usize) {
        let mut hand = self.hand.lock();
        while hand.waiting.len() < count {
            self.waits.wait(&mut hand);
        }
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.hand.lock().passed
    }

    fn instant(&self) -> Instant {
        self.start + self.hand.lock().passed
    }

    fn wait(&self, alarm: &Arc<Alarm>, seen: Rings, until: Option<Instant>) {
        let mut hand = self.hand.lock();
        if until.is_some_and(|until| self.start + hand.passed >= until) {
            return;
        }
        hand.waiting.push(Arc::clone(alarm));
        self.waits.notify_all();
        drop(hand);
        alarm.wait(seen, None);
        let mut hand = self.hand.lock();
        if let Some(at) = hand
            .waiting
            .iter()
            .position(|other| Arc::ptr_eq(other, alarm))
        {
            hand.waiting.swap_remove(at);
        }
    }
}
