//! What goes wrong in a test, and at which call.

use std::fmt;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::Arc;

use super::gate::{Gate, Passage};
use crate::sync::Mutex;
use crate::{Error, ErrorKind, Result};

/// What happens to a call in place of nothing.
#[derive(Clone)]
pub struct Fault {
    kind: FaultKind,
}

#[derive(Clone)]
enum FaultKind {
    Fail(ErrorKind, String),
    Panic(String),
    Block(Arc<Passage>),
    Run(Arc<dyn Fn() + Send + Sync>),
}

/// Which calls go wrong, and how: asked by whoever is to fail, told by the test. A clone is the
/// same.
///
/// A [`Recorder`](super::Recorder), a [`FaultyStore`](super::FaultyStore) and a
/// [`FaultyEngine`](super::FaultyEngine) have some; so may a factory or a subscriber of your own:
///
/// ```
/// use loosely::testing::{Fault, Faults};
/// use loosely::{Broker, Component, Subscription, event_interface};
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
///
/// struct Alarm;
///
/// impl StockEvents for Alarm {
///     fn price_changed(&self, _symbol: &str, _price: f64) {}
/// }
///
/// # fn main() -> loosely::Result<()> {
/// let faults = Faults::new();
/// let making = faults.clone();
/// let alarm = Component::activated("alarm", move |_| {
///     making.meet()?;
///     Ok(Alarm)
/// });
/// # let broker = Broker::builder().on_failure(|_, _| {}).open()?;
/// broker.register_component(alarm.implements::<dyn StockEvents>())?;
/// # let record = Subscription::builder("all").to::<dyn StockEvents>().component("alarm");
/// # broker.ensure(&record.build()?)?;
/// # let stocks = broker.publisher::<dyn StockEvents>()?;
///
/// faults.at(1, Fault::fail("no speaker"));
/// assert_eq!(stocks.price_changed("MSFT", 185.5).failed(), 1);
/// assert_eq!(stocks.price_changed("MSFT", 186.0).delivered(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    count: usize,
    faults: Vec<(RangeInclusive<usize>, Fault)>,
}

impl Fault {
    /// The call fails with this text; as [`ErrorKind::Io`], where there is a kind.
    pub fn fail(text: impl Into<String>) -> Self {
        Self::fail_as(ErrorKind::Io, text)
    }

    /// The call fails with an error of this kind.
    pub fn fail_as(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::of(FaultKind::Fail(kind, text.into()))
    }

    /// The call unwinds as a panic with this text does; the panic hook is not called, so that the
    /// output of the test stays readable.
    pub fn panic(text: impl Into<String>) -> Self {
        Self::of(FaultKind::Panic(text.into()))
    }

    /// The call stands still while the gate is closed, and then goes on.
    pub fn block(gate: &Gate) -> Self {
        Self::of(FaultKind::Block(gate.passage()))
    }

    /// Something happens first, on the thread of the call, which then goes on.
    pub fn run(work: impl Fn() + Send + Sync + 'static) -> Self {
        Self::of(FaultKind::Run(Arc::new(work)))
    }

    fn of(kind: FaultKind) -> Self {
        Self { kind }
    }

    fn happen(self) -> Result<()> {
        match self.kind {
            FaultKind::Fail(kind, text) => return Err(Error::from_store(kind, text)),
            FaultKind::Panic(text) => resume_unwind(Box::new(text)),
            FaultKind::Block(passage) => passage.pass(),
            FaultKind::Run(work) => work(),
        }
        Ok(())
    }
}

impl Faults {
    /// Returns a plan by which nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the `nth` call from now go wrong, counted from 1.
    pub fn at(&self, nth: usize, fault: Fault) {
        self.plan.lock().add(nth, nth, fault);
    }

    /// Has the `nth` call from now and all after it go wrong, counted from 1.
    pub fn from(&self, nth: usize, fault: Fault) {
        self.plan.lock().add(nth, usize::MAX, fault);
    }

    /// Has nothing go wrong from now on. Who stands at a gate still does.
    pub fn clear(&self) {
        let faults = std::mem::take(&mut self.plan.lock().faults);
        drop(faults);
    }

    /// Returns how many calls there were.
    pub fn count(&self) -> usize {
        self.plan.lock().count
    }

    /// Does what is to happen to the present call. Where several things are, they happen in the
    /// order in which they were asked for, until the call has failed.
    ///
    /// # Errors
    ///
    /// Those that were asked for.
    pub fn meet(&self) -> Result<()> {
        let due = self.plan.lock().next();
        due.into_iter().try_for_each(Fault::happen)
    }
}

impl Plan {
    fn add(&mut self, first: usize, last: usize, fault: Fault) {
        let [first, last] = [first, last].map(|nth| self.count.saturating_add(nth));
        self.faults.push((first..=last, fault));
    }

    fn next(&mut self) -> Vec<Fault> {
        self.count += 1;
        let due = self.faults.iter();
        due.filter(|(calls, _)| calls.contains(&self.count))
            .map(|(_, fault)| fault.clone())
            .collect()
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Fail(kind, text) => write!(f, "Fail({kind:?}, {text:?})"),
            FaultKind::Panic(text) => write!(f, "Panic({text:?})"),
            FaultKind::Block(_) => f.write_str("Block"),
            FaultKind::Run(_) => f.write_str("Run"),
        }
    }
}
