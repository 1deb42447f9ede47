//! One subscriber hangs for ever, and the others get the event all the same.
//!
//! Subscribers are called one after another here, and the one that hangs first of all. Watch for
//! the fire that returns when the deadline is over, for the events that pass the hung subscriber by
//! from then on, and for the broker that closes though a call never returned.
//!
//! ```text
//! cargo run --example hung_subscriber
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use loosely::{Broker, Subscription, event_interface};

#[event_interface]
trait DoorEvents {
    fn opened(&self, door: &str);
}

/// Waits for a reply that never comes.
struct Pager;

impl DoorEvents for Pager {
    fn opened(&self, _door: &str) {
        loop {
            thread::park();
        }
    }
}

struct Log(mpsc::Sender<String>);

impl DoorEvents for Log {
    fn opened(&self, door: &str) {
        let _ = self.0.send(door.to_owned());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().on_failure(|_, _| {}).open()?;
    let (log, logged) = mpsc::channel();
    let deadline = Duration::from_millis(100);
    let record = Subscription::builder("pager")
        .to::<dyn DoorEvents>()
        .object();
    let record = record.priority(1).deadline(deadline).build()?;
    let _pager = broker.subscribe_with::<dyn DoorEvents>(&record, Arc::new(Pager))?;
    let _log = broker.subscribe::<dyn DoorEvents>(Arc::new(Log(log)))?;

    let doors = broker.publisher::<dyn DoorEvents>()?;
    for door in ["cellar", "attic", "garage"] {
        let report = doors.opened(door);
        for line in report.lines() {
            println!("{line}");
        }
        println!("{door}: {report}");
    }
    println!(
        "logged: {}",
        logged.try_iter().collect::<Vec<_>>().join(", ")
    );
    for notice in broker.notices() {
        println!("notice: {notice}");
    }
    broker.close(Duration::from_secs(60))?;
    println!("closed");
    Ok(())
}
