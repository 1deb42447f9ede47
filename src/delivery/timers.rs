//! What a broker does later.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::clock::{Alarm, Clock, Waiter};
use crate::store::Trash;
use crate::sync::Mutex;
use crate::sync::thread;
use crate::value::panic_message;

/// The tasks of a broker that are to be done at instants of its clock.
///
/// One thread does them, one after another, which is started with the first and lives until the
/// broker is closed. So a task is short, and calls nothing of the user's: it hands that to the
/// [pool](super::WorkerPool). None is done with a lock held, and the panic of one is nobody else's.
pub(crate) struct Timers {
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    state: Mutex<State>,
}

/// Names a task that is to be done: when, and as which of those of the instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerKey {
    at: Instant,
    number: u64,
}

type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    tasks: BTreeMap<TimerKey, Task>,
    next_number: u64,
    started: bool,
    stopped: bool,
    /// How many tasks were begun.
    begun: u64,
    /// Whether a task is being done.
    busy: bool,
}

impl Timers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            alarm: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// Has the task done at that instant, or soon if that is over; never before this returned.
    /// Tasks for the same instant are done in the order in which they came.
    ///
    /// Once [stopped](Self::stop), the task is dropped here, and never done. If the thread cannot
    /// be started now, the next task tries again.
    pub(crate) fn at(self: &Arc<Self>, at: Instant, task: Task) -> TimerKey {
        let mut state = self.state.lock();
        state.next_number += 1;
        let number = state.next_number;
        let key = TimerKey { at, number };
        if state.stopped {
            drop(state);
            drop(task);
            return key;
        }
        let first = state
            .tasks
            .first_key_value()
            .is_none_or(|(other, _)| key < *other);
        state.tasks.insert(key, task);
        if !state.started {
            state.started = self.start();
        }
        drop(state);
        if first {
            self.alarm.ring();
        }
        key
    }

    /// Takes a task back, and returns whether it was still to be done. If not, it was done, or is
    /// being done, and may outlast this call.
    pub(crate) fn cancel(&self, key: TimerKey) -> bool {
        let task = self.state.lock().tasks.remove(&key);
        task.is_some()
    }

    /// Ends the thread after the task that it is doing, and waits for nothing. The other tasks are
    /// never done.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.alarm.ring();
        let mut trash = Trash::default();
        tasks.into_values().for_each(|task| trash.add(task));
        trash.dispose();
    }

    /// Returns a number that rises with every task that comes or is begun, unless one is due or is
    /// being done.
    pub(crate) fn stillness(&self) -> Option<u64> {
        let now = self.clock.instant();
        let state = self.state.lock();
        let first = state.tasks.first_key_value();
        let is_due = first.is_some_and(|(key, _)| key.at <= now);
        (!state.busy && !is_due).then_some(state.next_number + state.begun)
    }

    /// Returns whether there is a thread. It holds the timers only while it looks at them, so that
    /// they go with the broker.
    fn start(self: &Arc<Self>) -> bool {
        let timers = Arc::downgrade(self);
        let alarm = Arc::clone(&self.alarm);
        let waiter = Arc::clone(&self.clock).waiter(&alarm);
        let thread = thread::Builder::new().name("loosely-timers".to_owned());
        thread.spawn(move || run(&timers, &alarm, waiter)).is_ok()
    }

    /// Does what is due and returns when the next task is, or `Err` when there will be none.
    fn round(&self) -> Result<Option<Instant>, Stopped> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return Err(Stopped);
            }
            // Read anew each time: a task may take its time.
            let now = self.clock.instant();
            let Some(first) = state.tasks.first_entry() else {
                return Ok(None);
            };
            if first.key().at > now {
                return Ok(Some(first.key().at));
            }
            let task = first.remove();
            state.busy = true;
            state.begun += 1;
            drop(state);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(task)) {
                drop(panic_message(payload));
            }
            state = self.state.lock();
            state.busy = false;
        }
    }
}

/// There is nothing to wait for any more.
struct Stopped;

fn run(timers: &Weak<Timers>, alarm: &Alarm, mut waiter: Box<dyn Waiter>) {
    loop {
        let seen = alarm.rings();
        let Some(Ok(next)) = timers.upgrade().map(|timers| timers.round()) else {
            return;
        };
        waiter.wait(seen, next);
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    use super::*;
    use crate::clock::{HandClock, SystemClock};

    const SECOND: Duration = Duration::from_secs(1);

    /// Timers whose tasks tell of themselves.
    struct Rig {
        clock: Arc<HandClock>,
        timers: Arc<Timers>,
        tell: Sender<&'static str>,
        told: Receiver<&'static str>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = HandClock::new();
            let (tell, told) = mpsc::channel();
            Self {
                timers: Timers::new(Arc::clone(&clock) as Arc<dyn Clock>),
                clock,
                tell,
                told,
            }
        }

        fn after(&self, wait: Duration, name: &'static str) -> TimerKey {
            let tell = self.tell.clone();
            let task = move || tell.send(name).unwrap();
            self.timers.at(self.clock.instant() + wait, Box::new(task))
        }

        fn told(&self) -> Vec<&'static str> {
            self.told.try_iter().collect()
        }
    }

    #[test]
    fn tasks_are_done_at_their_instants_and_in_their_order() {
        let rig = Rig::new();
        rig.after(3 * SECOND, "late");
        rig.after(SECOND, "first");
        rig.after(SECOND, "second");
        rig.clock.advance(SECOND / 2);
        assert_eq!((rig.told(), rig.timers.stillness()), (vec![], Some(3)));
        rig.clock.advance(SECOND / 2);
        assert_eq!(rig.told(), ["first", "second"]);
        rig.after(Duration::ZERO, "now");
        rig.clock.advance(Duration::ZERO);
        assert_eq!((rig.told(), rig.timers.stillness()), (vec!["now"], Some(7)));
        rig.clock.advance(5 * SECOND);
        assert_eq!(rig.told(), ["late"]);
    }

    #[test]
    fn cancelled_task_is_never_done() {
        let rig = Rig::new();
        let key = rig.after(SECOND, "cancelled");
        rig.after(SECOND, "done");
        assert!(rig.timers.cancel(key));
        assert!(!rig.timers.cancel(key));
        rig.clock.advance(SECOND);
        assert_eq!(rig.told(), ["done"]);
        let key = rig.after(Duration::ZERO, "too late");
        rig.clock.advance(Duration::ZERO);
        assert!(!rig.timers.cancel(key));
    }

    #[test]
    fn task_that_puts_itself_off_is_done_at_each_instant_on_the_way() {
        fn again(timers: &Arc<Timers>, clock: &Arc<HandClock>, tell: Sender<Instant>) {
            let at = clock.instant() + SECOND;
            let (weak, clock) = (Arc::downgrade(timers), Arc::clone(clock));
            let task = move || {
                tell.send(clock.instant()).unwrap();
                again(&weak.upgrade().unwrap(), &clock, tell);
            };
            timers.at(at, Box::new(task));
        }
        let (rig, (tell, told)) = (Rig::new(), mpsc::channel());
        let start = rig.clock.instant();
        again(&rig.timers, &rig.clock, tell);
        rig.clock.advance(3 * SECOND + SECOND / 2);
        let times: Vec<Instant> = told.try_iter().collect();
        assert_eq!(times, [1, 2, 3].map(|count| start + count * SECOND));
    }

    #[test]
    fn panic_of_a_task_keeps_no_other_from_being_done() {
        let rig = Rig::new();
        let fail = || std::panic::resume_unwind(Box::new("on purpose"));
        rig.timers.at(rig.clock.instant(), Box::new(fail));
        rig.after(Duration::ZERO, "after it");
        rig.clock.advance(Duration::ZERO);
        assert_eq!(rig.told(), ["after it"]);
    }

    #[test]
    fn task_may_use_the_timers() {
        let rig = Rig::new();
        let key = rig.after(2 * SECOND, "cancelled");
        let (timers, tell) = (Arc::downgrade(&rig.timers), rig.tell.clone());
        let at = rig.clock.instant();
        let task = move || {
            let timers = timers.upgrade().unwrap();
            assert!(timers.cancel(key) && timers.stillness().is_none());
            timers.at(at, Box::new(move || tell.send("again").unwrap()));
        };
        rig.timers.at(at, Box::new(task));
        rig.clock.advance(3 * SECOND);
        assert_eq!(rig.told(), ["again"]);
    }

    #[test]
    fn stopped_timers_drop_their_tasks_and_take_no_more() {
        let rig = Rig::new();
        rig.after(SECOND, "never");
        rig.timers.stop();
        rig.after(SECOND, "never either");
        rig.clock.advance(2 * SECOND);
        drop(rig.tell);
        assert!(
            rig.told.recv().is_err(),
            "nothing was told, and no task is left"
        );
    }

    #[test]
    fn timers_that_are_gone_take_their_thread_along() {
        let Rig { clock, timers, .. } = Rig::new();
        timers.at(clock.instant() + SECOND, Box::new(|| ()));
        clock.until_waiting(1);
        drop(timers);
        // What is left to hold the clock is the thread.
        while Arc::strong_count(&clock) > 1 {
            thread::yield_now();
        }
    }

    #[test]
    fn clock_of_the_system_drives_them_too() {
        let timers = Timers::new(Arc::new(SystemClock));
        let (tell, told) = mpsc::channel();
        let late = tell.clone();
        let now = Instant::now();
        let task = move || late.send(Instant::now()).unwrap();
        timers.at(now + Duration::from_millis(20), Box::new(task));
        timers.at(now, Box::new(move || tell.send(Instant::now()).unwrap()));
        assert!(told.recv().unwrap() >= now);
        assert!(told.recv().unwrap() >= now + Duration::from_millis(20));
    }
}
