//! Fires beside churn: whoever fires while others change the wiring calls those whom the revisions
//! name.
//!
//! In a round some threads fire and others store, edit, switch, remove and import subscriptions and
//! come and go with live objects, over two brokers on one store and some hundred filters. Each
//! writes down what it did between which ticks of one clock, and which revision the store gave it.
//! When all are done, the revisions say what every subscription was and when, and each call and
//! each call that was not made is held against that, by the contract of the cache
//! (`src/cache/mod.rs`):
//!
//! - a subscription that matched an event in every state it may have had during the fire was called
//!   once, one that matched in none was not called, any other at most once;
//! - there is one revision at which all calls of a fire are right, as a fire uses one snapshot;
//! - calls come by priority, then in store order;
//! - nobody calls an object that was waited for;
//! - the change log, read at the end or piece by piece, leads to what is stored;
//! - of an import of thousands a fire sees the sections up to some point, each of them whole.
//!
//! The dice of a round are those of its seed; how its threads meet is not. A failure prints the
//! seed.
//!
//! - `LOOSELY_STRESS_ROUNDS=1000` plays so many rounds of each kind, to soak it.
//! - `LOOSELY_STRESS_SEED=7` begins with another seed.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod check;
mod churn;
mod controls;
mod desk;
mod history;
mod log;
mod plan;
mod replay;
mod round;
mod sections;
mod world;

use std::sync::Arc;

#[cfg(feature = "sled")]
use loosely::{Broker, SledStore};
use loosely::{LocalStore, MemoryEngine, Nesting, Store, StoreOptions};

use crate::round::{Round, rounds};

/// Returns a store whose change log is longer than any round.
pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(LocalStore::with_engine(MemoryEngine::new(), options()).unwrap())
}

fn options() -> StoreOptions {
    StoreOptions::new().history_limit(1 << 20).without_copy()
}

#[test]
fn fires_beside_churn_call_those_whom_the_revisions_name() {
    for seed in rounds(4) {
        Round::new(seed).play(memory()).unwrap_sound();
    }
}

#[test]
fn fires_inside_fires_that_change_the_wiring_call_those_whom_the_revisions_name() {
    for seed in rounds(2) {
        let round = Round::new(seed).nested(Nesting::Inline);
        round.play(memory()).unwrap_sound();
    }
}

#[test]
fn fires_that_wait_for_the_outermost_one_call_those_whom_the_revisions_name() {
    for seed in rounds(2) {
        let round = Round::new(seed).nested(Nesting::Queued);
        round.play(memory()).unwrap_sound();
    }
}

#[test]
fn fires_beside_churn_and_large_imports_see_whole_sections() {
    for seed in rounds(1) {
        let round = Round::new(seed).short().with_imports(6);
        round.play(memory()).unwrap_sound();
    }
}

#[cfg(feature = "sled")]
#[test]
fn fires_beside_churn_of_a_directory_call_the_same_and_a_reopen_finds_it() {
    for seed in rounds(1) {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SledStore::open(directory.path(), options()).unwrap());
        let played = Round::new(seed).short().play(Arc::clone(&store));
        let (base, mut evidence) = (played.base, played.evidence.clone());
        played.unwrap_sound();
        store.close().unwrap();
        drop(store);
        let broker = Broker::open(directory.path()).unwrap();
        evidence.logged = world::logged(&broker.changes_since(base).unwrap());
        evidence.listed = vec![broker.subscriptions("ALL").unwrap()];
        let findings = check::check(&evidence);
        assert!(
            findings.is_empty(),
            "seed {seed}, reopened: {}",
            findings[0]
        );
    }
}
