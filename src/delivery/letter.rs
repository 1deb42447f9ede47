//! An event on its way to one subscription.

use std::any::Any;
use std::sync::Arc;

use super::context::Carried;
use super::journal::Receipt;
use super::parcel::Parcel;
use super::trigger::Triggered;
use crate::value::{InterfaceSchema, ValueKey, ValueRef};

/// A parcel for one subscription, with what it alone knows of it: the reason why it gets it, the
/// key in its lane, the receipt of its queue.
pub(crate) struct Letter {
    parcel: Arc<dyn Parcel>,
    triggered: Option<Triggered>,
    key: Option<ValueKey>,
    receipt: Option<Receipt>,
}

impl Letter {
    /// Returns the parcel with the reason, if there is one.
    pub(crate) fn sealed(parcel: Arc<dyn Parcel>, triggered: Option<Triggered>) -> Arc<dyn Parcel> {
        if triggered.is_none() {
            return parcel;
        }
        Arc::new(Self {
            parcel,
            triggered,
            key: None,
            receipt: None,
        })
    }

    /// Returns the parcel as a queue has it delivered.
    pub(super) fn queued(
        parcel: Arc<dyn Parcel>,
        triggered: Option<Triggered>,
        receipt: Receipt,
    ) -> Arc<dyn Parcel> {
        Arc::new(Self {
            parcel,
            triggered,
            key: None,
            receipt: Some(receipt),
        })
    }

    /// Returns the parcel with its key, for whoever has it wait in another lane behind this one.
    pub(crate) fn keyed(parcel: Arc<dyn Parcel>, key: &ValueKey) -> Arc<dyn Parcel> {
        if *key == ValueKey::ONLY {
            return parcel;
        }
        Arc::new(Self {
            triggered: parcel.triggered(),
            key: Some(key.clone()),
            receipt: None,
            parcel,
        })
    }
}

impl Parcel for Letter {
    fn schema(&self) -> &InterfaceSchema {
        self.parcel.schema()
    }

    fn method(&self) -> usize {
        self.parcel.method()
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        self.parcel.values()
    }

    fn fire(&self) -> &Carried {
        self.parcel.fire()
    }

    fn triggered(&self) -> Option<Triggered> {
        self.triggered
    }

    fn key(&self) -> Option<&ValueKey> {
        self.key.as_ref()
    }

    fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self.parcel.as_any()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.parcel).into_any()
    }
}
