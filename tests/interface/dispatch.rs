//! Calls by index, with values that may not fit.

use std::sync::Arc;

use loosely::{ConversionError, EventInterface, EventValue, Value, ValueRef, event_interface};

#[derive(Debug, Clone, EventValue)]
struct Order {
    id: u64,
    customer: Customer,
    tags: Vec<String>,
}

#[derive(Debug, Clone, EventValue)]
struct Customer {
    city: String,
}

#[event_interface]
trait OrderEvents {
    fn placed(&self, at: i64, order: &Order);
    fn cancelled(&self, id: u32, reason: Option<&str>) -> Result<(), &'static str>;
}

fn handlers() -> Arc<dyn OrderEvents> {
    let handlers = OrderEventsHandlers::new()
        .on_placed(|_, order| assert_eq!(order.id, 7))
        .on_cancelled(|_, reason| {
            if reason.is_some() {
                Err("too late")
            } else {
                Ok(())
            }
        });
    Arc::new(handlers)
}

fn order(city: Value, tag: Value) -> Value {
    let customer = loosely::Properties::from([("city", city)]);
    let fields = [
        ("id", Value::from(7_u64)),
        ("customer", customer.into()),
        ("tags", vec![Value::from("a"), tag].into()),
    ];
    loosely::Properties::from(fields).into()
}

fn refusal(method: usize, arguments: &[ValueRef<'_>]) -> String {
    let error = handlers().invoke(method, arguments).unwrap_err();
    error.downcast::<ConversionError>().unwrap().to_string()
}

#[test]
fn record_made_of_values_becomes_the_struct() {
    let order = order("Paris".into(), "b".into());
    handlers()
        .invoke(0, &[ValueRef::U64(1), order.view()])
        .unwrap();
}

#[test]
fn argument_that_does_not_fit_is_named_with_the_path_to_the_fault() {
    let good = order("Paris".into(), "b".into());
    assert_eq!(
        refusal(0, &[ValueRef::Str("now"), good.view()]),
        "at: found a string 'now', expected i64"
    );
    let city = order(1.into(), "b".into());
    assert_eq!(
        refusal(0, &[ValueRef::I64(1), city.view()]),
        "order.customer.city: found an integer 1, expected string"
    );
    let tag = order("Paris".into(), Value::Null);
    assert_eq!(
        refusal(0, &[ValueRef::I64(1), tag.view()]),
        "order.tags.1: found NULL, expected string"
    );
}

#[test]
fn missing_argument_is_null_and_an_error_unless_optional() {
    assert_eq!(refusal(1, &[]), "id: found nothing, expected u32");
    handlers().invoke(1, &[ValueRef::I64(3)]).unwrap();
}

#[test]
fn number_out_of_range_is_refused() {
    assert_eq!(
        refusal(1, &[ValueRef::I64(-1)]),
        "id: found an integer -1, expected u32"
    );
}

#[test]
fn error_of_the_subscriber_is_returned() {
    let error = handlers()
        .invoke(1, &[ValueRef::U64(1), ValueRef::Str("why")])
        .unwrap_err();
    assert_eq!(error.to_string(), "too late");
}

#[test]
fn method_that_is_not_there_is_an_error_that_says_so() {
    let error = handlers()
        .invoke(2, &[])
        .unwrap_err()
        .downcast::<loosely::Error>()
        .unwrap();
    assert_eq!(error.kind(), loosely::ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "the interface `OrderEvents` has no method at index 2"
    );
}
