//! Events on their way to other threads.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::context::Carried;
use super::journal::Receipt;
use super::trigger::Triggered;
use crate::model::EventClassId;
use crate::value::{InterfaceId, InterfaceSchema, ValueKey, ValueRef};

/// An event whose arguments are its own, with what its subscribers may ask about it: one for all
/// who get it later than the fire, or on another thread.
pub(crate) trait Parcel: Send + Sync + 'static {
    /// Returns the class and the interface that it was fired of.
    fn site(&self) -> (EventClassId, InterfaceId) {
        (self.fire().class(), self.schema().id())
    }

    /// Returns the schema that it was fired with.
    fn schema(&self) -> &InterfaceSchema;

    /// Returns the index of its method.
    fn method(&self) -> usize;

    /// Returns its values in the order of the method's parameters.
    fn values(&self) -> Vec<ValueRef<'_>>;

    /// Returns the fire that it was taken out of.
    fn fire(&self) -> &Carried;

    /// Returns why the trigger of the subscription that it is for has it delivered, if that has a
    /// reason.
    fn triggered(&self) -> Option<Triggered> {
        None
    }

    /// Returns what tells the queue of the subscription that it is for how its delivery went, if
    /// it comes from one.
    fn receipt(&self) -> Option<&Receipt> {
        None
    }

    /// Returns its key in the lane of the one subscription that it is for, if it is for one.
    fn key(&self) -> Option<&ValueKey> {
        None
    }

    /// Returns the parcel as `dyn Any`, to be downcast.
    fn as_any(&self) -> &(dyn Any + Send + Sync);

    /// Returns the parcel as `dyn Any`, to be downcast and kept.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl fmt::Debug for dyn Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}
