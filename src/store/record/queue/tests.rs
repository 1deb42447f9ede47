#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

use std::time::Duration;

use super::*;

fn event() -> QueuedEvent {
    QueuedEvent {
        class: Uuid::from_u128(1),
        interface: Uuid::from_u128(2),
        schema: [3; 16],
        method: 1,
        values: vec![Value::I64(-1), Value::from("v")],
        id: Uuid::from_u128(4),
        time: SystemTime::UNIX_EPOCH + Duration::new(1_000, 7),
        depth: 2,
        properties: Properties::from([("p", 5)]),
        addressees: vec![
            Addressee {
                queue: 1,
                lane: 0,
                why: 0,
            },
            Addressee {
                queue: 300,
                lane: 9,
                why: 1,
            },
        ],
    }
}

fn attempt() -> Attempt {
    Attempt {
        time: SystemTime::UNIX_EPOCH + Duration::new(2_000, 0),
        error: "no".to_owned(),
    }
}

fn memory() -> QueueMemory {
    let tries = Tries {
        attempts: vec![attempt()],
        due: Some(SystemTime::UNIX_EPOCH),
    };
    QueueMemory {
        subscription: SubscriptionId::from_u128(5),
        until: 1_000,
        done: vec![1_002, 1_003, 1_500],
        tries: vec![(1_001, tries)],
        follows: Vec::new(),
    }
}

fn following() -> QueueMemory {
    let follow = |from, through| Follow {
        chronicle: 7,
        interface: InterfaceId::from_u128(6),
        from,
        through,
    };
    QueueMemory {
        follows: vec![follow(2, 1_000), follow(1, 0)],
        ..memory()
    }
}

fn chronicle() -> QueueRecord {
    QueueRecord::Chronicle {
        class: EventClassId::from_u128(1),
        last: 300,
    }
}

fn dead() -> DeadEvent {
    DeadEvent {
        event: event(),
        name: "ledger".to_owned(),
        cause: 0,
        reason: "no more attempts".to_owned(),
        time: SystemTime::UNIX_EPOCH + Duration::new(3_000, 0),
        attempts: vec![attempt()],
    }
}

#[test]
fn all_kinds_are_read_back_as_this_build_writes_them() {
    assert_eq!(
        decode_event(&encode_event(&event()).unwrap()).unwrap(),
        event()
    );
    let chronicle = chronicle();
    let queues = [memory(), following()].map(QueueRecord::Queue);
    for record in queues.into_iter().chain([chronicle]) {
        assert_eq!(
            decode_queue(&encode_queue(&record).unwrap()).unwrap(),
            record
        );
    }
    let bytes = encode_dead_event(&dead()).unwrap();
    assert_eq!(decode_dead_event(&bytes).unwrap(), dead());
    assert_eq!(parse_event_key(&event_key(258)), Some(258));
    assert_eq!(parse_queue_key(&queue_key(7)), Some(7));
    let id = SubscriptionId::from_u128(0x0102);
    let key = dead_letter_key(id, 9);
    assert_eq!(parse_dead_letter_key(&key), Some((id, 9)));
    assert!(key.starts_with(&dead_letters_of(id)));
    assert_eq!(parse_event_key(&key), None);
}

#[cfg(feature = "bincode")]
#[test]
fn bytes_of_every_version_stay_as_they_are() {
    let hex =
        |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    assert_eq!(hex(encode_event(&event()).unwrap()), EVENT);
    let queue = |memory| hex(encode_queue(&QueueRecord::Queue(memory)).unwrap());
    assert_eq!(queue(memory()), QUEUE);
    assert_eq!(queue(following()), format!("0102{}{FOLLOWS}", &QUEUE[4..]));
    let chronicle = chronicle();
    assert_eq!(hex(encode_queue(&chronicle).unwrap()), CHRONICLE);
    let dead = hex(encode_dead_event(&dead()).unwrap());
    assert_eq!(dead, format!("{EVENT}{DEAD}"));
}

#[cfg(feature = "bincode")]
const EVENT: &str = "\
    01000000000000000000000000000000000100000000000000000000000000000002030303030303\
    030303030303030303030102020105017600000000000000000000000000000004fbd00707020101\
    70020a02010000fb2c010901";
#[cfg(feature = "bincode")]
const QUEUE: &str = "\
    010000000000000000000000000000000005fbe803030201fbf10101fbe90301fba00f00026e6f01\
    0000";
#[cfg(feature = "bincode")]
const FOLLOWS: &str = "\
    02070000000000000000000000000000000602fbe703070000000000000000000000000000000601\
    00";
#[cfg(feature = "bincode")]
const CHRONICLE: &str = "010100000000000000000000000000000001fb2c01";
#[cfg(feature = "bincode")]
const DEAD: &str = "\
    066c656467657200106e6f206d6f726520617474656d707473fb70170001fba00f00026e6f";
