//! The publisher's say: who is asked before the filters of subscriptions.
//!
//! Desks take orders. A publisher filter offers each order to one desk at a time, those with the
//! largest limit in their bag first, until one accepts: it learns from the firing control what
//! became of each, as nobody else does. Watch for the order that is too large for all of them, and
//! for the regions: a desk whose bag names another region is filtered out, without any code.
//!
//! ```text
//! cargo run --example publisher_filter
//! ```

use std::cmp::Reverse;
use std::sync::Arc;

use loosely::{
    BagEquality, Broker, EventClass, FilteredEvent, PublisherFilter, Selection, Subscription,
    SubscriptionGuard, event_interface,
};

#[event_interface]
trait Orders {
    fn placed(&self, region: &str, amount: i64) -> Result<(), String>;
}

/// Offers an order to the desks by their limits, until one accepts it.
struct LargestLimitFirst;

impl PublisherFilter for LargestLimitFirst {
    fn fire(&self, event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        println!("{event}");
        let mut desks: Vec<_> = subscriptions.iter().collect();
        desks.sort_by_key(|desk| Reverse(desk.for_publisher().get_as::<i64>("limit").ok()));
        for desk in desks {
            let outcome = subscriptions.fire(&desk);
            println!("  {}: {outcome}", desk.name());
            if outcome.is_delivered() {
                return;
            }
        }
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::builder().on_failure(|_, _| {}).open()?;
    broker.register_publisher_filter("by region", Arc::new(BagEquality::on(["region"])))?;
    let class = EventClass::new("Orders", "Orders").with_publisher_filter("by region");
    broker.register_class::<dyn Orders>(class)?;
    let orders = broker.publisher::<dyn Orders>()?;
    let _desks = [
        desk(&broker, "small", "north", 100)?,
        desk(&broker, "large", "north", 900)?,
        desk(&broker, "far", "south", 500)?,
    ];
    orders.install_filter(Arc::new(LargestLimitFirst));

    for (region, amount) in [("north", 80), ("south", 300), ("north", 1_000)] {
        let report = orders.placed(region, amount);
        println!(
            "  {report}, {} filtered out, {} withheld",
            report.filtered(),
            report.withheld()
        );
    }
    Ok(())
}

/// Subscribes a desk that refuses what is above its limit.
fn desk(
    broker: &Broker,
    name: &str,
    region: &str,
    limit: i64,
) -> loosely::Result<SubscriptionGuard> {
    let handlers = OrdersHandlers::new().on_placed(move |_, amount| match amount {
        amount if amount > limit => Err(format!("{amount} is above {limit}")),
        _ => Ok(()),
    });
    let record = Subscription::builder(name)
        .to::<dyn Orders>()
        .object()
        .for_publisher([
            ("region", region.into()),
            ("limit", loosely::Value::from(limit)),
        ])
        .build()?;
    broker.subscribe_with::<dyn Orders>(&record, Arc::new(handlers))
}
