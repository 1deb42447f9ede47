//! The stored form of queues: events, who waits for them, and those that nobody could deliver.
//!
//! All keys are [bulk](crate::Batch). An event is stored once, with the numbers of those who wait
//! for it; it goes when the last of them has had it. What one of them has had of events that others
//! still wait for, and what it failed at, stands under its number.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::properties::{BagV1, TimeV1, ValueV1, load_bag, store_bag};
use crate::codec;
use crate::error::Result;
use crate::model::{EventClassId, SubscriptionId};
use crate::value::{InterfaceId, Properties, Value};

/// The prefix of the keys of events; the number of the event follows, big endian.
pub(crate) const EVENTS: &[u8] = &[0x81];
/// The prefix of the keys of those who wait; the number of the queue follows, big endian.
pub(crate) const QUEUES: &[u8] = &[0x82];
/// The prefix of the keys of dead letters; subscription and number follow.
pub(crate) const DEAD_LETTERS: &[u8] = &[0x83];

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueuedEvent {
    pub(crate) class: Uuid,
    pub(crate) interface: Uuid,
    /// The schema that it was fired with, by its hash.
    pub(crate) schema: [u8; 16],
    /// The method's index in that schema.
    pub(crate) method: u32,
    pub(crate) values: Vec<Value>,
    pub(crate) id: Uuid,
    pub(crate) time: SystemTime,
    /// How many fires it is nested in.
    pub(crate) depth: u32,
    /// The publisher properties that its subscribers see.
    pub(crate) properties: Properties,
    pub(crate) addressees: Vec<Addressee>,
}

/// Who waits for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addressee {
    /// The number of the queue.
    pub(crate) queue: u32,
    /// By what the events are told apart that come in order; 0 where all are.
    pub(crate) lane: u64,
    /// What the subscription's trigger says of it; 0 where it says nothing.
    pub(crate) why: u8,
}

/// What stands under the number of a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum QueueRecord {
    Queue(QueueMemory),
    /// The past events of a class, which wait for nobody.
    Chronicle {
        class: EventClassId,
        /// The number of its last event: the next ones have greater ones.
        last: u64,
    },
}

/// What one queue remembers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueueMemory {
    pub(crate) subscription: SubscriptionId,
    /// It has had all of its events up to this one.
    pub(crate) until: u64,
    /// Those after it that it has had, and that others still wait for.
    pub(crate) done: Vec<u64>,
    pub(crate) tries: Vec<(u64, Tries)>,
    pub(crate) follows: Vec<Follow>,
}

/// Past events that are a queue's though they do not name it: those from one to another, none if
/// that is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follow {
    /// The number of their chronicle.
    pub(crate) chronicle: u32,
    pub(crate) interface: InterfaceId,
    pub(crate) from: u64,
    pub(crate) through: u64,
}

/// What was tried with an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tries {
    pub(crate) attempts: Vec<Attempt>,
    /// When the next attempt is due.
    pub(crate) due: Option<SystemTime>,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) time: SystemTime,
    pub(crate) error: String,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeadEvent {
    pub(crate) event: QueuedEvent,
    /// The name of its subscription then.
    pub(crate) name: String,
    pub(crate) cause: u8,
    pub(crate) reason: String,
    pub(crate) time: SystemTime,
    pub(crate) attempts: Vec<Attempt>,
}

#[derive(Serialize, Deserialize)]
enum StoredEvent {
    V1(EventV1),
}

#[derive(Serialize, Deserialize)]
struct EventV1 {
    class: [u8; 16],
    interface: [u8; 16],
    schema: [u8; 16],
    method: u32,
    values: Vec<ValueV1>,
    id: [u8; 16],
    time: TimeV1,
    depth: u32,
    properties: BagV1,
    addressees: Vec<(u32, u64, u8)>,
}

#[derive(Serialize, Deserialize)]
enum StoredQueue {
    V1(QueueV1),
    Chronicle(ChronicleV1),
    V2(QueueV2),
}

#[derive(Serialize, Deserialize)]
struct QueueV1 {
    subscription: [u8; 16],
    until: u64,
    /// Each as what it is more than the one before.
    done: Vec<u64>,
    tries: Vec<(u64, TriesV1)>,
}

#[derive(Serialize, Deserialize)]
struct QueueV2 {
    base: QueueV1,
    /// chronicle, interface, the first number, how many numbers
    follows: Vec<(u32, [u8; 16], u64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct ChronicleV1 {
    class: [u8; 16],
    last: u64,
}

#[derive(Serialize, Deserialize)]
struct TriesV1 {
    attempts: Vec<(TimeV1, String)>,
    due: Option<TimeV1>,
}

#[derive(Serialize, Deserialize)]
enum StoredDeadEvent {
    V1(DeadEventV1),
}

#[derive(Serialize, Deserialize)]
struct DeadEventV1 {
    event: EventV1,
    name: String,
    cause: u8,
    reason: String,
    time: TimeV1,
    attempts: Vec<(TimeV1, String)>,
}

/// Returns the key of an event.
pub(crate) fn event_key(number: u64) -> Vec<u8> {
    [EVENTS, &number.to_be_bytes()].concat()
}

/// Returns the number of an event of this key.
pub(crate) fn parse_event_key(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(EVENTS)?.try_into().ok()?;
    Some(u64::from_be_bytes(number))
}

/// Returns the key of what a queue remembers.
pub(crate) fn queue_key(number: u32) -> Vec<u8> {
    [QUEUES, &number.to_be_bytes()].concat()
}

/// Returns the number of a queue of this key.
pub(crate) fn parse_queue_key(key: &[u8]) -> Option<u32> {
    let number = key.strip_prefix(QUEUES)?.try_into().ok()?;
    Some(u32::from_be_bytes(number))
}

/// Returns the key of a dead letter.
pub(crate) fn dead_letter_key(subscription: SubscriptionId, number: u64) -> Vec<u8> {
    let number = number.to_be_bytes();
    [DEAD_LETTERS, subscription.uuid().as_bytes(), &number].concat()
}

/// Returns the prefix of the keys of a subscription's dead letters.
pub(crate) fn dead_letters_of(subscription: SubscriptionId) -> Vec<u8> {
    [DEAD_LETTERS, subscription.uuid().as_bytes()].concat()
}

/// Returns subscription and number of a dead letter of this key.
pub(crate) fn parse_dead_letter_key(key: &[u8]) -> Option<(SubscriptionId, u64)> {
    let (id, number) = key.strip_prefix(DEAD_LETTERS)?.split_first_chunk::<16>()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    Some((Uuid::from_bytes(*id).into(), number))
}

/// Returns the stored form of an event.
pub(crate) fn encode_event(event: &QueuedEvent) -> Result<Vec<u8>> {
    codec::encode(&StoredEvent::V1(event.into()))
}

/// Returns about how many bytes an event with these values takes.
pub(crate) fn size_of(values: &[Value]) -> Result<usize> {
    let values: Vec<_> = values.iter().map(ValueV1::from).collect();
    Ok(codec::encode(&values)?.len() + FIXED)
}

/// What an event takes beside its values.
const FIXED: usize = 96;

/// Returns the event that the stored bytes are.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if they are none.
pub(crate) fn decode_event(bytes: &[u8]) -> Result<QueuedEvent> {
    let StoredEvent::V1(event) = codec::decode(bytes)?;
    Ok(event.into())
}

/// Returns the stored form of what stands under the number of a queue.
pub(crate) fn encode_queue(record: &QueueRecord) -> Result<Vec<u8>> {
    let memory = match record {
        QueueRecord::Queue(memory) => memory,
        QueueRecord::Chronicle { class, last } => {
            let (class, last) = (class.uuid().into_bytes(), *last);
            return codec::encode(&StoredQueue::Chronicle(ChronicleV1 { class, last }));
        }
    };
    let base = QueueV1::from(memory);
    if memory.follows.is_empty() {
        return codec::encode(&StoredQueue::V1(base));
    }
    let follow = |it: &Follow| {
        let count = (it.through + 1).saturating_sub(it.from);
        (
            it.chronicle,
            it.interface.uuid().into_bytes(),
            it.from,
            count,
        )
    };
    let follows = memory.follows.iter().map(follow).collect();
    codec::encode(&StoredQueue::V2(QueueV2 { base, follows }))
}

/// Returns what the stored bytes say of a queue.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if they are not of that kind.
pub(crate) fn decode_queue(bytes: &[u8]) -> Result<QueueRecord> {
    let (base, follows) = match codec::decode(bytes)? {
        StoredQueue::V1(base) => (base, Vec::new()),
        StoredQueue::V2(QueueV2 { base, follows }) => (base, follows),
        StoredQueue::Chronicle(ChronicleV1 { class, last }) => {
            let class = Uuid::from_bytes(class).into();
            return Ok(QueueRecord::Chronicle { class, last });
        }
    };
    let follow = |(chronicle, interface, from, count): (_, _, u64, u64)| Follow {
        chronicle,
        interface: Uuid::from_bytes(interface).into(),
        from,
        through: from.saturating_add(count).saturating_sub(1),
    };
    let mut memory = QueueMemory::from(base);
    memory.follows = follows.into_iter().map(follow).collect();
    Ok(QueueRecord::Queue(memory))
}

/// Returns the stored form of a dead letter.
pub(crate) fn encode_dead_event(dead: &DeadEvent) -> Result<Vec<u8>> {
    codec::encode(&StoredDeadEvent::V1(DeadEventV1 {
        event: (&dead.event).into(),
        name: dead.name.clone(),
        cause: dead.cause,
        reason: dead.reason.clone(),
        time: dead.time.into(),
        attempts: store_attempts(&dead.attempts),
    }))
}

/// Returns the dead letter that the stored bytes are.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if they are none.
pub(crate) fn decode_dead_event(bytes: &[u8]) -> Result<DeadEvent> {
    let StoredDeadEvent::V1(stored) = codec::decode(bytes)?;
    Ok(DeadEvent {
        event: stored.event.into(),
        name: stored.name,
        cause: stored.cause,
        reason: stored.reason,
        time: stored.time.into(),
        attempts: load_attempts(stored.attempts),
    })
}

fn store_attempts(attempts: &[Attempt]) -> Vec<(TimeV1, String)> {
    let attempts = attempts.iter();
    attempts
        .map(|attempt| (attempt.time.into(), attempt.error.clone()))
        .collect()
}

fn load_attempts(stored: Vec<(TimeV1, String)>) -> Vec<Attempt> {
    let attempt = |(time, error): (TimeV1, String)| Attempt {
        time: time.into(),
        error,
    };
    stored.into_iter().map(attempt).collect()
}

impl From<&QueueMemory> for QueueV1 {
    fn from(memory: &QueueMemory) -> Self {
        let mut last = memory.until;
        let step = |number: &u64| {
            let step = number.saturating_sub(last);
            last = *number;
            step
        };
        let tries = memory.tries.iter();
        Self {
            subscription: memory.subscription.uuid().into_bytes(),
            until: memory.until,
            done: memory.done.iter().map(step).collect(),
            tries: tries.map(|(number, it)| (*number, it.into())).collect(),
        }
    }
}

impl From<QueueV1> for QueueMemory {
    fn from(stored: QueueV1) -> Self {
        let mut last = stored.until;
        let number = |step: u64| {
            last = last.saturating_add(step);
            last
        };
        let tries = stored.tries.into_iter();
        Self {
            subscription: Uuid::from_bytes(stored.subscription).into(),
            until: stored.until,
            done: stored.done.into_iter().map(number).collect(),
            tries: tries.map(|(number, it)| (number, it.into())).collect(),
            follows: Vec::new(),
        }
    }
}

impl From<&Tries> for TriesV1 {
    fn from(tries: &Tries) -> Self {
        Self {
            attempts: store_attempts(&tries.attempts),
            due: tries.due.map(Into::into),
        }
    }
}

impl From<TriesV1> for Tries {
    fn from(stored: TriesV1) -> Self {
        Self {
            attempts: load_attempts(stored.attempts),
            due: stored.due.map(Into::into),
        }
    }
}

impl From<&QueuedEvent> for EventV1 {
    fn from(event: &QueuedEvent) -> Self {
        let addressee = |it: &Addressee| (it.queue, it.lane, it.why);
        Self {
            class: event.class.into_bytes(),
            interface: event.interface.into_bytes(),
            schema: event.schema,
            method: event.method,
            values: event.values.iter().map(Into::into).collect(),
            id: event.id.into_bytes(),
            time: event.time.into(),
            depth: event.depth,
            properties: store_bag(&event.properties),
            addressees: event.addressees.iter().map(addressee).collect(),
        }
    }
}

impl From<EventV1> for QueuedEvent {
    fn from(stored: EventV1) -> Self {
        let addressee = |(queue, lane, why)| Addressee { queue, lane, why };
        Self {
            class: Uuid::from_bytes(stored.class),
            interface: Uuid::from_bytes(stored.interface),
            schema: stored.schema,
            method: stored.method,
            values: stored.values.into_iter().map(Into::into).collect(),
            id: Uuid::from_bytes(stored.id),
            time: stored.time.into(),
            depth: stored.depth,
            properties: load_bag(stored.properties),
            addressees: stored.addressees.into_iter().map(addressee).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
