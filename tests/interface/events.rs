//! Events with owned arguments, and the closures that receive them.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loosely::{
    AsyncSubscriber, EventInterface, InterfaceEvent, LocalSubscriber, RecordView, ValueRef,
    event_interface,
};

use crate::publisher::publisher;

#[event_interface(rename_all = "camelCase")]
trait StockEvents {
    fn price_changed(&self, symbol: &str, price: f64);
    fn traded(&self, amounts: &[u64], note: Option<&str>, by: String) -> Result<(), String>;
    fn closed(&self);
}

/// Methods whose names are those of types or words, or no names at all behind nothing.
#[event_interface]
trait Awkward {
    fn event(&self);
    fn publisher_(&self);
    fn local_handlers(&self);
    fn self_(&self);
    fn _1(&self);
    fn event1(&self);
    fn r#try(&self, r#type: u8, event: u8, arguments: u8, handler: u8, target: u8);
}

#[event_interface]
trait Conditional {
    #[cfg(any())]
    fn never(&self, value: NoSuchType);
    #[cfg(test)]
    fn always(&self, value: u8);
}

#[event_interface]
trait Empty {
    #[cfg(any())]
    fn never(&self);
}

fn change() -> StockEventsEvent {
    StockEventsPriceChanged::new("MSFT", 185.5).into()
}

fn trade() -> StockEventsEvent {
    StockEventsTraded::new(&[1, 2], Some("n"), "me".to_owned()).into()
}

#[test]
fn event_holds_the_arguments_of_its_method() {
    let StockEventsEvent::PriceChanged(change) = change() else {
        panic!("another event");
    };
    assert_eq!((change.symbol.as_str(), change.price), ("MSFT", 185.5));
    let text = format!("{:?}", StockEventsEvent::from(change));
    let expected = "PriceChanged(StockEventsPriceChanged { symbol: 'MSFT', price: 185.5 })";
    assert_eq!(text, expected);
    assert_eq!(
        format!("{:?}", StockEventsEvent::Closed(StockEventsClosed::new())),
        "Closed(StockEventsClosed)"
    );
}

#[test]
fn event_is_delivered_to_any_subscriber_and_returns_its_error() {
    let handlers = StockEventsHandlers::new()
        .on_price_changed(|symbol, price| assert_eq!((symbol, price), ("MSFT", 185.5)))
        .on_traded(|amounts, note, by| Err(format!("{amounts:?} {note:?} {by}")));
    change().deliver(&handlers).unwrap();
    let error = trade().clone().deliver(&handlers).unwrap_err();
    assert_eq!(error.to_string(), "[1, 2] Some(\"n\") me");
}

#[test]
fn event_is_seen_as_the_record_of_its_arguments() {
    let event = trade();
    assert_eq!((event.method(), event.field_count()), (1, 3));
    let (name, value) = event.field(2).unwrap();
    assert_eq!((name, value.as_str()), ("by", Some("me")));
    assert_eq!(event.field_named("note").unwrap().as_str(), Some("n"));
    assert!(event.field(3).is_none());
}

#[test]
fn event_is_made_of_values_that_fit_and_of_no_others() {
    let values = [ValueRef::Str("T"), ValueRef::I64(27)];
    let event = StockEventsEvent::from_arguments(0, &values).unwrap();
    assert!(matches!(event, StockEventsEvent::PriceChanged(it) if it.price == 27.0));
    let error = StockEventsEvent::from_arguments(0, &values[..1]).unwrap_err();
    assert_eq!(error.to_string(), "price: found nothing, expected f64");
    let error = StockEventsEvent::from_arguments(3, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the interface `StockEvents` has no method at index 3"
    );
}

#[test]
fn names_that_are_taken_or_impossible_are_lengthened() {
    let all = [
        AwkwardEvent::Event(AwkwardEventEvent::new()),
        AwkwardEvent::Publisher(AwkwardPublisherEvent::new()),
        AwkwardEvent::LocalHandlers(AwkwardLocalHandlersEvent::new()),
        AwkwardEvent::SelfEvent(AwkwardSelf::new()),
        AwkwardEvent::Event1(Awkward1::new()),
        AwkwardEvent::Event1Event(AwkwardEvent1::new()),
        AwkwardEvent::Try(AwkwardTry::new(1, 2, 3, 4, 5)),
    ];
    assert!(all.iter().map(InterfaceEvent::method).eq(0..7));
    let mut sum = 0;
    let mut handlers = AwkwardLocalHandlers::new().on_try(|a, b, c, d, e| {
        assert_eq!([a, b, c, d, e], [1, 2, 3, 4, 5]);
    });
    for event in &all {
        LocalSubscriber::<dyn Awkward>::event(&mut handlers, event).unwrap();
        sum += event.field_count();
    }
    assert_eq!(sum, 5);
}

#[test]
fn method_that_is_not_there_has_no_event() {
    let event = ConditionalEvent::Always(ConditionalAlways::new(7));
    assert_eq!(event.method(), 0);
    let handlers = ConditionalHandlers::new().on_always(|value| assert_eq!(value, 7));
    let target: Arc<dyn Conditional> = Arc::new(handlers);
    event.deliver(&*target).unwrap();
    assert_eq!(publisher(&target).always(7).delivered(), 1);
    assert!(<dyn Empty>::schema().methods().is_empty());
    assert!(EmptyEvent::from_arguments(0, &[]).is_err());
}

#[test]
fn local_closures_share_what_is_not_send_and_may_change_it() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, mut total) = (Rc::clone(&seen), 0);
    let mut handlers = StockEventsLocalHandlers::new()
        .on_price_changed(move |symbol, price| log.borrow_mut().push(format!("{symbol} {price}")))
        .on_traded(move |amounts, _, _| {
            total += amounts.iter().sum::<u64>();
            Err(total.to_string())
        });
    handlers.event(&change()).unwrap();
    let errors = [(); 2].map(|()| handlers.event(&trade()).unwrap_err().to_string());
    handlers.event(&StockEventsClosed::new().into()).unwrap();
    assert_eq!(*seen.borrow(), ["MSFT 185.5"]);
    assert_eq!(errors, ["3", "6"]);
    let shown = "StockEventsLocalHandlers { price_changed: true, traded: true, closed: false }";
    assert_eq!(format!("{handlers:?}"), shown);
}

#[test]
fn local_closure_may_take_every_event_of_the_interface() {
    fn deliver(mut subscriber: impl LocalSubscriber<dyn StockEvents>) -> bool {
        subscriber.event(&change()).is_ok()
    }
    let seen = RefCell::new(String::new());
    assert!(deliver(|event: &StockEventsEvent| {
        *seen.borrow_mut() = format!("{}", event.method());
    }));
    assert!(!deliver(|_: &StockEventsEvent| Err("no")));
    assert_eq!(*seen.borrow(), "0");
}

/// Polls a future that is ready at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for nothing"),
    }
}

#[test]
fn async_closures_own_their_arguments_and_may_fail() {
    let mut count = 0;
    let mut handlers = StockEventsAsyncHandlers::new()
        .on_price_changed(async |change| assert_eq!(change.symbol, "MSFT"))
        .on_traded(move |trade: StockEventsTraded| {
            count += 1;
            async move { Err::<(), _>(format!("{} {count}", trade.by)) }
        });
    ready(handlers.event(change()).unwrap()).unwrap();
    let error = ready(handlers.event(trade()).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "me 1");
    assert!(handlers.event(StockEventsClosed::new().into()).is_none());
    let shown = "StockEventsAsyncHandlers { price_changed: true, traded: true, closed: false }";
    assert_eq!(format!("{handlers:?}"), shown);
}

#[test]
fn async_closure_may_take_every_event_of_the_interface() {
    fn deliver(mut subscriber: impl AsyncSubscriber<dyn StockEvents>) -> bool {
        ready(subscriber.event(change()).unwrap()).is_ok()
    }
    assert!(deliver(async |event: StockEventsEvent| assert_eq!(
        event.method(),
        0
    )));
    assert!(!deliver(async |_: StockEventsEvent| Err("no")));
}
