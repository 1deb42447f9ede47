//! Golden bytes of subscriptions, and the digests of definitions.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{REVISION, Record, check_read};
use crate::model::{Breaker, DeliveryMode, Detached, Overflow, Schedule, Subscription, Trigger};
use crate::store::record::properties::{load_bag, store_bag};
use crate::store::record::{StoredSubscription, definition_digest};
use crate::value::{Properties, Value};

pub(super) fn goldens() -> Vec<(Record, &'static str)> {
    let records = [full(), small()].into_iter().chain(second());
    let records = records.chain(third()).chain(fourth());
    let goldens = [
        FULL,
        SMALL,
        SECOND_FULL,
        SECOND_SMALL,
        THIRD_FULL,
        THIRD_SMALL,
        THIRD_LIMIT,
        FOURTH_FULL,
        FOURTH_SMALL,
    ];
    records.map(Record::Subscription).zip(goldens).collect()
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

/// Subscriptions that the first version cannot say: one with everything, and one with one thing
/// more.
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

/// Subscriptions that the second version cannot say: one with everything, one with one thing more,
/// and one with what the others cannot have beside it.
fn third() -> [StoredSubscription; 3] {
    let [full, _] = second();
    let span = Duration::new(70_000, 7);
    let lane = Detached::with_capacity(300).with_overflow(Overflow::Coalesce);
    let breaker = Breaker::after(3).with_back_off(span);
    let trigger = Trigger::on_becoming_true().lasting(span).rearm("p4 < 1");
    let trigger = trigger.resolved().per("p1").per("p2").kept();
    let builder = full.record.to_builder().delivery(lane.with_key("p3"));
    let builder = builder.breaker(breaker.with_max_back_off(span * 2));
    let everything = builder.deadline(span).trigger(trigger);
    let small = small();
    let inline = small.record.to_builder().delivery(DeliveryMode::Inline);
    let limit = Trigger::at_most(9, span).with_max_keys(1);
    let limited = small.record.to_builder().trigger(limit);
    let stored = |record: Subscription, of: &StoredSubscription| StoredSubscription {
        record,
        ..of.clone()
    };
    [
        stored(everything.build().unwrap(), &full),
        stored(inline.build().unwrap(), &small),
        stored(limited.build().unwrap(), &small),
    ]
}

/// Subscriptions that the third version cannot say: one with everything, and one with one thing
/// more.
fn fourth() -> [StoredSubscription; 2] {
    let [full, _, _] = third();
    let schedule = full.record.schedule().clone();
    let schedule = schedule.quiet("22:00-06:00").quiet("00:00-24:00 sat sun");
    let full_time = full.record.to_builder().schedule(schedule.in_zone("UTC"));
    let small = small();
    let night = Schedule::new().quiet("22:00-06:00");
    let by_night = small.record.to_builder().schedule(night);
    [
        StoredSubscription {
            record: full_time.build().unwrap(),
            ..full
        },
        StoredSubscription {
            record: by_night.build().unwrap(),
            ..small
        },
    ]
}

/// A digest that changes makes every stored subscription look edited to the program that ensures
/// it.
#[test]
fn digest_of_a_definition_stays_as_it_is_whatever_the_codec() {
    let digest = |stored: &StoredSubscription| {
        let digest = definition_digest(&stored.record).unwrap();
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
    let third = third();
    assert_eq!(digest(&third[0]), "4c005716-bc48-5f61-9163-54c31c728fff");
    assert_eq!(digest(&third[1]), "448380ab-3ada-5d0f-a9d1-a75cb40b3ee8");
    assert_eq!(digest(&third[2]), "db886ee3-96bb-51b7-b7b7-a04db3df496a");
    let fourth = fourth();
    assert_eq!(digest(&fourth[0]), "beefc6e9-66e9-52b8-88c2-bb44b2ff2252");
    assert_eq!(digest(&fourth[1]), "73183bc9-ae36-50a0-a395-b3e4954b3469");
    let back = second[1].record.to_builder().without_predicate();
    elsewhere.record = back.build().unwrap();
    assert_eq!(digest(&elsewhere), digest(&small()), "nothing new is left");
}

#[test]
fn json_form_of_a_subscription_stays_as_it_is() {
    let base = concat!(
        r#"{"name":"small","class":null,"#,
        r#""interface":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],"method":null,"#,
        r#""target":{"Moniker":"queue:orders"},"enabled":true,"priority":0,"not_before":null,"#,
        r#""expires":null,"owner":null,"filter":null,"for_publisher":[],"for_subscriber":[],"#,
        r#""description":null,"order":1,"ensured":null}"#,
    );
    let first = format!("\x02{{\"V1\":{base}}}");
    let rest = concat!(
        r#""further_methods":[],"publisher":null,"per_user":false,"predicate":"p","#,
        r#""publisher_role":null"#,
    );
    let second = format!("\x02{{\"V2\":{{\"base\":{base},{rest}}}}}");
    let [_, asked] = self::second();
    let rest = r#""further_methods":[],"publisher":null,"per_user":false,"predicate":null,"#;
    let of_second = format!(r#"{{"base":{base},{rest}"publisher_role":null}}"#);
    let rest = r#""calls":{"delivery":null,"deadline":null,"breaker":null},"trigger":"#;
    let trigger = concat!(
        r#"{"kind":{"AtMost":[9,[70000,7]]},"lasting":null,"rearm":null,"resolved":false,"#,
        r#""per":[],"max_keys":1,"kept":false}"#,
    );
    let third = format!("\x02{{\"V3\":{{\"base\":{of_second},{rest}{trigger}}}}}");
    let [_, _, limited] = self::third();
    let rest = r#""calls":{"delivery":null,"deadline":null,"breaker":null},"trigger":null"#;
    let of_third = format!(r#"{{"base":{of_second},{rest}}}"#);
    let rest = r#""quiet":["22:00-06:00"],"time_zone":null"#;
    let fourth = format!("\x02{{\"V4\":{{\"base\":{of_third},{rest}}}}}");
    let [_, by_night] = self::fourth();
    let all = [
        (small(), first),
        (asked, second),
        (limited, third),
        (by_night, fourth),
    ];
    for (stored, golden) in all {
        check_read(&Record::Subscription(stored.clone()), golden.as_bytes());
        #[cfg(not(feature = "bincode"))]
        {
            let written = crate::store::record::encode_subscription(&stored).unwrap();
            assert_eq!(
                written.escape_ascii().to_string(),
                golden.as_bytes().escape_ascii().to_string()
            );
        }
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
    let stored = store_bag(&bag());
    assert_eq!(serde_json::to_string(&stored).unwrap(), golden);
    let read = serde_json::from_str(golden).unwrap();
    assert_eq!(load_bag(read), bag());
}

#[test]
fn span_that_no_program_can_have_written_is_the_longest() {
    let longest = r#"[["v",{"Duration":[18446744073709551615,4294967295]}]]"#;
    let read = load_bag(serde_json::from_str(longest).unwrap());
    assert_eq!(read.get("v"), Some(&Value::Duration(Duration::MAX)));
}

const FULL: &str = "\
01000466756c6c010000000000000000000000000000000201000000000000000000000000000000
010103616c6c0000000000000000000000000000000006000501fc00286bee0001fc00286bee0101
03616e6e01067034203e20310d03763030000376303101010376303202fb57020376303303fdffff
ffffffffffff0376303404000000000000e03f0376303505047465787403763036060200ff037630
3707000000000000000000000000000000040376303808fc00286bee07037630390803fcffc99a3b
03763130090305037631310a02020200037631320b0105696e6e6572010001056c6576656c020601
0164fc701101000100000000000000000000000000000007";

const SMALL: &str = "\
010005736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
730100000000000000000100";

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

const THIRD_FULL: &str = "\
01020466756c6c010000000000000000000000000000000201000000000000000000000000000000
010103616c6c0000000000000000000000000000000006000501fc00286bee0001fc00286bee0101
03616e6e01067034203e20310d03763030000376303101010376303202fb57020376303303fdffff
ffffffffffff0376303404000000000000e03f0376303505047465787403763036060200ff037630
3707000000000000000000000000000000040376303808fc00286bee07037630390803fcffc99a3b
03763130090305037631310a02020200037631320b0105696e6e6572010001056c6576656c020601
0164fc70110100010000000000000000000000000000000701046e6f6e6501000000000000000000
00000000000003010101700101720101fb2c01030102703301fc70110100070103fc701101000701
fce02202000e010001fc701101000701067034203c20310102027031027032fc0000010001";

const THIRD_SMALL: &str = "\
010205736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
73010000000000000000010000000000000100000000";

const THIRD_LIMIT: &str = "\
010205736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
7301000000000000000001000000000000000000010109fc7011010007000000000100";

const FOURTH_FULL: &str = "\
01030466756c6c010000000000000000000000000000000201000000000000000000000000000000
010103616c6c0000000000000000000000000000000006000501fc00286bee0001fc00286bee0101
03616e6e01067034203e20310d03763030000376303101010376303202fb57020376303303fdffff
ffffffffffff0376303404000000000000e03f0376303505047465787403763036060200ff037630
3707000000000000000000000000000000040376303808fc00286bee07037630390803fcffc99a3b
03763130090305037631310a02020200037631320b0105696e6e6572010001056c6576656c020601
0164fc70110100010000000000000000000000000000000701046e6f6e6501000000000000000000
00000000000003010101700101720101fb2c01030102703301fc70110100070103fc701101000701
fce02202000e010001fc701101000701067034203c20310102027031027032fc0000010001020b32
323a30302d30363a30301330303a30302d32343a3030207361742073756e0103555443";

const FOURTH_SMALL: &str = "\
010305736d616c6c00010000000000000000000000000000000100010c71756575653a6f72646572
730100000000000000000100000000000000000000010b32323a30302d30363a303000";
