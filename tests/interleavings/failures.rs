//! A device that loses what was written: what was acknowledged is there, and caches are listed
//! anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loosely::{
    Broker, DeliveryMode, Engine, Error, ErrorKind, LocalStore, RawChange, RawPair, Result, Store,
    StoreOptions, Subscription,
};

use crate::support::{Log, builder, close, explore, open, pause, publisher, to, together};

/// Loses, at one of its syncs, what was written since the one before.
#[derive(Debug, Clone, Default)]
struct Losing(Arc<Mutex<Medium>>);

#[derive(Debug, Default)]
struct Medium {
    written: BTreeMap<Vec<u8>, Vec<u8>>,
    synced: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many syncs it is to the one that fails.
    left: Option<usize>,
}

impl Losing {
    fn with<R>(&self, work: impl FnOnce(&mut Medium) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine for Losing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        pause();
        Ok(self.with(|medium| medium.written.get(key).cloned()))
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        pause();
        let is_next = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|it| key > it);
        Ok(self.with(|medium| {
            let pairs = medium.written.iter().filter(|(key, _)| is_next(key));
            let pairs = pairs.map(|(key, value)| (key.clone(), value.clone()));
            pairs.take(limit).collect()
        }))
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        pause();
        self.with(|medium| {
            for (key, value) in changes {
                match value {
                    Some(value) => medium.written.insert(key.clone(), value.clone()),
                    None => medium.written.remove(key),
                };
            }
        });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let image = self.with(|medium| medium.written.clone());
        pause();
        self.with(|medium| match medium.left {
            Some(0) => {
                medium.left = None;
                Err(Error::from_store(ErrorKind::Io, "the device is out"))
            }
            left => {
                medium.left = left.map(|left| left - 1);
                medium.synced = image;
                Ok(())
            }
        })
    }

    fn reopen(&self) -> Result<()> {
        self.with(|medium| medium.written = medium.synced.clone());
        Ok(())
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_was_acknowledged_outlasts_a_failed_flush_and_fires_know_what_is_left() {
    explore(|| {
        let engine = Losing::default();
        let options = StoreOptions::new().back_off(Duration::ZERO, Duration::ZERO);
        let store = LocalStore::with_engine(engine.clone(), options.without_copy());
        let store: Arc<dyn Store> = Arc::new(store.expect("an empty store opens"));
        let (broker, log) = (open(&store), Log::default());
        for name in NAMES {
            broker
                .register_component(log.component(name))
                .expect("a component");
        }
        engine.with(|medium| medium.left = Some(1));
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let keep = |names: [&'static str; 2]| -> Box<dyn FnOnce() + Send> {
            let (broker, acknowledged) = (broker.clone(), Arc::clone(&acknowledged));
            Box::new(move || {
                for name in names {
                    if is_stored(&broker, name) {
                        let mut all = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                        all.push(name);
                    }
                }
            })
        };
        together(vec![keep(["a", "b"]), keep(["c", "d"])]);
        assert!(is_stored(&broker, "e"), "the store has opened itself again");
        let known = names(&broker);
        let acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |name: &&str| known.iter().any(|known| known == name);
        assert!(
            acknowledged.iter().all(is_known),
            "{acknowledged:?} {known:?}"
        );
        let ticks = publisher(&broker);
        assert_eq!(ticks.tick(0, 0).delivered(), known.len());
        drop(ticks);
        close(broker);
        let again = builder().store(store).open().expect("a broker opens");
        assert_eq!(names(&again), known, "the cache is not what is stored");
        close(again);
    });
}

/// Stores a subscription; false if nobody knows whether it was, or it was not.
fn is_stored(broker: &Broker, name: &str) -> bool {
    let record = to(name).delivery(DeliveryMode::Inline).build();
    match broker.store(&record.expect("a valid record")) {
        Ok(_) => true,
        Err(error) => {
            let kinds = [ErrorKind::Uncertain, ErrorKind::Unavailable];
            assert!(kinds.contains(&error.kind()), "{error}");
            false
        }
    }
}

fn names(broker: &Broker) -> Vec<String> {
    let all = broker.subscriptions("ALL").expect("all subscriptions");
    let mut names: Vec<_> = all
        .iter()
        .map(|it: &Subscription| it.name().to_string())
        .collect();
    names.sort();
    names
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
