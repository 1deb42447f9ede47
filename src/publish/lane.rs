//! What is called for one method, in order.

use std::sync::Arc;

use smallvec::SmallVec;

use super::prepared::{Prepared, SubscriptionEntry};
use crate::model::SubscriptionId;

/// The slots of one method, in the order of calling.
pub(crate) enum Lane<I: ?Sized> {
    /// Only subscribers to be called as they are: the plain fire, which reifies no event.
    Plain {
        /// A single one inline, where it is reached without another pointer.
        slots: SmallVec<[PlainSlot<I>; 1]>,
        /// The subscription behind the slot of the same index; read when one fails.
        entries: Box<[Arc<SubscriptionEntry>]>,
    },
    /// At least one with a filter, a time, or a target that must be made or found first.
    Guarded { slots: Box<[GuardedSlot<I>]> },
}

/// A subscriber that is ready to be called.
pub(crate) struct PlainSlot<I: ?Sized> {
    pub(crate) target: Arc<I>,
    pub(crate) id: SubscriptionId,
}

/// A subscriber and what to check before it is called.
pub(crate) struct GuardedSlot<I: ?Sized> {
    pub(crate) prepared: Arc<Prepared<I>>,
}

impl<I: ?Sized> Lane<I> {
    /// Returns the lane of `method` out of all prepared subscriptions, which are in order.
    pub(crate) fn new(method: usize, all: &[Arc<Prepared<I>>]) -> Self {
        let here = || all.iter().filter(|prepared| prepared.is_called_for(method));
        let plain: Option<SmallVec<_>> = here()
            .map(|prepared| {
                let target = prepared.ready(method)?;
                Some(PlainSlot {
                    target,
                    id: prepared.entry.record.id(),
                })
            })
            .collect();
        match plain {
            Some(slots) => Self::Plain {
                slots,
                entries: here().map(|prepared| Arc::clone(&prepared.entry)).collect(),
            },
            None => Self::Guarded {
                slots: here()
                    .map(|p| GuardedSlot {
                        prepared: Arc::clone(p),
                    })
                    .collect(),
            },
        }
    }
}
