//! What the subscriber's side costs: measuring.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench delivery -- --quick
//! ```

mod lanes;
mod metrics;
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
    match only {
        None => {
            lanes::measure(task.effort)?;
            metrics::measure(task.effort)?;
            trigger::measure(task.effort)?;
        }
        Some("lanes") => lanes::measure(task.effort)?,
        Some("metrics") => metrics::measure(task.effort)?,
        Some("trigger") => trigger::measure(task.effort)?,
        Some(part) => return Err(format!("no part is called {part:?}").into()),
    }
    Ok(())
}
