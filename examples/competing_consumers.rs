//! Three workers share what waits for one subscription, and each job goes to one of them.
//!
//! The subscription has a queue without an order, from which three jobs are delivered at a time,
//! and its component is a pool of three. The first worker that is given a bad job fails, and
//! another one takes it; jobs behind it do not wait. Watch for the counts: every job is done once,
//! and all three workers took part.
//!
//! ```text
//! cargo run --example competing_consumers
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Component, EventContext, Pool, Queued, Retry, Subscription, event_interface,
};

#[event_interface]
trait Jobs {
    fn submitted(&self, number: u32) -> Result<(), String>;
}

/// What was done, by whom: job -> worker.
type Done = Arc<Mutex<BTreeMap<u32, u32>>>;

struct Worker {
    number: u32,
    /// Where the three wait for one another, so that none of them does all the work.
    together: Arc<Barrier>,
    has_begun: AtomicU32,
    done: Done,
}

impl Jobs for Worker {
    fn submitted(&self, number: u32) -> Result<(), String> {
        if self.has_begun.swap(1, Ordering::Relaxed) == 0 {
            self.together.wait();
        }
        let attempt = EventContext::current().map_or(1, |context| context.attempt());
        if number == BAD && attempt == 1 {
            return Err("the tool broke".to_owned());
        }
        let mut done = self.done.lock().expect("nobody panics inside");
        if done.insert(number, self.number).is_some() {
            println!("job {number} was done twice");
        }
        Ok(())
    }
}

const JOBS: u32 = 30;
const WORKERS: u32 = 3;
const BAD: u32 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().delivery_threads(WORKERS as usize);
    let broker = broker.on_failure(|_, delivery| println!("{delivery}"));
    let broker = broker.open()?;
    let queue = Queued::new().relaxed().with_concurrency(WORKERS);
    let queue = queue.with_retry(Retry::after([Duration::from_millis(5)]));
    let workshop = Subscription::builder("workshop").to::<dyn Jobs>();
    let workshop = workshop.component("worker").delivery(queue).build()?;
    broker.ensure(&workshop)?;

    let jobs = broker.publisher::<dyn Jobs>()?;
    for number in 1..=JOBS {
        jobs.submitted(number);
    }
    println!("{JOBS} jobs wait, and nobody is there");

    let done = Done::default();
    let (together, made) = (Arc::new(Barrier::new(WORKERS as usize)), AtomicU32::new(0));
    let results = Arc::clone(&done);
    let worker = Component::new("worker", move || Worker {
        number: made.fetch_add(1, Ordering::Relaxed) + 1,
        together: Arc::clone(&together),
        has_begun: AtomicU32::new(0),
        done: Arc::clone(&results),
    });
    let pool = Pool::new(WORKERS as usize);
    broker.register_component(worker.implements::<dyn Jobs>().pooled(pool))?;
    while waiting(&broker, &workshop) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let done = done.lock().expect("nobody panics inside");
    let mut shares: Vec<_> = done.values().collect();
    shares.sort_unstable();
    shares.dedup();
    println!("{} jobs done by {} workers", done.len(), shares.len());
    Ok(())
}

fn waiting(broker: &Broker, subscription: &Subscription) -> usize {
    let health = broker.subscription_health(subscription.id());
    health.map_or(0, |health| health.waiting())
}
