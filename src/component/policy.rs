//! How long an instance lives.

use std::fmt;
use std::time::Duration;

/// How many instances of a component there are, and how long they live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentPolicy {
    /// One instance, made at the first event and kept while the component is registered, or until
    /// it was [idle](crate::Component::with_idle_timeout) for too long.
    #[default]
    Singleton,
    /// A new instance for each event, dropped after the call, as COM+ does.
    PerCall,
    /// Several instances, each of which is lent to one call at a time.
    Pooled(Pool),
}

/// How many instances a pool may have, and how long an event waits for one.
///
/// An instance serves one call at a time. An event takes an idle one; if there is none and the pool
/// has fewer than its maximum, one is made; else the event waits, first come first served, for the
/// first that is given back. Those in calls and those being made count too. This is how COM+ pools
/// objects ("How Object Pooling Works", "Configuring a Component to Be Pooled").
///
/// The minimum is made at first need: the first event has its own instance made and then, before
/// its call, the others, as COM+ fills a pool when the application starts. Registering makes
/// nothing, since a factory is told of the subscription that needs it. A later event that must have
/// an instance made also brings the pool up to its minimum again. The factory that makes a spare
/// may fail: the event has its instance and is delivered, and the next that has one made tries
/// again.
///
/// An instance whose call panicked is not lent again: it is dropped, and its place is free. One
/// that returned an error is given back.
///
/// # Deadlocks
///
/// A delivery holds its instance to its end, so an event that is fired inside it and reaches the
/// same pool needs another one. If all of them are held by the very thread that would wait, it does
/// not wait and the delivery fails at once. Across threads nobody looks for circles, as between two
/// pools of one instance each whose components fire at each other: there the events wait for the
/// stated time and fail then.
///
/// ```
/// # use loosely::{Component, Pool, event_interface};
/// # use std::time::Duration;
/// # #[event_interface]
/// # pub trait StockEvents { fn price_changed(&self, symbol: &str, price: f64); }
/// # #[derive(Default)]
/// # struct Printer;
/// # impl StockEvents for Printer { fn price_changed(&self, _: &str, _: f64) {} }
/// // Three connections at most; one stays open; an event that finds all busy fails after a second.
/// let pool = Pool::new(3).with_minimum(1).with_wait(Duration::from_secs(1));
/// let printer = Component::new("printer", Printer::default)
///     .implements::<dyn StockEvents>()
///     .pooled(pool)
///     .with_idle_timeout(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    maximum: usize,
    minimum: usize,
    wait: Duration,
}

impl Pool {
    /// Returns a pool of at most `maximum` instances, without a minimum, for which an event waits
    /// at most a minute.
    ///
    /// A component whose pool has a maximum of zero, or a minimum above it, cannot be registered.
    #[doc(alias = "MaxPoolSize")]
    pub fn new(maximum: usize) -> Self {
        Self {
            maximum,
            minimum: 0,
            wait: WAIT,
        }
    }

    /// Keeps at least this many instances once the first was needed.
    #[must_use]
    #[doc(alias = "MinPoolSize")]
    pub fn with_minimum(mut self, minimum: usize) -> Self {
        self.minimum = minimum;
        self
    }

    /// Lets an event wait at most this long for an instance; with zero, it fails at once when all
    /// are busy.
    ///
    /// The wait is on the thread that fires, and so is part of the fire.
    #[must_use]
    #[doc(alias = "CreationTimeout")]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Returns how many instances there may be.
    pub fn maximum(&self) -> usize {
        self.maximum
    }

    /// Returns how many instances are kept.
    pub fn minimum(&self) -> usize {
        self.minimum
    }

    /// Returns how long an event waits for an instance.
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl ComponentPolicy {
    /// Returns Ok if a component can be kept like that, or what is wrong with it.
    pub(super) fn check(self, idle: Option<Duration>) -> Result<(), String> {
        Err(match (self, idle) {
            (Self::Pooled(Pool { maximum: 0, .. }), _) => "has a pool of no instances".to_owned(),
            (Self::Pooled(pool), _) if pool.minimum > pool.maximum => format!(
                "has a pool of at least {} and at most {} instances",
                pool.minimum, pool.maximum
            ),
            (Self::PerCall, Some(_)) => {
                "is made for each call, and is never idle for long".to_owned()
            }
            _ => return Ok(()),
        })
    }
}

impl fmt::Display for ComponentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Singleton => f.write_str("a singleton"),
            Self::PerCall => f.write_str("made for each call"),
            Self::Pooled(pool) => pool.fmt(f),
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            maximum,
            minimum,
            wait,
        } = self;
        write!(f, "a pool of {minimum} to {maximum} waited for {wait:?}")
    }
}

/// COM+'s default creation time-out: an event in a burst is rather late than lost.
const WAIT: Duration = Duration::from_secs(60);
