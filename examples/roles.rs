//! Who may publish, and whom a subscriber hears: both by role.
//!
//! The class gives the right to publish to traders; one subscriber wants to hear auditors alone.
//! Watch Ann: she loses the role while she has a publisher object, and its next fire is denied. The
//! handle that opened the broker is the system's own: it may do everything.
//!
//! ```text
//! cargo run --example roles
//! ```

use std::sync::{Arc, Mutex};

use loosely::{
    Broker, EventClass, FireReport, Right, Role, RoleAuthorizer, Subscription, event_interface,
};

#[event_interface]
trait OrderEvents {
    fn placed(&self, order: &str);
}

fn main() -> loosely::Result<()> {
    let broker = Broker::builder()
        .authorizer(RoleAuthorizer::new().administrators("admins"))
        .open()?;
    let orders = EventClass::new("orders", "Orders").with_access(Right::Publish, "traders");
    broker.register_class::<dyn OrderEvents>(orders)?;
    broker.define_role(&Role::new("night shift").with_principal("bob"))?;
    let traders = Role::new("traders").with_role("night shift");
    broker.define_role(&traders.clone().with_principal("ann"))?;

    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut guards = Vec::new();
    for (name, role) in [("audit", None), ("journal", Some("auditors"))] {
        let mut record = Subscription::builder(name).to::<dyn OrderEvents>().object();
        if let Some(role) = role {
            record = record.requires_role(role);
        }
        let heard = Arc::clone(&heard);
        let handlers = OrderEventsHandlers::new().on_placed(move |order| {
            if let Ok(mut heard) = heard.lock() {
                heard.push(format!("  {name} has heard: {order}"));
            }
        });
        guards
            .push(broker.subscribe_with::<dyn OrderEvents>(&record.build()?, Arc::new(handlers))?);
    }
    let tell = |who: &str, report: &FireReport| {
        println!("{who}: {report}");
        if let Ok(mut heard) = heard.lock() {
            heard.drain(..).for_each(|line| println!("{line}"));
        }
    };

    let eve = broker.as_principal("eve")?;
    if let Err(error) = eve.publisher::<dyn OrderEvents>() {
        println!("eve: {error}");
    }
    let ann = broker.as_principal("ann")?.publisher::<dyn OrderEvents>()?;
    tell("ann", &ann.placed("sell"));
    broker.define_role(&traders)?;
    tell("ann, no trader any more", &ann.placed("sell"));
    let bob = broker.as_principal("bob")?.publisher::<dyn OrderEvents>()?;
    let who = "bob, a trader by way of the night shift";
    tell(who, &bob.placed("buy"));
    let system = broker.publisher::<dyn OrderEvents>()?;
    tell("the system", &system.placed("close"));

    for notice in broker.notices() {
        println!("notice: {notice}");
    }
    Ok(())
}
