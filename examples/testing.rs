//! A subscriber is tested without waiting for the time that passes.
//!
//! The pager rings for high loads, and is silent for an hour of maintenance. Watch the clock: the
//! hour goes by at once. The recorder stands for the pager, fails when it is told to, and says what
//! came when it was not what the test expected.
//!
//! ```text
//! cargo run --example testing --features testing
//! ```

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use loosely::testing::{Fault, FilterTable, Recorder, VirtualClock};
use loosely::{Broker, Result, Subscription, event_interface};

#[event_interface]
trait LoadEvents {
    fn measured(&self, service: &str, load: u32);
}

/// What is under test: which events ring the pager.
const RULE: &str = "load > 90 AND service <> 'backup'";

fn main() -> Result<()> {
    FilterTable::of::<dyn LoadEvents>("measured")
        .rows(&format!(
            "criteria | service  | load | expected
             {RULE}   | 'web'    | 91   | TRUE
             {RULE}   | 'web'    | 90   | FALSE
             {RULE}   | 'backup' | 99   | FALSE"
        ))
        .check();
    println!("the rule is as the table says");

    let (clock, pager, log) = (VirtualClock::new(), Recorder::new(), Recorder::new());
    let broker = Broker::builder()
        .clock(&clock)
        .on_failure(|_, _| {})
        .open()?;
    broker.register_component(pager.component("pager"))?;
    broker.register_component(log.component("log"))?;
    let subscription = |name| Subscription::builder(name).to::<dyn LoadEvents>();
    let after_maintenance = clock.now() + HOUR;
    let rings = subscription("rings").component("pager").filter(RULE);
    broker.ensure(&rings.not_before(after_maintenance).build()?)?;
    broker.ensure(&subscription("written").component("log").build()?)?;

    let loads = broker.publisher::<dyn LoadEvents>()?;
    loads.measured("web", 99);
    pager.expect_nothing();
    println!("during maintenance: the pager is silent");

    clock.advance(HOUR);
    broker.idle(HOUR);
    loads.measured("web", 95);
    loads.measured("backup", 95);
    pager.expect("measured").with("service", "web").once();
    println!("an hour later: {}", pager.lines().join(", "));

    pager.faults().at(1, Fault::fail("no signal"));
    println!("the pager fails: {}", loads.measured("db", 97));
    log.expect("measured").times(4);

    panic::set_hook(Box::new(|_| {}));
    let wrong = || pager.expect("measured").matching("load > 95").times(2);
    if let Err(complaint) = panic::catch_unwind(AssertUnwindSafe(wrong)) {
        let text = complaint.downcast_ref::<String>();
        println!("{}", text.map_or("", String::as_str));
    }
    Ok(())
}

const HOUR: Duration = Duration::from_secs(3600);
