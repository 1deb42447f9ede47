//! Somebody comes late, has the past, and goes on with the present.
//!
//! A class of sensor readings keeps the last two thousand. When a thousand are fired, the program
//! that draws a chart is installed: its subscription begins with the oldest one, while the sensor
//! goes on. Half-way through it is closed, and opened again. Watch for the last line: each reading
//! came, in its order, and none came twice for the chart that is drawn.
//!
//! ```text
//! cargo run --release --example replay
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Component, EventClass, History, Queued, Start, Subscription, event_interface,
};

#[event_interface]
trait Readings {
    fn measured(&self, number: u64, celsius: f64);
}

/// The numbers of the readings that the chart shows.
type Drawn = Arc<Mutex<Vec<u64>>>;

struct Chart(Drawn);

impl Readings for Chart {
    fn measured(&self, number: u64, _celsius: f64) {
        self.0.lock().expect("nobody panics inside").push(number);
    }
}

const EACH: u64 = 1_000;
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

fn open(directory: &Path) -> loosely::Result<(Broker, ReadingsPublisher)> {
    let broker = Broker::open(directory)?;
    let history = History::new().with_count(2 * EACH).without_waiting();
    let class = EventClass::new("readings", "Readings").with_history(history);
    broker.register_class::<dyn Readings>(class)?;
    let readings = broker.publisher_of::<dyn Readings>("readings")?;
    Ok((broker, readings))
}

fn measure(readings: &ReadingsPublisher, numbers: std::ops::Range<u64>) {
    for number in numbers {
        readings.measured(number, 20.0 + (number % 7) as f64);
    }
}

fn install_chart(broker: &Broker, drawn: &Drawn) -> loosely::Result<()> {
    let drawn = Arc::clone(drawn);
    let chart = Component::new("chart", move || Chart(Arc::clone(&drawn)));
    broker.register_component(chart.implements::<dyn Readings>())?;
    let queue = Queued::new().starting_at(Start::Oldest);
    let subscription = Subscription::builder("chart").class("readings");
    let subscription = subscription.component("chart").delivery(queue).build()?;
    println!(
        "the chart's subscription: {:?}",
        broker.ensure(&subscription)?
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let drawn = Drawn::default();

    let (broker, readings) = open(directory.path())?;
    measure(&readings, 0..EACH);
    let past = broker.past_events("readings", 0, usize::MAX)?;
    println!("nobody listens, and {} readings are kept", past.len());

    // The sensor goes on while the chart is installed.
    let sensor = thread::spawn(move || measure(&readings, EACH..2 * EACH));
    install_chart(&broker, &drawn)?;
    sensor.join().map_err(|_| "the sensor failed")?;
    // What the chart has not had by now waits in the store, so it is no matter what is left.
    drop(broker.close(CLOSE_WITHIN));

    let (broker, readings) = open(directory.path())?;
    install_chart(&broker, &drawn)?;
    measure(&readings, 2 * EACH..3 * EACH);
    if !broker.idle(Duration::from_secs(60)) {
        return Err("the chart did not get what waits for it".into());
    }
    let drawn = drawn.lock().expect("nobody panics inside");
    let is_whole = drawn.iter().copied().eq(0..3 * EACH);
    println!(
        "{} readings drawn, each once and in order: {is_whole}",
        drawn.len()
    );
    let past = broker.past_events("readings", 0, usize::MAX)?;
    let oldest = past.first().and_then(|event| event.values().get("number"));
    println!("{} are kept, from {oldest:?} on", past.len());
    broker.close(CLOSE_WITHIN)?;
    Ok(())
}
