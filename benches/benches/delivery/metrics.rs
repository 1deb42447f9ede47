//! What a plain fire costs more where the broker measures.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use loosely::{Broker, MetricsOptions, event_interface};
use loosely_benches::{Contest, Effort, Table, bar};

#[event_interface]
trait Prices {
    fn changed(&self, symbol: &str, price: f64);
}

/// Does next to nothing.
struct Idle;

impl Prices for Idle {
    fn changed(&self, symbol: &str, price: f64) {
        black_box((symbol, price));
    }
}

/// Measures fires of a broker that measures against those of one that does not, in turns.
pub(crate) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new("fire", ["plain ns", "measured ns", "more ns"]);
    for subscribers in [1, 10, 100] {
        let more = overhead(effort, subscribers, &mut table)?;
        if subscribers == 1 {
            bar("metrics_overhead_ns", format!("{more:.1}"));
        }
    }
    println!("\n{table}");
    Ok(())
}

fn overhead(effort: Effort, subscribers: usize, table: &mut Table) -> Result<f64, Box<dyn Error>> {
    let plain = Broker::in_memory()?;
    let measured = Broker::builder().metrics(MetricsOptions::new()).open()?;
    let mut publishers = Vec::new();
    for broker in [&plain, &measured] {
        for _ in 0..subscribers {
            broker.subscribe::<dyn Prices>(Arc::new(Idle))?.detach();
        }
        publishers.push(broker.publisher::<dyn Prices>()?);
    }
    let [by_plain, by_measured] = &publishers[..] else {
        return Err("there are two".into());
    };
    let mut contest = Contest::new(Duration::from_millis(2));
    let without = contest.enter(|| _ = black_box(by_plain.changed("MSFT", 185.5)));
    let with = contest.enter(|| _ = black_box(by_measured.changed("MSFT", 185.5)));
    let results = contest.run(effort.share(Duration::from_secs(2)));
    let more = results.paired(|round| round[with] - round[without]);
    check(&measured, by_measured, subscribers)?;
    let row = format!("{subscribers} subscribers");
    let each = [results.nanoseconds(without), results.nanoseconds(with), more];
    for (column, nanoseconds) in each.into_iter().enumerate() {
        table.set(&row, column, format!("{nanoseconds:.1}"));
    }
    Ok(more)
}

/// Checks that what was measured is what was fired.
fn check(
    broker: &Broker,
    prices: &PricesPublisher,
    subscribers: usize,
) -> Result<(), Box<dyn Error>> {
    let metrics = broker.metrics();
    let method = metrics.method(prices.class_id(), "changed");
    let method = method.ok_or("nothing was measured")?;
    let delivered = metrics.subscriptions().iter();
    let delivered: u64 = delivered.map(|it| it.activity().delivered()).sum();
    let expected = method.fires() * subscribers as u64;
    if method.fires() == 0 || [method.delivered(), delivered] != [expected; 2] {
        return Err(format!("{delivered} were delivered in place of {expected}").into());
    }
    Ok(())
}
