//! A bounded queue of events for one subscription.

use std::collections::VecDeque;
use std::fmt;

use super::depth;
use super::line::{Entry, Line};
use super::lingering::linger;
use crate::model::Overflow;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::value::{ValueKey, drop_quietly};

/// Events that were accepted for a subscription and wait for whoever takes them: a thread of the
/// pool, a future, or a thread of the user's own.
///
/// They are taken in the order in which they were accepted, those of each key for themselves if
/// there are keys. Taking is in one hand at a time, or in one for each key: whoever is told that
/// something is [ready](Outlet::ready) takes until nothing is left, and only then is the next one
/// told.
///
/// It has cache lines of its own, as those who put in and those who take are on several processors.
#[repr(align(128))]
pub(crate) struct Lane<T> {
    state: Mutex<State<T>>,
    /// Where publishers wait for room.
    room: Condvar,
    /// How many wait, for a look without the lock.
    count: AtomicUsize,
    outlet: Box<dyn Outlet>,
}

/// Whoever takes what waits in a lane.
pub(crate) trait Outlet: Send + Sync {
    /// Has somebody come and take what waits, until nothing does; called with no lock held, on the
    /// thread that has brought the first of it. Returns whether somebody will.
    fn ready(&self) -> bool;
}

/// How much may wait, and what gives way when it is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    /// Whether events of different keys may be taken at the same time.
    pub(crate) keyed: bool,
}

struct State<T> {
    bounds: Bounds,
    line: Line<T>,
    /// Events that were delivered, to be dropped by the publisher that comes next: memory is freed
    /// many times faster by the thread that it was taken by.
    spent: Vec<T>,
    /// How many publishers wait for room.
    blocked: usize,
    /// Whether nobody could come when there was something to take: the next event tells again.
    untold: bool,
    /// How many events were lost in all.
    lost: u64,
    /// How many gave way to a newer one of their key.
    coalesced: u64,
    ended: bool,
}

/// What became of an event that was to be accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed<T> {
    /// It waits.
    Accepted,
    /// It waits, and this one does not any more; a gap begins, or goes on.
    InPlaceOf(T, Gap),
    /// It waits, and a newer one of its key has taken its place: nothing is missed.
    Coalesced(T),
    /// It is lost as the newest, as the lane was asked to have it.
    Dropped(T, Gap),
    /// There is no room for it.
    Full(T, Gap),
    /// Nobody takes any more.
    Ended(T),
}

/// What is counted of a lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LaneCounts {
    pub(crate) waiting: usize,
    pub(crate) lost: u64,
    /// How many events gave way to a newer one of their key.
    pub(crate) coalesced: u64,
}

/// Whether a loss is the first of several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    Begins,
    GoesOn,
}

impl<T> Lane<T> {
    pub(crate) fn new(bounds: Bounds, outlet: Box<dyn Outlet>) -> Self {
        Self {
            state: Mutex::new(State {
                bounds,
                line: Line::new(bounds.keyed),
                spent: Vec::new(),
                blocked: 0,
                untold: false,
                lost: 0,
                coalesced: 0,
                ended: false,
            }),
            room: Condvar::new(),
            count: AtomicUsize::new(0),
            outlet,
        }
    }

    /// Has an event wait, or says why it does not; what it gives back is not to be dropped under a
    /// lock. Waits for room if the lane is to, unless the fire is inside of a delivery: its
    /// thread may be the one that is to make the room.
    pub(crate) fn push(&self, item: T, key: &ValueKey) -> Pushed<T> {
        self.put(item, key, !is_nested())
    }

    /// As [`push`](Self::push), and never waits.
    pub(crate) fn push_now(&self, item: T, key: &ValueKey) -> Pushed<T> {
        self.put(item, key, false)
    }

    /// Has an event wait of a lane without keys, or gives it back where more is to be asked.
    #[inline]
    pub(crate) fn push_plainly(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if !state.takes_plainly() {
            return Err(item);
        }
        let is_ready = state.push_last(item, &ValueKey::ONLY);
        let spent = state.some_spent();
        self.count.store(state.line.len(), Ordering::Relaxed);
        drop(state);
        drop_some(spent);
        self.tell(is_ready);
        Ok(())
    }

    fn put(&self, item: T, key: &ValueKey, waits: bool) -> Pushed<T> {
        let mut state = self.state.lock();
        let blocks = waits && state.bounds.overflow == Overflow::Block;
        if blocks && !state.ended && state.is_full() {
            self.wait_for_room(&mut state);
        }
        let (pushed, is_ready) = state.push(item, key);
        let spent = state.some_spent();
        self.count.store(state.line.len(), Ordering::Relaxed);
        drop(state);
        drop_some(spent);
        self.tell(is_ready);
        pushed
    }

    /// Has an event wait, whatever the bounds are.
    pub(crate) fn push_beyond(&self, item: T, key: &ValueKey) -> Pushed<T> {
        let mut state = self.state.lock();
        if state.ended {
            return Pushed::Ended(item);
        }
        state.fit_line();
        let is_ready = state.push_last(item, key);
        self.count.store(state.line.len(), Ordering::Relaxed);
        drop(state);
        self.tell(is_ready);
        Pushed::Accepted
    }

    /// Has somebody come, if there is something to take of which nobody knows.
    fn tell(&self, is_ready: bool) {
        if is_ready && !self.outlet.ready() {
            self.state.lock().untold = true;
        }
    }

    /// Takes the next events of one key, up to `max`, when those of the key `done` were seen to,
    /// and returns the key. None if there is none, and then somebody is told of the next one.
    ///
    /// What is left in `spent`, events that were delivered, is to be dropped by the caller.
    pub(crate) fn take(
        &self,
        done: Option<ValueKey>,
        max: usize,
        taken: &mut VecDeque<Entry<T>>,
        spent: &mut Vec<T>,
    ) -> Option<ValueKey> {
        let mut state = self.state.lock();
        let max = state.batch(max);
        let key = state.line.take(done, max, taken);
        self.count.store(state.line.len(), Ordering::Relaxed);
        // Once nothing waits no publisher may come for long: whoever has taken drops them all.
        match key {
            None => spent.append(&mut state.spent),
            Some(_) if state.spent.len() < MOST_SPENT => state.spent.append(spent),
            Some(_) => {}
        }
        let makes_room = state.blocked > 0 && state.has_room_again();
        drop(state);
        if makes_room {
            self.room.notify_all();
        }
        key
    }

    /// Returns how many events wait, or waited a moment ago.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Says before the next event that so many are missing, of which nobody was told.
    pub(crate) fn owe(&self, missed: u64) {
        self.state.lock().line.owe(missed);
    }

    /// Puts back what was taken of a key and is not delivered now; whoever has it in hand has it
    /// still, and comes back.
    pub(crate) fn put_back(&self, key: &ValueKey, taken: &mut VecDeque<Entry<T>>) {
        self.state.lock().line.put_back(key, taken);
    }

    /// Returns how many events wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().line.len()
    }

    /// Returns how many events were lost since the lane was made.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    /// Returns what was counted since the lane was made.
    pub(crate) fn counts(&self) -> LaneCounts {
        let state = self.state.lock();
        LaneCounts {
            waiting: state.line.len(),
            lost: state.lost,
            coalesced: state.coalesced,
        }
    }

    /// Returns whether nothing waits and nobody is at what waited.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().line.is_idle()
    }

    /// Returns whether nothing is accepted any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Takes over other bounds; what waits stays, though it be more than may.
    pub(crate) fn rebound(&self, bounds: Bounds) {
        let mut state = self.state.lock();
        state.bounds = bounds;
        drop(state);
        self.room.notify_all();
    }

    /// Takes out what waits of which `is_out`, which runs under the lane's lock, is true, to be
    /// dropped by the caller.
    pub(crate) fn take_out(&self, is_out: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.state.lock();
        let out = state.line.take_out(is_out);
        self.count.store(state.line.len(), Ordering::Relaxed);
        drop(state);
        self.room.notify_all();
        out
    }

    /// Takes out all that waits, to be dropped by the caller.
    pub(crate) fn clear(&self) -> Vec<T> {
        let left = self.state.lock().line.clear();
        self.count.store(0, Ordering::Relaxed);
        self.room.notify_all();
        left
    }

    /// Accepts nothing any more; what waits is still taken.
    pub(crate) fn shut(&self) {
        self.state.lock().ended = true;
        self.room.notify_all();
    }

    fn wait_for_room(&self, state: &mut MutexGuard<'_, State<T>>) {
        state.blocked += 1;
        while !state.ended && state.is_full() {
            let capacity = state.bounds.capacity;
            MutexGuard::unlocked(state, || {
                linger(|| self.count.load(Ordering::Relaxed) < capacity);
            });
            if !state.ended && state.is_full() {
                self.room.wait(state);
            }
        }
        state.blocked -= 1;
    }
}

/// For how many events there has to be room before publishers are woken that wait for it, where
/// lanes are large: as many as are taken at once.
const MOST_WANTED_ROOM: usize = 64;

/// With how many delivered events kept for publishers to drop no batch more is kept.
const MOST_SPENT: usize = 256;

/// How many of them a publisher drops when it comes: more than it brings.
const SPENT_AT_ONCE: usize = 2;

/// Drops what was delivered: the arguments are the user's.
#[inline]
fn drop_some<T>(spent: [Option<T>; SPENT_AT_ONCE]) {
    if spent.iter().any(Option::is_some) {
        drop_quietly(spent);
    }
}

/// Returns whether the fire that this thread is inside of is itself inside of a delivery.
fn is_nested() -> bool {
    depth() > 1
}

impl<T> State<T> {
    fn is_full(&self) -> bool {
        self.line.len() >= self.bounds.capacity
    }

    /// Returns whether an event simply goes to the end of the one queue.
    fn takes_plainly(&self) -> bool {
        let is_plain = !self.bounds.keyed && self.bounds.overflow != Overflow::Coalesce;
        is_plain && !self.line.is_keyed() && !self.ended && !self.is_full()
    }

    /// Returns some of what was delivered, to be dropped without the lock.
    fn some_spent(&mut self) -> [Option<T>; SPENT_AT_ONCE] {
        std::array::from_fn(|_| self.spent.pop())
    }

    /// Returns whether those who wait for room are woken: not for each event that is taken, which
    /// would be one sleep for each.
    fn has_room_again(&self) -> bool {
        let room = self.bounds.capacity.saturating_sub(self.line.len());
        room >= MOST_WANTED_ROOM.min(self.bounds.capacity / 2).max(1)
    }

    /// Takes an event in, or not, and returns whether somebody is to be told that it is ready.
    fn push(&mut self, item: T, key: &ValueKey) -> (Pushed<T>, bool) {
        if self.ended {
            return (Pushed::Ended(item), false);
        }
        self.fit_line();
        if self.bounds.overflow == Overflow::Coalesce {
            match self.line.replace(item, key) {
                Ok(older) => {
                    self.coalesced += 1;
                    return (Pushed::Coalesced(older), false);
                }
                Err(item) => return self.push_behind(item, key),
            }
        }
        self.push_behind(item, key)
    }

    fn push_behind(&mut self, item: T, key: &ValueKey) -> (Pushed<T>, bool) {
        if !self.is_full() {
            return (Pushed::Accepted, self.push_last(item, key));
        }
        self.lost += 1;
        match self.bounds.overflow {
            Overflow::DropOldest => match self.line.drop_oldest(key) {
                Some((older, gap)) => (Pushed::InPlaceOf(older, gap), self.push_last(item, key)),
                None => (Pushed::Dropped(item, self.line.miss(key)), false),
            },
            Overflow::DropNewest => (Pushed::Dropped(item, self.line.miss(key)), false),
            _ => (Pushed::Full(item, self.line.miss(key)), false),
        }
    }

    /// Tells events apart by keys, or not any more, as the bounds have it by now. Not while
    /// something waits: that stays in order, and so does all that comes behind it.
    fn fit_line(&mut self) {
        if self.bounds.keyed != self.line.is_keyed() && self.line.is_idle() {
            self.line = Line::new(self.bounds.keyed);
        }
    }

    fn push_last(&mut self, item: T, key: &ValueKey) -> bool {
        let is_ready = self.line.push(item, key);
        std::mem::take(&mut self.untold) || is_ready
    }

    /// Returns how many may be taken at once: what is in hand gives way to nothing, and is beyond
    /// the bounds.
    fn batch(&self, max: usize) -> usize {
        match self.bounds.overflow {
            _ if self.line.is_keyed() => 1,
            Overflow::DropOldest | Overflow::Coalesce => 1,
            _ => max.min(self.bounds.capacity / 4).max(1),
        }
    }
}

impl<T> fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Lane")
            .field("bounds", &state.bounds)
            .field("waiting", &state.line.len())
            .field("lost", &state.lost)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
