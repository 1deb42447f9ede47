//! What the macros make of a trait and of a type.

use loosely::event_interface;

/// Prices.
#[event_interface]
pub trait StockEvents {
    /// A price changed.
    fn price_changed(&self, symbol: &str, price: f64);
    /// The market closed.
    fn closed(&self) -> Result<(), std::io::Error>;
}
