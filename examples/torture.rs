//! A program that is killed while it works, again and again, and what the next one finds.
//!
//! Each round starts a child that stores subscriptions and fires queued events, and says so after
//! each call that returned. It is killed with SIGKILL at a moment that nobody chose. Then the
//! directory is opened again, and everything that was acknowledged has to be there: each
//! subscription, and each event delivered at least once, in order. Watch for the events in flight:
//! those that were acknowledged and that the child had not delivered when it was killed.
//!
//! With `--negative-control` commits are acknowledged before they reach the disk, and the same
//! check has to find losses.
//!
//! ```text
//! cargo run --release --example torture -- --rounds 100
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, thread};

use clap::Parser;
use loosely::{Broker, Component, Durability, Queued, Subscription, event_interface};

#[event_interface]
trait Ledger {
    fn booked(&self, teller: u32, number: u64);
}

/// Writes down each event that it gets, where a killed process cannot take it back.
struct Clerk {
    book: Arc<Mutex<fs::File>>,
}

impl Ledger for Clerk {
    fn booked(&self, teller: u32, number: u64) {
        // Slower than the tellers, so that a kill finds something in flight.
        thread::sleep(Duration::from_micros(300));
        let mut book = self.book.lock().expect("nobody panics inside");
        let line = format!("{teller} {number}\n");
        book.write_all(line.as_bytes()).expect("the book is open");
    }
}

/// Kills a program while it works, and compares what is there afterwards with what it said.
#[derive(Parser)]
struct Task {
    /// How often it is killed.
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Acknowledge before the flush: there have to be losses then.
    #[arg(long)]
    negative_control: bool,
    /// Work in this directory and leave it, not in one that is made and removed.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Be the one that is killed.
    #[arg(long, hide = true)]
    child: Option<u64>,
}

/// What was acknowledged and what was done, over all rounds.
#[derive(Default)]
struct Books {
    /// teller -> the numbers that were acknowledged
    fired: BTreeMap<u32, BTreeSet<u64>>,
    /// The subscriptions that were acknowledged.
    stored: BTreeSet<u64>,
    /// teller -> the numbers that it tried
    tried: BTreeMap<u32, BTreeSet<u64>>,
    lost: u64,
    in_flight: u64,
}

/// How many threads of the child fire.
const TELLERS: u32 = 3;

/// No number is used in two rounds.
const NUMBERS_A_ROUND: u64 = 1_000_000;

fn main() -> ExitCode {
    let task = Task::parse();
    let done = match task.child {
        Some(first) => work(&task, first).map(|()| true),
        None => torture(&task),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Stores and fires for ever, and says so.
fn work(task: &Task, first: u64) -> Result<(), Box<dyn Error>> {
    let directory = task
        .directory
        .as_deref()
        .ok_or("a child needs a directory")?;
    let broker = open(directory, task.negative_control)?;
    let ledger = broker.publisher::<dyn Ledger>()?;
    thread::scope(|scope| {
        for teller in 0..TELLERS {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in first.. {
                    say(&format!("try {teller} {number}"));
                    if ledger.booked(teller, number).accepted() == 1 {
                        say(&format!("fired {teller} {number}"));
                    }
                }
            });
        }
        for number in first.. {
            let record = Subscription::builder(format!("number {number}")).to::<dyn Ledger>();
            let record = record.component("nobody").filter("number < 0").build();
            if record.and_then(|record| broker.ensure(&record)).is_ok() {
                say(&format!("stored {number}"));
            }
        }
    });
    Ok(())
}

/// Says something at once; whoever listens may be gone.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn open(directory: &Path, negative_control: bool) -> Result<Broker, Box<dyn Error>> {
    let mut builder = Broker::builder().path(directory.join("wiring"));
    if negative_control {
        builder = builder.durability(Durability::Interval(Duration::from_secs(3_600)));
    }
    let broker = builder.open()?;
    let queue = Subscription::builder("the books").to::<dyn Ledger>();
    broker.ensure(&queue.component("clerk").delivery(Queued::new()).build()?)?;
    let mut options = OpenOptions::new();
    let book = options.append(true).create(true);
    let book = Arc::new(Mutex::new(book.open(directory.join("book"))?));
    let clerk = Component::new("clerk", move || Clerk {
        book: Arc::clone(&book),
    });
    broker.register_component(clerk.implements::<dyn Ledger>())?;
    Ok(broker)
}

/// Kills children, and returns whether what is found is what is to be found.
fn torture(task: &Task) -> Result<bool, Box<dyn Error>> {
    let scratch = env::temp_dir().join(format!("loosely-torture-{}", std::process::id()));
    let directory = task.directory.clone().unwrap_or_else(|| scratch.clone());
    fs::create_dir_all(&directory)?;
    let mut books = Books::default();
    for round in 0..task.rounds {
        let first = u64::from(round) * NUMBERS_A_ROUND;
        let said = kill_one(task, &directory, first)?;
        books.note(&said);
        books.compare(&directory, task.negative_control)?;
    }
    if directory == scratch {
        fs::remove_dir_all(&scratch)?;
    }
    println!("bar: torture_lost {}", books.lost);
    println!("bar: torture_rounds {}", task.rounds);
    println!("bar: torture_in_flight {}", books.in_flight);
    Ok(task.negative_control == (books.lost > 0))
}

/// Starts a child, kills it at some moment, and returns what it has said.
fn kill_one(task: &Task, directory: &Path, first: u64) -> Result<Vec<String>, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--child").arg(first.to_string());
    command.arg("--directory").arg(directory);
    if task.negative_control {
        command.arg("--negative-control");
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("the child has no output")?;
    let mut lines = BufReader::new(out).lines();
    // From the first word on, so that no round is over before there was anything to lose.
    let mut said = Vec::from_iter(lines.next().transpose()?);
    let wait = Duration::from_micros(2_000 + RandomState::new().hash_one(first) % 60_000);
    let reader = thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    thread::sleep(wait);
    child.kill()?;
    child.wait()?;
    said.extend(reader.join().map_err(|_| "the reader panicked")?);
    Ok(said)
}

impl Books {
    fn note(&mut self, said: &[String]) {
        for line in said {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["try", teller, number] => note(&mut self.tried, teller, number),
                ["fired", teller, number] => note(&mut self.fired, teller, number),
                ["stored", number] => self.stored.extend(number.parse::<u64>()),
                // Cut short.
                _ => {}
            }
        }
    }

    /// Opens the directory and compares what is there with what was said.
    fn compare(&mut self, directory: &Path, negative_control: bool) -> Result<(), Box<dyn Error>> {
        let before = read_book(directory)?;
        self.in_flight += self.missing_in(&before);
        let broker = open(directory, negative_control)?;
        // Makes the class known to a broker that was killed before it was.
        let _ledger = broker.publisher::<dyn Ledger>()?;
        let books = Subscription::builder("the books").to::<dyn Ledger>();
        let books = books.component("clerk").build()?.id();
        let start = Instant::now();
        while broker
            .subscription_health(books)
            .is_some_and(|it| it.waiting() > 0)
        {
            if start.elapsed() > Duration::from_secs(60) {
                return Err("what waits is not delivered".into());
            }
            thread::sleep(Duration::from_micros(200));
        }
        let names = broker.subscriptions("name LIKE 'number %'")?;
        let names: BTreeSet<_> = names
            .iter()
            .map(|record| record.name().to_owned())
            .collect();
        let gone = |number: &&u64| !names.contains(&format!("number {number}"));
        let gone: Vec<_> = self.stored.iter().filter(gone).copied().collect();
        self.lost += gone.len() as u64;
        for number in gone {
            self.stored.remove(&number);
        }
        broker.close(Duration::from_secs(60))?;
        let book = read_book(directory)?;
        self.lost += self.missing_in(&book);
        self.check(&book)?;
        // Each is counted once.
        self.fired.clear();
        self.tried.clear();
        fs::write(directory.join("book"), "")?;
        Ok(())
    }

    /// Returns how many events were acknowledged and are not in the book.
    fn missing_in(&self, book: &[(u32, u64)]) -> u64 {
        let done: BTreeSet<_> = book.iter().copied().collect();
        let fired = self.fired.iter();
        let fired = fired.flat_map(|(teller, numbers)| numbers.iter().map(|it| (*teller, *it)));
        fired.filter(|event| !done.contains(event)).count() as u64
    }

    /// Finds what was delivered and never fired, and what came out of order.
    fn check(&self, book: &[(u32, u64)]) -> Result<(), Box<dyn Error>> {
        let mut seen: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for (teller, number) in book {
            if !self
                .tried
                .get(teller)
                .is_some_and(|tried| tried.contains(number))
            {
                return Err(format!("{teller} {number} was delivered and never fired").into());
            }
            let seen = seen.entry(*teller).or_default();
            let is_again = !seen.insert(*number);
            if !is_again && seen.last() != Some(number) {
                return Err(format!("{teller} {number} came behind a later one").into());
            }
        }
        Ok(())
    }
}

fn note(all: &mut BTreeMap<u32, BTreeSet<u64>>, teller: &str, number: &str) {
    if let (Ok(teller), Ok(number)) = (teller.parse(), number.parse()) {
        all.entry(teller).or_default().insert(number);
    }
}

fn read_book(directory: &Path) -> Result<Vec<(u32, u64)>, Box<dyn Error>> {
    let text = fs::read_to_string(directory.join("book")).unwrap_or_default();
    let line = |line: &str| {
        let (teller, number) = line.split_once(' ')?;
        Some((teller.parse().ok()?, number.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}
