//! Why did nobody hear of it? Ask for the event before, or instead of, firing it.
//!
//! `explain` runs the pipeline of a fire and calls nobody. Watch for one line for each subscription
//! that is bound to the method, in the order of calling, with the stage that decides and, where
//! that is the filter, the part of it that decides and the values it read.
//!
//! ```text
//! cargo run --example explain
//! ```

use loosely::{Broker, Component, Subscription, ValueRef, event_interface};

#[event_interface]
trait OrderEvents {
    fn order_placed(&self, customer: &str, total: f64);
}

struct Mailer;

impl OrderEvents for Mailer {
    fn order_placed(&self, customer: &str, _total: f64) {
        println!("mail to {customer}");
    }
}

fn main() -> loosely::Result<()> {
    let broker = Broker::in_memory()?;
    broker
        .register_component(Component::new("mailer", || Mailer).implements::<dyn OrderEvents>())?;
    let orders = broker.publisher::<dyn OrderEvents>()?;

    let to = |name: &str| Subscription::builder(name).to::<dyn OrderEvents>();
    for subscription in [
        to("thank you").component("mailer").priority(1),
        to("large order")
            .component("mailer")
            .filter("customer LIKE 'a%' AND total >= 1000"),
        to("survey").component("mailer").disabled(),
        // No program has registered this component yet: that is no error until an event needs it.
        to("shipping").component("warehouse"),
    ] {
        broker.ensure(&subscription.build()?)?;
    }

    let order = [ValueRef::from("ada"), ValueRef::F64(250.0)];
    let explanation = orders.explain("order_placed", &order)?;
    println!("{explanation}");
    println!("{} would be called", explanation.delivered());
    Ok(())
}
