//! A broker for a device with little memory.
//!
//! The profile `Small` bounds what the broker keeps beside its wiring: the database's cache, the
//! change log, threads, retained events. Three thousand subscriptions are stored in a directory,
//! and two thousand events are queued while nobody is there, then delivered. Watch for the greatest
//! memory that the program ever had, which is to stay below 32 MiB.
//!
//! ```text
//! cargo run --release --example small
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loosely::{Broker, Component, Profile, Queued, Subscription, event_interface};

#[event_interface]
trait Sensors {
    fn measured(&self, sensor: u32, value: f64, note: &str);
}

/// Counts the readings that it gets.
struct Recorder(Arc<AtomicU32>);

impl Sensors for Recorder {
    fn measured(&self, _sensor: u32, _value: f64, _note: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const SUBSCRIPTIONS: u32 = 3_000;
const EVENTS: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("loosely-small-{}", std::process::id()));
    let outcome = run(&directory);
    fs::remove_dir_all(&directory)?;
    outcome?;
    match status_mib("VmHWM:") {
        Some(mib) => println!("bar: small_peak_mib {mib:.1}"),
        None => println!("this system does not say how much memory was used"),
    }
    Ok(())
}

fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    let builder = Broker::builder().path(directory).profile(Profile::Small);
    let broker = builder.open()?;
    if let Some(mib) = status_mib("VmRSS:") {
        println!("opened with {mib:.1} MiB");
    }
    let records = (0..SUBSCRIPTIONS).map(|sensor| {
        let record = Subscription::builder(format!("limit of sensor {sensor}"));
        let record = record.to::<dyn Sensors>().component("recorder");
        record
            .filter(format!("sensor = {sensor} AND value > 90"))
            .build()
    });
    let records = records.collect::<Result<Vec<_>, _>>()?;
    // One commit for a few hundred: what a commit changes is in memory until it is written.
    for records in records.chunks(500) {
        broker.import(records)?;
    }
    drop(records);
    let queue = Subscription::builder("all readings").to::<dyn Sensors>();
    let queue = queue.component("recorder").delivery(Queued::new());
    broker.ensure(&queue.build()?)?;
    println!("{SUBSCRIPTIONS} subscriptions stored");

    let sensors = broker.publisher::<dyn Sensors>()?;
    let note = "x".repeat(100);
    let mut accepted = 0;
    for number in 0..EVENTS {
        let report = sensors.measured(number % SUBSCRIPTIONS, 20.0, &note);
        accepted += report.accepted();
    }
    println!("{accepted} readings wait");
    let received = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&received);
    let recorder = Component::new("recorder", move || Recorder(Arc::clone(&counter)));
    broker.register_component(recorder.implements::<dyn Sensors>())?;
    broker.idle(Duration::from_secs(60));
    println!("{} readings received", received.load(Ordering::Relaxed));
    broker.close(Duration::from_secs(60))?;
    Ok(())
}

/// Returns what the status of this process says under a name, where there is one as on Linux.
fn status_mib(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
