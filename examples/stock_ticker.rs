//! Ten years of real stock prices, fired as events at stored and live subscribers.
//!
//! Each row of `data/stocks.csv` is one `price_changed`, and the first row of each stock a
//! `new_stock` before it. Watch for: who gets which event is said by the subscriptions, which stand
//! in a store; the loop that fires knows nobody. The table at the end counts per subscription.
//!
//! ```text
//! cargo run --release --example stock_ticker
//! cargo run --release --example stock_ticker -- --store /tmp/ticker    (twice: nothing is added)
//! cargo run --release --example stock_ticker -- --symbol GOOG --above 600
//! cargo run --release --example stock_ticker -- --filter "symbol = 'IBM' AND prise > 100"
//! ```

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use loosely::{
    Broker, Component, Ensured, EventClass, EventClassId, EventContext, FireReport, Subscription,
    SubscriptionGuard, SubscriptionId, Target, Value, ValueType, event_interface, field,
};

/// The id of the event class: the same in every program that fires it or subscribes to it.
const STOCKS: EventClassId = EventClassId::from_u128(0x8c8a_6b0e_21f4_4a38_a9a5_6f5b_0d3e_7a10);

#[event_interface]
trait StockEvents {
    fn new_stock(&self, symbol: &str, price: f64, month: SystemTime);
    fn price_changed(&self, symbol: &str, price: f64, month: SystemTime);
}

/// Fires ten years of stock prices and shows who received what.
#[derive(Parser)]
struct Options {
    /// Keeps the subscriptions in this directory; without it they go when the program ends.
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// The stock that the price alarm watches.
    #[arg(long, default_value = "AAPL")]
    symbol: String,
    /// The price in dollars above which it goes off.
    #[arg(long, value_name = "PRICE", default_value_t = 185.0)]
    above: f64,
    /// Filter criteria for the price alarm, in place of symbol and price.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["symbol", "above"])]
    filter: Option<String>,
}

impl Options {
    fn alarm_filter(&self) -> String {
        let symbol = field("symbol").eq(self.symbol.as_str());
        let above = field("price").gt(self.above);
        let given = self.filter.clone();
        given.unwrap_or_else(|| symbol.and(above).to_string())
    }
}

/// The alarm component: says what it is called for.
struct Alarm {
    tally: Arc<Tally>,
}

impl StockEvents for Alarm {
    fn new_stock(&self, _: &str, _: f64, _: SystemTime) {
        self.tally.count_delivery();
    }

    fn price_changed(&self, symbol: &str, price: f64, month: SystemTime) {
        self.tally.count_delivery();
        println!("alarm: {symbol} at {price:.2} in {}", written(month));
    }
}

/// The archive component: one instance serves several subscriptions.
struct Archive {
    tally: Arc<Tally>,
}

impl StockEvents for Archive {
    fn new_stock(&self, _: &str, _: f64, _: SystemTime) {
        self.tally.count_delivery();
    }

    fn price_changed(&self, _: &str, _: f64, _: SystemTime) {
        self.tally.count_delivery();
    }
}

/// A live object of this program, subscribed as long as the program holds the guard.
struct Summits {
    tally: Arc<Tally>,
    highest: Mutex<BTreeMap<String, f64>>,
}

impl StockEvents for Summits {
    fn new_stock(&self, _: &str, _: f64, _: SystemTime) {
        self.tally.count_delivery();
    }

    fn price_changed(&self, symbol: &str, price: f64, _: SystemTime) {
        self.tally.count_delivery();
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = highest.entry(symbol.to_owned()).or_insert(price);
        *known = known.max(price);
    }
}

/// Counts per subscription, where the subscribers and the failure hook see it.
#[derive(Default)]
struct Tally {
    counts: Mutex<HashMap<SubscriptionId, Counts>>,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    delivered: usize,
    failed: usize,
}

impl Tally {
    /// Counts the event that is being delivered on this thread.
    fn count_delivery(&self) {
        if let Some(context) = EventContext::current() {
            self.change(context.subscription(), |counts| counts.delivered += 1);
        }
    }

    fn change(&self, id: SubscriptionId, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(id).or_default());
    }

    fn of(&self, id: SubscriptionId) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&id).copied().unwrap_or_default()
    }
}

/// One row of the file.
#[derive(serde::Deserialize)]
struct Row {
    symbol: String,
    date: String,
    price: f64,
}

impl Row {
    fn month(&self) -> Result<SystemTime, jiff::Error> {
        let date = Date::strptime("%b %d %Y", &self.date)?;
        Ok(date.to_zoned(TimeZone::UTC)?.timestamp().into())
    }

    /// Returns where the stock was traded in those years.
    fn exchange(&self) -> &'static str {
        match self.symbol.as_str() {
            "IBM" => "NYSE",
            _ => "NASDAQ",
        }
    }
}

/// What came of all fires together.
#[derive(Default)]
struct Totals {
    fired: usize,
    delivered: usize,
    filtered: usize,
    failed: usize,
}

impl Totals {
    fn add(&mut self, report: &FireReport) {
        self.fired += 1;
        self.delivered += report.delivered();
        self.filtered += report.filtered();
        self.failed += report.failed();
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The alternate form shows the place in the filter criteria that is at fault.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // Declared before the broker, so that it is removed after the broker let go of it, also on
    // errors.
    let own_directory;
    let store = match &options.store {
        Some(path) => path.as_path(),
        None => {
            own_directory = tempfile::tempdir()?;
            own_directory.path()
        }
    };
    let tally = Arc::new(Tally::default());
    let hook = Arc::clone(&tally);
    let broker = Broker::builder()
        .path(store)
        .on_failure(move |_, delivery| {
            eprintln!("failed: {delivery}");
            hook.change(delivery.subscription(), |counts| counts.failed += 1);
        })
        .open()?;

    let class = EventClass::new(STOCKS, "StockEvents")
        .with_description("Monthly closing prices")
        .with_property("exchange", ValueType::Str, Value::Null);
    broker.register_class::<dyn StockEvents>(class)?;
    register_components(&broker, &tally)?;
    ensure_subscriptions(&broker, &options.alarm_filter())?;

    let summits = Arc::new(Summits {
        tally: Arc::clone(&tally),
        highest: Mutex::default(),
    });
    let _guards = subscribe_live(&broker, &summits, &tally)?;
    let totals = fire_all(&broker)?;

    println!("{}", table(&broker, &tally)?);
    println!("highest: {}", highest(&summits));
    let Totals {
        fired,
        delivered,
        filtered,
        failed,
    } = totals;
    println!(
        "fired {fired} events: {delivered} delivered, {filtered} filtered out, {failed} failed"
    );
    broker.close(CLOSE_WITHIN)?;
    Ok(())
}

/// Registers what can be activated; the first event for a component makes it.
fn register_components(broker: &Broker, tally: &Arc<Tally>) -> loosely::Result<()> {
    let (for_alarm, for_archive) = (Arc::clone(tally), Arc::clone(tally));
    let alarm = Component::new("alarm", move || Alarm {
        tally: Arc::clone(&for_alarm),
    });
    let archive = Component::new("archive", move || Archive {
        tally: Arc::clone(&for_archive),
    });
    broker.register_component(alarm.implements::<dyn StockEvents>())?;
    broker.register_component(archive.implements::<dyn StockEvents>())
}

/// Makes sure of the stored subscriptions, and says what became of each that is not as it was.
fn ensure_subscriptions(broker: &Broker, alarm_filter: &str) -> loosely::Result<()> {
    let to = |name: &str, method: &str| {
        let subscription = Subscription::builder(name);
        subscription.class(STOCKS).method(method)
    };
    let wanted = [
        to("price alarm", "price_changed")
            .component("alarm")
            .filter(alarm_filter)
            .priority(10)
            .build()?,
        to("nasdaq archive", "price_changed")
            .component("archive")
            .filter("publisher.exchange = 'NASDAQ'")
            .build()?,
        to("autumn 2008 archive", "price_changed")
            .component("archive")
            .filter("month BETWEEN '2008-09-01' AND '2008-11-30'")
            .build()?,
        to("listings archive", "new_stock")
            .component("archive")
            .build()?,
    ];

    let found = broker.subscriptions("transient = FALSE")?.len();
    let mut added = 0;
    for subscription in &wanted {
        let name = subscription.name();
        let filter = subscription.filter().unwrap_or("ALL");
        match broker.ensure(subscription)? {
            Ensured::Added => added += 1,
            Ensured::Updated => println!("{name}: updated, its filter is now {filter}"),
            Ensured::Differs => println!("{name}: left as somebody else has changed it"),
            _ => {}
        }
    }
    println!("found {found} subscriptions, added {added}");
    Ok(())
}

/// Subscribes a live object to everything, and a closure to one method; nothing of it is stored.
fn subscribe_live(
    broker: &Broker,
    summits: &Arc<Summits>,
    tally: &Arc<Tally>,
) -> loosely::Result<[SubscriptionGuard; 2]> {
    let everything = Subscription::builder("summits").class(STOCKS).object();
    let everything =
        broker.subscribe_with::<dyn StockEvents>(&everything.build()?, Arc::clone(summits))?;
    let tally = Arc::clone(tally);
    let announcer = StockEventsHandlers::new().on_new_stock(move |symbol, price, month| {
        tally.count_delivery();
        println!("new: {symbol} at {price:.2} in {}", written(month));
    });
    let listings = Subscription::builder("announcer")
        .class(STOCKS)
        .method("new_stock")
        .object();
    let listings =
        broker.subscribe_with::<dyn StockEvents>(&listings.build()?, Arc::new(announcer))?;
    Ok([everything, listings])
}

/// Fires the whole file: one publisher object for each exchange, which differ in a property.
fn fire_all(broker: &Broker) -> Result<Totals, Box<dyn Error>> {
    let mut totals = Totals::default();
    let mut publishers: HashMap<&str, StockEventsPublisher> = HashMap::new();
    let mut last_symbol = String::new();
    for row in csv::Reader::from_reader(PRICES.as_bytes()).deserialize() {
        let row: Row = row?;
        let exchange = row.exchange();
        if !publishers.contains_key(exchange) {
            let publisher = broker.publisher_of::<dyn StockEvents>(STOCKS)?;
            publisher.set("exchange", exchange)?;
            publishers.insert(exchange, publisher);
        }
        let stocks = &publishers[exchange];
        let month = row.month()?;
        // The file has the rows of one stock together.
        if row.symbol != last_symbol {
            totals.add(&stocks.new_stock(&row.symbol, row.price, month));
            last_symbol.clone_from(&row.symbol);
        }
        totals.add(&stocks.price_changed(&row.symbol, row.price, month));
    }
    Ok(totals)
}

/// Returns a line for each subscription, stored or live, as the broker lists them.
fn table(broker: &Broker, tally: &Tally) -> loosely::Result<Table> {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "subscription",
        "target",
        "filter",
        "matched",
        "delivered",
        "failed",
    ]);
    for subscription in broker.subscriptions("ALL")? {
        let Counts { delivered, failed } = tally.of(subscription.id());
        let target = match subscription.target() {
            Target::Object => "live object",
            _ => "component",
        };
        table.add_row([
            subscription.name(),
            target,
            subscription.filter().unwrap_or("-"),
            &(delivered + failed).to_string(),
            &delivered.to_string(),
            &failed.to_string(),
        ]);
    }
    Ok(table)
}

fn highest(summits: &Summits) -> String {
    let highest = summits
        .highest
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let each = highest
        .iter()
        .map(|(symbol, price)| format!("{symbol} {price:.2}"));
    each.collect::<Vec<_>>().join(", ")
}

fn written(month: SystemTime) -> String {
    Timestamp::try_from(month).map_or_else(
        |error| error.to_string(),
        |time| time.strftime("%b %Y").to_string(),
    )
}

const PRICES: &str = include_str!("data/stocks.csv");

/// A flush of a few records takes milliseconds; a device that needs longer than this has failed.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);
