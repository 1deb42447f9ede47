//! A temperature that flaps about its limit gives one alarm, and one all-clear.
//!
//! The subscription's trigger delivers the reading by which its filter becomes true for a machine,
//! and no further one before the re-arm criteria are true; that one is delivered too, as resolved.
//! Watch for the readings of the mill between 80 and 90: nobody is called for them. The press has
//! an alarm of its own.
//!
//! ```text
//! cargo run --example alarm_once
//! ```

use std::sync::Arc;

use loosely::{Broker, EventContext, Subscription, Trigger, Triggered, event_interface};

#[event_interface]
trait MachineEvents {
    fn measured(&self, machine: &str, celsius: f64);
}

struct Operator;

impl MachineEvents for Operator {
    fn measured(&self, machine: &str, celsius: f64) {
        let why = EventContext::current().and_then(|context| context.trigger());
        match why {
            Some(Triggered::Resolved) => println!("  all clear: {machine} is at {celsius}"),
            _ => println!("  alarm: {machine} is at {celsius}"),
        }
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    let hot = Trigger::on_becoming_true().rearm("celsius < 80").resolved();
    let alarm = Subscription::builder("too hot").to::<dyn MachineEvents>();
    let alarm = alarm.object().filter("celsius > 90");
    let alarm = alarm.trigger(hot.per("machine")).build()?;
    let operator: Arc<dyn MachineEvents> = Arc::new(Operator);
    let _guard = broker.subscribe_with(&alarm, operator)?;

    let machines = broker.publisher::<dyn MachineEvents>()?;
    let mut suppressed = 0;
    for (machine, celsius) in READINGS {
        println!("{machine} {celsius}");
        suppressed += machines.measured(machine, celsius).suppressed();
    }
    println!("{suppressed} suppressed");
    Ok(())
}

const READINGS: [(&str, f64); 9] = [
    ("mill", 88.0),
    ("mill", 91.0),
    ("mill", 89.5),
    ("press", 95.0),
    ("mill", 92.0),
    ("mill", 85.0),
    ("mill", 90.5),
    ("mill", 79.0),
    ("mill", 78.0),
];
