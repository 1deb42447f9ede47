//! An event that a trigger has delivered, on its way.

use std::any::Any;
use std::sync::Arc;

use super::Triggered;
use crate::delivery::{Carried, Parcel};
use crate::value::{InterfaceSchema, ValueRef};

/// A parcel for one subscription, with the reason why it gets it.
pub(crate) struct Letter {
    parcel: Arc<dyn Parcel>,
    triggered: Triggered,
}

impl Letter {
    /// Returns the parcel with the reason, if there is one.
    pub(crate) fn sealed(parcel: Arc<dyn Parcel>, triggered: Option<Triggered>) -> Arc<dyn Parcel> {
        match triggered {
            Some(triggered) => Arc::new(Self { parcel, triggered }),
            None => parcel,
        }
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
        Some(self.triggered)
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self.parcel.as_any()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.parcel).into_any()
    }
}
