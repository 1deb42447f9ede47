//! Who receives, and what they write down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loosely::{Component, EventContext, SubscriptionId, event_interface};
use parking_lot::Mutex;

use crate::operations::{COMPONENTS, Instances, Shot};

/// What is fired: the serial tells every event from all others.
#[event_interface]
pub(crate) trait Orders {
    fn placed(&self, serial: u64, symbol: &str, amount: i64) -> Result<(), String>;
    fn cancelled(&self, serial: u64, amount: i64) -> Result<(), String>;
}

/// A call that a component received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) subscription: SubscriptionId,
    pub(crate) component: usize,
    pub(crate) serial: u64,
    pub(crate) symbol: Option<char>,
    pub(crate) amount: i64,
    pub(crate) attempt: u32,
    pub(crate) failed: bool,
}

/// The calls that the components of one program received, in order.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    calls: Mutex<Vec<Call>>,
    flawed: [AtomicBool; COMPONENTS],
}

/// Takes what comes.
#[derive(Debug)]
pub(crate) struct Clerk {
    number: usize,
    tape: Arc<Tape>,
}

impl Tape {
    pub(crate) fn new(flawed: [bool; COMPONENTS]) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            flawed: flawed.map(AtomicBool::new),
        })
    }

    /// Takes what was written since the last time.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock())
    }

    /// Has a component fail at negative amounts, or not.
    pub(crate) fn turn(&self, component: usize, is_flawed: bool) {
        self.flawed[component].store(is_flawed, Ordering::SeqCst);
    }
}

impl Clerk {
    fn take(&self, serial: u64, symbol: Option<char>, amount: i64) -> Result<(), String> {
        let context = EventContext::current().ok_or("no event")?;
        let failed = amount < 0 && self.tape.flawed[self.number].load(Ordering::SeqCst);
        self.tape.calls.lock().push(Call {
            subscription: context.subscription(),
            component: self.number,
            serial,
            symbol,
            amount,
            attempt: context.attempt(),
            failed,
        });
        match failed {
            true => Err(format!("{amount} is negative")),
            false => Ok(()),
        }
    }
}

impl Orders for Clerk {
    fn placed(&self, serial: u64, symbol: &str, amount: i64) -> Result<(), String> {
        self.take(serial, symbol.chars().next(), amount)
    }

    fn cancelled(&self, serial: u64, amount: i64) -> Result<(), String> {
        self.take(serial, None, amount)
    }
}

/// Returns a component that writes to a tape.
pub(crate) fn component(number: usize, instances: Instances, tape: &Arc<Tape>) -> Component<Clerk> {
    let tape = Arc::clone(tape);
    let made = move || Clerk {
        number,
        tape: Arc::clone(&tape),
    };
    let component = Component::new(name_of(number), made).implements::<dyn Orders>();
    match instances {
        Instances::One => component,
        Instances::PerCall => component.per_call(),
    }
}

pub(crate) fn name_of(component: usize) -> String {
    format!("component {component}")
}

/// Returns the arguments of an event as an owned event.
pub(crate) fn event(serial: u64, shot: Shot) -> OrdersEvent {
    match shot.symbol {
        Some(symbol) => OrdersPlaced::new(serial, &symbol.to_string(), shot.amount).into(),
        None => OrdersCancelled::new(serial, shot.amount).into(),
    }
}
