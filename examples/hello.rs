//! The whole of it in one screen: a trait, a component, a stored subscription, a fire.
//!
//! Watch for the report that the event method returns.
//!
//! ```text
//! cargo run --example hello
//! ```

use loosely::{Broker, Component, Subscription, event_interface};

#[event_interface]
pub trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);
}

#[derive(Default)]
struct Alarm;

impl StockEvents for Alarm {
    fn price_changed(&self, symbol: &str, price: f64) {
        println!("alarm: {symbol} at {price}");
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker.register_component(
        Component::new("alarm", Alarm::default).implements::<dyn StockEvents>(),
    )?;
    broker.ensure(
        &Subscription::builder("msft above 185")
            .to::<dyn StockEvents>()
            .component("alarm")
            .filter("symbol = 'MSFT' AND price > 185")
            .build()?,
    )?;

    let stocks = broker.publisher::<dyn StockEvents>()?;
    println!("{}", stocks.price_changed("MSFT", 184.0));
    println!("{}", stocks.price_changed("MSFT", 185.5));
    Ok(())
}
