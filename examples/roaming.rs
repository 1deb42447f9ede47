//! A per-user subscription that follows its owner from one desk to another.
//!
//! Two brokers of this process share one store, as two desks share an office. Ann's subscription is
//! stored once. Watch where it is delivered: at the desk where she is logged on, and nowhere while
//! she is at none.
//!
//! ```text
//! cargo run --example roaming
//! ```

use std::sync::Arc;

use loosely::{Broker, Component, MemoryStore, Store, Subscription, event_interface};

#[event_interface]
trait MailEvents {
    fn arrived(&self, subject: &str);
}

struct Screen {
    desk: &'static str,
}

impl MailEvents for Screen {
    fn arrived(&self, subject: &str) {
        println!("  the screen at {} shows {subject:?}", self.desk);
    }
}

fn main() -> loosely::Result<()> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let window = desk(&store, "the window")?;
    let door = desk(&store, "the door")?;

    window.ensure(
        &Subscription::builder("ann's mail")
            .to::<dyn MailEvents>()
            .component("screen")
            .owner("ann")
            .per_user()
            .build()?,
    )?;

    let mail = [
        window.publisher::<dyn MailEvents>()?,
        door.publisher::<dyn MailEvents>()?,
    ];
    let arrive = |subject: &str| {
        let shown: usize = mail
            .iter()
            .map(|mail| mail.arrived(subject).delivered())
            .sum();
        println!("{subject}: shown {shown} times");
    };

    arrive("before she came");
    let at_window = window.log_on("ann")?;
    arrive("at the window");
    let at_door = door.log_on("ann")?;
    arrive("at both");
    at_window.log_off();
    arrive("at the door");
    drop(at_door);
    arrive("after she left");

    let why = mail[1].explain("arrived", &["anything".into()])?;
    println!("{why}");
    Ok(())
}

/// Opens a broker on the shared store, with a screen of its own.
fn desk(store: &Arc<dyn Store>, name: &'static str) -> loosely::Result<Broker> {
    let broker = Broker::builder().store(Arc::clone(store)).open()?;
    let screen = Component::new("screen", move || Screen { desk: name });
    broker.register_component(screen.implements::<dyn MailEvents>())?;
    Ok(broker)
}
