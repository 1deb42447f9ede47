//! What a fire returns, and who hears of failures.

use std::error::Error as StdError;
use std::panic::panic_any;
use std::sync::{Arc, Mutex};

use loosely::{
    Broker, DeliveryOutcome, Failure, FireOutcome, FirePolicy, FireReport, SubscriptionGuard,
};

use crate::support::{
    OnDrop, OnPrice, StockEvents, StockEventsPublisher, Tape, live, quiet, subscription,
};

/// Subscribes objects of which those with an `!` panic and those with an `?` err.
fn subscribed(broker: &Broker, names: &[&str], filter: Option<&str>) -> Vec<SubscriptionGuard> {
    struct Moody(String);
    impl StockEvents for Moody {
        fn price_changed(&self, _symbol: &str, _price: f64) {
            assert!(!self.0.contains('!'), "{} gave up", self.0);
        }

        fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
            self.price_changed("", 0.0);
            if self.0.contains('?') {
                Err(format!("{} is full", self.0))
            } else {
                Ok(())
            }
        }
    }
    let subscribe = |name: &&str| {
        let record = live(name);
        let record = match filter {
            Some(filter) => record.filter(filter),
            None => record,
        };
        let object = Arc::new(Moody((*name).to_owned()));
        broker
            .subscribe_with::<dyn StockEvents>(&record.build().unwrap(), object)
            .unwrap()
    };
    names.iter().map(subscribe).collect()
}

fn publisher(broker: &Broker) -> StockEventsPublisher {
    broker.publisher::<dyn StockEvents>().unwrap()
}

/// What matters of a report in one line.
fn told(report: &FireReport) -> String {
    let lines: Vec<_> = report.lines().iter().map(ToString::to_string).collect();
    format!(
        "{report}, {} filtered; {}",
        report.filtered(),
        lines.join("; ")
    )
}

#[test]
fn one_failure_stops_nobody_else_and_is_one_line() {
    let broker = quiet();
    let stocks = publisher(&broker);
    for filter in [None, Some("symbol = 'MSFT'")] {
        let _guards = subscribed(&broker, &["a", "b?", "c", "d!", "e"], filter);
        let expected = "3 delivered, 2 failed, 0 filtered; \
                        \"b?\": failed: b? is full; \"d!\": failed: panicked: d! gave up";
        let report = stocks.traded("MSFT", 1);
        assert_eq!(told(&report), expected, "filter {filter:?}");
        assert_eq!(report.outcome(), FireOutcome::SomeFailed);
        assert_eq!(report.failures().count(), 2);
        assert!(matches!(
            report.lines()[0].failure(),
            Some(Failure::Subscriber(_))
        ));
        assert!(matches!(
            report.lines()[1].failure(),
            Some(Failure::Panicked(_))
        ));
        assert_eq!(report.lines()[0].name(), "b?");
        assert_eq!(report.lines()[0].subscription(), _guards[1].id());
        assert_eq!(stocks.traded("MSFT", 1).delivered(), 3, "and again");
    }
}

#[test]
fn outcome_is_one_of_five() {
    let broker = quiet();
    let stocks = publisher(&broker);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::NoSubscribers);
    let failing = subscribed(&broker, &["a?", "b!"], None);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::AllFailed);
    assert_eq!(stocks.traded("x", 1).delivered(), 0);
    let fine = subscribed(&broker, &["c"], None);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::SomeFailed);
    drop(failing);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::Delivered);
    let filtered = subscribed(&broker, &["d"], Some("symbol = 'y'"));
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::Delivered);
    drop(fine);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::AllFiltered);
    drop(filtered);
    assert_eq!(stocks.traded("x", 1).outcome(), FireOutcome::NoSubscribers);
}

#[test]
fn policy_says_which_report_is_an_error() {
    let broker = quiet();
    let stocks = publisher(&broker);
    let verdicts = || {
        let policies = [
            FirePolicy::NoFailures,
            FirePolicy::NotAllFailed,
            FirePolicy::OneDelivered,
        ];
        policies.map(|policy| stocks.traded("x", 1).into_result(policy).is_ok())
    };
    assert_eq!(verdicts(), [true, true, false], "nobody subscribed");
    let failing = subscribed(&broker, &["a?"], None);
    assert_eq!(verdicts(), [false, false, false], "all failed");
    let fine = subscribed(&broker, &["b"], None);
    assert_eq!(verdicts(), [false, true, true], "some failed");
    drop(failing);
    assert_eq!(verdicts(), [true, true, true], "delivered");
    drop(fine);
    let _filtered = subscribed(&broker, &["c"], Some("symbol = 'y'"));
    assert_eq!(verdicts(), [true, true, false], "all filtered out");
}

#[test]
fn error_of_a_policy_has_the_report_and_names_the_failures() {
    let broker = quiet();
    let _guards = subscribed(&broker, &["a?", "b"], None);
    let report = publisher(&broker).traded("x", 1);
    let error = report.into_result(FirePolicy::NoFailures).unwrap_err();
    let expected = "the event reached not all it had to: 1 delivered, 1 failed; \
                    \"a?\": failed: a? is full";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.report().failed(), 1);
    assert_eq!(error.into_report().delivered(), 1);
}

#[test]
fn payload_that_panics_when_dropped_stops_nobody() {
    let (broker, tape) = (quiet(), Tape::new());
    let object = OnPrice(|_: &str, _| {
        panic_any(OnDrop(|| panic!("the payload too")));
    });
    let _first = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    let _second = broker
        .subscribe::<dyn StockEvents>(tape.listener("second"))
        .unwrap();
    let report = publisher(&broker).price_changed("MSFT", 1.0);
    assert_eq!((report.delivered(), report.failed()), (1, 1));
    let failure = report.lines()[0].failure().unwrap();
    assert_eq!(failure.to_string(), "panicked: a panic without a message");
}

/// A component that panics in its call and again when it is dropped would end the process if the
/// drop ran while the first panic unwinds.
#[test]
fn component_that_panics_and_panics_when_dropped_is_one_failure() {
    struct Wreck;
    impl StockEvents for Wreck {
        fn price_changed(&self, _symbol: &str, _price: f64) {
            panic!("first");
        }

        fn traded(&self, _symbol: &str, _volume: u64) -> Result<(), String> {
            Ok(())
        }
    }
    impl Drop for Wreck {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let (broker, tape) = (quiet(), Tape::new());
    let component = loosely::Component::new("wreck", || Wreck).implements::<dyn StockEvents>();
    broker.register_component(component.per_call()).unwrap();
    broker
        .ensure(&subscription("wreck", "wreck").build().unwrap())
        .unwrap();
    let _second = broker
        .subscribe::<dyn StockEvents>(tape.listener("second"))
        .unwrap();
    let stocks = publisher(&broker);
    let report = stocks.price_changed("MSFT", 1.0);
    assert_eq!(
        told(&report),
        "1 delivered, 1 failed, 0 filtered; \"wreck\": failed: panicked: first"
    );
    let report = stocks.traded("MSFT", 1);
    assert_eq!(
        told(&report),
        "1 delivered, 1 failed, 0 filtered; \"wreck\": failed: panicked: second"
    );
}

/// The publisher's thread may be the last to hold a retired subscriber.
#[test]
fn panic_of_a_retired_subscribers_drop_does_not_reach_the_publisher() {
    let broker = quiet();
    let guard: Arc<Mutex<Option<SubscriptionGuard>>> = Arc::default();
    let own = guard.clone();
    let object = OnPrice(move |_: &str, _| drop(own.lock().unwrap().take()));
    let _unsubscribes = broker
        .subscribe::<dyn StockEvents>(Arc::new(object))
        .unwrap();
    let wreck = Arc::new(OnDrop(|| panic!("dropped")));
    *guard.lock().unwrap() = Some(broker.subscribe::<dyn StockEvents>(wreck).unwrap());
    let stocks = publisher(&broker);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 2);
    assert_eq!(stocks.price_changed("MSFT", 1.0).delivered(), 1);
}

#[test]
fn hook_hears_of_every_failure_with_class_and_cause() {
    let tape = Tape::new();
    let log = tape.clone();
    let broker = Broker::builder()
        .on_failure(move |class, delivery| {
            log.write(format!("{class} {delivery}"));
            panic!("the hook panics as well");
        })
        .open()
        .unwrap();
    let _guards = subscribed(&broker, &["a?", "b", "c!"], None);
    broker
        .ensure(&subscription("d", "missing").build().unwrap())
        .unwrap();
    let stocks = publisher(&broker);
    let report = stocks.traded("x", 1);
    assert_eq!(
        (report.delivered(), report.failed()),
        (1, 3),
        "told after the fire"
    );
    let class = stocks.class_id();
    let expected = [
        format!("{class} \"a?\": failed: a? is full"),
        format!("{class} \"c!\": failed: panicked: c! gave up"),
        format!(
            "{class} \"d\": failed: {}",
            report.lines()[2].failure().unwrap()
        ),
    ];
    assert_eq!(tape.take(), expected);
}

#[test]
fn nothing_is_removed_on_suspicion() {
    let broker = quiet();
    let _guards = subscribed(&broker, &["a?", "b!"], None);
    broker
        .ensure(&subscription("d", "missing").build().unwrap())
        .unwrap();
    let stocks = publisher(&broker);
    for _ in 0..100 {
        assert_eq!(stocks.traded("x", 1).failed(), 3);
    }
    assert_eq!(broker.subscriptions("enabled = TRUE").unwrap().len(), 3);
}

#[test]
fn moniker_that_nothing_resolves_is_a_failure_that_names_it() {
    let broker = quiet();
    let record = loosely::Subscription::builder("a").to::<dyn StockEvents>();
    broker
        .ensure(&record.moniker("mail:ann").build().unwrap())
        .unwrap();
    let report = publisher(&broker).traded("x", 1);
    let line = &report.lines()[0];
    assert!(matches!(
        line.outcome(),
        DeliveryOutcome::Failed(Failure::Activation(_))
    ));
    assert!(line.to_string().contains("mail:ann"));
}

#[test]
fn subscribers_error_keeps_its_own_type_and_causes() {
    struct Failing;
    impl Precise for Failing {
        fn checked(&self) -> Result<(), std::num::ParseIntError> {
            "x".parse::<u8>().map(drop)
        }
    }
    let broker = quiet();
    let _guard = broker.subscribe::<dyn Precise>(Arc::new(Failing)).unwrap();
    let report = broker.publisher::<dyn Precise>().unwrap().checked();
    let Some(Failure::Subscriber(error)) = report.lines()[0].failure() else {
        panic!()
    };
    let error: &(dyn StdError + 'static) = error.as_ref();
    assert!(error.is::<std::num::ParseIntError>());
}

#[loosely::event_interface]
trait Precise {
    fn checked(&self) -> Result<(), std::num::ParseIntError>;
}
