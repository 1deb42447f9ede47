//! What an event costs more where a trigger decides that it is not delivered.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use loosely::{Broker, Subscription, Trigger, event_interface};
use loosely_benches::{Contest, Effort, Table, bar};

#[event_interface]
trait Machines {
    fn measured(&self, machine: &str, celsius: f64);
}

/// Does next to nothing.
struct Idle;

impl Machines for Idle {
    fn measured(&self, machine: &str, celsius: f64) {
        black_box((machine, celsius));
    }
}

/// Measures fires that a trigger lets pass against those of the same subscription without one,
/// whose subscriber does nothing, in turns.
pub(crate) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new("trigger", ["called ns", "suppressed ns", "more ns"]);
    let edge = Trigger::on_becoming_true();
    let each = [
        ("becoming true", edge.clone()),
        ("becoming true per machine", edge.per("machine")),
        (
            "once within an hour per machine",
            Trigger::once_within(Duration::from_secs(3_600)).per("machine"),
        ),
    ];
    for (name, trigger) in each {
        let more = overhead(effort, name, trigger, &mut table)?;
        if name == "becoming true per machine" {
            bar("trigger_ns", format!("{more:.1}"));
        }
    }
    println!("\n{table}");
    Ok(())
}

fn overhead(
    effort: Effort,
    name: &str,
    trigger: Trigger,
    table: &mut Table,
) -> Result<f64, Box<dyn Error>> {
    let mut publishers = Vec::new();
    for trigger in [None, Some(trigger)] {
        let broker = Broker::in_memory()?;
        let record = Subscription::builder("hot").to::<dyn Machines>();
        let record = record.object().filter("celsius > 90");
        let record = match trigger {
            Some(trigger) => record.trigger(trigger),
            None => record,
        };
        let idle: Arc<dyn Machines> = Arc::new(Idle);
        broker.subscribe_with(&record.build()?, idle)?.detach();
        publishers.push((broker.publisher::<dyn Machines>()?, broker));
    }
    let [(called, _one), (suppressed, _other)] = &publishers[..] else {
        return Err("there are two".into());
    };
    suppressed.measured("mill", 95.0);
    if suppressed.measured("mill", 95.0).suppressed() != 1 {
        return Err("the event was not suppressed".into());
    }
    let mut contest = Contest::new(Duration::from_millis(2));
    let without = contest.enter(|| _ = black_box(called.measured("mill", 95.0)));
    let with = contest.enter(|| _ = black_box(suppressed.measured("mill", 95.0)));
    let results = contest.run(effort.share(Duration::from_secs(1)));
    let more = results.paired(|round| round[with] - round[without]);
    let each = [
        results.nanoseconds(without),
        results.nanoseconds(with),
        more,
    ];
    for (column, nanoseconds) in each.into_iter().enumerate() {
        table.set(name, column, format!("{nanoseconds:.1}"));
    }
    Ok(more)
}
