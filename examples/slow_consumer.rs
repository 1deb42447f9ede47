//! Three subscribers are slow, and the publisher waits for none of them.
//!
//! Each has a lane for three events, and says what becomes of more. Watch for the gap that the
//! display is told of, for the chart that skips to the latest reading and misses nothing by it, and
//! for the publisher, which learns what the archive had no room for.
//!
//! ```text
//! cargo run --example slow_consumer
//! ```

use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use loosely::{Broker, Detached, EventContext, Overflow, Subscription, event_interface};

#[event_interface]
trait SensorEvents {
    fn reading(&self, sensor: &str, celsius: f64);
}

/// Takes its time for the first reading, until the others are fired.
struct Slow {
    begun: Arc<Barrier>,
    all_fired: Arc<Barrier>,
    readings: Arc<Mutex<String>>,
}

impl SensorEvents for Slow {
    fn reading(&self, _sensor: &str, celsius: f64) {
        if celsius == 1.0 {
            self.begun.wait();
            self.all_fired.wait();
        }
        let missed = EventContext::current().map_or(0, |context| context.missed());
        let mut readings = self.readings.lock().expect("nobody panics inside");
        if missed > 0 {
            let _ = write!(readings, " ({missed} missed)");
        }
        let _ = write!(readings, " {celsius}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().delivery_threads(3).on_failure(|_, _| {});
    let broker = broker.open()?;
    let (begun, all_fired) = (Arc::new(Barrier::new(4)), Arc::new(Barrier::new(4)));
    let lane = Detached::with_capacity(3);
    let subscribers = [
        ("display", lane.clone().with_overflow(Overflow::DropOldest)),
        ("archive", lane.clone().with_overflow(Overflow::Fail)),
        (
            "chart",
            lane.with_overflow(Overflow::Coalesce).with_key("sensor"),
        ),
    ];
    let mut seen = Vec::new();
    for (name, lane) in subscribers {
        let readings = Arc::default();
        let slow = Slow {
            begun: Arc::clone(&begun),
            all_fired: Arc::clone(&all_fired),
            readings: Arc::clone(&readings),
        };
        let record = Subscription::builder(name).to::<dyn SensorEvents>();
        let record = record.object().delivery(lane).build()?;
        let guard = broker.subscribe_with::<dyn SensorEvents>(&record, Arc::new(slow))?;
        seen.push((name, readings, guard));
    }

    let sensors = broker.publisher::<dyn SensorEvents>()?;
    sensors.reading("cellar", 1.0);
    begun.wait();
    for celsius in 2..=8 {
        let report = sensors.reading("cellar", f64::from(celsius));
        print!("{celsius}: {} accepted", report.accepted());
        report.failures().for_each(|failure| print!(", {failure}"));
        println!();
    }
    all_fired.wait();

    broker.close(Duration::from_secs(60))?;
    for (name, readings, _guard) in &seen {
        println!("{name}:{}", readings.lock().map_err(|_| "a panic")?);
    }
    Ok(())
}
