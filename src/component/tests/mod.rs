//! Activation by a clock that is moved by hand.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod idle;
mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Activated, Activation, ActivationError, Component, Lease, Pool, Recipe, Registry};
use crate::clock::{Clock, HandClock};
use crate::model::{ComponentId, SubscriptionId};
use crate::value::Properties;

/// A registry with one component, whose instances are numbered and tell of their end.
struct Rig {
    clock: Arc<HandClock>,
    registry: Registry,
    recipe: Arc<Recipe>,
    factory: Arc<Factory>,
    dropped: Mutex<Receiver<usize>>,
    _watchdog: Watchdog,
}

struct Factory {
    made: AtomicUsize,
    /// Whether making one fails.
    broken: AtomicBool,
    /// Whether the drop of one panics.
    fragile: AtomicBool,
    dropped: Sender<usize>,
}

struct Numbered {
    number: usize,
    factory: Arc<Factory>,
}

/// An instance while it is lent.
struct Borrowed {
    number: usize,
    lease: Lease,
}

impl Rig {
    fn new(policy: impl FnOnce(Component<Numbered>) -> Component<Numbered>) -> Self {
        let clock = HandClock::new();
        let registry = Registry::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let (tell, dropped) = mpsc::channel();
        let factory = Arc::new(Factory {
            made: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            fragile: AtomicBool::new(false),
            dropped: tell,
        });
        let recipe = policy(component(&factory)).into_recipe();
        registry.register(recipe, |_| Ok(())).unwrap();
        Self {
            clock,
            recipe: registry.get(ComponentId::named("numbered")).unwrap(),
            registry,
            factory,
            dropped: Mutex::new(dropped),
            _watchdog: Watchdog::new(),
        }
    }

    fn pooled(pool: Pool) -> Self {
        Self::new(|component| component.pooled(pool))
    }

    fn borrow(&self) -> Result<Borrowed, ActivationError> {
        let subscription = SubscriptionId::named("a subscription");
        let (bag, host) = (Properties::new(), ());
        let activation = Activation::new(self.recipe.id(), subscription, &bag, &host);
        let (instance, lease) = match self.registry.activate(&self.recipe, &activation)? {
            Activated::Once(instance, lease) => (instance, lease),
            Activated::Kept(instance) => (instance, Lease::none()),
        };
        let number = instance.downcast_ref::<Numbered>().unwrap().number;
        Ok(Borrowed { number, lease })
    }

    /// Returns why no instance can be had now.
    fn refused(&self) -> ActivationError {
        self.borrow().err().unwrap()
    }

    fn made(&self) -> usize {
        self.factory.made.load(Ordering::SeqCst)
    }

    fn set_broken(&self, broken: bool) {
        self.factory.broken.store(broken, Ordering::SeqCst);
    }

    /// Returns what was dropped by now.
    fn dropped(&self) -> Vec<usize> {
        self.dropped.lock().try_iter().collect()
    }

    /// Blocks until this many were dropped.
    fn until_dropped(&self, count: usize) -> Vec<usize> {
        let dropped = self.dropped.lock();
        (0..count).map(|_| dropped.recv().unwrap()).collect()
    }
}

impl Factory {
    fn make(self: &Arc<Self>) -> Result<Numbered, crate::SubscriberError> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err("broken".into());
        }
        let factory = Arc::clone(self);
        Ok(Numbered { number, factory })
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.factory.dropped.send(self.number);
        if self.factory.fragile.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("fragile"));
        }
    }
}

fn component(factory: &Arc<Factory>) -> Component<Numbered> {
    let factory = Arc::clone(factory);
    Component::activated("numbered", move |_| factory.make())
}

/// Ends the process when a test hangs.
struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    fn new() -> Self {
        let (alive, watched) = mpsc::channel();
        let test = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            if watched.recv_timeout(3 * MINUTE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test} hangs");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
