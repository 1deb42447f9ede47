//! Events that queues gave up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::Broker;
use crate::delivery::{DeadLetterCause, EventId, LetterName, Retold};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DeliveryMode, EventClassId, Right, SubscriptionId};
use crate::value::{Properties, SchemaHash, Value};

/// An event that the [queue](crate::Queued) of a subscription gave up, with what was tried.
///
/// It stays until it is [replayed](Broker::replay) or [purged](Broker::purge), also when its
/// subscription is gone. To export dead letters, serialize them: names and values are as people
/// write them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[doc(alias("dead letter queue", "MoverQueue"))]
pub struct DeadLetter {
    subscription: SubscriptionId,
    number: u64,
    name: String,
    class: EventClassId,
    schema: SchemaHash,
    method: Option<String>,
    values: Properties,
    event_id: EventId,
    #[serde(serialize_with = "as_timestamp")]
    fired: SystemTime,
    cause: DeadLetterCause,
    reason: String,
    #[serde(serialize_with = "as_timestamp")]
    given_up: SystemTime,
    attempts: Vec<FailedAttempt>,
}

/// An attempt to deliver an event that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedAttempt {
    #[serde(serialize_with = "as_timestamp")]
    time: SystemTime,
    error: String,
}

/// What becomes of an event that its queue gives up, as
/// [`on_final_failure`](crate::BrokerBuilder::on_final_failure) has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinalFailure {
    /// It is kept as a dead letter.
    #[default]
    Keep,
    /// It was seen to, and nothing is kept of it.
    Resolved,
}

impl Broker {
    /// Returns the dead letters of all subscriptions that this handle may read, those of each in
    /// the order in which their events were accepted.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) after the broker was closed, and what reading the store
    /// meets.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.find_dead_letters(None)
    }

    /// Returns the dead letters of one subscription, which may be gone.
    ///
    /// # Errors
    ///
    /// As [`dead_letters`](Self::dead_letters).
    pub fn dead_letters_of(&self, id: impl Into<SubscriptionId>) -> Result<Vec<DeadLetter>> {
        self.find_dead_letters(Some(id.into()))
    }

    /// Puts a dead letter back into the queue of its subscription, behind what waits there, in one
    /// commit with its removal. Id and time of the event are those that it had, so a subscriber
    /// sees the same [idempotency key](crate::EventContext::idempotency_key); but one that came too
    /// late is as if it were fired now, or it would again. Attempts are counted anew.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is there no more, or the subscription has no
    /// queue any more; [`Unavailable`](crate::ErrorKind::Unavailable) if the queue is full or the
    /// store fails; [`Denied`](crate::ErrorKind::Denied) as [`store`](Self::store);
    /// [`Closed`](crate::ErrorKind::Closed) after the broker was closed.
    #[doc(alias = "message mover")]
    pub fn replay(&self, letter: &DeadLetter) -> Result<()> {
        was_there(self.replay_all(std::slice::from_ref(letter))?)
    }

    /// Does with each of these letters, in their order, what [`replay`](Self::replay) does, a
    /// thousand in a commit, and returns how many there were: those that are there no more, or are
    /// being replayed, are passed over.
    ///
    /// # Errors
    ///
    /// As [`replay`](Self::replay), but for those that are gone. A right or a queue that is lacking
    /// for one of them keeps all from being replayed; where a queue is full, or the store fails,
    /// the letters before that are in their queues.
    pub fn replay_all(&self, letters: &[DeadLetter]) -> Result<usize> {
        self.require_dead_letters(letters)?;
        for letter in one_of_each(letters) {
            self.require_queue(letter)?;
        }
        let journal = &self.core.around.journal;
        in_steps(letters, |names| journal.replay(names))
    }

    /// Has a subscription that has dead letters a queue to take them back, or says that it has
    /// none.
    fn require_queue(&self, letter: &DeadLetter) -> Result<()> {
        let journal = &self.core.around.journal;
        journal.make_queue(letter.subscription, &self.queued_name(letter)?);
        // If it went meanwhile nothing more is for it; if it goes from now on, its queue does too.
        self.queued_name(letter).map(drop)
    }

    /// Returns the name that the subscription of a dead letter has now, if it has a queue.
    fn queued_name(&self, letter: &DeadLetter) -> Result<Arc<str>> {
        let present = self.present(letter.subscription);
        let queued = present.filter(|present| {
            let mode = present.record.delivery();
            mode.and_then(DeliveryMode::as_queued).is_some()
        });
        // What waits since it had one may still be in its queue, which takes nothing new.
        let Some(queued) = queued else {
            let message = format!("the subscription {:?} has no queue", letter.name);
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        Ok(Arc::clone(queued.record.shared_name()))
    }

    /// Gives a dead letter up for good.
    ///
    /// # Errors
    ///
    /// As [`replay`](Self::replay).
    pub fn purge(&self, letter: &DeadLetter) -> Result<()> {
        was_there(self.purge_all(std::slice::from_ref(letter))?)
    }

    /// Gives dead letters up for good, a thousand in a commit, and returns how many there were:
    /// those that are there no more, or are being replayed, are passed over.
    ///
    /// ```
    /// # let broker = loosely::Broker::in_memory()?;
    /// let mut old = broker.dead_letters()?;
    /// let week = std::time::Duration::from_secs(7 * 24 * 60 * 60);
    /// old.retain(|letter| letter.given_up().elapsed().is_ok_and(|age| age > week));
    /// broker.purge_all(&old)?;
    /// # Ok::<(), loosely::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`replay`](Self::replay), but for those that are gone. A right that is lacking for one of
    /// them keeps all; if the store fails, those of earlier commits are gone.
    pub fn purge_all(&self, letters: &[DeadLetter]) -> Result<usize> {
        self.require_dead_letters(letters)?;
        let journal = &self.core.around.journal;
        in_steps(letters, |names| journal.purge(names))
    }

    fn find_dead_letters(&self, of: Option<SubscriptionId>) -> Result<Vec<DeadLetter>> {
        self.core.check_open()?;
        let access = self.access();
        let may_read = |letter: &DeadLetter| match self.present(letter.subscription) {
            Some(entry) => access.may_read_record(&entry.record),
            None => access.may_read(self.known_class(letter.class).as_deref()),
        };
        let found = self.core.around.journal.dead_letters(of)?;
        let letters = found.into_iter().map(DeadLetter::from);
        Ok(letters.filter(may_read).collect())
    }

    fn require_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        self.core.check_open()?;
        for letter in one_of_each(letters) {
            match self.present(letter.subscription) {
                Some(entry) => self.access().require_writing([&entry.record])?,
                None => {
                    let class = self.known_class(letter.class);
                    self.require(Right::Administer, class.as_deref())?;
                }
            }
        }
        Ok(())
    }
}

/// Returns a letter of each subscription and class: what is asked for one holds for the others.
fn one_of_each(letters: &[DeadLetter]) -> impl Iterator<Item = &DeadLetter> {
    let mut asked = HashSet::new();
    let is_first = move |letter: &&DeadLetter| asked.insert((letter.subscription, letter.class));
    letters.iter().filter(is_first)
}

/// Does something with many letters, a part of them in each commit, and returns with how many.
fn in_steps(
    letters: &[DeadLetter],
    step: impl Fn(&[LetterName]) -> Result<usize>,
) -> Result<usize> {
    let names = letters.iter().map(|it| (it.subscription, it.number));
    let names: Vec<_> = names.collect();
    let mut steps = names.chunks(MOST_AT_ONCE);
    steps.try_fold(0, |count, some| Ok(count + step(some)?))
}

fn was_there(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::new(
            ErrorKind::NotFound,
            "there is no such dead letter",
        )),
        _ => Ok(()),
    }
}

/// How many are purged or replayed in one commit.
const MOST_AT_ONCE: usize = 1_000;

impl DeadLetter {
    /// Returns the subscription that the event was for.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Returns the name that the subscription had.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the event's class.
    pub fn class(&self) -> EventClassId {
        self.class
    }

    /// Returns the fingerprint of the interface as it was when the event was fired, by which an
    /// [upcaster](crate::Upcaster) may know it.
    pub fn schema(&self) -> SchemaHash {
        self.schema
    }

    /// Returns the event's method, if the schema that it was fired with is still known.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Returns the event's values by the names of their parameters, or by their places where the
    /// schema is not known.
    pub fn values(&self) -> &Properties {
        &self.values
    }

    /// Returns the event's id.
    pub fn event_id(&self) -> EventId {
        self.event_id
    }

    /// Returns when the event was fired.
    pub fn fired(&self) -> SystemTime {
        self.fired
    }

    /// Returns why it was given up.
    pub fn cause(&self) -> DeadLetterCause {
        self.cause
    }

    /// Returns why it was given up, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns when it was given up.
    pub fn given_up(&self) -> SystemTime {
        self.given_up
    }

    /// Returns the attempts that were made, the first one first.
    pub fn attempts(&self) -> &[FailedAttempt] {
        &self.attempts
    }
}

impl FailedAttempt {
    /// Returns when it failed.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// Returns what it failed with.
    pub fn error(&self) -> &str {
        &self.error
    }
}

impl From<Retold> for DeadLetter {
    fn from(told: Retold) -> Self {
        let dead = told.dead;
        let attempts = dead.attempts.into_iter().map(|attempt| FailedAttempt {
            time: attempt.time,
            error: attempt.error,
        });
        Self {
            subscription: told.subscription,
            number: told.number,
            name: dead.name,
            class: dead.event.class.into(),
            schema: SchemaHash::from_bytes(dead.event.schema),
            method: told.method,
            values: named_values(dead.event.values, told.parameters),
            event_id: dead.event.id.into(),
            fired: dead.event.time,
            cause: DeadLetterCause::of(dead.cause),
            reason: dead.reason,
            given_up: dead.time,
            attempts: attempts.collect(),
        }
    }
}

/// Returns values by the names of their parameters, or by their places where those are not known.
pub(super) fn named_values(values: Vec<Value>, names: Vec<String>) -> Properties {
    let names = names.into_iter().map(Some).chain(std::iter::repeat(None));
    let pairs = values.into_iter().zip(names).enumerate();
    let pairs = pairs.map(|(place, (value, name))| {
        let name = name.unwrap_or_else(|| place.to_string());
        (name, value)
    });
    pairs.collect()
}

pub(super) fn as_timestamp<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
    time.serialize(serializer)
}
