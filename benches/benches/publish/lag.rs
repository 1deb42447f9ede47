//! How soon a change of the wiring is told to a subscriber of the built-in class.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use loosely::{Broker, Subscription, WiringChanges, WiringChangesHandlers};
use loosely_benches::{Effort, bar};

use super::Ticks;

/// Measures it with the store in memory, where least else is waited for: the median of the time
/// from the return of `store`, below zero where the subscriber was called before, and from its
/// call.
pub(crate) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    let (sender, told) = channel();
    broker
        .subscribe::<dyn WiringChanges>(listener(sender))?
        .detach();
    let _ticks = broker.publisher::<dyn Ticks>()?;
    settle(&told);
    let (mut from_call, mut from_return) = (Vec::new(), Vec::new());
    let end = Instant::now() + effort.share(Duration::from_secs(1));
    for number in 0_u32.. {
        if Instant::now() > end {
            break;
        }
        let record = Subscription::builder(format!("s{}", number % 1_000))
            .to::<dyn Ticks>()
            .component("nobody")
            .build()?;
        let called = Instant::now();
        broker.store(&record)?;
        let returned = Instant::now();
        let heard = told.recv_timeout(Duration::from_secs(10))?;
        from_call.push(microseconds(heard, called));
        from_return.push(microseconds(heard, returned));
    }
    let from_call = median(&mut from_call);
    println!("a change of the wiring is told {from_call:.2} us after the call of store");
    let from_return = median(&mut from_return);
    bar("wiring_change_lag_us", format!("{from_return:.2}"));
    Ok(())
}

/// Returns a subscriber that says when it was called.
fn listener(sender: Sender<Instant>) -> Arc<WiringChangesHandlers> {
    let handlers = WiringChangesHandlers::new();
    // Nobody listens any more when the measurement is over.
    let tell = move |_, _: &str, _, _: &str, _: &str, _| _ = sender.send(Instant::now());
    Arc::new(handlers.on_record_changed(tell))
}

/// Waits for what was told of the changes before.
fn settle(told: &Receiver<Instant>) {
    while told.recv_timeout(Duration::from_millis(100)).is_ok() {}
}

fn microseconds(later: Instant, earlier: Instant) -> f64 {
    let ahead = earlier.saturating_duration_since(later).as_secs_f64();
    (later.saturating_duration_since(earlier).as_secs_f64() - ahead) * 1e6
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
