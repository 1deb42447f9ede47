//! The whole of it in one screen: a trait, a component, a stored subscription, two fires.
//!
//! Watch for the reports: the first event is filtered out and reaches nobody, the second one makes
//! the component and calls it. The code that fires names neither the component nor the filter.
//!
//! ```text
//! cargo run --example hello
//! ```

use loosely::{Broker, Component, Subscription, event_interface};

#[event_interface]
trait StockEvents {
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
    for price in [184.0, 185.5] {
        let report = stocks.price_changed("MSFT", price);
        println!("MSFT at {price}: {report}, {:?}", report.outcome());
    }
    Ok(())
}
