//! An auditor hears what an administrator does, and neither knows the other.
//!
//! The auditor is a component like any other: a subscription binds it to the built-in class about
//! the wiring, and its filter leaves out the schemas. Watch for its lines: they are printed by the
//! broker's own thread, one for each record that a commit changed, with the commit's revision. The
//! last lines are of a tool that was away and reads on from the revision that it knew; schemas
//! count there.
//!
//! ```text
//! cargo run --example wiring_changes
//! ```

use std::time::Duration;

use loosely::{
    Broker, Cascade, Component, EventClass, Subscription, WiringChanges, event_interface,
};
use uuid::Uuid;

#[event_interface]
trait OrderEvents {
    fn order_placed(&self, customer: &str, total: f64);
}

struct Auditor;

impl WiringChanges for Auditor {
    fn record_changed(
        &self,
        revision: u64,
        record: &str,
        _id: Uuid,
        change: &str,
        name: &str,
        _bound_to: Option<Uuid>,
    ) {
        println!("  revision {revision}: {record} {name:?} {change}");
    }
}

fn administrator(broker: &Broker) -> loosely::Result<()> {
    let orders = EventClass::new("orders", "Orders");
    let orders = broker.register_class::<dyn OrderEvents>(orders)?;
    let thanks = Subscription::builder("thank you")
        .class(orders)
        .component("mailer")
        .build()?;
    broker.store(&thanks)?;
    broker.disable(thanks.id())?;
    broker.unregister_class(orders, Cascade::Remove)?;
    Ok(())
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_component(
        Component::new("auditor", || Auditor).implements::<dyn WiringChanges>(),
    )?;
    broker.ensure(
        &Subscription::builder("audit")
            .to::<dyn WiringChanges>()
            .component("auditor")
            .filter("record != 'schema'")
            .build()?,
    )?;
    let known = broker.revision();
    println!("the auditor heard:");
    administrator(&broker)?;

    let mut feed = broker.follow_changes(known)?;
    let mut missed = 0;
    while let Some(change) = feed.next_within(Duration::ZERO) {
        change?;
        missed += 1;
    }
    // Waits until all that was committed is told.
    broker.close(CLOSE_WITHIN)?;
    println!("who was away since revision {known} reads {missed} changes");
    println!("and goes on from revision {}", feed.revision());
    Ok(())
}

/// The auditor prints a few lines; one that needs longer than this hangs.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);
