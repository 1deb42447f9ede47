//! Events that are stored together with what somebody else writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::chronicle::Kept;
use super::keeping::KeepPast;
use super::ledger::Ledger;
use super::pending::Appended;
use super::turn::Turn;
use super::{Journal, Post, Refusal, State, dead, number_of};
use crate::delivery::Parcel;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Batch;
use crate::store::record::queue::{self, Addressee};
use crate::value::drop_quietly;

/// Events that are part of a batch. While it lasts the journal writes nothing, so that events are
/// stored in the order of their numbers.
pub(crate) struct Joined {
    appended: Vec<Appended>,
    /// Queues that are known to the store with the batch.
    new: BTreeSet<u32>,
    turn: Turn,
}

/// Events with places in the queues of those who wait for them.
struct Reserved<'a> {
    journal: &'a Journal,
    events: Vec<Encoded>,
}

/// An event in its stored form, and who waits for it.
struct Encoded {
    bytes: Vec<u8>,
    parcel: Arc<dyn Parcel>,
    addressees: Vec<Addressee>,
    kept: Option<Kept>,
}

impl Journal {
    /// Adds events to a batch. Where there is no room in a queue that does not say that it loses
    /// what is new, that is an error.
    pub(crate) fn join<'e>(
        self: &Arc<Self>,
        events: impl Iterator<Item = (&'e Arc<dyn Parcel>, &'e [Post], Option<&'e KeepPast>)>,
        batch: &mut Batch,
    ) -> Result<Joined> {
        let mut reserved = Reserved {
            journal: self,
            events: Vec::new(),
        };
        for (parcel, posts, keep) in events {
            reserved.add(parcel, posts, keep)?;
        }
        let mut joined = Joined {
            appended: Vec::new(),
            new: BTreeSet::new(),
            turn: self.turn_behind_events()?,
        };
        let mut state = self.state.lock();
        for event in std::mem::take(&mut reserved.events) {
            joined.add(event, &mut state, batch);
        }
        joined.add_queues(&mut state.ledger, batch);
        Ok(joined)
    }
}

impl Reserved<'_> {
    fn add(
        &mut self,
        parcel: &Arc<dyn Parcel>,
        posts: &[Post],
        keep: Option<&KeepPast>,
    ) -> Result<()> {
        let kept = self.journal.kept(keep, &**parcel).map_err(unkept)?;
        let mut addressees = Vec::new();
        for post in posts {
            match self.journal.reserve(post.subscription) {
                Ok(queue) => addressees.push(Addressee {
                    queue,
                    lane: post.lane,
                    why: number_of(post.why),
                }),
                Err(Refusal::Dropped | Refusal::Gone) => {}
                Err(refusal) => {
                    self.release(&addressees);
                    return Err(refused(post, refusal));
                }
            }
        }
        let named = addressees.iter().copied();
        let named = named.chain(kept.as_ref().map(Kept::addressee)).collect();
        match dead::encode(&**parcel, named) {
            Ok(bytes) => {
                let event = Encoded {
                    bytes,
                    parcel: Arc::clone(parcel),
                    addressees,
                    kept,
                };
                self.events.push(event);
                Ok(())
            }
            Err(why) => {
                self.release(&addressees);
                let message = format!("the event cannot be stored: {why}");
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    fn release(&self, addressees: &[Addressee]) {
        self.journal.state.lock().release(addressees);
        // Whoever waits for room.
        self.journal.changed.notify_all();
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let events = std::mem::take(&mut self.events);
        for event in &events {
            self.release(&event.addressees);
        }
        let parcels: Vec<_> = events.into_iter().map(|event| event.parcel).collect();
        drop_quietly(parcels);
    }
}

impl Joined {
    fn add(&mut self, event: Encoded, state: &mut State, batch: &mut Batch) {
        let Encoded {
            bytes,
            parcel,
            addressees,
            kept,
        } = event;
        state.last += 1;
        let number = state.last;
        let mut event = Appended::new(number, bytes, &parcel, addressees, false).kept(kept);
        self.new.extend(event.put_in(batch, &mut state.ledger));
        self.appended.push(event);
    }

    fn add_queues(&self, ledger: &mut Ledger, batch: &mut Batch) {
        for number in &self.new {
            let record = ledger.record(*number);
            if let Some(Ok(bytes)) = record.as_ref().map(queue::encode_queue) {
                batch.put(queue::queue_key(*number), bytes);
            }
        }
    }

    /// Says that the batch was committed: the events are delivered from now on. Returns for how
    /// many subscriptions they are.
    pub(crate) fn committed(mut self) -> usize {
        let appended = std::mem::take(&mut self.appended);
        let count = appended.iter().map(Appended::count).sum();
        let journal = Arc::clone(self.turn.journal());
        let mut state = journal.state.lock();
        for queue in &self.new {
            state.ledger.set_stored(*queue);
        }
        let (mut feed, mut parcels) = (BTreeSet::new(), Vec::new());
        for event in appended {
            event.release(&mut state);
            parcels.push(state.enter(event, &mut feed));
        }
        drop(state);
        drop_quietly(parcels);
        drop(self);
        feed.into_iter().for_each(|id| journal.feed_fresh(id));
        count
    }

    /// Says that nobody knows whether the batch was committed.
    pub(crate) fn doubted(self) {
        let journal = self.turn.journal();
        journal.state.lock().pending.is_uncertain = true;
        journal.write_later();
    }
}

/// Whether committed or not.
impl Drop for Joined {
    fn drop(&mut self) {
        let appended = std::mem::take(&mut self.appended);
        let mut state = self.turn.journal().state.lock();
        for event in &appended {
            event.release(&mut state);
        }
        drop(state);
        drop_quietly(appended);
    }
}

fn unkept(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Closed => dead::closed(),
        Refusal::Unwritten(why) => Error::new(ErrorKind::Unavailable, why),
        _ => Error::new(ErrorKind::Unavailable, "the history cannot be written"),
    }
}

fn refused(post: &Post, refusal: Refusal) -> Error {
    let id = post.subscription;
    match refusal {
        Refusal::Full | Refusal::Dropped => {
            let message = format!("the queue of the subscription {id} is full");
            Error::new(ErrorKind::Unavailable, message)
        }
        Refusal::Closed | Refusal::Gone => Error::new(ErrorKind::Closed, "the broker is closed"),
        Refusal::Unwritten(why) => Error::new(ErrorKind::Unavailable, why),
    }
}
