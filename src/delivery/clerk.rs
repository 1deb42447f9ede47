//! Threads that take what waits in a lane.

use std::collections::VecDeque;
use std::sync::Arc;

use super::desk::{Desk, Handed, Recipient, Site};
use super::line::Entry;
use super::lingering::{gather, linger};
use super::parcel::Parcel;
use super::pool::Worker;
use crate::sync::atomic::Ordering;
use crate::value::{ValueKey, drop_quietly};

/// A thread that takes what waits.
pub(super) struct Clerk {
    desk: Arc<Desk>,
    /// The key that it is through with.
    done: Option<ValueKey>,
    /// How many events are missing before the next one.
    missed: u64,
    /// Who received the last one: looked up once for many events, and again when it may be another.
    known: Option<Known>,
    /// The thread that it is at, to say there that something is done.
    worker: Option<Arc<Worker>>,
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
            known: None,
            worker: None,
        };
        let task = Box::new(move || clerk.work());
        desk.staff.pool.submit(task).is_ok()
    }

    /// Delivers what waits, to the last, or until others have waited long enough for the thread, or
    /// the subscription's breaker is open.
    fn work(mut self) {
        let desk = Arc::clone(&self.desk);
        self.worker = Worker::current();
        let Some(lane) = desk.lane.get() else {
            return;
        };
        let (mut taken, mut spent) = (VecDeque::new(), Vec::new());
        let others_wait = || desk.staff.pool.backlog() > 0;
        let mut is_first = true;
        loop {
            for _ in 0..ROUNDS {
                linger(|| lane.count() > 0 || others_wait());
                if !std::mem::take(&mut is_first) {
                    gather(|| lane.count(), others_wait);
                }
                let key = lane.take(self.done.take(), desk.batch(), &mut taken, &mut spent);
                if !spent.is_empty() {
                    drop_quietly(spent.drain(..));
                }
                let Some(key) = key else {
                    drop_quietly(self.known.take());
                    if self.missed > 0 {
                        lane.owe(self.missed);
                    }
                    return desk.staff.idle.tell();
                };
                let turn = desk.turn.load(Ordering::Acquire);
                let handed = self.deliver(&desk, &mut taken, &mut spent);
                if handed != Handed::Over {
                    drop_quietly((self.known.take(), spent));
                    lane.put_back(&key, &mut taken);
                    return desk.hold(key, handed, turn);
                }
                self.done = Some(key);
            }
            if others_wait() {
                drop_quietly((self.known.take(), spent));
                return self.give_way();
            }
        }
    }

    /// Goes on after those who wait for the thread, if somebody does.
    fn give_way(self) {
        let pool = Arc::clone(&self.desk.staff.pool);
        if let Err(task) = pool.submit(Box::new(move || self.work())) {
            // The pool was stopped, and does what it was given before.
            task();
        }
    }

    /// Delivers what was taken, which is spent then; where it may not, it leaves the rest.
    fn deliver(
        &mut self,
        desk: &Desk,
        taken: &mut Taken,
        spent: &mut Vec<Arc<dyn Parcel>>,
    ) -> Handed {
        let items = |entry: &&Entry<_>| matches!(entry, Entry::Item(_));
        let (mut in_hand, mut discarded) = (taken.iter().filter(items).count(), 0);
        while let Some(entry) = taken.pop_front() {
            let parcel = match entry {
                Entry::Gap(missed) => {
                    self.missed += missed;
                    continue;
                }
                Entry::Item(parcel) => parcel,
            };
            in_hand -= 1;
            // One thread at a time takes more than one.
            desk.in_hand.0.store(in_hand, Ordering::Release);
            match self.hand_over(desk, &parcel) {
                Some(Handed::Over) => {}
                Some(handed) => {
                    desk.in_hand.0.store(0, Ordering::Release);
                    self.put_in_front(parcel, taken);
                    desk.tell_of_discarded(discarded);
                    return handed;
                }
                None => discarded += usize::from(parcel.receipt().is_none()),
            }
            self.missed = 0;
            spent.push(parcel);
            if let Some(worker) = &self.worker {
                worker.beat();
            }
        }
        desk.tell_of_discarded(discarded);
        Handed::Over
    }

    /// Hands an event over to its recipient, if there is one.
    fn hand_over(&mut self, desk: &Desk, parcel: &Arc<dyn Parcel>) -> Option<Handed> {
        let (turn, site) = (desk.turn.load(Ordering::Acquire), parcel.site());
        let known = self
            .known
            .take_if(|known| (known.0, known.1) == (turn, site));
        let known = known.unwrap_or_else(|| (turn, site, desk.recipient(site)));
        let recipient = known.2.as_ref();
        let handed = recipient.map(|it| it.deliver(parcel, self.missed));
        self.known = Some(known);
        handed
    }

    fn put_in_front(&mut self, parcel: Arc<dyn Parcel>, taken: &mut Taken) {
        taken.push_front(Entry::Item(parcel));
        if self.missed > 0 {
            taken.push_front(Entry::Gap(std::mem::take(&mut self.missed)));
        }
    }
}
