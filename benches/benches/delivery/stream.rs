//! One stream against a broadcast channel of tokio, both read on another thread.
//!
//! Both carry the same two values, of which the text is copied, hold 1,024 events and lose none:
//! the sender of the channel, which would overwrite what was not read, looks before each event
//! whether there is room.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use loosely::{Broker, Detached, EventStream, Streamed, Subscription, event_interface};
use loosely_benches::{Contest, Effort, Table, bar};
use tokio::sync::broadcast;

/// The interface whose events are streamed.
#[event_interface]
trait Quotes {
    fn quoted(&self, symbol: &str, price: f64);
}

/// What the channel carries.
#[derive(Clone)]
struct Quote {
    symbol: String,
    price: f64,
}

/// How many events may wait on either side.
const CAPACITY: usize = 1_024;

/// How many events are read in a row where one thread does both.
const ROW: u64 = 256;

/// Measures events from the publisher to the reader, on two threads and on one.
pub(crate) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    let quotes = broker.publisher::<dyn Quotes>()?;
    let mut table = Table::new("one event", ["stream ns", "broadcast ns", "of its speed"]);

    let mut stream = self::stream(&broker)?;
    let mut contest = Contest::new(Duration::from_millis(20));
    let through = contest.enter_timed(|events| through_stream(&quotes, &mut stream, events));
    let broadcast = contest.enter_timed(through_broadcast);
    let results = contest.run(effort.share(Duration::from_secs(4)));
    let speed = results.ratio(broadcast, through);
    let row = [results.nanoseconds(through), results.nanoseconds(broadcast)];
    set(&mut table, "read on another thread", row, speed);
    drop(stream);

    let mut stream = self::stream(&broker)?;
    let (sender, mut receiver) = broadcast::channel(CAPACITY);
    let mut contest = Contest::new(Duration::from_millis(5));
    let rows = contest.enter(|| stream_row(&quotes, &mut stream));
    let broadcast_rows = contest.enter(|| broadcast_row(&sender, &mut receiver));
    let results = contest.run(effort.share(Duration::from_secs(2)));
    let each = |entrant| results.nanoseconds(entrant) / ROW as f64;
    let row = [each(rows), each(broadcast_rows)];
    let by_rows = results.ratio(broadcast_rows, rows);
    set(&mut table, "256 in a row, on one thread", row, by_rows);

    println!("\n{table}");
    bar("stream_vs_broadcast", format!("{speed:.2}"));
    Ok(())
}

fn set(table: &mut Table, row: &str, nanoseconds: [f64; 2], speed: f64) {
    for (column, nanoseconds) in nanoseconds.into_iter().enumerate() {
        table.set(row, column, format!("{nanoseconds:.0}"));
    }
    table.set(row, 2, format!("{speed:.2}"));
}

fn stream(broker: &Broker) -> loosely::Result<EventStream<QuotesEvent>> {
    let record = Subscription::builder("bench").to::<dyn Quotes>().object();
    let record = record.delivery(Detached::with_capacity(CAPACITY)).build()?;
    broker.stream_with::<dyn Quotes>(&record)
}

fn read(item: Option<Streamed<QuotesEvent>>) {
    if let Some(Streamed::Event(event)) = item {
        let QuotesEvent::Quoted(quote) = &*event;
        black_box((&quote.symbol, quote.price));
    }
}

/// Fires on this thread, reads on another, and returns how long that took.
fn through_stream(
    quotes: &QuotesPublisher,
    stream: &mut EventStream<QuotesEvent>,
    events: u64,
) -> Duration {
    thread::scope(|scope| {
        let begin = Instant::now();
        let reader = scope.spawn(move || (0..events).for_each(|_| read(stream.next())));
        for _ in 0..events {
            black_box(quotes.quoted(black_box("MSFT"), 185.5));
        }
        // A reader that panicked has no result, and the next turn says so.
        drop(reader.join());
        begin.elapsed()
    })
}

/// Sends on this thread, receives on another, and returns how long that took.
fn through_broadcast(events: u64) -> Duration {
    let (sender, mut receiver) = broadcast::channel::<Quote>(CAPACITY);
    thread::scope(|scope| {
        let begin = Instant::now();
        let reader = scope.spawn(move || {
            for _ in 0..events {
                if let Ok(quote) = receiver.blocking_recv() {
                    black_box((&quote.symbol, quote.price));
                }
            }
        });
        for _ in 0..events {
            while sender.len() >= CAPACITY {
                thread::yield_now();
            }
            send(&sender);
        }
        drop(reader.join());
        begin.elapsed()
    })
}

fn send(sender: &broadcast::Sender<Quote>) {
    let symbol = black_box("MSFT").to_owned();
    let sent = sender.send(Quote {
        symbol,
        price: 185.5,
    });
    black_box(sent.is_ok());
}

fn stream_row(quotes: &QuotesPublisher, stream: &mut EventStream<QuotesEvent>) {
    for _ in 0..ROW {
        black_box(quotes.quoted(black_box("MSFT"), 185.5));
    }
    for _ in 0..ROW {
        read(stream.try_next());
    }
}

fn broadcast_row(sender: &broadcast::Sender<Quote>, receiver: &mut broadcast::Receiver<Quote>) {
    for _ in 0..ROW {
        send(sender);
    }
    for _ in 0..ROW {
        if let Ok(quote) = receiver.try_recv() {
            black_box((&quote.symbol, quote.price));
        }
    }
}
