//! Filters on labels whose names nobody declared.
//!
//! A parameter that is a map with text keys, or a `Properties` bag, is read by path. Watch for the
//! event without the label: `labels.severity` is NULL there, the comparison is UNKNOWN, and only
//! what is TRUE is delivered; `IS NULL` asks for such events.
//!
//! ```text
//! cargo run --example labels
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use loosely::{Broker, Subscription, event_interface};

#[event_interface]
trait AlertEvents {
    fn alert(&self, text: &str, labels: &BTreeMap<String, String>);
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    let alerts = broker.publisher::<dyn AlertEvents>()?;

    let mut guards = Vec::new();
    for (name, filter) in [
        ("pager", "labels.severity = 'page'"),
        (
            "database team",
            "labels.team = 'db' AND labels.severity <> 'debug'",
        ),
        ("unsorted", "labels.severity IS NULL"),
    ] {
        let record = Subscription::builder(name)
            .to::<dyn AlertEvents>()
            .object()
            .filter(filter)
            .build()?;
        let handlers =
            AlertEventsHandlers::new().on_alert(move |text, _labels| println!("{name}: {text}"));
        guards.push(broker.subscribe_with::<dyn AlertEvents>(&record, Arc::new(handlers))?);
    }

    alerts.alert("disk full", &labels([("severity", "page"), ("team", "db")]));
    alerts.alert(
        "slow query",
        &labels([("severity", "warn"), ("team", "db")]),
    );
    alerts.alert(
        "link down",
        &labels([("severity", "page"), ("team", "net")]),
    );
    alerts.alert("something", &labels([("team", "db")]));
    Ok(())
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
