//! What every version of every stored kind looks like on disk, byte by byte.
//!
//! A test here that fails means that directories written before cannot be read any more: add a
//! version, and leave the bytes as they are.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{
    Record, RecordKey, StoredSubscription, decode, encode_class, encode_schema, encode_subscription,
};
use crate::model::{EventClass, Nesting, Revision, Subscription};
use crate::value::{
    EventMethod, InterfaceSchema, Parameter, Properties, RecordSchema, Value, ValueType,
};

const REVISION: Revision = Revision::from_u64(9);

/// A schema with a type of every kind.
fn schema() -> InterfaceSchema {
    let list = |ty| ValueType::List(Box::new(ty));
    let plain = [
        ValueType::Any,
        ValueType::Bool,
        ValueType::I8,
        ValueType::I16,
        ValueType::I32,
        ValueType::I64,
        ValueType::U8,
        ValueType::U16,
        ValueType::U32,
        ValueType::U64,
        ValueType::F32,
        ValueType::F64,
        ValueType::Str,
        ValueType::Bytes,
        ValueType::Uuid,
        ValueType::Time,
        ValueType::Duration,
    ];
    let nested = [
        ValueType::Option(Box::new(ValueType::Str)),
        list(list(ValueType::I64)),
        ValueType::Map(Box::new(ValueType::Bool)),
        ValueType::Record(RecordSchema::new(
            "City",
            [Parameter::new("name", ValueType::Str).alias("n")],
        )),
        ValueType::Enum(vec!["Buy".into(), "Sell".into()]),
    ];
    let parameters = plain.into_iter().chain(nested).enumerate();
    let parameters = parameters.map(|(index, ty)| Parameter::new(format!("p{index}"), ty));
    let methods = [
        EventMethod::new("all", parameters).alias("every"),
        EventMethod::new("none", []),
    ];
    InterfaceSchema::new(Uuid::from_u128(1), "Kinds", methods)
}

fn class() -> EventClass {
    EventClass::new(Uuid::from_u128(2), "Stocks")
        .with_interface(Uuid::from_u128(1))
        .with_publisher(Uuid::from_u128(3))
        .with_description("d")
        .with_owner("ann")
        .with_property("desk", ValueType::Str, "fx")
        .with_open_properties()
        .with_unordered()
        .with_nesting(Nesting::Queued)
}

/// A bag with a value of every kind.
fn bag() -> Properties {
    let time = SystemTime::UNIX_EPOCH;
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::I64(-300),
        Value::U64(u64::MAX),
        Value::F64(0.5),
        Value::Str("text".into()),
        Value::Bytes(vec![0, 255]),
        Value::Uuid(Uuid::from_u128(4)),
        Value::Time(time + Duration::new(2_000_000_000, 7)),
        Value::Time(time - Duration::new(1, 1)),
        Value::Duration(Duration::new(3, 5)),
        Value::List(vec![Value::I64(1), Value::Null]),
        Value::Record(Properties::from([("inner", false)])),
    ];
    let values = values.into_iter().enumerate();
    values
        .map(|(index, value)| (format!("v{index:02}"), value))
        .collect()
}

fn full() -> StoredSubscription {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let record = Subscription::builder("full")
        .id(Uuid::from_u128(5))
        .class(Uuid::from_u128(2))
        .interface(Uuid::from_u128(1))
        .method("all")
        .component(Uuid::from_u128(6))
        .disabled()
        .priority(-3)
        .not_before(time)
        .expires(time + Duration::from_nanos(1))
        .owner("ann")
        .filter("p4 > 1")
        .for_publisher(bag())
        .for_subscriber([("level", 3)])
        .description("d")
        .build()
        .unwrap();
    StoredSubscription {
        record,
        order: 70_000,
        ensured: Some(Uuid::from_u128(7)),
    }
}

fn small() -> StoredSubscription {
    let record = Subscription::builder("small")
        .id(Uuid::from_u128(8))
        .interface(Uuid::from_u128(1))
        .moniker("queue:orders")
        .build()
        .unwrap();
    StoredSubscription {
        record,
        order: 1,
        ensured: None,
    }
}

/// Subscriptions that the first version cannot say: one with everything, and one with one thing more.
fn second() -> [StoredSubscription; 2] {
    let full = full();
    let builder = full.record.to_builder().from_publisher(Uuid::from_u128(3));
    let builder = builder.method("none").per_user().predicate("p");
    let record = builder.requires_role("r").build().unwrap();
    let small = small();
    let asked = small.record.to_builder().predicate("p").build().unwrap();
    [
        StoredSubscription { record, ..full },
        StoredSubscription {
            record: asked,
            ..small
        },
    ]
}

/// Checks that the bytes are read as `record`.
fn check_read(record: &Record, bytes: &[u8]) {
    let key = match record {
        Record::Schema(schema) => RecordKey::of_schema(schema),
        Record::Class(class) => RecordKey::Class(class.id()),
        Record::Subscription(stored) => RecordKey::Subscription(stored.record.id()),
    };
    let read = decode(key, bytes, REVISION).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", as_read(record)));
}

/// Returns the record as of the commit that wrote it.
fn as_read(record: &Record) -> Record {
    match record.clone() {
        Record::Schema(schema) => Record::Schema(schema),
        Record::Class(class) => Record::Class(class.at(Some(REVISION))),
        Record::Subscription(mut stored) => {
            stored.record = stored.record.at(Some(REVISION));
            Record::Subscription(stored)
        }
    }
}

#[test]
fn keys_stay_as_they_are() {
    let id = Uuid::from_u128(0x0102);
    let text = |key: RecordKey| key.to_bytes().escape_ascii().to_string();
    let zeros = r"\x00".repeat(14);
    assert_eq!(
        text(RecordKey::Class(id.into())),
        format!(r"rc{zeros}\x01\x02")
    );
    let subscription = RecordKey::Subscription(id.into());
    assert_eq!(text(subscription), format!(r"rs{zeros}\x01\x02"));
    let hash = schema().hash().to_string();
    let of_schema = RecordKey::of_schema(&schema());
    assert_eq!(hash, "064eee13793d59a3959ee4fae6c4cfa9");
    for key in [RecordKey::Class(id.into()), subscription, of_schema] {
        assert_eq!(RecordKey::parse(&key.to_bytes()), Some(key));
        let mut longer = key.to_bytes();
        longer.push(0);
        assert_eq!(RecordKey::parse(&longer), None);
        assert_eq!(RecordKey::parse(&key.to_bytes()[..17]), None);
    }
}

#[test]
fn every_kind_is_read_back_as_this_build_writes_it() {
    let written = encode_schema(&schema()).unwrap();
    check_read(&Record::Schema(schema()), &written);
    let written = encode_class(&class()).unwrap();
    check_read(&Record::Class(class()), &written);
    for stored in [full(), small()].into_iter().chain(second()) {
        let written = encode_subscription(&stored).unwrap();
        check_read(&Record::Subscription(stored), &written);
    }
}

#[cfg(feature = "bincode")]
mod bincode {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn first_version_of_a_schema_stays_as_it_is() {
        assert_eq!(text(&encode_schema(&schema()).unwrap()), SCHEMA);
        check_read(&Record::Schema(schema()), &bytes(SCHEMA));
    }

    #[test]
    fn first_version_of_a_class_stays_as_it_is() {
        assert_eq!(text(&encode_class(&class()).unwrap()), CLASS);
        check_read(&Record::Class(class()), &bytes(CLASS));
    }

    #[test]
    fn first_version_of_a_subscription_stays_as_it_is() {
        for (stored, golden) in [(full(), FULL), (small(), SMALL)] {
            assert_eq!(text(&encode_subscription(&stored).unwrap()), golden);
            check_read(&Record::Subscription(stored), &bytes(golden));
        }
    }

    #[test]
    fn second_version_of_a_subscription_stays_as_it_is() {
        for (stored, golden) in second().into_iter().zip([SECOND_FULL, SECOND_SMALL]) {
            assert_eq!(text(&encode_subscription(&stored).unwrap()), golden);
            check_read(&Record::Subscription(stored), &bytes(golden));
        }
    }

    #[test]
    fn damaged_record_is_corrupt_or_another_and_never_a_panic() {
        let (class, subscription) = (class(), full());
        let key = RecordKey::Subscription(subscription.record.id());
        for (key, golden) in [
            (RecordKey::of_schema(&schema()), SCHEMA),
            (RecordKey::Class(class.id()), CLASS),
            (key, FULL),
            (key, SECOND_FULL),
        ] {
            let whole = bytes(golden);
            for end in 0..whole.len() {
                let error = decode(key, &whole[..end], REVISION).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}");
            }
            for index in 0..whole.len() {
                for byte in [0, 1, 250, 251, 252, 253, 254, 255] {
                    let mut damaged = whole.clone();
                    damaged[index] = byte;
                    if let Err(error) = decode(key, &damaged, REVISION) {
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

    const SCHEMA: &str = "\
010000000000000000000000000000000001054b696e64730203616c6c0105657665727916027030
00000270310001027032000202703300030270340004027035000502703600060270370007027038
0008027039000903703130000a03703131000b03703132000c03703133000d03703134000e037031
35000f0370313600100370313700110c037031380012120503703139001301037032300014044369
747901046e616d6501016e0c03703231001502034275790453656c6c046e6f6e650000";

    const CLASS: &str = "\
01000653746f636b7301000000000000000000000000000000010100000000000000000000000000
0000030101640103616e6e01046465736b0c0502667801010100";

    const FULL: &str = "\
01000466756c6c010000000000000000000000000000000201000000000000000000000000000000
010103616c6c0000000000000000000000000000000006000501fc00286bee0001fc00286bee0101
03616e6e01067034203e20310d03763030000376303101010376303202fb57020376303303fdffff
ffffffffffff0376303404000000000000e03f0376303505047465787403763036060200ff037630
3707000000000000000000000000000000040376303808fc00286bee07037630390803fcffc99a3b
03763130090305037631310a02020200037631320b0105696e6e6572010001056c6576656c020601
0164fc701101000100000000000000000000000000000007";

    const SECOND_FULL: &str = "\
01010466756c6c010000000000000000000000000000000201000000000000000000000000000000
010103616c6c0000000000000000000000000000000006000501fc00286bee0001fc00286bee0101
03616e6e01067034203e20310d03763030000376303101010376303202fb57020376303303fdffff
ffffffffffff0376303404000000000000e03f0376303505047465787403763036060200ff037630
3707000000000000000000000000000000040376303808fc00286bee07037630390803fcffc99a3b
03763130090305037631310a02020200037631320b0105696e6e6572010001056c6576656c020601
0164fc70110100010000000000000000000000000000000701046e6f6e6501000000000000000000
0000000000000301010170010172";

    const SECOND_SMALL: &str = "\
010105736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
73010000000000000000010000000001017000";

    const SMALL: &str = "\
010005736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
730100000000000000000100";
}

/// A digest that changes makes every stored subscription look edited to the program that ensures it.
#[test]
fn digest_of_a_definition_stays_as_it_is_whatever_the_codec() {
    let digest = |stored: &StoredSubscription| {
        let digest = super::definition_digest(&stored.record).unwrap();
        digest.to_string()
    };
    let full = full();
    assert_eq!(digest(&full), "4cf63b06-a29b-5cfd-a25b-f15d048aa236");
    assert_eq!(digest(&small()), "2678399c-5a64-5ac9-86e8-8fa365a0343c");
    let mut elsewhere = full.clone();
    elsewhere.record = full.record.clone().at(Some(REVISION));
    elsewhere.order += 1;
    elsewhere.ensured = None;
    assert_eq!(digest(&elsewhere), digest(&full));
    elsewhere.record = full.record.clone().enabled();
    assert_ne!(digest(&elsewhere), digest(&full));
    let second = second();
    assert_eq!(digest(&second[0]), "8fe9b962-b423-5687-8022-fcfe56ca6517");
    assert_eq!(digest(&second[1]), "91c9ed91-d381-5376-88a9-c5f3629e52fe");
    let back = second[1].record.to_builder().without_predicate();
    elsewhere.record = back.build().unwrap();
    assert_eq!(digest(&elsewhere), digest(&small()), "nothing new is left");
}

#[test]
fn json_form_of_a_subscription_stays_as_it_is() {
    let golden = concat!(
        "\x02",
        r#"{"V1":{"name":"small","class":null,"#,
        r#""interface":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],"method":null,"#,
        r#""target":{"Moniker":"queue:orders"},"enabled":true,"priority":0,"not_before":null,"#,
        r#""expires":null,"owner":null,"filter":null,"for_publisher":[],"for_subscriber":[],"#,
        r#""description":null,"order":1,"ensured":null}}"#,
    );
    check_read(&Record::Subscription(small()), golden.as_bytes());
    #[cfg(not(feature = "bincode"))]
    {
        let written = encode_subscription(&small()).unwrap();
        assert_eq!(
            written.escape_ascii().to_string(),
            golden.as_bytes().escape_ascii().to_string()
        );
    }
}

#[test]
fn json_form_of_every_kind_of_value_stays_as_it_is() {
    let golden = concat!(
        r#"[["v00","Null"],["v01",{"Bool":true}],["v02",{"I64":-300}],"#,
        r#"["v03",{"U64":18446744073709551615}],["v04",{"F64":0.5}],["v05",{"Str":"text"}],"#,
        r#"["v06",{"Bytes":[0,255]}],["v07",{"Uuid":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,4]}],"#,
        r#"["v08",{"Time":{"seconds":2000000000,"nanoseconds":7}}],"#,
        r#"["v09",{"Time":{"seconds":-2,"nanoseconds":999999999}}],"#,
        r#"["v10",{"Duration":[3,5]}],["v11",{"List":[{"I64":1},"Null"]}],"#,
        r#"["v12",{"Record":[["inner",{"Bool":false}]]}]]"#,
    );
    let stored = super::properties::store_bag(&bag());
    assert_eq!(serde_json::to_string(&stored).unwrap(), golden);
    let read = serde_json::from_str(golden).unwrap();
    assert_eq!(super::properties::load_bag(read), bag());
}

#[test]
fn span_that_no_program_can_have_written_is_the_longest() {
    let longest = r#"[["v",{"Duration":[18446744073709551615,4294967295]}]]"#;
    let read = super::properties::load_bag(serde_json::from_str(longest).unwrap());
    assert_eq!(read.get("v"), Some(&Value::Duration(Duration::MAX)));
}
