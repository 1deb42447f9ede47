//! Random operations on a whole broker, against a plain model of it.
//!
//! A case registers classes and components, stores, ensures, edits, switches and removes
//! subscriptions, fires in every mode, writes to trees, commits transactions, replays and purges
//! dead letters, closes the broker and opens it again. The model foretells what each call returns,
//! and then what is listed, which subscribers were called and in which order, what waits, and what
//! is a dead letter.
//!
//! Over memory it also cuts the power: at some write or sync in the midst of an operation, and of
//! what was not synced a beginning stays or nothing. What was acknowledged is there then, an
//! operation that failed was done whole or not at all, every event that was accepted comes, and
//! nothing comes that was given up or never fired.
//!
//! What nobody promises the model does not foretell: who comes first where an edit meets what is
//! under way. There a case waits until the broker is idle, or leaves the operation out.
//!
//! Cases are drawn from a fixed seed, and one that fails is made as short as can be. How the
//! broker's threads meet is not fixed: a case that fails now and then is no less of a finding.
//!
//! - `LOOSELY_CASES=100 cargo test --test model` plays a hundred times as many, and 0.1 the
//!   tenth.
//! - `LOOSELY_SEED=7` draws others.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod backlog;
mod check;
mod events;
mod machine;
mod model;
mod operations;
mod program;
mod records;
mod subscriber;

use loosely::testing::{VolatileEngine, Watchdog};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::program::Medium;

/// Plays so many cases, or as many times as that as the environment says.
fn play(cases: u32, seed: u8, medium: impl Fn() -> Medium) {
    let times = std::env::var("LOOSELY_CASES").map_or(1.0, |it| it.parse().unwrap());
    let cases = (f64::from(cases) * times).ceil();
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::with_cases(cases as u32)
    };
    let shift = std::env::var("LOOSELY_SEED").map_or(0, |it| it.parse::<u8>().unwrap());
    let seed = [seed.wrapping_add(shift); 16];
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let played = runner.run(&operations::cases(), |case| {
        let _watchdog = Watchdog::new();
        machine::play(&case, medium()).map_err(TestCaseError::fail)
    });
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => {
            let lines: Vec<_> = case.iter().map(|it| format!("    {it:?}")).collect();
            panic!("{why}\nin:\n{}", lines.join("\n"));
        }
        Err(abort) => panic!("{abort}"),
    }
}

fn memory() -> Medium {
    Medium::Memory(VolatileEngine::new())
}

#[test]
fn broker_does_what_the_model_does_until_it_is_closed_or_its_power_is_cut() {
    play(1_000, 1, memory);
}

/// In a test of its own for the sake of machines with several cores.
#[test]
fn broker_does_what_the_model_does_in_as_many_other_cases() {
    play(1_000, 2, memory);
}

#[cfg(feature = "sled")]
#[test]
fn broker_over_a_directory_does_what_the_model_does_and_finds_it_again() {
    play(60, 3, || Medium::Directory(tempfile::tempdir().unwrap()));
}
