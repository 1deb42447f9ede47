//! What the publisher's side costs: bags compared with events, publisher filters, interest, and how
//! soon a change of the wiring is told.
//!
//! A million subscriptions are told apart by one value of their bags. Against the index stands what
//! COM+ would do: a loop that compares the value in each bag with the event's. The same million is
//! asked whether anybody wants an event of some symbol. A hundred subscribers are called through a
//! publisher filter that fires each, against the plain fire.
//!
//! ```text
//! cargo bench --manifest-path benches/Cargo.toml --bench publish -- --quick
//! ```

mod interest;
mod lag;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use loosely::{
    BagEquality, Broker, EventClass, FilteredEvent, Properties, PublisherFilter, Selection,
    Subscription, Value, event_interface,
};
use loosely_benches::{Contest, Effort, Table, bar, machine};

/// The interface whose events are fired.
#[event_interface]
trait Ticks {
    fn event(&self, symbol: &str, price: i64);
}

/// Does next to nothing.
struct Idle;

impl Ticks for Idle {
    fn event(&self, symbol: &str, price: i64) {
        black_box((symbol, price));
    }
}

/// Fires every subscription, one by one.
struct PassAll;

impl PublisherFilter for PassAll {
    fn fire(&self, _event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        for candidate in subscriptions.iter() {
            subscriptions.fire(&candidate);
        }
    }
}

fn main() -> ExitCode {
    loosely_benches::main("publish", bench)
}

fn bench(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!("{}", machine());
    let mut table = Table::new("what", ["ours us", "theirs us", "ratio"]);
    publisher_filter(effort, &mut table)?;
    bag_equality(effort, &mut table)?;
    lag::measure(effort)?;
    println!("\n{table}");
    Ok(())
}

/// Measures a fire through a publisher filter against one without.
fn publisher_filter(effort: Effort, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    let plain = broker.publisher::<dyn Ticks>()?;
    let steered = broker.publisher::<dyn Ticks>()?;
    for _ in 0..SUBSCRIBERS {
        broker.subscribe::<dyn Ticks>(Arc::new(Idle))?.detach();
    }
    steered.install_filter(Arc::new(PassAll));
    for ticks in [&plain, &steered] {
        same(SUBSCRIBERS, ticks.event("MSFT", 1).delivered())?;
    }
    let mut contest = Contest::new(Duration::from_millis(5));
    let by_plain = contest.enter(|| _ = black_box(plain.event("MSFT", 1)));
    let by_filter = contest.enter(|| _ = black_box(steered.event("MSFT", 1)));
    let results = contest.run(effort.share(Duration::from_secs(2)));
    let ratio = results.ratio(by_filter, by_plain);
    let row = "100 subscribers, filter over plain";
    for (column, entrant) in [by_filter, by_plain].into_iter().enumerate() {
        let microseconds = results.nanoseconds(entrant) / 1_000.0;
        table.set(row, column, format!("{microseconds:.3}"));
    }
    table.set(row, 2, format!("{ratio:.2}"));
    bar("publisher_filter_100_vs_plain", format!("{ratio:.2}"));
    Ok(())
}

/// Measures a fire among a million subscriptions that a bag tells apart against a loop over the
/// bags.
fn bag_equality(effort: Effort, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    let bags = Arc::new(BagEquality::on(["symbol"]));
    broker.register_publisher_filter("by symbol", bags)?;
    let class = EventClass::new("Ticks", "Ticks").with_publisher_filter("by symbol");
    broker.register_class::<dyn Ticks>(class)?;
    let target: Arc<dyn Ticks> = Arc::new(Idle);
    let mut listed: Vec<(Properties, Arc<dyn Ticks>)> = Vec::with_capacity(MILLION);
    for number in 0..MILLION {
        let bag = Properties::from([("symbol", symbol(number))]);
        let record = Subscription::builder(format!("s{number}"))
            .to::<dyn Ticks>()
            .object()
            .for_publisher(bag.clone())
            .build()?;
        let guard = broker.subscribe_with::<dyn Ticks>(&record, Arc::clone(&target))?;
        guard.detach();
        listed.push((bag, Arc::clone(&target)));
    }
    let ticks = broker.publisher::<dyn Ticks>()?;
    let events: Vec<_> = (0..SYMBOLS).step_by(97).map(symbol).collect();
    for event in events.iter().take(5) {
        same(scan(&listed, event), ticks.event(event, 1).delivered())?;
    }
    let (mut next, mut other) = (events.iter().cycle(), events.iter().cycle());
    let mut contest = Contest::new(Duration::from_millis(20));
    let by_index = contest.enter(|| _ = next.next().map(|event| black_box(ticks.event(event, 1))));
    let by_scan = contest.enter(|| _ = other.next().map(|event| black_box(scan(&listed, event))));
    let results = contest.run(effort.share(Duration::from_secs(3)));
    let ratio = results.ratio(by_scan, by_index);
    let row = "1m bags, index and scan";
    for (column, entrant) in [by_index, by_scan].into_iter().enumerate() {
        let microseconds = results.nanoseconds(entrant) / 1_000.0;
        table.set(row, column, format!("{microseconds:.2}"));
    }
    table.set(row, 2, format!("{ratio:.0}"));
    bar("bag_equality_1m_vs_scan", format!("{ratio:.0}"));
    interest::measure(effort, &ticks, &events)
}

/// Calls each whose bag has the symbol, and returns how many.
fn scan(listed: &[(Properties, Arc<dyn Ticks>)], symbol: &str) -> usize {
    let mut count = 0;
    for (bag, target) in listed {
        if matches!(bag.get("symbol"), Some(Value::Str(value)) if value == symbol) {
            target.event(symbol, 1);
            count += 1;
        }
    }
    count
}

fn symbol(number: usize) -> String {
    format!("SYM{:06}", number % SYMBOLS)
}

fn same(expected: usize, found: usize) -> Result<(), Box<dyn Error>> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{found} were called in place of {expected}").into())
}

const SUBSCRIBERS: usize = 100;
const MILLION: usize = 1_000_000;

/// So many that an event reaches ten of the million.
const SYMBOLS: usize = 100_000;
