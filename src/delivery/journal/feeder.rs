//! Filling the lanes of queues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backlog::{Backlog, WINDOW};
use super::ledger::Number;
use super::receipt::Addressed;
use super::{Journal, triggered_of};
use crate::delivery::desk::Site;
use crate::delivery::lane::{Bounds, Pushed};
use crate::delivery::{Carried, Desk, Parcel, StoredFire};
use crate::error::Result;
use crate::model::{Overflow, Queued, SubscriptionId};
use crate::notices::Notice;
use crate::store::Store;
use crate::store::record::queue::{self, QueuedEvent, Tries};
use crate::store::record::{self, Record, RecordKey};
use crate::value::{InterfaceSchema, ValueKey, drop_quietly};

/// What is put into a lane next.
struct Meal {
    desk: Arc<Desk>,
    queue: u32,
    epoch: u64,
    terms: Option<Arc<Queued>>,
    fresh: Vec<Addressed>,
    /// Those that are in the store alone.
    stored: Vec<(Number, Option<Tries>)>,
    /// How often somebody had come to receive when this was taken out.
    seatings: u64,
}

/// Who asks what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feeding {
    /// Somebody who wants no more than what has just come.
    Fresh,
    /// Somebody who fills the lane.
    First,
    /// The same, who is at the queue of this number.
    Next(u32),
}

/// How often a thread fills a lane before others have their turn.
const MEALS: usize = 16;

/// What became of an event that was to be read.
enum Found {
    Event(Addressed),
    /// It is not for this queue.
    Nothing,
    /// It cannot be read, or nobody receives events of its class now.
    Stranded,
    /// The interface has no such event any more.
    Misfit(QueuedEvent, String),
}

/// How long is waited before what could not be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Journal {
    /// Has a thread of the pool fill the lane of a subscription.
    pub(super) fn feed_soon(&self, id: SubscriptionId) {
        let state = self.state.lock();
        let is_hungry = state.ledger.find(id).is_some_and(|queue| {
            let waits = !queue.tail.is_empty() && queue.is_hungry();
            queue.desk.is_some() && !queue.is_feeding && (waits || !queue.fresh.is_empty())
        });
        let is_open = !state.is_stopped;
        drop(state);
        if let (true, true, Some(me)) = (is_hungry, is_open, self.me.upgrade()) {
            let feed = move || me.feed(id);
            // Stopped, where the broker was closed.
            if self.staff.pool.submit(Box::new(feed)).is_err() {
                self.feed_later(id);
            }
        }
    }

    /// Puts into the lane of a subscription what has just come, on a thread that has other things
    /// to do: what is to be read is left to others.
    pub(super) fn feed_fresh(&self, id: SubscriptionId) {
        if let Some(meal) = self.next_meal(id, Feeding::Fresh) {
            let queue = meal.queue;
            let served = self.serve(meal);
            self.leave_off(queue);
            if !served {
                return self.feed_later(id);
            }
        }
        self.feed_soon(id);
    }

    /// Fills the lane of a subscription, if nobody else is at it.
    fn feed(&self, id: SubscriptionId) {
        let mut feeding = Feeding::First;
        for _ in 0..MEALS {
            let Some(meal) = self.next_meal(id, feeding) else {
                return;
            };
            let queue = meal.queue;
            feeding = Feeding::Next(queue);
            if !self.serve(meal) {
                self.leave_off(queue);
                return self.feed_later(id);
            }
        }
        // Others wait for the thread.
        if let Feeding::Next(queue) = feeding {
            self.leave_off(queue);
        }
        self.feed_soon(id);
    }

    /// Takes out what comes next; when there is nothing, whoever asks is not at it any more.
    fn next_meal(&self, id: SubscriptionId, feeding: Feeding) -> Option<Meal> {
        let mut state = self.state.lock();
        let is_stopped = state.is_stopped;
        let queue = state.ledger.find_mut(id)?;
        match feeding {
            // One that has come in its place has others at it.
            Feeding::Next(number) if number != queue.number => return None,
            Feeding::Next(_) => {}
            _ if std::mem::replace(&mut queue.is_feeding, true) => return None,
            _ => {}
        }
        let desk = queue.desk.as_ref().and_then(|desk| desk.upgrade());
        let mut left = VecDeque::new();
        // What could not be read comes before what has come since.
        let is_behind = |event: &Addressed| queue.tail.front().is_some_and(|it| *it < event.number);
        if desk.is_none() || is_stopped || queue.fresh.front().is_some_and(is_behind) {
            left = std::mem::take(&mut queue.fresh);
            left.iter().for_each(|event| queue.put_back(event.number));
        }
        let fresh: Vec<_> = queue.fresh.drain(..).collect();
        let stored = match desk.is_some() && !is_stopped && fresh.is_empty() {
            true if feeding != Feeding::Fresh => queue.next_to_read(),
            _ => Vec::new(),
        };
        let is_over = fresh.is_empty() && stored.is_empty();
        queue.is_feeding = !is_over;
        let stored = stored.into_iter();
        let stored = stored.map(|number| (number, queue.tries(number).cloned()));
        let (stored, terms) = (stored.collect(), queue.terms.clone());
        let (queue, epoch, seatings) = (queue.number, queue.epoch, queue.seatings);
        drop(state);
        drop_quietly(left);
        let desk = desk.filter(|_| !is_over)?;
        Some(Meal {
            desk,
            queue,
            epoch,
            terms,
            fresh,
            stored,
            seatings,
        })
    }

    /// Puts events into a lane. Returns false if some cannot be read now.
    fn serve(&self, meal: Meal) -> bool {
        let Meal {
            desk,
            queue,
            epoch,
            terms,
            fresh,
            stored,
            mut seatings,
        } = meal;
        let (terms, at) = (terms.as_deref(), (queue, epoch));
        for event in fresh {
            self.push(&desk, at, terms, event, None);
        }
        let mut rest = stored.into_iter();
        while let Some((number, tries)) = rest.next() {
            let mut found = self.read(&desk, terms, (queue, number));
            while matches!(found, Ok(Found::Stranded)) && !self.strand(queue, number, &mut seatings)
            {
                found = self.read(&desk, terms, (queue, number));
            }
            match found {
                Ok(Found::Event(event)) => self.push(&desk, at, terms, event, tries.as_ref()),
                Ok(Found::Stranded) => {}
                Ok(Found::Nothing) => self.done(queue, number),
                Ok(Found::Misfit(event, why)) => self.bury_stored(queue, number, event, &why),
                Err(_) => {
                    self.put_back_in(queue, number, epoch);
                    rest.for_each(|(number, _)| self.put_back_in(queue, number, epoch));
                    drop_quietly(desk);
                    return false;
                }
            }
        }
        drop_quietly(desk);
        true
    }

    fn push(
        &self,
        desk: &Arc<Desk>,
        at: (u32, u64),
        terms: Option<&Queued>,
        event: Addressed,
        tries: Option<&Tries>,
    ) {
        let (lane, number) = (event.lane, event.number);
        let key = key_of(terms, lane, number);
        let parcel = event.into_letter(&self.me, at, tries);
        self.push_parcel(desk, terms, parcel, &key);
    }

    /// Puts an event into a lane, or into it again.
    pub(super) fn push_parcel(
        &self,
        desk: &Arc<Desk>,
        terms: Option<&Queued>,
        parcel: Arc<dyn Parcel>,
        key: &ValueKey,
    ) {
        let bounds = Bounds {
            capacity: WINDOW,
            overflow: Overflow::Fail,
            keyed: is_keyed(terms),
        };
        // One that has no queue any more has bounds of its own.
        if terms.is_some() {
            desk.rebound(bounds);
        }
        if let Pushed::Ended(parcel) = desk.accept_beyond(bounds, parcel, key) {
            drop_quietly(parcel);
        }
    }

    /// Reads an event for a queue.
    fn read(
        &self,
        desk: &Arc<Desk>,
        terms: Option<&Queued>,
        (queue, number): (u32, Number),
    ) -> Result<Found> {
        let Some(store) = self.store() else {
            return Ok(Found::Stranded);
        };
        // One that cannot be read is kept as it is, as any record is.
        let key = queue::event_key(number);
        let Some(entry) = store.get(&key)? else {
            return Ok(Found::Stranded);
        };
        let event = match queue::decode_event(&entry.value) {
            Ok(event) => event,
            Err(error) => {
                let reason = error.to_string();
                self.staff.notices.push(Notice::Quarantined { key, reason });
                return Ok(Found::Stranded);
            }
        };
        let site = (event.class.into(), event.interface.into());
        if desk.recipient(site).is_none() && !self.serves(desk, site) {
            return Ok(Found::Stranded);
        }
        let addressee = event.addressees.iter().find(|to| to.queue == queue);
        let addressee = addressee.copied();
        let parcel = match self.restored(&*store, &event)? {
            Ok(parcel) => parcel,
            Err(why) => return Ok(Found::Misfit(event, why)),
        };
        // A past event does not name it, and was asked by no fire.
        let is_past = addressee.is_none();
        if is_past && self.is_late(terms, event.time) {
            return Ok(Found::Nothing);
        }
        let lane_of_past = || {
            let recipient = desk.recipient(site);
            recipient.map_or(0, |it| it.lane_of_past(&*parcel))
        };
        let lane = addressee.map_or_else(lane_of_past, |to| to.lane);
        Ok(Found::Event(Addressed {
            number,
            parcel,
            lane,
            why: addressee.and_then(|to| triggered_of(to.why)),
            is_past,
        }))
    }

    /// Returns whether an event was fired longer ago than a queue delivers it.
    fn is_late(&self, terms: Option<&Queued>, fired: SystemTime) -> bool {
        let span = terms.and_then(|terms| terms.time_to_live());
        let end = span.and_then(|span| fired.checked_add(span));
        end.is_some_and(|end| self.staff.clock.now() >= end)
    }

    /// Returns the event as it was fired, or says why nobody can have it.
    fn restored(
        &self,
        store: &dyn Store,
        event: &QueuedEvent,
    ) -> Result<std::result::Result<Arc<dyn Parcel>, String>> {
        let Some(schema) = self.schema(store, event)? else {
            return Ok(Err("the schema that it was fired with is gone".to_owned()));
        };
        let fire = Carried::restored(StoredFire {
            class: event.class.into(),
            id: event.id.into(),
            time: event.time,
            depth: event.depth,
            properties: event.properties.clone(),
        });
        let method = usize::try_from(event.method).unwrap_or(usize::MAX);
        let parcel = (self.restore)(schema, method, event.values.clone(), fire);
        Ok(parcel.ok_or_else(|| "its schema has no such method".to_owned()))
    }

    /// Returns whether somebody receives the events of a site, once its channel is there.
    fn serves(&self, desk: &Desk, site: Site) -> bool {
        let Some(open) = self.open_site.get() else {
            return false;
        };
        open(site.0, site.1) && desk.recipient(site).is_some()
    }

    /// Returns the schema that an event was fired with, if that is known.
    pub(super) fn schema_of(
        &self,
        store: &dyn Store,
        event: &QueuedEvent,
    ) -> Option<Arc<InterfaceSchema>> {
        self.schema(store, event).ok().flatten()
    }

    fn schema(
        &self,
        store: &dyn Store,
        event: &QueuedEvent,
    ) -> Result<Option<Arc<InterfaceSchema>>> {
        let name = (event.interface, event.schema);
        if let Some(schema) = self.schemas.lock().get(&name) {
            return Ok(Some(Arc::clone(schema)));
        }
        let key = RecordKey::Schema(event.interface.into(), event.schema);
        let Some(entry) = store.get(&key.to_bytes())? else {
            return Ok(None);
        };
        let Ok(Record::Schema(schema)) = record::decode(&key, &entry.value, entry.revision) else {
            return Ok(None);
        };
        let schema = Arc::new(schema);
        self.schemas.lock().insert(name, Arc::clone(&schema));
        Ok(Some(schema))
    }

    /// Has an event wait until somebody comes to receive, or returns false if somebody has since.
    fn strand(&self, queue: u32, number: Number, seatings: &mut u64) -> bool {
        let mut state = self.state.lock();
        let Some(queue) = state.ledger.get_mut(queue) else {
            return true;
        };
        if std::mem::replace(seatings, queue.seatings) != queue.seatings {
            return false;
        }
        if queue.fed.remove(&number) {
            queue.stranded.insert(number);
        }
        true
    }

    fn leave_off(&self, queue: u32) {
        let mut state = self.state.lock();
        if let Some(queue) = state.ledger.get_mut(queue) {
            queue.is_feeding = false;
        }
    }

    fn feed_later(&self, id: SubscriptionId) {
        let put_off = |queue: &mut Backlog| !std::mem::replace(&mut queue.is_put_off, true);
        let queue = self.state.lock().ledger.find_mut(id).map(put_off);
        if queue != Some(true) {
            return;
        }
        let me = self.me.clone();
        let again = move || {
            if let Some(journal) = me.upgrade() {
                if let Some(queue) = journal.state.lock().ledger.find_mut(id) {
                    queue.is_put_off = false;
                }
                journal.feed_soon(id);
            }
        };
        let at = self.staff.clock.instant() + PAUSE;
        self.staff.timers.at(at, Box::new(again));
    }
}

/// Returns whether events of the queue may be delivered at the same time.
fn is_keyed(terms: Option<&Queued>) -> bool {
    terms.is_some_and(|terms| terms.key().is_some() || terms.is_relaxed())
}

/// Returns the key of those that an event is delivered in turn with.
pub(super) fn key_of(terms: Option<&Queued>, lane: u64, number: Number) -> ValueKey {
    let Some(terms) = terms.filter(|terms| is_keyed(Some(terms))) else {
        return ValueKey::ONLY;
    };
    let lane = match terms.is_relaxed() {
        true => number,
        false => lane,
    };
    let lane = match terms.concurrency() {
        Some(count) => lane % u64::from(count.max(1)),
        None => lane,
    };
    ValueKey::from_bytes(&lane.to_be_bytes())
}
