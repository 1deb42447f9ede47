//! The clock of a test.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Clock, HandClock};

/// A clock that stands still until a test moves it; a clone is the same clock.
///
/// What a [broker](crate::BrokerBuilder::clock) does by itself when it is time goes by it: idle
/// times, waits for an instance of a pool or for a change of interest, when subscriptions begin and
/// expire, and, in the store that it opens or that is
/// [told of the clock](crate::StoreOptions::clock), pauses, flushes and copies. So does
/// [`EventContext::time`](crate::EventContext::time). By the system's clock goes how long other
/// calls, such as [`Broker::close`](crate::Broker::close), have their caller wait.
///
/// ```
/// use std::time::Duration;
///
/// use loosely::testing::VirtualClock;
///
/// let clock = VirtualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now(), before + Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone)]
pub struct VirtualClock {
    hand: Arc<HandClock>,
}

impl VirtualClock {
    /// Returns a clock that shows the beginning of 1970.
    pub fn new() -> Self {
        Self::starting_at(SystemTime::UNIX_EPOCH)
    }

    /// Returns a clock that shows this time.
    pub fn starting_at(time: SystemTime) -> Self {
        let hand = HandClock::starting_at(time);
        Self { hand }
    }

    /// Returns the time of day.
    pub fn now(&self) -> SystemTime {
        self.hand.now()
    }

    /// Lets time pass. When it returns, everything that became due has been started;
    /// [`Broker::idle`](crate::Broker::idle) waits until it is done.
    ///
    /// The clock rests at each instant at which something is due, so what is put off on the way is
    /// done in its turn. It goes billions of years far, where the system can tell such times, and
    /// no further.
    ///
    /// # Panics
    ///
    /// If what is due cannot be started for a minute of real time: a subscriber's `Drop` holds up
    /// the broker, or this was called from inside one.
    pub fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Returns it as brokers know clocks.
    pub(crate) fn as_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.hand) as _
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}
