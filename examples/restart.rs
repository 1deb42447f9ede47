//! Wiring outlives the programs that made it, and what a person changed stays changed.
//!
//! Three programs use one directory, one after another: a service that ensures its subscription at
//! each start, and an administrator's tool that knows no Rust type of the service. Watch for what
//! `ensure` answers: added, present, and, once the administrator has switched the subscription off,
//! differs. The service is not changed for it.
//!
//! ```text
//! cargo run --example restart
//! ```

use std::path::Path;
use std::time::Duration;

use loosely::{Broker, Component, Subscription, event_interface};

#[event_interface]
trait BackupEvents {
    fn backup_failed(&self, host: &str, reason: &str);
}

struct Pager;

impl BackupEvents for Pager {
    fn backup_failed(&self, host: &str, reason: &str) {
        println!("  pager: backup of {host} failed: {reason}");
    }
}

/// The service, from its start to its end.
fn service(directory: &Path) -> loosely::Result<()> {
    let broker = Broker::open(directory)?;
    broker
        .register_component(Component::new("pager", || Pager).implements::<dyn BackupEvents>())?;
    let page = Subscription::builder("page somebody")
        .to::<dyn BackupEvents>()
        .component("pager")
        .build()?;
    println!("service: ensure answers {:?}", broker.ensure(&page)?);

    let backups = broker.publisher::<dyn BackupEvents>()?;
    println!("  report: {}", backups.backup_failed("db1", "disk full"));
    broker.close(CLOSE_WITHIN)
}

/// The administrator: finds the subscription by criteria and switches it off.
fn administrator(directory: &Path) -> loosely::Result<()> {
    let broker = Broker::open(directory)?;
    for subscription in broker.subscriptions("name LIKE 'page%'")? {
        broker.disable(subscription.id())?;
        println!("administrator: switched {:?} off", subscription.name());
    }
    broker.close(CLOSE_WITHIN)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    service(directory.path())?;
    service(directory.path())?;
    administrator(directory.path())?;
    service(directory.path())?;
    Ok(())
}

/// A flush of a few records takes milliseconds; a device that needs longer than this has failed.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);
