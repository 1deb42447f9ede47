//! What finding the filters that select an event costs, against a scan and against other crates.
//!
//! All sides have the same subscriptions and get the same events, and their answers are compared
//! before anything is measured. A match includes reading the event; what it finds is visited slice
//! by slice. Ratios are of mean times over two thousand events, a few of which have most of the
//! matches of W1.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench index -- --quick
//! cargo bench --manifest-path benches/Cargo.toml --bench index -- --quick --only fire
//! ```

mod broker;
mod change;
mod large;
mod peers;
mod scan;
mod sides;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use loosely_benches::workload::Workload;
use loosely_benches::{Contest, Effort, Table, Task, bar, machine, on_threads};

use crate::peers::{Automaton, Tree, json};
use crate::sides::{Cursor, Sides};

fn main() -> ExitCode {
    match large::child() {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::FAILURE,
        None => loosely_benches::main_of_parts("index", bench),
    }
}

fn bench(task: Task) -> Result<(), Box<dyn Error>> {
    println!("{}", machine());
    let columns = ["matches", "checks", "index us", "scan us", "ratio"];
    let mut table = Table::new("workload", columns);
    let effort = task.effort;
    match task.only.as_deref() {
        None => {}
        Some("fire") => {
            broker::fire(&Sides::new(Workload::W1, MILLION)?, effort, &mut table)?;
            println!("\n{table}");
            return Ok(());
        }
        Some("broker") => return broker::stored(effort),
        Some(part) => return Err(format!("no part is called {part:?}").into()),
    }
    let columns = ["index us", "peer us", "ratio"];
    let mut beside = Table::new("peer", columns);
    peers(effort, &mut beside)?;
    large::peers(effort)?;
    for workload in [Workload::W4Unfiltered, Workload::W4Identical] {
        Sides::new(workload, MILLION)?.check(checked(effort))?;
    }
    small(effort, &mut table)?;
    let labels = Sides::new(Workload::Labels, 100_000)?;
    let ratio = against_scan("labels 100k", &labels, effort, &mut table)?;
    bar("labels_100k_vs_scan", rounded(ratio));
    drop(labels);
    for (name, workload, goal) in [
        ("w2", Workload::W2, "w2_1m_vs_scan"),
        ("w3", Workload::W3, "w3_1m_vs_scan"),
    ] {
        let sides = Sides::new(workload, MILLION)?;
        let ratio = against_scan(&format!("{name} 1m"), &sides, effort, &mut table)?;
        bar(goal, rounded(ratio));
    }
    let w1 = Sides::new(Workload::W1, MILLION)?;
    let ratio = against_scan("w1 1m", &w1, effort, &mut table)?;
    bar("w1_1m_vs_scan", rounded(ratio));
    two_threads(&w1, effort);
    broker::fire(&w1, effort, &mut table)?;
    change::costs(w1, effort)?;
    change::bytes()?;
    broker::stored(effort)?;
    println!("\n{table}\n{beside}");
    Ok(())
}

/// Measures index and scan in turns, and returns how many times the scan's time is the index's.
fn against_scan(
    row: &str,
    sides: &Sides,
    effort: Effort,
    table: &mut Table,
) -> Result<f64, Box<dyn Error>> {
    let matches = sides.check(checked(effort))?;
    let (mut index, mut scan) = (Cursor::default(), Cursor::default());
    let mut contest = Contest::new(Duration::from_millis(20));
    let by_index = contest.enter(|| _ = sides.by_index(&mut index));
    let by_scan = contest.enter(|| _ = sides.by_scan(&mut scan));
    let results = contest.run(effort.share(Duration::from_secs(3)));
    let ratio = results.ratio(by_scan, by_index);
    let microseconds = |entrant| format!("{:.2}", results.nanoseconds(entrant) / 1_000.0);
    table.set(row, 0, format!("{matches:.1}"));
    table.set(row, 1, format!("{:.1}", sides.checks()));
    table.set(row, 2, microseconds(by_index));
    table.set(row, 3, microseconds(by_scan));
    table.set(row, 4, rounded(ratio));
    if sides.workload == Workload::W1 {
        let per_subscription = results.nanoseconds(by_scan) / MILLION as f64;
        bar("scan_ns_per_subscription", format!("{per_subscription:.2}"));
    }
    Ok(ratio)
}

/// Measures how the time of a match without matches grows with the subscriptions, and that a match
/// allocates nothing.
fn small(effort: Effort, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let thousand = Sides::new(Workload::W1Zero, 1_000)?;
    let million = Sides::new(Workload::W1Zero, MILLION)?;
    against_scan("w1 without matches 1m", &million, effort, table)?;
    let (mut few, mut many) = (Cursor::default(), Cursor::default());
    let mut contest = Contest::new(Duration::from_millis(5));
    let of_few = contest.enter(|| _ = thousand.by_index(&mut few));
    let of_many = contest.enter(|| _ = million.by_index(&mut many));
    let results = contest.run(effort.share(Duration::from_secs(2)));
    let growth = results.ratio(of_many, of_few);
    bar("w1_growth_1k_to_1m", format!("{growth:.2}"));

    let mut allocations = 0;
    for workload in [Workload::W1, Workload::W2, Workload::Labels] {
        let sides = Sides::new(workload, 20_000)?;
        let mut cursor = Cursor::default();
        (0..sides::EVENTS).for_each(|_| _ = sides.by_index(&mut cursor));
        let events = || (0..sides::EVENTS).for_each(|_| _ = sides.by_index(&mut cursor));
        allocations += allocation_counter::measure(events).count_total;
    }
    bar("match_allocations", allocations);
    Ok(())
}

/// Measures the index against a-tree and quamina where both can hold the subscriptions.
fn peers(effort: Effort, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let sides = Sides::new(Workload::W1, 10_000)?;
    let tree = Tree::new(10_000)?;
    let mut cursor = Cursor::default();
    for values in &sides.events[..100] {
        let expected = sides.by_index(&mut cursor);
        same("a-tree", expected, tree.matches(values)?)?;
    }
    let mut next = sides.events.iter().cycle();
    let mut by_tree = || {
        next.next()
            .map(|values| black_box(tree.matches(values).ok()))
    };
    let ratio = versus("a-tree, w1 10k", &sides, effort, table, &mut || {
        _ = by_tree()
    });
    bar("w1_10k_vs_atree", rounded(ratio));

    let sides = Sides::new(Workload::W3, 100_000)?;
    let automaton = Automaton::new(100_000)?;
    let events: Vec<_> = sides.events.iter().map(|values| json(values)).collect();
    let mut cursor = Cursor::default();
    for event in &events[..100] {
        let expected = sides.by_index(&mut cursor);
        same("quamina", expected, automaton.matches(event)?)?;
    }
    let mut next = events.iter().cycle();
    let mut by_automaton = || {
        next.next()
            .map(|event| black_box(automaton.matches(event).ok()))
    };
    let row = "quamina, w3 100k";
    let ratio = versus(row, &sides, effort, table, &mut || _ = by_automaton());
    bar("w3_100k_vs_quamina", rounded(ratio));
    Ok(())
}

/// Measures index and peer in turns, and returns how many times the peer's time is the index's.
fn versus(
    row: &str,
    sides: &Sides,
    effort: Effort,
    table: &mut Table,
    peer: &mut dyn FnMut(),
) -> f64 {
    let mut cursor = Cursor::default();
    let mut contest = Contest::new(Duration::from_millis(20));
    let by_index = contest.enter(|| _ = sides.by_index(&mut cursor));
    let by_peer = contest.enter(peer);
    let results = contest.run(effort.share(Duration::from_secs(2)));
    let ratio = results.ratio(by_peer, by_index);
    let microseconds = |entrant| format!("{:.2}", results.nanoseconds(entrant) / 1_000.0);
    table.set(row, 0, microseconds(by_index));
    table.set(row, 1, microseconds(by_peer));
    table.set(row, 2, rounded(ratio));
    ratio
}

fn same(peer: &str, expected: usize, found: usize) -> Result<(), Box<dyn Error>> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{peer} finds {found} where the index finds {expected}").into())
}

/// Measures what a second thread brings to the index and to the scan.
fn two_threads(sides: &Sides, effort: Effort) {
    let by_index = || {
        let mut cursor = Cursor::default();
        move || _ = sides.by_index(&mut cursor)
    };
    let by_scan = || {
        let mut cursor = Cursor::default();
        move || _ = sides.by_scan(&mut cursor)
    };
    let mut contest = Contest::new(Duration::from_millis(20));
    let index = [1, 2].map(|threads| {
        contest.enter_timed(move |iterations| on_threads(threads, iterations, by_index))
    });
    let scan = [1, 2].map(|threads| {
        contest.enter_timed(move |iterations| on_threads(threads, iterations, by_scan))
    });
    let results = contest.run(effort.share(Duration::from_secs(5)));
    let ratio = results.paired(|round| {
        let speed_up = |of: [_; 2]| round[of[0]] / round[of[1]];
        speed_up(index) / speed_up(scan)
    });
    bar("two_threads_vs_scan", format!("{ratio:.2}"));
}

/// Returns for how many events the answers are compared.
fn checked(effort: Effort) -> usize {
    match effort {
        Effort::Quick => 40,
        Effort::Full => 400,
    }
}

fn rounded(ratio: f64) -> String {
    match ratio {
        100.0.. => format!("{ratio:.0}"),
        _ => format!("{ratio:.1}"),
    }
}

const MILLION: usize = 1_000_000;
