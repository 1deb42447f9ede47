//! A subscription of a class that retains events: whether it was given them yet.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::delivery::{at_depth, depth};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The place of one subscription among the events of a channel.
///
/// It is behind until it was given what was retained. What is fired meanwhile waits here, and
/// follows in the order in which it came: so a live event neither overtakes a retained one, nor is
/// lost, and no publisher waits for a subscriber that is being given others.
pub(super) struct Seat {
    /// The place of the last event that was fired before the retained ones were looked up, or
    /// [`BEHIND`].
    floor: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Whether the thread that made the change is giving others theirs, and so may be a while.
    is_late: Arc<AtomicBool>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<WaitingEvent>,
    /// Gives it what is retained, and then what waits; whoever takes this does.
    catch_up: Option<Work>,
    /// Whether the subscription is gone: nothing waits any more.
    ended: bool,
}

pub(super) type Work = Box<dyn FnOnce() + Send>;

/// A live event that waits behind the retained ones.
pub(super) struct WaitingEvent {
    /// Its place, if it is of a method that retains events.
    pub(super) place: Option<u64>,
    /// How many fires the one was inside of.
    pub(super) depth: u32,
    pub(super) deliver: Work,
}

/// What a fire does about a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is delivered.
    Now,
    /// It is behind.
    Later,
    /// The event was fired before the retained ones were looked up, which it is one of, or has
    /// given way to.
    Past,
}

/// Why an event does not wait.
pub(super) enum NotWaiting {
    /// Its turn is to be asked again.
    CaughtUp,
    /// As many wait as may.
    Full,
}

impl Seat {
    /// Returns the seat of a subscription that is still to be given what is retained.
    pub(super) fn behind(is_late: &Arc<AtomicBool>) -> Self {
        Self::at(BEHIND, Arc::clone(is_late))
    }

    /// Returns the seat of a subscription that was there before anything was retained.
    pub(super) fn caught_up() -> Self {
        Self::at(0, Arc::default())
    }

    fn at(floor: u64, is_late: Arc<AtomicBool>) -> Self {
        Self {
            floor: AtomicU64::new(floor),
            waiting: Mutex::default(),
            is_late,
        }
    }

    /// Says how it is given what is retained.
    pub(super) fn prepare(&self, catch_up: Work) {
        self.waiting.lock().catch_up = Some(catch_up);
    }

    /// Has it given what is retained in another way, unless that has begun; returns the way that is
    /// not taken, not to be dropped under a lock.
    pub(super) fn renew(&self, catch_up: Work) -> Work {
        match &mut self.waiting.lock().catch_up {
            Some(present) => std::mem::replace(present, catch_up),
            None => catch_up,
        }
    }

    /// Gives it what is retained, unless somebody else does; as who made the change does with all.
    pub(super) fn catch_up(&self) {
        let work = self.waiting.lock().catch_up.take();
        self.is_late.store(true, Ordering::Release);
        if let Some(work) = work {
            work();
        }
    }

    /// Gives it what is retained, if who should is giving others theirs, and returns whether it
    /// did.
    pub(super) fn catch_up_early(&self) -> bool {
        if !self.is_late.load(Ordering::Acquire) {
            return false;
        }
        let work = self.waiting.lock().catch_up.take();
        work.map(|work| work()).is_some()
    }

    pub(super) fn is_behind(&self) -> bool {
        self.floor.load(Ordering::Acquire) == BEHIND
    }

    /// Returns whether the subscription is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.waiting.lock().ended
    }

    /// Returns what is to become of an event; `place` is that of one of a method that retains.
    pub(super) fn turn(&self, place: Option<u64>) -> Turn {
        match self.floor.load(Ordering::Acquire) {
            BEHIND => Turn::Later,
            floor if place.is_none_or(|place| place > floor) => Turn::Now,
            _ => Turn::Past,
        }
    }

    /// Has an event wait, or returns it if it does not have to, or cannot.
    pub(super) fn wait(&self, event: WaitingEvent) -> Result<(), (NotWaiting, WaitingEvent)> {
        let mut waiting = self.waiting.lock();
        if !self.is_behind() {
            return Err((NotWaiting::CaughtUp, event));
        }
        if waiting.events.len() >= MOST_WAITING {
            return Err((NotWaiting::Full, event));
        }
        waiting.events.push_back(event);
        Ok(())
    }

    /// Returns the next event that waits, or says that there is none, and that from now on nothing
    /// does whose place is above `floor`.
    pub(super) fn next(&self, floor: u64) -> Option<WaitingEvent> {
        let mut waiting = self.waiting.lock();
        let next = waiting.events.pop_front();
        if next.is_none() && self.is_behind() {
            self.floor.store(floor, Ordering::Release);
        }
        next
    }

    /// Ends the wait of a subscription that is gone. Fires that still see it need not ask.
    pub(super) fn end(&self, trash: &mut Trash) {
        let mut waiting = self.waiting.lock();
        waiting.ended = true;
        if self.is_behind() {
            // Whoever is retained by then was to be given by somebody else.
            self.floor.store(BEHIND - 1, Ordering::Release);
        }
        trash.add(std::mem::take(&mut waiting.events));
        trash.add(waiting.catch_up.take());
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("behind", &self.is_behind())
            .finish_non_exhaustive()
    }
}

impl WaitingEvent {
    /// Delivers the event as deep as it was fired, so that a cycle of events ends here too.
    pub(super) fn run(self) {
        at_depth(self.depth.max(depth()), self.deliver);
    }
}

/// The floor of a subscription that is behind; no event comes to have this place.
const BEHIND: u64 = u64::MAX;

/// How many events may wait for one subscription: some megabytes, and more than are fired while a
/// subscriber takes what is retained, unless it hangs.
pub(super) const MOST_WAITING: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(place: u64) -> WaitingEvent {
        WaitingEvent {
            place: Some(place),
            depth: 0,
            deliver: Box::new(|| {}),
        }
    }

    #[test]
    fn events_wait_in_order_until_the_subscription_has_caught_up() {
        let seat = Seat::behind(&Arc::default());
        assert_eq!(seat.turn(Some(3)), Turn::Later);
        assert!(seat.wait(event(3)).is_ok() && seat.wait(event(4)).is_ok());
        let places: Vec<_> = std::iter::from_fn(|| seat.next(3)?.place).collect();
        assert_eq!(places, [3, 4]);
        assert!(!seat.is_behind());
        assert_eq!(
            [3, 4].map(|place| seat.turn(Some(place))),
            [Turn::Past, Turn::Now]
        );
        assert_eq!(seat.turn(None), Turn::Now);
        assert!(matches!(
            seat.wait(event(5)),
            Err((NotWaiting::CaughtUp, _))
        ));
    }

    #[test]
    fn no_more_wait_than_may() {
        let seat = Seat::behind(&Arc::default());
        assert!((0..MOST_WAITING as u64).all(|place| seat.wait(event(place)).is_ok()));
        assert!(matches!(seat.wait(event(0)), Err((NotWaiting::Full, _))));
    }

    #[test]
    fn one_alone_gives_a_subscription_its_events_and_only_of_several_another() {
        let (seat, seen) = (Seat::behind(&Arc::default()), Arc::new(AtomicU64::new(0)));
        let count = || {
            let seen = Arc::clone(&seen);
            Box::new(move || _ = seen.fetch_add(1, Ordering::Relaxed))
        };
        seat.prepare(count());
        assert!(!seat.catch_up_early());
        seat.catch_up();
        seat.catch_up();
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        let next = Seat::behind(&seat.is_late);
        next.prepare(count());
        assert!(next.catch_up_early() && !next.catch_up_early());
        assert_eq!(seen.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn nothing_waits_for_a_subscription_that_is_gone() {
        let seat = Seat::behind(&Arc::default());
        assert!(seat.wait(event(1)).is_ok());
        seat.end(&mut Trash::default());
        assert!(seat.has_ended() && seat.next(9).is_none());
        assert_eq!(seat.turn(Some(1)), Turn::Past);
    }
}
