//! A ticker that makes only the prices that somebody asks for.
//!
//! A price is dear here: each is a call of the exchange. Watch for the number of calls: the ticker
//! reads from the subscriptions which symbols they name, makes no price while there is none, and
//! looks again when a subscription comes or goes. A subscription that leaves the symbol open makes
//! it quote all of them.
//!
//! ```text
//! cargo run --example interest
//! ```

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, InterestChanges, ParameterInterest, Result, Subscription, SubscriptionGuard,
    event_interface,
};

#[event_interface]
trait TickerEvents {
    fn price(&self, symbol: &str, cents: i64);
}

/// What the exchange has, and who wants to be told.
struct Ticker {
    events: TickerEventsPublisher,
    symbol: ParameterInterest,
    changes: InterestChanges,
    quoted: Vec<&'static str>,
}

impl Ticker {
    fn new(broker: &Broker) -> Result<Self> {
        let events = broker.publisher::<dyn TickerEvents>()?;
        let interest = events.interest();
        // Before the first question, so that no change is missed.
        let changes = interest.changes();
        let symbol = interest.method("price")?.parameter("symbol")?;
        let mut ticker = Self {
            events,
            symbol,
            changes,
            quoted: Vec::new(),
        };
        ticker.choose();
        Ok(ticker)
    }

    /// Chooses what to quote from now on.
    fn choose(&mut self) {
        let listed = LISTED.iter().copied();
        self.quoted = listed.filter(|symbol| self.symbol.wants(*symbol)).collect();
        let asked = if self.symbol.is_open() {
            "any symbol".to_owned()
        } else {
            let constants = self
                .symbol
                .constants()
                .map(|asked| asked.value().to_string());
            let mut constants: Vec<_> = constants.collect();
            constants.sort();
            format!("[{}]", constants.join(", "))
        };
        println!("asked for: {asked}; quoting: {:?}", self.quoted);
    }

    fn tick(&mut self) {
        if self.changes.changed() {
            self.choose();
        }
        for symbol in &self.quoted {
            self.events.price(symbol, call_exchange(symbol));
        }
        println!("  calls of the exchange: {}", self.quoted.len());
    }
}

fn main() -> Result<()> {
    let broker = Broker::in_memory()?;
    let mut ticker = Ticker::new(&broker)?;
    ticker.tick();

    let ibm = subscribe(&broker, "ibm", Some("symbol = 'IBM'"))?;
    ticker.tick();
    let _both = subscribe(
        &broker,
        "both",
        Some("symbol IN ('IBM', 'SAP', 'XYZ') AND cents > 9"),
    )?;
    ticker.tick();
    drop(ibm);
    ticker.tick();

    // A ticker with nothing else to do waits for a change.
    let elsewhere = broker.clone();
    let everything = thread::spawn(move || subscribe(&elsewhere, "all", None));
    if ticker.changes.wait(Duration::from_secs(60)) {
        ticker.choose();
    }
    ticker.tick();
    drop(everything.join());
    Ok(())
}

fn subscribe(
    broker: &Broker,
    name: &'static str,
    filter: Option<&str>,
) -> Result<SubscriptionGuard> {
    let record = Subscription::builder(name)
        .to::<dyn TickerEvents>()
        .object();
    let record = match filter {
        Some(filter) => record.filter(filter),
        None => record,
    };
    let handlers = TickerEventsHandlers::new()
        .on_price(move |symbol, cents| println!("  {name}: {symbol} at {cents}"));
    broker.subscribe_with::<dyn TickerEvents>(&record.build()?, Arc::new(handlers))
}

fn call_exchange(symbol: &str) -> i64 {
    symbol.bytes().map(i64::from).sum()
}

const LISTED: [&str; 4] = ["AAPL", "IBM", "MSFT", "SAP"];
