//! The stored form of what a trigger knows; the subscription is in the key.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::properties::{TimeV1, ValueV1};
use crate::codec;
use crate::error::Result;
use crate::model::SubscriptionId;
use crate::value::Value;

/// The prefix of the keys under which triggers keep what they know.
pub(crate) const PREFIX: &[u8] = b"t";

/// What a trigger knows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TriggerMemory {
    /// What it is about: it is of no use to a subscription that asks for something else.
    pub(crate) terms: Uuid,
    /// Those that were used least recently first.
    pub(crate) keys: Vec<KeyMemory>,
}

/// What a trigger knows of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyMemory {
    pub(crate) key: Vec<u8>,
    pub(crate) state: StateMemory,
    /// The event that is to be delivered when it is time.
    pub(crate) event: Option<EventMemory>,
}

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateMemory {
    True,
    Waits(SystemTime),
    /// So many since then.
    Counted(SystemTime, u32),
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EventMemory {
    pub(crate) class: Uuid,
    pub(crate) interface: Uuid,
    pub(crate) method: String,
    pub(crate) values: Vec<Value>,
}

/// Every version that was ever written.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1(MemoryV1),
}

#[derive(Serialize, Deserialize)]
struct MemoryV1 {
    terms: [u8; 16],
    keys: Vec<KeyV1>,
}

#[derive(Serialize, Deserialize)]
struct KeyV1 {
    key: Vec<u8>,
    state: StateV1,
    event: Option<EventV1>,
}

#[derive(Serialize, Deserialize)]
enum StateV1 {
    True,
    Waits(TimeV1),
    Counted(TimeV1, u32),
}

#[derive(Serialize, Deserialize)]
struct EventV1 {
    class: [u8; 16],
    interface: [u8; 16],
    method: String,
    values: Vec<ValueV1>,
}

/// Returns the key under which the trigger of a subscription keeps what it knows.
pub(crate) fn key(id: SubscriptionId) -> Vec<u8> {
    [PREFIX, id.uuid().as_bytes()].concat()
}

/// Returns the subscription of a key.
pub(crate) fn parse_key(key: &[u8]) -> Option<SubscriptionId> {
    let id = key.strip_prefix(PREFIX)?;
    Some(Uuid::from_slice(id).ok()?.into())
}

/// Returns the stored form.
pub(crate) fn encode(memory: &TriggerMemory) -> Result<Vec<u8>> {
    codec::encode(&Stored::V1(MemoryV1 {
        terms: memory.terms.into_bytes(),
        keys: memory.keys.iter().map(KeyV1::from).collect(),
    }))
}

/// Returns what the stored bytes say.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if they are not of that kind.
pub(crate) fn decode(bytes: &[u8]) -> Result<TriggerMemory> {
    let Stored::V1(memory) = codec::decode(bytes)?;
    Ok(TriggerMemory {
        terms: Uuid::from_bytes(memory.terms),
        keys: memory.keys.into_iter().map(KeyMemory::from).collect(),
    })
}

impl From<&KeyMemory> for KeyV1 {
    fn from(memory: &KeyMemory) -> Self {
        Self {
            key: memory.key.clone(),
            state: match memory.state {
                StateMemory::True => StateV1::True,
                StateMemory::Waits(due) => StateV1::Waits(due.into()),
                StateMemory::Counted(since, count) => StateV1::Counted(since.into(), count),
            },
            event: memory.event.as_ref().map(|event| EventV1 {
                class: event.class.into_bytes(),
                interface: event.interface.into_bytes(),
                method: event.method.clone(),
                values: event.values.iter().map(ValueV1::from).collect(),
            }),
        }
    }
}

impl From<KeyV1> for KeyMemory {
    fn from(stored: KeyV1) -> Self {
        Self {
            key: stored.key,
            state: match stored.state {
                StateV1::True => StateMemory::True,
                StateV1::Waits(due) => StateMemory::Waits(due.into()),
                StateV1::Counted(since, count) => StateMemory::Counted(since.into(), count),
            },
            event: stored.event.map(|event| EventMemory {
                class: Uuid::from_bytes(event.class),
                interface: Uuid::from_bytes(event.interface),
                method: event.method,
                values: event.values.into_iter().map(Value::from).collect(),
            }),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn memory() -> TriggerMemory {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000, 7);
        let event = EventMemory {
            class: Uuid::from_u128(1),
            interface: Uuid::from_u128(2),
            method: "m".to_owned(),
            values: vec![Value::I64(-1), Value::from("v")],
        };
        let key = |key: &[u8], state, event| KeyMemory {
            key: key.to_vec(),
            state,
            event,
        };
        TriggerMemory {
            terms: Uuid::from_u128(3),
            keys: vec![
                key(b"", StateMemory::True, None),
                key(b"k", StateMemory::Waits(time), Some(event)),
                key(b"l", StateMemory::Counted(time, 300), None),
            ],
        }
    }

    #[test]
    fn memory_is_read_back_as_this_build_writes_it() {
        assert_eq!(decode(&encode(&memory()).unwrap()).unwrap(), memory());
        let id = SubscriptionId::from_u128(0x0102);
        assert_eq!(parse_key(&key(id)), Some(id));
        assert_eq!(parse_key(b"t12"), None);
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn bytes_of_every_version_stay_as_they_are() {
        let hex =
            |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        assert_eq!(hex(encode(&memory()).unwrap()), GOLDEN);
    }

    #[cfg(feature = "bincode")]
    const GOLDEN: &str = "\
        01000000000000000000000000000000000303000000016b01fbd007070100000000000000000000\
        00000000000100000000000000000000000000000002016d020201050176016c02fbd00707fb2c01\
        00";
}
