//! What the subscriber's side costs: lanes, calls at the same time, streams, triggers, measuring.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench delivery -- --quick
//! ```

mod lanes;
mod metrics;
mod parallel;
mod stream;
mod trigger;

use std::error::Error;
use std::process::ExitCode;

use loosely_benches::{Task, machine, main_of_parts};

fn main() -> ExitCode {
    main_of_parts("delivery", bench)
}

fn bench(task: Task) -> Result<(), Box<dyn Error>> {
    println!("{}", machine());
    let only = task.only.as_deref();
    let asked = |part: &str| only.is_none_or(|only| only == part);
    if let Some(part) = only.filter(|only| !PARTS.contains(only)) {
        return Err(format!("no part is called {part:?}").into());
    }
    if asked("lanes") {
        lanes::measure(task.effort)?;
    }
    if asked("metrics") {
        metrics::measure(task.effort)?;
    }
    if asked("parallel") {
        parallel::measure(task.effort)?;
    }
    if asked("stream") {
        stream::measure(task.effort)?;
    }
    if asked("trigger") {
        trigger::measure(task.effort)?;
    }
    Ok(())
}

/// What can be asked for alone.
const PARTS: [&str; 5] = ["lanes", "metrics", "parallel", "stream", "trigger"];
