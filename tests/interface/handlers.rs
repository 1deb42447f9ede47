//! Subscribers made of closures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loosely::{EventInterface, event_interface};

#[event_interface]
trait StockEvents {
    fn price_changed(&self, symbol: &str, price: u64);
    fn traded(&self, amounts: &[u64], note: Option<&str>, by: String) -> Result<(), String>;
}

#[test]
fn closure_is_called_with_the_arguments() {
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let handlers = StockEventsHandlers::new().on_price_changed(move |symbol: &str, price: u64| {
        assert_eq!(symbol, "MSFT");
        total.fetch_add(price, Ordering::Relaxed);
    });
    handlers.price_changed("MSFT", 3);
    handlers.price_changed("MSFT", 4);
    assert_eq!(sum.load(Ordering::Relaxed), 7);
}

#[test]
fn event_without_a_closure_is_received_and_ignored() {
    let handlers = StockEventsHandlers::default();
    handlers.price_changed("MSFT", 3);
    assert_eq!(handlers.traded(&[1], None, String::new()), Ok(()));
}

#[test]
fn closure_returns_what_the_method_returns() {
    let handlers = StockEventsHandlers::new()
        .on_traded(|amounts, note, by| Err(format!("{amounts:?} {note:?} {by}")));
    let expected = "[1, 2] Some(\"n\") me";
    assert_eq!(
        handlers.traded(&[1, 2], Some("n"), "me".to_owned()),
        Err(expected.to_owned())
    );
    let target: &dyn StockEvents = &handlers;
    let error = StockEventsTraded::new(&[1, 2], Some("n"), "me".to_owned()).deliver(target);
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[test]
fn debug_says_which_events_have_a_closure() {
    let handlers = StockEventsHandlers::new().on_price_changed(|_, _| ());
    assert_eq!(
        format!("{handlers:?}"),
        "StockEventsHandlers { price_changed: true, traded: false }"
    );
    assert_eq!(<dyn StockEvents>::schema().name(), "StockEvents");
}
