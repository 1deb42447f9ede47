//! A subscriber that writes down what comes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::expectation::{Expectation, what_came};
use super::faults::Faults;
use super::recorded::RecordedEvent;
use crate::publish::LiveTarget;
use crate::sync::{Condvar, Mutex};
use crate::{
    Component, Event, EventInterface, IntoSubscriber, IntoTarget, Subscriber, SubscriberError,
};

/// A subscriber of any interface that keeps the events that it is called with, and fails when it is
/// told to. A clone is the same recorder.
///
/// A reference to it can be given to [`Broker::subscribe`](crate::Broker::subscribe) and its like,
/// [`component`](Self::component) is registered:
///
/// ```
/// use std::time::Duration;
///
/// use loosely::testing::{Fault, Recorder};
/// use loosely::{Broker, Subscription, event_interface};
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
///
/// # fn main() -> loosely::Result<()> {
/// # let broker = Broker::builder().on_failure(|_, _| {}).open()?;
/// let alarm = Recorder::new();
/// broker.register_component(alarm.component("alarm"))?;
/// broker.ensure(
///     &Subscription::builder("msft")
///         .to::<dyn StockEvents>()
///         .component("alarm")
///         .filter("symbol = 'MSFT'")
///         .build()?,
/// )?;
///
/// alarm.faults().at(2, Fault::panic("too loud"));
/// let stocks = broker.publisher::<dyn StockEvents>()?;
/// assert_eq!(stocks.price_changed("MSFT", 185.5).delivered(), 1);
/// assert_eq!(stocks.price_changed("MSFT", 186.0).failed(), 1);
///
/// let is_high = |price: &loosely::Value| price.as_f64() > Some(180.0);
/// alarm.expect("price_changed").with_where("price", is_high).times(2);
/// assert_eq!(alarm.lines()[0], "price_changed(symbol = 'MSFT', price = 185.5)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<RecordedEvent>>,
    came: Condvar,
    faults: Faults,
}

impl Recorder {
    /// Returns a recorder that nothing came to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a component of this id that is the recorder, and takes events of any interface.
    pub fn component(&self, id: impl AsRef<str>) -> Component<Self> {
        let recorder = self.clone();
        Component::new(id, move || recorder.clone()).implements_any()
    }

    /// Returns what goes wrong when an event comes. The event is written down before that.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Returns what came, in the order in which it did.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.shared.events.lock().clone()
    }

    /// Returns what came as text, an event a line.
    pub fn lines(&self) -> Vec<String> {
        self.events().iter().map(ToString::to_string).collect()
    }

    /// Returns what came since the last call, and forgets it.
    pub fn take(&self) -> Vec<RecordedEvent> {
        std::mem::take(&mut *self.shared.events.lock())
    }

    /// Waits until so many events have come, which ones that were [taken](Self::take) are not part
    /// of, and returns them all.
    ///
    /// # Panics
    ///
    /// If there are fewer when `timeout` is over, which is real time: choose one that only a test
    /// that hangs will see the end of.
    #[track_caller]
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Vec<RecordedEvent> {
        let until = Instant::now().checked_add(timeout);
        let mut events = self.shared.events.lock();
        while events.len() < count {
            let Some(until) = until else {
                self.shared.came.wait(&mut events);
                continue;
            };
            let late = self.shared.came.wait_until(&mut events, until).timed_out();
            if late && events.len() < count {
                let came = what_came(&events);
                drop(events);
                panic!("expected {count} events within {timeout:?}\n{came}");
            }
        }
        events.clone()
    }

    /// Begins to say what is expected to have come by now: some events of this method.
    pub fn expect(&self, method: impl Into<String>) -> Expectation {
        Expectation::new(method.into(), self.events())
    }

    /// Says that nothing has come.
    ///
    /// # Panics
    ///
    /// If something has.
    #[track_caller]
    pub fn expect_nothing(&self) {
        let events = self.events();
        assert!(
            events.is_empty(),
            "expected nothing\n{}",
            what_came(&events)
        );
    }
}

impl Subscriber for Recorder {
    fn event(&self, event: &Event<'_>) -> Result<(), SubscriberError> {
        self.shared.events.lock().push(RecordedEvent::of(event));
        self.shared.came.notify_all();
        Ok(self.shared.faults.meet()?)
    }
}

impl<I: EventInterface + ?Sized> IntoTarget<I> for &Recorder {
    fn into_target(self) -> LiveTarget<I> {
        LiveTarget::Strong(I::from_subscriber(Arc::new(self.clone())))
    }
}

impl IntoSubscriber for &Recorder {
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber> {
        LiveTarget::Strong(Arc::new(self.clone()))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("events", &self.shared.events.lock().len())
            .field("faults", &self.shared.faults)
            .finish()
    }
}
