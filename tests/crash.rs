//! What a program that is killed leaves to the next one: see `examples/torture.rs`.
//!
//! The example is the one that `cargo test` has built beside this test; to run this file alone,
//! build it before: `cargo build --example torture && cargo test --test crash`.
#![cfg(all(feature = "sled", unix))]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

use std::process::{Command, Output};

fn torture(arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples").join("torture");
    assert!(path.exists(), "cargo build --example torture");
    Command::new(path).args(arguments).output().unwrap()
}

#[track_caller]
fn bar(output: &Output, name: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("bar: {name} ")));
    let errors = String::from_utf8_lossy(&output.stderr);
    value
        .unwrap_or_else(|| panic!("no {name} in {text}: {errors}"))
        .parse()
        .unwrap()
}

#[test]
fn killed_program_loses_nothing_that_it_was_told_is_done() {
    let output = torture(&["--rounds", "50"]);
    assert_eq!(bar(&output, "torture_lost"), 0);
    assert_eq!(bar(&output, "torture_rounds"), 50);
    assert!(
        bar(&output, "torture_in_flight") > 0,
        "there was nothing to lose"
    );
    assert!(output.status.success());
}

/// Shows that the check finds losses where there are some.
#[test]
fn program_that_acknowledges_before_the_flush_is_caught() {
    let output = torture(&["--rounds", "5", "--negative-control"]);
    assert!(bar(&output, "torture_lost") > 0);
    assert!(output.status.success());
}

#[test]
fn wrong_command_line_is_refused_with_usage() {
    for wrong in [&["--rounds"][..], &["--rounds", "0"], &["--hard"]] {
        let output = torture(wrong);
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("error:"), "{errors}");
    }
}
