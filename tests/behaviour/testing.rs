//! The test kit.

mod faults;
mod filter_table;
mod recorder;
mod time;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what the panic said that `work` ends with.
fn complaint<T>(work: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else {
        panic!("it was accepted");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}
