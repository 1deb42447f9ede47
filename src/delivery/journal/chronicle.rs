//! The past events of one class, and which queues have them before they hear of new ones.
//!
//! An event of a class with a history names its chronicle among those who wait for it, so it stays
//! stored until the chronicle lets it go.
//!
//! # Gap-free and duplicate-free
//!
//! A queue that begins with a past event *joins* the chronicle: under the lock of the journal it
//! gets what the chronicle has by then, and from then on each event that is entered and does not
//! name it. For a fire that began before the subscription was in its snapshot does not name it.
//! When every snapshot has it the queue is *live*, with a mark that is greater than that of every
//! fire before; an event with that mark or a greater one was fired by a snapshot that has the
//! queue, and is the queue's if it names it. So each event comes from one side, and from one only.
//!
//! What came unnamed was asked by no filter, and is asked when it is read.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::ledger::{Ledger, Number};
use crate::model::{EventClassId, History, Start, SubscriptionId};
use crate::store::record::queue::{Addressee, Follow, QueueRecord};
use crate::value::InterfaceId;

/// The past events of one class.
pub(super) struct Chronicle {
    pub(super) class: EventClassId,
    /// How many are kept; all of them before the class is made ready.
    terms: Option<History>,
    /// In the order of their numbers.
    events: VecDeque<Past>,
    bytes: u64,
    /// The greatest number that an event of it had.
    last: Number,
    pub(super) is_stored: bool,
    /// Whether nothing was left when that was last looked at.
    is_empty: bool,
}

/// The queues that have past events: chronicle -> its followers. A chronicle that was given up may
/// still have some, which wait for what it had.
#[derive(Default)]
pub(super) struct Followers(HashMap<u32, Following>);

#[derive(Default)]
struct Following {
    all: Vec<Follower>,
    /// Events with this mark or a greater one name all followers that are to have them.
    settled: u64,
}

/// What became of a queue that may begin with a past event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// It has begun before, or the class keeps no history. If it is still joining, it is to be told
    /// when it is live.
    Before { is_joining: bool },
    /// It has begun now.
    Begun { is_joining: bool },
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
            last: 0,
            is_stored: false,
            is_empty: true,
        }
    }

    fn push(&mut self, past: Past) {
        self.bytes += u64::from(past.size);
        self.last = self.last.max(past.number);
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

    /// Returns what is stored of it: the number with which it goes on where nothing is left.
    pub(super) fn record(&self) -> QueueRecord {
        QueueRecord::Chronicle {
            class: self.class,
            last: self.last,
        }
    }

    /// Takes over with which number it goes on.
    pub(super) fn go_on_behind(&mut self, last: Number) {
        self.last = self.last.max(last);
    }
}

impl Following {
    fn settle(&mut self) {
        let since = self.all.iter().map(|it| it.since.unwrap_or(u64::MAX));
        self.settled = since.max().unwrap_or_default();
    }
}

impl Followers {
    fn add(&mut self, chronicle: u32, follower: Follower) {
        let following = self.0.entry(chronicle).or_default();
        following.all.push(follower);
        following.settle();
    }

    fn find(&self, chronicle: u32, queue: u32, interface: InterfaceId) -> Option<&Follower> {
        let mut all = self.0.get(&chronicle)?.all.iter();
        all.find(|it| it.queue == queue && it.interface == interface)
    }

    /// Returns the queues for which an event is, since they join, that does not name them.
    fn joining(&self, kept: &Kept, named: &[Addressee]) -> Vec<u32> {
        let following = self.0.get(&kept.chronicle);
        let following = following.filter(|it| kept.mark < it.settled);
        let all = following.map_or(&[][..], |it| &it.all);
        let joining = all.iter().filter(|it| {
            it.interface == kept.past.interface
                && it.since.is_none_or(|since| kept.mark < since)
                && named.iter().all(|to| to.queue != it.queue)
        });
        joining.map(|it| it.queue).collect()
    }

    /// Returns the queues of which this event may be that does not name them.
    fn of(&self, chronicle: u32, past: &Past, named: &[Addressee]) -> Vec<u32> {
        let all = self.0.get(&chronicle).map_or(&[][..], |it| &it.all);
        let of = all.iter().filter(|it| {
            it.interface == past.interface && named.iter().all(|to| to.queue != it.queue)
        });
        of.map(|it| it.queue).collect()
    }

    fn go_live(&mut self, chronicle: u32, queue: u32, interface: InterfaceId, mark: u64) {
        let Some(following) = self.0.get_mut(&chronicle) else {
            return;
        };
        for follower in &mut following.all {
            if follower.queue == queue && follower.interface == interface {
                follower.since = follower.since.or(Some(mark));
            }
        }
        following.settle();
    }

    fn forget(&mut self, queue: u32) {
        for following in self.0.values_mut() {
            following.all.retain(|it| it.queue != queue);
            following.settle();
        }
        self.0.retain(|_, following| !following.all.is_empty());
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

    /// Returns the chronicles in which nothing is left since this was last asked.
    pub(super) fn emptied(&mut self) -> Vec<u32> {
        let all = self.chronicles.iter_mut();
        let emptied = all.filter_map(|(number, chronicle)| {
            let is_told = std::mem::replace(&mut chronicle.is_empty, chronicle.events.is_empty());
            (chronicle.is_empty && !is_told).then_some(*number)
        });
        emptied.collect()
    }

    /// Gives up a chronicle. Returns the events for which nobody waits now.
    pub(super) fn close_chronicle(&mut self, number: u32) -> Vec<Number> {
        let gone = self.chronicles.remove(&number);
        let events = gone.map(|chronicle| chronicle.events).unwrap_or_default();
        self.let_go(events.into_iter().map(|it| it.number))
    }

    /// Notes that an event is about to be stored. Returns what is to be stored with it.
    pub(super) fn announce(&mut self, kept: Option<&Kept>, named: &[Addressee]) -> Vec<u32> {
        let Some(kept) = kept else {
            return Vec::new();
        };
        let mut changed = self.followers.joining(kept, named);
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
        let joining = self.followers.joining(kept, named);
        self.chronicles.get_mut(&kept.chronicle)?.push(kept.past);
        for queue in &joining {
            self.extend_follow(*queue, kept);
            if let Some(backlog) = self.get_mut(*queue) {
                backlog.wait_for(kept.past.number);
            }
        }
        Some(joining)
    }

    /// Takes a stored event into a chronicle again, if that is there, and to those queues that have
    /// followed it. Returns how many wait for it by that.
    pub(super) fn reenter(&mut self, number: u32, past: Past, named: &[Addressee]) -> u32 {
        let mut count = 0;
        if let Some(chronicle) = self.chronicles.get_mut(&number) {
            chronicle.push(past);
            count += 1;
        }
        for queue in self.followers.of(number, &past, named) {
            if let Some(backlog) = self.get_mut(queue)
                && backlog.has_followed(number, &past)
                && !backlog.has_had(past.number)
            {
                backlog.wait_for_past(past.number);
                count += 1;
            }
        }
        count
    }

    /// Takes over what a queue has followed before.
    pub(super) fn follow_again(&mut self, queue: u32, follow: &Follow) {
        let follower = Follower {
            queue,
            interface: follow.interface,
            since: Some(0),
        };
        self.followers.add(follow.chronicle, follower);
    }

    /// Has a queue begin with a past event of a class, unless it has begun. One that is older than
    /// the history has heard of all that is in it.
    pub(super) fn join(
        &mut self,
        id: SubscriptionId,
        (class, interface): (EventClassId, InterfaceId),
        start: Start,
        next: Number,
    ) -> Join {
        let queue = self.find(id).map(|queue| queue.number);
        let (Some(number), Some(queue)) = (self.chronicle_of(class), queue) else {
            return Join::Before { is_joining: false };
        };
        if let Some(follower) = self.followers.find(number, queue, interface) {
            let is_joining = follower.since.is_none();
            return Join::Before { is_joining };
        }
        let is_joining = start != Start::New && queue > number;
        let follower = Follower {
            queue,
            interface,
            since: (!is_joining).then_some(0),
        };
        self.followers.add(number, follower);
        let begin = |chronicle: &Chronicle| match is_joining {
            true => chronicle.first(start, next),
            false => next,
        };
        let chronicle = self.chronicles.get(&number);
        let from = chronicle.map_or(next, begin);
        let past = chronicle.map(|it| it.from(from).filter(|it| it.interface == interface));
        let past: Vec<_> = past.into_iter().flatten().map(|it| it.number).collect();
        let follow = Follow {
            chronicle: number,
            interface,
            from,
            through: next.max(from) - 1,
        };
        self.limit_had(queue, &past);
        let past = self.get_mut(queue).map(|it| it.begin_with(follow, past));
        self.wait_also(past.unwrap_or_default());
        Join::Begun { is_joining }
    }

    /// Says that every fire of the site from this mark on names the queue where it is to.
    pub(super) fn go_live(
        &mut self,
        queue: u32,
        (class, interface): (EventClassId, InterfaceId),
        mark: u64,
    ) {
        if let Some(chronicle) = self.chronicle_of(class) {
            self.followers.go_live(chronicle, queue, interface, mark);
        }
    }

    /// Forgets a queue that is gone.
    pub(super) fn unfollow(&mut self, queue: u32) {
        self.followers.forget(queue);
    }
}
