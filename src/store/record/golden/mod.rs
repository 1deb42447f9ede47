//! What every version of every stored kind looks like on disk, byte by byte.
//!
//! A test here that fails means that directories written before cannot be read any more: add a
//! version, and leave the bytes as they are.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod classes;
mod roles;
mod schemas;
mod subscriptions;

use uuid::Uuid;

use super::{
    Record, RecordKey, decode, encode_class, encode_role, encode_schema, encode_subscription,
};
use crate::error::Result;
use crate::model::{Revision, RoleName};

const REVISION: Revision = Revision::from_u64(9);

/// Returns a record of every version of every kind, and the bytes as which this build writes it if
/// it has bincode.
fn goldens() -> Vec<(Record, &'static str)> {
    let mut all = schemas::goldens();
    all.extend(classes::goldens());
    all.extend(roles::goldens());
    all.extend(subscriptions::goldens());
    all
}

fn key(record: &Record) -> RecordKey {
    match record {
        Record::Schema(schema) => RecordKey::of_schema(schema),
        Record::Class(class) => RecordKey::Class(class.id()),
        Record::Role(name, _) => RecordKey::Role(name.clone()),
        Record::Subscription(stored) => RecordKey::Subscription(stored.record.id()),
    }
}

fn encode(record: &Record) -> Result<Vec<u8>> {
    match record {
        Record::Schema(schema) => encode_schema(schema),
        Record::Class(class) => encode_class(class),
        Record::Role(_, role) => encode_role(role),
        Record::Subscription(stored) => encode_subscription(stored),
    }
}

/// Checks that the bytes are read as `record`.
fn check_read(record: &Record, bytes: &[u8]) {
    let read = decode(&key(record), bytes, REVISION).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", as_read(record)));
}

/// Returns the record as of the commit that wrote it.
fn as_read(record: &Record) -> Record {
    match record.clone() {
        Record::Schema(schema) => Record::Schema(schema),
        Record::Class(class) => Record::Class(Box::new(class.at(Some(REVISION)))),
        Record::Role(name, role) => Record::Role(name, role.at(Some(REVISION))),
        Record::Subscription(mut stored) => {
            stored.record = stored.record.at(Some(REVISION));
            Record::Subscription(stored)
        }
    }
}

#[test]
fn keys_stay_as_they_are() {
    let id = Uuid::from_u128(0x0102);
    let text = |key: &RecordKey| key.to_bytes().escape_ascii().to_string();
    let zeros = r"\x00".repeat(14);
    assert_eq!(
        text(&RecordKey::Class(id.into())),
        format!(r"rc{zeros}\x01\x02")
    );
    let subscription = RecordKey::Subscription(id.into());
    assert_eq!(text(&subscription), format!(r"rs{zeros}\x01\x02"));
    let schema = schemas::schema();
    let hash = schema.hash().to_string();
    let of_schema = RecordKey::of_schema(&schema);
    assert_eq!(hash, "064eee13793d59a3959ee4fae6c4cfa9");
    for key in [RecordKey::Class(id.into()), subscription, of_schema] {
        assert_eq!(RecordKey::parse(&key.to_bytes()).as_ref(), Some(&key));
        let mut longer = key.to_bytes();
        longer.push(0);
        assert_eq!(RecordKey::parse(&longer), None);
        assert_eq!(RecordKey::parse(&key.to_bytes()[..17]), None);
    }
}

#[test]
fn key_of_a_role_is_its_name() {
    let name = RoleName::try_from("traders \u{e9}").unwrap();
    let key = RecordKey::Role(name);
    assert_eq!(key.to_bytes(), "rrtraders \u{e9}".as_bytes());
    assert_eq!(RecordKey::parse(&key.to_bytes()), Some(key));
    for no_name in [&b"rr"[..], b"rr ", b"rr\xff", b"rra\n"] {
        assert_eq!(RecordKey::parse(no_name), None);
    }
}

/// What refers to a record comes after it in a list.
#[test]
fn keys_of_schemas_come_first_and_those_of_subscriptions_last() {
    let keys: Vec<_> = goldens().iter().map(|(record, _)| key(record)).collect();
    let kinds: Vec<_> = keys
        .iter()
        .map(|key| key.to_bytes()[..2].to_vec())
        .collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
}

#[test]
fn every_kind_is_read_back_as_this_build_writes_it() {
    for (record, _) in goldens() {
        check_read(&record, &encode(&record).unwrap());
    }
}

#[cfg(feature = "bincode")]
mod bincode {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_version_of_every_kind_stays_as_it_is() {
        for (record, golden) in goldens() {
            assert_eq!(text(&encode(&record).unwrap()), golden, "{record:?}");
            check_read(&record, &bytes(golden));
        }
    }

    #[test]
    fn damaged_record_is_corrupt_or_another_and_never_a_panic() {
        for (record, golden) in goldens() {
            let key = key(&record);
            let whole = bytes(golden);
            for end in 0..whole.len() {
                let error = decode(&key, &whole[..end], REVISION).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}");
            }
            for index in 0..whole.len() {
                for byte in [0, 1, 250, 251, 252, 253, 254, 255] {
                    let mut damaged = whole.clone();
                    damaged[index] = byte;
                    if let Err(error) = decode(&key, &damaged, REVISION) {
                        assert_eq!(error.kind(), ErrorKind::Corrupt);
                    }
                }
            }
        }
    }

    fn text(bytes: &[u8]) -> String {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        let hex: String = hex.collect();
        let lines = hex.as_bytes().chunks(80);
        let lines = lines.map(|line| std::str::from_utf8(line).unwrap());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn bytes(golden: &str) -> Vec<u8> {
        let digits: String = golden.split_whitespace().collect();
        let pairs = digits.as_bytes().chunks(2);
        let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }
}
