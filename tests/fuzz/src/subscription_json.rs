//! Subscriptions in the form that people write.

use loosely::{Broker, EventClass, Subscription};

use crate::events::READINGS;

/// Reads a subscription, writes it, and keeps it in a broker.
///
/// # Panics
///
/// If what is read back is another one.
pub fn subscription_json(data: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Subscription>(data) else {
        return;
    };
    let written = serde_json::to_string(&record).expect("what was read can be written");
    let again: Subscription = match serde_json::from_str(&written) {
        Ok(again) => again,
        Err(error) => panic!("{written} is not read: {error}"),
    };
    assert_eq!(again, record, "{written}");
    let again = serde_json::to_string(&again).expect("what was read can be written");
    assert_eq!(again, written, "writing has no end");
    keep(&record);
}

fn keep(record: &Subscription) {
    let broker = Broker::builder().on_failure(|_, _| {}).open();
    let broker = broker.expect("a broker in memory");
    let class = EventClass::new("readings", "Readings");
    let class = broker.register_dynamic_class(class, &READINGS);
    class.expect("the class of readings");
    if broker.store(record).is_err() {
        return;
    }
    let kept = broker.subscription(record.id()).expect("what was stored");
    assert_eq!(without_revision(&kept), without_revision(record));
    let _ = broker.status(record.id()).expect("what was stored");
    assert_eq!(
        broker.subscriptions("ALL").map(|all| all.len()).ok(),
        Some(1)
    );
    assert_eq!(broker.remove(record.id()).ok(), Some(true));
}

/// The store gives the record another revision than it was read with.
fn without_revision(record: &Subscription) -> serde_json::Value {
    let mut written = serde_json::to_value(record).expect("what was read can be written");
    if let Some(fields) = written.as_object_mut() {
        fields.remove("revision");
    }
    written
}
