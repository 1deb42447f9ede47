//! Three ways to receive without being called: a stream, a task, and names instead of types.
//!
//! The runtime is a few lines at the end of this file, since the crate needs none in particular.
//! Watch for the gap, which stands in the stream where events are missing; for the task, which is
//! given one order after another; and for the refusal that it returns, which the failure hook hears
//! of, as no publisher waits for it.
//!
//! ```text
//! cargo run --example async_streams
//! ```

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use loosely::{Broker, Detached, Overflow, SpawnedFuture, Streamed, Subscription, event_interface};

#[event_interface]
trait ShopEvents {
    fn ordered(&self, customer: &str, total: f64);
    fn paid(&self, customer: &str);
}

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder()
        .on_failure(|_, delivery| println!("hook: {delivery}"))
        .open()?;

    let (orders, to_check) = mpsc::channel::<SpawnedFuture>();
    let checker = thread::spawn(move || to_check.into_iter().for_each(block_on));
    let (seen, sees) = mpsc::channel();
    let handlers = ShopEventsAsyncHandlers::new()
        .on_ordered(async |order| {
            let verdict = check(order.total).await;
            println!("task: {} may order: {}", order.customer, verdict.is_ok());
            verdict
        })
        .on_paid(move |paid| {
            let seen = seen.clone();
            async move { seen.send(paid.customer) }
        });
    let spawner = move |future| drop(orders.send(future));
    let checked = broker.subscribe_async::<dyn ShopEvents>(spawner, handlers)?;

    let lane = Detached::with_capacity(3).with_overflow(Overflow::DropOldest);
    let latest = Subscription::builder("latest")
        .to::<dyn ShopEvents>()
        .object()
        .delivery(lane);
    let mut latest = broker.stream_with::<dyn ShopEvents>(&latest.build()?)?;
    let large = Subscription::builder("large")
        .interface("ShopEvents")
        .object()
        .filter("total > 100");
    let mut large = broker.stream_dynamic(&large.build()?)?;

    let shop = broker.publisher::<dyn ShopEvents>()?;
    for (customer, total) in [("ada", 20.0), ("bob", 250.0), ("eve", 0.0), ("kim", 80.0)] {
        shop.ordered(customer, total);
    }
    shop.paid("ada");
    println!("main: {} has paid, says the task", sees.recv()?);
    broker.close(Duration::from_secs(10))?;
    // What still waited would be given up by this.
    drop(checked);
    checker.join().map_err(|_| "the task panicked")?;

    for item in &mut latest {
        match item {
            Streamed::Gap(count) => println!("stream: {count} events are missing"),
            Streamed::Event(event) => match &*event {
                ShopEventsEvent::Ordered(order) => {
                    println!("stream: {} ordered for {}", order.customer, order.total);
                }
                ShopEventsEvent::Paid(paid) => println!("stream: {} paid", paid.customer),
            },
        }
    }
    for event in large.by_ref().filter_map(Streamed::into_event) {
        println!("by name: {} {}", event.name(), event.values()[0]);
    }
    Ok(())
}

/// Asks somebody, who takes a moment.
async fn check(total: f64) -> Result<(), String> {
    let mut asked = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    if total > 0.0 {
        return Ok(());
    }
    Err(format!("an order for {total} is none"))
}

/// Wakes the thread that runs a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(mut future: SpawnedFuture) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while future.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}
