//! The end of tests that have none.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Ends the process when it lives too long: a deadlock then fails the run and does not hang it.
///
/// It says which test it was, by the name of the thread.
///
/// ```
/// use loosely::testing::Watchdog;
///
/// let _watchdog = Watchdog::new();
/// ```
#[derive(Debug)]
#[must_use = "a watchdog that was dropped watches nothing"]
pub struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    /// Returns one that waits for four minutes: far longer than any test takes on a slow and busy
    /// machine.
    pub fn new() -> Self {
        Self::with_patience(Duration::from_secs(240))
    }

    /// Returns one that waits for so long.
    pub fn with_patience(patience: Duration) -> Self {
        let (alive, watched) = mpsc::channel::<()>();
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let watch = move || {
            if watched.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test} did not end within {patience:?}");
                std::process::abort();
            }
        };
        // Without a thread nobody watches, and a test is as it would be without this.
        let watching = thread::Builder::new().name("loosely-watchdog".to_owned());
        drop(watching.spawn(watch));
        Self { _alive: alive }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}
