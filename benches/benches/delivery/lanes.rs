//! What a detached subscriber costs beside a channel to a thread.
//!
//! Two parameters are carried, text and a number. The channel is bounded as the lane is, and gets
//! the struct that the macro makes of them; of many subscribers each has a channel and a thread of
//! its own, and gets a clone.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use loosely::{Broker, Detached, Subscription, event_interface};
use loosely_benches::{Contest, Effort, Table, bar};

#[event_interface]
trait Prices {
    fn changed(&self, symbol: &str, price: f64);
}

/// How many events have arrived.
#[derive(Clone, Default)]
struct Arrived(Arc<AtomicU64>);

impl Arrived {
    fn count(&self, symbol: &str, price: f64) {
        black_box((symbol, price));
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Waits until so many have arrived since `before`.
    fn wait(&self, before: u64, count: u64) {
        while self.0.load(Ordering::Acquire) - before < count {
            thread::yield_now();
        }
    }
}

impl Prices for Arrived {
    fn changed(&self, symbol: &str, price: f64) {
        self.count(symbol, price);
    }
}

/// Measures lanes against channels, one and a hundred.
pub(super) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new("delivered elsewhere", ["lane ns", "channel ns", "speed"]);
    let goals = [
        ("detached_vs_channel", 1),
        ("detached_fanout_100_vs_channels", 100),
    ];
    for (name, subscribers) in goals.into_iter().filter(|g| std::env::var("ONE").is_err() || g.1 == 1) {
        let speed = compare(effort, subscribers, &mut table)?;
        bar(name, format!("{speed:.2}"));
    }
    println!("\n{table}");
    Ok(())
}

fn compare(effort: Effort, count: u64, table: &mut Table) -> Result<f64, Box<dyn Error>> {
    let (broker, by_lane) = (Broker::in_memory()?, Arrived::default());
    for index in 0..count {
        let record = Subscription::builder(format!("lane {index}")).to::<dyn Prices>();
        let record = record.object().delivery(Detached::with_capacity(CAPACITY));
        let subscriber = Arc::new(by_lane.clone());
        broker
            .subscribe_with::<dyn Prices>(&record.build()?, subscriber)?
            .detach();
    }
    let prices = broker.publisher::<dyn Prices>()?;
    let by_channel = Arrived::default();
    let channels: Vec<_> = (0..count).map(|_| channel(by_channel.clone())).collect();
    let mut contest = Contest::new(Duration::from_millis(10));
    let lane = contest.enter_timed(|events| {
        timed(&by_lane, events * count, || {
            (0..events).for_each(|_| _ = black_box(prices.changed("MSFT", 185.5)));
        })
    });
    let channel = contest.enter_timed(|events| {
        timed(&by_channel, events * count, || {
            for _ in 0..events {
                for channel in &channels {
                    let _ = channel.send(PricesChanged::new("MSFT", 185.5));
                }
            }
        })
    });
    let results = contest.run(effort.share(Duration::from_secs(4)));
    let row = format!("{count} subscribers");
    table.set(&row, 0, format!("{:.0}", results.nanoseconds(lane)));
    table.set(&row, 1, format!("{:.0}", results.nanoseconds(channel)));
    let speed = results.ratio(channel, lane);
    table.set(&row, 2, format!("{speed:.2}"));
    Ok(speed)
}

/// Returns how long it takes until what `fire` fires has arrived.
fn timed(arrived: &Arrived, count: u64, fire: impl FnOnce()) -> Duration {
    let before = arrived.0.load(Ordering::Acquire);
    let start = Instant::now();
    fire();
    arrived.wait(before, count);
    start.elapsed()
}

/// Returns a channel to a thread that counts what comes, until the channel is dropped.
fn channel(arrived: Arrived) -> Sender<PricesChanged> {
    let (sender, receiver) = bounded::<PricesChanged>(CAPACITY);
    thread::spawn(move || {
        while let Ok(event) = receiver.recv() {
            arrived.count(&event.symbol, event.price);
        }
    });
    sender
}

/// As much as a lane holds by default.
const CAPACITY: usize = 1_024;
