//! An order table and the events about it: both, or neither.
//!
//! A child process books orders. Each is one transaction: a row in a tree, and an event for whoever
//! has a queue. It is killed in the midst of that, several times. Then every order has its event,
//! and every event its order. Watch for the last line: without the transaction, some round would
//! find an order that nobody heard of, or an event about nothing.
//!
//! ```text
//! cargo run --release --example outbox
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use loosely::{Broker, Component, Subscription, event_interface};

#[event_interface]
trait Orders {
    fn placed(&self, number: u64, item: &str);
}

/// Sends the bills: here it notes which orders it heard of.
struct Billing(Arc<Mutex<BTreeSet<u64>>>);

impl Orders for Billing {
    fn placed(&self, number: u64, _item: &str) {
        self.0.lock().expect("nobody panics inside").insert(number);
    }
}

const ROUNDS: u64 = 5;

/// No number is used in two rounds.
const NUMBERS_A_ROUND: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    if let [_, directory, first] = &env::args().collect::<Vec<_>>()[..] {
        return book(Path::new(directory), first.parse()?);
    }
    let directory = env::temp_dir().join(format!("loosely-outbox-{}", std::process::id()));
    for round in 0..ROUNDS {
        kill_one(&directory, round * NUMBERS_A_ROUND)?;
    }
    let heard = Arc::default();
    let broker = open(&directory)?;
    let orders: BTreeSet<_> = rows(&broker)?;
    let billing = Arc::clone(&heard);
    let billing = Component::new("billing", move || Billing(Arc::clone(&billing)));
    broker.register_component(billing.implements::<dyn Orders>())?;
    let id = subscription()?.id();
    while broker
        .subscription_health(id)
        .is_some_and(|it| it.waiting() > 0)
    {
        thread::sleep(Duration::from_millis(1));
    }
    broker.close(Duration::from_secs(60))?;
    fs::remove_dir_all(&directory)?;
    let heard = heard.lock().expect("nobody panics inside");
    println!("killed {ROUNDS} times, orders: {}", some(&orders));
    println!(
        "orders without an event: {}",
        orders.difference(&heard).count()
    );
    println!(
        "events without an order: {}",
        heard.difference(&orders).count()
    );
    Ok(())
}

fn some(orders: &BTreeSet<u64>) -> &'static str {
    if orders.is_empty() { "none" } else { "some" }
}

fn subscription() -> loosely::Result<Subscription> {
    let billing = Subscription::builder("billing").to::<dyn Orders>();
    billing.component("billing").queued().build()
}

fn open(directory: &Path) -> loosely::Result<Broker> {
    let broker = Broker::open(directory)?;
    broker.ensure(&subscription()?)?;
    Ok(broker)
}

fn rows(broker: &Broker) -> loosely::Result<BTreeSet<u64>> {
    let rows = broker.tree("orders")?.starting_with("")?;
    let number = |key: Vec<u8>| String::from_utf8_lossy(&key).parse().unwrap_or_default();
    rows.map(|row| row.map(|(key, _)| number(key))).collect()
}

/// Books orders for ever.
fn book(directory: &Path, first: u64) -> Result<(), Box<dyn Error>> {
    let broker = open(directory)?;
    let orders = broker.publisher::<dyn Orders>()?;
    println!("open");
    for number in first.. {
        let mut order = broker.transaction();
        order
            .tree("orders")?
            .insert(number.to_string(), "two pens")?;
        order.fire(&orders, OrdersPlaced::new(number, "two pens"))?;
        order.commit()?;
    }
    Ok(())
}

/// Starts a process that books orders, and kills it while it does.
fn kill_one(directory: &Path, first: u64) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(directory).arg(first.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("the child has no output")?;
    BufReader::new(out).read_line(&mut String::new())?;
    thread::sleep(Duration::from_millis(20 + first / NUMBERS_A_ROUND * 3));
    child.kill()?;
    child.wait()?;
    Ok(())
}
