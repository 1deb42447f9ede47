//! What a fire costs above calling the subscribers in a plain loop, and what others take.
//!
//! Both sides call subscribers of the same types in the same order with the same arguments. The
//! fire's are singleton components behind subscriptions that were read from a store.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench fire -- --quick
//! ```

mod peers;
mod stock;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use loosely_benches::{Contest, Effort, Entrant, Results, Table, bar, machine, on_threads};

use crate::stock::{Feed, Roll, StockEvents, StockEventsPublisher, Wired, subscribers, wired};

fn main() -> ExitCode {
    loosely_benches::main("fire", bench)
}

fn bench(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!("{}", machine());
    let sides: Vec<_> = SIZES
        .into_iter()
        .map(Sides::new)
        .collect::<Result<_, _>>()?;
    let columns = SIZES.map(|n| format!("n={n}"));
    let mut table = Table::new("ns per fire (ratio to the loop)", columns.clone());
    let mut threads = Table::new("speed-up by a second thread", columns);
    for (column, sides) in sides.iter().enumerate() {
        one_thread(column, sides, effort, &mut table)?;
    }
    for (column, sides) in sides.iter().enumerate() {
        two_threads(column, sides, effort, &mut threads);
    }
    let allocations = sides.iter().map(Sides::allocations).fold(0.0, f64::max);
    bar("fire_allocations", allocations);
    println!("\n{table}\n{threads}");
    Ok(())
}

/// The two that are compared, with as many subscribers.
struct Sides {
    n: usize,
    plain: Vec<Arc<dyn StockEvents>>,
    wired: Wired,
}

impl Sides {
    fn new(n: usize) -> Result<Self, Box<dyn Error>> {
        let roll = Roll::default();
        let sides = Self {
            n,
            plain: subscribers(n, &roll),
            wired: wired(n, None, &roll)?,
        };
        sides
            .plain
            .iter()
            .for_each(|subscriber| subscriber.called_over());
        let expected = roll.take();
        sides.wired.stocks.called_over();
        if roll.take() != expected {
            return Err("fire and loop do not call the same subscribers in the same order".into());
        }
        Ok(sides)
    }

    /// Returns how often a fire allocates.
    fn allocations(&self) -> f64 {
        const FIRES: u32 = 10_000;
        let mut fire = firing(self.wired.stocks.clone());
        let counted = allocation_counter::measure(|| (0..FIRES).for_each(|_| fire()));
        counted.count_total as f64 / f64::from(FIRES)
    }
}

fn one_thread(
    column: usize,
    sides: &Sides,
    effort: Effort,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let mut contest = Contest::new(Duration::from_millis(1));
    let plain = contest.enter(looping(&sides.plain));
    let fire = contest.enter(firing(sides.wired.stocks.clone()));
    let mut others = Vec::new();
    // A filter on one of a hundred needs a hundred.
    let filtered = (sides.n >= 100).then(|| wired(sides.n, Some(100), &Roll::default()));
    let filtered = filtered.transpose()?;
    if let Some(filtered) = &filtered {
        let entrant = contest.enter(firing(filtered.stocks.clone()));
        others.push(("fire, 1 in 100 filtered", entrant));
    }
    others.extend(peers::enter(&mut contest, &sides.plain));
    let results = contest.run(effort.share(Duration::from_secs(8)));
    table.set("plain loop", column, cell(&results, plain, plain));
    table.set("fire", column, cell(&results, fire, plain));
    for (name, entrant) in others {
        table.set(name, column, cell(&results, entrant, plain));
    }
    match sides.n {
        1 => {
            let overhead = results.paired(|round| round[fire] - round[plain]);
            bar("fire_1_overhead_ns", format_args!("{overhead:.2}"));
        }
        n @ (100 | 1000) => {
            let ratio = results.ratio(fire, plain);
            bar(&format!("fire_{n}_vs_loop"), format_args!("{ratio:.3}"));
        }
        _ => {}
    }
    Ok(())
}

/// Compares what a second thread adds; the loop shows what the machine itself has to give.
fn two_threads(column: usize, sides: &Sides, effort: Effort, table: &mut Table) {
    let mut contest = Contest::new(Duration::from_micros(500));
    let mut enter = |threads| {
        let fire = move |k| on_threads(threads, k, || firing(sides.wired.stocks.clone()));
        let plain = move |k| on_threads(threads, k, || looping(&sides.plain));
        (contest.enter_timed(fire), contest.enter_timed(plain))
    };
    let (fire, plain) = enter(1);
    let (fire_two, plain_two) = enter(2);
    let results = contest.run(effort.share(Duration::from_secs(5)));
    let speed_up = |one, two| results.paired(|round| 2.0 * round[one] / round[two]);
    table.set(
        "plain loop",
        column,
        format_args!("{:.2}", speed_up(plain, plain_two)),
    );
    table.set(
        "fire",
        column,
        format_args!("{:.2}", speed_up(fire, fire_two)),
    );
    let ratio =
        results.paired(|round| (round[fire] / round[fire_two]) / (round[plain] / round[plain_two]));
    table.set("fire to loop", column, format_args!("{ratio:.3}"));
    if sides.n == 100 {
        bar("fire_two_threads_vs_loop", format_args!("{ratio:.3}"));
    }
}

fn looping(subscribers: &[Arc<dyn StockEvents>]) -> impl FnMut() {
    let mut feed = Feed::default();
    move || {
        let (symbol, price) = feed.next();
        for subscriber in subscribers {
            subscriber.price_changed(symbol, price);
        }
    }
}

fn firing(stocks: StockEventsPublisher) -> impl FnMut() {
    let mut feed = Feed::default();
    move || {
        let (symbol, price) = feed.next();
        stocks.price_changed(symbol, price);
    }
}

fn cell(results: &Results, entrant: Entrant, plain: Entrant) -> String {
    let (time, ratio) = (results.nanoseconds(entrant), results.ratio(entrant, plain));
    format!("{time:.1} ({ratio:.2})")
}

const SIZES: [usize; 4] = [1, 10, 100, 1000];
