//! What the lower floors have to say to a person: bounded, never in anybody's way.

mod notice;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::notice::Notice;
use crate::clock::Alarm;
use crate::sync::{Condvar, Mutex};

/// Collects notices until somebody drains them; the oldest give way when nobody does.
///
/// A clone is the same collection. Pushing never blocks on a reader and never fails, so that it may
/// be done with a lock held.
#[derive(Clone)]
pub struct Notices {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    pushed: Condvar,
}

struct Queue {
    waiting: VecDeque<Numbered>,
    capacity: usize,
    dropped: u64,
    /// How many were ever pushed: the number of the last.
    pushed: u64,
    /// The number of the last that a watcher heard of.
    heard: u64,
    watch: Option<Watch>,
}

/// A notice and its number, which rises by one from notice to notice.
type Numbered = (u64, Notice);

/// What waits for the one who watches. It is kept apart, so that neither who watches nor who drains
/// takes anything from the other.
struct Watch {
    waiting: VecDeque<Numbered>,
    alarm: Arc<Alarm>,
}

/// What a watcher hears of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Notice(u64, Notice),
    /// So many gave way to later ones; the number is that of the last.
    Dropped(u64, u64),
}

impl Notices {
    /// How many notices wait before the oldest is dropped, unless told otherwise: a few screens
    /// full, for what a person will read.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// Returns a collection that holds up to `capacity` notices, at least one.
    pub fn with_capacity(capacity: usize) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
            pushed: 0,
            heard: 0,
            watch: None,
        };
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                pushed: Condvar::new(),
            }),
        }
    }

    /// Adds a notice; when full, the oldest is dropped and counted.
    pub fn push(&self, notice: Notice) {
        let mut queue = self.shared.queue.lock();
        queue.pushed += 1;
        let (capacity, numbered) = (queue.capacity, (queue.pushed, notice));
        let alarm = queue.watch.as_mut().map(|watch| {
            // What gives way is missed by its number.
            if watch.waiting.len() == capacity {
                watch.waiting.pop_front();
            }
            watch.waiting.push_back(numbered.clone());
            Arc::clone(&watch.alarm)
        });
        if queue.waiting.len() == capacity {
            queue.waiting.pop_front();
            queue.dropped += 1;
        }
        queue.waiting.push_back(numbered);
        drop(queue);
        self.shared.pushed.notify_all();
        if let Some(alarm) = alarm {
            alarm.ring();
        }
    }

    /// Rings the alarm at every notice from now on, and has each wait to be heard; first those that
    /// wait to be drained and were not heard before.
    pub(crate) fn watch(&self, alarm: &Arc<Alarm>) {
        let mut queue = self.shared.queue.lock();
        if queue.watch.is_some() {
            return;
        }
        let heard = queue.heard;
        let unheard = queue.waiting.iter().filter(|(number, _)| *number > heard);
        let waiting = unheard.cloned().collect();
        // What was drained before somebody watched is nobody's loss.
        queue.heard = heard.max(queue.pushed - queue.waiting.len() as u64);
        queue.watch = Some(Watch {
            waiting,
            alarm: Arc::clone(alarm),
        });
    }

    /// Ends the watch.
    pub(crate) fn unwatch(&self) {
        let mut queue = self.shared.queue.lock();
        if queue.watch.take().is_some() {
            queue.heard = queue.pushed;
        }
    }

    /// Returns what is to be heard next, if somebody watches.
    pub(crate) fn hear(&self) -> Option<Heard> {
        let mut queue = self.shared.queue.lock();
        let heard = queue.heard;
        let waiting = &mut queue.watch.as_mut()?.waiting;
        let (number, _) = waiting.front()?;
        let before = *number - 1;
        if before > heard {
            queue.heard = before;
            return Some(Heard::Dropped(before, before - heard));
        }
        let (number, notice) = waiting.pop_front()?;
        queue.heard = number;
        Some(Heard::Notice(number, notice))
    }

    /// Takes all that wait, oldest first.
    pub fn drain(&self) -> Vec<Notice> {
        let mut queue = self.shared.queue.lock();
        let drained = queue.waiting.drain(..);
        drained.map(|(_, notice)| notice).collect()
    }

    /// Returns how many were dropped, since the beginning, because nobody drained in time.
    pub fn dropped(&self) -> u64 {
        self.shared.queue.lock().dropped
    }

    /// Waits until a notice is there and returns true, or false when `timeout` passed first.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut queue = self.shared.queue.lock();
        while queue.waiting.is_empty() {
            match deadline {
                None => self.shared.pushed.wait(&mut queue),
                Some(deadline) => {
                    if self
                        .shared
                        .pushed
                        .wait_until(&mut queue, deadline)
                        .timed_out()
                    {
                        return !queue.waiting.is_empty();
                    }
                }
            }
        }
        true
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.shared.queue.lock();
        f.debug_struct("Notices")
            .field("waiting", &queue.waiting.len())
            .field("dropped", &queue.dropped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(revision: u64) -> Notice {
        let revision = revision.into();
        Notice::StoreReopened { revision }
    }

    #[test]
    fn oldest_gives_way_and_is_counted_when_full() {
        let notices = Notices::with_capacity(2);
        for revision in 1..=5 {
            notices.push(reopened(revision));
        }
        assert_eq!(notices.drain(), [reopened(4), reopened(5)]);
        assert_eq!(notices.dropped(), 3);
        assert_eq!(notices.drain(), []);
    }

    #[test]
    fn wait_returns_once_another_thread_has_pushed() {
        let notices = Notices::default();
        let pusher = notices.clone();
        let thread = std::thread::spawn(move || pusher.push(reopened(1)));
        assert!(notices.wait(Duration::MAX));
        assert_eq!(notices.drain().len(), 1);
        assert!(thread.join().is_ok());
    }

    #[test]
    fn wait_returns_false_when_nothing_came_in_time() {
        assert!(!Notices::default().wait(Duration::ZERO));
    }

    #[test]
    fn watcher_hears_what_others_drain_and_each_notice_once() {
        let notices = Notices::default();
        notices.push(reopened(1));
        notices.drain();
        notices.push(reopened(2));
        let alarm = Arc::default();
        notices.watch(&alarm);
        let before = alarm.rings();
        notices.push(reopened(3));
        assert_ne!(alarm.rings(), before);
        assert_eq!(notices.drain().len(), 2);
        assert_eq!(notices.hear(), Some(Heard::Notice(2, reopened(2))));
        assert_eq!(notices.hear(), Some(Heard::Notice(3, reopened(3))));
        assert_eq!(notices.hear(), None);
        notices.push(reopened(4));
        notices.unwatch();
        notices.push(reopened(5));
        notices.watch(&alarm);
        assert_eq!(notices.hear(), Some(Heard::Notice(5, reopened(5))));
    }

    #[test]
    fn slow_watcher_hears_how_many_gave_way() {
        let notices = Notices::with_capacity(2);
        notices.watch(&Arc::default());
        for revision in 1..=5 {
            notices.push(reopened(revision));
        }
        assert_eq!(notices.hear(), Some(Heard::Dropped(3, 3)));
        assert_eq!(notices.hear(), Some(Heard::Notice(4, reopened(4))));
    }
}
