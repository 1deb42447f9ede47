//! Structs and enums as event values.

use loosely::{EventValue, Properties, RecordView, Value, ValueRef, ValueType};

#[derive(Debug, Clone, PartialEq, EventValue)]
#[event_value(rename = "order", rename_all = "camelCase")]
struct Order {
    #[event_value(alias = "number", alias = "no")]
    order_id: u64,
    #[event_value(rename = "$side")]
    side: Side,
    ship_to: Option<String>,
    r#type: Cents,
}

#[derive(Debug, Clone, Copy, PartialEq, EventValue)]
#[event_value(rename_all = "SCREAMING_SNAKE_CASE")]
enum Side {
    BuyToOpen,
    #[event_value(rename = "sell", alias = "SOLD")]
    Sell = 7,
}

#[derive(Debug, Clone, Copy, PartialEq, EventValue)]
struct Cents(i64);

#[derive(Debug, Clone, PartialEq, EventValue)]
struct Pair<T, const N: usize>
where
    T: PartialEq,
{
    left: T,
    right: Vec<T>,
}

#[derive(Debug, Clone, PartialEq, EventValue)]
struct Wrapper<T>(T);

#[derive(Debug, Clone, PartialEq, EventValue)]
struct Empty {}

#[derive(Clone, EventValue)]
struct Node {
    value: u8,
    next: Option<Box<Node>>,
}

fn round_trip<T: EventValue + PartialEq + std::fmt::Debug>(value: &T) {
    let owned = value.view().to_value();
    assert_eq!(T::from_view(owned.view()).as_ref(), Ok(value));
    assert_eq!(T::from_view(value.view()).as_ref(), Ok(value));
}

fn order() -> Order {
    Order {
        order_id: 7,
        side: Side::Sell,
        ship_to: None,
        r#type: Cents(-5),
    }
}

#[test]
fn values_come_back_as_they_were() {
    round_trip(&order());
    round_trip(&Side::BuyToOpen);
    round_trip(&Pair::<u8, 3> {
        left: 1,
        right: vec![2, 3],
    });
    round_trip(&Wrapper("text".to_owned()));
    round_trip(&Empty {});
}

#[test]
fn names_are_spelled_as_asked() {
    let expected = "order { orderId|number|no: u64, $side: (BUY_TO_OPEN | sell), \
                    shipTo: string?, type: i64 }";
    assert_eq!(Order::value_type().to_string(), expected);
    assert_eq!(
        order().view().to_string(),
        "{orderId: 7, $side: 'sell', shipTo: NULL, type: -5}"
    );
    assert_eq!(
        Pair::<u8, 3>::value_type().to_string(),
        "Pair { left: u8, right: bytes }"
    );
    assert_eq!(Wrapper::<String>::value_type(), ValueType::Str);
}

#[test]
fn former_names_are_understood_and_a_missing_option_is_null() {
    let fields = [
        ("no", Value::from(7)),
        ("$side", "SOLD".into()),
        ("type", (-5).into()),
    ];
    let record = Properties::from(fields);
    assert_eq!(Order::from_view(ValueRef::Record(&record)), Ok(order()));
    let order = order();
    assert!(matches!(
        order.field_named("number"),
        Some(ValueRef::U64(7))
    ));
    assert!(order.field_named("order_id").is_none());
}

#[test]
fn missing_or_wrong_field_is_named() {
    let refusal = |record: &Properties| {
        Order::from_view(ValueRef::Record(record))
            .unwrap_err()
            .to_string()
    };
    let mut record = Properties::from([("no", Value::from(7))]);
    assert_eq!(
        refusal(&record),
        "$side: found nothing, expected (BUY_TO_OPEN | sell)"
    );
    record.insert("$side", "Sell");
    assert_eq!(
        refusal(&record),
        "$side: found a string 'Sell', expected (BUY_TO_OPEN | sell)"
    );
    let error = Order::from_view(ValueRef::Bool(true))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("found a boolean TRUE, expected order {"),
        "{error}"
    );
}

#[test]
fn schema_of_a_recursive_struct_ends_where_it_recurs() {
    assert_eq!(
        Node::value_type().to_string(),
        "Node { value: u8, next: any }"
    );
    let node = Node {
        value: 1,
        next: Some(Box::new(Node {
            value: 2,
            next: None,
        })),
    };
    let copy = Node::from_view(node.view()).unwrap();
    assert_eq!(
        copy.next.map(|next| (next.value, next.next.is_none())),
        Some((2, true))
    );
}
