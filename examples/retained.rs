//! A display that is switched on late shows at once what the sensors told last.
//!
//! The class retains the last reading of each sensor. Watch for the readings marked `retained`: a
//! subscription gets them first, in the order in which they were fired, and then each live one.
//! A sensor that was taken down is forgotten.
//!
//! ```text
//! cargo run --example retained
//! ```

use std::sync::Arc;

use loosely::{Broker, EventClass, EventContext, Retained, event_interface};

#[event_interface]
trait SensorEvents {
    fn reading(&self, sensor: &str, celsius: f64);
}

struct Display(&'static str);

impl SensorEvents for Display {
    fn reading(&self, sensor: &str, celsius: f64) {
        let retained = EventContext::current().is_some_and(|context| context.is_retained());
        let mark = if retained { ", retained" } else { "" };
        println!("{}: {sensor} {celsius}{mark}", self.0);
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    let class = EventClass::new("sensors", "Sensors")
        .with_method_retained("reading", Retained::LastPer("sensor".into()));
    broker.register_class::<dyn SensorEvents>(class)?;
    let sensors = broker.publisher_of::<dyn SensorEvents>("sensors")?;

    sensors.reading("cellar", 11.5);
    sensors.reading("attic", 31.0);
    sensors.reading("cellar", 12.0);
    let _hall = broker.subscribe::<dyn SensorEvents>(Arc::new(Display("hall")))?;

    sensors.reading("attic", 30.5);
    sensors.forget_retained_of("reading", "cellar")?;
    let _kitchen = broker.subscribe::<dyn SensorEvents>(Arc::new(Display("kitchen")))?;

    println!("{} retained", sensors.retained("reading")?);
    Ok(())
}
