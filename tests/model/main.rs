//! Random operations against a plain model of the broker.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod backlog;
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
    let times = std::env::var("LOOSELY_MODEL_TIMES").map_or(1, |it| it.parse().unwrap());
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::with_cases(cases * times)
    };
    let shift = std::env::var("LOOSELY_MODEL_SEED").map_or(0, |it| it.parse::<u8>().unwrap());
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

#[test]
fn broker_does_what_the_model_does_until_it_is_closed_or_its_power_is_cut() {
    play(200, 1, || Medium::Memory(VolatileEngine::new()));
}

#[cfg(feature = "sled")]
#[test]
fn broker_over_a_directory_does_what_the_model_does_and_finds_it_again() {
    play(10, 2, || Medium::Directory(tempfile::tempdir().unwrap()));
}
