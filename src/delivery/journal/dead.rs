//! Events that nobody could deliver.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;

use super::ledger::Number;
use super::pending::Appended;
use super::{Journal, Receipt, Refusal};
use crate::delivery::Parcel;
use crate::error::{Error, ErrorKind, Result};
use crate::model::SubscriptionId;
use crate::notices::Notice;
use crate::store::Store;
use crate::store::record::queue::{self, Addressee, DeadEvent, QueuedEvent};
use crate::value::{ValueRef, panic_message};

/// Why an event became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadLetterCause {
    /// The subscriber failed at it as often as it was to be tried.
    Failed,
    /// Its time to live was over.
    Expired,
    /// The interface has changed since it was fired: as the subscriber has it, no event takes its
    /// values, and no [upcaster](crate::Upcaster) made it one that does. Once there is one, or the
    /// older program is back, it can be [replayed](crate::Broker::replay).
    SchemaChanged,
    /// The subscriber failed with a [`Hopeless`](crate::Hopeless) error: it was not tried again.
    Hopeless,
}

/// The key of a dead letter, and its stored form.
pub(super) type Letter = (Vec<u8>, Vec<u8>);

/// What a dead letter is found by: its subscription, and the number of its event.
pub(crate) type LetterName = (SubscriptionId, Number);

/// A dead letter as the store has it.
pub(crate) struct Retold {
    pub(crate) subscription: SubscriptionId,
    pub(crate) number: u64,
    pub(crate) dead: DeadEvent,
    pub(crate) method: Option<String>,
    pub(crate) parameters: Vec<String>,
}

/// A dead letter that somebody replays or purges, and nobody else until this is dropped.
struct Held<'a> {
    journal: &'a Journal,
    key: Vec<u8>,
}

impl DeadLetterCause {
    fn number(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Expired => 1,
            Self::SchemaChanged => 2,
            Self::Hopeless => 3,
        }
    }

    pub(crate) fn of(number: u8) -> Self {
        match number {
            0 => Self::Failed,
            1 => Self::Expired,
            3 => Self::Hopeless,
            _ => Self::SchemaChanged,
        }
    }
}

/// Returns the stored form of an event, or says why it has none. Calls the code of its arguments.
pub(super) fn encode(
    parcel: &dyn Parcel,
    addressees: Vec<Addressee>,
) -> std::result::Result<Vec<u8>, String> {
    let event = event_of(parcel, addressees)?;
    queue::encode_event(&event).map_err(|error| error.to_string())
}

fn event_of(
    parcel: &dyn Parcel,
    addressees: Vec<Addressee>,
) -> std::result::Result<QueuedEvent, String> {
    let read = || parcel.values().iter().map(ValueRef::to_value).collect();
    let values = catch_unwind(AssertUnwindSafe(read)).map_err(panic_message)?;
    let (fire, schema) = (parcel.fire().to_stored(), parcel.schema());
    Ok(QueuedEvent {
        class: fire.class.uuid(),
        interface: schema.id().uuid(),
        schema: *schema.hash().as_bytes(),
        method: u32::try_from(parcel.method()).unwrap_or(u32::MAX),
        values,
        id: fire.id.uuid(),
        time: fire.time,
        depth: fire.depth,
        properties: fire.properties,
        addressees,
    })
}

impl Journal {
    /// Makes a dead letter of an event.
    pub(super) fn bury(
        &self,
        parcel: &Arc<dyn Parcel>,
        receipt: &Receipt,
        cause: DeadLetterCause,
        why: &str,
    ) {
        if !receipt.judge() {
            return;
        }
        let (queue, number) = (receipt.queue, receipt.number);
        let to = Addressee {
            queue,
            lane: receipt.lane,
            why: super::number_of(parcel.triggered()),
        };
        match event_of(&**parcel, vec![to]) {
            Ok(event) => self.bury_event(queue, number, event, cause, why),
            // Its values could be read when it was stored, so its record can.
            Err(_) => match self.stored_event(number) {
                Some(event) => self.bury_event(queue, number, event, cause, why),
                None => self.put_back_in(queue, number, receipt.epoch),
            },
        }
    }

    /// Makes a dead letter of an event that does not fit any more.
    pub(super) fn bury_stored(&self, queue: u32, number: Number, event: QueuedEvent, why: &str) {
        self.bury_event(queue, number, event, DeadLetterCause::SchemaChanged, why);
    }

    fn stored_event(&self, number: Number) -> Option<QueuedEvent> {
        let entry = self.store()?.get(&queue::event_key(number)).ok()??;
        queue::decode_event(&entry.value).ok()
    }

    fn bury_event(
        &self,
        queue: u32,
        number: Number,
        mut event: QueuedEvent,
        cause: DeadLetterCause,
        why: &str,
    ) {
        event.addressees.retain(|to| to.queue == queue);
        let mut state = self.state.lock();
        let Some(backlog) = state.ledger.get_mut(queue) else {
            return;
        };
        let (id, name) = (backlog.id, backlog.name.to_string());
        let tries = backlog.tries(number).cloned().unwrap_or_default();
        drop(state);
        let dead = DeadEvent {
            event,
            name,
            cause: cause.number(),
            reason: why.to_owned(),
            time: self.staff.clock.now(),
            attempts: tries.attempts,
        };
        // Stored in one write, or a crash between two would leave a letter that still waits.
        let letter = match self.is_resolved(id, number, &dead) {
            true => None,
            false => self.letter_of(id, number, dead),
        };
        self.done_with(queue, number, letter);
    }

    /// Offers an event to whoever is to have a last look at those that are given up.
    fn is_resolved(&self, id: SubscriptionId, number: Number, dead: &DeadEvent) -> bool {
        let (Some(last_resort), Some(store)) = (&self.last_resort, self.store()) else {
            return false;
        };
        let told = self.retold(&*store, (id, number), dead.clone());
        let resolved = catch_unwind(AssertUnwindSafe(|| last_resort(told)));
        resolved.unwrap_or_else(|panic| {
            drop(panic_message(panic));
            false
        })
    }

    /// Tells of a dead letter, and returns it as it is stored.
    fn letter_of(&self, id: SubscriptionId, number: Number, dead: DeadEvent) -> Option<Letter> {
        let bytes = queue::encode_dead_event(&dead).ok();
        let letter = bytes.map(|bytes| (queue::dead_letter_key(id, number), bytes));
        self.staff.notices.push(Notice::DeadLetter {
            id: id.uuid(),
            reason: reason(&dead),
            attempts: dead.attempts.len(),
            name: dead.name,
        });
        letter
    }

    /// Returns the dead letters, those of one subscription if one is named.
    pub(crate) fn dead_letters(&self, of: Option<SubscriptionId>) -> Result<Vec<Retold>> {
        let store = self.store().ok_or_else(closed)?;
        // What was buried a moment ago is among them.
        self.write_present()?;
        let prefix = of.map_or_else(|| queue::DEAD_LETTERS.to_vec(), queue::dead_letters_of);
        let mut found = Vec::new();
        store.scan(&prefix, &mut |key, entry| {
            let Some(name) = queue::parse_dead_letter_key(key) else {
                return ControlFlow::Continue(());
            };
            match queue::decode_dead_event(&entry.value) {
                Ok(dead) => found.push((name, dead)),
                Err(error) => self.staff.notices.push(Notice::Quarantined {
                    key: key.to_vec(),
                    reason: error.to_string(),
                }),
            }
            ControlFlow::Continue(())
        })?;
        let found = found.into_iter();
        let retold = found.map(|(name, dead)| self.retold(&*store, name, dead));
        Ok(retold.collect())
    }

    fn retold(
        &self,
        store: &dyn Store,
        (subscription, number): (SubscriptionId, u64),
        dead: DeadEvent,
    ) -> Retold {
        let (method, parameters) = self.names(store, &dead.event);
        Retold {
            subscription,
            number,
            method,
            parameters,
            dead,
        }
    }

    /// Returns the names of an event's method and of its parameters, as far as they are known.
    pub(super) fn names(
        &self,
        store: &dyn Store,
        event: &QueuedEvent,
    ) -> (Option<String>, Vec<String>) {
        let schema = self.schema_of(store, event);
        let method = usize::try_from(event.method).unwrap_or(usize::MAX);
        let method = schema.as_ref().and_then(|it| it.methods().get(method));
        let parameters = method.map(|it| it.parameters().iter());
        let parameters = parameters.map(|all| all.map(|it| it.name().to_owned()).collect());
        let method = method.map(|method| method.name().to_owned());
        (method, parameters.unwrap_or_default())
    }

    /// Has dead letters delivered again, those that are there and nobody holds, and returns how
    /// many these are: as events that were fired when they were, those that came too late then as
    /// ones that are fired now. What is wrong with one ends it; those before are replayed.
    pub(crate) fn replay(&self, letters: &[LetterName]) -> Result<usize> {
        self.write_present()?;
        let (mut replaying, mut outcome) = (Vec::new(), Ok(()));
        for name in letters {
            match self.begin_replay(*name) {
                Ok(Some(begun)) => replaying.push(begun),
                Ok(None) => {}
                // The subscription went.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let mut count = 0;
        for (letter, number) in replaying {
            let written = self.written(number).map_err(refused);
            count += usize::from(written.is_ok());
            outcome = outcome.and(written);
            drop(letter);
        }
        outcome.map(|()| count)
    }

    /// Puts a dead letter into its queue, if it is there, where it is when it is written.
    fn begin_replay(&self, name: LetterName) -> Result<Option<(Held<'_>, Number)>> {
        let Some((held, bytes)) = self.hold(name)? else {
            return Ok(None);
        };
        let dead = queue::decode_dead_event(&bytes)?;
        let number = self.put_into_queue(name.0, dead, &held.key)?;
        Ok(Some((held, number)))
    }

    /// Returns a dead letter and its stored form for one who does something with it, if it is there
    /// and nobody does: whoever had it before is through.
    fn hold(&self, (id, letter): LetterName) -> Result<Option<(Held<'_>, Vec<u8>)>> {
        let key = queue::dead_letter_key(id, letter);
        if !self.state.lock().held.insert(key.clone()) {
            return Ok(None);
        }
        let held = Held { journal: self, key };
        let store = self.store().ok_or_else(closed)?;
        let found = store.get(&held.key)?;
        Ok(found.map(|entry| (held, entry.value)))
    }

    fn put_into_queue(&self, id: SubscriptionId, dead: DeadEvent, key: &[u8]) -> Result<Number> {
        if let Some(open) = self.open_site.get() {
            // Nobody may have fired such an event since the broker was opened.
            open(dead.event.class.into(), dead.event.interface.into());
        }
        let reserved = self.reserve(id).map_err(refused)?;
        let to = dead.event.addressees.first().copied();
        let addressee = Addressee {
            queue: reserved,
            lane: to.map_or(0, |to| to.lane),
            why: to.map_or(0, |to| to.why),
        };
        let mut event = dead.event;
        event.addressees = vec![addressee];
        if DeadLetterCause::of(dead.cause) == DeadLetterCause::Expired {
            event.time = self.staff.clock.now();
        }
        let bytes = queue::encode_event(&event);
        let mut state = self.state.lock();
        let bytes = match (bytes, state.is_stopped) {
            (Ok(bytes), false) => bytes,
            (bytes, _) => {
                state.release(&[addressee]);
                drop(state);
                self.changed.notify_all();
                return Err(bytes.err().unwrap_or_else(closed));
            }
        };
        state.last += 1;
        let number = state.last;
        let event = Appended::replayed(number, bytes, addressee, key.to_vec());
        state.pending.append(event);
        Ok(number)
    }

    /// Gives dead letters up, those that are there and nobody holds, in one commit, and returns how
    /// many these are.
    pub(crate) fn purge(&self, letters: &[LetterName]) -> Result<usize> {
        self.write_present()?;
        let mut all = Vec::new();
        for name in letters {
            let held = self.hold(*name)?;
            all.extend(held.map(|(held, _)| held));
        }
        let mut state = self.state.lock();
        for held in &all {
            state.pending.put(held.key.clone(), None);
        }
        drop(state);
        self.write_present()?;
        Ok(all.len())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.journal.state.lock().held.remove(&self.key);
    }
}

fn reason(dead: &DeadEvent) -> String {
    match dead.attempts.last() {
        Some(last) => format!("{}; the last error: {}", dead.reason, last.error),
        None => dead.reason.clone(),
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the broker is closed")
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Gone => Error::new(ErrorKind::NotFound, "the subscription has no queue"),
        Refusal::Closed => closed(),
        Refusal::Full | Refusal::Dropped => Error::new(
            ErrorKind::Unavailable,
            "the queue of the subscription is full",
        ),
        Refusal::Unwritten(why) => Error::new(ErrorKind::Unavailable, why),
    }
}
