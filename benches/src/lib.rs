//! What the benches share: contests whose competitors take turns, tables, and bars.
//!
//! A bench compares, so absolute times matter less than what two competitors took in the same
//! moment: each round measures every competitor once, and ratios are taken within a round before
//! the median is taken over the rounds. Other load on the machine then hits both sides alike.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench fire -- --quick
//! ```

mod contest;
mod table;
mod threads;
pub mod workload;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

pub use contest::{Contest, Entrant, Results, Round};
pub use table::{Table, bar, machine};
pub use threads::on_threads;

/// How long a bench may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// About a minute for the whole bench.
    #[default]
    Quick,
    /// As long as it takes for numbers to be quoted: ten times as long.
    Full,
}

/// An argument that no bench knows.
#[derive(Debug)]
pub struct UnknownArgument(String);

impl Effort {
    /// Reads the effort from the arguments of the program, those after its name.
    ///
    /// # Errors
    ///
    /// [`UnknownArgument`] for anything other than `--quick`, `--full` and what cargo adds.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, UnknownArgument> {
        let mut effort = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--quick" => effort = Self::Quick,
                "--full" => effort = Self::Full,
                // `cargo bench` passes it to every bench.
                "--bench" => {}
                _ => return Err(UnknownArgument(argument)),
            }
        }
        Ok(effort)
    }

    /// Returns the time for a part that takes `quick` of the quick run.
    pub fn share(self, quick: Duration) -> Duration {
        match self {
            Self::Quick => quick,
            Self::Full => quick * 10,
        }
    }
}

impl fmt::Display for UnknownArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown argument {:?}", self.0)
    }
}

impl Error for UnknownArgument {}

/// Runs the bench of this name as a program: reads its arguments and tells of errors.
pub fn main(name: &str, bench: impl FnOnce(Effort) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let effort = match Effort::from_arguments(std::env::args().skip(1)) {
        Ok(effort) => effort,
        Err(error) => {
            eprintln!("{name}: {error}");
            eprintln!("usage: cargo bench --bench {name} -- [--quick | --full]");
            return ExitCode::from(2);
        }
    };
    match bench(effort) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Effort, String> {
        Effort::from_arguments(arguments.iter().map(ToString::to_string))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_cargo_adds_changes_nothing() {
        assert_eq!(parsed(&["--full", "--bench"]), Ok(Effort::Full));
        assert_eq!(parsed(&["--bench"]), Ok(Effort::Quick));
    }

    #[test]
    fn unknown_argument_is_named() {
        assert_eq!(
            parsed(&["--quik"]),
            Err("unknown argument \"--quik\"".to_owned())
        );
    }
}
