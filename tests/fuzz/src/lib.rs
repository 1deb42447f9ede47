//! Targets for a fuzzer: what others write and the crate reads.
//!
//! A target is a function of bytes, whatever they are. It panics if the crate breaks a promise, and
//! what panics inside the crate is such a break too. The files under `corpus` are inputs that
//! reached something new; the package's test gives all of them to their targets, so that they need
//! no fuzzer. `tests/fuzz/run` fuzzes each target for some seconds, with what a nightly toolchain
//! brings; with cargo-fuzz it is
//!
//! ```text
//! cargo +nightly fuzz run filter_text --fuzz-dir tests/fuzz
//! ```
//!
//! An input that a fuzzer has found is replayed, with a stable toolchain, by
//!
//! ```text
//! cargo run -p loosely-fuzz --bin filter_text -- FILE
//! ```

mod arguments;
mod events;
mod filter_text;
mod input;
mod query_criteria;
mod stored_records;
mod subscription_json;
mod values;

use std::{env, fs, io};

pub use arguments::arguments;
pub use filter_text::filter_text;
pub use query_criteria::query_criteria;
pub use stored_records::stored_records;
pub use subscription_json::subscription_json;

/// A fuzz target.
pub type FuzzTarget = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, FuzzTarget); 5] = [
    ("arguments", arguments),
    ("filter_text", filter_text),
    ("query_criteria", query_criteria),
    ("stored_records", stored_records),
    ("subscription_json", subscription_json),
];

/// Gives a target the files that the command line names.
///
/// # Errors
///
/// What reading a file meets.
pub fn replay(target: FuzzTarget) -> io::Result<()> {
    for path in env::args_os().skip(1) {
        target(&fs::read(&path)?);
        println!("{} is taken", path.display());
    }
    Ok(())
}
