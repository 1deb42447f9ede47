//! What calling two subscribers at the same time gains.
//!
//! Both compute for a millisecond. Against the fire stands a thread that is there already and meets
//! the publisher's before and after each event, or a scope that starts one for each event:
//! whichever is faster.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use loosely::{Broker, EventClass, Firing, event_interface};
use loosely_benches::{Contest, Effort, Table, bar};

/// The interface whose events are fired.
#[event_interface]
trait Sums {
    fn asked(&self, steps: u64);
}

/// Computes as long as it is asked to.
struct Busy;

impl Sums for Busy {
    fn asked(&self, steps: u64) {
        let sum = (0..steps).fold(steps, |sum, step| black_box(sum.rotate_left(5) ^ step));
        black_box(sum);
    }
}

/// Measures fires in parallel and one after another against scopes of threads.
pub(super) fn measure(effort: Effort) -> Result<(), Box<dyn Error>> {
    let steps = steps();
    let (together, _keep) = publisher(Firing::Parallel { max: 2 })?;
    let (in_turn, _keep_too) = publisher(Firing::Serial)?;
    let mut contest = Contest::new(Duration::from_millis(20));
    let fire = contest.enter(|| _ = black_box(together.asked(steps)));
    let warm = contest.enter_timed(|rounds| meeting(rounds, steps));
    let cold = contest.enter(|| starting(steps));
    let serial = contest.enter(|| _ = black_box(in_turn.asked(steps)));
    let results = contest.run(effort.share(Duration::from_secs(5)));
    let mut table = Table::new("two subscribers of 1 ms", ["us", "of the scope's speed"]);
    let rows = [
        ("fire in parallel", fire),
        ("scope, thread there", warm),
        ("scope, thread started", cold),
        ("fire, one after another", serial),
    ];
    for (row, entrant) in rows {
        table.set(
            row,
            0,
            format!("{:.0}", results.nanoseconds(entrant) / 1_000.0),
        );
        table.set(row, 1, format!("{:.3}", results.ratio(warm, entrant)));
    }
    println!("\n{table}");
    // Which of the two is faster depends on what waking a thread costs.
    let speed = results.paired(|round| round[warm].min(round[cold]) / round[fire]);
    bar("parallel_speedup_vs_scope", format!("{speed:.3}"));
    Ok(())
}

/// Returns a publisher of two busy subscribers, and the broker whose threads it uses.
fn publisher(firing: Firing) -> Result<(SumsPublisher, Broker), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Sums>(EventClass::new("sums", "sums").with_firing(firing))?;
    for _ in 0..2 {
        broker.subscribe::<dyn Sums>(Arc::new(Busy))?.detach();
    }
    let sums = broker.publisher::<dyn Sums>()?;
    if sums.asked(1).delivered() != 2 {
        return Err("the two are not called".into());
    }
    Ok((sums, broker))
}

/// Has two threads that are there compute at the same time, and returns how long that took.
fn meeting(rounds: u64, steps: u64) -> Duration {
    let (meet, over) = (Barrier::new(2), AtomicBool::new(false));
    let rest = || {
        meet.wait();
        while !over.load(Ordering::Acquire) {
            Busy.asked(steps);
            meet.wait();
            meet.wait();
        }
    };
    thread::scope(|scope| {
        scope.spawn(rest);
        let mut begin = Instant::now();
        // One more, not counted, for the thread to start.
        for round in 0..=rounds {
            if round == 1 {
                begin = Instant::now();
            }
            meet.wait();
            Busy.asked(steps);
            meet.wait();
        }
        let taken = begin.elapsed();
        over.store(true, Ordering::Release);
        meet.wait();
        taken
    })
}

fn starting(steps: u64) {
    thread::scope(|scope| {
        scope.spawn(|| Busy.asked(steps));
        Busy.asked(steps);
    });
}

/// Returns how many steps take a millisecond here.
fn steps() -> u64 {
    const TRIAL: u64 = 1_000_000;
    let trial = || {
        let begin = Instant::now();
        Busy.asked(TRIAL);
        begin.elapsed()
    };
    let fastest = (0..10).map(|_| trial()).min().unwrap_or_default();
    let nanoseconds = u64::try_from(fastest.as_nanos()).unwrap_or(u64::MAX);
    TRIAL * 1_000_000 / nanoseconds.max(1)
}
