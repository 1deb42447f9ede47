//! Untyped subscribers behind an event interface.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use loosely::__private::SubscriberFailed;
use loosely::{Event, EventInterface, event_interface};

use crate::publisher::publisher;

#[event_interface]
trait StockEvents {
    fn price_changed(&self, #[event(rename = "ticker", alias = "name")] symbol: &str, price: f64);
    fn halted(&self, reason: Option<&str>) -> Result<(), std::io::Error>;
}

#[test]
fn untyped_subscriber_receives_name_and_values() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    let target = <dyn StockEvents>::from_subscriber(Arc::new(move |event: &Event<'_>| {
        let name = event
            .get("name")
            .and_then(|name| name.as_str())
            .map(str::to_owned);
        lines.lock().unwrap().push((event.to_string(), name));
        Ok(())
    }));
    let stocks = publisher(&target);
    assert_eq!(stocks.price_changed("MSFT", 185.5).delivered(), 1);
    assert_eq!(stocks.halted(None).delivered(), 1);
    let expected = [
        (
            "price_changed(ticker = 'MSFT', price = 185.5)".to_owned(),
            Some("MSFT".to_owned()),
        ),
        ("halted(reason = NULL)".to_owned(), None),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn error_of_an_untyped_subscriber_unwinds_to_the_caller_whatever_the_method_returns() {
    let target =
        <dyn StockEvents>::from_subscriber(Arc::new(|_: &Event<'_>| Err("out of paper".into())));
    let calls: [&dyn Fn(); 2] = [&|| target.price_changed("MSFT", 1.0), &|| {
        assert!(target.halted(Some("storm")).is_ok())
    }];
    for call in calls {
        let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        let error = SubscriberFailed::from_payload(payload).unwrap();
        assert_eq!(error.to_string(), "out of paper");
    }
}

#[test]
fn payload_of_a_real_panic_is_not_an_error_of_a_subscriber() {
    let payload = SubscriberFailed::from_payload(Box::new("a panic")).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"a panic"));
}

#[test]
fn call_returns_what_the_subscriber_returned() {
    assert!(loosely::__private::call(|| Ok(())).is_ok());
    let error = loosely::__private::call(|| Err("out of paper".into())).unwrap_err();
    assert_eq!(error.to_string(), "out of paper");
}
