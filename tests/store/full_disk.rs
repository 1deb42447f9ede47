//! A disk that is full: what was acknowledged stays, what is not done is said, and it goes on when
//! there is room again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{
    Broker, Compaction, Component, ErrorKind, Notice, Notices, Queued, SledStore, Store,
    StoreOptions, Subscription, event_interface,
};

use crate::compaction::fill_and_empty;
use crate::support::{put, value, watchdog};

#[event_interface]
trait Ledger {
    fn booked(&self, number: u64, text: &str);
}

struct Clerk(Arc<Mutex<BTreeSet<u64>>>);

impl Ledger for Clerk {
    fn booked(&self, number: u64, _text: &str) {
        self.0.lock().unwrap().insert(number);
    }
}

/// A disk of a few megabytes, gone with the test.
struct Disk {
    root: tempfile::TempDir,
}

impl Disk {
    /// Mounts one, or says aloud that this cannot be tested here.
    fn mounted(mib: u32) -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        let output = mount.arg(root.path()).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Some(Self { root });
        }
        // Around the harness: a test that looked at nothing must not look like one that did.
        let text = b"\nSKIPPED: no tmpfs may be mounted, nothing was tried on a full disk\n";
        let _ = std::io::stderr().lock().write_all(text);
        None
    }

    fn wiring(&self) -> PathBuf {
        self.root.path().join("wiring")
    }

    /// Takes so much of what is left.
    fn take(&self, bytes: usize) {
        fs::write(self.root.path().join("ballast"), vec![1; bytes]).unwrap();
    }

    /// Takes all that is left.
    fn take_all(&self) {
        let mut file = fs::File::create(self.root.path().join("rest")).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
    }

    /// Gives back so much of what was taken at last.
    fn give_back(&self, bytes: u64) {
        let path = self.root.path().join("rest");
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        let len = file.metadata().unwrap().len();
        file.set_len(len - bytes).unwrap();
    }

    /// Gives back what was taken.
    fn make_room(&self) {
        for name in ["ballast", "rest"] {
            let _ = fs::remove_file(self.root.path().join(name));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.root.path())
            .output();
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    events: BTreeSet<u64>,
    records: BTreeSet<String>,
}

impl Acknowledged {
    fn check(&self, broker: &Broker) {
        let names = broker.subscriptions("name LIKE 'record%'").unwrap();
        let names: BTreeSet<_> = names.iter().map(|record| record.name().into()).collect();
        let lost: Vec<_> = self.records.difference(&names).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

fn open(disk: &Disk) -> loosely::Result<Broker> {
    let broker = Broker::builder().path(disk.wiring()).on_failure(|_, _| {});
    let broker = broker.open()?;
    let queue = Subscription::builder("queue").to::<dyn Ledger>();
    let queue = queue.component("clerk").delivery(Queued::new()).build()?;
    broker.ensure(&queue)?;
    Ok(broker)
}

fn record(number: usize) -> Subscription {
    let record = Subscription::builder(format!("record {number}")).to::<dyn Ledger>();
    let record = record.component("nobody").filter("number < 0");
    record.build().unwrap()
}

/// Fires and stores until neither is taken any more, and returns what was.
fn fill(broker: &Broker) -> (Acknowledged, Vec<loosely::Error>) {
    let ledger = broker.publisher::<dyn Ledger>().unwrap();
    let (mut acknowledged, mut errors) = (Acknowledged::default(), Vec::new());
    let text = "x".repeat(10_000);
    for number in 0.. {
        let report = ledger.booked(number as u64, &text);
        if report.accepted() == 1 {
            acknowledged.events.insert(number as u64);
        }
        let record = record(number);
        match broker.ensure(&record) {
            Ok(_) => _ = acknowledged.records.insert(record.name().into()),
            Err(error) => errors.push(error),
        }
        if errors.len() >= 5 && report.failed() == 1 {
            break;
        }
    }
    (acknowledged, errors)
}

/// Does it until it is done: the store opens itself again after a pause.
fn insist<T>(mut work: impl FnMut() -> loosely::Result<T>) -> T {
    loop {
        match work() {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn set_aside(directory: &Path) -> usize {
    let names = fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("damaged"))
        .count()
}

#[test]
fn broker_on_a_full_disk_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let _watchdog = watchdog();
    let Some(disk) = Disk::mounted(16) else {
        return;
    };
    disk.take(6 << 20);
    let broker = open(&disk).unwrap();
    let (mut acknowledged, errors) = fill(&broker);
    assert!(!acknowledged.events.is_empty() && !acknowledged.records.is_empty());
    for error in &errors {
        let kinds = [ErrorKind::Uncertain, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    let notices = broker.notices();
    let says_why = |notice: &Notice| match notice {
        Notice::StoreUnavailable { reason } => reason.contains("No space left"),
        _ => false,
    };
    assert!(notices.iter().any(says_why), "{notices:?}");
    acknowledged.check(&broker);

    disk.make_room();
    let last = record(1_000_000);
    insist(|| broker.ensure(&last));
    acknowledged.records.insert(last.name().into());
    acknowledged.check(&broker);
    let delivered = Arc::default();
    let clerk = Arc::clone(&delivered);
    let clerk = Component::new("clerk", move || Clerk(Arc::clone(&clerk)));
    let clerk = clerk.implements::<dyn Ledger>();
    broker.register_component(clerk).unwrap();
    assert!(broker.idle(Duration::from_secs(60)));
    let lost: Vec<_> = (acknowledged.events)
        .difference(&delivered.lock().unwrap())
        .copied()
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    broker.close(Duration::from_secs(60)).unwrap();
    acknowledged.check(&open(&disk).unwrap());
    assert_eq!(set_aside(&disk.wiring()), 0);
}

#[test]
fn broker_that_is_opened_on_a_full_disk_opens_or_fails_and_leaves_all_as_it_was() {
    let _watchdog = watchdog();
    let Some(disk) = Disk::mounted(16) else {
        return;
    };
    disk.take(6 << 20);
    let broker = open(&disk).unwrap();
    let (acknowledged, _) = fill(&broker);
    drop(broker);
    disk.take_all();
    for _ in 0..2 {
        match open(&disk) {
            Ok(broker) => acknowledged.check(&broker),
            Err(error) => {
                let kinds = [ErrorKind::Io, ErrorKind::Unavailable, ErrorKind::Uncertain];
                assert!(kinds.contains(&error.kind()), "{error:#}");
            }
        }
        assert_eq!(set_aside(&disk.wiring()), 0);
    }
    disk.make_room();
    let broker = open(&disk).unwrap();
    acknowledged.check(&broker);
    let waiting = Subscription::builder("queue").to::<dyn Ledger>();
    let waiting = waiting.component("clerk").build().unwrap().id();
    let health = broker.subscription_health(waiting).unwrap();
    assert!(health.waiting() >= acknowledged.events.len());
    assert_eq!(set_aside(&disk.wiring()), 0);
}

#[test]
fn database_is_not_written_anew_where_there_is_no_room_for_both() {
    let _watchdog = watchdog();
    let Some(disk) = Disk::mounted(16) else {
        return;
    };
    let options = StoreOptions::new().without_copy();
    let never = options.clone().compaction(Compaction::never());
    let store = SledStore::open(disk.wiring(), never).unwrap();
    fill_and_empty(&store, 10_000);
    store.commit(put("s", "1")).unwrap();
    store.close().unwrap();
    disk.take_all();
    disk.give_back(1 << 20);
    let notices = Notices::default();
    let terms = Compaction::new().above(1 << 20).times(2);
    let options = options.notices(notices.clone()).compaction(terms);
    let store = SledStore::open(disk.wiring(), options).unwrap();
    let told = notices.drain();
    assert!(
        matches!(&told[..], [Notice::NotCompacted { reason }] if reason.contains("no room")),
        "{told:?}"
    );
    let error = store.compact().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("no room to write"), "{error}");
    assert_eq!(value(&store, "s").as_deref(), Some("1"));
    disk.make_room();
    let report = store.compact().unwrap();
    assert!(report.after_bytes() < report.before_bytes() / 2, "{report}");
    assert_eq!(value(&store, "s").as_deref(), Some("1"));
}
