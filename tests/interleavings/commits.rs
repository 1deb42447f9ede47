//! Commits: who is told of them, in which order, and which fires know of them.

use std::sync::{Arc, Mutex, PoisonError};

use loosely::{
    Batch, Broker, Commit, CommitSink, DeliveryMode, Listing, MemoryStore, Revision, Store, Trash,
    TreeEvent,
};

use crate::support::{
    LONG, Log, TicksPublisher, close, ensure, explore, memory, open, pause, publisher, to, together,
};

#[test]
fn no_fire_that_begins_after_a_change_returned_uses_the_old_state() {
    explore(|| {
        let broker = open(&memory());
        let part = |name: &'static str, from| -> Box<dyn FnOnce() + Send> {
            let log = Log::default();
            broker
                .register_component(log.component(name))
                .expect("a component");
            let (broker, ticks) = (broker.clone(), publisher(&broker));
            Box::new(move || switch(&broker, &ticks, (name, from), &log))
        };
        together(vec![part("a", 0), part("b", 1)]);
        close(broker);
    });
}

/// Changes a subscription in each way, and fires behind each change.
fn switch(broker: &Broker, ticks: &TicksPublisher, (name, from): (&str, u32), log: &Log) {
    let record = to(name).build().expect("a valid record");
    let arrives = |number| {
        ticks.tick(from, number);
        log.has(from, number)
    };
    assert!(!arrives(0), "before it was stored");
    broker.store(&record).expect("it is stored");
    assert!(arrives(1), "stored");
    broker.disable(record.id()).expect("it is switched off");
    assert!(!arrives(2), "switched off");
    broker.enable(record.id()).expect("it is switched on");
    assert!(arrives(3), "switched on");
    let none = record.to_builder().filter("from = 7").build();
    broker
        .store(&none.expect("a valid record"))
        .expect("it is replaced");
    assert!(!arrives(4), "replaced by one that wants no such event");
    assert_eq!(broker.remove(record.id()).ok(), Some(true));
    assert!(!arrives(5), "removed");
}

#[test]
fn a_fire_on_another_thread_knows_what_a_change_that_returned_made() {
    explore(|| {
        let (broker, log) = (open(&memory()), Log::default());
        broker
            .register_component(log.component("a"))
            .expect("a component");
        ensure(&broker, "a", DeliveryMode::Inline);
        let id = to("a").build().expect("a valid record").id();
        let is_off = Arc::new(Mutex::new(false));
        let (told, changing, ticks) = (Arc::clone(&is_off), broker.clone(), publisher(&broker));
        let disable = move || {
            changing.disable(id).expect("it is switched off");
            *told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        };
        let fire = move || {
            for number in 0..4 {
                let off = *is_off.lock().unwrap_or_else(PoisonError::into_inner);
                ticks.tick(0, number);
                assert!(!(off && log.has(0, number)), "a fire uses the old state");
                pause();
            }
        };
        together(vec![Box::new(disable), Box::new(fire)]);
        close(broker);
    });
}

/// Writes down what it is told of, and what it finds when it is attached.
#[derive(Default)]
struct Told {
    revisions: Mutex<Vec<Revision>>,
    /// How many keys there are by what it was told.
    keys: Mutex<usize>,
}

impl CommitSink for Told {
    fn listed(&self, listing: &mut Listing<'_>, revision: Revision, _: &mut Trash) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = listing.count();
        self.tell(revision);
    }

    fn committed(&self, commit: &Commit<'_>, _: &mut Trash) {
        pause();
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) += commit.changes().len();
        self.tell(commit.revision());
    }
}

impl Told {
    fn tell(&self, revision: Revision) {
        let mut revisions = self
            .revisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        revisions.push(revision);
    }

    fn revisions(&self) -> Vec<Revision> {
        let revisions = self.revisions.lock();
        revisions.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[test]
fn sinks_are_told_of_each_commit_in_order_and_before_it_returns() {
    explore(|| {
        let store = Arc::new(MemoryStore::new());
        let first = Arc::new(Told::default());
        store
            .attach(b"", Arc::clone(&first) as _)
            .expect("a sink is attached");
        let commit = |key: &'static str| -> Box<dyn FnOnce() + Send> {
            let (store, told) = (Arc::clone(&store), Arc::clone(&first));
            Box::new(move || {
                for round in 0..2 {
                    let mut batch = Batch::new();
                    batch.put(format!("{key}{round}"), "x");
                    let revision = store.commit(batch).expect("it is committed");
                    assert!(
                        told.revisions().contains(&revision),
                        "not told of {revision}"
                    );
                }
            })
        };
        let late = Arc::new(Told::default());
        let (attaching, to) = (Arc::clone(&store), Arc::clone(&late));
        let attach = move || {
            attaching.attach(b"", to).expect("another sink is attached");
        };
        together(vec![commit("a"), commit("b"), Box::new(attach)]);
        for told in [&first, &late] {
            let revisions = told.revisions();
            assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
            assert_eq!(revisions.last(), Some(&store.revision()));
            assert_eq!(*told.keys.lock().unwrap_or_else(PoisonError::into_inner), 4);
        }
        let since = first.revisions()[1..].to_vec();
        let logged = store
            .changes_since(Revision::ZERO)
            .expect("all commits are kept");
        let logged: Vec<_> = logged.iter().map(|commit| commit.revision).collect();
        assert_eq!(logged, since);
    });
}

#[test]
fn watch_of_a_tree_that_begins_between_changes_misses_none() {
    explore(|| {
        let broker = open(&memory());
        let tree = broker.tree("orders").expect("a tree");
        let write = |key: &'static str| -> Box<dyn FnOnce() + Send> {
            let tree = broker.tree("orders").expect("a tree");
            Box::new(move || {
                tree.insert(key, "old").expect("it is inserted");
                tree.insert(key, "new").expect("it is inserted");
            })
        };
        let watch = move || {
            let mut watch = tree.watch("").expect("a watch begins");
            let mut last = std::collections::BTreeMap::new();
            while last.values().filter(|value| *value == b"new").count() < 2 {
                match watch
                    .next_timeout(LONG)
                    .map(|event| event.expect("an event"))
                {
                    Some(TreeEvent::Put { key, value, .. }) => _ = last.insert(key, value),
                    Some(TreeEvent::Removed { .. }) => panic!("nothing is removed"),
                    Some(_) => {}
                    None => panic!("the watch has ended"),
                }
            }
        };
        together(vec![write("a"), write("b"), Box::new(watch)]);
        close(broker);
    });
}

#[test]
fn feed_of_wiring_changes_has_no_gap_and_keeps_the_order() {
    explore(|| {
        let broker = open(&memory());
        let mut feed = broker
            .follow_changes(broker.revision())
            .expect("a feed begins");
        let store = |name: &'static str| -> Box<dyn FnOnce() + Send> {
            let broker = broker.clone();
            Box::new(move || {
                ensure(&broker, name, DeliveryMode::Inline);
                let record = to(name).build().expect("a valid record");
                broker.disable(record.id()).expect("it is switched off");
            })
        };
        let follow = move || {
            let mut revisions = Vec::new();
            while revisions.len() < 4 {
                let change = feed.next_within(LONG).expect("a change");
                revisions.push(change.expect("a change").revision());
            }
            assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
        };
        together(vec![store("a"), store("b"), Box::new(follow)]);
        close(broker);
    });
}
