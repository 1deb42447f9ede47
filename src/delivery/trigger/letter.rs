//! An event on its way to one subscription.

use std::any::Any;
use std::sync::Arc;

use super::Triggered;
use crate::delivery::{Carried, Parcel};
use crate::value::{InterfaceSchema, ValueKey, ValueRef};

/// A parcel for one subscription, with the reason why it gets it, and its key in the lane.
pub(crate) struct Letter {
    parcel: Arc<dyn Parcel>,
    triggered: Option<Triggered>,
    key: Option<ValueKey>,
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

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self.parcel.as_any()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.parcel).into_any()
    }
}
