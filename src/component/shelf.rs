//! The instances of a pool.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::policy::Pool;
use super::recipe::Instance;
use super::sweeper::{Expiry, Sweep};
use super::{ActivationError, Strand};
use crate::clock::{Alarm, Clock};
use crate::model::ComponentId;
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::thread;

/// The instances of a pool: those that are idle, and the places of those that are not.
pub(super) struct Shelf {
    component: ComponentId,
    pool: Pool,
    clock: Arc<dyn Clock>,
    expiry: Option<Expiry>,
    state: Mutex<State>,
}

/// While somebody waits, nothing is idle and no place is free: what comes free is handed to the
/// first who waits, so nobody overtakes.
#[derive(Default)]
struct State {
    /// Idle for the longest first. The last is lent first, so that a surplus comes of age.
    idle: VecDeque<Idle>,
    /// The strands that hold the other instances, lent or being made: one entry for each.
    out: Vec<Strand>,
    queue: VecDeque<Arc<Waiter>>,
    /// Whether the sweeper will come.
    watched: bool,
}

struct Idle {
    instance: Instance,
    since: Instant,
}

/// A strand that waits for an instance.
struct Waiter {
    strand: Strand,
    alarm: Arc<Alarm>,
    granted: Mutex<Option<Grant>>,
}

enum Grant {
    Instance(Instance),
    /// A place without an instance, which its holder is to make.
    Place,
}

/// A place that a strand holds, with the instance that is lent to it once there is one. Dropped,
/// the instance goes back to the shelf, and without one the place is free.
pub(super) struct Lent {
    shelf: Arc<Shelf>,
    strand: Strand,
    instance: Option<Instance>,
    /// Whether a panic unwound already when it was lent, as when a user's `Drop` fires an event.
    unwinding: bool,
    spoilt: bool,
}

impl Shelf {
    pub(super) fn new(
        component: ComponentId,
        pool: Pool,
        clock: Arc<dyn Clock>,
        expiry: Option<Expiry>,
    ) -> Arc<Self> {
        Arc::new(Self {
            component,
            pool,
            clock,
            expiry,
            state: Mutex::default(),
        })
    }

    /// Lends an instance, which `make` makes if none is idle and there may be one more.
    pub(super) fn lend(
        self: &Arc<Self>,
        make: &dyn Fn() -> Result<Instance, ActivationError>,
    ) -> Result<(Instance, Lent), ActivationError> {
        let strand = Strand::current();
        let grant = self.take(&strand)?;
        let mut lent = Lent::new(self, &strand);
        let instance = match grant {
            Grant::Instance(instance) => lent.fill(instance),
            Grant::Place => {
                let instance = lent.fill(make()?);
                self.fill_up(&strand, make);
                instance
            }
        };
        Ok((instance, lent))
    }

    /// Returns how many instances there are, those that are being made included.
    pub(super) fn count(&self) -> usize {
        self.state.lock().count()
    }

    /// Makes what is missing from the minimum, as long as that succeeds.
    fn fill_up(
        self: &Arc<Self>,
        strand: &Strand,
        make: &dyn Fn() -> Result<Instance, ActivationError>,
    ) {
        while self.reserve(strand) {
            let mut spare = Lent::new(self, strand);
            match make() {
                Ok(instance) => drop(spare.fill(instance)),
                // Nobody waits for a spare. If the factory is broken for good, the event that needs
                // the next one is told.
                Err(_) => return,
            }
        }
    }

    /// Takes a place for a spare, if one is missing.
    fn reserve(&self, strand: &Strand) -> bool {
        let mut state = self.state.lock();
        let missing = state.count() < self.pool.minimum();
        if missing {
            state.out.push(strand.clone());
        }
        missing
    }

    /// Takes a place, and what stands on it, for the strand that calls.
    fn take(&self, strand: &Strand) -> Result<Grant, ActivationError> {
        let start = self.clock.instant();
        let mut state = self.state.lock();
        if let Some(idle) = state.idle.pop_back() {
            state.out.push(strand.clone());
            return Ok(Grant::Instance(idle.instance));
        }
        if state.count() < self.pool.maximum() {
            state.out.push(strand.clone());
            return Ok(Grant::Place);
        }
        // A strand that holds them all, or inside of those that do, would wait for itself.
        if state.out.iter().all(|holder| strand.is_within(holder)) {
            return Err(ActivationError::WouldDeadlock {
                component: self.component,
                size: self.pool.maximum(),
            });
        }
        if self.pool.wait().is_zero() {
            return Err(self.exhausted(Duration::ZERO));
        }
        let waiter = Arc::new(Waiter::new(strand.clone()));
        state.queue.push_back(Arc::clone(&waiter));
        drop(state);
        self.wait(&waiter, start)
    }

    fn wait(&self, waiter: &Arc<Waiter>, start: Instant) -> Result<Grant, ActivationError> {
        let until = start.checked_add(self.pool.wait());
        loop {
            let seen = waiter.alarm.rings();
            if let Some(grant) = waiter.granted.lock().take() {
                return Ok(grant);
            }
            if until.is_some_and(|until| self.clock.instant() >= until) {
                break;
            }
            self.clock.wait(&waiter.alarm, seen, until);
        }
        let mut state = self.state.lock();
        state.queue.retain(|other| !Arc::ptr_eq(other, waiter));
        drop(state);
        // It may have been granted in the last moment, before it left the queue.
        let granted = waiter.granted.lock().take();
        granted.ok_or_else(|| self.exhausted(self.clock.instant().saturating_duration_since(start)))
    }

    fn exhausted(&self, waited: Duration) -> ActivationError {
        ActivationError::Exhausted {
            component: self.component,
            size: self.pool.maximum(),
            waited,
        }
    }

    /// Takes an instance back, for the first who waits or for later.
    fn put(self: &Arc<Self>, instance: Instance, holder: &Strand) {
        let since = self.clock.instant();
        let mut state = self.state.lock();
        if let Some(waiter) = state.replace(holder) {
            return waiter.grant(Grant::Instance(instance));
        }
        state.idle.push_back(Idle { instance, since });
        if let Some(expiry) = &self.expiry
            && !state.watched
            && state.count() > self.pool.minimum()
        {
            let oldest = state.idle.front().map_or(since, |idle| idle.since);
            state.watched = expiry.watch(oldest, self);
        }
    }

    /// Frees a place whose instance is gone or was not made, for the first who waits or for later.
    fn free(&self, holder: &Strand) {
        if let Some(waiter) = self.state.lock().replace(holder) {
            waiter.grant(Grant::Place);
        }
    }
}

impl State {
    fn count(&self) -> usize {
        self.idle.len() + self.out.len()
    }

    /// Ends a strand's hold of one place and returns who has it now, if somebody waits. A grant
    /// must follow before the lock is let go: one who leaves the queue looks for it only then.
    fn replace(&mut self, holder: &Strand) -> Option<Arc<Waiter>> {
        if let Some(at) = self.out.iter().position(|strand| strand == holder) {
            self.out.swap_remove(at);
        }
        let waiter = self.queue.pop_front()?;
        self.out.push(waiter.strand.clone());
        Some(waiter)
    }
}

impl Waiter {
    fn new(strand: Strand) -> Self {
        Self {
            strand,
            alarm: Arc::default(),
            granted: Mutex::default(),
        }
    }

    fn grant(&self, grant: Grant) {
        *self.granted.lock() = Some(grant);
        self.alarm.ring();
    }
}

impl Lent {
    fn new(shelf: &Arc<Shelf>, strand: &Strand) -> Self {
        Self {
            shelf: Arc::clone(shelf),
            strand: strand.clone(),
            instance: None,
            unwinding: thread::panicking(),
            spoilt: false,
        }
    }

    fn fill(&mut self, instance: Instance) -> Instance {
        self.instance = Some(Arc::clone(&instance));
        instance
    }

    /// Has the instance dropped when the loan ends.
    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let spoilt = self.spoilt || (thread::panicking() && !self.unwinding);
        match self.instance.take() {
            Some(instance) if !spoilt => self.shelf.put(instance, &self.strand),
            lost => {
                // Its place is free when it is gone: what it holds may be what the maximum is for.
                let mut trash = Trash::default();
                trash.add(lost);
                trash.dispose();
                self.shelf.free(&self.strand);
            }
        }
    }
}

impl Sweep for Shelf {
    fn sweep(&self, now: Instant, trash: &mut Trash) -> Option<Instant> {
        let expiry = self.expiry.as_ref()?;
        let mut state = self.state.lock();
        while state.count() > self.pool.minimum()
            && let Some(oldest) = state.idle.front()
        {
            match expiry.end(oldest.since) {
                Some(end) if end <= now => trash.add(state.idle.pop_front()),
                Some(end) => return Some(end),
                None => break,
            }
        }
        // Whoever gives one back asks to be watched again.
        state.watched = false;
        None
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let mut trash = Trash::default();
        for idle in self.state.get_mut().idle.drain(..) {
            trash.add(idle);
        }
        trash.dispose();
        if let Some(expiry) = &self.expiry {
            expiry.forget();
        }
    }
}
