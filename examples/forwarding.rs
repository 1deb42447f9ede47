//! A publisher of one class as the subscriber of another: a feed, and what of it is passed on.
//!
//! The publisher object implements the event trait, so nothing has to be written to forward. Watch
//! for the depth: the forwarded event is fired inside the delivery of the first one.
//!
//! ```text
//! cargo run --example forwarding
//! ```

use std::sync::Arc;

use loosely::{Broker, EventClass, EventContext, Subscription, event_interface};

#[event_interface]
trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);
}

struct Screen(&'static str);

impl StockEvents for Screen {
    fn price_changed(&self, symbol: &str, price: f64) {
        let depth = EventContext::current().map_or(0, |context| context.depth());
        println!("{}: {symbol} at {price}, depth {depth}", self.0);
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    // Two classes on one interface: the names are theirs, and so are the subscriptions.
    let feed = broker.register_class::<dyn StockEvents>(EventClass::new("feed", "feed"))?;
    let desk = broker.register_class::<dyn StockEvents>(EventClass::new("desk", "desk"))?;

    let on = |class, name: &str| {
        let subscription = Subscription::builder(name);
        subscription.to::<dyn StockEvents>().class(class).object()
    };
    let to_desk = on(feed, "feed to desk").filter("price > 100").build()?;
    let desk_publisher = broker.publisher_of::<dyn StockEvents>(desk)?;
    let guards = [
        broker.subscribe_with::<dyn StockEvents>(&to_desk, Arc::new(desk_publisher))?,
        broker.subscribe_with::<dyn StockEvents>(
            &on(feed, "feed screen").build()?,
            Arc::new(Screen("feed screen")),
        )?,
        broker.subscribe_with::<dyn StockEvents>(
            &on(desk, "desk screen").build()?,
            Arc::new(Screen("desk screen")),
        )?,
    ];

    let prices = broker.publisher_of::<dyn StockEvents>(feed)?;
    prices.price_changed("IBM", 96.5);
    prices.price_changed("IBM", 125.25);
    drop(guards);
    Ok(())
}
