//! What a durable queue costs: against sled's own batches, in bytes, and in files.
//!
//! One subscriber has a queue, and events with 128 bytes are fired as fast as they are accepted
//! ([`Queued::without_waiting`]), so that many share one sync. It is over when the last of them was
//! delivered and is gone from the store. Against it stands sled alone: as many keys and bytes,
//! written and removed in batches, with as many syncs.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench queue -- --quick
//! ```

mod engine;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loosely::{
    Broker, Compaction, Component, Engine, LocalStore, Queued, SledEngine, StoreOptions,
    Subscription, event_interface,
};
use loosely_benches::{Effort, bar, machine};

use crate::engine::{Counted, Counts, EVENTS};

/// The interface whose events are queued.
#[event_interface]
trait Orders {
    fn placed(&self, text: &str);
}

/// Counts the events that it gets.
struct Counter(Arc<AtomicU64>);

impl Orders for Counter {
    fn placed(&self, _text: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A broker over sled, and what is counted of it.
struct Rig {
    broker: Broker,
    orders: OrdersPublisher,
    engine: Arc<SledEngine>,
    counts: Arc<Counts>,
    delivered: Arc<AtomicU64>,
}

/// The bytes of an event's one parameter.
const PAYLOAD: usize = 128;

fn main() -> ExitCode {
    loosely_benches::main("queue", bench)
}

fn bench(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!("{}", machine());
    let quick = matches!(effort, Effort::Quick);
    against_sled(if quick { 5 } else { 15 })?;
    fan_out()?;
    wear(if quick { 100_000 } else { 1_000_000 })?;
    changes(if quick { 2_000 } else { 20_000 })?;
    Ok(())
}

impl Rig {
    fn open(path: &Path, queues: usize) -> Result<Self, Box<dyn Error>> {
        Self::open_with(path, queues, Compaction::new())
    }

    fn open_with(path: &Path, queues: usize, terms: Compaction) -> Result<Self, Box<dyn Error>> {
        let options = StoreOptions::new().without_copy().compaction(terms);
        let (counted, counts) = Counted::new(SledEngine::open_with(path, &options)?);
        let engine = counted.inner();
        let store = LocalStore::with_engine(counted, options)?;
        let broker = Broker::builder().store(Arc::new(store)).open()?;
        let queue = Queued::new().with_capacity(10_000_000).without_waiting();
        for number in 0..queues {
            let record = Subscription::builder(format!("ledger {number}")).to::<dyn Orders>();
            let record = record.component("ledger").delivery(queue.clone());
            broker.ensure(&record.build()?)?;
        }
        Ok(Self {
            orders: broker.publisher::<dyn Orders>()?,
            broker,
            engine,
            counts,
            delivered: Arc::default(),
        })
    }

    /// Has the events delivered from now on.
    fn serve(&self) -> Result<(), Box<dyn Error>> {
        let delivered = Arc::clone(&self.delivered);
        let ledger = Component::new("ledger", move || Counter(Arc::clone(&delivered)));
        let ledger = ledger.implements::<dyn Orders>();
        self.broker.register_component(ledger)?;
        Ok(())
    }

    fn fire(&self, events: u64) -> Result<(), Box<dyn Error>> {
        let text = "x".repeat(PAYLOAD);
        for _ in 0..events {
            let report = self.orders.placed(&text);
            if report.failed() > 0 {
                return Err(format!("an event was not accepted: {report}").into());
            }
        }
        Ok(())
    }

    /// Waits until nothing is stored of any event.
    fn drain(&self) -> Result<(), Box<dyn Error>> {
        while !self.engine.page(&[EVENTS], None, 1)?.is_empty() {
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Waits until as many events are stored.
    fn stored(&self, events: usize) -> Result<(), Box<dyn Error>> {
        while self.engine.page(&[EVENTS], None, events)?.len() < events {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Measures events a second, through a queue and through sled alone.
fn against_sled(rounds: usize) -> Result<(), Box<dyn Error>> {
    const EVENTS_A_ROUND: u64 = 10_000;
    let directory = tempfile::tempdir()?;
    let rig = Rig::open(&directory.path().join("ours"), 1)?;
    rig.serve()?;
    let theirs = directory.path().join("theirs");
    let sled = sled::open(&theirs)?;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (syncs, start) = (rig.counts.syncs(), Instant::now());
        rig.fire(EVENTS_A_ROUND)?;
        rig.drain()?;
        let ours = start.elapsed();
        let syncs = (rig.counts.syncs() - syncs).max(1);
        let bytes = rig.counts.bytes_per_event();
        let theirs = sled_round(&sled, &theirs, EVENTS_A_ROUND, bytes, syncs)?;
        // The first one finds everything cold.
        if round > 0 {
            ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
            rates.push(EVENTS_A_ROUND as f64 / ours.as_secs_f64());
        }
        println!("round {round}: ours {ours:?}, sled {theirs:?}, {syncs} syncs, {bytes} bytes");
    }
    bar("queued_vs_sled_batch", median(ratios));
    bar("queued_events_per_s", median(rates));
    Ok(())
}

/// Writes and removes as many keys in as many batches, each of which is synced.
fn sled_round(
    sled: &sled::Db,
    path: &Path,
    events: u64,
    bytes: u64,
    syncs: u64,
) -> Result<Duration, Box<dyn Error>> {
    let file = fs::OpenOptions::new().write(true).open(path.join("db"))?;
    let value = vec![7_u8; usize::try_from(bytes.saturating_sub(9))?];
    let start = Instant::now();
    let (mut written, mut removed) = (0, 0);
    for batch_number in 1..=syncs {
        let until = events * batch_number / syncs;
        let mut batch = sled::Batch::default();
        let last = written;
        for number in written..until {
            batch.insert(key(number).as_slice(), value.as_slice());
        }
        written = until;
        // What the batch before has written.
        for number in removed..last {
            batch.remove(key(number).as_slice());
        }
        removed = last;
        sled.apply_batch(batch)?;
        sled.flush()?;
        file.sync_data()?;
    }
    let mut batch = sled::Batch::default();
    for number in removed..written {
        batch.remove(key(number).as_slice());
    }
    sled.apply_batch(batch)?;
    sled.flush()?;
    file.sync_data()?;
    Ok(start.elapsed())
}

fn key(number: u64) -> Vec<u8> {
    [&[EVENTS][..], &number.to_be_bytes()].concat()
}

/// Measures what an event takes in the store for which a hundred wait.
fn fan_out() -> Result<(), Box<dyn Error>> {
    const EVENTS_IN_ALL: usize = 1_000;
    let directory = tempfile::tempdir()?;
    let rig = Rig::open(directory.path(), 100)?;
    rig.fire(EVENTS_IN_ALL as u64)?;
    rig.stored(EVENTS_IN_ALL)?;
    let mut bytes = 0;
    for prefix in [0x81, 0x82] {
        let pairs = rig.engine.page(&[prefix], None, usize::MAX)?;
        bytes += pairs
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
    }
    bar(
        "queued_fanout_100_bytes_per_event",
        bytes as f64 / EVENTS_IN_ALL as f64,
    );
    Ok(())
}

/// Measures how fast a backlog is delivered, what the disk is written, and what is left of it.
fn wear(events: u64) -> Result<(), Box<dyn Error>> {
    let never = left_over(events, Compaction::never())?;
    bar("backlog_empty_file_mb_without_compaction", never);
    bar(
        "backlog_empty_file_mb",
        left_over(events, Compaction::new())?,
    );
    Ok(())
}

/// Returns the megabytes that are left on the disk of events that were delivered, by these terms of
/// compaction. By the usual ones, the rest is printed too.
fn left_over(events: u64, terms: Compaction) -> Result<f64, Box<dyn Error>> {
    let is_usual = terms == Compaction::new();
    let directory = tempfile::tempdir()?;
    let before = written_to_disk()?;
    let rig = Rig::open_with(directory.path(), 1, terms)?;
    rig.fire(events)?;
    rig.stored(usize::try_from(events)?)?;
    let start = Instant::now();
    rig.serve()?;
    rig.drain()?;
    let pumped = start.elapsed();
    rig.broker.close(Duration::from_secs(60))?;
    // Closes the store, which was given to the broker.
    drop(rig);
    let written = written_to_disk()? - before;
    if is_usual {
        bar("pump_events_per_s", events as f64 / pumped.as_secs_f64());
        bar(
            "disk_bytes_per_queued_event",
            written as f64 / events as f64,
        );
    }
    Ok(size_of(directory.path())? as f64 / 1e6)
}

/// Measures what the disk is written for a change of the wiring that is synced by itself: a record
/// is stored, switched off and removed.
fn changes(records: u64) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let broker = Broker::builder().path(directory.path()).without_copy();
    let broker = broker.open()?;
    let before = written_to_disk()?;
    for number in 0..records {
        let record = Subscription::builder(format!("ledger {number}")).to::<dyn Orders>();
        let record = record.component("ledger").build()?;
        broker.ensure(&record)?;
        broker.disable(record.id())?;
        broker.remove(record.id())?;
    }
    let written = written_to_disk()? - before;
    bar(
        "disk_bytes_per_change",
        written as f64 / (3 * records) as f64,
    );
    broker.close(Duration::from_secs(60))?;
    Ok(())
}

/// Returns how many bytes this process has had written to disks.
fn written_to_disk() -> Result<u64, Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no count of bytes written")?.parse()?)
}

fn size_of(directory: &Path) -> Result<u64, Box<dyn Error>> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += match metadata.is_dir() {
            true => size_of(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(size)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
