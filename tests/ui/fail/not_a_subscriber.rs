use std::cell::Cell;

use loosely::{EventInterface, ImplementedBy, event_interface};

#[event_interface]
trait StockEvents {
    fn price_changed(&self, price: f64);
}

trait Plain {}

struct NotThreadSafe(Cell<f64>);

impl StockEvents for NotThreadSafe {
    fn price_changed(&self, price: f64) {
        self.0.set(price);
    }
}

struct NoSubscriber;

fn is_interface<I: EventInterface + ?Sized>() {}

fn implements<I: ImplementedBy<T> + ?Sized, T>() {}

fn main() {
    is_interface::<dyn Plain>();
    implements::<dyn StockEvents, NoSubscriber>();
}
