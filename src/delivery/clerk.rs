//! Threads that take what waits in a lane.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::desk::{Desk, Handed, Recipient, Site};
use super::line::Entry;
use super::parcel::Parcel;
use super::pool::Worker;
use crate::value::{ValueKey, drop_quietly};

/// A thread that takes what waits.
pub(super) struct Clerk {
    desk: Arc<Desk>,
    /// The key that it is through with.
    done: Option<ValueKey>,
    /// How many events are missing before the next one.
    missed: u64,
}

type Taken = VecDeque<Entry<Arc<dyn Parcel>>>;

/// Who was found to receive at a site, in which turn.
type Known = (u64, Site, Option<Arc<dyn Recipient>>);

/// How often a thread takes some before others have their turn.
const ROUNDS: usize = 16;

impl Clerk {
    /// Has a thread of the pool come, which may be through with a key, and returns whether one
    /// will.
    pub(super) fn send(desk: &Arc<Desk>, done: Option<ValueKey>) -> bool {
        let clerk = Self {
            desk: Arc::clone(desk),
            done,
            missed: 0,
        };
        let task = Box::new(move || clerk.work());
        desk.staff.pool.submit(task).is_ok()
    }

    /// Delivers what waits, to the last, or until others have waited long enough for the thread, or
    /// the subscription's breaker is open.
    fn work(mut self) {
        let desk = Arc::clone(&self.desk);
        let Some(lane) = desk.lane.get() else {
            return;
        };
        let mut taken = VecDeque::new();
        for _ in 0..ROUNDS {
            let Some(key) = lane.take(self.done.take(), desk.batch(), &mut taken) else {
                return desk.staff.idle.tell();
            };
            if self.deliver(&desk, &mut taken) == Handed::Back {
                lane.put_back(&key, &mut taken);
                return desk.park(key);
            }
            self.done = Some(key);
        }
        self.give_way();
    }

    /// Goes on after those who wait for the thread, if somebody does.
    fn give_way(self) {
        let pool = Arc::clone(&self.desk.staff.pool);
        if let Err(task) = pool.submit(Box::new(move || self.work())) {
            // The pool was stopped, and does what it was given before.
            task();
        }
    }

    /// Delivers what was taken; where it may not, it leaves the rest.
    fn deliver(&mut self, desk: &Desk, taken: &mut Taken) -> Handed {
        // Looked up once for many events, and again when it may be another.
        let mut last: Option<Known> = None;
        let items = |entry: &&Entry<_>| matches!(entry, Entry::Item(_));
        let items = |taken: &Taken| taken.iter().filter(items).count();
        desk.in_hand.fetch_add(items(taken), Ordering::AcqRel);
        let mut handed = Handed::Over;
        while let Some(entry) = taken.pop_front() {
            let parcel = match entry {
                Entry::Gap(missed) => {
                    self.missed += missed;
                    continue;
                }
                Entry::Item(parcel) => parcel,
            };
            desk.in_hand.fetch_sub(1, Ordering::AcqRel);
            let (turn, site) = (desk.turn.load(Ordering::Acquire), parcel.site());
            let known = last.take_if(|known| (known.0, known.1) == (turn, site));
            let known = known.unwrap_or_else(|| (turn, site, desk.recipient(site)));
            if let Some(recipient) = &known.2 {
                handed = recipient.deliver(&parcel, self.missed);
            }
            last = Some(known);
            if handed == Handed::Back {
                desk.in_hand.fetch_sub(items(taken), Ordering::AcqRel);
                self.put_in_front(parcel, taken);
                break;
            }
            self.missed = 0;
            // The arguments are the user's.
            drop_quietly(parcel);
            Worker::beat_here();
        }
        drop_quietly(last);
        handed
    }

    fn put_in_front(&mut self, parcel: Arc<dyn Parcel>, taken: &mut Taken) {
        taken.push_front(Entry::Item(parcel));
        if self.missed > 0 {
            taken.push_front(Entry::Gap(std::mem::take(&mut self.missed)));
        }
    }
}
