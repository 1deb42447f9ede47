//! What is called for one method, in order.

use std::sync::Arc;

use smallvec::SmallVec;

use super::entry::SubscriptionEntry;
use super::facet::Facet;
use super::indexed::FilterIndex;
use super::prepared::Prepared;
use crate::model::SubscriptionId;

/// The subscriptions of one method.
pub(crate) enum Lane<I: ?Sized> {
    /// Only subscribers to be called as they are: the plain fire, which reifies no event.
    Plain {
        /// In the order of calling. A single one inline, where it is reached without another
        /// pointer.
        slots: SmallVec<[PlainSlot<I>; 1]>,
        /// The subscription behind the slot of the same index; read when one fails.
        entries: Box<[Arc<SubscriptionEntry>]>,
    },
    /// A few, in the order of calling, and at least one with a filter, a time, or a target that must
    /// be made or found first.
    Guarded { slots: Box<[Arc<Prepared<I>>]> },
    /// So many with filters that those an event matches are found by an index.
    Indexed(IndexedLane<I>),
}

/// A subscriber that is ready to be called.
pub(crate) struct PlainSlot<I: ?Sized> {
    pub(crate) target: Arc<I>,
    pub(crate) id: SubscriptionId,
}

/// A lane whose filtered subscriptions are in an index, which outlives the snapshot.
pub(crate) struct IndexedLane<I: ?Sized> {
    /// Those without a filter, in the order of calling.
    pub(crate) loose: Box<[Arc<Prepared<I>>]>,
    pub(crate) index: Arc<FilterIndex<I>>,
    /// What the index has to say of itself if it belongs to this lane.
    pub(crate) generation: u64,
    /// Whether subscribers of one priority are called in any order.
    pub(crate) unordered: bool,
}

impl<I: Facet + ?Sized> Lane<I> {
    /// Returns the lane of `method` out of all prepared subscriptions, which are in order. One that is
    /// `steered` is never plain, so that a fire looks who selects.
    pub(crate) fn new<'a>(
        method: usize,
        all: impl Iterator<Item = &'a Arc<Prepared<I>>> + Clone,
        steered: bool,
    ) -> Self
    where
        I: 'a,
    {
        let here = || {
            all.clone()
                .filter(|prepared| prepared.is_called_for(method))
        };
        let plain: Option<SmallVec<_>> = here()
            .map(|prepared| {
                let target = prepared.ready(method)?;
                Some(PlainSlot {
                    target,
                    id: prepared.id,
                })
            })
            .collect();
        match plain {
            Some(slots) if !steered => Self::Plain {
                slots,
                entries: here().map(|prepared| Arc::clone(&prepared.entry)).collect(),
            },
            _ => Self::Guarded {
                slots: here().cloned().collect(),
            },
        }
    }
}
