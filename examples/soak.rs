//! A broker that is never left alone, and what it takes of memory and disk over time.
//!
//! Subscriptions come, are edited and go; publishers are made and dropped; components fail, and
//! some events are given up, become dead letters and are purged; events are delivered inline, from
//! lanes and from queues. All that is kept is bounded, so what the program takes has to be, too.
//! Watch for the columns of resident memory and of files: they go up and down, and not away.
//!
//! ```text
//! cargo run --release --example soak -- --seconds 300
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use loosely::{
    Broker, Component, Detached, Profile, Queued, Retry, Subscription, SubscriptionGuard,
    event_interface,
};

#[event_interface]
trait Machine {
    fn measured(&self, machine: u32, celsius: i64, note: &str) -> Result<(), String>;
}

/// Counts what it gets, and fails at one event of so many.
struct Gauge {
    delivered: Arc<AtomicU64>,
    /// 0 for one that never fails.
    fails_at: u64,
}

impl Machine for Gauge {
    fn measured(&self, machine: u32, _celsius: i64, _note: &str) -> Result<(), String> {
        let count = self.delivered.fetch_add(1, Ordering::Relaxed);
        match self.fails_at {
            0 => Ok(()),
            each if !count.is_multiple_of(each) => Ok(()),
            _ => Err(format!("the gauge of machine {machine} broke")),
        }
    }
}

/// Keeps a broker busy, and prints what it takes of memory and disk.
#[derive(Parser)]
struct Task {
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Set the broker up for a device with little memory.
    #[arg(long)]
    small: bool,
}

/// What the broker took at some time.
#[derive(Clone, Copy)]
struct Sample {
    /// None where the system does not say.
    resident_mb: Option<f64>,
    file_mb: f64,
}

/// What is kept busy.
struct Rig {
    broker: Broker,
    delivered: Arc<AtomicU64>,
    fired: AtomicU64,
    changed: AtomicU64,
    purged: AtomicU64,
    /// How many dead letters were there when they were last looked through.
    letters: AtomicUsize,
}

/// How many subscriptions there are that come and go.
const CHURNED: u64 = 200;

/// How often a line is printed.
const LINES: u32 = 20;

fn main() -> ExitCode {
    match soak(&Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn soak(task: &Task) -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("loosely-soak-{}", std::process::id()));
    let outcome = soak_in(task, &directory);
    fs::remove_dir_all(&directory)?;
    let samples = outcome?;
    bars(&samples);
    Ok(())
}

fn soak_in(task: &Task, directory: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let profile = match task.small {
        true => Profile::Small,
        false => Profile::Standard,
    };
    let builder = Broker::builder().path(directory).profile(profile);
    let rig = Rig::new(builder.on_failure(|_, _| {}).open()?)?;
    let is_over = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        let workers = [
            scope.spawn(|| rig.until(&is_over, Rig::change)),
            scope.spawn(|| rig.until(&is_over, Rig::fire)),
            scope.spawn(|| rig.until(&is_over, Rig::purge)),
        ];
        let samples = rig.watch(directory, Duration::from_secs(task.seconds));
        is_over.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        samples
    })?;
    rig.broker.close(Duration::from_secs(60))?;
    Ok(samples)
}

impl Rig {
    fn new(broker: Broker) -> Result<Self, Box<dyn Error>> {
        let rig = Self {
            broker,
            delivered: Arc::default(),
            fired: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            purged: AtomicU64::new(0),
            letters: AtomicUsize::new(0),
        };
        for (name, fails_at) in [("sound", 0), ("flaky", 3), ("broken", 1)] {
            let delivered = Arc::clone(&rig.delivered);
            let gauge = Component::new(name, move || Gauge {
                delivered: Arc::clone(&delivered),
                fails_at,
            });
            rig.broker
                .register_component(gauge.per_call().implements::<dyn Machine>())?;
        }
        let soon = Retry::after([Duration::from_millis(1), Duration::from_millis(2)]);
        let queues = [
            ("sound", Queued::new()),
            ("flaky", Queued::new().with_key("machine").with_retry(soon)),
            ("broken", Queued::new().with_retry(Retry::never())),
        ];
        for (component, queue) in queues {
            let record = Subscription::builder(format!("queue of {component}"));
            let record = record.to::<dyn Machine>().component(component);
            // Letters are purged one by one: as many as can be in the time.
            let criteria = match component {
                "sound" => "celsius >= 90",
                _ => "celsius >= 90 AND machine = 3",
            };
            let record = record.filter(criteria).delivery(queue).build()?;
            rig.broker.ensure(&record)?;
        }
        let lane = Subscription::builder("lane").to::<dyn Machine>();
        let lane = lane.component("flaky").delivery(Detached::new());
        rig.broker.ensure(&lane.build()?)?;
        Ok(rig)
    }

    /// Does the same again until it is over, each time with the next number.
    fn until(
        &self,
        is_over: &AtomicBool,
        work: impl Fn(&Self, u64, &mut Held) -> loosely::Result<()>,
    ) -> Result<(), String> {
        let mut held = Held::new();
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            work(self, number, &mut held).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Stores or edits a subscription, removes another, and has live objects come and go.
    fn change(&self, number: u64, held: &mut Held) -> loosely::Result<()> {
        let name = |number: u64| format!("gauge {}", number % (2 * CHURNED));
        let build = |number: u64| {
            let record = Subscription::builder(name(number)).to::<dyn Machine>();
            let (machine, celsius) = (number % 8, number % 90);
            let record = record.filter(format!("machine = {machine} AND celsius = {celsius}"));
            record.component("flaky").build()
        };
        self.broker.store(&build(number)?)?;
        let edited = self.broker.subscription(build(number)?.id());
        if let Some(edited) = edited {
            let edited = edited.to_builder().filter(format!("celsius > {number}"));
            self.broker.store(&edited.build()?)?;
        }
        self.broker.remove(build(number + CHURNED)?.id())?;
        let delivered = Arc::clone(&self.delivered);
        let gauge: Arc<dyn Machine> = Arc::new(Gauge {
            delivered,
            fails_at: 2,
        });
        held.push_back(self.broker.subscribe(gauge)?);
        if held.len() > 8 {
            held.pop_front();
        }
        drop(self.broker.notices());
        self.changed.fetch_add(3, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a publisher, fires with it, and drops it.
    fn fire(&self, number: u64, _: &mut Held) -> loosely::Result<()> {
        let machine = self.broker.publisher::<dyn Machine>()?;
        let note = "x".repeat(100);
        for event in 0..20 {
            let celsius = (number + 5 * event) % 100;
            let celsius = i64::try_from(celsius).unwrap_or_default();
            machine.measured(u32::try_from(event).unwrap_or_default() % 8, celsius, &note);
            self.fired.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Gives up what nobody could receive.
    fn purge(&self, _: u64, _: &mut Held) -> loosely::Result<()> {
        let letters = self.broker.dead_letters()?;
        self.letters.store(letters.len(), Ordering::Relaxed);
        let purged = self.broker.purge_all(&letters)?;
        self.purged.fetch_add(purged as u64, Ordering::Relaxed);
        if letters.is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Prints a line now and then.
    fn watch(&self, directory: &Path, time: Duration) -> Result<Vec<Sample>, Box<dyn Error>> {
        let (start, mut samples) = (Instant::now(), Vec::new());
        println!(" seconds   events  changes   purged  letters  waiting  resident MB  file MB");
        for line in 1..=LINES {
            let until = start + time * line / LINES;
            thread::sleep(until.saturating_duration_since(Instant::now()));
            let sample = Sample {
                resident_mb: resident_mb(),
                file_mb: size_of(directory)? as f64 / 1e6,
            };
            samples.push(sample);
            let resident = sample
                .resident_mb
                .map_or("?".into(), |mb| format!("{mb:.1}"));
            println!(
                "{:8.1} {:8} {:8} {:8} {:8} {:8} {resident:>12} {:8.1}",
                start.elapsed().as_secs_f64(),
                self.fired.load(Ordering::Relaxed),
                self.changed.load(Ordering::Relaxed),
                self.purged.load(Ordering::Relaxed),
                self.letters.load(Ordering::Relaxed),
                self.waiting()?,
                sample.file_mb,
            );
        }
        Ok(samples)
    }

    /// Returns how many events wait in queues and lanes.
    fn waiting(&self) -> Result<usize, Box<dyn Error>> {
        let permanent = self
            .broker
            .subscriptions("name LIKE 'queue%' OR name = 'lane'")?;
        let healths = permanent
            .iter()
            .filter_map(|record| self.broker.subscription_health(record.id()));
        Ok(healths.map(|health| health.waiting()).sum())
    }
}

/// Live objects that are subscribed.
type Held = VecDeque<SubscriptionGuard>;

fn bars(samples: &[Sample]) {
    let quarter = samples.len() / 4;
    let mean = |quarters: &[Sample]| {
        let resident: Option<Vec<f64>> = quarters.iter().map(|sample| sample.resident_mb).collect();
        resident.map(|all| all.iter().sum::<f64>() / all.len() as f64)
    };
    let (second, last) = (
        mean(&samples[quarter..2 * quarter]),
        mean(&samples[3 * quarter..]),
    );
    match second.zip(last) {
        Some((second, last)) => println!("bar: soak_rss_growth {:.3}", last / second),
        None => println!("this system does not say how much memory is resident"),
    }
    let files = samples[3 * quarter..].iter().map(|sample| sample.file_mb);
    println!("bar: soak_file_mb {:.1}", files.fold(0.0, f64::max));
}

/// Returns the memory that this process has, where the system says it as Linux does.
fn resident_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

fn size_of(directory: &Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let sized = match entry.file_type()?.is_dir() {
            true => size_of(&entry.path()),
            false => entry.metadata().map(|metadata| metadata.len()),
        };
        // What is written anew and renamed comes and goes.
        size += sized.unwrap_or_default();
    }
    Ok(size)
}
