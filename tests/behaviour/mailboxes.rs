//! Mailboxes: subscribers of one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Detached, DynamicEvent, ErrorKind, EventContext, Failure, FireOutcome, Mailbox,
    MailboxSubscription, Overflow, Subscription,
};

use crate::streams::{stocks, text};
use crate::support::{
    Alerts, AlertsEvent, StockEvents, StockEventsEvent, StockEventsLocalHandlers, Watchdog, live,
    only_failure, quiet,
};

/// What one thread writes down.
type Notes = Rc<RefCell<Vec<String>>>;

fn noting(mailbox: &Mailbox, lane: Detached) -> (Notes, MailboxSubscription) {
    let notes = Notes::default();
    let seen = Rc::clone(&notes);
    let note = move |event: &StockEventsEvent| seen.borrow_mut().push(text(event));
    let record = live("noting").delivery(lane).build().unwrap();
    let guard = mailbox.subscribe_with::<dyn StockEvents>(&record, note);
    (notes, guard.unwrap())
}

/// Counts how often the hook was called.
fn counting(mailbox: &Mailbox) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&count);
    mailbox.on_ready(move || _ = hook.fetch_add(1, Ordering::Relaxed));
    count
}

/// Keeps what the broker's failure hook hears.
fn listening() -> (Broker, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let hook = move |_, delivery: &loosely::Delivery| {
        hears.lock().unwrap().push(delivery.outcome().to_string());
    };
    let broker = Broker::builder().on_failure(hook).open().unwrap();
    (broker, heard)
}

#[test]
fn subscriber_that_is_not_send_is_called_where_events_are_dispatched() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (shown, mut sum) = (Rc::new(Cell::new(0.0)), 0.0);
    let label = Rc::clone(&shown);
    let handlers = StockEventsLocalHandlers::new().on_price_changed(move |_, price| {
        sum += price;
        label.set(sum);
    });
    let guard = mailbox.subscribe::<dyn StockEvents>(handlers).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(stocks.price_changed("A", 1.0).accepted(), 1);
            assert_eq!(
                stocks.price_changed("A", 2.0).outcome(),
                FireOutcome::Queued
            );
        });
    });
    assert_eq!((shown.get(), mailbox.waiting()), (0.0, 2));
    assert_eq!(
        (mailbox.dispatch(), shown.get(), mailbox.dispatch()),
        (2, 3.0, 0)
    );
    assert_eq!(broker.subscription(guard.id()).unwrap().id(), guard.id());
}

#[test]
fn subscriptions_take_turns_and_each_keeps_its_order() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let notes = Notes::default();
    let guards = ["x", "y"].map(|name| {
        let notes = Rc::clone(&notes);
        let note = move |event: &StockEventsEvent| {
            notes.borrow_mut().push(format!("{name} {}", text(event)));
        };
        mailbox.subscribe::<dyn StockEvents>(note).unwrap()
    });
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    assert!(mailbox.dispatch_one());
    assert_eq!(*notes.borrow(), ["x A 1"]);
    assert_eq!(mailbox.dispatch(), 3);
    assert_eq!(*notes.borrow(), ["x A 1", "y A 1", "x B 2", "y B 2"]);
    assert!(!mailbox.dispatch_one());
    drop(guards);
}

#[test]
fn hook_hears_of_the_first_event_and_again_when_some_came_since() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, _guard) = noting(&mailbox, Detached::new());
    let told = counting(&mailbox);
    let told = || told.swap(0, Ordering::Relaxed);
    assert_eq!(told(), 0);
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 1.0);
    assert_eq!(told(), 1);
    assert_eq!((mailbox.dispatch(), told()), (2, 0));
    stocks.price_changed("C", 1.0);
    stocks.price_changed("D", 1.0);
    assert_eq!(told(), 1);
    assert!(mailbox.dispatch_one());
    assert_eq!(told(), 1, "of what is left");
    assert!(mailbox.dispatch_one() && !mailbox.dispatch_one());
    assert_eq!((told(), notes.borrow().len()), (0, 4));
    stocks.price_changed("E", 1.0);
    let late = counting(&mailbox);
    assert_eq!(late.load(Ordering::Relaxed), 1, "of what waits already");
}

#[test]
fn events_that_come_while_others_are_dispatched_wait_for_the_next_time() {
    let broker = quiet();
    let (mailbox, publisher) = (Mailbox::new(&broker), stocks(&broker));
    let fires = publisher.clone();
    let echo = move |event: &StockEventsEvent| {
        let depth = EventContext::current().unwrap().depth();
        assert_eq!(
            fires.traded("B", depth.into()).accepted(),
            1,
            "after {event:?}"
        );
    };
    let _guard = mailbox.subscribe::<dyn StockEvents>(echo).unwrap();
    let told = counting(&mailbox);
    publisher.price_changed("A", 1.0);
    assert_eq!((mailbox.dispatch(), mailbox.waiting()), (1, 1));
    assert_eq!(told.load(Ordering::Relaxed), 2);
    assert_eq!((mailbox.dispatch(), mailbox.waiting()), (1, 1));
}

#[test]
fn event_has_its_context_while_it_is_dispatched() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let contexts = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&contexts);
    let note = move |_: &StockEventsEvent| {
        let context = EventContext::current().unwrap();
        seen.borrow_mut()
            .push((context.subscription(), context.missed()));
    };
    let lane = Detached::with_capacity(1).with_overflow(Overflow::DropOldest);
    let record = live("noting").delivery(lane).build().unwrap();
    let guard = mailbox
        .subscribe_with::<dyn StockEvents>(&record, note)
        .unwrap();
    for price in [1.0, 2.0, 3.0] {
        stocks.price_changed("A", price);
    }
    mailbox.dispatch();
    assert_eq!(*contexts.borrow(), [(guard.id(), 2)]);
    assert!(EventContext::current().is_none());
}

#[test]
fn mailbox_may_be_dispatched_inside_of_a_delivery_and_of_its_own_subscriber() {
    let broker = quiet();
    let (mailbox, publisher) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, _guard) = noting(&mailbox, Detached::new());
    let (modal, log) = (mailbox.clone(), Rc::clone(&notes));
    let alerts = broker.publisher::<dyn Alerts>().unwrap();
    let dialog = move |event: &AlertsEvent| {
        let AlertsEvent::Raised(raised) = event;
        let before = EventContext::current();
        log.borrow_mut().push(format!("{} begins", raised.text));
        modal.dispatch();
        assert_eq!(EventContext::current(), before);
        log.borrow_mut().push(format!("{} ends", raised.text));
    };
    let _dialog = mailbox.subscribe::<dyn Alerts>(dialog).unwrap();
    for text in ["first", "second"] {
        alerts.raised(text);
    }
    publisher.price_changed("A", 1.0);
    mailbox.dispatch();
    let expected = [
        "first begins",
        "A 1",
        "first ends",
        "second begins",
        "second ends",
    ];
    let mut seen = notes.borrow().clone();
    seen.sort_by_key(|note| expected.iter().position(|expected| expected == note));
    assert_eq!(seen, expected);
    let place = |note: &str| notes.borrow().iter().position(|seen| seen == note);
    assert!(
        place("first ends") < place("second begins"),
        "one at a time"
    );
}

#[test]
fn errors_and_panics_reach_the_failure_hook_and_the_next_event_is_dispatched() {
    let (broker, heard) = listening();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let handlers = StockEventsLocalHandlers::new()
        .on_price_changed(|symbol, _| assert_ne!(symbol, "A", "no {symbol}"))
        .on_traded(|symbol, _| Err(format!("no {symbol}")));
    let _guard = mailbox.subscribe::<dyn StockEvents>(handlers).unwrap();
    stocks.price_changed("A", 1.0);
    stocks.traded("B", 1);
    stocks.price_changed("C", 1.0);
    assert_eq!(mailbox.dispatch(), 3);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert!(heard[0].starts_with("failed: panicked: ") && heard[0].contains("no A"));
    assert_eq!(heard[1], "failed: no B");
}

#[test]
fn thread_of_the_mailbox_does_not_wait_for_room_that_it_alone_could_make() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, _guard) = noting(&mailbox, Detached::with_capacity(1));
    stocks.price_changed("A", 1.0);
    let report = stocks.price_changed("B", 1.0);
    assert!(matches!(only_failure(&report), Failure::Overflow));
    let other = thread::spawn(move || stocks.price_changed("C", 1.0).accepted());
    while notes.borrow().len() < 2 {
        mailbox.dispatch_timeout(Duration::MAX);
    }
    assert_eq!(
        (other.join().unwrap(), &**notes.borrow()),
        (1, &["A 1", "C 1"].map(String::from)[..])
    );
}

#[test]
fn subscription_that_is_dropped_gets_nothing_of_what_waits() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, guard) = noting(&mailbox, Detached::new());
    stocks.price_changed("A", 1.0);
    guard.close();
    assert_eq!((mailbox.dispatch(), mailbox.waiting()), (0, 0));
    assert_eq!(
        stocks.price_changed("B", 1.0).outcome(),
        FireOutcome::NoSubscribers
    );
    assert_eq!((notes.borrow().len(), Rc::strong_count(&notes)), (0, 1));
}

#[test]
fn subscriber_may_end_its_own_subscription() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let slot: Rc<RefCell<Option<MailboxSubscription>>> = Rc::default();
    let own = Rc::clone(&slot);
    let once = move |_: &StockEventsEvent| drop(own.borrow_mut().take());
    *slot.borrow_mut() = Some(mailbox.subscribe::<dyn StockEvents>(once).unwrap());
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 1.0);
    assert_eq!((mailbox.dispatch(), Rc::strong_count(&slot)), (1, 1));
}

#[test]
fn subscriptions_go_with_their_mailbox() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, guard) = noting(&mailbox, Detached::new());
    guard.detach();
    let same = mailbox.clone();
    drop(mailbox);
    assert_eq!(
        (stocks.price_changed("A", 1.0).accepted(), same.dispatch()),
        (1, 1)
    );
    drop(same);
    assert_eq!(
        stocks.price_changed("B", 1.0).outcome(),
        FireOutcome::NoSubscribers
    );
    assert_eq!(Rc::strong_count(&notes), 1);
}

#[test]
fn dynamic_subscriber_gets_names_and_values() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (notes, record) = (Notes::default(), live("dynamic").filter("price > 1"));
    let seen = Rc::clone(&notes);
    let note = move |event: &DynamicEvent| seen.borrow_mut().push(event.to_string());
    let _guard = mailbox
        .subscribe_dynamic(&record.build().unwrap(), note)
        .unwrap();
    stocks.price_changed("A", 1.0);
    stocks.price_changed("B", 2.0);
    mailbox.dispatch();
    assert_eq!(
        *notes.borrow(),
        ["price_changed(symbol = 'B', price = 2.0)"]
    );
}

#[test]
fn dispatch_waits_for_an_event_or_the_end_of_the_broker() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let mailbox = Mailbox::new(&broker);
    let (notes, _guard) = noting(&mailbox, Detached::new());
    assert_eq!(mailbox.dispatch_timeout(Duration::from_millis(1)), 0);
    let stocks = stocks(&broker);
    let publisher = thread::spawn(move || stocks.price_changed("A", 1.0).accepted());
    assert_eq!(mailbox.dispatch_timeout(Duration::MAX), 1);
    assert_eq!((publisher.join().unwrap(), notes.borrow().len()), (1, 1));
    let closer = thread::spawn(move || broker.close(Duration::MAX).unwrap());
    assert_eq!(mailbox.dispatch_timeout(Duration::MAX), 0);
    closer.join().unwrap();
    let error = mailbox.subscribe::<dyn StockEvents>(|_: &StockEventsEvent| ());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn hook_that_panics_fails_nothing() {
    let broker = quiet();
    let (mailbox, stocks) = (Mailbox::new(&broker), stocks(&broker));
    let (_notes, _guard) = noting(&mailbox, Detached::new());
    mailbox.on_ready(|| panic!("on purpose"));
    let report = stocks.price_changed("A", 1.0);
    assert_eq!(
        (report.accepted(), report.failed(), mailbox.dispatch()),
        (1, 0, 1)
    );
}

#[test]
fn record_that_is_not_for_an_object_is_refused() {
    let broker = quiet();
    let mailbox = Mailbox::new(&broker);
    let record = Subscription::builder("a")
        .to::<dyn StockEvents>()
        .component("a");
    let subscribed =
        mailbox.subscribe_with::<dyn StockEvents>(&record.build().unwrap(), |_: &_| ());
    assert_eq!(subscribed.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn event_loop_of_another_thread_is_woken_by_the_hook() {
    let _watchdog = Watchdog::new();
    let broker = quiet();
    let (wakes, woken) = mpsc::channel();
    let (subscribed, ready) = mpsc::channel();
    let handle = broker.clone();
    let events = thread::spawn(move || {
        let mailbox = Mailbox::new(&handle);
        let (notes, _guard) = noting(&mailbox, Detached::new());
        mailbox.on_ready(move || wakes.send(()).unwrap());
        subscribed.send(()).unwrap();
        while notes.borrow().len() < 100 {
            woken.recv().unwrap();
            mailbox.dispatch();
        }
        notes.take()
    });
    ready.recv().unwrap();
    let stocks = stocks(&broker);
    for price in 0..100_u8 {
        assert_eq!(stocks.price_changed("A", price.into()).accepted(), 1);
    }
    let notes = events.join().unwrap();
    assert!(
        notes.iter().eq(&(0..100)
            .map(|price| format!("A {price}"))
            .collect::<Vec<_>>())
    );
}
