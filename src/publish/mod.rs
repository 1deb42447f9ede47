//! Publisher objects.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::value::{EventInterface, SubscriberError, ValueRef};

/// Says which publisher type the macro made for an event interface.
pub trait Publishes: EventInterface {
    /// The publisher object: only event methods, and a deref to its [`Publisher`] for control.
    type Publisher: From<Publisher<Self>> + Deref<Target = Publisher<Self>>;
}

/// A publisher object, without its event methods.
pub struct Publisher<I: ?Sized> {
    targets: Arc<Vec<Arc<I>>>,
}

/// What a fire returns.
#[derive(Debug, Clone, Default)]
pub struct FireReport {
    /// delivered
    pub delivered: u32,
    /// failed
    pub failed: u32,
}

impl<I: ?Sized> Clone for Publisher<I> {
    fn clone(&self) -> Self {
        Self {
            targets: Arc::clone(&self.targets),
        }
    }
}

impl<I: ?Sized> fmt::Debug for Publisher<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl<I: EventInterface + ?Sized> Publisher<I> {
    /// stand-in
    #[doc(hidden)]
    pub fn __stub(targets: Vec<Arc<I>>) -> Self {
        Self {
            targets: Arc::new(targets),
        }
    }

    /// Fires the method at index `method` of the schema: `values` makes the event's values if anything
    /// needs them, `call` calls the method on one subscriber.
    #[doc(hidden)]
    pub fn __fire<'e, const N: usize>(
        &self,
        method: usize,
        values: impl Fn() -> [ValueRef<'e>; N],
        call: impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> FireReport {
        let _ = (method, values());
        let mut report = FireReport::default();
        for target in self.targets.iter() {
            match call(target) {
                Ok(()) => report.delivered += 1,
                Err(_) => report.failed += 1,
            }
        }
        report
    }
}
