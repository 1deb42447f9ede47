//! The past events of one class, and which queues have them before they hear of new ones.
//!
//! An event of a class with a history names its chronicle among those who wait for it, so it stays
//! stored until the chronicle lets it go.
//!
//! # Gap-free and duplicate-free
//!
//! A queue that begins with a past event *joins* the chronicle: under the lock of the journal it
//! gets what the chronicle has by then, and from then on each event that is entered and does not
//! name it. For a fire that began before the subscription was in its snapshot does not name it. When
//! every snapshot has it the queue is *live*, with a mark that is greater than that of every fire
//! before; an event with that mark or a greater one was fired by a snapshot that has the queue, and
//! is the queue's if it names it. So each event comes from one side, and from one only.
//!
//! What came unnamed was asked by no filter, and is asked when it is read.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::ledger::{Ledger, Number};
use crate::model::{EventClassId, History, Start, SubscriptionId};
use crate::store::record::queue::{Addressee, Follow};
use crate::value::InterfaceId;

/// The past events of one class.
pub(super) struct Chronicle {
    pub(super) class: EventClassId,
    /// How many are kept; all of them before the class is made ready.
    terms: Option<History>,
    /// In the order of their numbers.
    events: VecDeque<Past>,
    bytes: u64,
    followers: Vec<Follower>,
    /// Events with this mark or a greater one name all followers that are to have them.
    settled: u64,
    pub(super) is_stored: bool,
    /// Whether it will be looked at when its oldest event is too old.
    pub(super) is_timed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    pub(super) number: Number,
    pub(super) interface: InterfaceId,
    pub(super) time: SystemTime,
    pub(super) size: u32,
}

/// A queue that has past events.
#[derive(Debug, Clone, Copy)]
struct Follower {
    queue: u32,
    interface: InterfaceId,
    /// From which mark on it is named by what it is to have; none while it joins.
    since: Option<u64>,
}

/// What a chronicle is to know of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) chronicle: u32,
    pub(super) past: Past,
    /// How far the journal was when its fire began.
    pub(super) mark: u64,
}

impl Kept {
    /// Returns the same for an event that has its number now, and its size.
    pub(super) fn numbered(mut self, number: Number, size: u32) -> Self {
        self.past.number = number;
        self.past.size = size;
        self
    }

    /// Returns the chronicle as one of those who wait for the event.
    pub(super) fn addressee(&self) -> Addressee {
        Addressee {
            queue: self.chronicle,
            lane: 0,
            why: 0,
        }
    }
}

impl Chronicle {
    fn new(class: EventClassId) -> Self {
        Self {
            class,
            terms: None,
            events: VecDeque::new(),
            bytes: 0,
            followers: Vec::new(),
            settled: 0,
            is_stored: false,
            is_timed: false,
        }
    }

    fn push(&mut self, past: Past) {
        self.bytes += u64::from(past.size);
        let place = self.events.partition_point(|it| it.number < past.number);
        self.events.insert(place, past);
    }

    /// Takes out what is beyond its limits now.
    fn trim(&mut self, now: SystemTime) -> Vec<Number> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.events.front()
            && self.is_beyond(oldest, now)
        {
            self.bytes -= u64::from(oldest.size);
            gone.push(oldest.number);
            self.events.pop_front();
        }
        gone
    }

    fn is_beyond(&self, oldest: &Past, now: SystemTime) -> bool {
        let Some(terms) = &self.terms else {
            return false;
        };
        let too_many = terms
            .count()
            .is_some_and(|it| self.events.len() as u64 > it);
        let too_large = terms.bytes().is_some_and(|it| self.bytes > it);
        let end = terms.age().and_then(|age| oldest.time.checked_add(age));
        too_many || too_large || end.is_some_and(|end| end <= now)
    }

    /// Returns when its oldest event is too old.
    pub(super) fn due(&self) -> Option<SystemTime> {
        let age = self.terms.as_ref()?.age()?;
        self.events.front()?.time.checked_add(age)
    }

    /// Returns the events from this number on.
    pub(super) fn from(&self, number: Number) -> impl Iterator<Item = &Past> {
        let first = self.events.partition_point(|it| it.number < number);
        self.events.iter().skip(first)
    }

    /// Returns the number of the first event that a queue begins with, which may be still to come.
    fn first(&self, start: Start, next: Number) -> Number {
        let number = match start {
            Start::New => None,
            Start::Oldest => self.events.front().map(|it| it.number),
            Start::Time(time) => {
                let found = self.events.iter().find(|it| it.time >= time);
                found.map(|it| it.number)
            }
            Start::Position(number) => Some(number.min(next)),
        };
        number.unwrap_or(next)
    }

    fn follower(&mut self, queue: u32, interface: InterfaceId) -> Option<&mut Follower> {
        let mut all = self.followers.iter_mut();
        all.find(|it| it.queue == queue && it.interface == interface)
    }

    fn settle(&mut self) {
        let since = self.followers.iter().map(|it| it.since.unwrap_or(u64::MAX));
        self.settled = since.max().unwrap_or_default();
    }
}

impl Ledger {
    /// Returns the chronicle of a class, made now if it has none.
    pub(super) fn open_chronicle(&mut self, class: EventClassId) -> u32 {
        match self.chronicle_of(class) {
            Some(number) => number,
            None => self.add_chronicle(self.next_queue(), class),
        }
    }

    /// Adds a chronicle that has this number.
    pub(super) fn add_chronicle(&mut self, number: u32, class: EventClassId) -> u32 {
        self.begin_behind(number);
        self.chronicles.insert(number, Chronicle::new(class));
        number
    }

    /// Returns the number of the chronicle of a class.
    pub(super) fn chronicle_of(&self, class: EventClassId) -> Option<u32> {
        let mut all = self.chronicles.iter();
        let found = all.find(|(_, chronicle)| chronicle.class == class);
        found.map(|(number, _)| *number)
    }

    /// Says how many events a chronicle keeps. Returns those for which nobody waits now.
    pub(super) fn limit(&mut self, number: u32, terms: &History, now: SystemTime) -> Vec<Number> {
        if let Some(chronicle) = self.chronicles.get_mut(&number) {
            chronicle.terms = Some(*terms);
        }
        self.trim(number, now)
    }

    /// Takes out of a chronicle what is beyond its limits. Returns the events for which nobody
    /// waits now.
    pub(super) fn trim(&mut self, number: u32, now: SystemTime) -> Vec<Number> {
        let chronicle = self.chronicles.get_mut(&number);
        let gone = chronicle.map_or_else(Vec::new, |chronicle| chronicle.trim(now));
        self.let_go(gone)
    }

    /// Gives up a chronicle. Returns the events for which nobody waits now.
    pub(super) fn close_chronicle(&mut self, number: u32) -> Vec<Number> {
        let gone = self.chronicles.remove(&number);
        let events = gone.map(|chronicle| chronicle.events).unwrap_or_default();
        self.let_go(events.into_iter().map(|it| it.number))
    }

    /// Returns the queues for which an event is, since they join, that does not name them.
    fn joining(&self, kept: &Kept, named: &[Addressee]) -> Vec<u32> {
        let chronicle = self.chronicles.get(&kept.chronicle);
        let chronicle = chronicle.filter(|it| kept.mark < it.settled);
        let followers = chronicle.map_or(&[][..], |it| &it.followers);
        let followers = followers.iter().filter(|it| {
            it.interface == kept.past.interface && it.since.is_none_or(|since| kept.mark < since)
        });
        let queues = followers.map(|it| it.queue);
        queues
            .filter(|queue| named.iter().all(|to| to.queue != *queue))
            .collect()
    }

    /// Notes that an event is about to be stored. Returns what is to be stored with it.
    pub(super) fn announce(&mut self, kept: Option<&Kept>, named: &[Addressee]) -> Vec<u32> {
        let Some(kept) = kept else {
            return Vec::new();
        };
        let mut changed = self.joining(kept, named);
        for queue in &changed {
            self.extend_follow(*queue, kept);
        }
        let chronicle = self.chronicles.get(&kept.chronicle);
        if chronicle.is_some_and(|chronicle| !chronicle.is_stored) {
            changed.push(kept.chronicle);
        }
        changed
    }

    fn extend_follow(&mut self, queue: u32, kept: &Kept) {
        if let Some(backlog) = self.get_mut(queue) {
            backlog.extend_follow(kept.chronicle, &kept.past);
        }
    }

    /// Enters an event that is stored into its chronicle. Returns for which queues it is beside
    /// those that it names, if it has a chronicle.
    pub(super) fn enter(&mut self, kept: &Kept, named: &[Addressee]) -> Option<Vec<u32>> {
        let joining = self.joining(kept, named);
        self.chronicles.get_mut(&kept.chronicle)?.push(kept.past);
        for queue in &joining {
            self.extend_follow(*queue, kept);
            if let Some(backlog) = self.get_mut(*queue) {
                backlog.wait_for(kept.past.number);
            }
        }
        Some(joining)
    }

    /// Takes a stored event into a chronicle again, and to those queues that have followed it.
    /// Returns how many wait for it by that.
    pub(super) fn reenter(&mut self, number: u32, past: Past, named: &[Addressee]) -> u32 {
        let Some(chronicle) = self.chronicles.get_mut(&number) else {
            return 0;
        };
        chronicle.push(past);
        let followers = chronicle.followers.iter();
        let followers: Vec<_> = followers
            .filter(|it| it.interface == past.interface)
            .map(|it| it.queue)
            .filter(|queue| named.iter().all(|to| to.queue != *queue))
            .collect();
        let mut count = 1;
        for queue in followers {
            if let Some(backlog) = self.get_mut(queue)
                && backlog.has_followed(number, &past)
                && !backlog.has_had(past.number)
            {
                backlog.wait_for(past.number);
                count += 1;
            }
        }
        count
    }

    /// Takes over what a queue has followed before.
    pub(super) fn follow_again(&mut self, queue: u32, follow: &Follow) {
        if let Some(chronicle) = self.chronicles.get_mut(&follow.chronicle) {
            chronicle.followers.push(Follower {
                queue,
                interface: follow.interface,
                since: Some(0),
            });
        }
    }

    /// Has a queue begin with a past event of a class, unless it has begun. Returns whether it
    /// joins, and is to be told when it is live.
    pub(super) fn join(
        &mut self,
        id: SubscriptionId,
        (class, interface): (EventClassId, InterfaceId),
        start: Start,
        next: Number,
    ) -> bool {
        let queue = self.find(id).map(|queue| queue.number);
        let (Some(number), Some(queue)) = (self.chronicle_of(class), queue) else {
            return false;
        };
        let Some(chronicle) = self.chronicles.get_mut(&number) else {
            return false;
        };
        if let Some(follower) = chronicle.follower(queue, interface) {
            return follower.since.is_none();
        }
        let is_new = start == Start::New;
        chronicle.followers.push(Follower {
            queue,
            interface,
            since: is_new.then_some(0),
        });
        chronicle.settle();
        let from = chronicle.first(start, next);
        let past = chronicle.from(from).filter(|it| it.interface == interface);
        let past: Vec<_> = past.map(|it| it.number).collect();
        let follow = Follow {
            chronicle: number,
            interface,
            from,
            through: next.max(from) - 1,
        };
        let past = self.get_mut(queue).map(|it| it.begin_with(follow, past));
        self.wait_also(past.unwrap_or_default());
        !is_new
    }

    /// Says that every fire from this mark on names the queue where it is to.
    pub(super) fn go_live(&mut self, queue: u32, mark: u64) {
        for chronicle in self.chronicles.values_mut() {
            for follower in &mut chronicle.followers {
                if follower.queue == queue && follower.since.is_none() {
                    follower.since = Some(mark);
                }
            }
            chronicle.settle();
        }
    }

    /// Forgets a queue that is gone.
    pub(super) fn unfollow(&mut self, queue: u32) {
        for chronicle in self.chronicles.values_mut() {
            chronicle.followers.retain(|it| it.queue != queue);
            chronicle.settle();
        }
    }
}
