//! What becomes of the peers at sizes that they cannot hold.
//!
//! A full run tries each in a process of its own, with a limit of memory and of time; a quick one
//! prints what a trial found: 2026-11, two cores of an AMD EPYC, 24 GB; a-tree 0.6.1, quamina
//! 0.7.0.

use std::env;
use std::error::Error;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use loosely_benches::Effort;
use loosely_benches::workload::Workload;

use crate::MILLION;
use crate::peers::{Automaton, Tree};

/// A peer and how many subscriptions it is given.
#[derive(Clone, Copy)]
struct Trial {
    peer: &'static str,
    workload: Workload,
    n: usize,
    recorded: &'static str,
}

/// Does what the process was started for, if it is one that tries a peer.
pub(crate) fn child() -> Option<Result<(), Box<dyn Error>>> {
    let number = env::var(VARIABLE).ok()?;
    let trial = TRIALS.get(number.parse::<usize>().ok()?)?;
    let built = match trial.peer {
        "a-tree" => Tree::new(trial.n).map(drop),
        _ => Automaton::of(trial.workload, trial.n).map(drop),
    };
    Some(built)
}

/// Prints how each peer failed.
pub(crate) fn peers(effort: Effort) -> Result<(), Box<dyn Error>> {
    for (number, trial) in TRIALS.iter().enumerate() {
        let outcome = match effort {
            Effort::Quick => format!("{} (recorded 2026-11)", trial.recorded),
            Effort::Full => attempt(number)?,
        };
        let Trial {
            peer, workload, n, ..
        } = trial;
        println!("{peer} with {n} of {workload:?}: {outcome}");
    }
    Ok(())
}

/// Builds a peer in a process of its own and says what came of it.
fn attempt(number: usize) -> io::Result<String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY_KB}; exec \"$0\"")])
        .arg(env::current_exe()?)
        .env(VARIABLE, number.to_string())
        .stderr(Stdio::null())
        .spawn()?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            let seconds = begin.elapsed().as_secs_f64();
            return Ok(match status.success() {
                true => format!("built in {seconds:.1} s"),
                false => format!("failed after {seconds:.1} s: {status}"),
            });
        }
        thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait()?;
    Ok(format!("not built in {} s", PATIENCE.as_secs()))
}

const TRIALS: [Trial; 3] = [
    Trial {
        peer: "a-tree",
        workload: Workload::W1,
        n: MILLION,
        recorded: "not built in 90 s; 100,000 took 22.5 s",
    },
    Trial {
        peer: "quamina",
        workload: Workload::W1,
        n: 10_000,
        recorded: "panics at more than 255 rules behind one state",
    },
    Trial {
        peer: "quamina",
        workload: Workload::W3,
        n: MILLION,
        recorded: "out of memory at 17 GB",
    },
];

const VARIABLE: &str = "LOOSELY_BENCH_TRIAL";

/// As long as the trial waited.
const PATIENCE: Duration = Duration::from_secs(90);

/// Four gigabytes: twenty times what the index needs for the same.
const MEMORY_KB: u64 = 4 << 20;
