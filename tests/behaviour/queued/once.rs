//! Subscribers that do nothing twice, though events come again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::testing::{FailedWrite, Fault, FaultyEngine, VirtualClock};
use loosely::{
    Activation, Broker, Component, Deduplicated, Engine, ErrorKind, KeyWindow, Once, Queued, Retry,
    SubscriberError, Subscription, SubscriptionId, Tree, event_interface,
};

use super::faults::broker as over;
use super::{LONG, MINUTE, builder, close, id, queue, record, shared};
use crate::support::{StockEvents, Tape};

type Work = dyn Fn(&KeyWindow, u64) -> Result<(), SubscriberError> + Send + Sync;

/// Does its work for every trade, with a window.
struct Ledger {
    window: KeyWindow,
    work: Arc<Work>,
}

impl StockEvents for Ledger {
    fn price_changed(&self, _symbol: &str, _price: f64) {}

    fn traded(&self, _symbol: &str, volume: u64) -> Result<(), String> {
        (self.work)(&self.window, volume).map_err(|error| error.to_string())
    }
}

/// Registers a ledger that has a window with so many keys.
fn ledger<F>(broker: &Broker, name: &str, most: usize, work: F)
where
    F: Fn(&KeyWindow, u64) -> Result<(), SubscriberError> + Send + Sync + 'static,
{
    let work: Arc<Work> = Arc::new(work);
    let made = move |activation: &Activation<'_>| {
        let broker = activation.broker().unwrap();
        let window = KeyWindow::new(&broker, "ledger")?.with_keys(most);
        let work = Arc::clone(&work);
        Ok::<_, SubscriberError>(Ledger { window, work })
    };
    let ledger = Component::activated(name, made).implements::<dyn StockEvents>();
    broker.register_component(ledger).unwrap();
}

/// Returns a queue whose events are tried so often, without a pause.
fn tries(attempts: u32) -> Queued {
    Queued::new().with_retry(Retry::after([]).with_attempts_each(attempts))
}

/// Counts in a tree how often the event of a volume was handled.
fn count(window: &KeyWindow, tree: &Tree, volume: u64) -> Result<Once, SubscriberError> {
    window.once(|transaction| {
        let key = volume.to_string();
        let before = tree.get(&key)?.map_or(0, |bytes| bytes.len());
        let mut counts = transaction.tree(tree.name())?;
        counts.insert(key, vec![1; before + 1])?;
        Ok(())
    })
}

/// Returns how often the events of the volumes were handled that were.
fn counted(broker: &Broker) -> BTreeMap<u64, usize> {
    let counts = broker.tree("counts").unwrap().starting_with("").unwrap();
    let pair = |(key, value): (Vec<u8>, Vec<u8>)| {
        let volume = String::from_utf8(key).unwrap().parse().unwrap();
        (volume, value.len())
    };
    counts.map(|it| pair(it.unwrap())).collect()
}

#[test]
fn work_that_was_committed_is_not_done_again_though_its_end_was_lost() {
    let engine = FaultyEngine::with_failed_writes(FailedWrite::Nothing);
    let first = over(&engine);
    let stocks = queue(&first, Queued::new());
    let (failing, tree) = (engine.clone(), first.tree("counts").unwrap());
    ledger(&first, "ledger", 100, move |window, volume| {
        assert_eq!(count(window, &tree, volume)?, Once::Done);
        // From here on nothing reaches the disk: as if the process were killed.
        failing.writes().from(1, Fault::fail("killed"));
        Ok(())
    });
    assert_eq!(stocks.traded("A", 1).accepted(), 1);
    while counted(&first).is_empty() {
        std::thread::yield_now();
    }
    let _ = first.close(LONG);
    engine.writes().clear();
    engine.reopen().unwrap();
    let second = over(&engine);
    let (tree, before) = (second.tree("counts").unwrap(), Arc::new(AtomicU32::new(0)));
    let seen = Arc::clone(&before);
    ledger(&second, "ledger", 100, move |window, volume| {
        assert_eq!(count(window, &tree, volume)?, Once::Before);
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    assert!(second.idle(LONG));
    assert_eq!(before.load(Ordering::Relaxed), 1, "it came again");
    assert_eq!(counted(&second), BTreeMap::from([(1, 1)]));
    close(second);
}

/// Whatever call of the engine fails, and however much of it was done.
#[test]
fn every_accepted_event_is_handled_exactly_once_whichever_call_fails() {
    for failed_write in [
        FailedWrite::Nothing,
        FailedWrite::Half,
        FailedWrite::Everything,
    ] {
        for nth in 1..50 {
            handles_once(failed_write, nth);
        }
    }
}

fn handles_once(failed_write: FailedWrite, nth: usize) {
    let engine = FaultyEngine::with_failed_writes(failed_write);
    let counting = |broker: &Broker| {
        let tree = broker.tree("counts").unwrap();
        let work = move |window: &KeyWindow, volume| count(window, &tree, volume).map(drop);
        ledger(broker, "ledger", 100, work);
    };
    let first = over(&engine);
    // A store that is being opened again fails all who read meanwhile.
    let patient = Retry::after([Duration::from_millis(1); 64]).with_attempts_each(9);
    let stocks = queue(&first, Queued::new().with_retry(patient));
    counting(&first);
    engine.all().at(nth, Fault::fail("out of order"));
    let accepted: Vec<_> = (1..=5)
        .filter(|volume| stocks.traded("A", *volume).accepted() == 1)
        .collect();
    engine.all().clear();
    let _ = first.close(LONG);
    engine.reopen().unwrap();
    let second = over(&engine);
    counting(&second);
    assert!(second.idle(LONG));
    let counted = counted(&second);
    let dead = second.dead_letters().unwrap();
    let context = format!("{failed_write:?} {nth}: {accepted:?} of {counted:?}, dead: {dead:?}");
    assert!(dead.is_empty(), "{context}");
    assert!(
        accepted.iter().all(|it| counted.contains_key(it)),
        "{context}"
    );
    assert!(counted.values().all(|times| *times == 1), "{context}");
    close(second);
}

#[test]
fn work_that_failed_is_done_by_the_next_attempt_and_work_that_did_not_is_left_alone() {
    let broker = builder().open().unwrap();
    let stocks = queue(&broker, tries(4));
    let (tape, tree) = (Tape::new(), broker.tree("counts").unwrap());
    let (taped, attempts) = (tape.clone(), AtomicU32::new(0));
    ledger(&broker, "ledger", 100, move |window, volume| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        let outcome = window.once(|transaction| {
            let mut counts = transaction.tree(tree.name())?;
            counts.insert(volume.to_string(), "1")?;
            match attempt {
                0 => Err("no ink".into()),
                1 => panic!("no paper"),
                _ => Ok(()),
            }
        });
        taped.write(format!("{:?}", outcome.as_ref().ok()));
        outcome?;
        match attempt {
            2 => Err("the mail behind it failed".into()),
            _ => Ok(()),
        }
    });
    stocks.traded("A", 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["None", "Some(Done)", "Some(Before)"]);
    assert_eq!(counted(&broker), BTreeMap::from([(1, 1)]));
    assert!(broker.dead_letters().unwrap().is_empty());
}

#[test]
fn replayed_dead_letter_does_its_work_if_that_was_not_committed_before() {
    let broker = builder().open().unwrap();
    let stocks = queue(&broker, tries(1));
    let (tape, tree) = (Tape::new(), broker.tree("counts").unwrap());
    let (taped, fails) = (tape.clone(), Arc::new(AtomicU32::new(2)));
    let failing = Arc::clone(&fails);
    ledger(&broker, "ledger", 100, move |window, volume| {
        let left = failing.load(Ordering::Relaxed);
        if left == 2 && volume == 2 {
            return Err("before the work".into());
        }
        taped.write(format!("{volume} {:?}", count(window, &tree, volume)?));
        match left {
            2 => Err("behind the work".into()),
            _ => Ok(()),
        }
    });
    stocks.traded("A", 1);
    stocks.traded("A", 2);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["1 Done"]);
    fails.store(0, Ordering::Relaxed);
    for letter in broker.dead_letters().unwrap() {
        broker.replay(&letter).unwrap();
    }
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["1 Before", "2 Done"]);
    assert_eq!(counted(&broker), BTreeMap::from([(1, 1), (2, 1)]));
}

#[test]
fn window_holds_so_many_keys_of_each_subscription_the_newest_across_reopening() {
    let store = shared();
    let other = || {
        let other = record(tries(1)).to_builder().name("other");
        other.id(SubscriptionId::from("other")).build().unwrap()
    };
    let run = |volumes: std::ops::Range<u64>, most| {
        // One thread: both subscriptions count in the same place.
        let broker = builder().store(Arc::clone(&store)).delivery_threads(1);
        let broker = broker.open().unwrap();
        let stocks = queue(&broker, tries(1));
        broker.ensure(&other()).unwrap();
        let tree = broker.tree("counts").unwrap();
        ledger(&broker, "ledger", most, move |window, volume| {
            assert_eq!(count(window, &tree, volume)?, Once::Done);
            Ok(())
        });
        for volume in volumes {
            assert_eq!(stocks.traded("A", volume).accepted(), 2);
        }
        assert!(broker.idle(LONG));
        assert!(broker.dead_letters().unwrap().is_empty());
        let window = KeyWindow::new(&broker, "ledger").unwrap();
        let counts = [id(), other().id()].map(|id| window.count(id).unwrap());
        (broker, window, counts)
    };
    let (broker, _, counts) = run(0..5, 3);
    assert_eq!(counts, [3, 3]);
    close(broker);
    let (broker, _, counts) = run(5..6, 3);
    assert_eq!(counts, [3, 3]);
    close(broker);
    // A narrower one takes leave of what is too much.
    let (broker, window, counts) = run(6..7, 2);
    assert_eq!(counts, [2, 2]);
    assert_eq!(window.forget(id()).unwrap(), 2);
    assert_eq!(window.count(id()).unwrap(), 0);
    assert_eq!(window.count(other().id()).unwrap(), 2);
    // One event for both subscriptions was work for both.
    assert!(counted(&broker).values().all(|times| *times == 2));
    close(broker);
}

#[test]
fn key_that_is_too_old_leaves_with_the_next_one() {
    let clock = VirtualClock::new();
    let broker = builder().clock(&clock).open().unwrap();
    let stocks = queue(&broker, tries(1));
    let tree = broker.tree("counts").unwrap();
    let work = move |window: &KeyWindow, volume| {
        let window = window.clone().forget_after(MINUTE);
        count(&window, &tree, volume).map(drop)
    };
    ledger(&broker, "ledger", 100, work);
    let window = KeyWindow::new(&broker, "ledger").unwrap();
    for (volume, wait, held) in [(1, 0, 1), (2, 30, 2), (3, 50, 2), (4, 120, 1)] {
        clock.advance(Duration::from_secs(wait));
        stocks.traded("A", volume);
        assert!(broker.idle(LONG));
        assert_eq!(window.count(id()).unwrap(), held, "{volume}");
    }
}

#[test]
fn window_is_asked_inside_of_a_delivery_alone_and_by_a_name_of_its_own() {
    let broker = builder().open().unwrap();
    let window = KeyWindow::new(&broker, "ledger").unwrap();
    let error = window.once(|_| Ok(())).unwrap_err();
    let error = error.downcast::<loosely::Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("inside of a delivery"),
        "{error}"
    );
    let error = KeyWindow::new(&broker, "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = broker.tree("loosely:once:ledger").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let stocks = queue(&broker, tries(1));
    let tape = Tape::new();
    let (taped, other) = (tape.clone(), KeyWindow::new(&broker, "other").unwrap());
    ledger(&broker, "ledger", 100, move |window, _| {
        for window in [window, &other, window] {
            taped.write(format!("{:?}", window.once(|_| Ok(()))?));
        }
        Ok(())
    });
    stocks.traded("A", 1);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["Done", "Done", "Before"]);
    assert!(broker.trees().unwrap().is_empty());
    close(broker);
    assert!(
        window
            .count(id())
            .is_err_and(|error| error.kind() == ErrorKind::Closed)
    );
}

#[event_interface]
trait Mails {
    fn sent(&self, subscriber: &str) -> Result<(), String>;
    fn counted(&self, number: u64);
}

/// Sends mails that nobody can take back, and fails behind them as often as it is told to.
struct Mailer(Tape, Arc<Mutex<u32>>);

impl Mails for Mailer {
    fn sent(&self, subscriber: &str) -> Result<(), String> {
        self.0.write(subscriber);
        let mut fails = self.1.lock().unwrap();
        if *fails == 0 {
            return Ok(());
        }
        *fails -= 1;
        Err("no line".to_owned())
    }

    fn counted(&self, number: u64) {
        self.0.write(number.to_string());
    }
}

#[test]
fn deduplicated_subscriber_is_called_until_it_succeeds_and_not_again() {
    let (broker, tape) = (builder().open().unwrap(), Tape::new());
    let record = Subscription::builder("mails").to::<dyn Mails>();
    let record = record.component("mailer").delivery(tries(3)).build();
    broker.ensure(&record.unwrap()).unwrap();
    let (taped, fails) = (tape.clone(), Arc::new(Mutex::new(1)));
    let made = move |activation: &Activation<'_>| {
        let window = KeyWindow::new(&activation.broker().unwrap(), "mailer")?;
        let mailer = Mailer(taped.clone(), Arc::clone(&fails));
        Ok::<_, SubscriberError>(Deduplicated::new(window, mailer))
    };
    let mailer = Component::activated("mailer", made).implements::<dyn Mails>();
    broker.register_component(mailer).unwrap();
    let mails = broker.publisher::<dyn Mails>().unwrap();
    mails.sent("ann");
    mails.counted(7);
    assert!(broker.idle(LONG));
    assert_eq!(tape.take(), ["ann", "ann", "7"]);
    assert!(broker.dead_letters().unwrap().is_empty());
    close(broker);
}

#[test]
fn deduplicated_subscriber_is_not_called_again_where_the_end_alone_was_lost() {
    let engine = FaultyEngine::with_failed_writes(FailedWrite::Nothing);
    let (first, tape) = (over(&engine), Tape::new());
    let stocks = queue(&first, Queued::new());
    let register = |broker: &Broker| {
        let tape = tape.clone();
        let made = move |activation: &Activation<'_>| {
            let window = KeyWindow::new(&activation.broker().unwrap(), "ledger")?;
            let tape = tape.clone();
            let taping = move |event: &loosely::Event<'_>| -> Result<(), SubscriberError> {
                tape.write(event.to_string());
                Ok(())
            };
            Ok::<_, SubscriberError>(Deduplicated::new(window, taping))
        };
        let ledger = Component::activated("ledger", made).implements_any();
        broker.register_component(ledger).unwrap();
    };
    assert_eq!(stocks.traded("A", 1).accepted(), 1);
    // The key is the next write, and the end of the delivery the one behind it.
    engine.writes().from(2, Fault::fail("killed"));
    register(&first);
    let window = KeyWindow::new(&first, "ledger").unwrap();
    while window.count(id()).unwrap() == 0 {
        std::thread::yield_now();
    }
    let _ = first.close(LONG);
    engine.writes().clear();
    engine.reopen().unwrap();
    let second = over(&engine);
    assert_eq!(second.subscription_health(id()).unwrap().waiting(), 1);
    register(&second);
    assert!(second.idle(LONG));
    assert_eq!(tape.take(), ["traded(symbol = 'A', volume = 1)"]);
    assert_eq!(second.subscription_health(id()).unwrap().waiting(), 0);
    close(second);
}
