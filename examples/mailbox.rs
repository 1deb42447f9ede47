//! A window that is not `Send` shows prices which other threads fire.
//!
//! The main thread is the event loop: it sleeps until the mailbox's hook wakes it, and then calls
//! the window for what waits. Watch on which thread the window is called, and for the quotes that
//! came too fast for it: of each symbol it gets the latest, and misses nothing by that.
//!
//! ```text
//! cargo run --example mailbox
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use loosely::{Broker, Detached, Mailbox, Overflow, Subscription, event_interface};

#[event_interface]
trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);
    fn market_closed(&self);
}

/// As in most toolkits, this belongs to the thread that made it.
#[derive(Default)]
struct Window {
    rows: BTreeMap<String, f64>,
    repainted: usize,
    is_open: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    let mailbox = Mailbox::new(&broker);
    let window = Rc::new(RefCell::new(Window {
        is_open: true,
        ..Window::default()
    }));

    let (shown, closed) = (Rc::clone(&window), Rc::clone(&window));
    let ui = thread::current().id();
    let handlers = StockEventsLocalHandlers::new()
        .on_price_changed(move |symbol, price| {
            assert_eq!(thread::current().id(), ui);
            let mut window = shown.borrow_mut();
            window.rows.insert(symbol.to_owned(), price);
            window.repainted += 1;
        })
        .on_market_closed(move || closed.borrow_mut().is_open = false);
    let latest = Detached::with_capacity(100).with_key("symbol");
    let record = Subscription::builder("window")
        .to::<dyn StockEvents>()
        .object()
        .delivery(latest.with_overflow(Overflow::Coalesce))
        .build()?;
    let _subscription = mailbox.subscribe_with::<dyn StockEvents>(&record, handlers)?;

    // A toolkit has a call of its own for this, which posts a message to its loop.
    let (wake, woken) = mpsc::channel();
    mailbox.on_ready(move || _ = wake.send(()));

    let stocks = broker.publisher::<dyn StockEvents>()?;
    let feed = thread::spawn(move || {
        for tick in 0..1_000 {
            stocks.price_changed("MSFT", 185.0 + f64::from(tick % 10));
            stocks.price_changed("IBM", 96.0);
        }
        stocks.market_closed();
    });
    // As a window that is busy painting while the feed goes on.
    feed.join().map_err(|_| "the feed panicked")?;

    while window.borrow().is_open {
        woken.recv()?;
        println!("woken for {} events", mailbox.waiting());
        mailbox.dispatch();
    }
    let window = window.borrow();
    for (symbol, price) in &window.rows {
        println!("{symbol} is at {price}");
    }
    println!("2000 quotes, painted {} times", window.repainted);
    Ok(())
}
