//! What tests of publishers and subscribers need: nothing in them sleeps, and what fails says what
//! came.
//!
//! - A [`Recorder`] takes events of any interface and is asked about them afterwards.
//! - A [`VirtualClock`] lets time pass for a [broker](crate::BrokerBuilder::clock) when the test
//!   says so; [`Broker::idle`](crate::Broker::idle) waits until what was begun is done.
//! - [`Faults`] make a recorder, a component or a store fail, panic or stand still at the stated
//!   call: [`FaultyStore`] and [`FaultyEngine`] are stores that do.
//! - A [`VolatileEngine`] loses what was not synced when its power is cut.
//! - A [`Watchdog`] ends a test that hangs.
//! - A [`FilterTable`] says of filter criteria which events they select.
//!
//! ```
//! use std::time::Duration;
//!
//! use loosely::testing::{Recorder, VirtualClock};
//! use loosely::{Broker, event_interface};
//!
//! #[event_interface]
//! pub trait StockEvents {
//!     fn price_changed(&self, symbol: &str, price: f64);
//! }
//!
//! # fn main() -> loosely::Result<()> {
//! let clock = VirtualClock::new();
//! let broker = Broker::builder().clock(&clock).open()?;
//! let recorder = Recorder::new();
//! let _guard = broker.subscribe::<dyn StockEvents>(&recorder)?;
//!
//! let stocks = broker.publisher::<dyn StockEvents>()?;
//! stocks.price_changed("MSFT", 185.5);
//! stocks.price_changed("IBM", 100.0);
//! clock.advance(Duration::from_secs(60));
//! assert!(broker.idle(Duration::from_secs(10)));
//!
//! recorder.expect("price_changed").with("symbol", "MSFT").once();
//! recorder.expect("price_changed").matching("price > 200").never();
//! # Ok(())
//! # }
//! ```
//!
//! What is not as expected panics with a text for a person, at the line of the test.

mod engine;
mod expectation;
mod faults;
mod filter_table;
mod gate;
mod recorded;
mod recorder;
mod store;
mod volatile;
mod watchdog;

pub use self::engine::{FailedWrite, FaultyEngine};
pub use self::expectation::Expectation;
pub use self::faults::{Fault, Faults};
pub use self::filter_table::FilterTable;
pub use self::gate::Gate;
pub use self::recorded::RecordedEvent;
pub use self::recorder::Recorder;
pub use self::store::FaultyStore;
pub use self::volatile::VolatileEngine;
pub use self::watchdog::Watchdog;
pub use crate::clock::VirtualClock;
