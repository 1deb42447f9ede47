//! A million price alerts in a store on disk, and ten years of real prices fired at them.
//!
//! Every alert is a stored subscription: a stock, and a price that it must exceed or a range that
//! it must enter. Five of the thousand stocks are those of `data/stocks.csv`. Watch for: what a
//! fire takes goes with what it delivers, not with what is stored; and who was called is compared
//! with a plain scan, for each price once.
//!
//! ```text
//! cargo run --release --example million
//! cargo run --release --example million -- --count 20000
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use indicatif::{ProgressBar, ProgressStyle};
use loosely::{
    Broker, Component, EventClass, EventClassId, EventContext, Subscription, SubscriptionId,
    event_interface,
};

const PRICES: EventClassId = EventClassId::from_u128(0x21b6_5e0c_93f4_4d7a_8c1e_57a0_2d4b_96e8);

#[event_interface]
trait PriceEvents {
    fn price_changed(&self, symbol: &str, price: f64);
}

/// Stores many price alerts, and fires ten years of stock prices at them.
#[derive(Parser)]
struct Options {
    /// How many alerts are stored, at most ten million.
    #[arg(long, value_name = "N", default_value_t = MILLION,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
}

/// What an alert asks for, as the scan sees it.
struct Alert {
    id: SubscriptionId,
    stock: usize,
    above: f64,
    until: f64,
}

/// The component behind all alerts: notes which of them it was called for.
#[derive(Clone, Default)]
struct Pager(Arc<Mutex<Called>>);

/// Subscriptions, told apart from other ones by count and sums.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
struct Called {
    count: usize,
    sum: u128,
    mixed: u128,
}

/// A row of the file.
#[derive(serde::Deserialize)]
struct Row {
    symbol: String,
    price: f64,
}

impl PriceEvents for Pager {
    fn price_changed(&self, _: &str, _: f64) {
        if let Some(context) = EventContext::current() {
            let mut called = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            called.add(context.subscription());
        }
    }
}

impl Pager {
    fn take(&self) -> Called {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Called {
    fn add(&mut self, id: SubscriptionId) {
        let number = id.uuid().as_u128();
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
        self.mixed = self.mixed.wrapping_add(number.wrapping_mul(number | 1));
    }
}

impl Alert {
    /// Returns the alert of this number, always the same one, and the record to be stored for it.
    fn new(number: u32) -> loosely::Result<(Self, Subscription)> {
        let stock = (number % STOCKS) as usize;
        let mixed = number.wrapping_mul(2_654_435_769);
        let above = f64::from(mixed % 70_000) / 100.0;
        let symbol = symbol(stock);
        let (filter, until) = if (number / STOCKS).is_multiple_of(4) {
            let until = above + 20.0;
            let filter = format!("symbol = '{symbol}' AND price > {above} AND price < {until}");
            (filter, until)
        } else {
            let filter = format!("symbol = '{symbol}' AND price > {above}");
            (filter, f64::INFINITY)
        };
        let record = Subscription::builder(format!("alert {number}"))
            .class(PRICES)
            .method("price_changed")
            .component("pager")
            .filter(filter)
            .build()?;
        let id = record.id();
        let alert = Self {
            id,
            stock,
            above,
            until,
        };
        Ok((alert, record))
    }

    fn wants(&self, stock: usize, price: f64) -> bool {
        self.stock == stock && price > self.above && price < self.until
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options.count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(count: u32) -> Result<(), Box<dyn Error>> {
    // Declared before the brokers, so that it is removed after they let go of it, also on errors.
    let directory = tempfile::tempdir()?;
    let rows: Vec<Row> = csv::Reader::from_reader(STOCKS_CSV.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()?;
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["step", "time", "resident MB"]);
    let mut line = |step: &str, time: String| {
        table.add_row([step, &time, &resident_megabytes()]);
    };
    line("before", "-".to_owned());

    let begin = Instant::now();
    let alerts = store(directory.path(), count)?;
    let import = begin.elapsed();
    line("import and close", seconds(import));

    let begin = Instant::now();
    let pager = Pager::default();
    let broker = open(directory.path(), &pager)?;
    let prices = broker.publisher_of::<dyn PriceEvents>(PRICES)?;
    if let Some(row) = rows.first() {
        prices.price_changed(&row.symbol, row.price);
    }
    let open = begin.elapsed();
    line("open to first fire", seconds(open));

    let (mut taken, mut delivered) = (Vec::new(), 0);
    for row in &rows {
        let begin = Instant::now();
        delivered += prices.price_changed(&row.symbol, row.price).delivered();
        taken.push(begin.elapsed());
    }
    taken.sort_unstable();
    line("all fires", seconds(taken.iter().sum()));
    line("median fire", microseconds(taken[taken.len() / 2]));
    line("slowest fire", microseconds(taken[taken.len() - 1]));

    let begin = Instant::now();
    let checked = check(&prices, &pager, &alerts, &rows)?;
    line("fires and scans to compare", seconds(begin.elapsed()));
    broker.close(CLOSE_WITHIN)?;

    println!("{table}");
    let megabytes = bytes_in(directory.path())? as f64 / 1e6;
    println!("{count} alerts, {megabytes:.0} MB on disk");
    println!("{} fires, {delivered} matches", rows.len());
    println!("{checked} distinct prices: the matches are those of a scan");
    let size = match count {
        MILLION => "1m".to_owned(),
        _ => count.to_string(),
    };
    println!("bar: import_{size}_s {:.2}", import.as_secs_f64());
    println!("bar: open_{size}_s {:.2}", open.as_secs_f64());
    Ok(())
}

/// Stores the alerts, many in a commit, and closes the store.
fn store(directory: &Path, count: u32) -> Result<Vec<Alert>, Box<dyn Error>> {
    let broker = open(directory, &Pager::default())?;
    let progress = ProgressBar::new(count.into());
    progress.set_style(ProgressStyle::with_template(
        "storing {bar:40} {human_pos} of {human_len} in {elapsed}",
    )?);
    let mut alerts = Vec::new();
    let mut numbers = 0..count;
    while !numbers.is_empty() {
        let made: Result<Vec<_>, _> = numbers.by_ref().take(BATCH).map(Alert::new).collect();
        let (batch, records): (Vec<_>, Vec<_>) = made?.into_iter().unzip();
        broker.import(&records)?;
        progress.inc(records.len() as u64);
        alerts.extend(batch);
    }
    progress.finish_and_clear();
    broker.close(CLOSE_WITHIN)?;
    Ok(alerts)
}

fn open(directory: &Path, pager: &Pager) -> loosely::Result<Broker> {
    let broker = Broker::open(directory)?;
    broker.register_class::<dyn PriceEvents>(EventClass::new(PRICES, "PriceEvents"))?;
    let pager = pager.clone();
    let component = Component::new("pager", move || pager.clone());
    broker.register_component(component.implements::<dyn PriceEvents>())?;
    Ok(broker)
}

/// Fires each distinct price once, and fails unless those are called that a scan finds; returns how
/// many prices there were.
fn check(
    prices: &PriceEventsPublisher,
    pager: &Pager,
    alerts: &[Alert],
    rows: &[Row],
) -> Result<usize, String> {
    pager.take();
    let mut seen = BTreeSet::new();
    for Row { symbol, price } in rows {
        if !seen.insert((symbol, price.to_bits())) {
            continue;
        }
        prices.price_changed(symbol, *price);
        let called = pager.take();
        let stock = REAL.iter().position(|real| real == symbol);
        let mut expected = Called::default();
        alerts
            .iter()
            .filter(|alert| stock.is_some_and(|stock| alert.wants(stock, *price)))
            .for_each(|alert| expected.add(alert.id));
        if called != expected {
            return Err(format!(
                "{symbol} at {price}: {} were called, a scan finds {}",
                called.count, expected.count
            ));
        }
    }
    Ok(seen.len())
}

/// Returns the name of a stock; the first ones are those of the file.
fn symbol(stock: usize) -> String {
    let real = REAL.get(stock).map(ToString::to_string);
    real.unwrap_or_else(|| format!("SYM{stock:03}"))
}

/// Returns what of the process is in memory; only Linux says so in this place.
fn resident_megabytes() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|number| number.parse::<f64>().ok());
    kilobytes.map_or("-".to_owned(), |kilobytes| {
        format!("{:.0}", kilobytes / 1024.0)
    })
}

fn bytes_in(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            bytes_in(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

const MILLION: u32 = 1_000_000;

/// So many stocks have as many alerts each.
const STOCKS: u32 = 1_000;

/// The stocks of the file.
const REAL: [&str; 5] = ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"];

const STOCKS_CSV: &str = include_str!("data/stocks.csv");

/// One commit each: few enough to hold in memory, many enough that syncing is not what costs.
const BATCH: usize = 200_000;

/// The copy of the wiring is written once more at the end, all of it.
const CLOSE_WITHIN: Duration = Duration::from_secs(120);
