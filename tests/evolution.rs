//! A queue between programs of two versions of an interface: the one that fires is a process of its
//! own, and is killed; the one that receives opens its directory.
#![cfg(all(feature = "sled", unix))]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loosely::testing::Watchdog;
use loosely::{
    Broker, Component, DeadLetter, DeadLetterCause, EventInterface, OlderEvent, Subscription,
    Upcaster, event_interface,
};

mod older {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn placed(&self, item: &str, count: i32);
        fn cancelled(&self, item: &str);
        fn priced(&self, item: &str, euros: f64);
    }

    impl Orders for Heard {
        fn placed(&self, item: &str, count: i32) {
            self.write(format!("{count} {item} placed"));
        }

        fn cancelled(&self, item: &str) {
            self.write(format!("{item} cancelled"));
        }

        fn priced(&self, item: &str, euros: f64) {
            self.write(format!("{item} priced at {euros} euros"));
        }
    }
}

mod newer {
    use super::*;

    #[event_interface]
    pub(super) trait Orders {
        fn priced(&self, item: &str, cents: u64);
        #[event(alias = "placed")]
        fn ordered(
            &self,
            #[event(alias = "item")] article: &str,
            count: i64,
            note: Option<&str>,
            #[event(default = "EUR")] currency: &str,
        );
    }

    impl Orders for Heard {
        fn priced(&self, item: &str, cents: u64) {
            self.write(format!("{item} priced at {cents} cents"));
        }

        fn ordered(&self, article: &str, count: i64, note: Option<&str>, currency: &str) {
            self.write(format!("{count} {article} ordered, {note:?}, {currency}"));
        }
    }
}

/// What a subscriber was called with.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

const ROLE: &str = "LOOSELY_EVOLUTION_ROLE";
const DIRECTORY: &str = "LOOSELY_EVOLUTION_DIRECTORY";
const LONG: Duration = Duration::from_secs(60);

/// Is no test by itself, but what the children run.
#[test]
fn child_process_fires_what_its_version_has() {
    let Ok(role) = env::var(ROLE) else { return };
    let broker = Broker::open(env::var(DIRECTORY).unwrap()).unwrap();
    let accepted = match role.as_str() {
        "older" => {
            broker.ensure(&queue::<dyn older::Orders>()).unwrap();
            let orders = broker.publisher::<dyn older::Orders>().unwrap();
            let reports = [
                orders.placed("pen", 3),
                orders.cancelled("ink"),
                orders.priced("pen", 1.25),
                orders.placed("ink", 4),
            ];
            reports.map(|report| report.accepted())
        }
        "newer" => {
            broker.ensure(&queue::<dyn newer::Orders>()).unwrap();
            let orders = broker.publisher::<dyn newer::Orders>().unwrap();
            let reports = [
                orders.ordered("pen", 3, Some("soon"), "EUR"),
                orders.ordered("sand", i64::MAX, None, "EUR"),
                orders.priced("pen", 125),
                orders.ordered("ink", 4, None, "EUR"),
            ];
            reports.map(|report| report.accepted())
        }
        role => panic!("no such role: {role}"),
    };
    assert_eq!(accepted, [1; 4]);
    println!("\nfired");
    // Until it is killed, or whoever started it is gone.
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn queue<I: EventInterface + ?Sized>() -> Subscription {
    let ledger = Subscription::builder("ledger").to::<I>();
    ledger.component("ledger").queued().build().unwrap()
}

/// Ends the child with the test, whatever happens to it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has a child of a version fire into a directory, and kills it.
fn fired_by(role: &str, directory: &Path) {
    let mut command = Command::new(env::current_exe().unwrap());
    let child = command
        .args(["--exact", "child_process_fires_what_its_version_has"])
        .args(["--test-threads", "1", "--nocapture"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let out = BufReader::new(child.0.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "fired"), "the child has failed");
}

fn open(directory: &Path) -> Broker {
    Broker::open(directory).unwrap()
}

/// Lets a subscriber of the newer version have what waits, and returns the dead letters.
fn listen_as_newer(broker: &Broker, heard: &Heard) -> Vec<DeadLetter> {
    let heard = heard.clone();
    let ledger = Component::new("ledger", move || heard.clone());
    let ledger = ledger.implements::<dyn newer::Orders>();
    broker.register_component(ledger).unwrap();
    assert!(broker.idle(LONG));
    broker.dead_letters().unwrap()
}

fn listen_as_older(broker: &Broker, heard: &Heard) -> Vec<DeadLetter> {
    let heard = heard.clone();
    let ledger = Component::new("ledger", move || heard.clone());
    let ledger = ledger.implements::<dyn older::Orders>();
    broker.register_component(ledger).unwrap();
    assert!(broker.idle(LONG));
    broker.dead_letters().unwrap()
}

fn methods(letters: &[DeadLetter]) -> Vec<&str> {
    let changed = |it: &&DeadLetter| it.cause() == DeadLetterCause::SchemaChanged;
    let changed = letters.iter().filter(changed);
    changed.map(|it| it.method().unwrap()).collect()
}

fn to_cents(event: OlderEvent) -> Option<OlderEvent> {
    let euros = event.values().get_as::<f64>("euros").ok()?;
    Some(event.with("cents", (euros * 100.0).round() as u64))
}

#[test]
fn newer_program_gets_what_an_older_one_fired_by_name_or_upcast_or_as_a_dead_letter() {
    let _watchdog = Watchdog::new();
    let root = tempfile::tempdir().unwrap();
    fired_by("older", root.path());
    let (broker, heard) = (open(root.path()), Heard::default());
    let cents = Upcaster::new("Orders", to_cents).of_version(<dyn older::Orders>::schema());
    broker.register_upcaster(cents).unwrap();
    let letters = listen_as_newer(&broker, &heard);
    let came = [
        "3 pen ordered, None, EUR",
        "pen priced at 125 cents",
        "4 ink ordered, None, EUR",
    ];
    assert_eq!(heard.take(), came);
    assert_eq!(methods(&letters), ["cancelled"]);
    broker.close(LONG).unwrap();

    // The older program is back, and has what was its own.
    let broker = open(root.path());
    assert!(listen_as_older(&broker, &heard) == letters);
    broker.replay(&letters[0]).unwrap();
    assert!(broker.idle(LONG));
    assert_eq!(heard.take(), ["ink cancelled"]);
    broker.close(LONG).unwrap();
}

#[test]
fn older_program_gets_what_a_newer_one_fired_as_far_as_it_knows_it() {
    let _watchdog = Watchdog::new();
    let root = tempfile::tempdir().unwrap();
    fired_by("newer", root.path());
    let (broker, heard) = (open(root.path()), Heard::default());
    let letters = listen_as_older(&broker, &heard);
    assert_eq!(heard.take(), ["3 pen placed", "4 ink placed"]);
    // More than an older program can count, and a price that it does not know.
    assert_eq!(methods(&letters), ["ordered", "priced"]);

    // A step back is a step too.
    let euros = Upcaster::new("Orders", |event| {
        let cents = event.values().get_as::<u32>("cents").ok()?;
        Some(event.with("euros", f64::from(cents) / 100.0))
    });
    broker.register_upcaster(euros).unwrap();
    for letter in &letters {
        broker.replay(letter).unwrap();
    }
    assert!(broker.idle(LONG));
    assert_eq!(heard.take(), ["pen priced at 1.25 euros"]);
    let letters = broker.dead_letters().unwrap();
    assert_eq!(methods(&letters), ["ordered"]);
    broker.close(LONG).unwrap();

    let broker = open(root.path());
    listen_as_newer(&broker, &heard);
    broker.replay(&letters[0]).unwrap();
    assert!(broker.idle(LONG));
    let count = i64::MAX;
    assert_eq!(heard.take(), [format!("{count} sand ordered, None, EUR")]);
    broker.close(LONG).unwrap();
}
