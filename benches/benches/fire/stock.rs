//! The workload: three types of subscribers, the same ones for everybody who calls them.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use loosely::{Broker, Component, Subscription, event_interface};
use tempfile::TempDir;

#[event_interface]
pub(crate) trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);

    /// Every subscriber notes its place, so that the order of calling can be compared.
    fn called_over(&self);
}

/// The places of subscribers in the order in which they were called over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roll(Arc<Mutex<Vec<usize>>>);

/// What the three types have in common.
struct Place {
    index: usize,
    roll: Roll,
    hits: AtomicU64,
}

struct Above(Place, f64);
struct Below(Place, f64);
struct Beyond(Place, f64);

/// Prices, of which one in 1024 is of interest to some subscribers.
#[derive(Default)]
pub(crate) struct Feed(u32);

/// A broker with `n` stored subscriptions, which was closed and opened again, and its publisher.
pub(crate) struct Wired {
    pub(crate) stocks: StockEventsPublisher,
    /// Kept, so that the store behind the publisher is there as in a program.
    _broker: Broker,
    _directory: TempDir,
}

impl Roll {
    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn call_over(&self) {
        let mut roll = self.roll.0.lock().unwrap_or_else(PoisonError::into_inner);
        roll.push(self.index);
    }
}

impl StockEvents for Above {
    fn price_changed(&self, _symbol: &str, price: f64) {
        if price > self.1 {
            self.0.hit();
        }
    }

    fn called_over(&self) {
        self.0.call_over();
    }
}

impl StockEvents for Below {
    fn price_changed(&self, _symbol: &str, price: f64) {
        if price < self.1 {
            self.0.hit();
        }
    }

    fn called_over(&self) {
        self.0.call_over();
    }
}

impl StockEvents for Beyond {
    fn price_changed(&self, symbol: &str, price: f64) {
        if price.abs() > self.1 && symbol.len() == SYMBOL.len() {
            self.0.hit();
        }
    }

    fn called_over(&self) {
        self.0.call_over();
    }
}

impl Feed {
    /// Returns the next event's arguments, of which the compiler knows nothing.
    #[inline]
    pub(crate) fn next(&mut self) -> (&'static str, f64) {
        self.0 = self.0.wrapping_add(1);
        let price = if self.0.is_multiple_of(1024) {
            200.0
        } else {
            100.0
        };
        (black_box(SYMBOL), black_box(price))
    }
}

/// Returns the subscribers of the plain loop, of the types and in the order that everybody uses.
pub(crate) fn subscribers(n: usize, roll: &Roll) -> Vec<Arc<dyn StockEvents>> {
    let one = |index| -> Arc<dyn StockEvents> {
        let place = place(index, roll);
        match kind(index) {
            0 => Arc::new(Above(place, LIMIT)),
            1 => Arc::new(Below(place, -LIMIT)),
            _ => Arc::new(Beyond(place, LIMIT)),
        }
    };
    (0..n).map(one).collect()
}

/// Stores `n` subscriptions, every `filtered`th of them with a filter, in a new directory, and
/// opens it again.
pub(crate) fn wired(
    n: usize,
    filtered: Option<usize>,
    roll: &Roll,
) -> Result<Wired, Box<dyn Error>> {
    let directory = TempDir::new()?;
    let path = directory.path().join("wiring");
    let first = Broker::open(&path)?;
    for index in 0..n {
        let subscription = Subscription::builder(component(index))
            .to::<dyn StockEvents>()
            .component(component(index).as_str());
        let subscription = match filtered {
            Some(every) if index % every == every / 2 => {
                subscription.method("price_changed").filter("price > 150")
            }
            _ => subscription,
        };
        first.ensure(&subscription.build()?)?;
    }
    drop(first);
    let broker = Broker::open(&path)?;
    for index in 0..n {
        register(&broker, index, roll)?;
    }
    let stocks = broker.publisher::<dyn StockEvents>()?;
    // The first fire makes the singletons, a price of interest even those behind filters.
    let report = stocks.price_changed(SYMBOL, 200.0);
    if report.delivered() != n {
        return Err(format!("{n} subscribers were stored, but: {report}").into());
    }
    Ok(Wired {
        stocks,
        _broker: broker,
        _directory: directory,
    })
}

fn register(broker: &Broker, index: usize, roll: &Roll) -> loosely::Result<()> {
    let (id, roll) = (component(index), roll.clone());
    let place = move || place(index, &roll);
    match kind(index) {
        0 => broker.register_component(
            Component::new(id, move || Above(place(), LIMIT)).implements::<dyn StockEvents>(),
        ),
        1 => broker.register_component(
            Component::new(id, move || Below(place(), -LIMIT)).implements::<dyn StockEvents>(),
        ),
        _ => broker.register_component(
            Component::new(id, move || Beyond(place(), LIMIT)).implements::<dyn StockEvents>(),
        ),
    }
}

fn component(index: usize) -> String {
    format!("subscriber {index}")
}

fn place(index: usize, roll: &Roll) -> Place {
    Place {
        index,
        roll: roll.clone(),
        hits: AtomicU64::new(0),
    }
}

/// Returns which of the three types the subscriber at `index` is of: mixed without a pattern, as a
/// processor would learn one. It is the last step of splitmix64.
fn kind(index: usize) -> u64 {
    let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 3
}

const SYMBOL: &str = "MSFT";

/// Between the usual price and the one of interest.
const LIMIT: f64 = 150.0;
