//! The publisher object that the macro makes.

use std::sync::{Arc, Mutex};

use loosely::{Broker, EventInterface, IntoTarget, Publisher, Publishes, event_interface};

/// Returns a publisher whose only subscriber is `target`.
pub(crate) fn publisher<I: Publishes + ?Sized>(target: &Arc<I>) -> I::Publisher
where
    Arc<I>: IntoTarget<I>,
{
    let broker = Broker::builder().on_failure(|_, _| {}).open().unwrap();
    let publisher = broker.publisher::<I>().unwrap();
    broker.subscribe::<I>(Arc::clone(target)).unwrap().detach();
    publisher
}

#[event_interface]
trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64, notes: Vec<String>);
    fn halted(&self, symbol: &str) -> Result<(), std::num::ParseIntError>;
}

/// An event may have any name: of the struct's other methods, of their variables, of a keyword.
#[event_interface]
trait Awkward {
    fn clone(&self, target: &str, views: u8);
    fn deref(&self, index: u8, arguments: &str);
    fn fmt(&self, f: u8, debug: Option<&str>);
    fn r#type(&self, r#match: bool);
    fn publisher(&self, handler: u8, method: u8);
    fn handlers(&self);
    fn handlers_event(&self, record: u8, name: &str);
}

#[derive(Default)]
struct Recorder {
    lines: Mutex<Vec<String>>,
}

impl StockEvents for Recorder {
    fn price_changed(&self, symbol: &str, price: f64, mut notes: Vec<String>) {
        notes.push(format!("{symbol} {price}"));
        self.lines.lock().unwrap().append(&mut notes);
    }

    fn halted(&self, symbol: &str) -> Result<(), std::num::ParseIntError> {
        symbol.parse::<u8>().map(drop)
    }
}

#[test]
fn event_method_fires_to_the_subscriber() {
    let recorder = Arc::new(Recorder::default());
    let target: Arc<dyn StockEvents> = recorder.clone();
    let stocks = publisher(&target);
    let report = stocks.price_changed("MSFT", 185.5, vec!["a".to_owned()]);
    assert_eq!(*recorder.lines.lock().unwrap(), ["a", "MSFT 185.5"]);
    assert_eq!((report.delivered(), report.failed()), (1, 0));
}

#[test]
fn error_that_a_subscriber_returns_is_a_failure_in_the_report() {
    let target: Arc<dyn StockEvents> = Arc::new(Recorder::default());
    let stocks = publisher(&target);
    assert_eq!(stocks.halted("7").failed(), 0);
    assert_eq!(stocks.halted("MSFT").failed(), 1);
    let error = StockEventsHalted::new("MSFT")
        .deliver(&*target)
        .unwrap_err();
    assert!(error.is::<std::num::ParseIntError>());
}

#[test]
fn publisher_is_a_subscriber_that_fires_what_it_receives() {
    let recorder = Arc::new(Recorder::default());
    let inner = publisher::<dyn StockEvents>(&(recorder.clone() as _));
    let outer = publisher::<dyn StockEvents>(&(Arc::new(inner) as _));
    outer.price_changed("MSFT", 1.0, vec![]);
    assert_eq!(*recorder.lines.lock().unwrap(), ["MSFT 1"]);
    // What the inner fire failed with is in the inner report.
    assert_eq!(outer.halted("MSFT").failed(), 0);
}

#[test]
fn clone_is_another_handle_and_control_is_behind_the_deref() {
    let recorder = Arc::new(Recorder::default());
    let stocks = publisher::<dyn StockEvents>(&(recorder.clone() as _));
    let control: &Publisher<dyn StockEvents> = &stocks;
    let again = StockEventsPublisher::from(control.clone());
    stocks.clone().price_changed("A", 1.0, vec![]);
    again.price_changed("B", 2.0, vec![]);
    assert_eq!(*recorder.lines.lock().unwrap(), ["A 1", "B 2"]);
    assert!(format!("{stocks:?}").starts_with("StockEventsPublisher(Publisher"));
}

#[test]
fn events_may_have_the_names_of_generated_things() {
    let handlers = AwkwardHandlers::new()
        .on_clone(|target, views| assert_eq!((target, views), ("t", 1)))
        .on_type(|value| assert!(value));
    let target: Arc<dyn Awkward> = Arc::new(handlers);
    let awkward = publisher(&target);
    assert_eq!(awkward.clone("t", 1).delivered(), 1);
    assert_eq!(awkward.deref(1, "a").delivered(), 1);
    assert_eq!(awkward.fmt(1, None).delivered(), 1);
    assert_eq!(awkward.r#type(true).delivered(), 1);
    assert_eq!(awkward.publisher(1, 2).delivered(), 1);
    assert_eq!(awkward.handlers().delivered(), 1);
    assert_eq!(awkward.handlers_event(1, "n").delivered(), 1);
    assert_eq!(
        <dyn Awkward>::schema().methods()[3].to_string(),
        "type(match: bool)"
    );
    let arguments = AwkwardPublisherEvent::new(1, 2);
    assert_eq!(
        format!("{arguments:?}"),
        "AwkwardPublisherEvent { handler: 1, method: 2 }"
    );
    AwkwardHandlersEvent::new().deliver(&*target).unwrap();
    AwkwardHandlersEventEvent::new(1, "n")
        .deliver(&*target)
        .unwrap();
}
