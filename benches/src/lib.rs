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

/// What a bench is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// How long it may take.
    pub effort: Effort,
    /// The one part that is to run, if not all are.
    pub only: Option<String>,
}

/// An argument that no bench knows.
#[derive(Debug)]
pub struct UnknownArgument(String);

impl Effort {
    /// Returns the time for a part that takes `quick` of the quick run.
    pub fn share(self, quick: Duration) -> Duration {
        match self {
            Self::Quick => quick,
            Self::Full => quick * 10,
        }
    }
}

impl Task {
    /// Reads the task from the arguments of the program, those after its name.
    ///
    /// # Errors
    ///
    /// [`UnknownArgument`] for anything other than `--quick`, `--full`, `--only` with a name behind
    /// it and what cargo adds.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, UnknownArgument> {
        let mut task = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => task.effort = Effort::Quick,
                "--full" => task.effort = Effort::Full,
                "--only" => match arguments.next() {
                    Some(part) => task.only = Some(part),
                    None => return Err(UnknownArgument(argument)),
                },
                // `cargo bench` passes it to every bench.
                "--bench" => {}
                _ => return Err(UnknownArgument(argument)),
            }
        }
        Ok(task)
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
    main_of_parts(name, |task| match task.only {
        Some(part) => Err(format!("no part is called {part:?}").into()),
        None => bench(task.effort),
    })
}

/// As [`main`], for a bench of which a part can run alone.
pub fn main_of_parts(
    name: &str,
    bench: impl FnOnce(Task) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    let task = match Task::from_arguments(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("{name}: {error}");
            eprintln!("usage: cargo bench --bench {name} -- [--quick | --full] [--only PART]");
            return ExitCode::from(2);
        }
    };
    match bench(task) {
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

    fn parsed(arguments: &[&str]) -> Result<Task, String> {
        Task::from_arguments(arguments.iter().map(ToString::to_string))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_cargo_adds_changes_nothing() {
        let task = |effort| Ok(Task { effort, only: None });
        assert_eq!(parsed(&["--full", "--bench"]), task(Effort::Full));
        assert_eq!(parsed(&["--bench"]), task(Effort::Quick));
    }

    #[test]
    fn part_is_named_behind_only() {
        let only = |part: &str| Some(part.to_owned());
        let parsed = parsed(&["--only", "fire", "--bench"]);
        assert_eq!(parsed.map(|task| task.only), Ok(only("fire")));
    }

    #[test]
    fn unknown_argument_is_named() {
        let unknown = |argument: &str| Err(format!("unknown argument {argument:?}"));
        assert_eq!(parsed(&["--quik"]), unknown("--quik"));
        assert_eq!(parsed(&["--only"]), unknown("--only"));
    }
}
