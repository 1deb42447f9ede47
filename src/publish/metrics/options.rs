//! What of a broker is measured.

/// What a broker measures once [`BrokerBuilder::metrics`](crate::BrokerBuilder::metrics) has
/// switched it on.
///
/// ```
/// use loosely::{Broker, MetricsOptions};
///
/// let broker = Broker::builder().metrics(MetricsOptions::new()).open()?;
/// assert!(broker.metrics().methods().is_empty(), "nobody has asked for a publisher yet");
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsOptions {
    max_subscriptions: usize,
}

impl MetricsOptions {
    /// Returns the usual ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Measures no more than so many subscriptions each by itself, 1,000 unless told otherwise; all
    /// others are measured together.
    ///
    /// They are those that were made ready first, which is when the first publisher of their class
    /// is made, or when they are stored later. One that is removed makes room for another. Each
    /// takes about half a kilobyte here, and two in the text for Prometheus.
    #[must_use]
    pub fn with_max_subscriptions(mut self, max: usize) -> Self {
        self.max_subscriptions = max;
        self
    }

    /// Returns how many subscriptions are measured each by itself.
    pub fn max_subscriptions(&self) -> usize {
        self.max_subscriptions
    }
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            max_subscriptions: MAX_SUBSCRIPTIONS,
        }
    }
}

/// As many as a person tells apart in a chart of many lines, and a scrape of some megabytes has.
const MAX_SUBSCRIPTIONS: usize = 1_000;
